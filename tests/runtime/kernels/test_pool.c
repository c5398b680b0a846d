#include "runtime/kernels/pool.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 20240608, ROUNDS = 400, ROWS = 3 };

static int64_t below(int64_t n) {
    return rand() % n;
}

static cr_pool_window random_window(void) {
    cr_pool_window w = {.kind = below(2) ? CR_POOL_MAX : CR_POOL_AVERAGE, .include_pad = below(2) != 0};
    for (int d = 0; d < 3; d++) {
        w.kernel[d] = 1 + below(4);
        w.dilation[d] = 1 + below(2);
        w.stride[d] = 1 + below(3);
        w.pad[d] = below(w.kernel[d]);
        w.pad_end[d] = below(w.kernel[d]);
        int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1;
        w.in[d] = reach + below(d == 2 ? 20 : 4);
        w.out[d] = (w.in[d] + w.pad[d] + w.pad_end[d] - reach) / w.stride[d] + 1;
    }
    return w;
}

static int64_t volume(const int64_t *n) {
    return n[0] * n[1] * n[2];
}

Test(pool, rows_agree_with_the_reference_and_any_split) {
    srand(SEED);
    for (int round = 0; round < ROUNDS; round++) {
        cr_pool_window w = random_window();
        int64_t n_in = ROWS * volume(w.in), n_out = ROWS * volume(w.out), cut = below(ROWS + 1);
        float *x = malloc((size_t)n_in * sizeof *x), *want = malloc((size_t)n_out * sizeof *want),
              *got = malloc((size_t)(n_out + 1) * sizeof *got);
        for (int64_t i = 0; i < n_in; i++)
            x[i] = (float)rand() / (float)RAND_MAX - 0.5f;
        got[n_out] = 7;
        cr_assert(cr_pool_fast_accepts(&w, false));
        cr_pool_reference(&w, CREASE_FLOAT, x, want, NULL, 0, ROWS);
        cr_pool_fast(&w, CREASE_FLOAT, x, got, 0, cut);
        cr_pool_fast(&w, CREASE_FLOAT, x, got, cut, ROWS);
        for (int64_t i = 0; i < n_out; i++) /* at most 64 terms below 1, each sum rounded to 2^-24 */
            cr_assert(w.kind == CR_POOL_MAX ? got[i] == want[i] : fabsf(got[i] - want[i]) < 4e-6f,
                      "seed %d round %d output %lld: %g, expected %g", SEED, round, (long long)i,
                      (double)got[i], (double)want[i]);
        cr_assert_eq(got[n_out], 7);
        free(x);
        free(want);
        free(got);
    }
}

Test(pool, indices_follow_the_storage_order) {
    const float x[] = {1, 2, 3, 4, 5, 9};
    float y;
    int64_t index;
    cr_pool_window w = {
        .in = {1, 2, 3}, .out = {1, 1, 1}, .kernel = {1, 2, 3}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    cr_pool_reference(&w, CREASE_FLOAT, x, &y, &index, 0, 1);
    cr_assert(y == 9 && index == 5);
    const float z[] = {1, 9, 3, 4, 5, 2};
    w.column_major = true;
    cr_pool_reference(&w, CREASE_FLOAT, z, &y, &index, 0, 1);
    cr_assert(y == 9 && index == 2, "column 1, row 0 is element 2 column by column");
}

Test(pool, bytes_and_windows_in_padding) {
    const int8_t x[] = {-5, -7};
    int8_t y[3];
    cr_pool_window w = {.in = {1, 1, 2},
                        .out = {1, 1, 3},
                        .kernel = {1, 1, 1},
                        .stride = {1, 1, 1},
                        .dilation = {1, 1, 1},
                        .pad_end = {0, 0, 1}};
    cr_pool_fast(&w, CREASE_INT8, x, y, 0, 1);
    cr_assert(y[0] == -5 && y[1] == -7 && y[2] == INT8_MIN);
}

static double global_of(cr_pool_kind kind, int64_t p, const float *x, int64_t n) {
    double sum = 0, top = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)x[i];
        top = v > top ? v : top;
        sum += kind == CR_POOL_LP ? pow(fabs(v), (double)p) : v;
    }
    return kind == CR_POOL_MAX ? top : kind == CR_POOL_AVERAGE ? sum / (double)n : pow(sum, 1 / (double)p);
}

Test(pool, global_rows_of_any_length) {
    static float x[150 * 90], y[150], again[150];
    srand(SEED);
    for (int i = 0; i < 150 * 90; i++)
        x[i] = (float)rand() / (float)RAND_MAX - 0.2f;
    for (int round = 0; round < ROUNDS; round++) {
        const cr_pool_kind kind = (cr_pool_kind)(round % 3);
        const int64_t p = 1 + below(3), area = 1 + below(90), rows = 1 + below(150), cut = below(rows + 1);
        cr_pool_global(kind, p, CREASE_FLOAT, x, y, area, 0, rows);
        cr_pool_global(kind, p, CREASE_FLOAT, x, again, area, cut, rows);
        cr_pool_global(kind, p, CREASE_FLOAT, x, again, area, 0, cut);
        cr_assert_arr_eq(y, again, (size_t)rows * sizeof *y, "a cut changes bits, round %d", round);
        for (int64_t row = 0; row < rows; row++) {
            const double want = global_of(kind, p, x + row * area, area);
            cr_assert(fabs((double)y[row] - want) <= 1e-6 * (fabs(want) + 1e-2),
                      "seed %d round %d row %d of %d: %g, not %g", SEED, round, (int)row, (int)area,
                      (double)y[row], want);
        }
    }
}

Test(pool, a_global_maximum_beside_nan_is_nan) {
    const float x[] = {1, NAN, 2, 3, 4, 5};
    float y[2];
    cr_pool_global(CR_POOL_MAX, 0, CREASE_FLOAT, x, y, 3, 0, 2);
    cr_assert(isnan(y[0]) && y[1] == 5);
}

Test(pool, global_forms) {
    float x[2500], y[2];
    double sum = 0;
    for (int i = 0; i < 2500; i++) {
        x[i] = (float)(i % 13) - 6;
        sum += i < 1250 ? (double)x[i] : 0;
    }
    cr_pool_global(CR_POOL_AVERAGE, 0, CREASE_FLOAT, x, y, 1250, 0, 2);
    cr_assert_float_eq(y[0], sum / 1250, 1e-6);
    cr_pool_global(CR_POOL_MAX, 0, CREASE_FLOAT, x, y, 1250, 0, 2);
    cr_assert(y[0] == 6 && y[1] == 6);
    cr_pool_global(CR_POOL_LP, 2, CREASE_FLOAT, (float[]){3, -4, 0, 2}, y, 2, 0, 2);
    cr_assert(y[0] == 5 && y[1] == 2);
}
