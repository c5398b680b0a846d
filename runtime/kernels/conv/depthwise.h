#ifndef CREASE_RUNTIME_KERNELS_CONV_DEPTHWISE_H
#define CREASE_RUNTIME_KERNELS_CONV_DEPTHWISE_H

#include "runtime/kernels/conv/conv.h"

/* Depthwise convolution (groups = ic, oc a multiple of it), blocked -> blocked, any rank, kernel, stride,
 * dilation and padding. Channels stand in the lanes and a run of output pixels in registers; taps in the
 * padding are skipped by row and read as a line of zeros by column, so nothing is copied. More than one
 * output a channel first writes the input plane with repeated channels to the workspace, and a prologue the
 * part that a task reads. */

typedef struct cr_depthwise_plan {
    int64_t multiplier; /* outputs of one input channel */
    int64_t in_blocks, out_blocks;
    int64_t taps;
    int64_t rows;   /* output rows of a plane, over depth and height */
    int64_t strips; /* tasks a plane is cut into by rows; 1 if the multiplier is not */
} cr_depthwise_plan;

void cr_depthwise_make_plan(const cr_conv *conv, cr_depthwise_plan *plan);

/* What cr_conv_algorithm asks for, common to all instruction sets.
 * Packed weights: [out_blocks][taps][lanes], lanes past oc zero. Task: an output plane or a strip of its
 * rows. */
const char *cr_depthwise_refuses(const cr_conv *conv);
double cr_depthwise_cost(const cr_conv *conv);
size_t cr_depthwise_packed_bytes(const cr_conv *conv);
void cr_depthwise_pack(const cr_conv *conv, const float *weights, void *packed);
size_t cr_depthwise_workspace_bytes(const cr_conv *conv);
int64_t cr_depthwise_tasks(const cr_conv *conv);

extern const cr_conv_algorithm cr_conv_depthwise_generic, cr_conv_depthwise_avx2, cr_conv_depthwise_avx512,
    cr_conv_depthwise_neon;

#endif
