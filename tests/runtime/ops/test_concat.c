#include "tests/runtime/ops/one.h"

Test(concat, from_the_end_and_with_an_empty_part) {
    one o = one_begin("Concat", 13, 1);
    OK(cr_node_set_int(o.node, "axis", -1));
    one_floats(&o, 0, DIMS(2, 1));
    one_floats(&o, 10, DIMS(2, 0));
    one_floats(&o, 20, DIMS(2, 2));
    ONE_GIVES(&o, (DIMS(2, 3)), 0, 20, 21, 1, 22, 23);
}

Test(concat, refuses_other_dims) {
    one o = one_begin("Concat", 13, 1);
    OK(cr_node_set_int(o.node, "axis", 1));
    one_floats(&o, 0, DIMS(2, 1));
    one_floats(&o, 0, DIMS(3, 1));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(split, uneven_and_empty_parts_from_the_end) {
    one o = one_begin("Split", 13, 3);
    OK(cr_node_set_int(o.node, "axis", -2));
    one_floats(&o, 0, DIMS(3, 2));
    one_ints(&o, 3, (int64_t[]){2, 0, 1});
    OK(one_run(&o));
    one_values(&o, 0, 4, (double[]){0, 1, 2, 3});
    one_shape(&o, 1, DIMS(0, 2));
    one_values(&o, 2, 2, (double[]){4, 5});
    one_end(&o);
}

Test(split, parts_must_add_up) {
    one o = one_begin("Split", 13, 2);
    one_floats(&o, 0, DIMS(3, 2));
    one_ints(&o, 2, (int64_t[]){2, 2});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(split, negative_parts_that_add_up_are_refused) {
    one o = one_begin("Split", 13, 2);
    one_floats(&o, 0, DIMS(3, 2));
    one_ints(&o, 2, (int64_t[]){5, -2});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}
