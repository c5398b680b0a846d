#include "cli/args.h"
#include "cli/batches.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/message.h"
#include "cli/model_file.h"
#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* crease calibrate: the statistics of batch normalisations from the user's own data. */

typedef struct calibrate_options {
    engine_options engine;
    input_options input;
    const char *model, *output;
    double momentum; /* below 0: each node's own */
    int batch;       /* 0: not said */
    bool cumulative, fold;
} calibrate_options;

static int parse(int argc, char **argv, calibrate_options *o) {
    const arg_option options[] = {
        {"output", 'o', ARG_TEXT, &o->output, "OUT.onnx", "the file to write", 0, 0},
        {"batch", 'b', ARG_INT, &o->batch, "N", "samples in a batch (32, or what the model asks for)", 1,
         1 << 20},
        {"momentum", 0, ARG_NUMBER, &o->momentum, "M",
         "running = running M + batch (1 - M); each node's own by default", 0, 1},
        {"cumulative", 0, ARG_FLAG, &o->cumulative, NULL, "the plain average over all batches instead", 0, 0},
        {"fold", 0, ARG_FLAG, &o->fold, NULL, "write the calibrated model folded; unfolded by default", 0, 0},
        {"threads", 'j', ARG_INT, &o->engine.threads, "N", "threads; 0, the default: one for each core", 0,
         1024},
        ASSUME_CONST_ARG(o->engine.assume_const),
        INPUT_ARGS(o->input),
        {0},
    };
    const arg_command command = {
        "calibrate",
        "MODEL",
        "Estimate mean and variance of every BatchNormalization anew, from data: a forward pass that "
        "normalises by\nthe mean and the biased variance of each batch and accumulates them.",
        INPUT_HELP "Here --input may be repeated for more data: a model with K inputs takes K at a time. A "
                   "folder without "
                   "an\ninput_0.pb stands for the files in it, in the order of their names. All samples are "
                   "joined along the "
                   "first\naxis and cut into batches; the last one may be smaller.\n",
        1,
        1,
        options};
    int code = args_parse(&command, argc, argv, &o->model);
    if (!code && !o->output)
        code = fail(CLI_USAGE, "calibrate needs -o OUT.onnx");
    if (!code && o->cumulative && o->momentum >= 0)
        code = fail(CLI_USAGE, "--momentum and --cumulative exclude each other");
    return code ? code : o->input.inputs.n ? CLI_OK : fail(CLI_USAGE, "calibrate needs data: --input SPEC");
}

/* ---- running ---- */

/* The batch size that the model is made for; 0: any. */
static int64_t fixed_batch(const crease_model *model) {
    crease_value_info info = {.struct_size = sizeof info};
    return crease_model_input_at(model, 0, &info) && info.rank > 0 && info.dims[0] > 0 ? info.dims[0] : 0;
}

static int choose_size(const calibrate_options *o, const crease_model *model, int64_t *size) {
    int64_t fixed = fixed_batch(model);
    *size = o->batch ? o->batch : fixed ? fixed : 32;
    if (fixed && *size != fixed)
        return fail(CLI_USAGE, "%s takes batches of %" PRId64 " only, --batch says %d", o->model, fixed,
                    o->batch);
    return CLI_OK;
}

static void show_progress(int64_t batches, int64_t samples) {
    if (!note_is_quiet() && isatty(STDERR_FILENO))
        fprintf(stderr, "\rbatch %" PRId64 ", %" PRId64 " samples", batches, samples);
}

static void end_progress(void) {
    if (!note_is_quiet() && isatty(STDERR_FILENO))
        fputs("\r                                        \r", stderr);
}

/* What was seen. */
typedef struct tally {
    int64_t batches, samples;
} tally;

static int add_batch(const calibrate_options *o, crease_calibration *calibration, const input_set *batch) {
    crease_tensor *views = inputs_views(batch);
    crease_status status = crease_calibration_add(calibration, views, batch->n);
    free(views);
    return status ? fail_file(o->model, status) : CLI_OK;
}

static int add_all(const calibrate_options *o, crease_calibration *calibration, batch_source *source,
                   int64_t size, bool whole, tally *seen) {
    int code = CLI_OK;
    for (int64_t n = 1; !code && n;) {
        input_set batch;
        code = batches_next(source, size, &batch, &n);
        bool used = !code && n && (n == size || !whole);
        if (used)
            code = add_batch(o, calibration, &batch);
        else if (!code && n)
            note("the last %" PRId64 " samples do not fill a batch of %" PRId64 " and are left out", n, size);
        inputs_free(&batch);
        seen->batches += used;
        seen->samples += used ? n : 0;
        show_progress(seen->batches, seen->samples);
    }
    end_progress();
    return code;
}

/* ---- results ---- */

static int save_folded(const calibrate_options *o, const crease_model *calibrated) {
    crease_model *folded;
    crease_fold_report *report;
    crease_status status = crease_fold(calibrated, NULL, &folded, &report);
    if (status)
        return fail_file(o->model, status);
    int code = model_save(folded, o->output);
    if (!code)
        report_print(report);
    crease_fold_report_free(report);
    crease_model_free(folded);
    return code;
}

static int save(const calibrate_options *o, const crease_calibration *calibration, const tally *seen) {
    crease_model *calibrated;
    crease_model_info info = {.struct_size = sizeof info};
    if (!seen->batches)
        return fail(CLI_INPUT, "%s: the data do not fill one batch", o->model);
    crease_status status = crease_calibration_finish(calibration, &calibrated);
    if (status)
        return fail_file(o->model, status);
    int code = o->fold ? save_folded(o, calibrated) : model_save(calibrated, o->output);
    crease_model_get_info(calibrated, &info);
    if (!code)
        printf("%d BatchNormalization nodes calibrated on %" PRId64 " samples in %" PRId64
               " batches; written %s\n",
               info.n_batch_norms, seen->samples, seen->batches, o->fold ? "folded" : "unfolded");
    crease_model_free(calibrated);
    return code;
}

static int calibrate(const calibrate_options *o, crease_model *model) {
    crease_calibration *calibration = NULL;
    crease_calibrate_options options;
    batch_source source = {0};
    tally seen = {0, 0};
    int64_t size = 0;
    crease_calibrate_options_init(&options);
    options.momentum = o->momentum;
    options.cumulative = o->cumulative;
    options.threads = o->engine.threads;
    int code = choose_size(o, model, &size);
    if (!code) {
        crease_status status = crease_calibration_create(model, &options, &calibration);
        if (status == CREASE_ERROR_ARGUMENT)
            status = CREASE_ERROR_MODEL; /* without batch normalisations: the wrong model, not a wrong call */
        code = status ? fail_file(o->model, status) : batches_open(model, &o->input, &source);
    }
    if (!code)
        code = add_all(o, calibration, &source, size, fixed_batch(model) > 0, &seen);
    if (!code)
        code = save(o, calibration, &seen);
    batches_close(&source);
    crease_calibration_free(calibration);
    return code;
}

int calibrate_command(int argc, char **argv) {
    calibrate_options o = {.momentum = -1};
    crease_model *model;
    int code = parse(argc, argv, &o);
    if (!code)
        code = engine_load(o.model, &o.engine, &model);
    if (!code) {
        code = calibrate(&o, model);
        crease_model_free(model);
    }
    inputs_options_free(&o.input);
    return code;
}
