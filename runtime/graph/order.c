#include "runtime/graph/order.h"
#include "runtime/graph/edit.h"

/* A depth-first walk with a stack of its own (models are hostile: recursion depth is not theirs to choose)
 * that appends each node after everything it needs. What a node needs: producers, in the same graph, of its
 * inputs and of what its subgraphs use. */

enum { NEW, OPEN, DONE };

typedef struct walk {
    unsigned char *state; /* by node id */
    cr_node **stack;
    size_t n_stack;
    cr_node *unready; /* found by need() */
    cr_graph *graph;
} walk;

static void need_value(walk *w, const cr_value *value) {
    if (w->unready || !value || !value->producer || value->graph != w->graph)
        return;
    if (w->state[value->producer->id] != DONE)
        w->unready = value->producer;
}

/* Depth of nesting is limited by the importer. */
static void need_node(walk *w, const cr_node *node) {
    for (int i = 0; i < node->n_inputs && !w->unready; i++)
        need_value(w, node->inputs[i]);
    for (int i = 0; i < node->n_attrs && !w->unready; i++)
        if (node->attrs[i].type == CR_ATTR_GRAPH || node->attrs[i].type == CR_ATTR_GRAPHS)
            for (int64_t j = 0; j < node->attrs[i].n; j++) {
                const cr_graph *body = node->attrs[i].graphs[j];
                for (int k = 0; k < body->n_outputs; k++)
                    need_value(w, body->outputs[k]);
                CR_FOR_NODES(inner, body)
                need_node(w, inner);
            }
}

static crease_status visit(walk *w, cr_node *root) {
    char text[256];
    w->stack[w->n_stack++] = root;
    w->state[root->id] = OPEN;
    while (w->n_stack) {
        cr_node *node = w->stack[w->n_stack - 1];
        w->unready = NULL;
        need_node(w, node);
        if (!w->unready) {
            w->state[node->id] = DONE;
            w->n_stack--;
            cr_node_move_before(node, NULL);
        } else if (w->state[w->unready->id] == OPEN) {
            return cr_fail(CREASE_ERROR_MODEL, "%s is part of a cycle",
                           cr_node_print(w->unready, text, sizeof text));
        } else {
            w->state[w->unready->id] = OPEN;
            w->stack[w->n_stack++] = w->unready;
        }
    }
    return CREASE_OK;
}

static crease_status order_graph(cr_graph *graph, void *context) {
    walk *w = context;
    w->graph = graph;
    int n = graph->n_nodes;
    cr_node **file_order;
    CR_TRY(CR_ARENA_NEW(&graph->model->arena, &file_order, (size_t)n));
    n = 0;
    CR_FOR_NODES(node, graph)
    file_order[n++] = node;
    for (int i = 0; i < n; i++)
        if (w->state[file_order[i]->id] == NEW)
            CR_TRY(visit(w, file_order[i]));
    return CREASE_OK;
}

crease_status cr_model_order(cr_model *model) {
    walk w = {0};
    size_t n = (size_t)model->n_nodes;
    CR_TRY(CR_ARENA_NEW(&model->arena, &w.state, n));
    CR_TRY(CR_ARENA_NEW(&model->arena, &w.stack, n + 1));
    return cr_model_each_graph(model, order_graph, &w);
}
