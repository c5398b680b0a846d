#include "cli/args.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/model_file.h"
#include "cli/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* crease fold: write a model with its batch normalisations folded, and say what became of each. */

typedef struct fold_command_options {
    engine_options engine;
    input_options input; /* for --measure */
    const char *model, *output, *report, *only, *keep;
    int expect_folded; /* -1: not asked */
    bool json, dry_run, measure;
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
        {"measure", 0, ARG_FLAG, &o->measure, NULL, "run once and report each fold's relative difference", 0,
         0},
        ASSUME_CONST_ARG(o->engine.assume_const),
        INPUT_ARGS(o->input),
        {0},
    };
    const arg_command command = {
        "fold",
        "MODEL",
        "Fold batch normalisations into their neighbours, write the model as ONNX, and say "
        "what became of each.",
        "--input and what follows it serve --measure; without them it uses random numbers.\n",
        1,
        1,
        options};
    int code = args_parse(&command, argc, argv, &o->model);
    if (!code && !o->output && !o->dry_run)
        code = fail(CLI_USAGE, "fold needs -o OUT.onnx, or --dry-run");
    if (o->json)
        o->report = "-";
    return code;
}

/* ---- --measure ---- */

/* The tensor that a node of the main graph makes, NULL for other nodes. */
static const char *output_of(const crease_model *model, const char *name) {
    crease_node_info node = {.struct_size = sizeof node};
    for (size_t i = 0; crease_model_node_at(model, i, &node); i++)
        if (strcmp(node.name, name) == 0)
            return node.output;
    return NULL;
}

static double difference_at(const crease_verify_report *verified, const char *output) {
    crease_verify_entry e = {.struct_size = sizeof e};
    for (size_t i = 0; output && crease_verify_report_layer_at(verified, i, &e); i++)
        if (strcmp(e.name, output) == 0)
            return e.max_rel;
    return NAN;
}

/* The largest relative difference in the output of each folded node, on one run. */
static int measure(const fold_command_options *o, crease_model *model, const crease_fold_report *report,
                   double *measured) {
    input_set inputs;
    crease_verify_report *verified = NULL;
    crease_verify_options options;
    crease_options engine = engine_session_options(&o->engine, true);
    crease_verify_options_init(&options);
    options.layers = true;
    options.judge = false;
    int code = inputs_collect(model, &o->input, MISSING_RANDOM, 1, &inputs);
    if (!code) {
        crease_tensor *views = inputs_views(&inputs);
        crease_status status = crease_verify(model, NULL, views, inputs.n, &engine, &options, &verified);
        code = status ? fail_file(o->model, status) : CLI_OK;
        free(views);
    }
    inputs_free(&inputs);
    crease_fold_entry e = {.struct_size = sizeof e};
    for (size_t i = 0; !code && crease_fold_report_entry_at(report, i, &e); i++)
        measured[i] = e.folded ? difference_at(verified, output_of(model, e.name)) : NAN;
    crease_verify_report_free(verified);
    return code;
}

/* ---- results ---- */

static int stage_report(const fold_command_options *o, const crease_fold_report *report,
                        const double *measured) {
    json j = {0};
    json_begin_object(&j, NULL);
    json_text(&j, "schema", "crease.fold/1");
    json_text(&j, "model", o->model);
    report_write(&j, report, measured);
    json_end_object(&j);
    return json_stage(&j, o->report);
}

/* The report is staged, the model written, then the report renamed: a failure leaves neither. */
static int write_results(const fold_command_options *o, const crease_model *folded,
                         const crease_fold_report *report, const double *measured) {
    bool to_stdout = o->report && strcmp(o->report, "-") == 0;
    int code = o->report && !to_stdout ? stage_report(o, report, measured) : CLI_OK;
    if (!code && !o->dry_run)
        code = model_save(folded, o->output);
    if (!code)
        code = file_commit();
    if (!code && to_stdout)
        code = stage_report(o, report, measured);
    else if (!code)
        report_print(report);
    return code;
}

static int finish(const fold_command_options *o, crease_model *model, const crease_model *folded,
                  const crease_fold_report *report) {
    int64_t n = report_count(report).folded;
    if (o->expect_folded >= 0 && n != o->expect_folded) {
        report_print(report);
        return fail(CLI_DIFFERENT, "%s: %" PRId64 " BatchNormalization nodes folded, expected %d", o->model,
                    n, o->expect_folded);
    }
    double *measured =
        o->measure ? memory_take(crease_fold_report_n_entries(report), sizeof *measured) : NULL;
    int code = measured ? measure(o, model, report, measured) : CLI_OK;
    if (!code)
        code = write_results(o, folded, report, measured);
    free(measured);
    return code;
}

int fold_command(int argc, char **argv) {
    fold_command_options o = {.expect_folded = -1};
    crease_model *model, *folded = NULL;
    crease_fold_report *report = NULL;
    int code = parse(argc, argv, &o);
    if (!code)
        code = engine_load(o.model, &o.engine, &model);
    if (code) {
        inputs_options_free(&o.input);
        return code;
    }
    crease_fold_options options;
    crease_fold_options_init(&options);
    options.only = o.only;
    options.keep = o.keep;
    options.assume_const = o.engine.assume_const;
    crease_status status = crease_fold(model, &options, &folded, &report);
    code = status ? fail_file(o.model, status) : finish(&o, model, folded, report);
    crease_fold_report_free(report);
    crease_model_free(folded);
    crease_model_free(model);
    inputs_options_free(&o.input);
    return code;
}
