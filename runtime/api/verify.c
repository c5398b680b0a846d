#include "runtime/api/judge.h"
#include "runtime/api/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Three runs on the same inputs (unfolded, folded, unfolded in float64) and what they differ by. */

struct crease_verify_report {
    cr_heap *heap;
    cr_arena arena;
    crease_verify_entry *outputs, *layers;
    size_t n_outputs, n_layers;
    bool pass;
};

void crease_verify_options_init(crease_verify_options *options) {
    *options = (crease_verify_options){.struct_size = sizeof *options, .rtol = 1e-4, .judge = true};
}

typedef struct runs {
    crease_session *a, *b, *judge; /* judge NULL: none */
    const crease_verify_options *options;
    crease_verify_report *report;
} runs;

/* ---- comparing two tensors ---- */

static bool is_number(crease_dtype dtype) {
    return cr_dtype_is_float(dtype);
}

static double element(const crease_tensor *t, int64_t i) {
    if (cr_dtype_is_float(t->dtype))
        return cr_load_float(t->dtype, t->data, i);
    return (double)((const unsigned char *)t->data)[i];
}

static int64_t count(const crease_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

/* |x - y|, where equal infinities and two NaNs differ by nothing and anything else non-finite by infinity. */
static double distance(double x, double y) {
    if (x == y || (isnan(x) && isnan(y)))
        return 0;
    double d = fabs(x - y);
    return isnan(d) ? INFINITY : d;
}

static void largest(const crease_tensor *a, const crease_tensor *b, double *max_abs, double *magnitude) {
    *max_abs = *magnitude = 0;
    for (int64_t i = 0, n = count(a); i < n; i++) {
        double x = element(a, i), y = element(b, i);
        *max_abs = fmax(*max_abs, distance(x, y));
        if (isfinite(y))
            *magnitude = fmax(*magnitude, fabs(y));
    }
}

static double relative(const crease_tensor *a, const crease_tensor *b) {
    double d, m;
    largest(a, b, &d, &m);
    return d == 0 ? 0 : d / (m > 0 ? m : 1);
}

/* Same arg max along the last axis in every row of a [rows, classes] output. */
static int same_top1(const crease_tensor *a, const crease_tensor *b) {
    if (a->rank != 2 || a->dims[1] < 2 || !is_number(a->dtype))
        return -1;
    for (int64_t row = 0; row < a->dims[0]; row++) {
        int64_t classes = a->dims[1], best_a = 0, best_b = 0;
        for (int64_t c = 1; c < classes; c++) {
            best_a = element(a, row * classes + c) > element(a, row * classes + best_a) ? c : best_a;
            best_b = element(b, row * classes + c) > element(b, row * classes + best_b) ? c : best_b;
        }
        if (best_a != best_b)
            return 0;
    }
    return 1;
}

static bool same_shape(const crease_tensor *a, const crease_tensor *b) {
    return a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

static crease_status compare(const runs *r, const crease_tensor *a, const crease_tensor *b,
                             const crease_tensor *judge, crease_verify_entry *entry) {
    double magnitude;
    *entry = (crease_verify_entry){.struct_size = sizeof *entry, .n = count(a), .top1 = -1};
    CR_TRY(cr_arena_string(&r->report->arena, a->name, &entry->name));
    entry->unfolded_error = entry->folded_error = -1;
    if (!same_shape(a, b) || a->dtype != b->dtype) {
        entry->max_abs = entry->max_rel = INFINITY;
    } else if (!is_number(a->dtype)) {
        entry->max_abs = entry->max_rel = memcmp(a->data, b->data, a->bytes) ? 1 : 0;
        entry->pass = entry->max_abs == 0;
    } else {
        largest(b, a, &entry->max_abs, &magnitude);
        entry->max_rel = relative(b, a);
        entry->pass = entry->max_abs <= r->options->atol + r->options->rtol * magnitude;
        entry->top1 = same_top1(a, b);
        if (judge && same_shape(a, judge)) {
            entry->unfolded_error = relative(a, judge);
            entry->folded_error = relative(b, judge);
        }
    }
    r->report->pass &= entry->pass;
    return CREASE_OK;
}

/* ---- running ---- */

static crease_status set_inputs(crease_session *session, const crease_tensor *inputs, size_t n, bool widen) {
    for (size_t i = 0; i < n; i++) {
        const crease_tensor *t = &inputs[i];
        if (!widen || t->dtype != CREASE_FLOAT) {
            CR_TRY(crease_session_set_input(session, t->name, t->dtype, t->rank, t->dims, t->data));
            continue;
        }
        void *block;
        int64_t elements = count(t);
        CR_TRY(cr_alloc(session->heap, (size_t)elements * sizeof(double), &block));
        for (int64_t e = 0; e < elements; e++)
            ((double *)block)[e] = (double)((const float *)t->data)[e];
        crease_status status =
            crease_session_set_input(session, t->name, CREASE_DOUBLE, t->rank, t->dims, block);
        cr_free(session->heap, block);
        CR_TRY(status);
    }
    return CREASE_OK;
}

static crease_status run_all(const runs *r, const crease_tensor *inputs, size_t n) {
    CR_TRY(set_inputs(r->a, inputs, n, false));
    CR_TRY(set_inputs(r->b, inputs, n, false));
    CR_TRY(crease_session_run(r->a));
    CR_TRY(crease_session_run(r->b));
    if (!r->judge)
        return CREASE_OK;
    CR_TRY(set_inputs(r->judge, inputs, n, true));
    return crease_session_run(r->judge);
}

static crease_status compare_outputs(const runs *r) {
    crease_verify_report *report = r->report;
    size_t n = crease_model_n_outputs(r->a->optimized);
    CR_TRY(CR_ARENA_NEW(&report->arena, &report->outputs, n));
    for (size_t i = 0; i < n; i++) {
        crease_tensor a = {.struct_size = sizeof a}, b = a, judge = a;
        CR_TRY(crease_session_output(r->a, i, &a));
        CR_TRY(crease_session_output(r->b, i, &b));
        if (r->judge)
            CR_TRY(crease_session_output(r->judge, i, &judge));
        CR_TRY(compare(r, &a, &b, r->judge ? &judge : NULL, &report->outputs[i]));
        report->n_outputs++;
    }
    return CREASE_OK;
}

/* The output of every batch normalisation that b no longer has as a node but still has as a tensor. */
static crease_status compare_layers(const runs *r) {
    crease_verify_report *report = r->report;
    const cr_graph *graph = r->a->optimized->ir->graph;
    CR_TRY(CR_ARENA_NEW(&report->arena, &report->layers, (size_t)graph->n_nodes));
    bool pass = report->pass;
    CR_FOR_NODES(node, graph) {
        crease_tensor a = {.struct_size = sizeof a}, b = a, judge = a;
        if (!cr_node_is(node, "BatchNormalization") || !node->outputs[0])
            continue;
        const char *name = node->outputs[0]->name;
        if (crease_session_peek(r->a, name, &a) != CREASE_OK ||
            crease_session_peek(r->b, name, &b) != CREASE_OK)
            continue;
        bool judged = r->judge && crease_session_peek(r->judge, name, &judge) == CREASE_OK;
        CR_TRY(compare(r, &a, &b, judged ? &judge : NULL, &report->layers[report->n_layers]));
        report->n_layers++;
    }
    report->pass = pass; /* the outputs decide; layers explain */
    return CREASE_OK;
}

static crease_status verify(runs *r, crease_model *a, crease_model *b, const crease_tensor *inputs, size_t n,
                            crease_options o) {
    crease_model *judge = NULL;
    o.keep_all = r->options->layers;
    crease_options unfolded = o, judged = o;
    unfolded.fold = b != NULL && o.fold;
    judged.fold = false;
    CR_TRY(crease_session_create(a, &unfolded, &r->a));
    CR_TRY(crease_session_create(b ? b : a, &o, &r->b));
    if (r->options->judge) {
        CR_TRY(cr_judge_create(a, &judge));
        crease_status status = crease_session_create(judge, &judged, &r->judge);
        crease_model_free(judge); /* the session keeps it */
        if (status != CREASE_OK)
            r->judge = NULL; /* an operator without a float64 form: no judge, said by errors of -1 */
    }
    CR_TRY(run_all(r, inputs, n));
    CR_TRY(compare_outputs(r));
    return r->options->layers ? compare_layers(r) : CREASE_OK;
}

crease_status crease_verify(crease_model *a, crease_model *b, const crease_tensor *inputs, size_t n_inputs,
                            const crease_options *options, const crease_verify_options *verify_options,
                            crease_verify_report **report) {
    void *block;
    cr_heap *heap;
    if (!a || !report || (n_inputs && !inputs))
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_verify: a, inputs and report must not be NULL");
    *report = NULL;
    crease_verify_options v;
    crease_verify_options_init(&v);
    if (verify_options)
        v = *verify_options;
    CR_TRY(cr_heap_create(NULL, 0, &heap));
    crease_status status = cr_alloc_zeroed(heap, sizeof(crease_verify_report), &block);
    if (status != CREASE_OK) {
        cr_heap_release(heap);
        return status;
    }
    runs r = {.options = &v, .report = block};
    r.report->heap = heap;
    r.report->pass = true;
    cr_arena_init(&r.report->arena, heap);
    crease_options o = cr_options_of(options);
    if (!b)
        o.fold = true;
    status = verify(&r, a, b, inputs, n_inputs, o);
    crease_session_free(r.a);
    crease_session_free(r.b);
    crease_session_free(r.judge);
    if (status == CREASE_OK)
        *report = r.report;
    else
        crease_verify_report_free(r.report);
    return status;
}

bool crease_verify_report_pass(const crease_verify_report *report) {
    return report->pass;
}

size_t crease_verify_report_n_outputs(const crease_verify_report *report) {
    return report->n_outputs;
}

bool crease_verify_report_output_at(const crease_verify_report *report, size_t index,
                                    crease_verify_entry *entry) {
    if (index >= report->n_outputs)
        return false;
    *entry = report->outputs[index];
    return true;
}

size_t crease_verify_report_n_layers(const crease_verify_report *report) {
    return report->n_layers;
}

bool crease_verify_report_layer_at(const crease_verify_report *report, size_t index,
                                   crease_verify_entry *entry) {
    if (index >= report->n_layers)
        return false;
    *entry = report->layers[index];
    return true;
}

void crease_verify_report_free(crease_verify_report *report) {
    if (!report)
        return;
    cr_heap *heap = report->heap;
    cr_arena_clear(&report->arena);
    cr_free(heap, report);
    cr_heap_release(heap);
}
