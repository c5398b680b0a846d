#include "tests/runtime/ops/one.h"

/* ---- Transpose ---- */

Test(transpose, of_a_scalar_and_of_nothing) {
    one scalar = one_begin("Transpose", 13, 1);
    one_floats(&scalar, 5, SCALAR);
    ONE_GIVES(&scalar, (SCALAR), 5);
    one nothing = one_begin("Transpose", 13, 1);
    one_floats(&nothing, 0, DIMS(2, 0, 3));
    ONE_GIVES_NOTHING(&nothing, (DIMS(3, 0, 2)));
}

Test(transpose, odd_extents) {
    one o = one_begin("Transpose", 13, 1);
    OK(cr_node_set_ints(o.node, "perm", (int64_t[]){2, 0, 1}, 3));
    one_floats(&o, 0, DIMS(1, 3, 2));
    ONE_GIVES(&o, (DIMS(2, 1, 3)), 0, 2, 4, 1, 3, 5);
}

Test(transpose, a_perm_that_repeats_is_refused) {
    one o = one_begin("Transpose", 13, 1);
    OK(cr_node_set_ints(o.node, "perm", (int64_t[]){0, 0}, 2));
    one_floats(&o, 0, DIMS(2, 2));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

/* ---- Tile, Expand, DepthToSpace ---- */

Test(tile, no_times) {
    one o = one_begin("Tile", 13, 1);
    one_floats(&o, 0, DIMS(2, 2));
    one_ints(&o, 2, (int64_t[]){1, 0});
    ONE_GIVES_NOTHING(&o, (DIMS(2, 0)));
}

Test(tile, negative_times_are_refused) {
    one o = one_begin("Tile", 13, 1);
    one_floats(&o, 0, DIMS(2));
    one_ints(&o, 1, (int64_t[]){-1});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(expand, both_sides_stretch) {
    one o = one_begin("Expand", 13, 1);
    one_floats(&o, 0, DIMS(2, 1));
    one_ints(&o, 3, (int64_t[]){2, 1, 2});
    ONE_GIVES(&o, (DIMS(2, 2, 2)), 0, 0, 1, 1, 0, 0, 1, 1);
}

Test(expand, to_nothing) {
    one o = one_begin("Expand", 13, 1);
    one_floats(&o, 0, DIMS(2, 1));
    one_ints(&o, 2, (int64_t[]){2, 0});
    ONE_GIVES_NOTHING(&o, (DIMS(2, 0)));
}

Test(depth_to_space, a_block_of_nothing_is_refused) {
    one o = one_begin("DepthToSpace", 13, 1);
    OK(cr_node_set_int(o.node, "blocksize", 0));
    one_floats(&o, 0, DIMS(1, 4, 1, 1));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(depth_to_space, channels_must_divide) {
    one o = one_begin("DepthToSpace", 13, 1);
    OK(cr_node_set_int(o.node, "blocksize", 2));
    one_floats(&o, 0, DIMS(1, 6, 1, 1));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}
