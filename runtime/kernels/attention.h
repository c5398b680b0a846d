#ifndef CREASE_RUNTIME_KERNELS_ATTENTION_H
#define CREASE_RUNTIME_KERNELS_ATTENTION_H

#include "runtime/base/dtype.h"

/* One row of attention scores: a query against n keys. */
typedef struct cr_scores {
    int64_t n, visible; /* keys [visible, n) are hidden */
    int64_t n_mask;     /* keys that the mask speaks of; the rest is hidden */
    const void *mask;   /* [n_mask]: bool (false hides) or the type of the row, added; NULL: none */
    bool mask_is_bool;
    double softcap; /* 0: none */
} cr_scores;

/* Steps of a row of float32 or float64, in place, in this order: softcap tanh(x / softcap), the mask (what is
 * hidden becomes -infinity), softmax (a row with nothing visible becomes 0), as accurate as softmax.h says.
 */
void cr_scores_cap(crease_dtype dtype, const cr_scores *scores, void *row);
void cr_scores_mask(crease_dtype dtype, const cr_scores *scores, void *row);
void cr_scores_softmax(crease_dtype dtype, const cr_scores *scores, void *row);

/* Rotate the pairs of a head of `rotated` elements, each by its angle: pair k is (x[k], x[k + rotated / 2]),
 * or (x[2 k], x[2 k + 1]) if `interleaved`. cosines and sines [rotated / 2]. y may be x. */
void cr_rotate(crease_dtype dtype, bool interleaved, int64_t rotated, const void *x, const void *cosines,
               const void *sines, void *y);

#endif
