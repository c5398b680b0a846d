#include "tests/runtime/graph/sketch.h"

#include <stdio.h>
#include <stdlib.h>

TestSuite(order, .init = sketch_open, .fini = sketch_close);

Test(order, producers_come_first_and_the_rest_stays) {
    cr_graph *g = model->graph;
    cr_value *x = sketch_input(g, "x"), *a = sketch_value(g, "a"), *b = sketch_value(g, "b"),
             *c = sketch_value(g, "c");
    sketch_node(g, "Add", c, a, b); /* too early */
    sketch_node(g, "Relu", a, x, NULL);
    sketch_node(g, "Neg", b, x, NULL);
    OK(cr_graph_add_output(g, c));
    cr_assert_eq(cr_model_verify(model), CREASE_ERROR_MODEL);
    OK(cr_model_order(model));
    cr_assert_str_eq(sketch_order(g), "Relu Neg Add");
    OK(cr_model_verify(model));
    OK(cr_model_order(model)); /* right already: nothing moves */
    cr_assert_str_eq(sketch_order(g), "Relu Neg Add");
}

Test(order, what_a_body_uses_comes_before_its_node) {
    cr_graph *g = model->graph;
    cr_value *x = sketch_input(g, "x"), *a = sketch_value(g, "a"), *y = sketch_value(g, "y");
    cr_node *owner = sketch_node(g, "If", y, x, NULL);
    cr_value *inner = sketch_value(body_of(owner, "body"), "inner");
    sketch_node(inner->graph, "Exp", inner, a, NULL);
    OK(cr_graph_add_output(inner->graph, inner));
    sketch_node(g, "Relu", a, x, NULL);
    OK(cr_model_order(model));
    cr_assert_str_eq(sketch_order(g), "Relu If");
    OK(cr_model_verify(model));
}

Test(order, a_cycle_is_named) {
    cr_graph *g = model->graph;
    cr_value *a = sketch_value(g, "a"), *b = sketch_value(g, "b"), *c = sketch_value(g, "c");
    sketch_node(g, "Relu", a, c, NULL);
    sketch_node(g, "Neg", b, a, NULL);
    sketch_node(g, "Abs", c, b, NULL);
    REFUSED(cr_model_order(model), "is part of a cycle");
}

Test(order, a_node_may_not_need_itself) {
    cr_value *a = sketch_value(model->graph, "a");
    sketch_node(model->graph, "Relu", a, a, NULL);
    REFUSED(cr_model_order(model), "node 'a' (Relu) is part of a cycle");
}

Test(order, depth_is_no_matter) {
    enum { N = 200000 };
    cr_graph *g = model->graph;
    cr_value *x = sketch_input(g, "x"), *last = x;
    char name[32];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "v%d", i);
        cr_value *next = sketch_value(g, name);
        cr_node *node = sketch_node(g, "Relu", next, last, NULL);
        cr_node_move_before(node, g->first); /* backwards: the worst order */
        last = next;
    }
    OK(cr_model_order(model));
    cr_assert_eq(g->first->inputs[0], x);
    cr_assert_eq(g->last->outputs[0], last);
    OK(cr_model_verify(model));
}

/* Any order of a random graph becomes a right one, and a right one is left alone. */
Test(order, random_graphs) {
    enum { N = 60 };
    const char *given = getenv("CREASE_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 1;
    srand(seed);
    for (int round = 0; round < 50; round++) {
        sketch_close();
        sketch_open();
        cr_graph *g = model->graph;
        cr_value *values[N + 1] = {sketch_input(g, "x")};
        cr_node *nodes[N];
        char name[32];
        for (int i = 0; i < N; i++) {
            snprintf(name, sizeof name, "v%d", i);
            values[i + 1] = sketch_value(g, name);
            nodes[i] =
                sketch_node(g, "Add", values[i + 1], values[rand() % (i + 1)], values[rand() % (i + 1)]);
        }
        for (int i = 0; i < N; i++)
            cr_node_move_before(nodes[rand() % N], nodes[rand() % N]);
        OK(cr_graph_add_output(g, values[N]));
        OK(cr_model_order(model));
        cr_assert_eq(cr_model_verify(model), CREASE_OK, "seed %u, round %d: %s", seed, round,
                     crease_error_message());
        cr_assert_eq(g->n_nodes, N);
        cr_node *first = g->first, *last = g->last;
        OK(cr_model_order(model));
        cr_assert(first == g->first && last == g->last);
    }
}
