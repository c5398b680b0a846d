#include "passes/fold.h"
#include "runtime/graph/attr.h"

#include <string.h>

/* before: an affine, then Conv or ConvTranspose
 * after:  the operator alone, W'[o, i] = W[o, i] s[i], b'[o] = b[o] + sum over i and taps of W[o,
 *         i] t[i]
 * not:    a Conv that pads, unless every t is 0: the zeros of the padding stand behind the affine,
 *         and at the border a part of the taps sees them, so that no single bias is right. A
 *         ConvTranspose unless every t is 0 or every output sees every tap (kernel 1, stride 1, no
 *         padding). Weights not constant, another channel axis or count, overflow
 * why:    without padding every output sums over all taps, so that the shift adds the same constant
 *         everywhere. */

static bool kernel_is_one(const cr_tensor *w) {
    for (int d = 2; d < w->shape.rank; d++)
        if (w->shape.dims[d] != 1)
            return false;
    return true;
}

/* Whether some output may see fewer taps than others, or zeros that stand for nothing in the input. */
static crease_status has_border(const cr_node *node, bool *border) {
    const char *auto_pad;
    bool no_pads, unit_stride, no_extra;
    CR_TRY(cr_attr_string(node, "auto_pad", "NOTSET", &auto_pad));
    CR_TRY(cr_attr_all(node, "pads", 0, &no_pads));
    CR_TRY(cr_attr_all(node, "strides", 1, &unit_stride));
    CR_TRY(cr_attr_all(node, "output_padding", 0, &no_extra));
    bool one = kernel_is_one(cr_node_constant(node, 1)), same = strncmp(auto_pad, "SAME", 4) == 0;
    if (cr_node_is(node, "Conv"))
        *border = same ? !one : !no_pads; /* SAME adds nothing around a kernel of 1 */
    else
        *border = !no_pads || !one || !unit_stride || !no_extra || cr_attr_find(node, "output_shape");
    return CREASE_OK;
}

typedef struct geometry {
    int64_t group, in, out, taps; /* all input and output channels */
    bool transposed;
} geometry;

static crease_status geometry_of(cr_plan *plan, const cr_node *node, geometry *g) {
    const cr_tensor *w = cr_node_constant(node, 1), *b = cr_node_constant(node, 2);
    *g = (geometry){.transposed = cr_node_is(node, "ConvTranspose")};
    CR_TRY(cr_attr_int(node, "group", 1, &g->group));
    bool valid = w->shape.rank >= 3 && cr_shape_n(&w->shape) > 0 && g->group >= 1 &&
                 w->shape.dims[0] % g->group == 0 && cr_shape_product(&w->shape, 2, w->shape.rank, &g->taps);
    if (valid) { /* group <= dims[0]: the product is bounded by the number of elements */
        g->in = g->transposed ? w->shape.dims[0] : w->shape.dims[1] * g->group;
        g->out = g->transposed ? w->shape.dims[1] * g->group : w->shape.dims[0];
    }
    if (!valid || (b && (b->shape.rank != 1 || b->shape.dims[0] != g->out)))
        cr_refuse(&plan->refusal, "axis-mismatch",
                  "the shapes of weight and bias of '%s' do not fit together", node->name);
    return CREASE_OK;
}

/* Visit the runs of taps, one for each pair of connected channels: scale them, sum what the shift adds. */
static void scale_runs(const geometry *g, const cr_tensor *w, const cr_affine *a, cr_tensor *to, double *sum,
                       cr_fit *fit) {
    int64_t rows = w->shape.dims[0], columns = w->shape.dims[1];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            int64_t other = r / (rows / g->group) * columns + c, begin = (r * columns + c) * g->taps;
            int64_t in = g->transposed ? r : other, out = g->transposed ? other : r;
            double shift = cr_affine_shift(a, in);
            if (to)
                cr_put_scaled(to, w, begin, g->taps, cr_affine_scale(a, in), fit);
            for (int64_t i = begin; shift != 0 && i < begin + g->taps; i++)
                sum[out] += shift * cr_load_float(w->dtype, w->data, i);
        }
}

/* Of a ConvTranspose with kernel 1 every output sees each tap once, as of a Conv without padding. */
static crease_status put_bias(cr_plan *plan, cr_node *node, const geometry *g, const double *sum,
                              cr_fit *fit) {
    const cr_tensor *w = cr_node_constant(node, 1), *b = cr_node_constant(node, 2);
    const char *name = b ? node->inputs[2]->name : NULL;
    cr_tensor *to;
    cr_shape shape = cr_shape_of(1, &g->out);
    if (!b)
        CR_TRY(cr_arena_format(&plan->model->arena, &name, "%.900s.bias", node->inputs[1]->name));
    CR_TRY(cr_plan_constant(plan, node, 2, name, b ? b->dtype : w->dtype, &shape, &to));
    for (int64_t o = 0; o < g->out; o++)
        cr_put(to, o, cr_bias_at(b, o) + sum[o], fit);
    return CREASE_OK;
}

static crease_status put(cr_plan *plan, cr_node *node, const geometry *g, const cr_affine *a) {
    const cr_tensor *w = cr_node_constant(node, 1);
    cr_tensor *to = NULL;
    cr_fit fit = {0};
    double *sum;
    CR_TRY(CR_ARENA_NEW(&plan->arena, &sum, (size_t)g->out));
    if (cr_affine_scales(a))
        CR_TRY(cr_plan_constant(plan, node, 1, node->inputs[1]->name, w->dtype, &w->shape, &to));
    scale_runs(g, w, a, to, sum, &fit);
    if (cr_affine_shifts(a))
        CR_TRY(put_bias(plan, node, g, sum, &fit));
    cr_refuse_unfit(&plan->refusal, &fit, node->inputs[1]->name, w->dtype);
    return CREASE_OK;
}

static void refuse_border(cr_plan *plan, const cr_node *node) {
    if (cr_node_is(node, "Conv"))
        cr_refuse(&plan->refusal, "padded-border",
                  "'%s' behind it pads with zeros (attributes 'pads', 'auto_pad'), which the shift does not "
                  "reach, so that no bias of an ONNX file is right at the border",
                  node->name);
    else
        cr_refuse(&plan->refusal, "border-values",
                  "the outputs of '%s' see different numbers of its taps, so that no bias adds up the shift; "
                  "put the normalisation behind it",
                  node->name);
}

crease_status cr_fold_ahead_conv(cr_plan *plan, cr_node *node, int input, const cr_affine *affine,
                                 bool *taken) {
    geometry g;
    bool border;
    *taken = input == 0 && (cr_node_is(node, "Conv") || cr_node_is(node, "ConvTranspose"));
    if (!*taken)
        return CREASE_OK;
    plan->reached = true;
    if (!cr_linear_is_constant(plan, node))
        return CREASE_OK;
    CR_TRY(geometry_of(plan, node, &g));
    if (plan->refusal.code || !cr_channels_agree(plan, node, affine, 1, g.in))
        return CREASE_OK;
    CR_TRY(has_border(node, &border));
    if (border && cr_affine_shifts(affine)) {
        refuse_border(plan, node);
        return CREASE_OK;
    }
    CR_TRY(cr_plan_leaf(plan, node, g.transposed ? "conv-transpose" : "conv", g.in / g.group * g.taps));
    return put(plan, node, &g, affine);
}
