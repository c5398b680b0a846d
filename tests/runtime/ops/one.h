#ifndef CREASE_TESTS_RUNTIME_OPS_ONE_H
#define CREASE_TESTS_RUNTIME_OPS_ONE_H

/* One node, its inputs and what comes out: for the edges that ONNX's own tests leave out. Inputs are named
 * "0", "1", ... and the node "node"; everything fails with the sentence of the library. */

#include "runtime/graph/edit.h"
#include "runtime/ops/eval.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <math.h>
#include <string.h>

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

enum { ONE_MOST = 12 };

typedef struct one {
    cr_heap *heap;
    cr_model *model;
    cr_node *node;
    cr_tensor in[ONE_MOST], out[ONE_MOST];
    int n_in, n_out;
} one;

static inline one one_begin(const char *op, int64_t opset, int n_out) {
    one o = {.n_out = n_out};
    cr_value *outputs[ONE_MOST];
    OK(cr_heap_create(NULL, 0, &o.heap));
    OK(cr_model_create(o.heap, &o.model));
    OK(cr_model_set_opset(o.model, "", opset));
    for (int i = 0; i < n_out; i++)
        OK(cr_graph_add_value(o.model->graph, (char[]){'y', (char)('0' + i), 0}, true, &outputs[i]));
    OK(cr_graph_add_node(o.model->graph, NULL, op, "", "node", NULL, 0, outputs, n_out, &o.node));
    return o;
}

static inline void one_end(one *o) {
    for (int i = 0; i < o->n_in; i++)
        cr_tensor_release(&o->in[i]);
    for (int i = 0; i < o->n_out; i++)
        cr_tensor_release(&o->out[i]);
    cr_model_destroy(o->model);
    cr_assert_eq(cr_heap_used(o->heap), 0, "%zu bytes are still in use", cr_heap_used(o->heap));
    cr_heap_release(o->heap);
}

/* Input i, to be filled; those before it that are not made are left out. */
static inline void *one_input_at(one *o, int i, crease_dtype dtype, int rank, const int64_t *dims) {
    cr_value *value;
    const cr_shape shape = cr_shape_of(rank, dims);
    OK(cr_graph_add_value(o->model->graph, (char[]){(char)('0' + i), 0}, true, &value));
    value->dtype = dtype;
    value->shape = shape;
    while (o->n_in <= i)
        OK(cr_node_set_input(o->node, o->n_in++, NULL));
    OK(cr_node_set_input(o->node, i, value));
    OK(cr_tensor_create(o->heap, dtype, &shape, &o->in[i]));
    return o->in[i].data;
}

/* The next input. */
static inline void *one_input(one *o, crease_dtype dtype, int rank, const int64_t *dims) {
    return one_input_at(o, o->n_in, dtype, rank, dims);
}

static inline void one_put(one *o, int i, crease_dtype dtype, int rank, const int64_t *dims,
                           const void *contents) {
    void *data = one_input_at(o, i, dtype, rank, dims);
    memcpy(data, contents, cr_buffer_bytes(o->in[i].buffer));
}

/* float32 values first, first + 1, ... */
static inline void one_floats(one *o, float first, int rank, const int64_t *dims) {
    float *data = one_input(o, CREASE_FLOAT, rank, dims);
    for (int64_t i = 0; i < cr_shape_n(&o->in[o->n_in - 1].shape); i++)
        data[i] = first + (float)i;
}

static inline void one_ints(one *o, int n, const int64_t *values) {
    int64_t *data = one_input(o, CREASE_INT64, 1, (int64_t[]){n});
    if (n)
        memcpy(data, values, (size_t)n * sizeof *values);
}

static inline void one_scalar(one *o, int64_t value) {
    *(int64_t *)one_input(o, CREASE_INT64, 0, NULL) = value;
}

/* The next input is left out. */
static inline void one_skip(one *o) {
    OK(cr_node_set_input(o->node, o->n_in, NULL));
    o->in[o->n_in++] = (cr_tensor){0};
}

static inline crease_status one_run(one *o) {
    const cr_tensor *in[ONE_MOST] = {0};
    OK(cr_model_resolve(o->model));
    for (int i = 0; i < o->n_in; i++)
        in[i] = o->node->inputs[i] ? &o->in[i] : NULL;
    for (int i = 0; i < o->n_out; i++)
        cr_tensor_release(&o->out[i]);
    crease_status status = cr_node_eval(o->node, o->heap, in, o->out);
    if (status != CREASE_OK)
        memset(o->out, 0, sizeof o->out);
    return status;
}

static inline void one_shape(const one *o, int i, int rank, const int64_t *dims) {
    const cr_shape want = cr_shape_of(rank, dims);
    char a[128], b[128];
    cr_assert(cr_shape_equal(&o->out[i].shape, &want), "%s output %d has shape %s, expected %s",
              o->node->op_type, i, cr_shape_print(&o->out[i].shape, a, sizeof a),
              cr_shape_print(&want, b, sizeof b));
}

static inline void one_values(const one *o, int i, int n, const double *want) {
    const cr_tensor *t = &o->out[i];
    cr_assert_eq(cr_shape_n(&t->shape), n);
    for (int j = 0; j < n; j++) {
        double got =
            cr_dtype_is_float(t->dtype) ? cr_load_float(t->dtype, t->data, j) : (double)cr_tensor_int(t, j);
        bool same =
            isnan(want[j]) ? isnan(got) : got == want[j] || fabs(got - want[j]) <= 1e-6 * fabs(want[j]);
        cr_assert(same, "%s output %d, element %d is %.9g, expected %.9g", o->node->op_type, i, j, got,
                  want[j]);
    }
}

/* Reproducible numbers in [low, high). */
static inline double one_random(double low, double high) {
    static uint32_t seed = 7;
    seed = seed * 1664525U + 1013904223U;
    return low + (high - low) * (double)(seed >> 8) / (double)(1U << 24);
}

#define DIMS(...)                                                                                            \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                           \
        __VA_ARGS__                                                                                          \
    }
#define SCALAR 0, NULL

/* Run, require output 0 to have this shape (DIMS in brackets) and these values, and end. */
#define ONE_GIVES(o, dims, ...)                                                                              \
    do {                                                                                                     \
        OK(one_run(o));                                                                                      \
        one_shape(o, 0, ONE_UNPACK dims);                                                                    \
        one_values(o, 0, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__});  \
        one_end(o);                                                                                          \
    } while (0)
#define ONE_UNPACK(...) __VA_ARGS__

/* The same for an output without elements. */
#define ONE_GIVES_NOTHING(o, dims)                                                                           \
    do {                                                                                                     \
        OK(one_run(o));                                                                                      \
        one_shape(o, 0, ONE_UNPACK dims);                                                                    \
        cr_assert_eq(cr_shape_n(&(o)->out[0].shape), 0);                                                     \
        one_end(o);                                                                                          \
    } while (0)

/* Run, require this failure with this word in its sentence and the node's name, and end. */
#define ONE_FAILS(o, status, word)                                                                           \
    do {                                                                                                     \
        cr_assert_eq(one_run(o), status, "%s", crease_error_message());                                      \
        cr_assert(strstr(crease_error_message(), word), "'%s' lacks '%s'", crease_error_message(), word);    \
        one_end(o);                                                                                          \
    } while (0)

#endif
