#ifndef CREASE_RUNTIME_KERNELS_QUANTIZE_H
#define CREASE_RUNTIME_KERNELS_QUANTIZE_H

#include "runtime/base/cpu.h"
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

/* What an instruction set contributes to the above: n elements of float32 to or from bytes. */
typedef struct cr_quantize_kernels {
    void (*to_u8)(float scale, float zero, const float *x, uint8_t *y, int64_t n);
    void (*to_i8)(float scale, float zero, const float *x, int8_t *y, int64_t n);
    void (*from_u8)(float scale, float zero, const uint8_t *x, float *y, int64_t n);
    void (*from_i8)(float scale, float zero, const int8_t *x, float *y, int64_t n);
    void (*range)(const float *x, int64_t n, float *low, float *high);
} cr_quantize_kernels;

/* NULL for CR_ISA_PLAIN: element by element, in double. All give the same bits. */
const cr_quantize_kernels *cr_quantize_of(cr_isa isa);

extern const cr_quantize_kernels cr_quantize_generic, cr_quantize_avx2, cr_quantize_avx512;

#endif
