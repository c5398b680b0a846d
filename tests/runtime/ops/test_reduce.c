#include "tests/runtime/ops/one.h"

#include "tests/runtime/kernels/guard.h"

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

/* What is reduced, in float32 and in float64, whose results are the definition. */
typedef struct reduced_case {
    const char *op;
    int rank, n_axes;
    int64_t dims[6], axes[6];
    float odd; /* stands here and there */
} reduced_case;

static void fill_both(const reduced_case *c, float *x, double *wide, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        x[i] = random_chance(1) ? c->odd : 1 + random_float();
        wide[i] = (double)x[i];
    }
}

static void check_case(const reduced_case *c) {
    one o = one_begin(c->op, 18, 1), wide = one_begin(c->op, 18, 1);
    float *x = one_input(&o, CREASE_FLOAT, c->rank, c->dims);
    fill_both(c, x, one_input(&wide, CREASE_DOUBLE, c->rank, c->dims), cr_shape_n(&o.in[0].shape));
    one_ints(&o, c->n_axes, c->axes);
    one_ints(&wide, c->n_axes, c->axes);
    OK(one_run(&o));
    OK(one_run(&wide));
    cr_assert_eq(cr_shape_n(&o.out[0].shape), cr_shape_n(&wide.out[0].shape));
    for (int64_t i = 0; i < cr_shape_n(&o.out[0].shape); i++) {
        const double got = cr_load_float(CREASE_FLOAT, o.out[0].data, i);
        const double want = (double)(float)cr_load_float(CREASE_DOUBLE, wide.out[0].data, i);
        cr_assert(got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= 4e-7 * fabs(want),
                  "%s of rank %d over %d axes at %d: %.9g, not %.9g (seed %llu)", c->op, c->rank, c->n_axes,
                  (int)i, got, want, (unsigned long long)test_seed_value);
    }
    one_end(&o);
    one_end(&wide);
}

static const char *const every[] = {"ReduceSum",       "ReduceMean", "ReduceMax",       "ReduceMin",
                                    "ReduceProd",      "ReduceL1",   "ReduceSumSquare", "ReduceLogSum",
                                    "ReduceLogSumExp", "ReduceL2"};
enum { N_EVERY = sizeof every / sizeof *every };

Test(reduce, any_axes_agree_with_float64) {
    test_seed();
    for (int round = 0; round < test_rounds(1000); round++) {
        reduced_case c = {.op = every[round % N_EVERY], .rank = (int)random_int(1, 6)};
        c.odd = round % 4 == 0 ? NAN : round % 4 == 1 ? -INFINITY : round % 4 == 2 ? INFINITY : 0;
        for (int d = 0; d < c.rank; d++) {
            c.dims[d] = random_chance(20) ? 1 : random_int(1, c.rank < 3 ? 140 : c.rank < 5 ? 9 : 4);
            if (random_chance(50))
                c.axes[c.n_axes++] = d - (random_chance(50) ? c.rank : 0);
        }
        check_case(&c);
    }
}

/* Long enough to be cut into parts: rows, columns, and several of each. */
Test(reduce, few_results_of_many_elements) {
    test_seed();
    for (int i = 0; i < N_EVERY; i++) {
        check_case(&(reduced_case){every[i], 2, 1, {3, 100001}, {1}, 2});
        check_case(&(reduced_case){every[i], 2, 1, {30011, 5}, {0}, 2});
        check_case(&(reduced_case){every[i], 4, 2, {2, 3, 2, 40003}, {1, 3}, 2});
        check_case(&(reduced_case){every[i], 3, 2, {1500, 131, 1}, {0, 2}, 2});
        check_case(&(reduced_case){every[i], 3, 0, {31, 97, 45}, {0}, 2});
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

Test(arg_max, of_columns_that_are_cut_and_of_rows) {
    enum { N = 37, COLUMNS = 411 };
    for (int axis = 1; axis < 3; axis++) {
        one o = one_begin("ArgMax", 13, 1);
        OK(cr_node_set_int(o.node, "axis", axis));
        float *x = one_input(&o, CREASE_FLOAT, 3,
                             axis == 1 ? (int64_t[]){2, N, COLUMNS} : (int64_t[]){2, COLUMNS, N});
        for (int64_t i = 0; i < 2 * N * COLUMNS; i++)
            x[i] = (float)(i * 7919 % 1009);
        OK(one_run(&o));
        const int64_t *at = o.out[0].data;
        for (int64_t row = 0; row < 2 * COLUMNS; row++) {
            const int64_t step = axis == 1 ? COLUMNS : 1;
            const float *first = axis == 1 ? x + row / COLUMNS * N * COLUMNS + row % COLUMNS : x + row * N;
            for (int64_t k = 0; k < N; k++)
                cr_assert(k < at[row] ? first[k * step] < first[at[row] * step]
                                      : first[k * step] <= first[at[row] * step]);
        }
        one_end(&o);
    }
}

Test(arg_max, of_nothing_is_refused) {
    one o = one_begin("ArgMax", 13, 1);
    OK(cr_node_set_int(o.node, "axis", 1));
    one_floats(&o, 0, DIMS(2, 0));
    cr_assert_neq(one_run(&o), CREASE_OK);
    one_end(&o);
}
