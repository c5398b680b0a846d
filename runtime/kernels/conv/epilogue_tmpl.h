#ifndef CREASE_RUNTIME_KERNELS_CONV_EPILOGUE_TMPL_H
#define CREASE_RUNTIME_KERNELS_CONV_EPILOGUE_TMPL_H

#include "runtime/kernels/activation_tmpl.h"
#include "runtime/kernels/conv/conv.h"

/* Applies the whole epilogue to one vector of accumulators and stores it at output + offset; channel is that
 * of lane 0. */
CR_INLINE void cr_store_epilogue(cr_vec sum, const cr_epilogue *epilogue, int64_t channel, int64_t offset,
                                 float *output) {
    if (epilogue->bias != NULL)
        sum += cr_load(epilogue->bias + channel);
    sum = cr_activate(sum, &epilogue->act, channel);
    if (epilogue->residual != NULL)
        sum += cr_load(epilogue->residual + offset);
    cr_store(output + offset, cr_activate(sum, &epilogue->act_after, channel));
}

/* The same, its bias apart, for n sums of one channel block, neighbours in the output from `offset` on.
 * Overwrites the sums. */
static inline __attribute__((unused)) void cr_finish_vectors(const cr_epilogue *epilogue, float *sums,
                                                             int64_t n, int64_t channel, int64_t offset,
                                                             float *output) {
    output += offset;
    if (epilogue->residual == NULL && epilogue->act_after.kind == CR_ACT_NONE) {
        cr_activate_vectors(&epilogue->act, sums, output, n, channel);
        return;
    }
    cr_activate_vectors(&epilogue->act, sums, sums, n, channel);
    if (epilogue->residual != NULL)
        for (int64_t i = 0; i < n * CR_LANES; i += CR_LANES)
            cr_store(sums + i, cr_load(sums + i) + cr_load(epilogue->residual + offset + i));
    cr_activate_vectors(&epilogue->act_after, sums, output, n, channel);
}

#endif
