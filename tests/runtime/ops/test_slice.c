#include "tests/runtime/ops/one.h"

static one slice(int64_t start, int64_t end, int64_t axis, int64_t step) {
    one o = one_begin("Slice", 13, 1);
    one_floats(&o, 0, DIMS(2, 3));
    one_ints(&o, 1, &start);
    one_ints(&o, 1, &end);
    one_ints(&o, 1, &axis);
    one_ints(&o, 1, &step);
    return o;
}

Test(slice, backwards_over_both_ends) {
    one o = slice(INT64_MAX, INT64_MIN, -1, -2);
    ONE_GIVES(&o, (DIMS(2, 2)), 2, 0, 5, 3);
}

Test(slice, may_be_empty) {
    one o = slice(2, 1, 1, 1);
    ONE_GIVES_NOTHING(&o, (DIMS(2, 0)));
}

Test(slice, steps_as_large_as_they_get) {
    one up = slice(0, INT64_MAX, 1, INT64_MAX);
    ONE_GIVES(&up, (DIMS(2, 1)), 0, 3);
    one down = slice(-1, INT64_MIN, 1, INT64_MIN);
    ONE_GIVES(&down, (DIMS(2, 1)), 2, 5);
}

Test(slice, a_step_of_nothing_is_refused) {
    one o = slice(0, 1, 1, 0);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(slice, an_axis_out_of_range_is_refused) {
    one o = slice(0, 1, -3, 1);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "axis -3");
}
