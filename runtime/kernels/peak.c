#include "runtime/kernels/peak.h"
#include "runtime/base/clock.h"

#include <math.h>

enum { STEPS = 2000, ROUNDS = 1000 };

/* STEPS multiply-adds on each of so many independent vectors as hide the latency and fit the registers.
 * `touch` keeps the compiler from reasoning about `step`. */
#define DEFINE_CHAINS(name, lanes, chains, touch, attributes)                                                \
    attributes static __attribute__((noinline)) float name(float x) {                                        \
        typedef float vec __attribute__((vector_size(4 * (lanes))));                                         \
        const vec factor = x - (vec){0};                                                                     \
        vec sums[chains], step = factor;                                                                     \
        _Pragma("GCC unroll 32") for (int c = 0; c < (chains); c++) sums[c] = factor * (float)c;             \
        for (int i = 0; i < STEPS; i++) {                                                                    \
            _Pragma("GCC unroll 32") for (int c = 0; c < (chains); c++) sums[c] = sums[c] * factor + step;   \
            touch;                                                                                           \
        }                                                                                                    \
        for (int c = 1; c < (chains); c++)                                                                   \
            sums[0] += sums[c];                                                                              \
        return sums[0][0];                                                                                   \
    }

/* Four vectors a turn; the rest one by one. */
#define DEFINE_SWEEP(name, lanes, attributes)                                                                \
    attributes static void name(float *block, int64_t begin, int64_t end) {                                  \
        typedef float vec __attribute__((vector_size(4 * (lanes)), aligned(4), may_alias));                  \
        int64_t i = begin;                                                                                   \
        for (; i + 4 * (lanes) <= end; i += 4 * (lanes)) {                                                   \
            vec *at = (vec *)(block + i);                                                                    \
            _Pragma("GCC unroll 4") for (int v = 0; v < 4; v++) at[v] = at[v] * 0.5f;                        \
        }                                                                                                    \
        for (; i < end; i++)                                                                                 \
            block[i] *= 0.5f;                                                                                \
    }

#if defined __x86_64__
#define TARGET_AVX2   __attribute__((target("avx2,fma")))
#define TARGET_AVX512 __attribute__((target("avx512f")))
enum { CHAINS = 12 };
DEFINE_CHAINS(chains_vector, 4, CHAINS, __asm__ volatile("" : "+x"(step)), )
DEFINE_CHAINS(chains_avx2, 8, 10, __asm__ volatile("" : "+x"(step)), TARGET_AVX2)
DEFINE_CHAINS(chains_avx512, 16, 20, __asm__ volatile("" : "+v"(step)), TARGET_AVX512)
DEFINE_SWEEP(sweep_avx2, 8, TARGET_AVX2)
DEFINE_SWEEP(sweep_avx512, 16, TARGET_AVX512)
#elif defined __aarch64__
enum { CHAINS = 20 };
DEFINE_CHAINS(chains_vector, 4, CHAINS, __asm__ volatile("" : "+w"(step)), )
#else
enum { CHAINS = 8 };
DEFINE_CHAINS(chains_vector, 4, CHAINS, , )
#endif
DEFINE_SWEEP(sweep_vector, 4, )

static double rate_of(float (*chains)(float), int floats) {
    double best = INFINITY;
    volatile float sink;
    for (int round = 0; round < ROUNDS; round++) {
        const double begin = cr_clock_seconds();
        sink = chains(0.5f);
        const double time = cr_clock_seconds() - begin;
        best = time < best ? time : best;
    }
    (void)sink;
    return 2.0 * floats * STEPS / best;
}

double cr_peak_flops(cr_isa isa) {
#if defined __x86_64__
    if (isa == CR_ISA_AVX512)
        return rate_of(chains_avx512, 16 * 20);
    if (isa == CR_ISA_AVX2)
        return rate_of(chains_avx2, 8 * 10);
#endif
    (void)isa;
    return rate_of(chains_vector, 4 * CHAINS);
}

void cr_peak_sweep(cr_isa isa, float *block, int64_t begin, int64_t end) {
#if defined __x86_64__
    if (isa == CR_ISA_AVX512 || isa == CR_ISA_AVX2) {
        (isa == CR_ISA_AVX512 ? sweep_avx512 : sweep_avx2)(block, begin, end);
        return;
    }
#endif
    (void)isa;
    sweep_vector(block, begin, end);
}
