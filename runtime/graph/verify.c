#include "runtime/graph/verify.h"

typedef struct check {
    const cr_model *model;
    unsigned char *done; /* by node id: stands before the current node */
} check;

static bool has_use(const cr_value *value, const cr_node *node, int input) {
    for (int i = 0; i < value->n_uses; i++)
        if (value->uses[i].node == node && value->uses[i].input == input)
            return true;
    return false;
}

static bool is_defined(const check *c, const cr_value *value) {
    if (value->constant || value->is_input || value->initial)
        return true;
    return value->producer && c->done[value->producer->id];
}

static crease_status check_constant(const cr_value *value) {
    size_t bytes;
    if (!value->constant || !value->constant->buffer)
        return CREASE_OK;
    const cr_tensor *t = value->constant;
    if (!cr_shape_is_static(&t->shape) || !cr_tensor_bytes(t->dtype, t->lanes, &t->shape, &bytes) ||
        bytes > cr_buffer_bytes(t->buffer))
        return cr_fail(CREASE_ERROR_MODEL, "constant '%s' has fewer bytes than its shape needs", value->name);
    return CREASE_OK;
}

static crease_status check_node(check *c, const cr_node *node) {
    char text[256];
    for (int i = 0; i < node->n_inputs; i++) {
        const cr_value *value = node->inputs[i];
        if (!value)
            continue;
        if (!has_use(value, node, i))
            return cr_fail(CREASE_ERROR_MODEL, "%s: input %d '%s' does not know its use",
                           cr_node_print(node, text, sizeof text), i, value->name);
        if (!is_defined(c, value))
            return cr_fail(CREASE_ERROR_MODEL,
                           "%s: input '%s' is not defined by any node, input or initializer",
                           cr_node_print(node, text, sizeof text), value->name);
        CR_TRY(check_constant(value));
    }
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && node->outputs[i]->graph != node->graph)
            return cr_fail(CREASE_ERROR_MODEL, "%s: output '%s' belongs to another graph",
                           cr_node_print(node, text, sizeof text), node->outputs[i]->name);
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && node->outputs[i]->producer != node)
            return cr_fail(CREASE_ERROR_MODEL, "%s: output '%s' is produced twice",
                           cr_node_print(node, text, sizeof text), node->outputs[i]->name);
    return CREASE_OK;
}

static crease_status check_graph(check *c, const cr_graph *graph) {
    int n = 0;
    CR_FOR_NODES(node, graph) {
        CR_TRY(check_node(c, node));
        for (int i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].type == CR_ATTR_GRAPH || node->attrs[i].type == CR_ATTR_GRAPHS)
                for (int64_t j = 0; j < node->attrs[i].n; j++)
                    CR_TRY(check_graph(c, node->attrs[i].graphs[j]));
        c->done[node->id] = 1;
        n++;
    }
    if (n != graph->n_nodes)
        return cr_fail(CREASE_ERROR_MODEL, "graph '%s': %d nodes are linked, %d are counted", graph->name, n,
                       graph->n_nodes);
    for (int i = 0; i < graph->n_outputs; i++)
        if (!is_defined(c, graph->outputs[i]))
            return cr_fail(CREASE_ERROR_MODEL,
                           "graph output '%s' is not defined by any node, input or initializer",
                           graph->outputs[i]->name);
    return CREASE_OK;
}

crease_status cr_model_verify(const cr_model *model) {
    check c = {.model = model};
    void *block;
    CR_TRY(cr_alloc_zeroed(model->heap, (size_t)model->n_nodes + 1, &block));
    c.done = block;
    crease_status status = check_graph(&c, model->graph);
    cr_free(model->heap, block);
    return status;
}

crease_status cr_model_verify_after(const cr_model *model, crease_status pass) {
    return pass == CREASE_OK ? cr_model_verify(model) : pass;
}
