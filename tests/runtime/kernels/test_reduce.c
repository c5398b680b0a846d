#include <criterion/criterion.h>

#include "runtime/kernels/reduce.h"
#include "tests/runtime/kernels/guard.h"

/* Every kernel that this processor runs against one step after another. */

static const cr_reduction all[] = {CR_REDUCE_SUM,     CR_REDUCE_MAX,   CR_REDUCE_MIN,
                                   CR_REDUCE_PRODUCT, CR_REDUCE_SIZES, CR_REDUCE_SQUARES};
enum { N_ALL = sizeof all / sizeof *all, MOST = 5, WIDEST = 200 };

static double by_steps(cr_reduction op, const float *x, int64_t n, int64_t step) {
    double sum = cr_reduce_start(op);
    for (int64_t i = 0; i < n; i++)
        sum = cr_reduce_step(op, sum, (double)x[i * step]);
    return sum;
}

static bool same(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

/* Parts are added in another order, in double. */
static bool near(double a, double b) {
    return same(a, b) || fabs(a - b) <= 1e-13 * fmax(1, fabs(a));
}

static void sprinkle(guarded *x, float odd) {
    for (size_t i = 0; i < x->n; i++)
        x->data[i] = random_chance(3) ? odd : random_float();
}

static float odd_value(int round) {
    return round % 5 == 0 ? NAN : round % 5 == 1 ? -INFINITY : round % 5 == 2 ? INFINITY : 0.5F;
}

static void check_rows(cr_isa isa, int round) {
    const cr_reduction op = all[round % N_ALL];
    const int64_t n = random_int(0, round % 2 ? 300 : 17), count = random_int(1, MOST);
    guarded x = guarded_new((size_t)(n * count));
    double sums[MOST + 1];
    sums[count] = -77;
    sprinkle(&x, odd_value(round));
    cr_reduce(isa)->rows(op, x.data, n, count, sums);
    for (int64_t j = 0; j < count; j++) {
        const double want = by_steps(op, x.data + j * n, n, 1);
        cr_assert(near(want, sums[j]), "%s, reduction %d of %d: %g, not %g (seed %llu)", cr_isa_name(isa),
                  (int)op, (int)n, sums[j], want, (unsigned long long)test_seed_value);
    }
    cr_assert(sums[count] == -77 && guarded_intact(&x));
    guarded_free(&x);
}

static void check_columns(cr_isa isa, int round) {
    const cr_reduction op = all[round % N_ALL];
    const int64_t n = random_int(0, 20), count = random_int(1, round % 2 ? WIDEST : 20);
    const int64_t step = count + random_int(0, 5);
    guarded x = guarded_new((size_t)(n * step));
    double sums[WIDEST + 1];
    sums[count] = -77;
    sprinkle(&x, odd_value(round));
    cr_reduce(isa)->columns(op, x.data, n, step, count, sums);
    for (int64_t j = 0; j < count; j++) /* products of floats are exact in double: the same bits */
        cr_assert(same(by_steps(op, x.data + j, n, step), sums[j]), "%s, reduction %d (seed %llu)",
                  cr_isa_name(isa), (int)op, (unsigned long long)test_seed_value);
    cr_assert(sums[count] == -77 && guarded_intact(&x));
    guarded_free(&x);
}

static double exps_by_steps(const float *x, int64_t n, int64_t step, float top) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i * step] - (double)top);
    return sum;
}

