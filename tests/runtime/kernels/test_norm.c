#include <criterion/criterion.h>

#include "runtime/kernels/norm.h"
#include "tests/runtime/kernels/guard.h"

/* Every kernel that this processor runs against the plain loops. */

static bool near(double a, double b, double size) {
    return fabs(a - b) <= 1e-13 * size;
}

static void check_sums(cr_isa isa, const guarded *x) {
    const int64_t n = (int64_t)x->n;
    const double center = (double)random_float();
    const cr_norm_kernels *k = cr_norm_f32_of(isa);
    cr_assert(near(k->sum(x->data, n), cr_norm_f32.sum(x->data, n), (double)n), "%s: sum of %d (seed %llu)",
              cr_isa_name(isa), (int)n, (unsigned long long)test_seed_value);
    cr_assert(near(k->squares(x->data, n, center), cr_norm_f32.squares(x->data, n, center), 4 * (double)n),
              "%s: squares of %d (seed %llu)", cr_isa_name(isa), (int)n, (unsigned long long)test_seed_value);
}

/* Products and sums of numbers below 4, each rounded once or, fused, not at all. */
static void check_same(cr_isa isa, const char *what, const guarded *want, const guarded *got) {
    for (size_t i = 0; i < want->n; i++)
        cr_assert(fabs((double)want->data[i] - (double)got->data[i]) <= 8 * 0x1p-24,
                  "%s: %s at %zu of %zu: %g, not %g (seed %llu)", cr_isa_name(isa), what, i, want->n,
                  (double)got->data[i], (double)want->data[i], (unsigned long long)test_seed_value);
    cr_assert(guarded_intact(got));
}

static void check_maps(cr_isa isa, const guarded *x) {
    const int64_t n = (int64_t)x->n;
    const double s = (double)random_float(), t = (double)random_float();
    const cr_norm_kernels *k = cr_norm_f32_of(isa);
    guarded want = guarded_new(x->n), got = guarded_new(x->n), in_place = guarded_new(x->n);
    guarded scale = random_buffer(x->n), shift = random_buffer(x->n);
    const float *const scales = random_chance(50) ? scale.data : NULL;
    const float *const shifts = random_chance(50) ? shift.data : NULL;
    cr_norm_f32.affine(x->data, want.data, n, s, t);
    k->affine(x->data, got.data, n, s, t);
    check_same(isa, "affine", &want, &got);
    cr_norm_f32.normalize(x->data, want.data, n, s, t, scales, shifts);
    k->normalize(x->data, got.data, n, s, t, scales, shifts);
    check_same(isa, "normalize", &want, &got);
    memcpy(in_place.data, x->data, x->n * sizeof *x->data);
    k->normalize(in_place.data, in_place.data, n, s, t, scales, shifts);
    cr_assert_arr_eq(in_place.data, got.data, x->n * sizeof *x->data, "in place");
    guarded *const all[] = {&want, &got, &in_place, &scale, &shift};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
}

Test(norm, every_kernel_agrees_with_plain_loops) {
    test_seed();
    for (cr_isa isa = CR_ISA_VECTOR; isa <= CR_ISA_NEON; isa++)
        for (int round = 0; isa_runs(isa) && round < test_rounds(500); round++) {
            guarded x = random_buffer((size_t)random_int(0, round % 2 ? 500 : 20));
            check_sums(isa, &x);
            check_maps(isa, &x);
            guarded_free(&x);
        }
}

Test(norm, nan_and_infinity_reach_the_sums) {
    float x[40] = {0};
    x[33] = NAN;
    cr_assert(isnan(cr_norm_kernels_of(CREASE_FLOAT)->sum(x, 40)));
    x[33] = INFINITY;
    cr_assert(isinf(cr_norm_kernels_of(CREASE_FLOAT)->sum(x, 40)));
    cr_assert(isinf(cr_norm_kernels_of(CREASE_FLOAT)->squares(x, 40, 1)));
}
