#ifndef CREASE_RUNTIME_KERNELS_SELECT_H
#define CREASE_RUNTIME_KERNELS_SELECT_H

#include "runtime/base/dtype.h"

/* Choosing elements by value. */

/* Whether element i is not zero; -0.0 is zero, NaN is not. Types of CR_T_BYTES but complex and float8. */
bool cr_is_nonzero(crease_dtype dtype, const void *data, int64_t i);
int64_t cr_count_nonzero(crease_dtype dtype, const void *data, int64_t n);

/* Candidates of cr_top_k, k for each thread. */
typedef struct cr_candidate {
    uint64_t key; /* ordered like the values */
    int64_t index;
} cr_candidate;

/* The k largest or smallest of each line of x [outer][n][inner], best first, into values and indices (NULL:
 * not wanted) [outer][k][inner], for lines [begin, end) of outer * inner. Of equal values the lower index is
 * better; 0.0 equals -0.0; NaN is larger than every number. 0 <= k <= n. Types of CR_T_NUMBERS. Takes
 * O(n log k) for a line. Thread-safe on disjoint lines with a workspace each. */
void cr_top_k(crease_dtype dtype, bool largest, const void *x, void *values, int64_t *indices, int64_t n,
              int64_t k, int64_t inner, cr_candidate *workspace, int64_t begin, int64_t end);

#endif
