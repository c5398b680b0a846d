#include "runtime/kernels/peak.h"

#include <criterion/criterion.h>
#include <math.h>

/* Each contains those before it. */
static bool runs_here(cr_isa isa) {
    const cr_isa best = cr_cpu_isa();
    return best == CR_ISA_NEON ? isa == CR_ISA_NEON || isa == CR_ISA_VECTOR : isa <= best;
}

Test(peak, sweeps_every_float_of_the_range_once) {
    enum { N = 300 };
    float block[N];
    for (cr_isa isa = CR_ISA_PLAIN; isa <= CR_ISA_NEON; isa++)
        for (int64_t begin = 0; runs_here(isa) && begin < 20; begin++) {
            const int64_t end = N - 7 * begin;
            for (int i = 0; i < N; i++)
                block[i] = (float)i;
            cr_peak_sweep(isa, block, begin, end);
            for (int i = 0; i < N; i++)
                cr_assert_float_eq(block[i], i >= begin && i < end ? (float)i / 2 : (float)i, 0, "%s [%d]",
                                   cr_isa_name(isa), i);
        }
}

/* No statement about a machine: a rate that is one at all. */
Test(peak, measures_a_rate) {
    for (cr_isa isa = CR_ISA_PLAIN; isa <= CR_ISA_NEON; isa++)
        if (runs_here(isa)) {
            const double flops = cr_peak_flops(isa);
            cr_assert(isfinite(flops) && flops > 1e6 && flops < 1e13, "%s: %g", cr_isa_name(isa), flops);
        }
}
