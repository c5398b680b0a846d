#ifndef CREASE_TESTS_PASSES_THROUGH_H
#define CREASE_TESTS_PASSES_THROUGH_H

#include "tests/passes/small.h"

/* A convolution, an operator, and an affine that is to pass it. */

/* x [2, 3, 4, 6] -> Conv 1x1 to 4 channels */
static inline cr_value *through_conv(small *s, const char *name) {
    return small_node(
        s, "Conv", name,
        IN(s->x, small_constant(s, "w", -1, 1, DIMS(4, 3, 1, 1)), small_constant(s, "b", -1, 1, DIMS(4))));
}

static inline small through_begin(void) {
    return small_begin(13, DIMS(2, 3, 4, 6));
}

/* conv -> op -> BN over `channels`; positive: all scales >= 0 */
static inline small through_between(const char *op, int n_more, cr_value **more, small s, int64_t channels,
                                    bool positive) {
    cr_value *inputs[4] = {through_conv(&s, "conv")};
    for (int i = 0; i < n_more; i++)
        inputs[i + 1] = more[i];
    small_output(&s, small_bn(&s, "bn", small_node(&s, op, "op", n_more + 1, inputs), channels));
    double *gamma = small_find(&s, "bn")->inputs[1]->constant->data;
    for (int64_t c = 0; c < channels; c++)
        gamma[c] = positive ? fabs(gamma[c]) : -0.5 - fabs(gamma[c]);
    return s;
}

#endif
