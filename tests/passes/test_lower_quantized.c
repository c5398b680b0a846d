#include "tests/passes/net.h"

/* Lower, check the values, and count nodes of ONNX's domain and activations of ours that are left. */
static void expect(net *n, const char *op, int left, int activations) {
    const crease_options o = net_options();
    crease_model *model = net_publish(n);
    crease_session *s = net_lower(model, &o);
    const cr_model *ir = s->optimized->ir;
    OK(cr_model_verify(ir));
    cr_assert_eq(net_count(ir, "", op), left, "%d %s", net_count(ir, "", op), op);
    cr_assert_eq(net_ours(s, "Activation"), activations, "%d activations", net_ours(s, "Activation"));
    crease_session_free(s);
    crease_model_free(model);
}

static cr_value *zero_point(net *n, crease_dtype dtype, int64_t zero) {
    const cr_shape shape = {.rank = 0};
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->ir->graph, "zero", dtype, &shape, &value, &t));
    if (crease_dtype_bits(dtype) == 8)
        *(uint8_t *)t->data = (uint8_t)zero;
    else
        *(uint16_t *)t->data = (uint16_t)zero;
    return value;
}

static cr_value *quantize(net *n, cr_value *x, double step, cr_value *zero) {
    return net_node(n, "QuantizeLinear", IN(x, net_scalar(n, step), zero));
}

static cr_value *dequantize(net *n, cr_value *q, double step, cr_value *zero) {
    return net_node(n, "DequantizeLinear", IN(q, net_scalar(n, step), zero));
}

static cr_value *rounded(net *n, cr_value *x, double step, int64_t zero) {
    cr_value *z = zero_point(n, CREASE_UINT8, zero);
    return dequantize(n, quantize(n, x, step, z), step, z);
}

static net begin(cr_value **y) {
    net n = net_begin(13, DIMS(1, 6, 8, 8));
    *y = net_conv(&n, n.x, 6, 3, 1);
    return n;
}

/* Of the plain layout, where nothing takes the activation in. */
Test(lower_quantized, a_pair_of_every_type, .init = net_needs_lanes) {
    const crease_dtype types[] = {CREASE_UINT8, CREASE_INT8, CREASE_UINT16, CREASE_INT16};
    const double steps[] = {0.01, 0.02, 1e-4, 1e-4};
    for (int i = 0; i < 4; i++) {
        net n = net_begin(21, DIMS(3, 50));
        cr_value *z = zero_point(&n, types[i], i == 1 ? -100 : 77);
        net_output(&n, dequantize(&n, quantize(&n, n.x, steps[i], z), steps[i], z));
        expect(&n, "QuantizeLinear", 0, 1);
    }
}

Test(lower_quantized, a_convolution_rounds, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, rounded(&n, y, 0.02, 120));
    expect(&n, "QuantizeLinear", 0, 0);
}

Test(lower_quantized, so_does_a_convolution_with_clamp_and_residual, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *a = rounded(&n, net_node(&n, "Relu", IN(y)), 0.02, 3);
    cr_value *b = rounded(&n, net_conv(&n, a, 6, 1, 0), 0.01, 128);
    net_output(&n, rounded(&n, net_node(&n, "Add", IN(a, b)), 0.03, 60));
    expect(&n, "QuantizeLinear", 0, 0);
}

Test(lower_quantized, a_clamp_that_keeps_zero_out_stays, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *high = net_node(&n, "Clip", IN(y, net_scalar(&n, 0.5), net_scalar(&n, 1)));
    net_output(&n, rounded(&n, high, 0.01, 10));
    expect(&n, "QuantizeLinear", 0, 1);
}

Test(lower_quantized, another_scale_stays, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *z = zero_point(&n, CREASE_UINT8, 120);
    net_output(&n, dequantize(&n, quantize(&n, y, 0.02, z), 0.03, z));
    expect(&n, "QuantizeLinear", 1, 0);
}

Test(lower_quantized, another_zero_point_stays, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *z = zero_point(&n, CREASE_UINT8, 120), *other = zero_point(&n, CREASE_UINT8, 121);
    net_output(&n, dequantize(&n, quantize(&n, y, 0.02, z), 0.02, other));
    expect(&n, "QuantizeLinear", 1, 0);
}

