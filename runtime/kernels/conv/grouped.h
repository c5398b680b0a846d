#ifndef CREASE_RUNTIME_KERNELS_CONV_GROUPED_H
#define CREASE_RUNTIME_KERNELS_CONV_GROUPED_H

#include "runtime/kernels/conv/conv.h"

/* Grouped convolution of few channels a group, blocked -> blocked, any rank, kernel, stride, dilation and
 * padding. Direct convolution multiplies a block of outputs by every channel that any of its groups reads;
 * here all groups of the block read at once: a term is a permutation of the lanes of an input block that
 * brings each output lane one channel of its own group. Groups of w channels that divide the block make w
 * terms; w is 1 for a depthwise convolution of several outputs a channel. Each permuted pixel serves all taps
 * of a kernel row.
 *
 * The loops are those of depthwise convolution (depthwise_tmpl.h). Packed weights of an output block:
 * [most_blocks] terms of each input block, [most_terms][L] lanes, then for each input block
 * [kd][kh][terms][kw][L]; the two former are int32_t. A lane whose group has no channel left gets weight 0.
 * A prologue first writes the part of the input that a task reads to the workspace. */

typedef struct cr_grouped_plan {
    int64_t in_blocks, out_blocks;
    int64_t most_blocks;   /* input blocks that an output block reads, rounded up to L */
    int64_t most_terms;    /* of an output block */
    int64_t packed_floats; /* of an output block */
    int64_t rows;          /* output rows of a plane, over depth and height */
    int64_t strips;        /* tasks a plane is cut into by rows */
} cr_grouped_plan;

/* What an output block reads, and its packed weights. */
typedef struct cr_grouped_span {
    int64_t first_block, blocks;
    int64_t block_step; /* floats from an input block to the next */
    const int32_t *terms, *index;
    const float *weights;
} cr_grouped_span;

void cr_grouped_make_plan(const cr_conv *conv, cr_grouped_plan *plan);
/* The input blocks that an output block reads. */
void cr_grouped_place(const cr_conv *conv, int64_t out_block, int64_t *first_block, int64_t *blocks);

/* What cr_conv_algorithm asks for, common to all instruction sets. Task: an output plane or a strip of its
 * rows. */
const char *cr_grouped_refuses(const cr_conv *conv);
double cr_grouped_cost(const cr_conv *conv);
size_t cr_grouped_packed_bytes(const cr_conv *conv);
void cr_grouped_pack(const cr_conv *conv, const float *weights, void *packed);
size_t cr_grouped_workspace_bytes(const cr_conv *conv);
int64_t cr_grouped_tasks(const cr_conv *conv);

extern const cr_conv_algorithm cr_conv_grouped_generic, cr_conv_grouped_avx2, cr_conv_grouped_avx512,
    cr_conv_grouped_neon;

#endif
