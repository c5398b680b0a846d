#ifndef CREASE_RUNTIME_KERNELS_CONTRACT_H
#define CREASE_RUNTIME_KERNELS_CONTRACT_H

#include "runtime/base/dtype.h"

/* A product of tensors summed over some of their axes, by its definition. */

enum { CR_CONTRACT_AXES = 68, CR_CONTRACT_OPERANDS = 8 };

/* Axes of the result first, in its order, then those that are summed over. Strides in elements; 0: the
 * operand does not have the axis, or repeats along it. */
typedef struct cr_contraction {
    int n_operands, n_kept, n_summed;
    int64_t extent[CR_CONTRACT_AXES];
    int64_t stride[CR_CONTRACT_OPERANDS][CR_CONTRACT_AXES];
} cr_contraction;

/* Elements [begin, end) of the result, in row-major order. float32 and float64 are summed in double; 32- and
 * 64-bit integers wrap around. Thread-safe on disjoint ranges. */
void cr_contract(const cr_contraction *contraction, crease_dtype dtype, const void *const *operands, void *y,
                 int64_t begin, int64_t end);

#endif
