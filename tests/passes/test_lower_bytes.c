#include "tests/passes/quantized.h"

Test(lower_bytes, a_chain_stays_bytes) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(20);
    cr_value *y = rounded(&n, conv(&n, input(&n), (layer){24, 3, 1, 1, 0}), 0.031, CREASE_UINT8, 120);
    y = rounded(&n, net_node(&n, "Relu", IN(conv(&n, y, (layer){18, 1, 1, 1, 0}))), 0.017, CREASE_UINT8, 0);
    net_output(&n, conv(&n, y, (layer){5, 3, 2, 1, 0}));
    expect(&n, (counts){.convs = 3, .to = 1, .from = 0});
}

/* Three channels stand in the plain layout. */
Test(lower_bytes, the_first_layer_takes_the_picture) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(3);
    net_output(&n, conv(&n, input(&n), (layer){16, 3, 2, 1, 0}));
    expect(&n, (counts){.convs = 1, .to = 1, .from = 0});
}

Test(lower_bytes, signed_activations) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *x = rounded(&n, n.x, 2.0 / 128, CREASE_INT8, 0);
    cr_value *y = rounded(&n, conv(&n, x, (layer){16, 3, 1, 1, 0}), 0.029, CREASE_INT8, -7);
    net_output(&n, conv(&n, y, (layer){16, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 2, .to = 1, .from = 0});
}

Test(lower_bytes, residuals_are_bytes) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *x = rounded(&n, conv(&n, input(&n), (layer){16, 1, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    cr_value *y = rounded(&n, conv(&n, x, (layer){16, 3, 1, 1, 0}), 0.03, CREASE_UINT8, 100);
    cr_value *sum = net_node(&n, "Relu", IN(net_node(&n, "Add", IN(y, x))));
    net_output(&n, conv(&n, rounded(&n, sum, 0.041, CREASE_UINT8, 0), (layer){4, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 3, .to = 1, .from = 0});
}

Test(lower_bytes, depthwise_between_two) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(8);
    cr_value *y = rounded(&n, conv(&n, input(&n), (layer){40, 1, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    y = rounded(&n, conv(&n, y, (layer){40, 3, 2, 40, 0}), 0.02, CREASE_UINT8, 117);
    net_output(&n, conv(&n, y, (layer){12, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 3, .to = 1, .from = 0});
}

Test(lower_bytes, depthwise_alone_stays) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(40);
    net_output(&n, rounded(&n, conv(&n, input(&n), (layer){40, 3, 1, 40, 0}), 0.02, CREASE_UINT8, 117));
    expect(&n, (counts){.convs = 0, .to = 0, .from = 0});
}

Test(lower_bytes, others_get_floats) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *y = rounded(&n, conv(&n, input(&n), (layer){16, 3, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    net_output(&n, net_node(&n, "Sigmoid", IN(y)));
    net_output(&n, conv(&n, y, (layer){16, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 2, .to = 1, .from = 1});
}

/* Nobody wants the bytes. */
Test(lower_bytes, the_convolution_may_give_floats) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *y = rounded(&n, conv(&n, input(&n), (layer){16, 3, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    net_output(&n, net_node(&n, "GlobalAveragePool", IN(y)));
    expect(&n, (counts){.convs = 1, .to = 1, .from = 0});
}

Test(lower_bytes, maxima_are_of_bytes) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *y = rounded(&n, conv(&n, input(&n), (layer){16, 3, 1, 1, 0}), 0.03, CREASE_UINT8, 128), *pooled;
    cr_node *pool = net_add(&n, "MaxPool", IN(y), 1, &pooled);
    OK(cr_node_set_ints(pool, "kernel_shape", (int64_t[]){3, 3}, 2));
    OK(cr_node_set_ints(pool, "strides", (int64_t[]){2, 2}, 2));
    OK(cr_node_set_ints(pool, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    net_infer(&n);
    net_output(&n, conv(&n, pooled, (layer){16, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 2, .to = 1, .from = 0});
}

Test(lower_bytes, weights_with_a_zero_point_stay) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    net_output(&n, conv(&n, input(&n), (layer){16, 3, 1, 1, 3}));
    expect(&n, (counts){.convs = 0, .to = 0, .from = 0});
}

Test(lower_bytes, an_input_that_nobody_quantises_stays) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    net_output(&n, conv(&n, n.x, (layer){16, 3, 1, 1, 0}));
    expect(&n, (counts){.convs = 0, .to = 0, .from = 0});
}

Test(lower_bytes, sixteen_bits_stay) {
    if (!sums_bytes())
        return;
    net n = net_begin(21, DIMS(1, 16, 5, 5));
    const cr_shape none = {.rank = 0};
    cr_value *z, *s = net_scalar(&n, 1e-4);
    cr_tensor *t;
    OK(cr_graph_new_constant(n.ir->graph, "zero", CREASE_INT16, &none, &z, &t));
    *(int16_t *)t->data = 0;
    cr_value *x = net_node(&n, "DequantizeLinear", IN(net_node(&n, "QuantizeLinear", IN(n.x, s, z)), s, z));
    net_output(&n, conv(&n, x, (layer){16, 3, 1, 1, 0}));
    expect(&n, (counts){.convs = 0, .to = 0, .from = 0});
}

/* A batch normalisation is folded into the scales of the weights: the same bytes. */
Test(lower_bytes, affines_change_scales_only) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *y = conv(&n, input(&n), (layer){16, 3, 1, 1, 0});
    net_output(&n, net_bn(&n, y));
    expect(&n, (counts){.convs = 1, .to = 1, .from = 0});
}

Test(lower_bytes, a_forced_algorithm_is_of_floats) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    crease_options o = net_options();
    o.convolution = "direct";
    net_output(&n, conv(&n, input(&n), (layer){16, 3, 1, 1, 0}));
    crease_model *model = net_publish(&n);
    crease_session *s = net_lower(model, &o);
    cr_assert_eq(net_ours(s, "ConvBytes"), 0);
    crease_session_free(s);
    crease_model_free(model);
}

/* An affine in front would be a convolution's prologue, and keep it from bytes. */
Test(lower_bytes, affines_in_front_are_passes_of_their_own) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *y = net_conv(&n, n.x, 16, 3, 1);
    net_output(&n, net_node(&n, "GlobalAveragePool", IN(y)));
    y = rounded(&n, net_node(&n, "Relu", IN(net_bn(&n, y))), 0.02, CREASE_UINT8, 0);
    net_output(&n, conv(&n, y, (layer){24, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 1, .to = 1});
}
