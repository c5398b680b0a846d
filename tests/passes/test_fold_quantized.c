#include "tests/passes/small.h"

#include "passes/affine.h"
#include "runtime/graph/attr.h"

/* What DequantizeLinear of constants means is computed here, since the nodes are folded as they stand. */

static cr_value *integers(small *s, const char *name, crease_dtype dtype, int rank, const int64_t *dims,
                          int low, int high) {
    cr_shape shape = cr_shape_of(rank, dims);
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(s->model->graph, name, dtype, &shape, &value, &t));
    for (int64_t i = 0; i < cr_shape_n(&shape); i++) {
        int q = (int)floor(small_random(s, low, high + 1));
        if (dtype == CREASE_INT32)
            ((int32_t *)t->data)[i] = q;
        else
            ((uint8_t *)t->data)[i] = (uint8_t)q;
    }
    return value;
}

static cr_value *dequantize(small *s, const char *name, cr_value *q, cr_value *scale, cr_value *zero,
                            int64_t axis) {
    cr_value *y = small_node(s, "DequantizeLinear", name, IN(q, scale, zero));
    OK(cr_node_set_int(small_find(s, name), "axis", axis));
    return y;
}

/* Element i of the weights of a node, whose channel lies on `axis`. */
static double weight_at(const cr_node *node, int input, int axis, int64_t i) {
    const cr_value *v = node->inputs[input];
    if (v->constant)
        return cr_load_float(v->constant->dtype, v->constant->data, i);
    const cr_tensor *q = cr_node_constant(v->producer, 0), *scale = cr_node_constant(v->producer, 1),
                    *zero = cr_node_constant(v->producer, 2);
    int64_t inner = 1;
    for (int d = axis + 1; d < q->shape.rank; d++)
        inner *= q->shape.dims[d];
    int64_t c = cr_shape_n(&scale->shape) == 1 ? 0 : i / inner % q->shape.dims[axis];
    return (double)(cr_tensor_int(q, i) - (zero ? cr_tensor_int(zero, c) : 0)) *
           cr_load_float(scale->dtype, scale->data, c);
}

/* x [1, 3, 4, 4] -> Conv to 4 channels, weights dequantised -> BN */
static small conv_bn(int64_t opset, int64_t n_scales, crease_dtype dtype, bool zero) {
    small s = small_begin(opset, DIMS(1, 3, 4, 4));
    int low = dtype == CREASE_UINT8 ? 60 : -127, high = dtype == CREASE_UINT8 ? 200 : 127;
    cr_value *q = integers(&s, "q", dtype, DIMS(4, 3, 2, 2), low, high);
    cr_value *scale = small_constant(&s, "scale", 0.01, 0.02, n_scales ? 1 : 0, &n_scales);
    cr_value *z = zero ? integers(&s, "zero", dtype, n_scales ? 1 : 0, &n_scales, 130, 130) : NULL;
    cr_value *w = dequantize(&s, "dq", q, scale, z, 0);
    cr_value *b = dequantize(&s, "dq_bias", integers(&s, "qb", CREASE_INT32, DIMS(4), -900, 900),
                             small_constant(&s, "sb", 0.001, 0.002, DIMS(4)), NULL, 0);
    small_output(&s, small_bn(&s, "bn", small_node(&s, "Conv", "conv", IN(s.x, w, b)), 4));
    return s;
}

