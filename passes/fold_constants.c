#include "passes/pass.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/eval.h"

/* before: any node whose inputs are all constant (Constant, Identity, ConstantOfShape, shape arithmetic ...)
 * after:  its result as a constant
 * not:    random operators, bodies, nodes crease cannot run, graph outputs, results of more than 2^22
 * elements, which would only make the file larger why:    the values are computed by the operator itself. */

enum { MAX_PORTS = 16, MAX_ELEMENTS = 1 << 22 };

static bool is_foldable(const cr_node *node) {
    if (!node->op || (node->op->flags & (CR_OP_RANDOM | CR_OP_BODY)) || node->n_inputs > MAX_PORTS ||
        node->n_outputs != 1)
        return false;
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] && !node->inputs[i]->constant)
            return false;
    const cr_value *out = node->outputs[0];
    return out && !out->n_outputs &&
           (!cr_shape_is_static(&out->shape) || cr_shape_n(&out->shape) <= MAX_ELEMENTS);
}

static crease_status fold_node(cr_node *node, cr_report *report) {
    const cr_tensor *in[MAX_PORTS];
    cr_tensor result;
    cr_value *constant;
    for (int i = 0; i < node->n_inputs; i++)
        in[i] = cr_node_constant(node, i);
    crease_status status = cr_node_eval(node, node->graph->model->heap, in, &result);
    if (status == CREASE_ERROR_MEMORY)
        return status;
    if (status != CREASE_OK)
        return CREASE_OK; /* it fails again when it runs, with its sentence */
    status = cr_graph_add_constant(node->graph, node->outputs[0]->name, &result, &constant);
    cr_tensor_release(&result);
    CR_TRY(status);
    if (cr_node_is(node, "BatchNormalization"))
        CR_TRY(cr_report_folded(report, node, constant->name, "constant", 0));
    CR_TRY(cr_value_replace(node->outputs[0], constant));
    return cr_node_remove(node);
}

static crease_status fold_graph(cr_graph *graph, void *context) {
    CR_FOR_NODES_SAFE(node, graph)
    if (is_foldable(node))
        CR_TRY(fold_node(node, context));
    return CREASE_OK;
}

crease_status cr_pass_fold_constants(cr_model *model, cr_report *report) {
    return cr_model_each_graph(model, fold_graph, report);
}
