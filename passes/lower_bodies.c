#include "passes/lower.h"
#include "runtime/graph/edit.h"

/* before: a body of If, Loop or Scan that uses values of the graphs around it
 * after:  the same, lowered like the main graph; in between, nodes of our own stand for these values
 * not:    bodies whose values are in some runs other than they state (cr_graph.steady); more than 256
 * why:    passes look from a node to the one before it. They must not look out of the body: what stands
 *         there runs once, whether a branch is taken or not, and serves others. */

static const char outside[] = "Outside";

/* ---- which graphs ---- */

/* Each takes as long as a look at the whole model. */
enum { MOST_BODIES = 256 };

typedef struct graph_list {
    cr_graph *graphs[1 + MOST_BODIES];
    int n;
} graph_list;

static bool is_steady(const cr_graph *graph) {
    for (; graph->owner; graph = graph->owner->graph)
        if (!graph->steady)
            return false;
    return true;
}

static crease_status add(cr_graph *graph, void *context) {
    graph_list *list = context;
    if (list->n <= MOST_BODIES && is_steady(graph))
        list->graphs[list->n++] = graph;
    return CREASE_OK;
}

/* Lowering another body may have removed its node. */
static bool is_there(const cr_graph *graph) {
    for (; graph->owner; graph = graph->owner->graph)
        if (!graph->owner->previous && graph->owner->graph->first != graph->owner)
            return false;
    return true;
}

crease_status cr_lower_graphs(cr_model *model, cr_lower_stage *stage, const cr_lower_settings *settings) {
    graph_list list = {.n = 0};
    CR_TRY(cr_model_each_graph(model, add, &list));
    for (int i = 0; i < list.n; i++)
        if (is_there(list.graphs[i]))
            CR_TRY(stage(list.graphs[i], settings));
    return CREASE_OK;
}

/* ---- what they use of others ---- */

static crease_status add_stand(cr_graph *body, cr_value *value, cr_value **stand) {
    cr_node *node;
    CR_TRY(cr_graph_add_value(body, value->name, true, stand));
    (*stand)->dtype = value->dtype;
    (*stand)->shape = value->shape;
    return cr_graph_add_node(body, body->first, outside, "crease", value->name, &value, 1, stand, 1, &node);
}

static crease_status part_node(cr_node *node, cr_value **stands) {
    for (int i = 0; i < node->n_inputs; i++) {
        cr_value *value = node->inputs[i];
        if (!value || value->graph == node->graph || value->constant || value->kind != CR_KIND_TENSOR)
            continue;
        if (!stands[value->id])
            CR_TRY(add_stand(node->graph, value, &stands[value->id]));
        CR_TRY(cr_node_set_input(node, i, stands[value->id]));
    }
    return CREASE_OK;
}

static crease_status part_nodes(cr_graph *graph, cr_arena *arena) {
    cr_value **stands; /* by id */
    CR_TRY(CR_ARENA_NEW(arena, &stands, (size_t)graph->model->n_values));
    CR_FOR_NODES(node, graph)
    CR_TRY(part_node(node, stands)); /* which stand before it */
    return CREASE_OK;
}

crease_status cr_body_part(cr_graph *graph) {
    cr_arena arena;
    cr_arena_init(&arena, graph->model->heap);
    crease_status status = part_nodes(graph, &arena);
    cr_arena_clear(&arena);
    return status;
}

crease_status cr_body_join(cr_graph *graph) {
    CR_FOR_NODES_SAFE(node, graph)
    if (cr_is_ours(node, outside)) {
        CR_TRY(cr_value_replace(node->outputs[0], node->inputs[0]));
        CR_TRY(cr_node_remove(node));
    }
    return CREASE_OK;
}
