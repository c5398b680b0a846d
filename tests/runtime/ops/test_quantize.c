#include "tests/runtime/ops/one.h"

static const int64_t *const scalar = NULL;

Test(quantize, ties_go_to_even_and_the_range_is_kept) {
    one o = one_begin("QuantizeLinear", 19, 1);
    one_put(&o, 0, CREASE_FLOAT, 1, (int64_t[]){7}, (float[]){0.5f, 1.5f, -2.5f, 1e9f, -1e9f, NAN, INFINITY});
    one_put(&o, 1, CREASE_FLOAT, 0, scalar, (float[]){1});
    one_put(&o, 2, CREASE_INT8, 0, scalar, (int8_t[]){3});
    OK(one_run(&o));
    cr_assert_arr_eq(o.out[0].data, ((int8_t[]){3, 5, 1, 127, -128, 3, 127}), 7);
    one_end(&o);
}

Test(quantize, each_index_of_an_axis_has_its_scale) {
    one o = one_begin("DequantizeLinear", 19, 1);
    OK(cr_node_set_int(o.node, "axis", -2));
    one_put(&o, 0, CREASE_UINT8, 2, (int64_t[]){2, 3}, (uint8_t[]){1, 2, 3, 4, 5, 6});
    one_put(&o, 1, CREASE_FLOAT, 1, (int64_t[]){2}, (float[]){2, 10});
    one_put(&o, 2, CREASE_UINT8, 1, (int64_t[]){2}, (uint8_t[]){1, 6});
    OK(one_run(&o));
    cr_assert_arr_eq(o.out[0].data, ((float[]){0, 2, 4, -20, -10, 0}), 24);
    one_end(&o);
}

/* The last block of an axis is shorter. */
Test(quantize, blocks_have_scales) {
    one o = one_begin("DequantizeLinear", 21, 1);
    OK(cr_node_set_int(o.node, "axis", 0));
    OK(cr_node_set_int(o.node, "block_size", 2));
    one_put(&o, 0, CREASE_INT4, 2, (int64_t[]){3, 2}, (uint8_t[]){0x21, 0x43, 0xf5});
    one_put(&o, 1, CREASE_FLOAT, 2, (int64_t[]){2, 2}, (float[]){1, 10, 100, 1000});
    OK(one_run(&o));
    cr_assert_arr_eq(o.out[0].data, ((float[]){1, 20, 3, 40, 500, -1000}), 24);
    one_end(&o);
}

Test(quantize, scales_that_do_not_fit_are_refused) {
    for (int block = -1; block < 2; block++) {
        one o = one_begin("QuantizeLinear", 21, 1);
        OK(cr_node_set_int(o.node, "block_size", block));
        one_put(&o, 0, CREASE_FLOAT, 2, (int64_t[]){1, 3}, (float[]){1, 2, 3});
        one_put(&o, 1, CREASE_FLOAT, 1, (int64_t[]){2}, (float[]){1, 1});
        cr_assert_eq(one_run(&o), CREASE_ERROR_MODEL);
        one_end(&o);
    }
}

/* The extremes stand anywhere; NaN among them is none. */
Test(quantize, dynamic_ranges_are_of_all_elements) {
    for (int at = 0; at < 40; at++) {
        one o = one_begin("DynamicQuantizeLinear", 11, 3);
        float *x = one_input_at(&o, 0, CREASE_FLOAT, 1, (int64_t[]){41});
        for (int i = 0; i < 41; i++)
            x[i] = i == (at + 7) % 41 ? NAN : 1;
        x[at] = -50;
        x[(at + 20) % 41] = 205;
        OK(one_run(&o));
        cr_assert_float_eq(*(float *)o.out[1].data, 1, 1e-6f);
        cr_assert_eq(*(uint8_t *)o.out[2].data, 50);
        one_end(&o);
    }
}

Test(quantize, dynamic_ranges_contain_zero) {
    one o = one_begin("DynamicQuantizeLinear", 11, 3);
    one_put(&o, 0, CREASE_FLOAT, 1, (int64_t[]){3}, (float[]){51, 25.5f, 10});
    OK(one_run(&o));
    cr_assert_float_eq(*(float *)o.out[1].data, 0.2f, 1e-7f);
    cr_assert_eq(*(uint8_t *)o.out[2].data, 0);
    cr_assert_eq(*(uint8_t *)o.out[0].data, 255);
    one_end(&o);
}
