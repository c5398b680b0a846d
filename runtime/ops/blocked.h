#ifndef CREASE_RUNTIME_OPS_BLOCKED_H
#define CREASE_RUNTIME_OPS_BLOCKED_H

#include "runtime/kernels/blocked/blocked.h"
#include "runtime/ops/infer.h"

/* Operators of the domain "crease", version 1: what the lowering passes turn ONNX nodes into. They compute
 * float32 tensors of shape [N, C, spatial...] in the channel-blocked layout of node->lanes (see
 * kernels/conv/conv.h), and never stand in a model file.
 *
 * An activation is stated by four attributes: NAME (a cr_act), NAME_a, NAME_b and NAME_c. */

/* Type and shape by the ONNX operator of the same name, from its own inputs; layout of the node. */
crease_status cr_blocked_infer(cr_infer *infer) CREASE_MUST_TEST;
/* Input 0's type and shape; layout of the node. */
crease_status cr_blocked_infer_same(cr_infer *infer) CREASE_MUST_TEST;

cr_blocked_shape cr_blocked_shape_of(const cr_shape *shape, int lanes);

/* The activation under `name`; CR_ACT_NONE where the node has none. The slope is left NULL. */
crease_status cr_blocked_activation(const cr_node *node, const char *name,
                                    cr_activation *activation) CREASE_MUST_TEST;

/* The values of constant input `input`, one for each of `channels` or one for all, as a row of channels
 * rounded up to lanes, zero past the end. */
crease_status cr_blocked_row(cr_prepare *prepare, int input, const char *kind, int64_t channels, int lanes,
                             const float **row) CREASE_MUST_TEST;

/* cr_parallel_grain over lines or vectors, numbered as kernels/blocked/blocked.h says. Planes that
 * are not small are shared as convolutions share large ones (cr_conv_strips): body is then called for a part
 * of each plane at a time. */
typedef struct cr_blocked_units {
    int64_t images, blocks;
    int64_t units, unit_bytes; /* of a plane */
} cr_blocked_units;
void cr_blocked_parallel(cr_pool *pool, const cr_blocked_units *units, int64_t grain, cr_task *body,
                         void *context);
/* The same for the vectors of a tensor, where several are worth a thread. */
void cr_blocked_parallel_vectors(cr_pool *pool, const cr_blocked_shape *shape, cr_task *body, void *context);

/* What a crease.Conv of blocked input and known shapes would cost with so many output channels, by the cost
 * model of the algorithm that would run it (kernels/conv/conv.h). exact and convolution are cr_prepare's. */
crease_status cr_blocked_conv_cost(const cr_node *node, int64_t channels, bool exact, const char *convolution,
                                   double *cost) CREASE_MUST_TEST;

#endif
