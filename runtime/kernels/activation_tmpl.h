#ifndef CREASE_RUNTIME_KERNELS_ACTIVATION_TMPL_H
#define CREASE_RUNTIME_KERNELS_ACTIVATION_TMPL_H

/* Every activation on vectors whose lanes are neighbouring channels; see activation.h and vec_tmpl.h. NaN
 * stays NaN, unless quantised. */

#include "runtime/kernels/activation.h"
#include "runtime/kernels/vec_math_tmpl.h"

CR_INLINE cr_vec cr_leaky(cr_vec x, cr_vec slope) {
    return cr_select(cr_less(x, (cr_vec){0}), slope * x, x);
}

CR_INLINE cr_vec cr_hardsigmoid(cr_vec x, float a, float b) {
    return cr_clamp(cr_fma(x, cr_broadcast(a), cr_broadcast(b)), (cr_vec){0}, cr_broadcast(1));
}

CR_INLINE cr_vec cr_gelu(cr_vec x) {
    const cr_vec half = 0.5f * x;
    return cr_fma(half, cr_erf(x * 0x1.6a09e6p-1f), half);
}

CR_INLINE cr_vec cr_gelu_tanh(cr_vec x) {
    const cr_vec half = 0.5f * x;
    const cr_vec cubic = cr_fma(0.044715f * x * x, x, x);
    return cr_fma(half, cr_tanh(0x1.988454p-1f * cubic), half);
}

/* tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2); from x = 20 on it is 1. */
CR_INLINE cr_vec cr_mish(cr_vec x) {
    const cr_vec e = cr_exp2(0x1.715476p0f * cr_min(cr_broadcast(20), x));
    const cr_vec product = e * (e + 2);
    return x * cr_quotient(product, product + 2);
}

/* Adding 1.5 2^23 rounds to an integer, ties to even; limits that are integers may come first. NaN is less
 * than nothing. */
CR_INLINE cr_vec cr_quantize_steps(cr_vec x, float step, float low, float high) {
    const cr_vec q = cr_clamp(x / cr_broadcast(step), cr_broadcast(low), cr_broadcast(high));
    const cr_vec rounded = (q + 0x1.8p23f) - 0x1.8p23f;
    return cr_broadcast(step) * cr_select(cr_less(q, cr_broadcast(high + 1)), rounded, (cr_vec){0});
}

/* kind is constant wherever the switch is to vanish. channel: of lane 0. */
CR_INLINE cr_vec cr_activate_kind(cr_act kind, cr_vec x, const cr_activation *activation, int64_t channel) {
    const float a = activation->a, b = activation->b;
    switch (kind) {
    case CR_ACT_RELU:
        return cr_max((cr_vec){0}, x);
    case CR_ACT_CLIP:
        return cr_clamp(x, cr_broadcast(a), cr_broadcast(b));
    case CR_ACT_LEAKY_RELU:
        return cr_leaky(x, cr_broadcast(a));
    case CR_ACT_PRELU:
        return cr_leaky(x, cr_load(activation->slope + channel));
    case CR_ACT_HARDSIGMOID:
        return cr_hardsigmoid(x, a, b);
    case CR_ACT_HARDSWISH:
        return x * cr_hardsigmoid(x, 1.0f / 6, 0.5f);
    case CR_ACT_SIGMOID:
        return cr_logistic(cr_broadcast(1), x);
    case CR_ACT_SILU:
        return cr_logistic(x, x);
    case CR_ACT_TANH:
        return cr_tanh(x);
    case CR_ACT_GELU:
        return cr_gelu(x);
    case CR_ACT_GELU_TANH:
        return cr_gelu_tanh(x);
    case CR_ACT_ELU:
        return cr_select(cr_less(x, (cr_vec){0}), a * cr_expm1_negative(x), x);
    case CR_ACT_MISH:
        return cr_mish(x);
    case CR_ACT_QUANTIZE:
        return cr_quantize_steps(x, a, b, activation->c);
    case CR_ACT_NONE:
    case CR_ACT_COUNT:
        break;
    }
    return x;
}

CR_INLINE cr_vec cr_activate(cr_vec x, const cr_activation *activation, int64_t channel) {
    return cr_activate_kind(activation->kind, x, activation, channel);
}

/* n vectors of the same channels from `from` to `to`, which may be `from`. */
static inline __attribute__((unused)) void cr_activate_vectors(const cr_activation *activation,
                                                               const float *from, float *to, int64_t n,
                                                               int64_t channel) {
#define CR_ACTIVATE_LOOP(kind)                                                                               \
    case kind:                                                                                               \
        for (int64_t i = 0; i < n * CR_LANES; i += CR_LANES)                                                 \
            cr_store(to + i, cr_activate_kind(kind, cr_load(from + i), activation, channel));                \
        break;
    switch (activation->kind) {
        CR_ACTIVATE_LOOP(CR_ACT_NONE)
        CR_ACTIVATE_LOOP(CR_ACT_RELU)
        CR_ACTIVATE_LOOP(CR_ACT_CLIP)
        CR_ACTIVATE_LOOP(CR_ACT_LEAKY_RELU)
        CR_ACTIVATE_LOOP(CR_ACT_PRELU)
        CR_ACTIVATE_LOOP(CR_ACT_HARDSIGMOID)
        CR_ACTIVATE_LOOP(CR_ACT_HARDSWISH)
        CR_ACTIVATE_LOOP(CR_ACT_SIGMOID)
        CR_ACTIVATE_LOOP(CR_ACT_SILU)
        CR_ACTIVATE_LOOP(CR_ACT_TANH)
        CR_ACTIVATE_LOOP(CR_ACT_GELU)
        CR_ACTIVATE_LOOP(CR_ACT_GELU_TANH)
        CR_ACTIVATE_LOOP(CR_ACT_ELU)
        CR_ACTIVATE_LOOP(CR_ACT_MISH)
        CR_ACTIVATE_LOOP(CR_ACT_QUANTIZE)
    case CR_ACT_COUNT:
        break;
    }
#undef CR_ACTIVATE_LOOP
}

#endif
