#ifndef CREASE_RUNTIME_KERNELS_SCAN_H
#define CREASE_RUNTIME_KERNELS_SCAN_H

#include "runtime/base/dtype.h"

/* Running sums along n of x [outer][n][inner], in the element type, for blocks [begin, end) of outer.
 * exclusive: element i is left out of its own sum; reverse: the sums run from the end. float32, float64,
 * int32, int64, uint32, uint64; integers wrap around. n >= 1. x and y do not overlap. Thread-safe on disjoint
 * blocks.
 */
void cr_cumulative_sum(crease_dtype dtype, bool exclusive, bool reverse, const void *x, void *y, int64_t n,
                       int64_t inner, int64_t begin, int64_t end);

#endif
