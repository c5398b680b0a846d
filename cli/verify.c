#include "cli/args.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/inputs.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/outputs.h"
#include "cli/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* crease verify: are two forms of a network the same network? */

typedef struct verify_options {
    engine_options engine;
    input_options input;
    const char *models[2]; /* the second may be NULL */
    uint64_t seed;
    int runs;
    double atol, rtol;
    bool fold, layers, judge, json;
} verify_options;

/* The worst of all runs, for each output or layer. Names are the program's own copies. */
typedef struct findings {
    crease_verify_entry *list;
    size_t n, capacity;
} findings;

typedef struct verification {
    const verify_options *options;
    crease_model *models[2];
    findings outputs, layers, expected;
    bool pass;
} verification;

static int parse(int argc, char **argv, verify_options *o) {
    const arg_option options[] = {
        INPUT_ARGS(o->input),
        {"runs", 'n', ARG_INT, &o->runs, "N", "how often, each time with other random inputs (1)", 1,
         1 << 20},
        {"seed", 0, ARG_SEED, &o->seed, "S", "of the first run's random inputs (1)", 0, 0},
        {"atol", 0, ARG_NUMBER, &o->atol, "A", "absolute tolerance (0)", 0, 1e300},
        {"rtol", 0, ARG_NUMBER, &o->rtol, "R", "tolerance relative to an output's largest magnitude (1e-4)",
         0, 1e300},
        {"layers", 0, ARG_FLAG, &o->layers, NULL,
         "also compare every fold; the first that fails is where the two part", 0, 0},
        {"no-judge", 0, ARG_CLEAR, &o->judge, NULL, "leave out the float64 run", 0, 0},
        {"fold", 0, ARG_FLAG, &o->fold, NULL, "two models: fold both first; else they run as they are", 0, 0},
        {"json", 0, ARG_FLAG, &o->json, NULL, "as JSON on standard output", 0, 0},
        ENGINE_ARGS(o->engine),
        {0},
    };
    const arg_command command = {
        "verify",
        "MODEL [MODEL2]",
        "Run a model unfolded, folded, and unfolded in float64 as the judge; or two models side by side.\n"
        "An output agrees when |a - b| <= atol + rtol * max|b| everywhere and, for a network and its folded "
        "self,\n"
        "when the difference stays within an a-priori bound of rounding; otherwise the exit code is 1.",
        INPUT_HELP
        "Inputs that are not given are random. The expected outputs of a test_data_set folder are "
        "compared too.\n"
        "All errors are relative to the tensor's largest magnitude. 'by folding' compares folded with "
        "unfolded in\n"
        "float64: what folding did, apart from the kernels. docs/verify.md explains the bounds.\n",
        1,
        2,
        options};
    return args_parse(&command, argc, argv, o->models);
}

/* ---- gathering ---- */

static double worse(double a, double b) {
    return isnan(a) || a > b ? a : b;
}

static void merge(crease_verify_entry *into, const crease_verify_entry *e) {
    into->pass &= e->pass;
    into->n += e->n;
    into->max_abs = worse(e->max_abs, into->max_abs);
    into->unfolded_error = worse(e->unfolded_error, into->unfolded_error);
    into->folded_error = worse(e->folded_error, into->folded_error);
    into->bound = worse(e->bound, into->bound);
    into->fold_bound = worse(e->fold_bound, into->fold_bound);
    into->fold_error = worse(e->fold_error, into->fold_error);
    if (e->max_rel >= into->max_rel)
        into->cause = e->cause; /* constant strings */
    into->max_rel = worse(e->max_rel, into->max_rel);
    into->top1 = e->top1 < into->top1 ? e->top1 : into->top1;
}

/* The index-th entry of a run; the first run makes the list. */
static void gather(findings *f, size_t index, const crease_verify_entry *e) {
    if (index < f->n) {
        merge(&f->list[index], e);
        return;
    }
    f->list = memory_grow(f->list, &f->capacity, f->n + 1, sizeof *f->list);
    f->list[f->n] = *e;
    f->list[f->n].name = memory_text(e->name);
    f->list[f->n++].node = e->node ? memory_text(e->node) : NULL;
}

