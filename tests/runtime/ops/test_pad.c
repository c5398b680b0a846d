#include "runtime/ops/infer.h"
#include "tests/runtime/ops/one.h"

static one pad(const char *mode, int64_t n, int64_t before, int64_t after) {
    one o = one_begin("Pad", 13, 1);
    OK(cr_node_set_string(o.node, "mode", mode));
    one_floats(&o, 1, 1, &n);
    one_ints(&o, 2, (int64_t[]){before, after});
    return o;
}

Test(pad, and_crop_at_once) {
    one o = pad("constant", 3, 1, -2);
    ONE_GIVES(&o, (DIMS(2)), 0, 1);
}

Test(pad, nothing_becomes_zeroes) {
    one o = pad("constant", 0, 1, 1);
    ONE_GIVES(&o, (DIMS(2)), 0, 0);
}

Test(pad, cropping_everything) {
    one o = pad("constant", 3, -1, -2);
    ONE_GIVES_NOTHING(&o, (DIMS(0)));
}

Test(pad, reflected_as_far_as_there_is) {
    one o = pad("reflect", 3, 2, 2);
    ONE_GIVES(&o, (DIMS(7)), 3, 2, 1, 2, 3, 2, 1);
}

Test(pad, where_there_is_no_edge_there_are_zeroes) {
    one o = pad("edge", 0, 1, 0);
    ONE_GIVES(&o, (DIMS(1)), 0);
}

Test(pad, cropping_more_than_everything_is_refused) {
    one o = pad("constant", 3, -2, -2);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

/* There must be none, which only the contents tell. */
Test(pad, extents_for_a_scalar_are_waited_for) {
    one o = one_begin("CenterCropPad", 18, 1);
    one_floats(&o, 7, SCALAR);
    one_ints(&o, 0, NULL);
    OK(cr_model_resolve(o.model));
    OK(cr_graph_infer(o.model->graph));
    cr_assert_eq(o.node->outputs[0]->shape.rank, -1);
    ONE_GIVES(&o, (SCALAR), 7);
}

Test(pad, an_unknown_mode_is_refused) {
    one o = pad("mirror", 3, 1, 1);
    cr_assert_neq(one_run(&o), CREASE_OK);
    cr_assert(strstr(crease_error_message(), "mirror"), "%s", crease_error_message());
    one_end(&o);
}
