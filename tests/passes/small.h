#ifndef CREASE_TESTS_PASSES_SMALL_H
#define CREASE_TESTS_PASSES_SMALL_H

/* Small models for pass tests: built through the edit verbs, folded, and computed node by node before and
 * after. Numbers are float64, so that a wrong formula cannot hide behind rounding. Names are fixed: input
 * "x", constants and nodes as given. */

#include "passes/pass.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/eval.h"
#include "runtime/ops/infer.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct small {
    cr_heap *heap;
    cr_model *model;
    cr_report *report;
    cr_value *x;
    unsigned seed;
} small;

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())
#define DIMS(...)                                                                                            \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                           \
        __VA_ARGS__                                                                                          \
    }
#define IN(...)                                                                                              \
    (int)(sizeof((cr_value *[]){__VA_ARGS__}) / sizeof(cr_value *)), (cr_value *[]) {                        \
        __VA_ARGS__                                                                                          \
    }

static inline double small_random(small *s, double low, double high) {
    s->seed = s->seed * 1664525U + 1013904223U;
    return low + (high - low) * (double)(s->seed >> 8) / (double)(1U << 24);
}

static inline small small_begin(int64_t opset, int rank, const int64_t *dims) {
    small s = {.seed = 7};
    OK(cr_heap_create(NULL, 0, &s.heap));
    OK(cr_model_create(s.heap, &s.model));
    OK(cr_model_set_opset(s.model, "", opset));
    OK(cr_report_create(s.heap, &s.report));
    OK(cr_graph_add_value(s.model->graph, "x", true, &s.x));
    s.x->dtype = CREASE_DOUBLE;
    s.x->shape = cr_shape_of(rank, dims);
    OK(cr_graph_add_input(s.model->graph, s.x));
    return s;
}

static inline void small_end(small *s) {
    crease_fold_report_free(s->report);
    cr_model_destroy(s->model);
    cr_heap_release(s->heap);
}

static inline cr_value *small_constant(small *s, const char *name, double low, double high, int rank,
                                       const int64_t *dims) {
    cr_shape shape = cr_shape_of(rank, dims);
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(s->model->graph, name, CREASE_DOUBLE, &shape, &value, &t));
    for (int64_t i = 0, n = cr_shape_n(&shape); i < n; i++)
        ((double *)t->data)[i] = small_random(s, low, high);
    return value;
}

static inline cr_value *small_ints(small *s, const char *name, int n, const int64_t *values) {
    cr_shape shape = cr_shape_of(1, (int64_t[]){n});
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(s->model->graph, name, CREASE_INT64, &shape, &value, &t));
    memcpy(t->data, values, (size_t)n * sizeof *values);
    return value;
}

/* The output of a new node called `name`. */
static inline cr_value *small_node(small *s, const char *op, const char *name, int n, cr_value **inputs) {
    cr_value *out;
    cr_node *node;
    char text[64];
    snprintf(text, sizeof text, "%.50s_out", name);
    OK(cr_graph_add_value(s->model->graph, text, true, &out));
    OK(cr_graph_add_node(s->model->graph, NULL, op, "", name, inputs, n, &out, 1, &node));
    return out;
}

/* A BatchNormalization with random parameters, scales of both signs. */
static inline cr_value *small_bn(small *s, const char *name, cr_value *x, int64_t channels) {
    return small_node(s, "BatchNormalization", name,
                      IN(x, small_constant(s, "gamma", -2, 2, DIMS(channels)),
                         small_constant(s, "beta", -1, 1, DIMS(channels)),
                         small_constant(s, "mean", -1, 1, DIMS(channels)),
                         small_constant(s, "var", 0.2, 2, DIMS(channels))));
}

static inline void small_output(small *s, cr_value *value) {
    OK(cr_graph_add_output(s->model->graph, value));
}