/* Fold; require W' = W s and b' = (b - mean) s + beta of what the nodes mean. */
static void expect_scaled(small s, int axis, int64_t n) {
    double old[256], bias[4], scale[4], at_zero[4];
    cr_node *conv = small_find(&s, "conv");
    cr_affine a;
    cr_refusal no;
    int data;
    for (int64_t i = 0; i < n; i++)
        old[i] = weight_at(conv, 1, axis, i);
    for (int64_t i = 0; i < 4; i++)
        bias[i] = conv->n_inputs > 2 ? weight_at(conv, 2, 0, i) : 0;
    OK(cr_affine_of(small_find(&s, "bn"), &s.model->arena, &a, &data, &no));
    for (int c = 0; c < 4; c++)
        scale[c] = a.s[c], at_zero[c] = cr_affine_at(&a, c, bias[c]);
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert(small_entry(&s, "bn").folded, "%s", small_entry(&s, "bn").detail);
    conv = small_find(&s, "conv");
    const cr_node *dq = conv->inputs[1]->producer;
    cr_assert(cr_node_is(dq, "DequantizeLinear"));
    int64_t inner = 1;
    for (int d = axis + 1; d < cr_node_constant(dq, 0)->shape.rank; d++)
        inner *= cr_node_constant(dq, 0)->shape.dims[d];
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabs(weight_at(conv, 1, axis, i) - old[i] * scale[i / inner % 4]) < 1e-14);
    for (int64_t c = 0; c < 4; c++)
        cr_assert(fabs(weight_at(conv, conv->n_inputs - 1, 0, c) - at_zero[c]) < 1e-13);
    small_end(&s);
}

Test(fold_quantized, scales_take_it) {
    expect_scaled(conv_bn(13, 4, CREASE_INT8, false), 0, 48);
    expect_scaled(conv_bn(13, 4, CREASE_UINT8, true), 0, 48);
    expect_scaled(conv_bn(13, 0, CREASE_UINT8, true), 0, 48); /* one scale becomes four */
    expect_scaled(conv_bn(13, 1, CREASE_INT8, false), 0, 48);
}

Test(fold_quantized, a_scale_of_zero_has_zero_weights_and_scale_1) {
    small s = conv_bn(13, 4, CREASE_UINT8, true);
    ((double *)small_find(&s, "bn")->inputs[1]->constant->data)[2] = 0;
    OK(cr_optimize_fold(s.model, NULL, s.report));
    const cr_node *dq = small_find(&s, "conv")->inputs[1]->producer;
    cr_assert_eq(((const double *)cr_node_constant(dq, 1)->data)[2], 1);
    for (int i = 24; i < 36; i++)
        cr_assert_eq(((const uint8_t *)cr_node_constant(dq, 0)->data)[i], 130);
    small_end(&s);
}

static void expect_kept(small s, const char *reason) {
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert(!small_entry(&s, "bn").folded, "%s: %s", reason, small_entry(&s, "bn").pattern);
    cr_assert_str_eq(small_entry(&s, "bn").reason, reason);
    small_end(&s);
}

/* What is no valid DequantizeLinear is refused before any pass sees it. */
static void expect_invalid(small s) {
    cr_assert_eq(cr_optimize_fold(s.model, NULL, s.report), CREASE_ERROR_MODEL);
    small_end(&s);
}

Test(fold_quantized, minus_128_has_no_negative) {
    for (int negative = 0; negative < 2; negative++) {
        small s = conv_bn(13, 4, CREASE_INT8, false);
        double *gamma = small_find(&s, "bn")->inputs[1]->constant->data;
        gamma[1] = negative ? -1 : 1;
        ((int8_t *)cr_node_constant(small_find(&s, "dq"), 0)->data)[12] = -128;
        if (negative)
            expect_kept(s, "quantized");
        else
            expect_scaled(s, 0, 48);
    }
}

Test(fold_quantized, refuses_other_forms) {
    expect_kept(conv_bn(12, 0, CREASE_INT8, false), "quantized"); /* no scales by channel yet */
    small s = conv_bn(21, 4, CREASE_INT8, false);
    OK(cr_node_set_int(small_find(&s, "dq"), "block_size", 2));
    expect_invalid(s);
    s = conv_bn(13, 4, CREASE_INT8, false); /* scales of the input channels */
    OK(cr_node_set_int(small_find(&s, "dq"), "axis", 1));
    expect_invalid(s);
}

