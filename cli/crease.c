#include "cli/cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool quiet;
static crease_session *volatile interruptible;
static volatile sig_atomic_t interrupted;

/* ---- messages ---- */

int fail(int code, const char *format, ...) {
    char text[1024], line[513];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    size_t at = (size_t)snprintf(line, sizeof line, "crease: ");
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool control = *c < 0x20 || *c == 0x7f;
        if (at + (control ? 4 : 1) + 1 >= sizeof line)
            break;
        if (control)
            at += (size_t)snprintf(line + at, 5, "\\x%02x", *c);
        else
            line[at++] = (char)*c;
    }
    line[at++] = '\n';
    fwrite(line, 1, at, stderr);
    return code;
}

int fail_status(crease_status status, const char *who) {
    static const int codes[] = {
        [CREASE_OK] = EXIT_OK,
        [CREASE_ERROR_ARGUMENT] = EXIT_USAGE,
        [CREASE_ERROR_FILE] = EXIT_BAD_INPUT,
        [CREASE_ERROR_MODEL] = EXIT_BAD_INPUT,
        [CREASE_ERROR_INPUT] = EXIT_BAD_INPUT,
        [CREASE_ERROR_UNSUPPORTED] = EXIT_UNSUPPORTED,
        [CREASE_ERROR_MEMORY] = EXIT_RUNTIME,
        [CREASE_ERROR_RUN] = EXIT_RUNTIME,
        [CREASE_ERROR_CANCELLED] = EXIT_INTERRUPTED,
    };
    return fail(codes[status], "%s%s%s", who ? who : "", who ? ": " : "", crease_error_message());
}

void say(const char *format, ...) {
    va_list list;
    if (quiet)
        return;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
}

/* ---- interruption ---- */

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
    if (interruptible)
        crease_session_cancel(interruptible);
    else
        _Exit(EXIT_INTERRUPTED);
}

void set_interruptible(crease_session *session) {
    interruptible = session;
}

/* ---- options ---- */

enum kind { FLAG, TEXT, INTEGER, NUMBER, LIST };

#define AT(field) offsetof(arguments, field)

static const struct option {
    const char *name, *commands; /* space-separated */
    enum kind kind;
    size_t offset, offset_n;
    const char *help;
} table[] = {
    {"--input", "run verify bench", LIST, AT(inputs), AT(n_inputs),
     "[NAME=]SPEC: .npy, .npz member, TensorProto .pb, PNG, JPEG, "
     "test_data_set folder, random[:SEED], zeros, ones, raw:FILE"},
    {"--shape", "run verify bench", LIST, AT(shapes), AT(n_shapes), "NAME=1x3x224x224: dynamic dimensions"},
    {"--output-dir", "run", TEXT, AT(output_dir), 0, "DIR: write output_N.npy (or .pb) there"},
    {"-o", "fold demo", TEXT, AT(output), 0, "FILE: where to write the model"},
    {"--no-fold", "run", FLAG, AT(no_fold), 0, "keep batch normalisations as one affine pass each"},
    {"--threads", "run verify bench", INTEGER, AT(threads), 0, "N: 0 is one for each core"},
    {"--exact", "run verify bench", FLAG, AT(exact), 0, "convolutions by direct summation only"},
    {"--plain-layout", "run verify bench", FLAG, AT(plain_layout), 0, "the BLAS-backed executor alone"},
    {"--algorithm", "run verify bench", TEXT, AT(algorithm), 0,
     "NAME: force a convolution algorithm where it accepts"},
    {"--assume-const", "run fold verify bench inspect", FLAG, AT(assume_const), 0,
     "overridable initializers are constants"},
    {"--top", "run", INTEGER, AT(top), 0, "K: print the K largest classes of the first output"},
    {"--labels", "run", TEXT, AT(labels), 0, "FILE: one class name a line"},
    {"--profile", "run", TEXT, AT(profile), 0, "FILE.json: time of each step"},
    {"--preset", "run verify bench", TEXT, AT(preset), 0,
     "imagenet, unit (default) or raw: how pixels become numbers"},
    {"--layout", "run verify bench", TEXT, AT(layout), 0, "NCHW or NHWC for pictures"},
    {"--mean", "run verify bench", TEXT, AT(mean), 0, "a,b,c subtracted after scaling"},
    {"--std", "run verify bench", TEXT, AT(std), 0, "a,b,c divided by after that"},
    {"--scale", "run verify bench", NUMBER, AT(scale), 0, "X: multiply pixels by X (default 1/255)"},
    {"--report", "fold", TEXT, AT(report), 0, "FILE or -: the report as JSON"},
    {"--only", "fold", TEXT, AT(only), 0, "GLOB: fold these nodes alone"},
    {"--keep", "fold", TEXT, AT(keep), 0, "GLOB: leave these nodes"},
    {"--dry-run", "fold", FLAG, AT(dry_run), 0, "write nothing"},
    {"--expect-folded", "fold", INTEGER, AT(expect_folded), 0, "N: exit 1 unless N are folded"},
    {"--runs", "verify bench", INTEGER, AT(runs), 0, "N: how often"},
    {"--time", "bench", NUMBER, AT(seconds), 0, "S: seconds to measure"},
    {"--seed", "verify bench demo", INTEGER, AT(seed), 0, "S: of random data"},
    {"--atol", "verify", NUMBER, AT(atol), 0, "A: absolute tolerance (0)"},
    {"--rtol", "verify", NUMBER, AT(rtol), 0, "R: relative to each output's largest magnitude (1e-4)"},
    {"--layers", "verify bench", FLAG, AT(layers), 0, "each layer as well"},
    {"--nodes", "inspect", FLAG, AT(nodes), 0, "list every node"},
    {"--markdown", "ops", FLAG, AT(markdown), 0, "a table for documentation"},
    {"--max-memory", "run bench", INTEGER, AT(max_memory_mib), 0, "MiB: limit of a session"},
    {"--json", "bench", TEXT, AT(json), 0, "FILE or -: the result as JSON"},
};