static void free_findings(findings *f) {
    for (size_t i = 0; i < f->n; i++) {
        free((char *)(uintptr_t)f->list[i].name);
        free((char *)(uintptr_t)f->list[i].node);
    }
    free(f->list);
}

/* ---- the expected outputs of a test_data_set folder ---- */

static void compare_expected(const verify_options *o, const crease_tensor *got, const tensor *want,
                             crease_verify_entry *e) {
    double magnitude = 0;
    int64_t n = 0;
    tensor_count(want->rank, want->dims, &n);
    bool same = got->rank == want->rank && got->dtype == want->dtype && tensor_is_number(got->dtype) &&
                (got->rank == 0 || memcmp(got->dims, want->dims, (size_t)got->rank * sizeof *got->dims) == 0);
    e->n = n;
    e->max_abs = same ? 0 : INFINITY;
    for (int64_t i = 0; same && i < n; i++) {
        double x = tensor_get(got->dtype, got->data, i), y = tensor_get(want->dtype, want->data, i);
        double difference = x == y || (isnan(x) && isnan(y)) ? 0 : fabs(x - y);
        e->max_abs = fmax(e->max_abs, isnan(difference) ? INFINITY : difference);
        magnitude = isfinite(y) ? fmax(magnitude, fabs(y)) : magnitude;
    }
    e->max_rel = e->max_abs > 0 ? e->max_abs / (magnitude > 0 ? magnitude : 1) : 0;
    e->pass = e->max_abs <= o->atol + o->rtol * magnitude;
}

static int compare_folder(verification *v, crease_session *session, const char *form, const char *folder) {
    int code = CLI_OK;
    for (size_t i = 0; !code; i++) {
        tensor want = {0};
        crease_tensor got;
        crease_verify_entry e = {
            .struct_size = sizeof e, .unfolded_error = -1, .folded_error = -1, .fold_error = -1, .top1 = -1};
        char *path = memory_format("%s/output_%zu.pb", folder, i), *name = NULL;
        bool there = access(path, F_OK) == 0;
        if (there)
            code = inputs_read_tensor(path, &want);
        if (there && !code)
            code = outputs_get(session, i, &got);
        if (there && !code) {
            compare_expected(v->options, &got, &want, &e);
            e.name = name = memory_format("%s (%s)", got.name, form);
            gather(&v->expected, v->expected.n, &e);
            v->pass &= e.pass;
        }
        free(name);
        free(path);
        tensor_free(&want);
        if (!there)
            break;
    }
    return code;
}

/* One form of the network against the folder. */
static int check_form(verification *v, int which, bool fold, const char *form, const input_set *inputs,
                      const char *folder) {
    const char *path = v->options->models[which];
    crease_session *session = NULL;
    int code = engine_session(path, v->models[which], &v->options->engine, fold, &session);
    if (!code)
        code = inputs_bind(inputs, session);
    if (!code) {
        crease_status status = interrupt_run(session);
        code = status ? fail_file(path, status) : compare_folder(v, session, form, folder);
    }
    crease_session_free(session);
    return code;
}

static int check_folder(verification *v, const input_set *inputs) {
    const char *folder = inputs_folder(&v->options->input);
    if (!folder)
        return CLI_OK;
    if (v->models[1]) {
        int code = check_form(v, 0, v->options->fold, "expected, a", inputs, folder);
        return code ? code : check_form(v, 1, v->options->fold, "expected, b", inputs, folder);
    }
    int code = check_form(v, 0, false, "expected, unfolded", inputs, folder);
    return code ? code : check_form(v, 0, true, "expected, folded", inputs, folder);
}

/* ---- one run ---- */

