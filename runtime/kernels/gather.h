#ifndef CREASE_RUNTIME_KERNELS_GATHER_H
#define CREASE_RUNTIME_KERNELS_GATHER_H

#include "runtime/base/dtype.h"

/* Gathering and scattering. Indices are int32 or int64 (`wide`); they were checked by cr_check_indices, count
 * from the end where negative, and need not be distinct. Source and destination do not overlap. */

/* Position of the first of n indices outside [-extent, extent); n when all are inside. */
int64_t cr_check_indices(const void *indices, bool wide, int64_t n, int64_t extent);

/* x [outer][extent][row bytes] -> y [outer][n][row bytes], for items [begin, end) of outer * n. */
void cr_gather_rows(const void *x, const void *indices, bool wide, void *y, int64_t extent, int64_t n,
                    size_t row_bytes, int64_t begin, int64_t end);

/* Shapes of index tensor and data of GatherElements and ScatterElements. */
enum { CR_GATHER_RANK = 16 };
typedef struct cr_elements {
    int rank, axis;
    int64_t n[CR_GATHER_RANK];      /* of the indices */
    int64_t stride[CR_GATHER_RANK]; /* of the data, in elements */
    int64_t extent;                 /* of the data along axis */
} cr_elements;

/* y[i...] = x[i... with coordinate `axis` replaced by indices[i...]], for index elements [begin, end). */
void cr_gather_elements(const cr_elements *e, size_t element_bytes, const void *x, const void *indices,
                        bool wide, void *y, int64_t begin, int64_t end);

typedef enum cr_reduction {
    CR_REDUCE_NONE,
    CR_REDUCE_ADD,
    CR_REDUCE_MUL,
    CR_REDUCE_MAX,
    CR_REDUCE_MIN
} cr_reduction;

/* to[i] = to[i] op from[i], n elements. float16 and bfloat16 are rounded at each step; bool: ADD and MAX are
 * or, MUL and MIN are and. Types of CR_T_NUMBERS and bool; NONE copies any type of CR_T_BYTES. */
void cr_combine(cr_reduction reduction, crease_dtype dtype, const void *from, void *to, int64_t n);

/* The inverse of cr_gather_elements with a combination, in index order: the last one wins. One thread. */
void cr_scatter_elements(const cr_elements *e, cr_reduction reduction, crease_dtype dtype,
                         const void *updates, const void *indices, bool wide, void *y, int64_t n);

#endif
