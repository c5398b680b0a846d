#include "passes/fold.h"

/* before: BatchNormalization, then an affine on the same channels; or an affine, then a
 *         BatchNormalization
 * after:  one BatchNormalization: behind, scale' = scale s, B' = (B - mean) s + beta, statistics
 *         untouched; ahead, scale' = scale s, mean' = 0, B' = the whole shift, variance untouched
 * not:    parameters not constant, training mode, another axis or channel count, a node that the
 *         user keeps
 * why:    a BatchNormalization at inference is linear in scale and B; s1 (x - m1) + b1 composed
 *         with s2 (y - m2) + b2 is s1 s2 (x - m1) + (b1 - m2) s2 + b2. The division by sqrt(var +
 *         epsilon) stays where it is. */

static crease_status read(cr_plan *plan, cr_node *node, const cr_affine *affine, cr_affine *own,
                          bool *taken) {
    int data;
    *taken = cr_node_is(node, "BatchNormalization");
    if (!*taken)
        return CREASE_OK;
    plan->reached = true;
    if (!cr_fold_chosen(plan->settings, node)) {
        cr_refuse(&plan->refusal, "keep", "'%s' is left as asked for, and its parameters with it",
                  node->name);
        return CREASE_OK;
    }
    CR_TRY(cr_affine_of(node, &plan->arena, own, &data, &plan->refusal));
    if (plan->refusal.code || !cr_channels_agree(plan, node, affine, 1, own->n))
        return CREASE_OK;
    return cr_plan_leaf(plan, node, "bn", 1);
}

static crease_status plan_parameter(cr_plan *plan, cr_node *bn, int input, cr_tensor **to) {
    const cr_tensor *old = cr_node_constant(bn, input);
    return cr_plan_constant(plan, bn, input, bn->inputs[input]->name, old->dtype, &old->shape, to);
}

static crease_status put_scale(cr_plan *plan, cr_node *bn, const cr_affine *a, cr_fit *fit) {
    const cr_tensor *gamma = cr_node_constant(bn, 1);
    cr_tensor *to;
    if (!cr_affine_scales(a))
        return CREASE_OK;
    CR_TRY(plan_parameter(plan, bn, 1, &to));
    for (int64_t c = 0; c < gamma->shape.dims[0]; c++)
        cr_put(to, c, cr_load_float(gamma->dtype, gamma->data, c) * cr_affine_scale(a, c), fit);
    return CREASE_OK;
}

crease_status cr_fold_into_bn(cr_plan *plan, cr_node *node, const cr_affine *affine, bool *taken) {
    cr_affine own;
    cr_tensor *beta;
    cr_fit fit = {0};
    CR_TRY(read(plan, node, affine, &own, taken));
    if (!*taken || plan->refusal.code)
        return CREASE_OK;
    CR_TRY(put_scale(plan, node, affine, &fit));
    CR_TRY(plan_parameter(plan, node, 2, &beta));
    for (int64_t c = 0; c < own.n; c++)
        cr_put(beta, c, cr_affine_at(affine, c, own.beta[c]), &fit);
    cr_refuse_unfit(&plan->refusal, &fit, node->inputs[1]->name, node->inputs[1]->dtype);
    return CREASE_OK;
}

crease_status cr_fold_ahead_bn(cr_plan *plan, cr_node *node, int input, const cr_affine *affine,
                               bool *taken) {
    cr_affine own;
    cr_tensor *beta, *mean;
    cr_fit fit = {0};
    *taken = false;
    if (input == 0 && !plan->has_bn) /* of two BatchNormalizations the second goes into the first */
        CR_TRY(read(plan, node, affine, &own, taken));
    if (!*taken || plan->refusal.code)
        return CREASE_OK;
    CR_TRY(put_scale(plan, node, affine, &fit));
    CR_TRY(plan_parameter(plan, node, 2, &beta));
    CR_TRY(plan_parameter(plan, node, 3, &mean));
    for (int64_t c = 0; c < own.n; c++) {
        cr_put(beta, c, cr_affine_at(&own, c, cr_affine_shift(affine, c)), &fit);
        cr_put(mean, c, 0, &fit);
    }
    cr_refuse_unfit(&plan->refusal, &fit, node->inputs[1]->name, node->inputs[1]->dtype);
    return CREASE_OK;
}
