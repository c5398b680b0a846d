#include "cli/args.h"
#include "cli/commands.h"
#include "cli/file.h"
#include "cli/interrupt.h"
#include "cli/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *arguments, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "MODEL", "run a network on pictures or tensors", run_command},
    {"fold", "MODEL", "fold batch normalisations, write the model, explain each one", fold_command},
    {"unfold", "FOLDED", "write the model that was folded, bit for bit", unfold_command},
    {"verify", "MODEL [MODEL2]", "compare folded with unfolded, judged in float64", verify_command},
    {"calibrate", "MODEL", "estimate statistics of batch normalisations from data", calibrate_command},
    {"bench", "MODEL [MODEL2]", "measure what folding gains, with its uncertainty", bench_command},
    {"inspect", "MODEL", "show inputs, outputs, operators, sizes and batch normalisations", inspect_command},
    {"ops", "", "list the operators that crease runs", ops_command},
    {"demo", "[NAME]", "write a standard network with its batch normalisations", demo_command},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(void) {
    puts("usage: crease COMMAND [ARGUMENTS]\n\n"
         "Runs ONNX networks on CPU, with every batch normalisation folded or explained.\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-9s %-15s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    puts("\n  crease COMMAND --help says more; crease --version says what was built.\n\n"
         "exit codes: 0 done; 1 a comparison or expectation failed; 2 wrong usage; 3 bad model or input;\n"
         "4 unsupported operator or type; 5 out of memory, limit or failure at run time; 130 interrupted");
}

static int dispatch(int argc, char **argv) {
    if (argc < 2)
        return fail(CLI_USAGE, "no command; see 'crease --help'");
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 && argc > 2)
        return dispatch(3, (char *[]){argv[0], argv[2], "--help", NULL});
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(name, "--version") == 0)
        puts(crease_build_info());
    else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        print_help();
    else
        return fail(CLI_USAGE, "unknown command '%s'; see 'crease --help'", name);
    return CLI_OK;
}

int main(int argc, char **argv) {
    interrupt_install();
    atexit(file_discard);
    return args_finish(dispatch(argc, argv));
}
