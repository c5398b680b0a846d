#ifndef CREASE_RUNTIME_KERNELS_CONV_EPILOGUE_CLAMP_TMPL_H
#define CREASE_RUNTIME_KERNELS_CONV_EPILOGUE_CLAMP_TMPL_H

#include "runtime/kernels/conv/epilogue_tmpl.h"

/* The epilogue without a switch for each vector, where both activations are clamps (none, ReLU, Clip).
 * Kernels with many accumulators store through this when `applies`, and otherwise through a function kept out
 * of line. */
typedef struct cr_clamp_epilogue {
    bool applies;
    const float *bias, *residual;
    float low, high;
    float low_after, high_after; /* after the residual; without one they are part of low and high */
} cr_clamp_epilogue;

static inline __attribute__((unused)) float cr_clamp_scalar(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

static inline __attribute__((unused)) cr_clamp_epilogue cr_clamp_epilogue_of(const cr_epilogue *epilogue) {
    cr_clamp_epilogue clamp = {.bias = epilogue->bias, .residual = epilogue->residual};
    const bool before = cr_activation_is_clamp(&epilogue->act, &clamp.low, &clamp.high);
    const bool after = cr_activation_is_clamp(&epilogue->act_after, &clamp.low_after, &clamp.high_after);
    clamp.applies = before && after;
    if (clamp.applies && clamp.residual == NULL) {
        clamp.low = cr_clamp_scalar(clamp.low, clamp.low_after, clamp.high_after);
        clamp.high = cr_clamp_scalar(clamp.high, clamp.low_after, clamp.high_after);
    }
    return clamp;
}

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
