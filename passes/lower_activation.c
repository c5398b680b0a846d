#include "passes/activation.h"
#include "passes/lower.h"
#include "runtime/graph/edit.h"

#include <string.h>

/* before: an activation of ONNX on float32, or one spelled out (passes/activation.h)
 * after:  crease.Activation
 * not:    what passes/activation.h does not recognise
 * why:    the functions are the same; kernels compute them in one pass, or in that of a neighbour. */

static bool is_float_output(const cr_node *node) {
    const cr_value *out = cr_node_output(node, 0);
    return out && out->dtype == CREASE_FLOAT && node->n_outputs == 1 && cr_node_input(node, 0);
}

static crease_status become(cr_node *node, cr_value *x, const cr_activation *act) {
    CR_TRY(cr_node_set_input(node, 0, x));
    CR_TRY(cr_node_keep_inputs(node, 1));
    CR_TRY(cr_node_set_op(node, "Activation", "crease"));
    return cr_node_set_activation(node, "act", act);
}

crease_status cr_pass_lower_activations(cr_graph *graph) {
    cr_value *x = NULL;
    cr_activation act;
    bool fits;
    CR_FOR_NODES(node, graph)
    if (is_float_output(node) && strcmp(node->domain, "") == 0) {
        act = (cr_activation){0};
        CR_TRY(cr_read_spelled_activation(node, &x, &act.kind));
        /* constants of at most one axis leave the shape of x, whatever it is, but for a scalar */
        if (act.kind != CR_ACT_NONE && x->shape.rank >= 1)
            CR_TRY(become(node, x, &act));
    }
    CR_TRY(cr_model_drop_dead(graph->model));
    CR_FOR_NODES(node, graph)
    if (is_float_output(node)) {
        CR_TRY(cr_read_activation(node, &act, &fits));
        if (fits)
            CR_TRY(become(node, node->inputs[0], &act));
    }
    return CREASE_OK;
}
