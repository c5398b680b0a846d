#include "passes/fold.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

/* before: x -> Identity -> y, or Dropout at inference
 * after:  y's consumers use x; a graph output keeps its name
 * not:    Dropout that may train or whose mask is used; a graph output that is x itself, a graph
 *         input or a constant
 * why:    y is x, bit for bit. */

static bool is_inference_dropout(const cr_node *node) {
    const cr_attr *is_test = cr_attr_find(node, "is_test");
    const cr_tensor *mode = cr_node_constant(node, 2);
    if (cr_model_opset(node->graph->model, "") < 7)
        return is_test && is_test->type == CR_ATTR_INT && is_test->ints[0] != 0;
    return !cr_node_input(node, 2) || (mode && mode->dtype == CREASE_BOOL && cr_shape_n(&mode->shape) == 1 &&
                                       *(const uint8_t *)mode->data == 0);
}

bool cr_is_noop(const cr_node *node) {
    bool known = cr_node_is(node, "Identity") || (cr_node_is(node, "Dropout") && is_inference_dropout(node));
    if (!known || !cr_node_input(node, 0) || !cr_node_output(node, 0))
        return false;
    for (int i = 1; i < node->n_outputs; i++)
        if (node->outputs[i] && (node->outputs[i]->n_uses || node->outputs[i]->n_outputs))
            return false;
    return true;
}

static bool can_replace(const cr_value *from, const cr_value *to) {
    if (from->kind != CR_KIND_TENSOR || to->kind != CR_KIND_TENSOR ||
        !cr_shape_fits(&from->shape, &to->shape) || (from->dtype && to->dtype && from->dtype != to->dtype))
        return false;
    return !from->n_outputs || (to->producer && !to->n_outputs && to->graph == from->graph);
}

static crease_status drop(cr_graph *graph, void *context) {
    (void)context;
    CR_FOR_NODES_SAFE(node, graph)
    if (cr_is_noop(node) && can_replace(node->outputs[0], node->inputs[0])) {
        CR_TRY(cr_value_replace(node->outputs[0], node->inputs[0]));
        CR_TRY(cr_node_remove(node));
    }
    return CREASE_OK;
}

crease_status cr_pass_drop_noops(cr_model *model) {
    return cr_model_each_graph(model, drop, NULL);
}
