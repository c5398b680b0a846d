#ifndef CREASE_TESTS_RUNTIME_GRAPH_CHAIN_H
#define CREASE_TESTS_RUNTIME_GRAPH_CHAIN_H

#include "tests/runtime/graph/sketch.h"

/* x -> Relu -> r -> Neg -> y (the output) */
static cr_value *x, *r, *y;
static cr_node *relu, *neg;

static inline void chain(void) {
    cr_graph *g = model->graph;
    x = sketch_input(g, "x");
    r = sketch_value(g, "r");
    y = sketch_value(g, "y");
    relu = sketch_node(g, "Relu", r, x, NULL);
    neg = sketch_node(g, "Neg", y, r, NULL);
    OK(cr_graph_add_output(g, y));
    OK(cr_model_verify(model));
}

#endif
