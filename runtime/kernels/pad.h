#ifndef CREASE_RUNTIME_KERNELS_PAD_H
#define CREASE_RUNTIME_KERNELS_PAD_H

#include <stddef.h>
#include <stdint.h>

enum { CR_PAD_RANK = 16 };

/* Padding and cropping by a map for each axis: source[d][i] is the source position of position i of axis d,
 * negative: padding. Rows run along the last axis; rank >= 1. Between inner_begin and inner_end the last axis
 * is copied as it stands. x and y are dense and do not overlap. */
typedef struct cr_padding {
    int rank;
    int64_t in[CR_PAD_RANK], out[CR_PAD_RANK];
    const int64_t *source[CR_PAD_RANK]; /* [rank][out[d]] */
    int64_t inner_begin, inner_end;     /* positions of y; empty where equal */
    size_t element_bytes;               /* 1, 2, 4, 8 or 16 */
} cr_padding;

/* Rows [begin, end) of y; fill: the element of the padding. Thread-safe on disjoint rows. */
void cr_pad_rows(const cr_padding *padding, const void *x, const void *fill, void *y, int64_t begin,
                 int64_t end);

#endif
