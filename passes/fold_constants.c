#include "passes/fold.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/eval.h"
#include "runtime/ops/infer.h"

/* before: any node whose inputs are all constant (Constant, Identity, ConstantOfShape, shape
 *         arithmetic ...)
 * after:  its result as a constant
 * not:    random operators, bodies, nodes crease cannot run, graph outputs, results that would only
 *         make the file larger (more than 2^22 elements, and more than the inputs have); in a file,
 *         quantised weights, which are folded as they are (fold_quantized.c)
 * why:    the values are computed by the operator itself. */

enum { MAX_PORTS = 16, MAX_ELEMENTS = 1 << 22 };

/* DequantizeLinear of the weights of a linear operator. */
static bool is_quantized_weight(const cr_node *node) {
    const cr_value *y = cr_node_is(node, "DequantizeLinear") ? cr_node_output(node, 0) : NULL;
    for (int i = 0; y && i < y->n_uses; i++)
        if (y->uses[i].input > 0 && cr_node_is_linear(y->uses[i].node))
            return true;
    return false;
}

static bool is_foldable(const cr_node *node, bool in_file) {
    int64_t most = MAX_ELEMENTS;
    if (!node->op || (node->op->flags & (CR_OP_RANDOM | CR_OP_BODY)) || node->n_inputs > MAX_PORTS ||
        node->n_outputs != 1 || (in_file && is_quantized_weight(node)))
        return false;
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] && !node->inputs[i]->constant)
            return false;
    for (int i = 0; i < node->n_inputs; i++) /* a tensor in memory: its size is no fiction */
        if (node->inputs[i] && cr_shape_n(&node->inputs[i]->constant->shape) > most)
            most = cr_shape_n(&node->inputs[i]->constant->shape);
    const cr_value *out = node->outputs[0];
    return out && !out->n_outputs && (!cr_shape_is_static(&out->shape) || cr_shape_n(&out->shape) <= most);
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
    if (report && cr_node_is(node, "BatchNormalization"))
        CR_TRY(cr_report_folded(report, node, constant->name, "constant", (cr_fold_bound){0}));
    CR_TRY(cr_value_replace(node->outputs[0], constant));
    return cr_node_remove(node);
}

static crease_status fold_graph(cr_graph *graph, void *context) {
    CR_FOR_NODES_SAFE(node, graph)
    if (is_foldable(node, context != NULL))
        CR_TRY(fold_node(node, context));
    return CREASE_OK;
}

crease_status cr_pass_fold_constants(cr_model *model, cr_report *report) {
    return cr_model_each_graph(model, fold_graph, report);
}