static bool has_word(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == 0 || at[n] == ' '))
            return true;
    return false;
}

static int store(const struct option *o, const char *command, const char *value, arguments *a) {
    char *field = (char *)a + o->offset, *end;
    switch (o->kind) {
    case TEXT:
        *(const char **)(void *)field = value;
        return EXIT_OK;
    case INTEGER:
        *(int64_t *)(void *)field = strtoll(value, &end, 10);
        if (!*value || *end || *(int64_t *)(void *)field < 0)
            return fail(EXIT_USAGE, "%s %s: '%s' is not a number of 0 or more", command, o->name, value);
        return EXIT_OK;
    case NUMBER:
        *(double *)(void *)field = strtod(value, &end);
        if (!*value || *end)
            return fail(EXIT_USAGE, "%s %s: '%s' is not a number", command, o->name, value);
        return EXIT_OK;
    case LIST: {
        int *n = (int *)(void *)((char *)a + o->offset_n);
        if (*n == MAX_LIST)
            return fail(EXIT_USAGE, "%s %s: at most %d are possible", command, o->name, MAX_LIST);
        ((const char **)(void *)field)[(*n)++] = value;
        return EXIT_OK;
    }
    default:
        *(bool *)(void *)field = true;
        return EXIT_OK;
    }
}

static const struct option *find_option(const char *name, const char *command) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0 && has_word(table[i].commands, command))
            return &table[i];
    return NULL;
}

/* --json takes a place in bench, and none elsewhere: there it prints to stdout. */
static int parse_option(int argc, char **argv, int *i, const char *command, arguments *a) {
    char name[64];
    const char *text = argv[*i], *equals = strncmp(text, "--", 2) == 0 ? strchr(text, '=') : NULL;
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), text);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        a->help = true;
        return EXIT_OK;
    }
    if (strcmp(name, "-q") == 0 || strcmp(name, "--quiet") == 0) {
        a->quiet = true;
        return EXIT_OK;
    }
    const struct option *o = find_option(name, command);
    if (!o && strcmp(name, "--json") == 0 && has_word("fold verify inspect ops", command)) {
        a->json = "-";
        return EXIT_OK;
    }
    if (!o)
        return fail(EXIT_USAGE, "%s: unknown option '%s'; see crease %s --help", command, text, command);
    if (o->kind == FLAG)
        return store(o, command, NULL, a);
    if (!equals && *i + 1 >= argc)
        return fail(EXIT_USAGE, "%s %s: a value is missing", command, o->name);
    return store(o, command, equals ? equals + 1 : argv[++*i], a);
}

