#include "passes/fold.h"
#include "runtime/graph/attr.h"

#include <math.h>

/* before: Conv, ConvTranspose, Gemm or MatMul whose weights are DequantizeLinear(q, scale, zero
 *         point) of constants; then an affine
 * after:  scale'[o] = scale[o] |s[o]|, and q and its zero point as they were. Where s < 0, q' = 2
 *         zero - q; where s = 0, q' = zero and scale' = 1. A quantised bias becomes one in floating
 *         point.
 * not:    an output_dtype other than that of the scale; blocks of another shape than an output
 *         channel (groups of a ConvTranspose, block_size); one scale for all before operator set 13,
 *         which has no scales for each channel; a q whose mirror its type does not hold (-128 in
 *         int8 with zero point 0); q of another type than 8, 16 or 32 bits where it would have to
 *         change; a computed q, scale or zero point
 * why:    (q - zero) (scale s) is the dequantised weight times s, rounded once, in the scale.
 *         Quantising the product anew would err by half a step of every weight. */

typedef struct quantized {
    const cr_tensor *q, *scale, *zero; /* zero NULL: 0 */
    int64_t axis;
} quantized;

/* Its result has the type of its scale, which is what weights and biases put in its place get. */
static bool keeps_type(const cr_node *dq, crease_dtype scale) {
    const cr_attr *stated = cr_attr_find(dq, "output_dtype");
    return !stated ||
           (stated->type == CR_ATTR_INT && (stated->ints[0] == 0 || stated->ints[0] == (int64_t)scale));
}

static const cr_node *dequantize_of(const cr_node *node, int input) {
    const cr_value *v = cr_node_input(node, input);
    const cr_node *dq = v && v->producer && cr_node_is(v->producer, "DequantizeLinear") ? v->producer : NULL;
    bool constant = dq && cr_node_constant(dq, 0) && cr_node_constant(dq, 1) &&
                    (!cr_node_input(dq, 2) || cr_node_constant(dq, 2));
    const crease_dtype scale = constant ? cr_node_constant(dq, 1)->dtype : 0;
    return cr_dtype_is_float(scale) && keeps_type(dq, scale) ? dq : NULL;
}

bool cr_is_quantized(const cr_node *node) {
    const cr_value *bias = cr_node_input(node, 2);
    return dequantize_of(node, 1) && (!bias || bias->constant || dequantize_of(node, 2));
}

const cr_tensor *cr_stored_weight(const cr_node *node) {
    const cr_node *dq = dequantize_of(node, 1);
    return dq ? cr_node_constant(dq, 0) : cr_node_constant(node, 1);
}

crease_dtype cr_weight_dtype(const cr_node *node) {
    const cr_node *dq = dequantize_of(node, 1);
    return dq ? cr_node_constant(dq, 1)->dtype : cr_node_constant(node, 1)->dtype;
}

static bool holds_integers(const cr_tensor *t) {
    return t->dtype == CREASE_INT8 || t->dtype == CREASE_UINT8 || t->dtype == CREASE_INT16 ||
           t->dtype == CREASE_UINT16 || t->dtype == CREASE_INT32;
}

static crease_status read_quantized(const cr_node *dq, int rank, quantized *z, bool *valid) {
    int64_t block;
    z->q = cr_node_constant(dq, 0);
    z->scale = cr_node_constant(dq, 1);
    z->zero = cr_node_constant(dq, 2);
    CR_TRY(cr_attr_int(dq, "axis", 1, &z->axis));
    CR_TRY(cr_attr_int(dq, "block_size", 0, &block));
    z->axis += z->axis < 0 ? rank : 0;
    *valid =
        block == 0 && z->scale->shape.rank <= 1 &&
        (!z->zero || (cr_shape_equal(&z->zero->shape, &z->scale->shape) && z->zero->dtype == z->q->dtype));
    return CREASE_OK;
}

static int64_t at_channel(const cr_tensor *t, int64_t c) {
    return cr_shape_n(&t->shape) == 1 ? 0 : c;
}

static int64_t zero_at(const quantized *z, int64_t c) {
    return z->zero ? cr_tensor_int(z->zero, at_channel(z->zero, c)) : 0;
}

static double scale_at(const quantized *z, int64_t c) {
    return cr_load_float(z->scale->dtype, z->scale->data, at_channel(z->scale, c));
}

/* ---- the bias, in floating point ---- */

crease_status cr_bias_of(cr_plan *plan, const cr_node *node, int input, const cr_tensor **bias) {
    const cr_node *dq = dequantize_of(node, input);
    quantized z;
    bool valid;
    *bias = cr_node_constant(node, input);
    if (!dq)
        return CREASE_OK;
    CR_TRY(read_quantized(dq, 1, &z, &valid));
    int64_t n = cr_shape_n(&z.q->shape), n_scales = cr_shape_n(&z.scale->shape);
    if (!valid || z.q->shape.rank != 1 || !holds_integers(z.q) || (n_scales != 1 && n_scales != n)) {
        cr_refuse(&plan->refusal, "quantized", "'%s' of '%s' is quantised in blocks or in a type of its own",
                  node->inputs[input]->name, node->name);
        return CREASE_OK;
    }
    cr_tensor *values;
    double *numbers;
    CR_TRY(CR_ARENA_NEW(&plan->arena, &values, 1));
    CR_TRY(CR_ARENA_NEW(&plan->arena, &numbers, (size_t)n));
    for (int64_t i = 0; i < n; i++)
        numbers[i] = (double)(cr_tensor_int(z.q, i) - zero_at(&z, i)) * scale_at(&z, i);
    *values = (cr_tensor){.dtype = CREASE_DOUBLE, .shape = z.q->shape, .data = numbers};
    *bias = values;
    return CREASE_OK;
}

