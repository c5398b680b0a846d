#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

#include <stdio.h>

/* before: crease.Conv with groups, and crease.GlobalAveragePool of its result (squeeze and excite)
 * after:  the pool averages output 1 of the Conv, the means of its rows
 * not:    a pool with an affine of its own, which is not linear behind an activation
 * why:    the rows are averaged while they are in the nearest cache; the mean of all means of rows of one
 *         length is the mean of all pixels. Other convolutions have no whole rows at hand. */

static bool has_groups(const cr_node *node) {
    int64_t groups;
    return cr_is_ours(node, "Conv") && node->n_outputs == 1 &&
           cr_attr_int(node, "group", 1, &groups) == CREASE_OK && groups > 1;
}

static bool averages(const cr_use *use, const cr_node *conv) {
    return cr_is_ours(use->node, "GlobalAveragePool") && use->node->graph == conv->graph &&
           use->node->lanes == conv->lanes && use->node->n_inputs == 1;
}

static crease_status add_means(cr_node *conv, cr_value **means) {
    char name[256];
    snprintf(name, sizeof name, "%.200s_row_means", conv->outputs[0]->name);
    CR_TRY(cr_graph_add_value(conv->graph, name, true, means));
    (*means)->dtype = conv->outputs[0]->dtype;
    return cr_node_add_output(conv, *means);
}

/* Uses go as they are moved, the last first. */
static crease_status use_means(const cr_extents *extents, cr_node *conv) {
    const cr_value *y = conv->outputs[0];
    cr_value *means = NULL;
    (void)extents;
    for (int i = y->n_uses - 1; i >= 0; i--)
        if (averages(&y->uses[i], conv)) {
            if (!means)
                CR_TRY(add_means(conv, &means));
            CR_TRY(cr_node_set_input(y->uses[i].node, 0, means));
        }
    return CREASE_OK;
}

crease_status cr_pass_fuse_means(cr_graph *graph) {
    return cr_lower_each(graph, has_groups, use_means);
}
