#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

/* before: ReduceMean or ReduceMax over all spatial axes of [N, C, spatial...]
 * after:  GlobalAveragePool or GlobalMaxPool, and Flatten where the axes are not kept
 * not:    other axes; axes that are computed
 * why:    ONNX defines both as the mean, or the maximum, of the same elements. */

static bool is_spatial(const int64_t *axes, int64_t n, int rank) {
    unsigned seen = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 2 || axis >= rank)
            return false;
        seen |= 1U << axis;
    }
    return n == rank - 2 && seen == (1U << rank) - 4;
}

static crease_status reduces_pixels(const cr_node *node, bool *does) {
    const int64_t *axes;
    int64_t list[8];
    int n;
    const cr_tensor *input = cr_node_constant(node, 1);
    const cr_value *x = cr_node_input(node, 0);
    *does = false;
    if (!x || x->dtype != CREASE_FLOAT || x->shape.rank < 3 || x->shape.rank > 5)
        return CREASE_OK;
    CR_TRY(cr_attr_ints(node, "axes", &axes, &n));
    if (!n && input && cr_shape_n(&input->shape) <= 8) {
        for (n = 0; n < cr_shape_n(&input->shape); n++)
            list[n] = cr_tensor_int(input, n);
        axes = list;
    }
    *does = is_spatial(axes, n, x->shape.rank);
    return CREASE_OK;
}

static crease_status become_pool(cr_node *node, const char *pool_type) {
    int64_t keep;
    cr_value *pooled;
    cr_node *pool;
    CR_TRY(cr_attr_int(node, "keepdims", 1, &keep));
    cr_node_remove_attr(node, "axes");
    cr_node_remove_attr(node, "keepdims");
    CR_TRY(cr_node_keep_inputs(node, 1));
    if (keep)
        return cr_node_set_op(node, pool_type, "");
    CR_TRY(cr_graph_add_value(node->graph, node->outputs[0]->name, true, &pooled));
    pooled->dtype = CREASE_FLOAT;
    CR_TRY(
        cr_graph_add_node(node->graph, node, pool_type, "", node->name, node->inputs, 1, &pooled, 1, &pool));
    CR_TRY(cr_node_set_input(node, 0, pooled));
    return cr_node_set_op(node, "Flatten", "");
}

crease_status cr_pass_tidy_shapes(cr_graph *graph) {
    bool does;
    CR_FOR_NODES(node, graph) {
        const bool mean = cr_node_is(node, "ReduceMean");
        if (!mean && !cr_node_is(node, "ReduceMax"))
            continue;
        CR_TRY(reduces_pixels(node, &does));
        if (does)
            CR_TRY(become_pool(node, mean ? "GlobalAveragePool" : "GlobalMaxPool"));
    }
    return CREASE_OK;
}
