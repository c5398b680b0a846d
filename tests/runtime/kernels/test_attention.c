#include <criterion/criterion.h>

#include "runtime/kernels/attention.h"
#include "tests/runtime/kernels/guard.h"

/* The steps of a row in float32 against those in float64. */

enum { MOST = 200 };

static void steps(crease_dtype dtype, const cr_scores *scores, void *row) {
    cr_scores_cap(dtype, scores, row);
    cr_scores_mask(dtype, scores, row);
    cr_scores_softmax(dtype, scores, row);
}

/* A mask of which some or all is hidden. */
static void hide(uint8_t *mask, int64_t n) {
    const int percent = random_chance(10) ? 0 : (int)random_int(1, 100);
    for (int64_t i = 0; i < n; i++)
        mask[i] = random_chance(percent);
}

Test(attention, rows_agree_with_float64) {
    test_seed();
    for (int round = 0; round < test_rounds(1000); round++) {
        const int64_t n = random_int(1, round % 2 ? MOST : 40);
        uint8_t mask[MOST];
        double wide[MOST];
        hide(mask, n);
        const cr_scores scores = {.n = n,
                                  .visible = random_chance(50) ? n : random_int(-1, n),
                                  .n_mask = random_int(0, n),
                                  .mask = random_chance(50) ? mask : NULL,
                                  .mask_is_bool = true,
                                  .softcap = random_chance(20) ? 3 : 0};
        guarded row = random_buffer((size_t)n);
        for (int64_t i = 0; i < n; i++)
            wide[i] = (double)(row.data[i] *= 10);
        steps(CREASE_FLOAT, &scores, row.data);
        steps(CREASE_DOUBLE, &scores, wide);
        for (int64_t i = 0; i < n; i++)
            cr_assert(fabs((double)row.data[i] - wide[i]) <= wide[i] * 40 * 0x1p-24,
                      "%d of %d: %g, not %g (seed %llu)", (int)i, (int)n, (double)row.data[i], wide[i],
                      (unsigned long long)test_seed_value);
        cr_assert(guarded_intact(&row));
        guarded_free(&row);
    }
}

Test(attention, nan_stays_in_what_is_seen) {
    float row[] = {1, NAN, 2, NAN};
    const cr_scores scores = {.n = 4, .visible = 3};
    steps(CREASE_FLOAT, &scores, row);
    cr_assert(isnan(row[0]) && isnan(row[1]) && isnan(row[2]) && row[3] == 0);
}
