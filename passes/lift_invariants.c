#include "passes/pass.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

/* before: a Loop that carries a value which its body only hands on
 * after:  the body uses the value from outside; it is handed on as before
 * not:    sequences and optionals
 * why:    every iteration sees the same. Exporters carry all that a body uses, weights too: a constant is one
 *         in the body now, to be folded with and packed once. */

enum { BEFORE_CARRIED = 2 }; /* inputs: the number of iterations and the condition, or what they are inside */

static crease_status lift(cr_value *carried, cr_value *outside) {
    while (carried->n_uses) {
        const cr_use use = carried->uses[carried->n_uses - 1];
        CR_TRY(cr_node_set_input(use.node, use.input, outside));
    }
    return CREASE_OK;
}

static crease_status lift_all(cr_node *loop) {
    cr_graph *body;
    CR_TRY(cr_attr_graph(loop, "body", &body));
    for (int i = BEFORE_CARRIED; body && i < loop->n_inputs && i < body->n_inputs; i++) {
        cr_value *outside = loop->inputs[i], *carried = body->inputs[i];
        const int output = i - 1; /* the condition comes before those that are carried */
        if (outside && outside->kind == CR_KIND_TENSOR && carried->kind == CR_KIND_TENSOR &&
            output < body->n_outputs && body->outputs[output] == carried)
            CR_TRY(lift(carried, outside));
    }
    return CREASE_OK;
}

static crease_status visit(cr_graph *graph, void *context) {
    (void)context;
    CR_FOR_NODES(node, graph)
    if (cr_node_is(node, "Loop"))
        CR_TRY(lift_all(node));
    return CREASE_OK;
}

crease_status cr_pass_lift_invariants(cr_model *model) {
    return cr_model_each_graph(model, visit, NULL);
}