/* Four-bit numbers are packed: their scales change, they themselves do not. */
Test(fold_quantized, packed_types) {
    for (int kind = 0; kind < 3; kind++) {
        int64_t n = kind == 2 ? 1 : 4;
        small s = conv_bn(21, n, CREASE_INT8, false);
        cr_node *dq = small_find(&s, "dq");
        cr_shape shape = cr_node_constant(dq, 0)->shape, one = cr_shape_of(1, &n);
        cr_value *q, *zero;
        cr_tensor *t;
        OK(cr_graph_new_constant(s.model->graph, "q4", CREASE_INT4, &shape, &q, &t));
        memset(t->data, 0x73, 24);
        OK(cr_graph_new_constant(s.model->graph, "z4", CREASE_INT4, &one, &zero, &t));
        memset(t->data, 0x11, (size_t)(n + 1) / 2);
        OK(cr_node_set_input(dq, 0, q));
        OK(cr_node_set_input(dq, 2, zero));
        for (int c = 0; c < 4; c++)
            ((double *)small_find(&s, "bn")->inputs[1]->constant->data)[c] = kind == 1 && c ? -1 : 1;
        OK(cr_optimize_fold(s.model, NULL, s.report));
        crease_fold_entry e = small_entry(&s, "bn");
        if (kind == 0)
            cr_assert(e.folded, "%s", e.detail);
        else
            cr_assert_str_eq(e.reason, "quantized");
        small_end(&s);
    }
}

Test(fold_quantized, hostile_forms) {
    small s = conv_bn(13, 3, CREASE_INT8, false); /* three scales for four channels */
    expect_invalid(s);
    s = conv_bn(13, 4, CREASE_INT8, false);
    OK(cr_node_set_input(small_find(&s, "dq_bias"), 1, small_constant(&s, "none", 0, 1, DIMS(0))));
    expect_invalid(s);
    s = conv_bn(13, 4, CREASE_INT8, false);
    OK(cr_node_set_int(small_find(&s, "dq"), "axis", 1LL << 40));
    expect_invalid(s);
    s = conv_bn(13, 4, CREASE_INT8, false);
    OK(cr_node_set_int(small_find(&s, "dq"), "output_dtype", CREASE_FLOAT16));
    expect_invalid(s);
    s = conv_bn(13, 4, CREASE_INT8, false);
    ((double *)cr_node_constant(small_find(&s, "dq"), 1)->data)[1] = INFINITY;
    expect_kept(s, "non-finite");
}

/* x [1, 3, 4, 4] in float64 -> Conv, its weights dequantised to float64 by a scale of this type -> affine */
static small conv_of_scale(crease_dtype scale, const char *affine) {
    small s = small_begin(23, DIMS(1, 3, 4, 4));
    cr_value *q = integers(&s, "q", CREASE_INT8, DIMS(4, 3, 1, 1), -127, 127), *one;
    cr_tensor *t;
    OK(cr_graph_new_constant(s.model->graph, "scale", scale, &(cr_shape){.rank = 0}, &one, &t));
    cr_store_float(scale, t->data, 0, 0.01);
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, dequantize(&s, "dq", q, one, NULL, 0)));
    OK(cr_node_set_int(small_find(&s, "dq"), "output_dtype", CREASE_DOUBLE));
    y = strcmp(affine, "Add") == 0
            ? small_node(&s, "Add", "bn", IN(y, small_constant(&s, "c", -1, 1, DIMS(4, 1, 1))))
            : small_bn(&s, "bn", y, 4);
    small_output(&s, y);
    return s;
}

/* A bias in the type of the scale would not fit the weights. */
Test(fold_quantized, an_output_type_other_than_that_of_the_scale) {
    expect_kept(conv_of_scale(CREASE_FLOAT, "BatchNormalization"), "quantized");
    small s = conv_of_scale(CREASE_FLOAT, "Add");
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_eq(cr_report_n_folded(s.report), 0);
    small_end(&s);
    for (int shift = 0; shift < 2; shift++) {
        s = conv_of_scale(CREASE_DOUBLE, shift ? "Add" : "BatchNormalization");
        OK(cr_optimize_fold(s.model, NULL, s.report));
        cr_assert_str_eq(small_entry(&s, "bn").pattern, shift ? "conv-add" : "conv-bn");
        cr_assert_eq(small_find(&s, "conv")->inputs[2]->dtype, CREASE_DOUBLE);
        small_end(&s);
    }
}

