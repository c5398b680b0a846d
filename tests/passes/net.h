#ifndef CREASE_TESTS_PASSES_NET_H
#define CREASE_TESTS_PASSES_NET_H

/* Small float32 networks for tests of the lowering: built through the edit verbs, published as a model and
 * run by sessions. A value knows its shape as soon as it exists. */

#include "passes/lower.h"
#include "runtime/api/judge.h"
#include "runtime/api/session.h"
#include "runtime/graph/edit.h"
#include "runtime/graph/verify.h"
#include "runtime/kernels/narrow.h"
#include "runtime/ops/infer.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct net {
    cr_heap *heap;
    cr_model *ir;
    cr_value *x; /* the first input */
    unsigned seed;
    int n_names;
} net;

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())
#define DIMS(...)                                                                                            \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                           \
        __VA_ARGS__                                                                                          \
    }
#define IN(...)                                                                                              \
    (int)(sizeof((cr_value *[]){__VA_ARGS__}) / sizeof(cr_value *)), (cr_value *[]) {                        \
        __VA_ARGS__                                                                                          \
    }

static inline double net_random(net *n, double low, double high) {
    n->seed = n->seed * 1664525U + 1013904223U;
    return low + (high - low) * (double)(n->seed >> 8) / (double)(1U << 24);
}

static inline int net_pick(net *n, int low, int high) {
    return low + (int)(net_random(n, 0, 1) * (high - low + 1));
}

static inline cr_value *net_input(net *n, const char *name, int rank, const int64_t *dims) {
    cr_value *value;
    OK(cr_graph_add_value(n->ir->graph, name, true, &value));
    value->dtype = CREASE_FLOAT;
    value->shape = cr_shape_of(rank, dims);
    OK(cr_graph_add_input(n->ir->graph, value));
    return value;
}

static inline net net_begin(int64_t opset, int rank, const int64_t *dims) {
    net n = {.seed = 7};
    OK(cr_heap_create(NULL, 0, &n.heap));
    OK(cr_model_create(n.heap, &n.ir));
    OK(cr_model_set_opset(n.ir, "", opset));
    n.x = net_input(&n, "x", rank, dims);
    return n;
}

/* A constant of random values in [low, high). */
static inline cr_value *net_floats(net *n, double low, double high, int rank, const int64_t *dims) {
    const cr_shape shape = cr_shape_of(rank, dims);
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->ir->graph, "c", CREASE_FLOAT, &shape, &value, &t));
    for (int64_t i = 0, count = cr_shape_n(&shape); i < count; i++)
        ((float *)t->data)[i] = (float)net_random(n, low, high);
    return value;
}

static inline cr_value *net_scalar(net *n, double number) {
    cr_value *value = net_floats(n, 0, 1, 0, NULL);
    *(float *)value->constant->data = (float)number;
    return value;
}

static inline cr_value *net_ints(net *n, int count, const int64_t *values) {
    const cr_shape shape = cr_shape_of(1, (int64_t[]){count});
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->ir->graph, "i", CREASE_INT64, &shape, &value, &t));
    if (count)
        memcpy(t->data, values, (size_t)count * sizeof *values);
    return value;
}

static inline cr_node *net_last(const net *n) {
    return n->ir->graph->last;
}

/* A new node with these outputs; attributes that its shapes need are set before net_infer. */
static inline cr_node *net_add(net *n, const char *op, int n_in, cr_value **inputs, int n_out,
                               cr_value **outputs) {
    char name[64];
    cr_node *node;
    snprintf(name, sizeof name, "%.40s_%d", op, n->n_names++);
    for (int i = 0; i < n_out; i++)
        OK(cr_graph_add_value(n->ir->graph, name, true, &outputs[i]));
    OK(cr_graph_add_node(n->ir->graph, NULL, op, "", name, inputs, n_in, outputs, n_out, &node));
    return node;
}

static inline void net_infer(net *n) {
    OK(cr_model_resolve(n->ir));
    OK(cr_graph_infer(n->ir->graph));
}

/* The output of a new node without attributes. */
static inline cr_value *net_node(net *n, const char *op, int n_in, cr_value **inputs) {
    cr_value *out;
    net_add(n, op, n_in, inputs, 1, &out);
    net_infer(n);
    return out;
}

/* With one attribute of integers; single: an INT. */
static inline cr_value *net_node_int(net *n, const char *op, int n_in, cr_value **inputs, const char *name,
                                     int64_t number) {
    cr_value *out;
    OK(cr_node_set_int(net_add(n, op, n_in, inputs, 1, &out), name, number));
    net_infer(n);
    return out;
}

/* A convolution with weights so scaled that the result is about as large as x. */
static inline cr_value *net_conv(net *n, cr_value *x, int64_t oc, int64_t kernel, int64_t pad) {
    const int rank = x->shape.rank;
    int64_t dims[5] = {oc, x->shape.dims[1]}, pads[6], taps = dims[1];
    cr_value *out;
    for (int d = 2; d < rank; d++) {
        dims[d] = kernel;
        taps *= kernel;
        pads[d - 2] = pads[d + rank - 4] = pad;
    }
    const double range = sqrt(3.0 / (double)taps);
    cr_value *inputs[] = {x, net_floats(n, -range, range, rank, dims), net_floats(n, -0.5, 0.5, DIMS(oc))};
    OK(cr_node_set_ints(net_add(n, "Conv", 3, inputs, 1, &out), "pads", pads, 2 * (rank - 2)));
    net_infer(n);
    return out;
}

