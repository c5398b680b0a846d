#ifndef CREASE_TESTS_RUNTIME_API_NETWORK_H
#define CREASE_TESTS_RUNTIME_API_NETWORK_H

/* A small float32 network as a file in memory, for tests of the public functions: two convolutions with
 * normalisations around a residual sum, pooling and a product. Input "x" [N, 2, S, S], output "y" [N, 5],
 * intermediates "c1", "r1", "c2", "s", "p", "f". N and S are dynamic on demand. */

#include "include/crease/crease.h"
#include "proto/proto.h"
#include "runtime/graph/edit.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <stdlib.h>
#include <string.h>

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

typedef struct network {
    cr_model *model;
    cr_heap *heap;
    unsigned seed;
} network;

static inline float network_random(unsigned *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return (float)(*seed >> 8) / (float)(1U << 23) - 1;
}

static inline cr_value *network_constant(network *n, const char *name, float least, cr_shape shape) {
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->model->graph, name, CREASE_FLOAT, &shape, &value, &t));
    for (int64_t i = 0; i < cr_shape_n(&shape); i++)
        ((float *)t->data)[i] =
            least > 0 ? least + (1 + network_random(&n->seed)) / 2 : network_random(&n->seed);
    return value;
}

static inline cr_value *network_node(network *n, const char *op, const char *out, cr_value *const *in,
                                     int n_in, cr_node **node) {
    cr_value *value;
    OK(cr_graph_add_value(n->model->graph, out, true, &value));
    OK(cr_graph_add_node(n->model->graph, NULL, op, "", out, in, n_in, &value, 1, node));
    return value;
}

static inline cr_value *network_conv_bn(network *n, const char *name, const char *out, cr_value *x) {
    cr_node *node;
    const cr_shape four = cr_shape_of(1, (int64_t[]){2});
    cr_value *w = network_constant(n, "w", 0, cr_shape_of(4, (int64_t[]){2, 2, 3, 3}));
    cr_value *c = network_node(n, "Conv", name, (cr_value *[]){x, w}, 2, &node);
    OK(cr_node_set_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    return network_node(
        n, "BatchNormalization", out,
        (cr_value *[]){c, network_constant(n, "gamma", 0.5F, four), network_constant(n, "beta", 0, four),
                       network_constant(n, "mean", 0, four), network_constant(n, "var", 0.5F, four)},
        5, &node);
}

static inline void network_build(network *n, bool dynamic) {
    cr_node *node;
    cr_value *x;
    OK(cr_model_set_opset(n->model, "", 13));
    n->model->ir_version = 7;
    OK(cr_graph_add_value(n->model->graph, "x", true, &x));
    x->dtype = CREASE_FLOAT;
    x->declared = true;
    x->shape = cr_shape_of(4, (int64_t[]){1, 2, 6, 6});
    if (dynamic) {
        OK(cr_model_symbol(n->model, "batch", &x->shape.dims[0]));
        OK(cr_model_symbol(n->model, "size", &x->shape.dims[2]));
        x->shape.dims[3] = x->shape.dims[2];
    }
    OK(cr_graph_add_input(n->model->graph, x));
    cr_value *r1 = network_node(n, "Relu", "r1", (cr_value *[]){network_conv_bn(n, "c1", "b1", x)}, 1, &node);
    cr_value *b2 = network_conv_bn(n, "c2", "b2", r1);
    cr_value *s = network_node(n, "Add", "s", (cr_value *[]){b2, r1}, 2, &node);
    cr_value *p = network_node(n, "GlobalAveragePool", "p", &s, 1, &node);
    cr_value *f = network_node(n, "Flatten", "f", &p, 1, &node);
    cr_value *w = network_constant(n, "w3", 0, cr_shape_of(2, (int64_t[]){2, 5}));
    OK(cr_graph_add_output(n->model->graph, network_node(n, "MatMul", "y", (cr_value *[]){f, w}, 2, &node)));
}

/* The file; released with free(). */
static inline void *network_file(bool dynamic, size_t *bytes) {
    network n = {.seed = 7};
    void *data, *file;
    OK(cr_heap_create(NULL, 0, &n.heap));
    OK(cr_model_create(n.heap, &n.model));
    network_build(&n, dynamic);
    OK(cr_proto_save(n.model, n.heap, &data, bytes));
    file = malloc(*bytes);
    memcpy(file, data, *bytes);
    cr_free(n.heap, data);
    cr_model_destroy(n.model);
    cr_heap_release(n.heap);
    return file;
}

static inline crease_model *network_load(bool dynamic) {
    size_t bytes;
    crease_model *model;
    void *file = network_file(dynamic, &bytes);
    OK(crease_model_load_memory(file, bytes, NULL, &model));
    free(file);
    return model;
}

static inline crease_session *network_session(crease_model *model, const crease_options *options) {
    crease_session *session;
    OK(crease_session_create(model, options, &session));
    return session;
}

/* Values for "x", the same for the same seed; released with free(). */
static inline float *network_input(int64_t batch, int64_t size, unsigned seed) {
    size_t n = (size_t)(batch * 2 * size * size);
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = network_random(&seed);
    return x;
}

/* Set "x" and run; the output is copied to y [batch, 5]. */
static inline void network_run(crease_session *session, int64_t batch, int64_t size, unsigned seed,
                               float *y) {
    crease_tensor out = {.struct_size = sizeof out};
    float *x = network_input(batch, size, seed);
    OK(crease_session_set_input(session, "x", CREASE_FLOAT, 4, (int64_t[]){batch, 2, size, size}, x));
    free(x);
    OK(crease_session_run(session));
    OK(crease_session_output(session, 0, &out));
    cr_assert_eq(out.bytes, (size_t)batch * 5 * sizeof(float));
    memcpy(y, out.data, out.bytes);
}

#endif
