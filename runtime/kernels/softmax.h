#ifndef CREASE_RUNTIME_KERNELS_SOFTMAX_H
#define CREASE_RUNTIME_KERNELS_SOFTMAX_H

#include "runtime/base/cpu.h"

#include <stdbool.h>
#include <stdint.h>

/* y = exp(x - m) / s, or x - m - log(s), over the middle axis of [outer][extent][inner] float32, with m the
 * largest element of a column and s the sum of exp(x - m). Columns are numbered o inner + i; [begin, end) are
 * computed, and any cut of the range gives the same bits. y may be x. exp(x - m) / s errs by a relative
 * (|x - m| + 16) 2^-24, since x - m is rounded before exp sees it; its logarithm by (|x - m| + 16) 2^-23. A
 * column with NaN, or of infinities of one sign, is NaN. */
typedef struct cr_softmax_shape {
    int64_t extent, inner; /* at least 1 */
    bool log;
} cr_softmax_shape;

typedef void cr_softmax_kernel(const cr_softmax_shape *shape, const float *x, float *y, int64_t begin,
                               int64_t end);

/* The kernel of an instruction set; the reference, in double, for CR_ISA_PLAIN. */
cr_softmax_kernel *cr_softmax(cr_isa isa);

cr_softmax_kernel cr_softmax_reference, cr_softmax_generic, cr_softmax_avx2, cr_softmax_avx512,
    cr_softmax_neon;

#endif
