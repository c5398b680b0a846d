#include "passes/fold.h"
#include "runtime/graph/attr.h"

/* before: Conv or ConvTranspose, then an affine on its output channels
 * after:  the same operator alone, W'[o] = W[o] s[o], b' = (b - mean) s + beta
 * not:    weights or bias not constant, another channel axis or count, results that the weights'
 *         type cannot hold
 * why:    a convolution is linear in the weights of each output channel, so that s (W x + b - mean)
 *         + beta is W' x + b'. Weights are [Cout, Cin / g, k...] for Conv and [Cin, Cout / g, k...]
 *         for ConvTranspose, where input channel i of group i / (Cin / g) feeds the Cout / g output
 *         channels of that group. Any rank, stride, dilation, padding and group. */

typedef struct layout {
    const cr_tensor *w, *b;   /* w may be quantised */
    int64_t group, out, taps; /* out: all output channels */
    int64_t summed;           /* most products that one output adds up */
    bool transposed;
} layout;

static crease_status layout_of(cr_plan *plan, const cr_node *node, layout *l) {
    const cr_shape *w;
    *l = (layout){.w = cr_stored_weight(node), .transposed = cr_node_is(node, "ConvTranspose")};
    w = &l->w->shape;
    CR_TRY(cr_bias_of(plan, node, 2, &l->b));
    CR_TRY(cr_attr_int(node, "group", 1, &l->group));
    bool valid = w->rank >= 3 && cr_shape_n(w) > 0 && l->group >= 1 && w->dims[0] % l->group == 0 &&
                 cr_shape_product(w, 2, w->rank, &l->taps);
    if (valid) { /* group <= dims[0]: the product is bounded by the number of elements */
        l->out = l->transposed ? w->dims[1] * l->group : w->dims[0];
        l->summed = (l->transposed ? w->dims[0] / l->group : w->dims[1]) * l->taps;
    }
    if (!valid || (l->b && (l->b->shape.rank != 1 || l->b->shape.dims[0] != l->out)))
        cr_refuse(&plan->refusal, "axis-mismatch",
                  "the shapes of weight and bias of '%s' do not fit together", node->name);
    return CREASE_OK;
}

static void scale_conv(cr_tensor *to, const cr_tensor *w, const layout *l, const cr_affine *a, cr_fit *fit) {
    int64_t run = w->shape.dims[1] * l->taps;
    for (int64_t o = 0; o < l->out; o++)
        cr_put_scaled(to, w, o * run, run, cr_affine_scale(a, o), fit);
}

static void scale_conv_transpose(cr_tensor *to, const cr_tensor *w, const layout *l, const cr_affine *a,
                                 cr_fit *fit) {
    int64_t in = w->shape.dims[0], per_group = w->shape.dims[1];
    for (int64_t i = 0; i < in; i++) {
        int64_t first = i / (in / l->group) * per_group;
        for (int64_t j = 0; j < per_group; j++)
            cr_put_scaled(to, w, (i * per_group + j) * l->taps, l->taps, cr_affine_scale(a, first + j), fit);
    }
}

static crease_status put_weight(cr_plan *plan, cr_node *node, const layout *l, const cr_affine *a,
                                cr_fit *fit) {
    cr_tensor *to;
    if (!cr_affine_scales(a))
        return CREASE_OK;
    if (cr_is_quantized(node))
        return cr_scale_quantized(plan, node, l->transposed ? 1 : 0, l->out, a, fit);
    CR_TRY(cr_plan_constant(plan, node, 1, node->inputs[1]->name, l->w->dtype, &l->w->shape, &to));
    if (l->transposed)
        scale_conv_transpose(to, l->w, l, a, fit);
    else
        scale_conv(to, l->w, l, a, fit);
    return CREASE_OK;
}

static crease_status put_bias(cr_plan *plan, cr_node *node, const layout *l, const cr_affine *a,
                              cr_fit *fit) {
    cr_shape shape = cr_shape_of(1, &l->out);
    const char *name = l->b ? node->inputs[2]->name : NULL;
    cr_tensor *to;
    if (!cr_affine_shifts(a) && !(l->b && cr_affine_scales(a)))
        return CREASE_OK;
    if (!name)
        CR_TRY(cr_arena_format(&plan->model->arena, &name, "%.900s.bias", node->inputs[1]->name));
    CR_TRY(cr_plan_constant(plan, node, 2, name, cr_weight_dtype(node), &shape, &to));
    for (int64_t o = 0; o < l->out; o++)
        cr_put(to, o, cr_affine_at(a, o, cr_bias_at(l->b, o)), fit);
    return CREASE_OK;
}

crease_status cr_fold_into_conv(cr_plan *plan, cr_node *node, const cr_affine *affine, bool *taken) {
    layout l;
    cr_fit fit = {0};
    *taken = cr_node_is(node, "Conv") || cr_node_is(node, "ConvTranspose");
    if (!*taken)
        return CREASE_OK;
    plan->reached = true;
    if (!cr_is_quantized(node) && !cr_linear_is_constant(plan, node))
        return CREASE_OK;
    CR_TRY(layout_of(plan, node, &l));
    if (plan->refusal.code || !cr_channels_agree(plan, node, affine, 1, l.out))
        return CREASE_OK;
    CR_TRY(cr_plan_leaf(plan, node, l.transposed ? "conv-transpose" : "conv", l.summed));
    CR_TRY(put_weight(plan, node, &l, affine, &fit));
    CR_TRY(put_bias(plan, node, &l, affine, &fit));
    if (!plan->refusal.code)
        cr_refuse_unfit(&plan->refusal, &fit, node->inputs[1]->name, cr_weight_dtype(node));
    return CREASE_OK;
}
