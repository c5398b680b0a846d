#include "passes/extents.h"
#include "passes/lower.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/infer.h"

/* before: integers computed from extents (Shape, Gather, Div ...: where a Slice of half the channels
 *         begins)
 * after:  constants
 * not:    those of extents that inputs decide; graph outputs
 * why:    the extents in question are the same in every run, though others of the same tensor are
 *         not, and operators with constant bounds can be lowered. */

static crease_status make_constant(cr_value *value, const int64_t *numbers) {
    cr_value *constant;
    cr_tensor *t;
    CR_TRY(cr_graph_new_constant(value->graph, value->name, value->dtype, &value->shape, &constant, &t));
    for (int64_t i = 0; i < cr_shape_n(&value->shape); i++)
        if (value->dtype == CREASE_INT64)
            ((int64_t *)t->data)[i] = numbers[i];
        else
            ((int32_t *)t->data)[i] = (int32_t)numbers[i];
    return cr_value_replace(value, constant);
}

static crease_status replace(cr_graph *graph, const cr_extents *extents, bool *changed) {
    CR_FOR_NODES(node, graph) {
        cr_value *y = cr_node_output(node, 0);
        int64_t numbers[CR_MAX_RANK];
        if (y && y->n_uses && !y->n_outputs && cr_shape_is_static(&y->shape) &&
            cr_extents_numbers(extents, y, numbers) == cr_shape_n(&y->shape)) {
            CR_TRY(make_constant(y, numbers));
            *changed = true;
        }
    }
    return CREASE_OK;
}

crease_status cr_pass_known_lists(cr_graph *graph) {
    cr_extents *extents;
    bool changed = false;
    CR_TRY(cr_extents_create(graph, &extents));
    crease_status status = replace(graph, extents, &changed);
    cr_extents_free(extents);
    if (status != CREASE_OK || !changed)
        return status;
    CR_TRY(cr_model_drop_dead(graph->model));
    return cr_graph_infer(graph->model->graph);
}
