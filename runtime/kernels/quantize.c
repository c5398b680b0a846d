#include "runtime/kernels/quantize.h"
#include "runtime/kernels/narrow.h"

#include <math.h>

static void range_of(crease_dtype dtype, double *low, double *high) {
    const bool is_signed = CR_T(dtype) & ((cr_types)CR_T_SIGNED | CR_T(CREASE_INT4) | CR_T(CREASE_INT2));
    const double size = ldexp(1, (int)crease_dtype_bits(dtype));
    *low = is_signed ? -size / 2 : 0;
    *high = is_signed ? size / 2 - 1 : size - 1;
}

/* NaN goes to `zero`. */
static double saturate(double rounded, double zero, double low, double high) {
    const double value = rounded + zero;
    return value < low ? low : value > high ? high : value == value ? value : zero;
}

/* The forms that networks are full of. Adding 1.5 2^23 rounds to an integer, ties to even; beyond it x is
 * clamped first. */
#define DEFINE_QUANTIZE(name, T, LOW, HIGH)                                                                  \
    static void name(float scale, float zero, const float *x, T *y, int64_t n) {                             \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            float q = x[i] / scale;                                                                          \
            q = q < -1024 ? -1024 : q > 1024 ? 1024 : q == q ? q : 0;                                        \
            q = ((q + 0x1.8p23f) - 0x1.8p23f) + zero;                                                        \
            y[i] = (T)(q < (LOW) ? (LOW) : q > (HIGH) ? (HIGH) : q);                                         \
        }                                                                                                    \
    }
DEFINE_QUANTIZE(quantize_u8, uint8_t, 0, 255)
DEFINE_QUANTIZE(quantize_i8, int8_t, -128, 127)

#define DEFINE_DEQUANTIZE(name, T)                                                                           \
    static void name(float scale, float zero, const T *x, float *y, int64_t n) {                             \
        for (int64_t i = 0; i < n; i++)                                                                      \
            y[i] = ((float)x[i] - zero) * scale;                                                             \
    }
DEFINE_DEQUANTIZE(dequantize_u8, uint8_t)
DEFINE_DEQUANTIZE(dequantize_i8, int8_t)

static void store(crease_dtype dtype, void *y, int64_t i, double value, bool saturating) {
    if (CR_T(dtype) & (cr_types)CR_T_NARROW)
        cr_narrow_store(dtype, y, i, value, saturating, CR_ROUND_NEAREST);
    else if (crease_dtype_bits(dtype) == 8)
        ((uint8_t *)y)[i] = (uint8_t)(int32_t)value;
    else
        ((uint16_t *)y)[i] = (uint16_t)(int32_t)value;
}

void cr_quantize(const cr_scaling *s, crease_dtype from, const void *x, crease_dtype to, void *y, int64_t at,
                 int64_t n) {
    double low, high;
    if (from == CREASE_FLOAT && to == CREASE_UINT8) {
        quantize_u8(s->scale, (float)s->zero, (const float *)x + at, (uint8_t *)y + at, n);
        return;
    }
    if (from == CREASE_FLOAT && to == CREASE_INT8) {
        quantize_i8(s->scale, (float)s->zero, (const float *)x + at, (int8_t *)y + at, n);
        return;
    }
    const bool is_float = CR_T(to) & ((cr_types)CR_T_FLOAT8 | CR_T(CREASE_FLOAT4E2M1));
    range_of(to, &low, &high);
    for (int64_t i = at; i < at + n; i++) {
        const float q = (float)cr_number_load(from, x, i) / s->scale;
        store(to, y, i, is_float ? (double)q + s->zero : saturate((double)nearbyintf(q), s->zero, low, high),
              s->saturate);
    }
}

void cr_dequantize(const cr_scaling *s, crease_dtype from, const void *x, crease_dtype to, void *y,
                   int64_t at, int64_t n) {
    const float zero = (float)s->zero;
    if (from == CREASE_UINT8 && to == CREASE_FLOAT)
        dequantize_u8(s->scale, zero, (const uint8_t *)x + at, (float *)y + at, n);
    else if (from == CREASE_INT8 && to == CREASE_FLOAT)
        dequantize_i8(s->scale, zero, (const int8_t *)x + at, (float *)y + at, n);
    else
        for (int64_t i = at; i < at + n; i++) /* int32 keeps its bits until it is scaled */
            cr_store_float(to, y, i, (double)((float)(cr_number_load(from, x, i) - s->zero) * s->scale));
}

/* Several ranges side by side are vectors. */
void cr_range_with_zero(const float *x, int64_t n, float *low, float *high) {
    enum { SIDE = 16 };
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
