#ifndef CREASE_RUNTIME_KERNELS_CONV_BYTES_H
#define CREASE_RUNTIME_KERNELS_CONV_BYTES_H

#include "runtime/base/threads.h"
#include "runtime/kernels/conv/conv.h"

/* Convolution of quantised activations: uint8 input with one scale and zero point, int8 weights with a scale
 * for each output channel and zero point 0, exact int32 sums. Signed activations are the same with 128 added
 * to every byte and to the zero point.
 *
 * Bytes are blocked as floats are (conv.h), by 16 channels on every processor: [N][ceil(C /
 * 16)][D][H][W][16]. Lanes past C may hold anything, of the input and of what is written.
 *
 *     v = act(sum of (x - input_zero) w * scale[o] + bias[o])          the product and sum rounded once
 *     v = (clamp(round(v / s) + z, low, high) - z) s                   if rounds
 *     v = act_after(v + (residual - zero) scale)                       rounded once; if there is a residual
 *     y = saturate(round(v / output.scale) + output.zero)              or v itself, as float
 *
 * in float32; round is to nearest even, a division is a multiplication by the rounded reciprocal, of scale[o]
 * and bias[o] where nothing but clamps stands between; NaN becomes 0. Padding contributes nothing. */

enum { CR_BYTES_LANES = 16 };

typedef struct cr_bytes_conv {
    cr_conv_geometry geometry; /* blocked input, any groups */
    int input_zero;            /* 0 to 255 */
    bool output_float;         /* float blocked by 16; otherwise bytes */
    int threads;
} cr_bytes_conv;

/* x = (q - zero) scale; scale is positive and normal, and so is its reciprocal. */
typedef struct cr_bytes_scaling {
    float scale;
    int zero; /* 0 to 255 */
} cr_bytes_scaling;

typedef struct cr_bytes_epilogue {
    const float *scale; /* [oc rounded up to 16] */
    const float *bias;  /* likewise; or NULL */
    cr_activation act;
    bool rounds; /* to what a quantised tensor between convolution and residual would hold */
    cr_bytes_scaling rounded;
    int round_low, round_high; /* 0 to 255 */
    const uint8_t *residual;   /* bytes in the shape of the output, may be the output itself; or NULL */
    cr_bytes_scaling residual_scaling;
    cr_activation act_after;
    cr_bytes_scaling output; /* unused for float */
} cr_bytes_epilogue;

typedef struct cr_bytes_args {
    const uint8_t *input;
    const void *packed; /* what pack() wrote */
    void *output;       /* uint8_t or float */
    const cr_bytes_epilogue *epilogue;
} cr_bytes_args;

/* The twin of cr_conv_algorithm, whose rules hold: pure functions; run() is called concurrently for disjoint
 * ranges of tasks with one workspace for each thread, and gives the same bits however the range is split. */
typedef struct cr_bytes_algorithm {
    const char *name;
    const char *(*refuses)(const cr_bytes_conv *conv); /* NULL: accepted; or a constant reason */
    /* Bytes of packed weights, aligned to 64; pack() fills them from weights [oc][ic/groups][kd][kh][kw].
     * Depends on weights, channel counts, groups, kernel extents, strides, dilations and input_zero only. */
    size_t (*packed_bytes)(const cr_bytes_conv *conv);
    void (*pack)(const cr_bytes_conv *conv, const int8_t *weights, void *packed);
    size_t (*workspace_bytes)(const cr_bytes_conv *conv); /* for each thread, aligned to 64 */
    int64_t (*tasks)(const cr_bytes_conv *conv);
    void (*run)(const cr_bytes_conv *conv, const cr_bytes_args *args, int64_t task_begin, int64_t task_end,
                void *workspace);
} cr_bytes_algorithm;

/* The best algorithm on this processor; NULL, with a reason in *why, if there is none: int32 might not hold
 * the sums. Does not depend on extents of input and output, batch and threads. */
const cr_bytes_algorithm *cr_bytes_choose(const cr_bytes_conv *conv, const char **why);

/* All of them, fastest first, those that this processor cannot run left out; ends with NULL. */
const cr_bytes_algorithm *const *cr_bytes_algorithms(void);

/* A convolution cut for conv->threads threads, as in execute.h. conv must outlive *work. False: the workspace
 * is larger than can be said. */
typedef struct cr_bytes_work {
    const cr_bytes_algorithm *algorithm;
    const cr_bytes_conv *conv;
    int64_t tasks;
    size_t workspace_bytes; /* of all threads, to be aligned to 64 */
} cr_bytes_work;
bool cr_bytes_plan_work(const cr_bytes_algorithm *algorithm, const cr_bytes_conv *conv, cr_bytes_work *work);

/* On a pool of that many threads. The workspace has at least work->workspace_bytes. */
void cr_bytes_execute(cr_pool *pool, const cr_bytes_work *work, const cr_bytes_args *args, void *workspace,
                      size_t workspace_bytes);

#endif
