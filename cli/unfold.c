#include "cli/args.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/file.h"
#include "cli/message.h"

/* crease unfold: the file that a folded model came from. */

typedef struct unfold_options {
    engine_options engine;
    const char *model, *output;
} unfold_options;

static int parse(int argc, char **argv, unfold_options *o) {
    const arg_option options[] = {
        {"output", 'o', ARG_TEXT, &o->output, "OUT.onnx", "the file to write", 0, 0},
        {0},
    };
    const arg_command command = {
        "unfold",
        "FOLDED.onnx",
        "Write the model that was folded, as it was: every node, and every weight bit for bit.",
        "The model must have been folded by 'crease fold --keep-originals'. A weight that both share and "
        "that "
        "was\nchanged since is a failure.\n",
        1,
        1,
        options};
    int code = args_parse(&command, argc, argv, &o->model);
    if (!code && !o->output)
        code = fail(CLI_USAGE, "unfold needs -o OUT.onnx");
    return code;
}

static int unfold(const unfold_options *o, const crease_model *model) {
    void *data;
    size_t bytes;
    crease_status status = crease_unfold(model, &data, &bytes);
    if (status)
        return fail_file(o->model, status);
    int code = file_stage(o->output, data, bytes, NULL, 0);
    crease_memory_free(data);
    return code ? code : file_commit();
}

int unfold_command(int argc, char **argv) {
    unfold_options o = {0};
    crease_model *model;
    int code = parse(argc, argv, &o);
    if (!code)
        code = engine_load(o.model, &o.engine, &model);
    if (code)
        return code;
    code = unfold(&o, model);
    crease_model_free(model);
    return code;
}
