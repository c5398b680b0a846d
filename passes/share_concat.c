#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

/* before: A = Concat(x, y), B = Concat(x, y, z)
 * after:  B = Concat(A, z)
 * not:    different axes
 * why:    the bytes are the same; in the memory plan A can then be the beginning of B, so that a
 *         network that concatenates all features before it at each layer (DenseNet) copies none of
 *         them. */

static crease_status axis_of(const cr_node *node, int64_t *axis) {
    CR_TRY(cr_attr_int(node, "axis", 1, axis));
    const cr_value *out = cr_node_output(node, 0);
    if (*axis < 0 && out && out->shape.rank > 0)
        *axis += out->shape.rank;
    return CREASE_OK;
}

/* Inputs of `shorter`, if `longer` begins with all of them; else 0. */
static int shared_inputs(const cr_node *shorter, const cr_node *longer) {
    int i = 0;
    while (i < shorter->n_inputs && i < longer->n_inputs && shorter->inputs[i] == longer->inputs[i])
        i++;
    return i == shorter->n_inputs && i < longer->n_inputs ? i : 0;
}

/* The earlier Concat with most inputs that `node` begins with, as the file has them. */
static crease_status find_beginning(const cr_node *node, const cr_node **beginning) {
    int64_t axis, other;
    int best = 1;
    *beginning = NULL;
    CR_TRY(axis_of(node, &axis));
    for (const cr_node *earlier = node->previous; earlier; earlier = earlier->previous) {
        if (!cr_node_is(earlier, "Concat"))
            continue;
        CR_TRY(axis_of(earlier, &other));
        const int shared = other == axis ? shared_inputs(earlier, node) : 0;
        if (shared > best) {
            best = shared;
            *beginning = earlier;
        }
    }
    return CREASE_OK;
}

static crease_status begin_with(cr_node *node, const cr_node *beginning) {
    const int shared = beginning->n_inputs, rest = node->n_inputs - shared;
    CR_TRY(cr_node_set_input(node, 0, beginning->outputs[0]));
    for (int i = 0; i < rest; i++)
        CR_TRY(cr_node_set_input(node, 1 + i, node->inputs[shared + i]));
    return cr_node_keep_inputs(node, 1 + rest);
}

/* From the end, so that a Concat is still as the file has it when later ones are compared with it. */
crease_status cr_pass_share_concat(cr_graph *graph) {
    for (cr_node *node = graph->last, *previous; node; node = previous) {
        const cr_node *beginning = NULL;
        previous = node->previous;
        if (cr_node_is(node, "Concat"))
            CR_TRY(find_beginning(node, &beginning));
        if (beginning)
            CR_TRY(begin_with(node, beginning));
    }
    return CREASE_OK;
}
