#include "runtime/kernels/activation.h"

#include <math.h>

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

/* Divided in float32, as QuantizeLinear does. */
static double quantize(const cr_activation *activation, double x) {
    const double step = (double)activation->a, q = nearbyint((double)((float)x / activation->a));
    return x == x ? step * clamp(q, (double)activation->b, (double)activation->c) : 0;
}

static double gelu(double x) {
    return x / 2 * (1 + erf(x / sqrt(2.0)));
}

static double gelu_tanh(double x) {
    const double sqrt_2_over_pi = 0.79788456080286536;
    return x / 2 * (1 + tanh(sqrt_2_over_pi * (x + 0.044715 * x * x * x)));
}

double cr_activation_value(const cr_activation *activation, double x, int64_t channel) {
    const double a = (double)activation->a, b = (double)activation->b;
    switch (activation->kind) {
    case CR_ACT_RELU:
        return x < 0 ? 0 : x;
    case CR_ACT_CLIP: /* as in ONNX, b wins where a > b */
        return x > b || a > b ? b : x < a ? a : x;
    case CR_ACT_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case CR_ACT_PRELU:
        return x < 0 ? (double)activation->slope[channel] * x : x;
    case CR_ACT_HARDSIGMOID:
        return clamp(a * x + b, 0, 1);
    case CR_ACT_HARDSWISH:
        return x * clamp(x / 6 + 0.5, 0, 1);
    case CR_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case CR_ACT_SILU:
        return x / (1 + exp(-x));
    case CR_ACT_TANH:
        return tanh(x);
    case CR_ACT_GELU:
        return gelu(x);
    case CR_ACT_GELU_TANH:
        return gelu_tanh(x);
    case CR_ACT_ELU:
        return x < 0 ? a * expm1(x) : x;
    case CR_ACT_MISH:
        return x * tanh(x > 40 ? x : log1p(exp(x)));
    case CR_ACT_QUANTIZE:
        return quantize(activation, x);
    case CR_ACT_NONE:
    case CR_ACT_COUNT:
        break;
    }
    return x;
}

bool cr_activation_is_clamp(const cr_activation *activation, float *low, float *high) {
    const cr_act kind = activation->kind;
    *low = kind == CR_ACT_RELU ? 0.0f : kind == CR_ACT_CLIP ? activation->a : -INFINITY;
    *high = kind == CR_ACT_CLIP ? activation->b : INFINITY;
    return kind == CR_ACT_NONE || kind == CR_ACT_RELU || kind == CR_ACT_CLIP;
}
