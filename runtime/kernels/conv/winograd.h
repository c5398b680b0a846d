#ifndef CREASE_RUNTIME_KERNELS_CONV_WINOGRAD_H
#define CREASE_RUNTIME_KERNELS_CONV_WINOGRAD_H

#include "runtime/kernels/conv/conv.h"

/* Winograd's minimal filtering F(m x m, 3 x 3) for m = 4 and m = 2, blocked -> blocked, any padding and size.
 *
 *     Y = A' [ sum over channels of (G g G') * (B' d B) ] A
 *
 * of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), interpolated at 0, 1, -1 (2,
 * -2) and infinity: a tile of m x m outputs takes (m + 2)^2 multiplications instead of 9 m^2, 4 times fewer
 * for m = 4 and 2.25 times for m = 2. The products of each of the (m + 2)^2 elements are a matrix product
 * over channels.
 *
 * Rounding differs from direct summation: about 1e-5 (m = 4) and 1e-6 (m = 2) of the largest output. Filters
 * are transformed in double and rounded once. */

enum { CR_WINOGRAD_KERNEL = 3, CR_WINOGRAD_MAX_EDGE = 6 };

/* How a convolution is cut. Tiles are numbered over (n, y, x); a chunk of them is transformed, multiplied and
 * transformed back while it stays in the second-level cache. */
typedef struct cr_winograd_plan {
    int m, edge, elements; /* output tile, input tile = m + 2, edge^2 */
    int64_t tiles_y, tiles_x, tiles;
    int64_t in_blocks, out_blocks;
    int64_t out_groups;    /* pairs of output blocks, the last may be single */
    int64_t chunk, chunks; /* tiles in a chunk; every chunk but the last is full */
    int64_t splits;        /* tasks a chunk is cut into by output groups; each transforms the input anew */
} cr_winograd_plan;

void cr_winograd_make_plan(const cr_conv *conv, int m, int micro_rows, cr_winograd_plan *plan);

/* What cr_conv_algorithm asks for, common to all instruction sets. */
const char *cr_winograd_refuses(const cr_conv *conv);
double cr_winograd_cost(const cr_conv *conv, int m, int micro_rows);
size_t cr_winograd_packed_bytes(const cr_conv *conv, int m);

/* Floats from one element of the transformed input (or of the products) of a chunk to the next: one vector
 * more than the data, so that the elements of a tile never share a cache set. */
int64_t cr_winograd_input_stride(const cr_conv *conv, const cr_winograd_plan *plan);
int64_t cr_winograd_product_stride(const cr_conv *conv, const cr_winograd_plan *plan);
size_t cr_winograd_workspace_bytes(const cr_conv *conv, const cr_winograd_plan *plan);

extern const cr_conv_algorithm cr_conv_winograd4_generic, cr_conv_winograd2_generic;
extern const cr_conv_algorithm cr_conv_winograd4_avx2, cr_conv_winograd2_avx2;
extern const cr_conv_algorithm cr_conv_winograd4_avx512, cr_conv_winograd2_avx512;
extern const cr_conv_algorithm cr_conv_winograd4_neon, cr_conv_winograd2_neon;

#endif
