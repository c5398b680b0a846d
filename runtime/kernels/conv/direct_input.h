#ifndef CREASE_RUNTIME_KERNELS_CONV_DIRECT_INPUT_H
#define CREASE_RUNTIME_KERNELS_CONV_DIRECT_INPUT_H

#include "runtime/kernels/conv/direct.h"

/* What the tiles of a direct convolution read: the tensor, or a copy of the part that a box of outputs reads,
 * with its padding, after a prologue or gathered. */

typedef struct cr_direct_view {
    const float *data; /* of `origin`, block first_block */
    int64_t origin[CR_CONV_RANK];
    int64_t first_block;
    ptrdiff_t step[CR_CONV_RANK], block_step;
} cr_direct_view;

/* The tensor itself. */
cr_direct_view cr_direct_view_of(const cr_direct_plan *plan, const float *input, int64_t image);

/* Bytes of the copy for the largest chunk. */
size_t cr_direct_transformed_bytes(const cr_direct_plan *plan);

/* Applies a prologue to blocks [first, end) of what the box reads, and makes that, in `to`, the view. */
void cr_direct_transform(const cr_direct_plan *plan, const cr_prologue *prologue, int64_t image,
                         const cr_direct_box *output, int64_t first, int64_t end, float *to,
                         cr_direct_view *view);

/* Whether tiles can apply the prologue to what they read, by themselves: max(factor x + shift, *floor), to
 * the pixels of a pointwise convolution. */
bool cr_direct_transforms_in_tiles(const cr_direct_plan *plan, const cr_prologue *prologue, float *floor);

/* A copy, to be made, of what the box reads of blocks from `first` on. */
void cr_direct_view_copy(const cr_direct_plan *plan, const cr_direct_box *output, int64_t first,
                         const float *copy, cr_direct_view *view);

/* Copies what the box reads of a plain input, with its padding, and makes that, in `to`, the view. */
void cr_direct_pad(const cr_direct_plan *plan, const cr_direct_box *output, float *to, cr_direct_view *view);

/* Copies the pixels that the box reads of blocks [first, end), of a plan that is gathered, and makes those,
 * in `to`, the view. */
void cr_direct_gather(const cr_direct_plan *plan, const float *input, int64_t image,
                      const cr_direct_box *output, int64_t first, int64_t end, float *to,
                      cr_direct_view *view);

/* A prologue that only scales may as well scale the weights: where they are fewer, since each chunk does so
 * anew. Not a question of the chunks, whose number depends on the threads: it would show in the rounding. */
bool cr_direct_scales_weights(const cr_direct_plan *plan, const cr_prologue *prologue);

/* What scales the input of a span, and the weights in place of it: a factor for each lane of its blocks. */
const float *cr_direct_factors(const cr_direct_plan *plan, const cr_prologue *prologue, int64_t image,
                               const cr_direct_span *span);

/* The weights of an output tile of `blocks`, scaled for the input blocks that they meet. */
void cr_direct_scale_weights(const cr_direct_plan *plan, const float *factors, int64_t input_blocks,
                             int64_t blocks, const float *from, float *to);

#endif
