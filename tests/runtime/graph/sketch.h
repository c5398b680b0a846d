#ifndef CREASE_TESTS_RUNTIME_GRAPH_SKETCH_H
#define CREASE_TESTS_RUNTIME_GRAPH_SKETCH_H

/* Graphs of one-line nodes for tests of the graph itself: what the operators compute does not matter. */

#include "runtime/graph/edit.h"
#include "runtime/graph/order.h"
#include "runtime/graph/verify.h"
#include "tests/body.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <string.h>

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())
#define REFUSED(call, word)                                                                                  \
    do {                                                                                                     \
        cr_assert_eq((call), CREASE_ERROR_MODEL);                                                            \
        cr_assert(strstr(crease_error_message(), (word)), "'%s' lacks '%s'", crease_error_message(),         \
                  (word));                                                                                   \
    } while (0)

static cr_heap *heap;
static cr_model *model;

static inline void sketch_open(void) {
    OK(cr_heap_create(NULL, 0, &heap));
    OK(cr_model_create(heap, &model));
}

/* Nothing may be left, whatever a test did. */
static inline void sketch_close(void) {
    cr_model_destroy(model);
    cr_assert_eq(cr_heap_used(heap), 0, "%zu bytes are still in use", cr_heap_used(heap));
    cr_heap_release(heap);
}

static inline cr_value *sketch_value(cr_graph *graph, const char *name) {
    cr_value *value;
    OK(cr_graph_add_value(graph, name, false, &value));
    value->dtype = CREASE_FLOAT;
    return value;
}

static inline cr_value *sketch_input(cr_graph *graph, const char *name) {
    cr_value *value = sketch_value(graph, name);
    OK(cr_graph_add_input(graph, value));
    return value;
}

/* out = op(a, b); b may be NULL. */
static inline cr_node *sketch_node(cr_graph *graph, const char *op, cr_value *out, cr_value *a, cr_value *b) {
    cr_node *node;
    OK(cr_graph_add_node(graph, NULL, op, "", out->name, (cr_value *[]){a, b}, b ? 2 : 1, &out, 1, &node));
    return node;
}

/* Operators of a graph in order: "Relu Add". */
static inline const char *sketch_order(const cr_graph *graph) {
    static char text[512];
    text[0] = 0;
    CR_FOR_NODES(node, graph) {
        strncat(text, text[0] ? " " : "", sizeof text - strlen(text) - 1);
        strncat(text, node->op_type, sizeof text - strlen(text) - 1);
    }
    return text;
}

#endif
