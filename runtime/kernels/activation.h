#ifndef CREASE_RUNTIME_KERNELS_ACTIVATION_H
#define CREASE_RUNTIME_KERNELS_ACTIVATION_H

#include <stdbool.h>
#include <stdint.h>

/* Activations that kernels apply before they store. */
typedef enum cr_act {
    CR_ACT_NONE,
    CR_ACT_RELU,
    CR_ACT_CLIP,        /* min(max(x, a), b) */
    CR_ACT_LEAKY_RELU,  /* x < 0 ? a x : x */
    CR_ACT_PRELU,       /* x < 0 ? slope[c] x : x */
    CR_ACT_HARDSIGMOID, /* min(max(a x + b, 0), 1) */
    CR_ACT_HARDSWISH,   /* x hardsigmoid(x, 1/6, 1/2) */
    CR_ACT_SIGMOID,
    CR_ACT_SILU, /* x sigmoid(x) */
    CR_ACT_TANH,
    CR_ACT_GELU,      /* x Phi(x), by erf */
    CR_ACT_GELU_TANH, /* the tanh approximation */
    CR_ACT_ELU,       /* x < 0 ? a (exp(x) - 1) : x */
    CR_ACT_MISH,      /* x tanh(log(1 + exp(x))) */
    CR_ACT_QUANTIZE,  /* a min(max(round(x / a), b), c), ties to even; NaN becomes 0. b <= 0 <= c are integers
                         below 2^22: QuantizeLinear to 8 or 16 bits, and DequantizeLinear */
    CR_ACT_COUNT
} cr_act;

typedef struct cr_activation {
    cr_act kind;
    float a, b, c;
    const float *slope; /* PReLU: [channels rounded up to lanes] */
} cr_activation;

/* The activation of x at a channel, by its definition: what the fast ones are judged by. */
double cr_activation_value(const cr_activation *activation, double x, int64_t channel);

/* NONE, RELU and CLIP are min(max(x, *low), *high); false for the others. */
bool cr_activation_is_clamp(const cr_activation *activation, float *low, float *high);

#endif
