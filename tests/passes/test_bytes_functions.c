#include "tests/passes/quantized.h"

Test(bytes_functions, a_gate_and_its_product_are_a_table) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *y = rounded(&n, conv(&n, input(&n), (layer){16, 3, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    cr_value *gate = rounded(&n, net_node(&n, "Sigmoid", IN(y)), 1.0 / 256, CREASE_UINT8, 0);
    cr_value *silu = rounded(&n, net_node(&n, "Mul", IN(y, gate)), 0.021, CREASE_UINT8, 14);
    net_output(&n, conv(&n, silu, (layer){8, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 2, .to = 1, .maps = 1});
}

Test(bytes_functions, two_tensors_are_no_function_of_one) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *x = input(&n);
    cr_value *y = rounded(&n, conv(&n, x, (layer){16, 3, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    cr_value *z = rounded(&n, conv(&n, x, (layer){16, 1, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    cr_value *product = rounded(&n, net_node(&n, "Mul", IN(y, z)), 0.05, CREASE_UINT8, 128);
    net_output(&n, conv(&n, product, (layer){8, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 3, .to = 2});
}

/* The table would be asked for by nobody. */
Test(bytes_functions, what_only_floats_use_stays) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *y = rounded(&n, conv(&n, input(&n), (layer){16, 3, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    net_output(&n, rounded(&n, net_node(&n, "Sigmoid", IN(y)), 1.0 / 256, CREASE_UINT8, 0));
    expect(&n, (counts){.convs = 1, .to = 1});
}

static cr_value *concat(net *n, cr_value *a, cr_value *b) {
    return net_node_int(n, "Concat", 2, (cr_value *[]){a, b}, "axis", 1);
}

Test(bytes_functions, parts_are_mapped_to_the_steps_of_the_whole) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *x = input(&n);
    cr_value *a = rounded(&n, conv(&n, x, (layer){32, 1, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    cr_value *b = rounded(&n, conv(&n, x, (layer){16, 3, 1, 1, 0}), 0.02, CREASE_UINT8, 100);
    cr_value *whole = rounded(&n, concat(&n, a, b), 0.03, CREASE_UINT8, 128);
    net_output(&n, conv(&n, whole, (layer){8, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 3, .to = 1, .maps = 1, .concats = 1});
}

Test(bytes_functions, parts_in_the_same_steps_are_joined) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *x = input(&n);
    cr_value *a = rounded(&n, conv(&n, x, (layer){32, 1, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    net_output(&n,
               conv(&n,
                    concat(&n, a, rounded(&n, conv(&n, x, (layer){16, 3, 1, 1, 0}), 0.03, CREASE_UINT8, 128)),
                    (layer){8, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 3, .to = 1, .concats = 1});
}

Test(bytes_functions, several_images_are_joined) {
    if (!sums_bytes())
        return;
    net n = net_begin(13, DIMS(3, 16, 5, 5));
    cr_value *x = input(&n);
    cr_value *a = rounded(&n, conv(&n, x, (layer){32, 1, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    net_output(&n, conv(&n, concat(&n, x, a), (layer){8, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 1, .to = 1});
}

Test(bytes_functions, blocks_that_are_not_full_stay) {
    if (!sums_bytes())
        return;
    net n = quantized_begin(16);
    cr_value *x = input(&n);
    cr_value *a = rounded(&n, conv(&n, x, (layer){24, 1, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    cr_value *b = rounded(&n, conv(&n, x, (layer){16, 3, 1, 1, 0}), 0.03, CREASE_UINT8, 128);
    net_output(&n, conv(&n, rounded(&n, concat(&n, a, b), 0.03, CREASE_UINT8, 128), (layer){8, 1, 1, 1, 0}));
    expect(&n, (counts){.convs = 3, .to = 2});
}
