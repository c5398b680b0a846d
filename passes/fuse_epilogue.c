#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

/* before: crease.Conv or crease.ConvTranspose, then any of: Activation; Add of a tensor of the same
 *         shape, with its activation
 * after:  the same with "act", input 3 and "after"
 * not:    a result that is used elsewhere; shapes not known to be equal
 * why:    the kernels apply the same functions and the same sum in registers, before they store.
 *         Where both operands of an Add are convolutions, the later one takes it, since the other
 *         is finished by then. */

enum { RESIDUAL = 3, ACT_SLOPE = 6, AFTER_SLOPE = 7 };

static bool is_conv(const cr_node *node) {
    return cr_is_ours(node, "Conv") || cr_is_ours(node, "ConvTranspose");
}

static bool comes_later(const cr_node *first, const cr_node *second) {
    for (const cr_node *node = first->next; node; node = node->next)
        if (node == second)
            return true;
    return false;
}

/* The other operand of the Add behind a convolution, if the convolution may take the Add in. */
static cr_value *residual_of(const cr_extents *extents, const cr_node *conv, const cr_node *add) {
    const cr_value *own = conv->outputs[0];
    cr_value *other = cr_node_other_operand(add, own);
    const cr_node *rival = other->producer;
    if (cr_node_input(conv, RESIDUAL) || cr_node_has_activation(conv, "after") || other->constant ||
        !cr_extents_same(extents, own, other))
        return NULL;
    const bool rival_takes = rival && is_conv(rival) && cr_node_only_user(rival) == add &&
                             !cr_node_input(rival, RESIDUAL) && comes_later(conv, rival);
    return rival_takes ? NULL : other;
}

static crease_status take_add(cr_node *conv, cr_node *add, cr_value *residual) {
    CR_TRY(cr_node_set_input(conv, RESIDUAL, residual));
    if (cr_node_has_activation(add, "act"))
        CR_TRY(cr_node_take_activation(conv, "after", AFTER_SLOPE, add, 2));
    cr_node_move_before(conv, add);
    return cr_node_take_over(conv, 0, add);
}

/* One step; *again when there was one. */
static crease_status take_user(const cr_extents *extents, cr_node *conv, bool *again) {
    cr_node *user = cr_node_only_user(conv);
    cr_value *residual;
    *again = false;
    if (user && cr_is_ours(user, "Activation") && !cr_node_input(conv, RESIDUAL) &&
        !cr_node_has_activation(conv, "act")) {
        CR_TRY(cr_node_take_activation(conv, "act", ACT_SLOPE, user, 1));
        CR_TRY(cr_node_take_over(conv, 0, user));
        *again = true;
    } else if (user && cr_is_ours(user, "Add") && (residual = residual_of(extents, conv, user))) {
        CR_TRY(take_add(conv, user, residual));
        *again = true;
    }
    return CREASE_OK;
}

static crease_status fuse_conv(const cr_extents *extents, cr_node *conv) {
    for (bool again = true; again;)
        CR_TRY(take_user(extents, conv, &again));
    return CREASE_OK;
}

crease_status cr_pass_fuse_epilogue(cr_graph *graph) {
    return cr_lower_each(graph, is_conv, fuse_conv);
}
