#include "runtime/ops/op.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const cr_op *const families[] = {
    cr_ops_attention,    cr_ops_batch_norm,   cr_ops_binary,  cr_ops_blocked,    cr_ops_blocked_conv,
    cr_ops_blocked_move, cr_ops_blocked_pool, cr_ops_boxes,   cr_ops_bytes,      cr_ops_cast,
    cr_ops_concat,       cr_ops_constant,     cr_ops_control, cr_ops_conv,       cr_ops_deform,
    cr_ops_einsum,       cr_ops_gather,       cr_ops_gemm,    cr_ops_gemm_fused, cr_ops_integer,
    cr_ops_layer_norm,   cr_ops_loss,         cr_ops_matrix,  cr_ops_move,       cr_ops_norm,
    cr_ops_pad,          cr_ops_pool,         cr_ops_qlinear, cr_ops_quantize,   cr_ops_random,
    cr_ops_recurrent,    cr_ops_reduce,       cr_ops_resize,  cr_ops_sample,     cr_ops_scan,
    cr_ops_select,       cr_ops_sequence,     cr_ops_shape,   cr_ops_signal,     cr_ops_slice,
    cr_ops_softmax,      cr_ops_unary,        cr_ops_unique,  cr_ops_unpool,
};

const cr_op *cr_op_at(size_t index) {
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const cr_op *op = families[f]; op->name; op++)
            if (index-- == 0)
                return op;
    return NULL;
}

const cr_op *cr_op_find(const char *domain, const char *op_type, int64_t opset) {
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const cr_op *op = families[f]; op->name; op++)
            if (strcmp(op->name, op_type) == 0 && strcmp(op->domain ? op->domain : "", domain) == 0 &&
                opset >= op->since && (op->until == 0 || opset <= op->until))
                return op;
    return NULL;
}

bool cr_op_is_ours(const cr_op *op) {
    return op->domain && strcmp(op->domain, "crease") == 0;
}

/* Our own domain stands in lowered models only: in a model file it is as unknown as any other. */
void cr_node_resolve(cr_node *node) {
    const cr_model *model = node->graph->model;
    const bool ours = strcmp(node->domain, "crease") == 0;
    const int64_t opset = ours ? model->lowered : cr_model_opset(model, node->domain);
    node->op = cr_op_find(node->domain, node->op_type, opset);
}

static crease_status resolve_graph(cr_graph *graph, void *context) {
    (void)context;
    CR_FOR_NODES(node, graph)
    cr_node_resolve(node);
    return CREASE_OK;
}

crease_status cr_model_resolve(cr_model *model) {
    return cr_model_each_graph(model, resolve_graph, NULL);
}

/* Any version of an operator, to tell "never heard of it" from "not in this version". */
static bool is_known_name(const cr_node *node) {
    for (size_t i = 0; cr_op_at(i); i++)
        if (strcmp(cr_op_at(i)->name, node->op_type) == 0)
            return true;
    return false;
}

static bool are_tensors(cr_value *const *values, int n) {
    for (int i = 0; i < n; i++)
        if (values[i] && values[i]->kind != CR_KIND_TENSOR)
            return false;
    return true;
}

static bool has_tensors_only(const cr_node *node) {
    bool tensors = are_tensors(node->inputs, node->n_inputs) && are_tensors(node->outputs, node->n_outputs);
    for (int i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].type == CR_ATTR_GRAPH) {
            const cr_graph *body = node->attrs[i].graphs[0];
            tensors = tensors && are_tensors(body->inputs, body->n_inputs) &&
                      are_tensors(body->outputs, body->n_outputs);
        }
    return tensors;
}

const char *cr_node_problem(const cr_node *node, char *text, size_t bytes) {
    int64_t opset = cr_model_opset(node->graph->model, node->domain);
    if (node->obstacle) {
        snprintf(text, bytes, "operator %s %s is not supported", node->op_type,
                 node->obstacle[0] ? node->obstacle : "beside a node that is not supported");
        return text;
    }
    if (!node->op) {
        const char *what = is_known_name(node) && node->domain[0] == 0 ? "is not supported in operator set"
                                                                       : "is not supported (operator set";
        snprintf(text, bytes, "operator %s%s%s %s %" PRId64 "%s", node->domain, node->domain[0] ? "." : "",
                 node->op_type, what, opset, strchr(what, '(') ? ")" : "");
        return text;
    }
    if (!has_tensors_only(node)) {
        snprintf(text, bytes, "operator %s on sequences, optionals or maps is not supported", node->op_type);
        return text;
    }
    const cr_value *typed = cr_node_input(node, node->op->typed);
    if (typed && typed->dtype && node->op->types && !(node->op->types & CR_T(typed->dtype))) {
        snprintf(text, bytes, "operator %s on %s is not supported", node->op_type,
                 crease_dtype_name(typed->dtype));
        return text;
    }
    return NULL;
}

crease_status cr_node_fail(const cr_node *node, crease_status status, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return cr_fail(status, "node '%.200s' (%.60s): %s", node->name, node->op_type, text);
}
