#ifndef CREASE_TESTS_PASSES_BODIES_H
#define CREASE_TESTS_PASSES_BODIES_H

/* Bodies of control flow for the networks of net.h. */

#include "tests/body.h"
#include "tests/passes/net.h"

static inline cr_value *net_body_input(cr_graph *body, const char *name, crease_dtype dtype,
                                       const cr_shape *shape) {
    cr_value *value;
    OK(cr_graph_add_value(body, name, true, &value));
    value->dtype = dtype;
    value->shape = *shape;
    OK(cr_graph_add_input(body, value));
    return value;
}

static inline cr_value *net_body_node(cr_graph *body, const char *op, int n, cr_value **inputs) {
    cr_value *out;
    cr_node *node;
    OK(cr_graph_add_value(body, op, true, &out));
    OK(cr_graph_add_node(body, NULL, op, "", out->name, inputs, n, &out, 1, &node));
    return out;
}

typedef struct net_loop {
    cr_graph *body;
    cr_value *carried, *y;
} net_loop;

/* A Loop of three iterations that carries x, whose body states the shape to be `stated`. */
static inline net_loop net_begin_loop(net *n, cr_value *x, const cr_shape *stated) {
    const cr_shape scalar = cr_shape_of(0, NULL);
    cr_value *trips = net_ints(n, 1, (int64_t[]){3}), *none = NULL;
    net_loop t;
    net_add(n, "Loop", IN(trips, none, x), 1, &t.y);
    t.body = body_of(net_last(n), "body");
    net_body_input(t.body, "number", CREASE_INT64, &scalar);
    cr_value *go = net_body_input(t.body, "go", CREASE_BOOL, &scalar);
    t.carried = net_body_input(t.body, "carried", CREASE_FLOAT, stated);
    OK(cr_graph_add_output(t.body, net_body_node(t.body, "Identity", IN(go))));
    return t;
}

#endif
