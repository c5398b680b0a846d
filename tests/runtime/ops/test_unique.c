#include "tests/runtime/ops/one.h"

static void unique(int sorted, const float *values, const int64_t *first, const int64_t *inverse) {
    one o = one_begin("Unique", 11, 4);
    OK(cr_node_set_int(o.node, "sorted", sorted));
    one_put(&o, 0, CREASE_FLOAT, 1, (int64_t[]){6}, (float[]){2, 1, 1, 3, 4, 3});
    OK(one_run(&o));
    cr_assert_eq(o.out[0].shape.dims[0], 4);
    cr_assert_arr_eq(o.out[0].data, values, 16);
    cr_assert_arr_eq(o.out[1].data, first, 32);
    cr_assert_arr_eq(o.out[2].data, inverse, 48);
    one_end(&o);
}

Test(unique, elements_come_sorted_or_as_they_are_met) {
    unique(1, (float[]){1, 2, 3, 4}, (int64_t[]){1, 0, 3, 4}, (int64_t[]){1, 0, 0, 2, 3, 2});
    unique(0, (float[]){2, 1, 3, 4}, (int64_t[]){0, 1, 3, 4}, (int64_t[]){0, 1, 1, 2, 3, 2});
}

Test(unique, nan_equals_itself_and_nothing_is_fine) {
    for (int64_t n = 0; n < 3; n += 2) {
        one o = one_begin("Unique", 11, 1);
        one_put(&o, 0, CREASE_FLOAT, 1, &n, (float[]){NAN, NAN});
        OK(one_run(&o));
        cr_assert_eq(o.out[0].shape.dims[0], n / 2);
        one_end(&o);
    }
}

Test(unique, lengths_outside_of_a_sequence_are_refused) {
    for (int64_t length = -1; length < 4; length += 4) {
        one o = one_begin("ReverseSequence", 10, 1);
        one_put(&o, 0, CREASE_FLOAT, 2, (int64_t[]){2, 1}, (float[]){1, 2});
        one_put(&o, 1, CREASE_INT64, 1, (int64_t[]){1}, &length);
        cr_assert_eq(one_run(&o), CREASE_ERROR_RUN);
        one_end(&o);
    }
}

Test(unique, entries_outside_of_a_cache_are_refused) {
    for (int64_t begin = -1; begin < 3; begin += 3) {
        one o = one_begin("TensorScatter", 24, 1);
        one_put(&o, 0, CREASE_FLOAT, 3, (int64_t[]){1, 3, 1}, (float[]){1, 2, 3});
        one_put(&o, 1, CREASE_FLOAT, 3, (int64_t[]){1, 2, 1}, (float[]){8, 9});
        one_put(&o, 2, CREASE_INT64, 1, (int64_t[]){1}, &begin);
        cr_assert_eq(one_run(&o), CREASE_ERROR_RUN);
        one_end(&o);
    }
}
