#include "tests/passes/quantized.h"

static net begin(void) {
    net n = net_begin(13, DIMS(1, 6, 8, 8));
    OK(cr_model_set_opset(n.ir, "com.microsoft", 1));
    return n;
}

/* Lower; what is computed from bytes may differ by a step where a sum is as near to two of them: the steps
 * are such that none here is. */
static void expect_left(net *n, const char *domain, const char *op, int left) {
    const crease_options o = net_options();
    crease_model *model = net_publish(n);
    crease_session *s = net_lower(model, &o);
    OK(cr_model_verify(s->optimized->ir));
    cr_assert_eq(net_count(s->optimized->ir, domain, op), left);
    crease_session_free(s);
    crease_model_free(model);
}

static cr_value *bytes(net *n, crease_dtype dtype, int rank, const int64_t *dims) {
    return integers(n, dtype, 0, 255, rank, dims);
}

static cr_value *zero_point(net *n, int zero) {
    return integers(n, CREASE_UINT8, zero, zero, 0, NULL);
}

static cr_value *zero_points(net *n, int64_t channels) {
    return integers(n, CREASE_INT8, 0, 0, DIMS(channels));
}

static cr_value *bias(net *n, int64_t channels) {
    const cr_shape shape = cr_shape_of(1, &channels);
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->ir->graph, "bias", CREASE_INT32, &shape, &value, &t));
    for (int64_t i = 0; i < channels; i++)
        ((int32_t *)t->data)[i] = net_pick(n, -5000, 5000);
    return value;
}

static cr_value *quantized_input(net *n) {
    return net_node(n, "QuantizeLinear", IN(n->x, net_scalar(n, 0.02), zero_point(n, 120)));
}

static void give(net *n, cr_value *q, double step, int zero) {
    net_output(n, net_node(n, "DequantizeLinear", IN(q, net_scalar(n, step), zero_point(n, zero))));
}

static cr_value *convolution(net *n, cr_value *y_scale) {
    return net_node(n, "QLinearConv",
                    IN(quantized_input(n), net_scalar(n, 0.02), zero_point(n, 120),
                       bytes(n, CREASE_INT8, DIMS(5, 6, 3, 3)), net_floats(n, 1e-3, 2e-3, DIMS(5)),
                       zero_points(n, 5), y_scale, zero_point(n, 100), bias(n, 5)));
}

Test(expand_quantized, a_convolution_with_scales_by_channel, .init = net_needs_lanes) {
    net n = begin();
    give(&n, convolution(&n, net_scalar(&n, 0.05)), 0.05, 100);
    expect_left(&n, "", "QLinearConv", 0);
}

Test(expand_quantized, nothing_is_left_of_the_bytes, .init = net_needs_lanes) {
    net n = begin();
    give(&n, convolution(&n, net_scalar(&n, 0.05)), 0.05, 100);
    expect_left(&n, "", "QuantizeLinear", 0);
}

Test(expand_quantized, a_computed_scale_stays, .init = net_needs_lanes) {
    net n = begin();
    cr_value *scale = net_node(&n, "ReduceMax", IN(net_node(&n, "Abs", IN(n.x))));
    scale = net_node(&n, "Reshape", IN(scale, net_ints(&n, 0, NULL)));
    give(&n, convolution(&n, scale), 0.05, 100);
    expect_left(&n, "", "QLinearConv", 1);
}

Test(expand_quantized, a_product_with_scales_by_column, .init = net_needs_lanes) {
    net n = begin();
    cr_value *y = net_node(&n, "QLinearMatMul",
                           IN(quantized_input(&n), net_scalar(&n, 0.02), zero_point(&n, 120),
                              bytes(&n, CREASE_INT8, DIMS(8, 7)), net_floats(&n, 1e-3, 2e-3, DIMS(7)),
                              zero_points(&n, 7), net_scalar(&n, 0.05), zero_point(&n, 90)));
    give(&n, y, 0.05, 90);
    expect_left(&n, "", "QLinearMatMul", 0);
}

static cr_value *of_microsoft(net *n, const char *op, int n_in, cr_value **inputs) {
    cr_value *out;
    OK(cr_node_set_op(net_add(n, op, n_in, inputs, 1, &out), op, "com.microsoft"));
    net_infer(n);
    return out;
}

Test(expand_quantized, a_sum, .init = net_needs_lanes) {
    net n = begin();
    cr_value *x = quantized_input(&n), *step = net_scalar(&n, 0.02), *zero = zero_point(&n, 120);
    cr_value *y = of_microsoft(&n, "QLinearAdd",
                               IN(x, step, zero, x, step, zero, net_scalar(&n, 0.031), zero_point(&n, 99)));
    give(&n, y, 0.031, 99);
    expect_left(&n, "com.microsoft", "QLinearAdd", 0);
}

Test(expand_quantized, a_zero_point_may_be_left_out, .init = net_needs_lanes) {
    net n = begin();
    cr_value *x = net_node(&n, "QuantizeLinear", IN(n.x, net_scalar(&n, 0.01)));
    cr_value *y =
        of_microsoft(&n, "QLinearSigmoid", IN(x, net_scalar(&n, 0.01), NULL, net_scalar(&n, 1.0 / 256)));
    net_output(&n, net_node(&n, "DequantizeLinear", IN(y, net_scalar(&n, 1.0 / 256))));
    expect_left(&n, "com.microsoft", "QLinearSigmoid", 0);
}

