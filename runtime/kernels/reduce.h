#ifndef CREASE_RUNTIME_KERNELS_REDUCE_H
#define CREASE_RUNTIME_KERNELS_REDUCE_H

#include "runtime/base/cpu.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* Reductions of float32, sums and products in double. The maximum and minimum of nothing are -inf and inf;
 * NaN wins. SIZES sums absolute values. */
typedef enum cr_reduction {
    CR_REDUCE_SUM,
    CR_REDUCE_MAX,
    CR_REDUCE_MIN,
    CR_REDUCE_PRODUCT,
    CR_REDUCE_SIZES,
    CR_REDUCE_SQUARES
} cr_reduction;

/* What the reduction of nothing is, and one more value taken in: the definition of the others. */
static inline double cr_reduce_start(cr_reduction op) {
    return op == CR_REDUCE_MAX ? -INFINITY : op == CR_REDUCE_MIN ? INFINITY : op == CR_REDUCE_PRODUCT ? 1 : 0;
}

static inline double cr_reduce_step(cr_reduction op, double sum, double value) {
    switch (op) {
    case CR_REDUCE_MAX:
        return value > sum || value != value ? value : sum;
    case CR_REDUCE_MIN:
        return value < sum || value != value ? value : sum;
    case CR_REDUCE_PRODUCT:
        return sum * value;
    case CR_REDUCE_SIZES:
        return sum + fabs(value);
    case CR_REDUCE_SQUARES:
        return sum + value * value;
    case CR_REDUCE_SUM:
        break;
    }
    return sum + value;
}

/* Two results of one reduction as one. */
static inline double cr_reduce_join(cr_reduction op, double a, double b) {
    return op == CR_REDUCE_SIZES || op == CR_REDUCE_SQUARES ? a + b : cr_reduce_step(op, a, b);
}

/* Rows: sums[j] of x[j n], ..., x[j n + n - 1] for j < count, in an order of its own for each instruction
 * set. Columns: sums[j] of x[j], x[step + j], ..., x[(n - 1) step + j] for j < count, in that order. n may
 * be 0. */
typedef struct cr_reduce_kernels {
    void (*rows)(cr_reduction op, const float *x, int64_t n, int64_t count, double *sums);
    void (*columns)(cr_reduction op, const float *x, int64_t n, int64_t step, int64_t count, double *sums);
    /* Sums of exp(x - tops[j]), no x above its finite top; an exponential errs by a relative
     * (|x - top| + 16) 2^-24. Anything for tops that are not finite. */
    void (*exp_rows)(const float *x, int64_t n, int64_t count, const float *tops, double *sums);
    void (*exp_columns)(const float *x, int64_t n, int64_t step, int64_t count, const float *tops,
                        double *sums);
    /* Of rows and of columns where the largest, or the least, first stands; n in [1, INT32_MAX]. NaN stands
     * nowhere but in front, where nothing is beyond it. */
    void (*arg_rows)(bool least, const float *x, int64_t n, int64_t count, int64_t *at);
    void (*arg_columns)(bool least, const float *x, int64_t n, int64_t step, int64_t count, int64_t *at);
} cr_reduce_kernels;

/* Those of an instruction set; the reference, in plain loops and double, for CR_ISA_PLAIN. */
const cr_reduce_kernels *cr_reduce(cr_isa isa);

extern const cr_reduce_kernels cr_reduce_reference, cr_reduce_generic, cr_reduce_avx2, cr_reduce_avx512,
    cr_reduce_neon;

#endif
