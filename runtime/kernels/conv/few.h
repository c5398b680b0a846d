#ifndef CREASE_RUNTIME_KERNELS_CONV_FEW_H
#define CREASE_RUNTIME_KERNELS_CONV_FEW_H

#include "runtime/kernels/conv/conv.h"

/* Convolution into few output channels, blocked -> blocked: the last layer of networks that make images or
 * sound, and heads of detectors. Direct convolution would fill a vector of outputs mostly with zeros; here
 * the lanes are the channels of an input block, multiplied by a vector of weights for each output, and are
 * summed at the end, a vector for a run of pixels at a time.
 *
 * The outputs are cut into tiles of equally many, the last filled up with zeros. Packed weights: [tile][input
 * block][tap][output of the tile][lane], lanes past ic zero. Runs whose taps fall into the padding on the
 * left or right read a line of zeros there; rows of taps in the padding are left out. */

enum { CR_FEW_MOST = 8, CR_FEW_TILE = 4, CR_FEW_MOST_PIXELS = 14 };

/* X(outputs of a tile, pixels of a run): sums, weights and a pixel in 32 registers, and in 16. */
#define CR_FEW_TALL(X)  X(1, 14) X(2, 12) X(3, 8) X(4, 6)
#define CR_FEW_SHORT(X) X(1, 8) X(2, 6) X(3, 4) X(4, 3)

typedef struct cr_few_plan {
    cr_conv_geometry geometry; /* with a pointwise convolution flattened to one row of pixels */
    int64_t in_blocks, taps;
    int64_t outputs, tiles; /* outputs of a tile */
    int64_t pixels;         /* of a run */
    int64_t row_runs, runs; /* of an output row; of an image */
    int64_t parts;          /* tasks of an image */
} cr_few_plan;

void cr_few_make_plan(const cr_conv *conv, cr_few_plan *plan);

/* A vector of one pixel and one vector of weights for each output: floats from those of the run's first pixel
 * and of the tile; and the column that the tap reads for the run's first pixel, from there. */
typedef struct cr_few_term {
    ptrdiff_t input, weights;
    int64_t column;
} cr_few_term;

/* What cr_conv_algorithm asks for, common to all instruction sets. Task: a part of the runs of an image. */
const char *cr_few_refuses(const cr_conv *conv);
double cr_few_cost(const cr_conv *conv);
size_t cr_few_packed_bytes(const cr_conv *conv);
void cr_few_pack(const cr_conv *conv, const float *weights, void *packed);
size_t cr_few_workspace_bytes(const cr_conv *conv);
int64_t cr_few_tasks(const cr_conv *conv);

extern const cr_conv_algorithm cr_conv_few_generic, cr_conv_few_avx2, cr_conv_few_avx512, cr_conv_few_neon;

#endif
