#include "tests/runtime/ops/one.h"

/* CumSum of [2, 3] from 1 to 6. */
static one cumsum(int64_t exclusive, int64_t reverse, int64_t axis) {
    one o = one_begin("CumSum", 14, 1);
    OK(cr_node_set_int(o.node, "exclusive", exclusive));
    OK(cr_node_set_int(o.node, "reverse", reverse));
    one_floats(&o, 1, DIMS(2, 3));
    one_scalar(&o, axis);
    return o;
}

Test(scan, sums_run_along_the_axis) {
    one o = cumsum(0, 0, 0);
    ONE_GIVES(&o, (DIMS(2, 3)), 1, 2, 3, 5, 7, 9);
    for (int64_t axis = -1; axis < 2; axis += 2) {
        o = cumsum(0, 0, axis);
        ONE_GIVES(&o, (DIMS(2, 3)), 1, 3, 6, 4, 9, 15);
        o = cumsum(1, 0, axis);
        ONE_GIVES(&o, (DIMS(2, 3)), 0, 1, 3, 0, 4, 9);
        o = cumsum(0, 1, axis);
        ONE_GIVES(&o, (DIMS(2, 3)), 6, 5, 3, 15, 11, 6);
        o = cumsum(1, 1, axis);
        ONE_GIVES(&o, (DIMS(2, 3)), 5, 3, 0, 11, 6, 0);
    }
}

Test(scan, sums_of_one_and_of_none) {
    one o = one_begin("CumSum", 11, 1);
    one_floats(&o, 7, DIMS(1));
    one_scalar(&o, 0);
    ONE_GIVES(&o, (DIMS(1)), 7);
    for (int64_t axis = 0; axis < 3; axis++) {
        o = one_begin("CumSum", 11, 1);
        one_floats(&o, 1, DIMS(2, 0, 3));
        one_scalar(&o, axis);
        ONE_GIVES_NOTHING(&o, (DIMS(2, 0, 3)));
    }
}

Test(scan, integers_wrap_around_and_nan_stays) {
    one o = one_begin("CumSum", 14, 1);
    memcpy(one_input(&o, CREASE_INT32, DIMS(3)), (int32_t[]){INT32_MAX, 1, 1}, 12);
    one_scalar(&o, 0);
    ONE_GIVES(&o, (DIMS(3)), INT32_MAX, INT32_MIN, INT32_MIN + 1);
    o = one_begin("CumSum", 14, 1);
    memcpy(one_input(&o, CREASE_DOUBLE, DIMS(3)), (double[]){1, NAN, 1}, 24);
    one_scalar(&o, 0);
    ONE_GIVES(&o, (DIMS(3)), 1, NAN, NAN);
}

Test(scan, axes_that_are_none_are_refused) {
    for (int64_t axis = -3; axis < 3; axis += 5) {
        one o = cumsum(0, 0, axis);
        ONE_FAILS(&o, CREASE_ERROR_MODEL, "axis");
    }
    one o = one_begin("CumSum", 14, 1);
    one_floats(&o, 1, DIMS(2));
    one_ints(&o, 2, (int64_t[]){0, 0});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "axis is not one number");
    o = one_begin("CumSum", 14, 1);
    one_floats(&o, 1, DIMS(2));
    one_floats(&o, 0, SCALAR);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "input 1");
    o = one_begin("CumSum", 14, 1);
    one_floats(&o, 1, SCALAR);
    one_scalar(&o, 0);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "axis");
}
