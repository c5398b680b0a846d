#ifndef CREASE_TESTS_RUNTIME_OPS_ONE_NODE_H
#define CREASE_TESTS_RUNTIME_OPS_ONE_NODE_H

/* One node evaluated on given tensors, for operator tests. */

#include "runtime/graph/edit.h"
#include "runtime/ops/eval.h"
#include "runtime/ops/infer.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define OK(call)   cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())
#define ONE_UNUSED __attribute__((unused))

enum { ONE_PORTS = 12 };

typedef struct one {
    cr_heap *heap;
    cr_model *model;
    cr_node *node;
    cr_tensor in[ONE_PORTS], out[ONE_PORTS];
    const cr_tensor *ports[ONE_PORTS];
    int n_in, n_out;
} one;

ONE_UNUSED static one one_begin(const char *op, int64_t opset, int n_in, int n_out) {
    one o = {.n_in = n_in, .n_out = n_out};
    cr_value *in[ONE_PORTS] = {0}, *out[ONE_PORTS] = {0};
    OK(cr_heap_create(NULL, 0, &o.heap));
    OK(cr_model_create(o.heap, &o.model));
    OK(cr_model_set_opset(o.model, "", opset));
    for (int i = 0; i < n_in; i++)
        OK(cr_graph_add_value(o.model->graph, NULL, true, &in[i]));
    for (int i = 0; i < n_out; i++)
        OK(cr_graph_add_value(o.model->graph, NULL, true, &out[i]));
    OK(cr_graph_add_node(o.model->graph, NULL, op, "", "n", in, n_in, out, n_out, &o.node));
    OK(cr_model_resolve(o.model));
    return o;
}

ONE_UNUSED static void one_end(one *o) {
    for (int i = 0; i < ONE_PORTS; i++) {
        cr_tensor_release(&o->in[i]);
        cr_tensor_release(&o->out[i]);
    }
    cr_model_destroy(o->model);
    cr_assert_eq(cr_heap_used(o->heap), 0);
    cr_heap_release(o->heap);
}

/* Input i of this shape, to be filled. */
ONE_UNUSED static void *one_input(one *o, int i, crease_dtype dtype, int rank, const int64_t *dims) {
    cr_shape shape = cr_shape_of(rank, dims);
    OK(cr_tensor_create(o->heap, dtype, &shape, &o->in[i]));
    o->ports[i] = &o->in[i];
    return o->in[i].data;
}

ONE_UNUSED static crease_status one_run(one *o) {
    for (int i = 0; i < o->n_out; i++)
        cr_tensor_release(&o->out[i]);
    return cr_node_eval(o->node, o->heap, o->ports, o->out);
}

/* Reproducible numbers in [low, high). */
ONE_UNUSED static double one_random(double low, double high) {
    static uint32_t seed = 7;
    seed = seed * 1664525U + 1013904223U;
    return low + (high - low) * (double)(seed >> 8) / (double)(1U << 24);
}

#endif