static inline cr_value *net_bn(net *n, cr_value *x) {
    const int64_t c = x->shape.dims[1];
    return net_node(n, "BatchNormalization",
                    IN(x, net_floats(n, 0.5, 1.5, DIMS(c)), net_floats(n, -0.5, 0.5, DIMS(c)),
                       net_floats(n, -0.5, 0.5, DIMS(c)), net_floats(n, 0.5, 2, DIMS(c))));
}

static inline void net_output(net *n, cr_value *value) {
    OK(cr_graph_add_output(n->ir->graph, value));
}

/* The network as a public model; the net is used up. */
static inline crease_model *net_publish(net *n) {
    crease_model *model;
    OK(cr_model_publish(n->ir, &model));
    cr_heap_release(n->heap);
    return model;
}

/* ---- running ---- */

/* The kernels that every machine has, with four lanes. */
static inline void net_needs_lanes(void) {
    cr_assert_eq(setenv("CREASE_CPU", "vector", 1), 0);
}

static inline crease_options net_options(void) {
    crease_options o;
    crease_options_init(&o);
    o.threads = 1;
    return o;
}

static inline crease_options net_plain(void) {
    crease_options o = net_options();
    o.plain_layout = true;
    o.fold = false;
    return o;
}

typedef struct net_result {
    int64_t n;
    double *values; /* of all outputs, one after another; free() */
} net_result;

/* Fill input i: numbers in [-2, 2) from a seed of its own, the same as float and as double. */
static inline void net_set_inputs(crease_session *session, const crease_model *model, const cr_shape *shapes,
                                  unsigned seed) {
    for (size_t i = 0; i < model->n_inputs; i++) {
        net r = {.seed = seed + (unsigned)i * 977U};
        const cr_value *input = model->inputs[i];
        const int64_t n = cr_shape_n(&shapes[i]);
        float *narrow = malloc((size_t)n * sizeof *narrow + 1);
        double *wide = malloc((size_t)n * sizeof *wide + 1);
        for (int64_t j = 0; j < n; j++)
            wide[j] = (double)(narrow[j] = (float)net_random(&r, -2, 2));
        const bool is_double = input->dtype == CREASE_DOUBLE;
        OK(crease_session_set_input(session, input->name, input->dtype, shapes[i].rank, shapes[i].dims,
                                    is_double ? (void *)wide : (void *)narrow));
        free(narrow);
        free(wide);
    }
}

static inline net_result net_collect(crease_session *session) {
    net_result r = {0};
    crease_tensor t = {.struct_size = sizeof t};
    for (size_t i = 0; i < crease_model_n_outputs(session->optimized); i++) {
        OK(crease_session_output(session, i, &t));
        const cr_shape shape = cr_shape_of(t.rank, t.dims);
        const int64_t n = cr_shape_n(&shape);
        r.values = realloc(r.values, (size_t)(r.n + n) * sizeof *r.values + 1);
        for (int64_t j = 0; j < n; j++)
            r.values[r.n++] = cr_number_load(t.dtype, t.data, j);
    }
    return r;
}

/* All outputs for inputs of these shapes. */
static inline net_result net_run(crease_session *session, const crease_model *model, const cr_shape *shapes,
                                 unsigned seed) {
    net_set_inputs(session, model, shapes, seed);
    OK(crease_session_run(session));
    return net_collect(session);
}

/* The shapes of the inputs as the model states them. */
static inline void net_shapes(const crease_model *model, cr_shape *shapes) {
    for (size_t i = 0; i < model->n_inputs; i++)
        shapes[i] = model->inputs[i]->shape;
}

static inline int net_count(const cr_model *ir, const char *domain, const char *op) {
    int n = 0;
    CR_FOR_NODES(node, ir->graph)
    n += strcmp(node->op_type, op) == 0 && strcmp(node->domain, domain) == 0;
    return n;
}

/* Nodes of this type in the domain "crease". */
static inline int net_ours(const crease_session *session, const char *op) {
    return net_count(session->optimized->ir, "crease", op);
}

static inline double net_largest(const net_result *r) {
    double largest = 0;
    for (int64_t i = 0; i < r->n; i++)
        largest = fmax(largest, fabs(r->values[i]));
    return largest;
}

/* Lower the model, require its outputs to stay what the plain layout gives, and return the session. Both
 * are float32 and sum in other orders: 1e-5 of the largest value is some hundred ulp. */
static inline crease_session *net_lower(crease_model *model, const crease_options *options) {
    crease_session *lowered, *plain;
    cr_shape shapes[4];
    const crease_options o = net_plain();
    net_shapes(model, shapes);
    OK(crease_session_create(model, options, &lowered));
    OK(crease_session_create(model, &o, &plain));
    net_result got = net_run(lowered, model, shapes, 3), expected = net_run(plain, model, shapes, 3);
    cr_assert_eq(got.n, expected.n);
    const double tolerance = 1e-5 * fmax(1, net_largest(&expected));
    for (int64_t i = 0; i < got.n; i++)
        cr_assert(fabs(got.values[i] - expected.values[i]) <= tolerance, "element %lld: %.9g, expected %.9g",
                  (long long)i, got.values[i], expected.values[i]);
    free(got.values);
    free(expected.values);
    crease_session_free(plain);
    return lowered;
}

#endif
