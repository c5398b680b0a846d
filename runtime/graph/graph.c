#include "runtime/graph/graph.h"

#include <stdio.h>
#include <string.h>

int64_t cr_model_opset(const cr_model *model, const char *domain) {
    for (int i = 0; i < model->n_opsets; i++)
        if (strcmp(model->opsets[i].domain, domain) == 0)
            return model->opsets[i].version;
    return 0;
}

cr_value *cr_node_input(const cr_node *node, int i) {
    return i >= 0 && i < node->n_inputs ? node->inputs[i] : NULL;
}

cr_value *cr_node_output(const cr_node *node, int i) {
    return i >= 0 && i < node->n_outputs ? node->outputs[i] : NULL;
}

const cr_tensor *cr_node_constant(const cr_node *node, int input) {
    const cr_value *value = cr_node_input(node, input);
    return value ? value->constant : NULL;
}

bool cr_node_is(const cr_node *node, const char *op_type) {
    return node->domain[0] == 0 && strcmp(node->op_type, op_type) == 0;
}

bool cr_value_has_one_use(const cr_value *value) {
    return value->n_uses == 1 && value->n_outputs == 0;
}

const char *cr_node_print(const cr_node *node, char *text, size_t bytes) {
    snprintf(text, bytes, "node '%s' (%s%s%s)", node->name, node->domain, node->domain[0] ? "." : "",
             node->op_type);
    return text;
}

static crease_status visit_graph(cr_graph *graph, crease_status (*visit)(cr_graph *, void *), void *context) {
    CR_TRY(visit(graph, context));
    CR_FOR_NODES(node, graph)
    for (int i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].type == CR_ATTR_GRAPH || node->attrs[i].type == CR_ATTR_GRAPHS)
            for (int64_t j = 0; j < node->attrs[i].n; j++)
                CR_TRY(visit_graph(node->attrs[i].graphs[j], visit, context));
    return CREASE_OK;
}

crease_status cr_model_each_graph(cr_model *model, crease_status (*visit)(cr_graph *graph, void *context),
                                  void *context) {
    return visit_graph(model->graph, visit, context);
}