int parse_arguments(int argc, char **argv, const char *command, arguments *a) {
    *a = (arguments){.rtol = 1e-4, .expect_folded = -1, .scale = 1.0 / 255, .seed = 1, .runs = 0};
    bool only_positional = false;
    for (int i = 0; i < argc; i++) {
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            only_positional = true;
        } else if (!only_positional && argv[i][0] == '-' && argv[i][1]) {
            int code = parse_option(argc, argv, &i, command, a);
            if (code)
                return code;
        } else if (a->n_positional == 2) {
            return fail(EXIT_USAGE, "%s: unexpected argument '%s'", command, argv[i]);
        } else {
            a->positional[a->n_positional++] = argv[i];
        }
    }
    quiet = a->quiet;
    return EXIT_OK;
}

crease_options options_of(const arguments *a) {
    crease_options options;
    crease_options_init(&options);
    options.threads = (int)(a->threads > 1024 ? 1024 : a->threads);
    options.fold = !a->no_fold;
    options.exact = a->exact;
    options.assume_const = a->assume_const;
    options.plain_layout = a->plain_layout;
    options.convolution = a->algorithm;
    options.memory_limit_bytes = (size_t)a->max_memory_mib << 20;
    return options;
}

int load_model(const arguments *a, int index, crease_model **model) {
    crease_options options;
    crease_options_init(&options);
    options.assume_const = a->assume_const;
    crease_status status = crease_model_load_file(a->positional[index], &options, model);
    return status ? fail_status(status, a->positional[index]) : EXIT_OK;
}

/* ---- dispatch ---- */

static const struct command {
    const char *name, *usage, *help;
    int least, most; /* positional arguments */
    int (*run)(const arguments *a);
} commands[] = {
    {"run", "MODEL", "run a network once", 1, 1, command_run},
    {"fold", "MODEL", "fold batch normalisations and write the model", 1, 1, command_fold},
    {"verify", "MODEL [MODEL2]", "compare folded with unfolded, and both with float64", 1, 2, command_verify},
    {"bench", "MODEL [MODEL2]", "measure what folding buys", 1, 2, command_bench},
    {"inspect", "MODEL", "inputs, outputs, operators, and what each batch normalisation becomes", 1, 1,
     command_inspect},
    {"ops", "", "the operators that crease runs", 0, 0, command_ops},
    {"demo", "[NAME]", "write a standard network; without a name, list them", 0, 1, command_demo},
};

static void print_command_help(const struct command *c) {
    printf("usage: crease %s %s [options]\n%s\n\n", c->name, c->usage, c->help);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (has_word(table[i].commands, c->name))
            printf("  %-16s %s\n", table[i].name, table[i].help);
    if (has_word("fold verify inspect ops", c->name))
        printf("  %-16s %s\n", "--json", "the result as JSON on stdout");
    printf("  %-16s %s\n", "-q", "no messages");
}

static void print_help(void) {
    printf("usage: crease COMMAND ...\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("  %-8s %-15s %s\n", commands[i].name, commands[i].usage, commands[i].help);
    printf("\ncrease COMMAND --help lists its options; crease --version the build.\n");
}

static int dispatch(int argc, char **argv) {
    const struct command *c = NULL;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            c = &commands[i];
    if (!c)
        return fail(EXIT_USAGE, "unknown command '%s'; see crease --help", argv[1]);
    arguments a;
    int code = parse_arguments(argc - 2, argv + 2, c->name, &a);
    if (code)
        return code;
    if (a.help) {
        print_command_help(c);
        return EXIT_OK;
    }
    if (a.n_positional < c->least || a.n_positional > c->most)
        return fail(EXIT_USAGE, "%s: expected %s; see crease %s --help", c->name,
                    c->usage[0] ? c->usage : "no argument", c->name);
    code = c->run(&a);
    return interrupted ? EXIT_INTERRUPTED : code;
}

int main(int argc, char **argv) {
    signal(SIGINT, on_interrupt);
    if (argc < 2)
        return fail(EXIT_USAGE, "a command is missing; see crease --help");
    if (strcmp(argv[1], "--version") == 0) {
        printf("%s\n", crease_build_info());
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help();
        return EXIT_OK;
    }
    int code = dispatch(argc, argv);
    if (fflush(stdout) || ferror(stdout))
        return fail(EXIT_RUNTIME, "standard output cannot be written");
    return code;
}
