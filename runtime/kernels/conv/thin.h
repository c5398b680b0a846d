#ifndef CREASE_RUNTIME_KERNELS_CONV_THIN_H
#define CREASE_RUNTIME_KERNELS_CONV_THIN_H

#include "runtime/kernels/conv/conv.h"

/* Convolution of plain input into at most half a block of output channels, blocked: the first layer of small
 * networks and of those that listen to signals, for which a vector of outputs would be mostly zeros. Lanes
 * are neighbouring pixels of a row until the sums are complete and are turned into blocks.
 *
 * The input is first copied with its padding, a chunk of rows at a time. A row of the copy is in phases,
 * columns `stride` apart, so that neighbouring pixels read neighbouring floats.
 *
 * Packed weights: [ic][kd][kh][kw][oc]. */

enum { CR_THIN_MOST = 8 };

typedef struct cr_thin_plan {
    int64_t terms;                    /* of a sum */
    int64_t row_vectors;              /* of an output row */
    int64_t phase_floats, row_floats; /* of a row of the copy */
    int64_t rows, chunk_rows;         /* output rows of an image, and as many whose input is copied at once */
    int64_t copy_rows;                /* that those read, of each channel and depth */
    int64_t parts;                    /* tasks of an image */
} cr_thin_plan;

void cr_thin_make_plan(const cr_conv *conv, cr_thin_plan *plan);

/* Workspace: the copy [ic][kd][copy_rows][row_floats], and for each term the floats from the row that an
 * output row's first tap reads to what the term reads for its first pixel. */
typedef struct cr_thin_workspace {
    float *copy;
    ptrdiff_t *terms;
} cr_thin_workspace;

cr_thin_workspace cr_thin_carve(const cr_thin_plan *plan, void *workspace);

/* What cr_conv_algorithm asks for, common to all instruction sets. Task: a part of the rows of an image. */
const char *cr_thin_refuses(const cr_conv *conv);
double cr_thin_cost(const cr_conv *conv);
size_t cr_thin_packed_bytes(const cr_conv *conv);
void cr_thin_pack(const cr_conv *conv, const float *weights, void *packed);
size_t cr_thin_workspace_bytes(const cr_conv *conv);
int64_t cr_thin_tasks(const cr_conv *conv);

extern const cr_conv_algorithm cr_conv_thin_generic, cr_conv_thin_avx2, cr_conv_thin_avx512,
    cr_conv_thin_neon;

#endif
