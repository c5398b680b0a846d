#ifndef CREASE_TESTS_BODY_H
#define CREASE_TESTS_BODY_H

#include "runtime/graph/edit.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free

/* An empty body of a node of control flow, as this attribute. */
static inline cr_graph *body_of(cr_node *owner, const char *attribute) {
    cr_graph **graphs;
    cr_model *model = owner->graph->model;
    cr_assert_eq(CR_ARENA_NEW(&model->arena, &graphs, 1), CREASE_OK);
    cr_assert_eq(cr_graph_create(model, owner, graphs), CREASE_OK);
    const cr_attr attr = {.name = attribute, .type = CR_ATTR_GRAPH, .n = 1, .graphs = graphs};
    cr_assert_eq(cr_node_set_attr(owner, &attr), CREASE_OK);
    return graphs[0];
}

#endif
