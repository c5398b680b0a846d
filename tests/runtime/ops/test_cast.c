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
