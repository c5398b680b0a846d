#include "runtime/kernels/conv/conv.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free

Test(geometry, shares_are_the_least_that_deal_out_evenly) {
    for (int64_t n = 1; n <= 24; n++)
        for (int threads = 1; threads <= 24; threads++) {
            const int64_t shares = cr_conv_shares(n, threads);
            cr_assert_geq(shares, 1);
            cr_assert_eq(n * shares % threads, 0, "%d images, %d threads", (int)n, threads);
            for (int64_t fewer = 1; fewer < shares; fewer++)
                cr_assert_neq(n * fewer % threads, 0, "%d images, %d threads", (int)n, threads);
        }
    cr_assert_eq(cr_conv_shares(0, 4), 1);
}

Test(geometry, only_large_planes_are_cut) {
    cr_assert_eq(cr_conv_strips(1, 56, 56 * 64, 2), 2);
    cr_assert_eq(cr_conv_strips(1, 56, 56 * 64, 3), 3);
    cr_assert_eq(cr_conv_strips(2, 56, 56 * 64, 2), 1, "an image for each thread");
    cr_assert_eq(cr_conv_strips(3, 56, 56 * 64, 2), 2, "the middle image is shared");
    cr_assert_eq(cr_conv_strips(1, 7, 7 * 64, 2), 1);
    cr_assert_eq(cr_conv_strips(1, 3, 1 << 20, 2), 1, "rows are few");
    cr_assert_eq(cr_conv_strips(1, 56, 56 * 64, 1), 1);
    cr_assert_eq(cr_conv_strips(1, 0, 64, 2), 1);
    cr_assert_eq(cr_conv_strips(0, 56, 56 * 64, 2), 1);
}
