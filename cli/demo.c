#include "models/demo.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/model_file.h"

#include <stdio.h>

/* crease demo: a standard network as an exporter writes it, without a download. */

static void print_names(void) {
    for (const char *const *name = crease_demo_names(); *name; name++)
        puts(*name);
}

int demo_command(int argc, char **argv) {
    const char *name, *output = NULL;
    uint64_t seed = 1;
    crease_model *model;
    const arg_option options[] = {
        {"output", 'o', ARG_TEXT, &output, "OUT.onnx", "the file to write", 0, 0},
        {"seed", 0, ARG_SEED, &seed, "N", "of the weights (1)", 0, 0},
        {0},
    };
    const arg_command command = {"demo",
                                 "[NAME]",
                                 "Write a standard network with seeded weights and its batch "
                                 "normalisations unfolded.\nWithout NAME, list the names.",
                                 NULL,
                                 0,
                                 1,
                                 options};
    int code = args_parse(&command, argc, argv, &name);
    if (code)
        return code;
    if (!name && output)
        return fail(CLI_USAGE, "demo -o %s needs the NAME of a network; 'crease demo' lists them", output);
    if (!name) {
        print_names();
        return CLI_OK;
    }
    if (!output)
        return fail(CLI_USAGE, "demo %s needs -o OUT.onnx", name);
    crease_status status = crease_demo_model(name, seed, &model);
    if (status == CREASE_ERROR_ARGUMENT)
        return fail(CLI_USAGE, "%s; 'crease demo' lists them", crease_error_message());
    if (status)
        return fail_status(status);
    code = model_save(model, output);
    crease_model_free(model);
    return code;
}
