#ifndef CREASE_RUNTIME_KERNELS_CONV_EPILOGUE_CLAMP_TMPL_H
#define CREASE_RUNTIME_KERNELS_CONV_EPILOGUE_CLAMP_TMPL_H

#include "runtime/kernels/conv/clamp.h"
#include "runtime/kernels/conv/epilogue_tmpl.h"

/* Stores `run` (a constant) accumulators of one channel block next to each other from output + offset. */
CR_INLINE void cr_store_clamped(int run, const cr_vec *sums, const cr_clamp_epilogue *clamp, int64_t channel,
                                int64_t offset, float *output) {
    const cr_vec bias = clamp->bias != NULL ? cr_load(clamp->bias + channel) : (cr_vec){0};
    const cr_vec low = cr_broadcast(clamp->low), high = cr_broadcast(clamp->high);
    const float *residual = clamp->residual;
    output += offset;
    if (residual == NULL) {
        CR_UNROLL
        for (int p = 0; p < run; p++)
            cr_store(output + p * CR_LANES, cr_clamp(sums[p] + bias, low, high));
        return;
    }
    residual += offset;
    const cr_vec low_after = cr_broadcast(clamp->low_after), high_after = cr_broadcast(clamp->high_after);
    CR_UNROLL
    for (int p = 0; p < run; p++) {
        const cr_vec v = cr_clamp(sums[p] + bias, low, high) + cr_load(residual + p * CR_LANES);
        cr_store(output + p * CR_LANES, cr_clamp(v, low_after, high_after));
    }
}

/* Any epilogue on n vectors of one channel block, next to each other; one copy of all activations.
 * Overwrites the sums. */
static __attribute__((noinline, unused)) void cr_store_epilogue_vectors(float *sums, int64_t n,
                                                                        const cr_epilogue *epilogue,
                                                                        int64_t channel, int64_t offset,
                                                                        float *output) {
    if (epilogue->bias != NULL)
        for (int64_t i = 0; i < n * CR_LANES; i += CR_LANES)
            cr_store(sums + i, cr_load(sums + i) + cr_load(epilogue->bias + channel));
    cr_finish_vectors(epilogue, sums, n, channel, offset, output);
}

#endif