/* ---- the weights ---- */

static void store(cr_tensor *t, int64_t i, int64_t value) {
    switch (t->dtype) {
    case CREASE_INT8:
        ((int8_t *)t->data)[i] = (int8_t)value;
        break;
    case CREASE_UINT8:
        ((uint8_t *)t->data)[i] = (uint8_t)value;
        break;
    case CREASE_INT16:
        ((int16_t *)t->data)[i] = (int16_t)value;
        break;
    case CREASE_UINT16:
        ((uint16_t *)t->data)[i] = (uint16_t)value;
        break;
    default:
        ((int32_t *)t->data)[i] = (int32_t)value;
    }
}

static void refuse_form(cr_plan *plan, const cr_node *node, const char *why) {
    cr_refuse(&plan->refusal, "quantized", "the quantised weights '%s' of '%s' %s", node->inputs[1]->name,
              node->name, why);
}

/* Whether the channels of the affine have, or can be given, scales of their own. */
static bool takes_scales(const cr_plan *plan, const quantized *z, int axis, int64_t n) {
    int64_t n_scales = cr_shape_n(&z->scale->shape);
    if (z->q->shape.rank <= axis || z->q->shape.dims[axis] != n)
        return false;
    if (n_scales == 1)
        return n == 1 || cr_model_opset(plan->model, "") >= 13;
    return z->axis == axis && n_scales == n;
}

static crease_status put_scales(cr_plan *plan, cr_node *node, const quantized *z, const cr_affine *a,
                                int64_t n, cr_fit *fit) {
    cr_shape shape = n == 1 ? z->scale->shape : cr_shape_of(1, &n);
    const cr_node *dq = node->inputs[1]->producer;
    cr_tensor *to;
    CR_TRY(cr_plan_constant(plan, node, 1, dq->inputs[1]->name, z->scale->dtype, &shape, &to));
    cr_plan_behind(plan, 1);
    for (int64_t o = 0; o < n; o++) {
        double s = fabs(cr_affine_scale(a, o));
        cr_put(to, o, s == 0 ? 1 : scale_at(z, o) * s, fit);
    }
    if (!z->zero || cr_shape_equal(&shape, &z->zero->shape))
        return CREASE_OK;
    if (!holds_integers(z->zero)) {
        refuse_form(plan, node, "are of a type whose zero point cannot be repeated");
        return CREASE_OK;
    }
    CR_TRY(cr_plan_constant(plan, node, 2, dq->inputs[2]->name, z->q->dtype, &shape, &to));
    cr_plan_behind(plan, 1);
    for (int64_t o = 0; o < n; o++)
        store(to, o, zero_at(z, o));
    return CREASE_OK;
}

/* Mirrored at the zero point where s < 0, the zero point itself where s = 0. */
static crease_status put_mirrored(cr_plan *plan, cr_node *node, const quantized *z, const cr_affine *a,
                                  int axis) {
    int64_t inner, n = z->q->shape.dims[axis], all = cr_shape_n(&z->q->shape);
    cr_tensor *to;
    if (!cr_shape_product(&z->q->shape, axis + 1, z->q->shape.rank, &inner) || !holds_integers(z->q)) {
        refuse_form(plan, node, "are of a type whose signs cannot be changed");
        return CREASE_OK;
    }
    CR_TRY(cr_plan_constant(plan, node, 0, node->inputs[1]->producer->inputs[0]->name, z->q->dtype,
                            &z->q->shape, &to));
    cr_plan_behind(plan, 1);
    for (int64_t i = 0; i < all; i++) {
        int64_t o = i / inner % n, q = cr_tensor_int(z->q, i), zero = zero_at(z, o);
        double s = cr_affine_scale(a, o);
        store(to, i, s > 0 ? q : s < 0 ? 2 * zero - q : zero);
        if (s < 0 && cr_tensor_int(to, i) != 2 * zero - q)
            refuse_form(plan, node, "hold a number whose negative their type does not have");
    }
    return CREASE_OK;
}

static bool is_positive(const cr_affine *a) {
    for (int64_t c = 0; c < a->n; c++)
        if (!(a->s[c] > 0))
            return false;
    return true;
}

crease_status cr_scale_quantized(cr_plan *plan, cr_node *node, int axis, int64_t n, const cr_affine *affine,
                                 cr_fit *fit) {
    quantized z;
    bool valid;
    CR_TRY(read_quantized(node->inputs[1]->producer, cr_stored_weight(node)->shape.rank, &z, &valid));
    if (!valid || !takes_scales(plan, &z, axis, n)) {
        refuse_form(plan, node, "have no scale for each output channel");
        return CREASE_OK;
    }
    CR_TRY(cr_plan_own_producer(plan, node, 1));
    CR_TRY(put_scales(plan, node, &z, affine, n, fit));
    if (plan->refusal.code)
        return CREASE_OK;
    if (n > 1) {
        CR_TRY(cr_plan_set_int(plan, node, "axis", axis));
        cr_plan_behind(plan, 1);
    }
    return is_positive(affine) ? CREASE_OK : put_mirrored(plan, node, &z, affine, axis);
}
