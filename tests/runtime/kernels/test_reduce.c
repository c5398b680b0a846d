#include <criterion/criterion.h>

#include "runtime/kernels/reduce.h"
#include "tests/runtime/kernels/guard.h"

static const cr_reduction all[] = {CR_REDUCE_SUM,     CR_REDUCE_MAX,   CR_REDUCE_MIN,
                                   CR_REDUCE_PRODUCT, CR_REDUCE_SIZES, CR_REDUCE_SQUARES};
enum { N_ALL = sizeof all / sizeof *all };

static double by_steps(cr_reduction op, const float *x, int64_t n, int64_t step) {
    double sum = cr_reduce_start(op);
    for (int64_t i = 0; i < n; i++)
        sum = cr_reduce_step(op, sum, (double)x[i * step]);
    return sum;
}

/* Parts are added in another order, in double. */
static bool near(double a, double b) {
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-13 * fmax(1, fabs(a));
}

static void sprinkle(guarded *x, float odd) {
    for (size_t i = 0; i < x->n; i++)
        x->data[i] = random_chance(3) ? odd : random_float();
}

Test(reduce, rows_agree_with_one_step_after_another) {
    test_seed();
    for (int round = 0; round < 600; round++) {
        const cr_reduction op = all[round % N_ALL];
        const int64_t n = random_int(0, round % 2 ? 70 : 17), count = random_int(1, 5);
        guarded x = guarded_new((size_t)(n * count));
        double sums[5];
        sprinkle(&x, round % 5 == 0 ? NAN : round % 5 == 1 ? -INFINITY : 0.5F);
        cr_reduce_rows(op, x.data, n, count, sums);
        for (int64_t j = 0; j < count; j++) {
            const double want = by_steps(op, x.data + j * n, n, 1);
            cr_assert(near(want, sums[j]), "reduction %d of %d: %g, not %g (seed %llu)", (int)op, (int)n,
                      sums[j], want, (unsigned long long)test_seed_value);
        }
        guarded_free(&x);
    }
}

Test(reduce, columns_agree_with_one_step_after_another) {
    test_seed();
    for (int round = 0; round < 300; round++) {
        const cr_reduction op = all[round % N_ALL];
        const int64_t n = random_int(0, 20), count = random_int(1, 40), step = count + random_int(0, 5);
        guarded x = guarded_new((size_t)(n * step));
        double sums[40];
        sprinkle(&x, round % 5 == 0 ? NAN : 0.5F);
        cr_reduce_columns(op, x.data, n, step, count, sums);
        for (int64_t j = 0; j < count; j++)
            cr_assert(near(by_steps(op, x.data + j, n, step), sums[j]), "reduction %d (seed %llu)", (int)op,
                      (unsigned long long)test_seed_value);
        guarded_free(&x);
    }
}
