#include "tests/runtime/ops/one.h"

static one reshape(int rank, const int64_t *dims, int n, const int64_t *target) {
    one o = one_begin("Reshape", 14, 1);
    one_floats(&o, 0, rank, dims);
    one_ints(&o, n, target);
    return o;
}

Test(reshape, zero_copies_and_minus_one_fills) {
    one o = reshape(DIMS(2, 3, 4), 3, (int64_t[]){0, -1, 2});
    OK(one_run(&o));
    one_shape(&o, 0, DIMS(2, 6, 2));
    one_end(&o);
}

Test(reshape, a_scalar) {
    one o = reshape(DIMS(1, 1), 0, NULL);
    ONE_GIVES(&o, (SCALAR), 0);
}

Test(reshape, nothing_to_nothing) {
    one o = reshape(DIMS(2, 0), 2, (int64_t[]){0, 0});
    ONE_GIVES_NOTHING(&o, (DIMS(2, 0)));
}

Test(reshape, two_unknowns_are_refused) {
    one o = reshape(DIMS(2, 2), 2, (int64_t[]){-1, -1});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(reshape, what_does_not_divide_is_refused) {
    one o = reshape(DIMS(2, 2), 2, (int64_t[]){3, -1});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(reshape, an_unknown_may_stand_for_nothing) {
    one o = reshape(DIMS(2, 0), 2, (int64_t[]){0, -1});
    ONE_GIVES_NOTHING(&o, (DIMS(2, 0)));
}

/* Of a batch without pictures the rest is what it is of others. */
Test(reshape, what_is_copied_does_not_count) {
    one o = reshape(DIMS(0, 3, 4), 2, (int64_t[]){0, -1});
    ONE_GIVES_NOTHING(&o, (DIMS(0, 12)));
}

Test(reshape, sizes_that_overflow_are_refused) {
    one o = reshape(DIMS(2, 2), 3, (int64_t[]){(int64_t)1 << 32, (int64_t)1 << 32, -1});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(reshape, copying_a_dimension_that_is_not_there_is_refused) {
    one o = reshape(DIMS(4), 2, (int64_t[]){4, 0});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

/* ---- Squeeze, Unsqueeze, Flatten ---- */

Test(squeeze, negative_axes) {
    one o = one_begin("Squeeze", 13, 1);
    one_floats(&o, 0, DIMS(1, 2, 1));
    one_ints(&o, 1, (int64_t[]){-1});
    ONE_GIVES(&o, (DIMS(1, 2)), 0, 1);
}

Test(squeeze, without_axes_all_ones_go) {
    one o = one_begin("Squeeze", 13, 1);
    one_floats(&o, 0, DIMS(1, 2, 1));
    ONE_GIVES(&o, (DIMS(2)), 0, 1);
}

Test(squeeze, another_extent_is_refused) {
    one o = one_begin("Squeeze", 13, 1);
    one_floats(&o, 0, DIMS(1, 2));
    one_ints(&o, 1, (int64_t[]){1});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(unsqueeze, axes_count_in_the_result) {
    one o = one_begin("Unsqueeze", 13, 1);
    one_floats(&o, 0, DIMS(2));
    one_ints(&o, 2, (int64_t[]){-1, 0});
    ONE_GIVES(&o, (DIMS(1, 2, 1)), 0, 1);
}

Test(unsqueeze, the_same_axis_twice_is_refused) {
    one o = one_begin("Unsqueeze", 13, 1);
    one_floats(&o, 0, DIMS(2));
    one_ints(&o, 2, (int64_t[]){0, -3});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(unsqueeze, beyond_the_highest_rank_is_refused) {
    one o = one_begin("Unsqueeze", 13, 1);
    int64_t dims[CR_MAX_RANK], axis = 0;
    for (int i = 0; i < CR_MAX_RANK; i++)
        dims[i] = 1;
    one_floats(&o, 0, CR_MAX_RANK, dims);
    one_ints(&o, 1, &axis);
    crease_status status = one_run(&o);
    cr_assert(status == CREASE_ERROR_MODEL || status == CREASE_ERROR_UNSUPPORTED, "%s",
              crease_error_message());
    one_end(&o);
}

Test(flatten, at_both_ends) {
    one first = one_begin("Flatten", 13, 1);
    OK(cr_node_set_int(first.node, "axis", 0));
    one_floats(&first, 0, DIMS(2, 1));
    ONE_GIVES(&first, (DIMS(1, 2)), 0, 1);
    one last = one_begin("Flatten", 13, 1);
    OK(cr_node_set_int(last.node, "axis", 2));
    one_floats(&last, 0, DIMS(2, 1));
    ONE_GIVES(&last, (DIMS(2, 1)), 0, 1);
}

Test(shape, a_part_from_the_end) {
    one o = one_begin("Shape", 15, 1);
    OK(cr_node_set_int(o.node, "start", -2));
    OK(cr_node_set_int(o.node, "end", 100));
    one_floats(&o, 0, DIMS(2, 0, 4));
    ONE_GIVES(&o, (DIMS(2)), 0, 4);
}
