#include "tests/runtime/ops/one.h"

Test(gather, from_the_end) {
    one o = one_begin("Gather", 13, 1);
    OK(cr_node_set_int(o.node, "axis", -1));
    one_floats(&o, 0, DIMS(2, 3));
    one_ints(&o, 2, (int64_t[]){-1, 0});
    ONE_GIVES(&o, (DIMS(2, 2)), 2, 0, 5, 3);
}

Test(gather, nothing) {
    one o = one_begin("Gather", 13, 1);
    one_floats(&o, 0, DIMS(2, 3));
    one_ints(&o, 0, NULL);
    ONE_GIVES_NOTHING(&o, (DIMS(0, 3)));
}

Test(gather, a_scalar_index_drops_its_axis) {
    one o = one_begin("Gather", 13, 1);
    one_floats(&o, 0, DIMS(3));
    one_scalar(&o, 2);
    ONE_GIVES(&o, (SCALAR), 2);
}

Test(gather, an_index_out_of_range_is_a_failure_of_the_run) {
    one o = one_begin("Gather", 13, 1);
    one_floats(&o, 0, DIMS(3));
    one_scalar(&o, -4);
    ONE_FAILS(&o, CREASE_ERROR_RUN, "-4");
}

Test(gather, from_nothing_is_a_failure_of_the_run) {
    one o = one_begin("Gather", 13, 1);
    one_floats(&o, 0, DIMS(0, 2));
    one_scalar(&o, 0);
    cr_assert_neq(one_run(&o), CREASE_OK);
    one_end(&o);
}
