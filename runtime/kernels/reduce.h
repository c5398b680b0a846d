#ifndef CREASE_RUNTIME_KERNELS_REDUCE_H
#define CREASE_RUNTIME_KERNELS_REDUCE_H

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

/* What the reduction of nothing is, and one more value taken in: the definition of the other two. */
double cr_reduce_start(cr_reduction op);
double cr_reduce_step(cr_reduction op, double sum, double value);

/* sums[j] of x[j n], ..., x[j n + n - 1] for j < count; n may be 0. Sums are of CR_REDUCE_LANES interleaved
 * parts. */
enum { CR_REDUCE_LANES = 16 };
void cr_reduce_rows(cr_reduction op, const float *x, int64_t n, int64_t count, double *sums);

/* sums[j] of x[j], x[step + j], ..., x[(n - 1) step + j] for j < count, in that order. */
void cr_reduce_columns(cr_reduction op, const float *x, int64_t n, int64_t step, int64_t count, double *sums);

#endif
