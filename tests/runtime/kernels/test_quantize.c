#include "runtime/kernels/quantize.h"

#include <criterion/criterion.h>
#include <math.h>

#include "tests/runtime/kernels/guard.h"

/* The kernels of every instruction set beside the definition, on all lengths and any alignment. */

enum { MOST = 150, ROUNDS = 300 };

static float random_sample(void) {
    static const float special[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, 1e30f, -1e30f, 1e-40f, 2.5f, 3.5f};
    const int64_t pick = random_int(0, 29);
    return pick < 10 ? special[pick] : (float)random_int(-40000, 40000) / 64;
}

static double rounded(float x, float scale, double zero, double low, double high) {
    const double q = (double)nearbyintf(x / scale) + zero;
    return x != x ? zero : q < low ? low : q > high ? high : q;
}

static void check(const cr_quantize_kernels *k, int64_t n, float scale) {
    float x[MOST + 1], low, high, low_want = 0, high_want = 0, back[MOST + 2];
    uint8_t u[MOST + 2];
    int8_t i[MOST + 2];
    const int at = (int)random_int(0, 1), zero = (int)random_int(0, 255);
    for (int64_t e = 0; e < n; e++) {
        x[at + e] = random_sample();
        low_want = x[at + e] < low_want ? x[at + e] : low_want;
        high_want = x[at + e] > high_want ? x[at + e] : high_want;
    }
    memset(u, 77, sizeof u);
    memset(i, 77, sizeof i);
    k->to_u8(scale, (float)zero, x + at, u + at, n);
    k->to_i8(scale, (float)(zero - 128), x + at, i + at, n);
    k->range(x + at, n, &low, &high);
    cr_assert(low == low_want && high == high_want);
    cr_assert(u[at + n] == 77 && i[at + n] == 77, "written past the end");
    for (int64_t e = at; e < at + n; e++) {
        cr_assert_eq(u[e], (uint8_t)rounded(x[e], scale, zero, 0, 255), "%g", (double)x[e]);
        cr_assert_eq(i[e], (int8_t)rounded(x[e], scale, zero - 128, -128, 127), "%g", (double)x[e]);
    }
    back[at + n] = 77;
    k->from_u8(scale, (float)zero, u + at, back + at, n);
    for (int64_t e = at; e < at + n; e++)
        cr_assert_eq(back[e], (float)(u[e] - zero) * scale);
    k->from_i8(scale, (float)zero, i + at, back + at, n);
    for (int64_t e = at; e < at + n; e++)
        cr_assert_eq(back[e], (float)(i[e] - zero) * scale);
    cr_assert_eq(back[at + n], 77);
}

Test(quantize, every_kernel_agrees_with_the_definition) {
    static const float scales[] = {0.5f, 1, 0.017f, 3.1f, 1e-30f, 1e30f};
    test_seed();
    for (int isa = CR_ISA_VECTOR; isa <= CR_ISA_NEON; isa++)
        for (int round = 0; isa_runs((cr_isa)isa) && round < ROUNDS; round++)
            check(cr_quantize_of((cr_isa)isa), round % MOST, scales[random_int(0, 5)]);
}
