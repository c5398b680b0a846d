#include "tests/runtime/ops/one.h"

Test(softmax, along_an_axis_from_the_end_and_without_overflow) {
    one o = one_begin("Softmax", 13, 1);
    OK(cr_node_set_int(o.node, "axis", -2));
    float *x = one_input(&o, CREASE_FLOAT, DIMS(2, 1));
    x[0] = x[1] = 3e38F;
    ONE_GIVES(&o, (DIMS(2, 1)), 0.5, 0.5);
}

Test(softmax, from_an_axis_on_before_operator_set_13) {
    one o = one_begin("Softmax", 11, 1);
    OK(cr_node_set_int(o.node, "axis", 1));
    memset(one_input(&o, CREASE_FLOAT, DIMS(1, 2, 2)), 0, 16);
    ONE_GIVES(&o, (DIMS(1, 2, 2)), 0.25, 0.25, 0.25, 0.25);
}

Test(softmax, of_one_element) {
    one o = one_begin("Softmax", 13, 1);
    one_floats(&o, -7, DIMS(3, 1));
    ONE_GIVES(&o, (DIMS(3, 1)), 1, 1, 1);
}

Test(softmax, of_nothing) {
    one o = one_begin("LogSoftmax", 13, 1);
    one_floats(&o, 0, DIMS(2, 0));
    ONE_GIVES_NOTHING(&o, (DIMS(2, 0)));
}

Test(softmax, minus_infinity_takes_no_part) {
    one o = one_begin("Softmax", 13, 1);
    float *x = one_input(&o, CREASE_FLOAT, DIMS(1, 2));
    x[0] = -INFINITY, x[1] = 0;
    ONE_GIVES(&o, (DIMS(1, 2)), 0, 1);
}

Test(softmax, an_axis_out_of_range_is_refused) {
    one o = one_begin("Softmax", 13, 1);
    OK(cr_node_set_int(o.node, "axis", -3));
    one_floats(&o, 0, DIMS(2, 2));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "axis -3");
}
