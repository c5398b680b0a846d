#include "cli/args.h"
#include "cli/classes.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/file.h"
#include "cli/inputs.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/outputs.h"
#include "cli/steps.h"

#include <unistd.h>

/* crease run: one run; outputs to files, classes by name, or a summary. */

typedef struct run_options {
    engine_options engine;
    input_options input;
    const char *model, *output_dir, *labels, *profile;
    int top;
    bool fold;
} run_options;

static int parse(int argc, char **argv, run_options *o) {
    const arg_option options[] = {
        INPUT_ARGS(o->input),
        {"output-dir", 'd', ARG_TEXT, &o->output_dir, "DIR", "write output_0.npy, output_1.npy, ... there", 0,
         0},
        {"no-fold", 0, ARG_CLEAR, &o->fold, NULL, "keep batch normalisations, as one pass each", 0, 0},
        {"top", 'k', ARG_INT, &o->top, "K", "print the K best classes of the first output", 1, 1 << 20},
        {"labels", 0, ARG_TEXT, &o->labels, "FILE", "names of the classes, one a line", 0, 0},
        {"profile", 0, ARG_TEXT, &o->profile, "FILE.json", "time of each step; - is standard output", 0, 0},
        ENGINE_ARGS(o->engine),
        {0},
    };
    const arg_command command = {
        "run",
        "MODEL",
        "Run a network once.",
        INPUT_HELP "Types that .npy lacks are "
                   "written as TensorProto output_N.pb. Without --output-dir and --top, a\nsummary of "
                   "each output is printed.\n",
        1,
        1,
        options};
    int code = args_parse(&command, argc, argv, &o->model);
    if (o->labels && !o->top)
        o->top = 5;
    return code;
}

static int print_classes(const run_options *o, crease_session *session) {
    label_list labels = {0};
    crease_tensor scores;
    int code = o->labels ? labels_read(o->labels, &labels) : CLI_OK;
    if (!code)
        code = outputs_get(session, 0, &scores);
    if (!code)
        code = classes_print(&scores, o->top, &labels);
    labels_free(&labels);
    return code;
}

static int stage_profile(const run_options *o, crease_session *session) {
    json j = {0};
    json_begin_object(&j, NULL);
    json_text(&j, "schema", "crease.profile/1");
    json_text(&j, "model", o->model);
    json_integer(&j, "threads", engine_threads(&o->engine));
    steps_write(&j, "steps", session, NULL);
    json_end_object(&j);
    return json_stage(&j, o->profile);
}

/* Everything is computed by now: write all files, or none. */
static int write_files(const run_options *o, crease_session *session) {
    bool made = false;
    int code = o->output_dir ? file_make_folder(o->output_dir, &made) : CLI_OK;
    if (!code && o->output_dir)
        code = outputs_stage(session, o->output_dir);
    if (!code && o->profile)
        code = stage_profile(o, session);
    if (!code)
        code = file_commit();
    if (code) {
        file_discard();
        if (made)
            rmdir(o->output_dir);
    }
    return code;
}

static int run_session(const run_options *o, crease_session *session, const input_set *inputs) {
    int code = inputs_bind(inputs, session);
    if (code)
        return code;
    crease_session_profile(session, o->profile != NULL);
    crease_status status = interrupt_run(session);
    if (status)
        return fail_file(o->model, status);
    code = write_files(o, session);
    if (!code && o->top)
        code = print_classes(o, session);
    else if (!code && !o->output_dir)
        code = outputs_summarise(session);
    return code;
}

/* Takes the model over. */
static int run_model(const run_options *o, crease_model *model) {
    input_set inputs = {0};
    crease_session *session = NULL;
    crease_status status = crease_model_check(model);
    int code = status ? fail_file(o->model, status) : CLI_OK;
    if (!code)
        code = inputs_collect(model, &o->input, MISSING_FAILS, 1, &inputs);
    if (!code)
        code = engine_session_of(o->model, &model, &o->engine, o->fold, &session);
    if (!code)
        code = run_session(o, session, &inputs);
    crease_session_free(session);
    crease_model_free(model);
    inputs_free(&inputs);
    return code;
}

int run_command(int argc, char **argv) {
    run_options o = {.fold = true};
    crease_model *model;
    int code = parse(argc, argv, &o);
    if (!code)
        code = engine_load(o.model, &o.engine, &model);
    if (!code)
        code = run_model(&o, model);
    inputs_options_free(&o.input);
    return code;
}
