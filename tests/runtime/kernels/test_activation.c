#include "runtime/kernels/activation.h"

#include <criterion/criterion.h>

#include "runtime/kernels/blocked/blocked.h"
#include "tests/runtime/kernels/guard.h"

/* The vector activations of every instruction set beside their definitions in double, over every exponent
 * and what has none. */

enum { VECTORS = 4096, ROUNDS = 8 };

/* How far an activation may be off: `ulps` of its value, and of |x| times `of_input` where the value is a
 * small difference of larger ones; `growing` more of each unit by which x is below 0. */
typedef struct bound {
    double ulps, of_input, growing;
} bound;

static const bound bounds[CR_ACT_COUNT] = {
    [CR_ACT_LEAKY_RELU] = {1, 0, 0},  [CR_ACT_PRELU] = {1, 0, 0},      [CR_ACT_HARDSIGMOID] = {2, 0.5, 0},
    [CR_ACT_HARDSWISH] = {2, 0.5, 0}, [CR_ACT_SIGMOID] = {3, 0, 1.25}, [CR_ACT_SILU] = {3, 0, 1.25},
    [CR_ACT_TANH] = {3, 0, 0},        [CR_ACT_GELU] = {3, 0.5, 0},     [CR_ACT_GELU_TANH] = {3, 0.5, 0},
    [CR_ACT_ELU] = {2, 0, 0},         [CR_ACT_MISH] = {6, 0, 1.25},    [CR_ACT_QUANTIZE] = {1, 0, 0},
};

static double ulp(double x) {
    int exponent;
    frexp(fmax(fabs(x), 0x1p-126), &exponent);
    return ldexp(1, exponent - 24);
}

/* Results near the smallest normal number may underflow. */
static double allowed(cr_act kind, double x, double want) {
    const bound *b = &bounds[kind];
    const double size = fmax(fabs(want), b->of_input * fabs(x));
    return (b->ulps + b->growing * fmax(0, -x)) * ulp(size) + 0x1p-125 * fmax(1, fabs(x));
}

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A random mantissa under each sign and exponent in turn, that of infinity and NaN included; and values of
 * the size that activations bend at. */
static void fill(float *x, size_t n) {
    const float special[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 87.5f, -87.5f, 127, -127, 1e-45f, -1e-45f};
    const size_t n_special = sizeof special / sizeof *special;
    for (size_t i = 0; i < n; i++)
        x[i] = i < n_special ? special[i]
               : i % 2 == 0  ? from_bits((uint32_t)(i / 2) << 23 | (uint32_t)(random_bits() >> 41))
                             : (float)(random_bits() % 4000001) * 1e-5f - 20;
}

static void check_value(cr_isa isa, const cr_activation *act, float x, float y, int64_t channel) {
    const double want = cr_activation_value(act, (double)x, channel);
    const bool exact = isinf(x) || isinf((float)want);
    const bool ok = isnan(want) ? isnan(y)
                    : exact     ? y == (float)want
                                : fabs((double)y - want) <= allowed(act->kind, (double)x, want);
    cr_assert(ok, "isa %d activation %d of %.9g is %.9g, expected %.9g, CREASE_TEST_SEED=%llu", (int)isa,
              (int)act->kind, (double)x, (double)y, want, (unsigned long long)test_seed_value);
}

static void check_activations(cr_isa isa, const cr_blocked_kernels *kernels) {
    const cr_blocked_shape shape = {1, kernels->lanes, VECTORS, kernels->lanes};
    const size_t n = VECTORS * (size_t)kernels->lanes;
    guarded x = guarded_new(n), y = guarded_new(n), slope = guarded_new((size_t)kernels->lanes);
    for (size_t i = 0; i < slope.n; i++)
        slope.data[i] = 0.25f * ((float)i + 1);
    fill(x.data, n);
    for (int kind = 0; kind < CR_ACT_COUNT; kind++) {
        cr_activation act = {.kind = (cr_act)kind, .a = 0.2f, .b = 0.5f, .slope = slope.data};
        if (kind == CR_ACT_QUANTIZE)
            act = (cr_activation){.kind = CR_ACT_QUANTIZE, .a = 0.11f, .b = -100, .c = 155};
        kernels->activate(&shape, &act, x.data, y.data, 0, VECTORS);
        for (size_t i = 0; i < n; i++)
            check_value(isa, &act, x.data[i], y.data[i], (int64_t)i % kernels->lanes);
    }
    cr_assert(guarded_intact(&y) && guarded_intact(&x) && guarded_intact(&slope));
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&slope);
}

Test(activation, vectors_agree_with_the_definition) {
    test_seed();
    for (int isa = CR_ISA_VECTOR; isa <= CR_ISA_NEON; isa++) {
        const cr_blocked_kernels *kernels = cr_blocked((cr_isa)isa);
        for (int round = 0; round < ROUNDS && kernels != NULL && isa_runs((cr_isa)isa); round++)
            check_activations((cr_isa)isa, kernels);
    }
}