/* All outputs for the input, one after another; released by free(). */
static inline double *small_run(const cr_model *model, cr_heap *heap, const cr_tensor *x, int64_t *n) {
    cr_tensor *values = calloc((size_t)model->n_values + 1, sizeof *values);
    double *result = NULL;
    *n = 0;
    values[model->graph->inputs[0]->id] = *x;
    CR_FOR_NODES(node, model->graph) {
        const cr_tensor *in[16] = {0};
        cr_tensor out[16];
        for (int i = 0; i < node->n_inputs; i++)
            if (node->inputs[i])
                in[i] = node->inputs[i]->constant ? node->inputs[i]->constant : &values[node->inputs[i]->id];
        OK(cr_node_eval(node, heap, in, out));
        for (int i = 0; i < node->n_outputs; i++)
            if (node->outputs[i])
                values[node->outputs[i]->id] = out[i];
    }
    for (int i = 0; i < model->graph->n_outputs; i++) {
        const cr_tensor *t = &values[model->graph->outputs[i]->id];
        int64_t count = cr_shape_n(&t->shape);
        result = realloc(result, (size_t)(*n + count) * sizeof *result);
        for (int64_t j = 0; j < count; j++)
            result[(*n)++] = cr_load_float(t->dtype, t->data, j);
    }
    for (int i = 0; i < model->n_values; i++)
        if (i != model->graph->inputs[0]->id)
            cr_tensor_release(&values[i]);
    free(values);
    return result;
}

static inline int small_count(const small *s, const char *op) {
    int n = 0;
    CR_FOR_NODES(node, s->model->graph)
    n += cr_node_is(node, op);
    return n;
}

/* The entry of a node, or an empty one. */
static inline crease_fold_entry small_entry(const small *s, const char *name) {
    crease_fold_entry entry = {.struct_size = sizeof entry};
    for (size_t i = 0; crease_fold_report_entry_at(s->report, i, &entry); i++)
        if (strcmp(entry.name, name) == 0)
            return entry;
    return (crease_fold_entry){0};
}

/* Fold, and require the outputs to stay what they were, with their names. */
static inline void small_fold_with(small *s, const cr_fold_settings *settings) {
    cr_tensor x;
    int64_t n, n_after;
    char name[256];
    OK(cr_model_resolve(s->model));
    OK(cr_graph_infer(s->model->graph));
    OK(cr_tensor_create(s->heap, s->x->dtype, &s->x->shape, &x));
    for (int64_t i = 0; i < cr_shape_n(&x.shape); i++)
        cr_store_float(x.dtype, x.data, i, small_random(s, -2, 2));
    double *before = small_run(s->model, s->heap, &x, &n);
    snprintf(name, sizeof name, "%s", s->model->graph->outputs[0]->name);
    OK(cr_optimize_fold(s->model, settings, s->report));
    double *after = small_run(s->model, s->heap, &x, &n_after);
    cr_assert_eq(n, n_after);
    cr_assert_str_eq(s->model->graph->outputs[0]->name, name);
    double largest = 1, tolerance = s->x->dtype == CREASE_DOUBLE ? 1e-12 : 1e-2;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(before[i]));
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabs(before[i] - after[i]) <= tolerance * largest, "element %lld: %.17g became %.17g",
                  (long long)i, before[i], after[i]);
    free(before);
    free(after);
    cr_tensor_release(&x);
}

/* "<pattern>" where node `name` was folded, its reason where it was kept. */
static inline void small_expect(small *s, const char *name, const char *outcome) {
    small_fold_with(s, NULL);
    crease_fold_entry e = small_entry(s, name);
    const char *found = e.folded ? e.pattern : e.reason ? e.reason : "no entry";
    cr_assert_str_eq(found, outcome, "%s: %s, expected %s (%s)", name, found, outcome,
                     e.detail ? e.detail : "");
    if (e.reason)
        cr_assert(e.detail && e.detail[0], "a reason comes with a sentence");
    crease_fold_report_free(s->report);
    OK(cr_report_create(s->heap, &s->report));
    OK(cr_optimize_fold(s->model, NULL, s->report)); /* folding twice folds nothing the second time */
    cr_assert_eq(cr_report_n_folded(s->report), 0);
    small_end(s);
}

static inline cr_node *small_find(const small *s, const char *name) {
    CR_FOR_NODES(node, s->model->graph)
    if (strcmp(node->name, name) == 0)
        return node;
    cr_assert_fail("no node '%s'", name);
    return NULL;
}

#endif
