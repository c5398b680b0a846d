#ifndef CREASE_RUNTIME_KERNELS_CONV_CLAMP_H
#define CREASE_RUNTIME_KERNELS_CONV_CLAMP_H

#include "runtime/kernels/conv/conv.h"

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

#endif
