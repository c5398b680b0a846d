#include "cli/args.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/file.h"
#include "cli/inputs.h"
#include "cli/message.h"
#include "cli/model_file.h"
#include "cli/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* crease fold: write a model with its batch normalisations folded, and say what became of each. */

typedef struct fold_command_options {
    engine_options engine;
    input_options input; /* for --measure and --max-error */
    const char *model, *output, *report, *only, *keep;
    int expect_folded; /* -1: not asked */
    double max_error;  /* 0: no limit */
    bool json, dry_run, measure, keep_originals;
} fold_command_options;

static int parse(int argc, char **argv, fold_command_options *o) {
    const arg_option options[] = {
        {"output", 'o', ARG_TEXT, &o->output, "OUT.onnx", "the file to write", 0, 0},
        {"dry-run", 'n', ARG_FLAG, &o->dry_run, NULL, "write no model", 0, 0},
        {"report", 0, ARG_TEXT, &o->report, "FILE.json", "the report as JSON; - is standard output", 0, 0},
        {"json", 0, ARG_FLAG, &o->json, NULL, "the same as --report -", 0, 0},
        {"only", 0, ARG_TEXT, &o->only, "GLOB", "fold the nodes with such names alone", 0, 0},
        {"keep", 0, ARG_TEXT, &o->keep, "GLOB", "leave the nodes with such names", 0, 0},
        {"expect-folded", 0, ARG_INT, &o->expect_folded, "N",
         "exit 1 and write nothing if it is another number", 0, 1 << 30},
        {"max-error", 0, ARG_NUMBER, &o->max_error, "E",
         "leave what moves its result by more, relative to the largest magnitude", 0, 1e300},
        {"measure", 0, ARG_FLAG, &o->measure, NULL, "run once and report what each fold does by itself", 0,
         0},
        {"keep-originals", 0, ARG_FLAG, &o->keep_originals, NULL,
         "store what 'crease unfold' needs in the file", 0, 0},
        ASSUME_CONST_ARG(o->engine.assume_const),
        INPUT_ARGS(o->input),
        {0},
    };
    const arg_command command = {
        "fold",
        "MODEL",
        "Fold batch normalisations into their neighbours, write the model as ONNX, and say "
        "what became of each.",
        "--input and what follows it serve --measure and --max-error; without them, random numbers with seed "
        "1 "
        "do.\nA fold's error is measured in float64, from the values that the unfolded network has before "
        "it.\n",
        1,
        1,
        options};
    int code = args_parse(&command, argc, argv, &o->model);
    if (!code && !o->output && !o->dry_run)
        code = fail(CLI_USAGE, "fold needs -o OUT.onnx, or --dry-run");
    if (!code && o->json && o->report && strcmp(o->report, "-") != 0)
        code = fail(CLI_USAGE, "--json and --report %s: the report goes to one place", o->report);
    if (o->json)
        o->report = "-";
    o->measure |= o->max_error > 0 || o->input.inputs.n > 0;
    return code;
}

/* ---- results ---- */

static int stage_report(const fold_command_options *o, const crease_fold_report *report) {
    json j = {0};
    json_begin_object(&j, NULL);
    json_text(&j, "schema", "crease.fold/1");
    json_text(&j, "model", o->model);
    report_write(&j, report);
    json_end_object(&j);
    return json_stage(&j, o->report);
}

/* The report is staged, the model written, then the report renamed: a failure leaves neither. */
static int write_results(const fold_command_options *o, const crease_model *folded,
                         const crease_fold_report *report) {
    bool to_stdout = o->report && strcmp(o->report, "-") == 0;
    int code = o->report && !to_stdout ? stage_report(o, report) : CLI_OK;
    if (!code && !o->dry_run)
        code = model_save(folded, o->output);
    if (!code)
        code = file_commit();
    if (!code && to_stdout)
        code = stage_report(o, report);
    else if (!code)
        report_print(report);
    return code;
}

static int finish(const fold_command_options *o, const crease_model *folded,
                  const crease_fold_report *report) {
    int64_t n = report_count(report).folded;
    if (o->expect_folded < 0 || n == o->expect_folded)
        return write_results(o, folded, report);
    report_print(report);
    return fail(CLI_DIFFERENT, "%s: %" PRId64 " BatchNormalization nodes folded, expected %d", o->model, n,
                o->expect_folded);
}

/* ---- folding ---- */

static int fold(const fold_command_options *o, const crease_model *model, const input_set *inputs,
                const blob *original) {
    crease_model *folded = NULL;
    crease_fold_report *report = NULL;
    crease_fold_options options;
    crease_tensor *views = inputs_views(inputs);
    crease_fold_options_init(&options);
    options.only = o->only;
    options.keep = o->keep;
    options.assume_const = o->engine.assume_const;
    options.inputs = o->measure ? views : NULL;
    options.n_inputs = inputs->n;
    options.max_error = o->max_error;
    options.original = original->data;
    options.original_bytes = original->bytes;
    crease_status status = crease_fold(model, &options, &folded, &report);
    int code = status ? fail_file(o->model, status) : finish(o, folded, report);
    free(views);
    crease_fold_report_free(report);
    crease_model_free(folded);
    return code;
}

static int fold_model(const fold_command_options *o, const crease_model *model) {
    input_set inputs = {NULL, 0};
    blob original = {0};
    int code = o->measure ? inputs_collect(model, &o->input, MISSING_RANDOM, 1, &inputs) : CLI_OK;
    if (!code && o->keep_originals)
        code = file_read(o->model, &original);
    if (!code)
        code = fold(o, model, &inputs, &original);
    free(original.data);
    inputs_free(&inputs);
    return code;
}

int fold_command(int argc, char **argv) {
    fold_command_options o = {.expect_folded = -1};
    crease_model *model = NULL;
    int code = parse(argc, argv, &o);
    if (!code)
        code = engine_load(o.model, &o.engine, &model);
    if (!code)
        code = fold_model(&o, model);
    crease_model_free(model);
    inputs_options_free(&o.input);
    return code;
}