Test(lower_quantized, a_computed_scale_stays, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *z = zero_point(&n, CREASE_UINT8, 120);
    cr_value *scale = net_node(&n, "ReduceMax", IN(net_node(&n, "Abs", IN(n.x))));
    scale = net_node(&n, "Reshape", IN(scale, net_ints(&n, 0, NULL)));
    cr_value *q = net_node(&n, "QuantizeLinear", IN(y, scale, z));
    net_output(&n, net_node(&n, "DequantizeLinear", IN(q, scale, z)));
    expect(&n, "QuantizeLinear", 1, 0);
}

Test(lower_quantized, scales_by_channel_stay, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *scales = net_floats(&n, 0.01, 0.03, DIMS(6));
    cr_value *q = net_node(&n, "QuantizeLinear", IN(y, scales));
    net_output(&n, net_node(&n, "DequantizeLinear", IN(q, scales)));
    expect(&n, "QuantizeLinear", 1, 0);
}

Test(lower_quantized, a_graph_output_of_bytes_is_still_given, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *z = zero_point(&n, CREASE_UINT8, 120), *q = quantize(&n, y, 0.02, z);
    net_output(&n, q);
    net_output(&n, dequantize(&n, q, 0.02, z));
    expect(&n, "QuantizeLinear", 1, 1);
}

Test(lower_quantized, several_users_share_what_is_rounded, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *z = zero_point(&n, CREASE_UINT8, 120), *q = quantize(&n, y, 0.02, z);
    cr_value *a = dequantize(&n, q, 0.02, z), *b = dequantize(&n, q, 0.02, z);
    net_output(&n, net_node(&n, "Add", IN(net_conv(&n, a, 6, 1, 0), net_conv(&n, b, 6, 3, 1))));
    expect(&n, "DequantizeLinear", 0, 0);
}

Test(lower_quantized, movers_of_bytes_move_floats, .init = net_needs_lanes) {
    cr_value *y, *pooled;
    net n = begin(&y);
    cr_value *z = zero_point(&n, CREASE_UINT8, 120), *q = quantize(&n, y, 0.02, z);
    OK(cr_node_set_ints(net_add(&n, "MaxPool", IN(q), 1, &pooled), "kernel_shape", (int64_t[]){3, 3}, 2));
    net_infer(&n);
    cr_value *flat = net_node(&n, "Flatten", IN(pooled));
    net_output(&n, dequantize(&n, flat, 0.02, z));
    expect(&n, "QuantizeLinear", 0, 0);
}

Test(lower_quantized, a_mover_whose_bytes_are_used_stays, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *z = zero_point(&n, CREASE_UINT8, 120);
    cr_value *flat = net_node(&n, "Flatten", IN(quantize(&n, y, 0.02, z)));
    net_output(&n, flat);
    net_output(&n, dequantize(&n, flat, 0.02, z));
    expect(&n, "DequantizeLinear", 1, 0);
}

Test(lower_quantized, what_is_rounded_is_not_rounded_again, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *flat = net_node(&n, "Flatten", IN(rounded(&n, y, 0.02, 120)));
    net_output(&n, net_node(&n, "Neg", IN(rounded(&n, flat, 0.02, 120))));
    expect(&n, "QuantizeLinear", 0, 0);
}

Test(lower_quantized, narrower_limits_round_again, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *flat = net_node(&n, "Flatten", IN(rounded(&n, y, 0.02, 120)));
    net_output(&n, net_node(&n, "Neg", IN(rounded(&n, flat, 0.02, 0))));
    expect(&n, "QuantizeLinear", 0, 1);
}

/* A result that is left out, before one that no DequantizeLinear has. */
Test(lower_quantized, results_that_are_left_out_are_no_pair) {
    net n = net_begin(13, DIMS(3, 50));
    cr_value *z = zero_point(&n, CREASE_UINT8, 77), *q = quantize(&n, n.x, 0.01, z), *second;
    cr_node *node;
    OK(cr_graph_add_value(n.ir->graph, "second", true, &second));
    cr_value *inputs[] = {q, net_scalar(&n, 0.01), z}, *outputs[] = {NULL, second};
    OK(cr_graph_add_node(n.ir->graph, NULL, "DequantizeLinear", "", "dq", inputs, 3, outputs, 2, &node));
    net_output(&n, second);
    OK(cr_pass_expand_quantized(n.ir->graph));
    OK(cr_pass_lower_quantized(n.ir->graph));
    cr_assert_eq(net_count(n.ir, "", "DequantizeLinear"), 1);
    cr_model_destroy(n.ir);
    cr_heap_release(n.heap);
}
