#ifndef CREASE_RUNTIME_OPS_TUNE_H
#define CREASE_RUNTIME_OPS_TUNE_H

#include "runtime/base/threads.h"
#include "runtime/kernels/conv/conv.h"

/* Choosing convolution algorithms by trying them instead of by the cost model. Timing decides, so that two
 * sessions may choose differently, and with other sums round differently; a cache makes choices last. Used by
 * one thread at a time. */
typedef struct cr_tuner cr_tuner;

/* path: the file that keeps choices (tune_cache.h); NULL: they are forgotten with the tuner. */
crease_status cr_tuner_create(cr_heap *heap, const char *path, cr_tuner **tuner) CREASE_MUST_TEST;
void cr_tuner_destroy(cr_tuner *tuner); /* NULL is fine */
/* Write the cache, if there is one and anything is new. Fails with FILE, MEMORY. */
crease_status cr_tuner_save(cr_tuner *tuner) CREASE_MUST_TEST;

/* A convolution to be tuned, with its weights as ONNX has them. Of epilogue and prologue the activations
 * count; rows are made up. */
typedef struct cr_tune_case {
    const cr_conv *conv;
    const cr_epilogue *epilogue;
    const cr_prologue *prologue;
    const float *weights;
} cr_tune_case;

/* Replace *algorithm, the cost model's choice, by the one that is fastest on made-up data of the real shapes,
 * or that the cache names and that accepts. A few milliseconds for each algorithm. Fails with MEMORY. */
crease_status cr_tune(cr_tuner *tuner, cr_pool *pool, const cr_tune_case *tuned,
                      const cr_conv_algorithm **algorithm) CREASE_MUST_TEST;

#endif