/* A clone has no names for nodes that went. */
static void fold_clone(small *s) {
    cr_model *clone;
    small_node(s, "Relu", "gone", IN(s->x));
    OK(cr_node_remove(small_find(s, "gone")));
    OK(cr_model_clone(s->model, s->heap, &clone));
    cr_model_destroy(s->model);
    s->model = clone;
    OK(cr_optimize_fold(s->model, NULL, s->report));
}

Test(fold_quantized, shared_weights_keep_their_node) {
    small s = conv_bn(13, 4, CREASE_INT8, false);
    cr_node *dq = small_find(&s, "dq");
    small_output(&s, small_node(&s, "Conv", "other", IN(s.x, dq->outputs[0])));
    const int scale = dq->inputs[1]->id;
    fold_clone(&s);
    const cr_node *first = small_find(&s, "other")->inputs[1]->producer,
                  *second = small_find(&s, "conv")->inputs[1]->producer;
    cr_assert(small_entry(&s, "bn").folded);
    cr_assert_eq(first->inputs[1]->id, scale);
    cr_assert_neq(first, second);
    cr_assert_str_eq(first->name, "dq");
    cr_assert_str_eq(second->name, "dq_2"); /* names stay unique */
    small_end(&s);
}

Test(fold_quantized, gemm_columns) {
    for (int trans = 0; trans < 2; trans++) {
        small s = small_begin(13, DIMS(2, 5));
        cr_value *q = trans ? integers(&s, "q", CREASE_INT8, DIMS(4, 5), -127, 127)
                            : integers(&s, "q", CREASE_INT8, DIMS(5, 4), -127, 127);
        cr_value *w = dequantize(&s, "dq", q, small_constant(&s, "scale", 0.01, 0.02, 0, NULL), NULL, 1);
        small_output(&s, small_bn(&s, "bn", small_node(&s, "Gemm", "conv", IN(s.x, w)), 4));
        OK(cr_node_set_int(small_find(&s, "conv"), "transB", trans));
        expect_scaled(s, trans ? 0 : 1, 20);
    }
}

Test(fold_quantized, a_quantizer_between_is_a_barrier) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(2, 3, 1, 1)))),
             *scale = small_constant(&s, "s", 0.1, 0.2, 0, NULL);
    y = small_node(&s, "QuantizeLinear", "q", IN(y, scale));
    y = small_node(&s, "DequantizeLinear", "dq", IN(y, scale));
    small_output(&s, small_bn(&s, "bn", y, 2));
    expect_kept(s, "quantized-between");
}

Test(fold_quantized, inputs_channels_have_no_scales) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *q = integers(&s, "q", CREASE_INT8, DIMS(4, 3, 1, 1), -127, 127);
    cr_value *w = dequantize(&s, "dq", q, small_constant(&s, "scale", 0.01, 0.02, DIMS(4)), NULL, 0);
    cr_value *y = small_bn(&s, "bn", small_node(&s, "Relu", "relu", IN(s.x)), 3);
    small_output(&s, small_node(&s, "Conv", "conv", IN(y, w)));
    expect_kept(s, "quantized");
}

/* As many scales as output channels, but of the inputs. */
Test(fold_quantized, scales_of_the_other_axis) {
    small s = small_begin(13, DIMS(2, 4));
    cr_value *q = integers(&s, "q", CREASE_INT8, DIMS(4, 4), -127, 127);
    cr_value *w = dequantize(&s, "dq", q, small_constant(&s, "scale", 0.01, 0.02, DIMS(4)), NULL, 0);
    small_output(&s, small_bn(&s, "bn", small_node(&s, "MatMul", "conv", IN(s.x, w)), 4));
    expect_kept(s, "quantized");
}