Test(expand_quantized, a_concatenation, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin();
    cr_value *x = quantized_input(&n), *step = net_scalar(&n, 0.02), *zero = zero_point(&n, 120);
    cr_value *inputs[] = {net_scalar(&n, 0.03), zero_point(&n, 100), x, step, zero, x, step, zero};
    cr_node *node = net_add(&n, "QLinearConcat", 8, inputs, 1, &y);
    OK(cr_node_set_op(node, "QLinearConcat", "com.microsoft"));
    OK(cr_node_set_int(node, "axis", 1));
    net_infer(&n);
    give(&n, y, 0.03, 100);
    expect_left(&n, "com.microsoft", "QLinearConcat", 0);
}

/* Its bias is in steps of both scales, and its result may be float32. */
Test(expand_quantized, a_product_with_bias_to_floats, .init = net_needs_lanes) {
    net n = begin();
    cr_value *flat = net_node(&n, "Flatten", IN(quantized_input(&n))), *y;
    cr_value *inputs[] = {flat,
                          net_scalar(&n, 0.02),
                          zero_point(&n, 120),
                          bytes(&n, CREASE_INT8, DIMS(7, 384)),
                          net_floats(&n, 1e-3, 2e-3, DIMS(7)),
                          zero_points(&n, 7),
                          bias(&n, 7)};
    cr_node *node = net_add(&n, "QGemm", 7, inputs, 1, &y);
    OK(cr_node_set_op(node, "QGemm", "com.microsoft"));
    OK(cr_node_set_int(node, "transB", 1));
    net_infer(&n);
    net_output(&n, y);
    expect_left(&n, "com.microsoft", "QGemm", 0);
}

/* Operator set 11 has another Softmax. */
Test(expand_quantized, a_softmax_of_before_stays, .init = net_needs_lanes) {
    net n = begin();
    cr_value *inputs[] = {quantized_input(&n), net_scalar(&n, 0.02), zero_point(&n, 120),
                          net_scalar(&n, 1.0 / 256), zero_point(&n, 0)},
             *y;
    cr_node *node = net_add(&n, "QLinearSoftmax", 5, inputs, 1, &y);
    OK(cr_node_set_op(node, "QLinearSoftmax", "com.microsoft"));
    OK(cr_node_set_int(node, "opset", 11));
    net_infer(&n);
    give(&n, y, 1.0 / 256, 0);
    expect_left(&n, "com.microsoft", "QLinearSoftmax", 1);
}

/* ---- integers that become floats ---- */

/* x in steps that are computed: bytes and their zero point. */
static void dynamic(net *n, cr_value **q, cr_value **zero) {
    cr_value *outputs[3];
    net_add(n, "DynamicQuantizeLinear", IN(n->x), 3, outputs);
    net_infer(n);
    *q = outputs[0];
    *zero = outputs[2];
}

static cr_value *cast(net *n, cr_value *sum, crease_dtype to) {
    return net_node_int(n, "Cast", IN(sum), "to", to);
}

Test(expand_quantized, sums_that_become_floats, .init = net_needs_lanes) {
    net n = begin();
    cr_value *q, *zero;
    dynamic(&n, &q, &zero);
    cr_value *weights = bytes(&n, CREASE_INT8, DIMS(8, 7)), *none = zero_points(&n, 7);
    net_output(&n, cast(&n, net_node(&n, "MatMulInteger", IN(q, weights, zero, none)), CREASE_FLOAT));
    expect_left(&n, "", "MatMulInteger", 0);
}

/* Padding counts as the zero point. */
Test(expand_quantized, convolutions_that_become_floats, .init = net_needs_lanes) {
    net n = begin();
    cr_value *q, *zero, *y;
    dynamic(&n, &q, &zero);
    cr_value *inputs[] = {q, bytes(&n, CREASE_UINT8, DIMS(5, 6, 3, 3)), zero, zero_point(&n, 130)};
    cr_node *node = net_add(&n, "ConvInteger", 4, inputs, 1, &y);
    OK(cr_node_set_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    net_infer(&n);
    net_output(&n, cast(&n, y, CREASE_FLOAT));
    expect_left(&n, "", "ConvInteger", 0);
}

Test(expand_quantized, sums_that_become_float64, .init = net_needs_lanes) {
    net n = begin();
    cr_value *q, *zero;
    dynamic(&n, &q, &zero);
    cr_value *weights = bytes(&n, CREASE_INT8, DIMS(8, 7));
    net_output(&n, cast(&n, net_node(&n, "MatMulInteger", IN(q, weights, zero)), CREASE_DOUBLE));
    expect_left(&n, "", "MatMulInteger", 1);
}

Test(expand_quantized, zero_points_by_row_stay, .init = net_needs_lanes) {
    net n = net_begin(13, DIMS(3, 8));
    cr_value *q = net_node(&n, "QuantizeLinear", IN(n.x, net_scalar(&n, 0.02)));
    cr_value *weights = bytes(&n, CREASE_INT8, DIMS(8, 7)), *rows = bytes(&n, CREASE_UINT8, DIMS(3));
    net_output(&n, cast(&n, net_node(&n, "MatMulInteger", IN(q, weights, rows)), CREASE_FLOAT));
    expect_left(&n, "", "MatMulInteger", 1);
}