static int compare_forms(verification *v, const input_set *inputs) {
    const verify_options *o = v->options;
    crease_options engine = engine_session_options(&o->engine, !v->models[1] || o->fold);
    crease_verify_options options;
    crease_verify_report *report = NULL;
    crease_verify_entry e = {.struct_size = sizeof e};
    crease_verify_options_init(&options);
    options.atol = o->atol;
    options.rtol = o->rtol;
    options.layers = o->layers;
    options.judge = o->judge;
    crease_tensor *views = inputs_views(inputs);
    crease_status status =
        crease_verify(v->models[0], v->models[1], views, inputs->n, &engine, &options, &report);
    free(views);
    if (status == CREASE_ERROR_ARGUMENT)
        status = CREASE_ERROR_INPUT; /* an input that the model does not have */
    if (status && o->models[1] && status != CREASE_ERROR_CANCELLED)
        return fail(code_of_status(status), "%s beside %s: %s", o->models[0], o->models[1],
                    crease_error_message());
    if (status)
        return fail_file(o->models[0], status);
    v->pass &= crease_verify_report_pass(report);
    for (size_t i = 0; crease_verify_report_output_at(report, i, &e); i++)
        gather(&v->outputs, i, &e);
    for (size_t i = 0; crease_verify_report_layer_at(report, i, &e); i++)
        gather(&v->layers, i, &e);
    crease_verify_report_free(report);
    return CLI_OK;
}

static int run_once(verification *v, int run) {
    const verify_options *o = v->options;
    input_set inputs;
    int code = inputs_collect(v->models[0], &o->input, run ? MISSING_RANDOM_SILENT : MISSING_RANDOM,
                              o->seed + (uint64_t)run, &inputs);
    if (!code)
        code = compare_forms(v, &inputs);
    if (!code && run == 0)
        code = check_folder(v, &inputs);
    inputs_free(&inputs);
    return code;
}

/* ---- results ---- */

static void add_error(table *out, double error) {
    if (error < 0)
        table_cell(out, "-");
    else
        table_cell(out, "%.2e", error);
}

static void print_findings(const findings *f, const char *what, bool two_models) {
    const char *headers[] = {what,
                             ">elements",
                             ">difference",
                             ">bound",
                             two_models ? ">a to float64" : ">unfolded to float64",
                             two_models ? ">b to float64" : ">folded to float64",
                             two_models ? ">float64 a to b" : ">by folding",
                             ">bound",
                             "mostly",
                             "top-1",
                             "",
                             NULL};
    table out;
    if (f->n == 0)
        return;
    table_begin(&out, headers);
    for (size_t i = 0; i < f->n; i++) {
        const crease_verify_entry *e = &f->list[i];
        table_cell(&out, "%s", e->node ? e->node : e->name);
        table_cell(&out, "%" PRId64, e->n);
        table_cell(&out, "%.2e", e->max_rel);
        add_error(&out, e->bound > 0 ? e->bound : -1);
        add_error(&out, e->unfolded_error);
        add_error(&out, e->folded_error);
        add_error(&out, e->fold_error);
        add_error(&out, e->fold_bound > 0 ? e->fold_bound : -1);
        table_cell(&out, "%s", e->cause ? e->cause : "-");
        table_cell(&out, "%s", e->top1 < 0 ? "-" : e->top1 ? "same" : "changed");
        table_cell(&out, "%s", e->pass ? "ok" : "FAIL");
    }
    table_print(&out, 0);
}

static double largest(const findings *f) {
    double rel = 0;
    for (size_t i = 0; i < f->n; i++)
        rel = worse(f->list[i].max_rel, rel);
    return rel;
}

static const crease_verify_entry *first_failure(const findings *f) {
    for (size_t i = 0; i < f->n; i++)
        if (!f->list[i].pass)
            return &f->list[i];
    return NULL;
}

static void print_all(const verification *v) {
    bool two = v->models[1] != NULL;
    print_findings(&v->layers, "layer", two);
    print_findings(&v->outputs, "output", two);
    print_findings(&v->expected, "expected output", two);
    const crease_verify_entry *first = first_failure(&v->layers); /* where the two part */
    if (first)
        printf("first to differ: %s, at '%s'\n", first->node ? first->node : first->name, first->name);
    printf("%s: %s and %s %s, largest relative difference %.2e\n", table_verdict(v->pass),
           two ? v->options->models[0] : "folded", two ? v->options->models[1] : "unfolded",
           v->pass ? "agree" : "differ", fmax(largest(&v->outputs), largest(&v->expected)));
}

