#include "runtime/kernels/softmax.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/runtime/kernels/guard.h"

/* Every kernel that this processor runs against the reference in double. */

enum { SEED = 20261127, ROUNDS = 300, MAX = 8192, GUARD = 32 };

static float x[MAX], y[MAX + 2 * GUARD], again[MAX + 2 * GUARD], want[MAX];

static int64_t below(int64_t n) {
    return rand() % n;
}

static void fill(int64_t n, float range) {
    for (int64_t i = 0; i < n; i++)
        x[i] = range * ((float)rand() / (float)RAND_MAX - 0.5f);
    for (int64_t i = 0; i < n + 2 * GUARD; i++)
        y[i] = again[i] = -77;
}

static void check_guards(int64_t n) {
    for (int64_t i = 0; i < GUARD; i++)
        cr_assert(y[i] == -77 && y[GUARD + n + i] == -77, "written outside");
}

/* The bound that softmax.h states, and the smallest normal number for what underflows. */
static void check_close(const cr_softmax_shape *s, int64_t n, int round) {
    for (int64_t i = 0; i < n; i++) {
        const double w = (double)want[i], size = s->log ? fabs(w) : -log(w + 1e-38);
        const double bound = (size + 16) * (s->log ? 0x1p-23 : w * 0x1p-24) + (s->log ? 0 : 1.2e-38);
        cr_assert(fabs((double)y[GUARD + i] - w) <= bound,
                  "seed %d round %d extent %d inner %d log %d at %d: %g, expected %g", SEED, round,
                  (int)s->extent, (int)s->inner, s->log, (int)i, (double)y[GUARD + i], w);
    }
}

static void check_one(cr_isa isa, int round) {
    const cr_softmax_shape s = {1 + below(below(2) ? 150 : 9), below(2) ? 1 : 1 + below(40), below(2) != 0};
    const int64_t most = MAX / (s.extent * s.inner), outer = 1 + below(most < 30 ? most : 30);
    const int64_t columns = outer * s.inner, n = columns * s.extent, cut = below(columns + 1);
    fill(n, below(2) ? 4 : 120);
    cr_softmax_reference(&s, x, want, 0, columns);
    cr_softmax(isa)(&s, x, y + GUARD, 0, columns);
    check_guards(n);
    check_close(&s, n, round);
    cr_softmax(isa)(&s, x, again + GUARD, cut, columns);
    cr_softmax(isa)(&s, x, again + GUARD, 0, cut);
    cr_assert_arr_eq(y, again, (size_t)(n + 2 * GUARD) * sizeof *y, "a cut changes bits, round %d", round);
    memcpy(again + GUARD, x, (size_t)n * sizeof *x);
    cr_softmax(isa)(&s, again + GUARD, again + GUARD, 0, columns);
    cr_assert_arr_eq(y, again, (size_t)(n + 2 * GUARD) * sizeof *y, "in place, round %d", round);
}

Test(softmax, every_kernel_agrees_with_the_reference) {
    srand(SEED);
    for (cr_isa isa = CR_ISA_VECTOR; isa <= CR_ISA_NEON; isa++)
        for (int round = 0; isa_runs(isa) && round < ROUNDS; round++)
            check_one(isa, round);
}

Test(softmax, nan_and_infinities_stay_in_their_column) {
    const cr_softmax_shape s = {3, 1, false};
    const float in[] = {1, NAN, 2, 0, 1, 2, -INFINITY, -INFINITY, -INFINITY, -INFINITY, 0, -INFINITY};
    float out[12];
    cr_softmax(cr_cpu_isa())(&s, in, out, 0, 4);
    for (int i = 0; i < 3; i++)
        cr_assert(isnan(out[i]) && isnan(out[6 + i]));
    cr_assert_float_eq(out[3] + out[4] + out[5], 1, 1e-6);
    cr_assert(out[9] == 0 && out[10] == 1 && out[11] == 0);
}
