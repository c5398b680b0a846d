#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

/* before: crease.Affine, or a sum or product of two, then crease.Activation
 * after:  the first with the activation of its result
 * not:    a result that is used elsewhere; the plain layout
 * why:    the kernels apply the same function before they store. */

/* The input that takes the slope of a PRelu; 0: the node takes no activation. */
static int slope_input(const cr_node *node) {
    if (!node->lanes || cr_node_has_activation(node, "act"))
        return 0;
    return cr_is_pair(node) ? 2 : cr_is_ours(node, "Affine") ? 3 : 0;
}

crease_status cr_pass_fuse_elementwise(cr_graph *graph) {
    CR_FOR_NODES(node, graph) {
        cr_node *user = cr_node_only_user(node);
        const int slope = slope_input(node);
        if (!slope || !user || !cr_is_ours(user, "Activation"))
            continue;
        CR_TRY(cr_node_take_activation(node, "act", slope, user, 1));
        CR_TRY(cr_node_take_over(node, 0, user));
    }
    return CREASE_OK;
}