static void write_findings(json *j, const char *key, const findings *f) {
    json_begin_array(j, key);
    for (size_t i = 0; i < f->n; i++) {
        const crease_verify_entry *e = &f->list[i];
        json_begin_object(j, NULL);
        json_text(j, "name", e->name);
        if (e->node)
            json_text(j, "node", e->node);
        json_boolean(j, "pass", e->pass);
        json_integer(j, "n", e->n);
        json_number(j, "max_abs", e->max_abs);
        json_number(j, "max_rel", e->max_rel);
        json_number(j, "bound", e->bound > 0 ? e->bound : NAN);
        json_number(j, "unfolded_error", e->unfolded_error < 0 ? NAN : e->unfolded_error);
        json_number(j, "folded_error", e->folded_error < 0 ? NAN : e->folded_error);
        json_number(j, "fold_error", e->fold_error < 0 ? NAN : e->fold_error);
        json_number(j, "fold_bound", e->fold_bound > 0 ? e->fold_bound : NAN);
        json_text(j, "cause", e->cause);
        if (e->top1 < 0)
            json_null(j, "top1");
        else
            json_boolean(j, "top1", e->top1 == 1);
        json_end_object(j);
    }
    json_end_array(j);
}

static int write_all(const verification *v) {
    const verify_options *o = v->options;
    json j = {0};
    json_begin_object(&j, NULL);
    json_text(&j, "schema", "crease.verify/1");
    json_text(&j, "model", o->models[0]);
    json_text(&j, "model2", o->models[1]);
    json_boolean(&j, "pass", v->pass);
    json_integer(&j, "runs", o->runs);
    json_number(&j, "atol", o->atol);
    json_number(&j, "rtol", o->rtol);
    const crease_verify_entry *first = first_failure(&v->layers); /* where the two part */
    json_text(&j, "first_divergence", first ? first->name : NULL);
    write_findings(&j, "outputs", &v->outputs);
    write_findings(&j, "layers", &v->layers);
    write_findings(&j, "expected", &v->expected);
    json_end_object(&j);
    return json_write(&j, "-");
}

/* What failed, by which measure. */
static int fail_different(const verification *v) {
    const verify_options *o = v->options;
    const crease_verify_entry *e = first_failure(&v->outputs);
    e = e ? e : first_failure(&v->expected);
    e = e ? e : first_failure(&v->layers);
    if (e->fold_bound > 0 && e->fold_error > e->fold_bound)
        return fail(CLI_DIFFERENT,
                    "%s: '%.200s': folding moves it by %.3g of its largest magnitude, rounding explains %.3g",
                    o->models[0], e->name, e->fold_error, e->fold_bound);
    if (e->bound > 0 && e->max_rel > e->bound)
        return fail(CLI_DIFFERENT,
                    "%s: '%.200s' differs by %.3g of its largest magnitude, rounding explains %.3g",
                    o->models[0], e->name, e->max_rel, e->bound);
    return fail(CLI_DIFFERENT,
                "%s: '%.200s' differs by %.3g of its largest magnitude, allowed are %g and %g absolute",
                o->models[0], e->name, e->max_rel, o->rtol, o->atol);
}

static int verify(verification *v) {
    const verify_options *o = v->options;
    int code = engine_load(o->models[0], &o->engine, &v->models[0]);
    if (!code && o->models[1])
        code = engine_load(o->models[1], &o->engine, &v->models[1]);
    for (int run = 0; run < o->runs && !code; run++)
        code = run_once(v, run);
    if (code)
        return code;
    if (o->json)
        code = write_all(v);
    else
        print_all(v);
    return code || v->pass ? code : fail_different(v);
}

int verify_command(int argc, char **argv) {
    verify_options o = {.seed = 1, .runs = 1, .rtol = 1e-4, .judge = true};
    verification v = {.options = &o, .pass = true};
    int code = parse(argc, argv, &o);
    if (!code)
        code = verify(&v);
    free_findings(&v.outputs);
    free_findings(&v.layers);
    free_findings(&v.expected);
    crease_model_free(v.models[0]);
    crease_model_free(v.models[1]);
    inputs_options_free(&o.input);
    return code;
}
