#ifndef CREASE_RUNTIME_KERNELS_RESIZE_H
#define CREASE_RUNTIME_KERNELS_RESIZE_H

#include "runtime/base/dtype.h"

/* Resampling along one axis as a weighted sum of source positions; a resize of several axes is one pass after
 * another. Calculated in the element type, float32 or float64. */
typedef struct cr_taps {
    int64_t n;          /* taps of one output position, >= 1 */
    const int64_t *at;  /* [out][n] source positions; at[i][0] < 0: the position is outside */
    const void *weight; /* [out][n], of the element type */
} cr_taps;

/* x [outer][in][inner] -> y [outer][out][inner] for rows [begin, end) of outer * out; what is outside becomes
 * `outside`. x and y do not overlap. Thread-safe on disjoint rows. */
void cr_resize_axis(crease_dtype dtype, const cr_taps *taps, double outside, const void *x, void *y,
                    int64_t in, int64_t out, int64_t inner, int64_t begin, int64_t end);

/* Integers to float64 and back: truncated towards zero and clamped to the type's range. */
void cr_integers_to_doubles(crease_dtype dtype, const void *x, double *y, int64_t n);
void cr_doubles_to_integers(crease_dtype dtype, const double *x, void *y, int64_t n);

#endif