/* Rows stand one after another, columns `count` floats apart. */
static void check_exps(cr_isa isa, bool rows) {
    const int64_t n = random_int(1, random_chance(50) ? 600 : 20), count = random_int(1, MOST * 8);
    const float range = random_chance(50) ? 2 : 40;
    guarded x = random_buffer((size_t)(n * count)), tops = guarded_new((size_t)count);
    double sums[MOST * 8 + 1];
    sums[count] = -77;
    for (size_t i = 0; i < x.n; i++)
        x.data[i] *= range;
    for (int64_t j = 0; j < count; j++) {
        const float *first = x.data + (rows ? j * n : j);
        tops.data[j] = (float)by_steps(CR_REDUCE_MAX, first, n, rows ? 1 : count);
    }
    if (rows)
        cr_reduce(isa)->exp_rows(x.data, n, count, tops.data, sums);
    else
        cr_reduce(isa)->exp_columns(x.data, n, count, count, tops.data, sums);
    for (int64_t j = 0; j < count; j++) {
        const double want = exps_by_steps(x.data + (rows ? j * n : j), n, rows ? 1 : count, tops.data[j]);
        cr_assert(fabs(sums[j] - want) <= want * (double)(2 * range + 16) * 0x1p-24,
                  "%s: %.9g, not %.9g (seed %llu)", cr_isa_name(isa), sums[j], want,
                  (unsigned long long)test_seed_value);
    }
    cr_assert(sums[count] == -77 && guarded_intact(&x) && guarded_intact(&tops));
    guarded_free(&x);
    guarded_free(&tops);
}

static void check_exp_rows(cr_isa isa, int round) {
    (void)round;
    check_exps(isa, true);
}

static void check_exp_columns(cr_isa isa, int round) {
    (void)round;
    check_exps(isa, false);
}

static int64_t first_beyond(bool least, const float *x, int64_t n, int64_t step) {
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++)
        if (least ? x[i * step] < x[at * step] : x[i * step] > x[at * step])
            at = i;
    return at;
}

/* Few values, so that many are equal. */
static void check_args(cr_isa isa, int round) {
    const bool rows = round % 2 != 0, least = round % 4 > 1;
    const int64_t n = random_int(1, random_chance(50) ? 300 : 12), count = random_int(1, WIDEST);
    guarded x = guarded_new((size_t)(n * count));
    int64_t at[WIDEST + 1];
    at[count] = -77;
    for (size_t i = 0; i < x.n; i++)
        x.data[i] = random_chance(3) ? odd_value(round) : (float)random_int(-50, 50);
    if (rows)
        cr_reduce(isa)->arg_rows(least, x.data, n, count, at);
    else
        cr_reduce(isa)->arg_columns(least, x.data, n, count, count, at);
    for (int64_t j = 0; j < count; j++) {
        const int64_t want =
            rows ? first_beyond(least, x.data + j * n, n, 1) : first_beyond(least, x.data + j, n, count);
        cr_assert_eq(at[j], want, "%s: %d of %d is at %d, not %d (seed %llu)", cr_isa_name(isa), (int)j,
                     (int)n, (int)at[j], (int)want, (unsigned long long)test_seed_value);
    }
    cr_assert(at[count] == -77 && guarded_intact(&x));
    guarded_free(&x);
}

static void each_kernel(void (*check)(cr_isa isa, int round)) {
    test_seed();
    for (cr_isa isa = CR_ISA_PLAIN; isa <= CR_ISA_NEON; isa++)
        for (int round = 0; isa_runs(isa) && round < test_rounds(600); round++)
            check(isa, round);
}

Test(reduce, rows_agree_with_one_step_after_another) {
    each_kernel(check_rows);
}

Test(reduce, columns_agree_with_one_step_after_another) {
    each_kernel(check_columns);
}

Test(reduce, sums_of_exponentials_of_rows) {
    each_kernel(check_exp_rows);
}

Test(reduce, sums_of_exponentials_of_columns) {
    each_kernel(check_exp_columns);
}

Test(reduce, the_first_of_the_largest_and_of_the_least) {
    each_kernel(check_args);
}

Test(reduce, two_results_join_as_one) {
    cr_assert(cr_reduce_join(CR_REDUCE_SQUARES, 9, 16) == 25 && cr_reduce_join(CR_REDUCE_SIZES, 3, 4) == 7);
    cr_assert(cr_reduce_join(CR_REDUCE_MAX, 9, 16) == 16 && cr_reduce_join(CR_REDUCE_PRODUCT, 3, 4) == 12);
    cr_assert(isnan(cr_reduce_join(CR_REDUCE_MIN, (double)NAN, 1)));
}
