#include "tests/runtime/ops/one.h"

/* ---- Concat, Split ---- */

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

/* ---- Slice ---- */

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
