#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

/* before: MatMul by a constant matrix, or Gemm by one with a bias for each column at most; then any of: Add
 *         of such a bias, Add of a tensor of the same shape, and last an Activation
 * after:  crease.MatMul or crease.Gemm, which does it all
 * not:    alpha, beta, transA; results that are used elsewhere; shapes not known to be equal
 * why:    it is done to a block of the product while that is in the cache. */

enum { B = 1, C = 2, RESIDUAL = 3 };

static bool is_matrix(const cr_tensor *t) {
    return t && t->dtype == CREASE_FLOAT && t->shape.rank == 2;
}

/* A constant that gives each of n columns a number and adds no axis to a tensor of this rank. */
static bool is_bias(const cr_value *value, int64_t n, int rank) {
    const cr_tensor *t = value ? value->constant : NULL;
    return t && t->dtype == CREASE_FLOAT && t->shape.rank >= 1 && t->shape.rank <= rank &&
           t->shape.dims[t->shape.rank - 1] == n && cr_shape_n(&t->shape) == n;
}

static crease_status read_gemm(const cr_node *node, int64_t *columns, bool *fits) {
    float alpha, beta;
    int64_t trans_a, trans_b;
    CR_TRY(cr_attr_float(node, "alpha", 1, &alpha));
    CR_TRY(cr_attr_float(node, "beta", 1, &beta));
    CR_TRY(cr_attr_int(node, "transA", 0, &trans_a));
    CR_TRY(cr_attr_int(node, "transB", 0, &trans_b));
    const cr_tensor *b = cr_node_constant(node, B);
    *columns = b->shape.dims[trans_b ? 0 : 1];
    *fits = alpha == 1 && beta == 1 && !trans_a &&
            (!cr_node_input(node, C) || is_bias(node->inputs[C], *columns, 2));
    return CREASE_OK;
}

static crease_status read_product(const cr_node *node, int64_t *columns, bool *fits) {
    const cr_value *a = cr_node_input(node, 0);
    *fits = a && a->dtype == CREASE_FLOAT && a->shape.rank >= 2 && is_matrix(cr_node_constant(node, B));
    if (!*fits)
        return CREASE_OK;
    *columns = cr_node_constant(node, B)->shape.dims[1];
    return cr_node_is(node, "Gemm") ? read_gemm(node, columns, fits) : CREASE_OK;
}

/* ---- what stands behind it ---- */

static crease_status take_add(cr_node *node, cr_node *add, int input, cr_value *other) {
    CR_TRY(cr_node_set_input(node, input, other));
    cr_node_move_before(node, add); /* what else is added may be computed only now */
    return cr_node_take_over(node, 0, add);
}

/* The input that takes what an Add adds; 0: none does. */
static int input_for(const cr_extents *extents, const cr_node *node, int64_t columns, const cr_value *other) {
    const cr_value *own = node->outputs[0];
    if (!cr_node_input(node, C) && is_bias(other, columns, own->shape.rank))
        return C;
    return !cr_node_input(node, RESIDUAL) && !other->constant && cr_extents_same(extents, own, other)
               ? RESIDUAL
               : 0;
}

/* One step; *again when there was one. */
static crease_status take_user(const cr_extents *extents, cr_node *node, int64_t columns, bool *again) {
    cr_node *user = cr_node_only_user(node);
    *again = false;
    if (!user || cr_node_has_activation(node, "act"))
        return CREASE_OK;
    if (cr_is_ours(user, "Activation") && user->lanes == 0 && !cr_node_input(user, 1)) {
        *again = true;
        CR_TRY(cr_node_take_activation(node, "act", 0, user, -1));
        return cr_node_take_over(node, 0, user);
    }
    if (!cr_node_is(user, "Add"))
        return CREASE_OK;
    cr_value *other = cr_node_other_operand(user, node->outputs[0]);
    const int input = input_for(extents, node, columns, other);
    *again = input != 0;
    return input ? take_add(node, user, input, other) : CREASE_OK;
}

static crease_status fuse_node(const cr_extents *extents, cr_node *node) {
    int64_t columns = 0;
    bool again;
    CR_TRY(read_product(node, &columns, &again));
    bool fuses = again && cr_node_input(node, C);
    while (again) {
        CR_TRY(take_user(extents, node, columns, &again));
        fuses = fuses || again;
    }
    return fuses ? cr_node_set_op(node, node->op_type, "crease") : CREASE_OK;
}

static bool is_product(const cr_node *node) {
    return cr_node_is(node, "Gemm") || cr_node_is(node, "MatMul");
}

crease_status cr_pass_fuse_gemm(cr_graph *graph) {
    return cr_lower_each(graph, is_product, fuse_node);
}
