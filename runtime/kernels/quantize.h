#ifndef CREASE_RUNTIME_KERNELS_QUANTIZE_H
#define CREASE_RUNTIME_KERNELS_QUANTIZE_H

#include "runtime/base/dtype.h"

typedef struct cr_scaling {
    float scale;
    double zero;
    bool saturate; /* float8: what is too large becomes the largest number; integers always do */
} cr_scaling;

/* Elements [at, at + n) of y = saturate(round(x / scale) + zero), divided in float32, rounded to nearest
 * even; float8 and float4e2m1: x / scale + zero, rounded once more. x: a float type or int32; y: uint8, int8,
 * uint16, int16 or a narrow type. NaN becomes the zero point. n >= 0. x and y do not overlap. Thread-safe on
 * ranges that share no byte of y. */
void cr_quantize(const cr_scaling *scaling, crease_dtype from, const void *x, crease_dtype to, void *y,
                 int64_t at, int64_t n);

/* Elements [at, at + n) of y = (x - zero) scale in float32, y of a float type. */
void cr_dequantize(const cr_scaling *scaling, crease_dtype from, const void *x, crease_dtype to, void *y,
                   int64_t at, int64_t n);

/* The least and the largest of 0 and n numbers; NaN is neither. */
void cr_range_with_zero(const float *x, int64_t n, float *low, float *high);

#endif
