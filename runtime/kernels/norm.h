#ifndef CREASE_RUNTIME_KERNELS_NORM_H
#define CREASE_RUNTIME_KERNELS_NORM_H

#include "runtime/base/cpu.h"
#include "runtime/base/dtype.h"

typedef struct cr_lrn {
    double alpha, beta, bias;
    int64_t size; /* > 0 */
} cr_lrn;

/* Loops of the normalisations over n contiguous elements, n >= 0, for one element type. Sums are taken in
 * double, in some chains, whatever the type. x and y may be the same memory. */
typedef struct cr_norm_kernels {
    double (*sum)(const void *x, int64_t n);
    double (*squares)(const void *x, int64_t n, double center); /* sum of (x - center)^2 */
    /* y = s x + t, s and t rounded to the type first */
    void (*affine)(const void *x, void *y, int64_t n, double s, double t);
    /* y[i] = (x[i] - center) factor scale[i] + shift[i]; NULL: scale of ones, shift of zeros */
    void (*normalize)(const void *x, void *y, int64_t n, double center, double factor, const void *scale,
                      const void *shift);
} cr_norm_kernels;

/* float32 in plain loops and on the vectors of each instruction set, and float64. */
extern const cr_norm_kernels cr_norm_f32, cr_norm_f32_generic, cr_norm_f32_avx2, cr_norm_f32_avx512,
    cr_norm_f32_neon, cr_norm_f64;

/* Those for float32 on an instruction set. */
const cr_norm_kernels *cr_norm_f32_of(cr_isa isa);
/* Those for float32 or float64 on this processor. */
const cr_norm_kernels *cr_norm_kernels_of(crease_dtype dtype);

/* Channel c of one image [channels][area] of ONNX LRN (Krizhevsky et al. 2012), float32 or float64:
 * y = x / (bias + alpha / size sum)^beta, sum of squares over channels [c - (size - 1) / 2, c + size / 2]
 * that exist; image and y do not overlap, y is the output's channel c. */
void cr_lrn_channel(crease_dtype dtype, const void *image, void *y, int64_t channels, int64_t area, int64_t c,
                    const cr_lrn *lrn);

#endif
