#include "tests/runtime/ops/one.h"

static one reduce(const char *op, int rank, const int64_t *dims, int n, const int64_t *axes, bool keep) {
    one o = one_begin(op, 18, 1);
    OK(cr_node_set_int(o.node, "keepdims", keep));
    one_floats(&o, 1, rank, dims);
    if (n >= 0)
        one_ints(&o, n, axes);
    return o;
}

Test(reduce, a_middle_axis_from_the_end) {
    one o = reduce("ReduceSum", DIMS(2, 3, 1), 1, (int64_t[]){-2}, false);
    ONE_GIVES(&o, (DIMS(2, 1)), 6, 15);
}

Test(reduce, all_axes_of_a_scalar) {
    one o = reduce("ReduceMean", SCALAR, -1, NULL, true);
    ONE_GIVES(&o, (SCALAR), 1);
}

Test(reduce, no_axes_may_mean_nothing_to_do) {
    one o = reduce("ReduceSum", DIMS(2), 0, NULL, true);
    OK(cr_node_set_int(o.node, "noop_with_empty_axes", 1));
    ONE_GIVES(&o, (DIMS(2)), 1, 2);
}

Test(reduce, sums_of_nothing_are_nothing) {
    one o = reduce("ReduceSum", DIMS(2, 0), 1, (int64_t[]){1}, false);
    ONE_GIVES(&o, (DIMS(2)), 0, 0);
}

Test(reduce, the_largest_of_nothing) {
    one o = reduce("ReduceMax", DIMS(1, 0), 1, (int64_t[]){1}, false);
    ONE_GIVES(&o, (DIMS(1)), -INFINITY);
}

Test(reduce, nothing_that_is_kept_stays_nothing) {
    one o = reduce("ReduceSum", DIMS(0, 3), 1, (int64_t[]){1}, false);
    ONE_GIVES_NOTHING(&o, (DIMS(0)));
}

Test(reduce, many_short_rows) {
    enum { ROWS = 301 };
    for (int64_t n = 1; n < 36; n += 2) {
        one sums = reduce("ReduceSum", DIMS(7, ROWS / 7, n), 1, (int64_t[]){2}, false);
        one means = reduce("ReduceMean", DIMS(ROWS, n), 1, (int64_t[]){-1}, true);
        one least = reduce("ReduceMin", DIMS(ROWS, n), 1, (int64_t[]){1}, false);
        OK(one_run(&sums));
        OK(one_run(&means));
        OK(one_run(&least));
        for (int64_t row = 0; row < ROWS; row++) { /* of numbers one after another */
            const double middle = (double)(row * n) + 1 + (double)(n - 1) / 2;
            cr_assert_eq(cr_load_float(CREASE_FLOAT, sums.out[0].data, row), middle * (double)n);
            cr_assert_eq(cr_load_float(CREASE_FLOAT, means.out[0].data, row), middle);
            cr_assert_eq(cr_load_float(CREASE_FLOAT, least.out[0].data, row), (double)(row * n + 1));
        }
        one_end(&sums);
        one_end(&means);
        one_end(&least);
    }
}

Test(reduce, an_axis_out_of_range_is_refused) {
    one o = reduce("ReduceSum", DIMS(2, 3), 1, (int64_t[]){2}, false);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "axis 2");
}

Test(arg_max, the_first_or_the_last_of_equals) {
    one first = one_begin("ArgMax", 13, 1);
    OK(cr_node_set_int(first.node, "axis", -1));
    OK(cr_node_set_int(first.node, "keepdims", 0));
    memset(one_input(&first, CREASE_FLOAT, DIMS(2, 3)), 0, 24);
    ONE_GIVES(&first, (DIMS(2)), 0, 0);
    one last = one_begin("ArgMax", 13, 1);
    OK(cr_node_set_int(last.node, "axis", 0));
    OK(cr_node_set_int(last.node, "select_last_index", 1));
    memset(one_input(&last, CREASE_FLOAT, DIMS(2, 3)), 0, 24);
    ONE_GIVES(&last, (DIMS(1, 3)), 1, 1, 1);
}

Test(arg_max, of_nothing_is_refused) {
    one o = one_begin("ArgMax", 13, 1);
    OK(cr_node_set_int(o.node, "axis", 1));
    one_floats(&o, 0, DIMS(2, 0));
    cr_assert_neq(one_run(&o), CREASE_OK);
    one_end(&o);
}