/* Output channels of groups share an index of the weights, and with it a scale. */
Test(fold_quantized, groups_of_a_transposed_convolution) {
    small s = small_begin(13, DIMS(1, 4, 3, 3));
    cr_value *q = integers(&s, "q", CREASE_INT8, DIMS(4, 2, 1, 1), -127, 127);
    cr_value *w = dequantize(&s, "dq", q, small_constant(&s, "scale", 0.01, 0.02, 0, NULL), NULL, 1);
    small_output(&s, small_bn(&s, "bn", small_node(&s, "ConvTranspose", "conv", IN(s.x, w)), 4));
    OK(cr_node_set_int(small_find(&s, "conv"), "group", 2));
    expect_kept(s, "quantized");
}

Test(fold_quantized, a_bias_that_is_computed) {
    small s = conv_bn(13, 4, CREASE_INT8, false);
    cr_value *given, *bias;
    OK(cr_graph_add_value(s.model->graph, "given", true, &given));
    given->dtype = CREASE_DOUBLE;
    given->shape = cr_shape_of(DIMS(4));
    OK(cr_graph_add_input(s.model->graph, given));
    bias = small_node(&s, "Relu", "relu", IN(given));
    cr_node_move_before(small_find(&s, "relu"), small_find(&s, "conv"));
    OK(cr_node_set_input(small_find(&s, "conv"), 2, bias));
    expect_kept(s, "quantized");
}

/* Before opset 13 there is one scale, which is enough for one channel. */
Test(fold_quantized, one_channel_needs_one_scale) {
    small s = small_begin(12, DIMS(1, 3, 4, 4));
    cr_value *q = integers(&s, "q", CREASE_INT8, DIMS(1, 3, 1, 1), -127, 127);
    cr_value *w =
        small_node(&s, "DequantizeLinear", "dq", IN(q, small_constant(&s, "scale", 0.01, 0.02, 0, NULL)));
    small_output(&s, small_bn(&s, "bn", small_node(&s, "Conv", "conv", IN(s.x, w)), 1));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-bn");
    small_end(&s);
}

/* A copy shares the integers until it scales them. */
Test(fold_quantized, a_copy) {
    small s = conv_bn(13, 4, CREASE_INT8, false);
    small_output(&s, small_bn(&s, "second", small_find(&s, "conv")->outputs[0], 4));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-bn-duplicated");
    cr_assert_str_eq(small_entry(&s, "second").pattern, "conv-bn");
    small_end(&s);
}

/* Where one scale becomes one for each channel, the axis has to be named. */
Test(fold_quantized, the_axis_of_new_scales) {
    small s = conv_bn(13, 0, CREASE_INT8, false);
    OK(cr_node_set_int(small_find(&s, "dq"), "axis", 1));
    expect_scaled(s, 0, 48);
    s = conv_bn(13, 0, CREASE_INT8, false);
    cr_node_remove_attr(small_find(&s, "dq"), "axis");
    OK(cr_optimize_fold(s.model, NULL, s.report));
    const cr_attr *axis = cr_attr_find(small_find(&s, "conv")->inputs[1]->producer, "axis");
    cr_assert(axis && axis->ints[0] == 0);
    cr_assert_eq(small_entry(&s, "bn").bound, 0x1p-53); /* of what was rounded, not of the integers */
    small_end(&s);
}

Test(fold_quantized, ahead_of_a_product) {
    small s = small_begin(13, DIMS(2, 3));
    cr_value *q = integers(&s, "q", CREASE_INT8, DIMS(3, 4), -127, 127);
    cr_value *w = dequantize(&s, "dq", q, small_constant(&s, "scale", 0.01, 0.02, 0, NULL), NULL, 1);
    cr_value *y = small_bn(&s, "bn", small_node(&s, "Relu", "relu", IN(s.x)), 3);
    small_output(&s, small_node(&s, "Gemm", "conv", IN(y, w)));
    expect_kept(s, "quantized");
}
