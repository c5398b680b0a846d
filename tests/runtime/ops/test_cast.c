#include "tests/runtime/ops/one.h"

Test(cast, targets_had_names_before_operator_set_6) {
    one o = one_begin("Cast", 5, 1);
    OK(cr_node_set_string(o.node, "to", "INT32"));
    float *x = one_input(&o, CREASE_FLOAT, DIMS(3));
    x[0] = 1.9F, x[1] = -1.9F, x[2] = 0;
    OK(one_run(&o));
    cr_assert_eq(o.out[0].dtype, CREASE_INT32);
    one_values(&o, 0, 3, (double[]){1, -1, 0});
    one_end(&o);
}

Test(cast, an_unknown_name_is_refused) {
    one o = one_begin("Cast", 1, 1);
    OK(cr_node_set_string(o.node, "to", "float"));
    one_floats(&o, 0, DIMS(1));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "'float'");
}

Test(cast, floats_beyond_the_integers_stay_at_their_ends) {
    one o = one_begin("Cast", 13, 1);
    OK(cr_node_set_int(o.node, "to", CREASE_INT64));
    float *x = one_input(&o, CREASE_FLOAT, DIMS(3));
    x[0] = NAN, x[1] = INFINITY, x[2] = -INFINITY;
    ONE_GIVES(&o, (DIMS(3)), 0, 0x1p63, -0x1p63);
}

Test(cast, nothing_is_cast_to_nothing) {
    one o = one_begin("Cast", 13, 1);
    OK(cr_node_set_int(o.node, "to", CREASE_BOOL));
    one_floats(&o, 0, DIMS(2, 0));
    ONE_GIVES_NOTHING(&o, (DIMS(2, 0)));
}

Test(cast, a_type_that_does_not_run_is_refused) {
    one o = one_begin("Cast", 13, 1);
    OK(cr_node_set_int(o.node, "to", CREASE_STRING));
    one_floats(&o, 0, DIMS(1));
    ONE_FAILS(&o, CREASE_ERROR_UNSUPPORTED, "type 8");
}

/* Of every type, from and to float32 and to itself: what each element alone gives. */
Test(cast, many_elements_are_cast_as_one) {
    static const double values[] = {0, 1, 3, 100, 127, 5, 2, 77};
    static const crease_dtype types[] = {CREASE_FLOAT, CREASE_DOUBLE, CREASE_FLOAT16, CREASE_BFLOAT16,
                                         CREASE_INT8,  CREASE_INT16,  CREASE_INT32,   CREASE_INT64,
                                         CREASE_UINT8, CREASE_UINT16, CREASE_UINT32,  CREASE_UINT64};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (int same = 0; same < 2; same++) {
            one first = one_begin("Cast", 13, 1), o = one_begin("Cast", 13, 1);
            OK(cr_node_set_int(first.node, "to", types[i]));
            float *x = one_input(&first, CREASE_FLOAT, DIMS(2, 4));
            for (int k = 0; k < 8; k++)
                x[k] = (float)values[k];
            OK(one_run(&first));
            OK(cr_node_set_int(o.node, "to", same ? types[i] : CREASE_FLOAT));
            memcpy(one_input(&o, types[i], DIMS(2, 4)), first.out[0].data,
                   cr_buffer_bytes(first.out[0].buffer));
            OK(one_run(&o));
            cr_assert_eq(o.out[0].dtype, same ? types[i] : CREASE_FLOAT);
            one_values(&o, 0, 8, values);
            one_end(&o);
            one_end(&first);
        }
}

Test(cast, large_integers_are_rounded_to_float32) {
    one o = one_begin("Cast", 13, 1);
    OK(cr_node_set_int(o.node, "to", CREASE_FLOAT));
    one_ints(&o, 4, (int64_t[]){INT64_MIN, INT64_MAX, 16777217, -33554435});
    ONE_GIVES(&o, (DIMS(4)), -0x1p63, 0x1p63, 16777216, -33554436);
}

/* Rounded to nearest even, subnormals and both zeros included, and widened again without a change. */
Test(cast, floats_are_rounded_to_halves_and_back) {
    enum { N = 10 };
    static const float values[N] = {1 + 0x1p-11f, 1 + 0x3p-11f, 0x1p-24f, 0x1.8p-25f, -0x1p-26f,
                                    65504,        65520,        -1e30f,   -INFINITY,  NAN};
    static const uint16_t halves[N] = {0x3c00, 0x3c02, 0x0001, 0x0001, 0x8000,
                                       0x7bff, 0x7c00, 0xfc00, 0xfc00, 0x7e00};
    one o = one_begin("Cast", 13, 1), back = one_begin("Cast", 13, 1);
    OK(cr_node_set_int(o.node, "to", CREASE_FLOAT16));
    OK(cr_node_set_int(back.node, "to", CREASE_FLOAT));
    memcpy(one_input(&o, CREASE_FLOAT, DIMS(N)), values, sizeof values);
    OK(one_run(&o));
    cr_assert_arr_eq(o.out[0].data, halves, sizeof halves);
    memcpy(one_input(&back, CREASE_FLOAT16, DIMS(N)), halves, sizeof halves);
    OK(one_run(&back));
    for (int i = 0; i < N; i++) {
        const float wide = cr_half_to_float(halves[i]);
        cr_assert_eq(memcmp((float *)back.out[0].data + i, &wide, sizeof wide), 0, "%d", i);
    }
    one_end(&o);
    one_end(&back);
}

Test(cast, floats_are_rounded_to_bfloats) {
    static const uint32_t bits[] = {0x3f808000, 0x3f818000, 0x7f7fffff, 0x80000001, 0x7f800001};
    static const uint16_t bfloats[] = {0x3f80, 0x3f82, 0x7f80, 0x8000, 0x7fc0};
    one o = one_begin("Cast", 13, 1);
    OK(cr_node_set_int(o.node, "to", CREASE_BFLOAT16));
    memcpy(one_input(&o, CREASE_FLOAT, DIMS(5)), bits, sizeof bits);
    OK(one_run(&o));
    cr_assert_arr_eq(o.out[0].data, bfloats, sizeof bfloats);
    one_end(&o);
}

Test(cast, truth_becomes_numbers) {
    static const crease_dtype types[] = {CREASE_FLOAT, CREASE_DOUBLE, CREASE_INT64, CREASE_UINT8};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        one o = one_begin("Cast", 13, 1);
        OK(cr_node_set_int(o.node, "to", types[i]));
        uint8_t *x = one_input(&o, CREASE_BOOL, DIMS(3));
        x[0] = 1, x[1] = 0, x[2] = 1;
        ONE_GIVES(&o, (DIMS(3)), 1, 0, 1);
    }
}
