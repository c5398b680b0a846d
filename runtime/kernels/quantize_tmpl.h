#ifndef CREASE_RUNTIME_KERNELS_QUANTIZE_TMPL_H
#define CREASE_RUNTIME_KERNELS_QUANTIZE_TMPL_H

/* The forms that networks are full of, as loops that compilers turn into vectors of the instruction set that
 * the file is compiled for. Defines CR_QUANTIZE, the name of the table. */

#include "runtime/kernels/quantize.h"

/* Adding 1.5 2^23 rounds to an integer, ties to even; beyond it x is clamped first. */
#define DEFINE_QUANTIZE(name, T, LOW, HIGH)                                                                  \
    static void name(float scale, float zero, const float *restrict x, T *restrict y, int64_t n) {           \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            float q = x[i] / scale;                                                                          \
            q = q < -1024 ? -1024 : q > 1024 ? 1024 : q == q ? q : 0;                                        \
            q = ((q + 0x1.8p23f) - 0x1.8p23f) + zero;                                                        \
            y[i] = (T)(int32_t)(q < (LOW) ? (LOW) : q > (HIGH) ? (HIGH) : q);                                \
        }                                                                                                    \
    }
DEFINE_QUANTIZE(quantize_u8, uint8_t, 0, 255)
DEFINE_QUANTIZE(quantize_i8, int8_t, -128, 127)

#define DEFINE_DEQUANTIZE(name, T)                                                                           \
    static void name(float scale, float zero, const T *restrict x, float *restrict y, int64_t n) {           \
        for (int64_t i = 0; i < n; i++)                                                                      \
            y[i] = ((float)x[i] - zero) * scale;                                                             \
    }
DEFINE_DEQUANTIZE(dequantize_u8, uint8_t)
DEFINE_DEQUANTIZE(dequantize_i8, int8_t)

/* Several ranges side by side are vectors. */
static void range_with_zero(const float *x, int64_t n, float *low, float *high) {
    enum { SIDE = 32 };
    float lows[SIDE] = {0}, highs[SIDE] = {0};
    int64_t i = 0;
    for (; i + SIDE <= n; i += SIDE)
        for (int k = 0; k < SIDE; k++) {
            lows[k] = x[i + k] < lows[k] ? x[i + k] : lows[k];
            highs[k] = x[i + k] > highs[k] ? x[i + k] : highs[k];
        }
    for (; i < n; i++) {
        lows[0] = x[i] < lows[0] ? x[i] : lows[0];
        highs[0] = x[i] > highs[0] ? x[i] : highs[0];
    }
    *low = *high = 0;
    for (int k = 0; k < SIDE; k++) {
        *low = lows[k] < *low ? lows[k] : *low;
        *high = highs[k] > *high ? highs[k] : *high;
    }
}

const cr_quantize_kernels CR_QUANTIZE = {quantize_u8, quantize_i8, dequantize_u8, dequantize_i8,
                                         range_with_zero};

#endif
