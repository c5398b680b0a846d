#ifndef CREASE_RUNTIME_KERNELS_REMAP_H
#define CREASE_RUNTIME_KERNELS_REMAP_H

#include <stddef.h>
#include <stdint.h>

enum { CR_REMAP_RANK = 16 };

/* Choosing positions along each axis: padding, cropping, repeating and resizing to the nearest. source[d][i]
 * is the source position of position i of axis d, negative: none, the element becomes the filler. Rows run
 * along the last axis; rank >= 1. Between inner_begin and inner_end the last axis is copied as it stands. */
typedef struct cr_remap {
    int rank;
    int64_t in[CR_REMAP_RANK], out[CR_REMAP_RANK];
    const int64_t *source[CR_REMAP_RANK]; /* [rank][out[d]] */
    int64_t inner_begin, inner_end;       /* positions of y; empty where equal */
    size_t element_bytes;                 /* 1, 2, 4, 8 or 16 */
} cr_remap;

/* Rows [begin, end) of y from x, both dense and not overlapping. Thread-safe on disjoint rows. */
void cr_remap_rows(const cr_remap *remap, const void *x, const void *filler, void *y, int64_t begin,
                   int64_t end);

#endif
