#ifndef CREASE_RUNTIME_KERNELS_CONV_EPILOGUE_TMPL_H
#define CREASE_RUNTIME_KERNELS_CONV_EPILOGUE_TMPL_H

#include "runtime/kernels/activation_tmpl.h"
#include "runtime/kernels/conv/conv.h"

/* Applies an epilogue, its bias apart, to n sums of one channel block and stores them next to each other from
 * output + offset on. Overwrites the sums, which may stand there already if there is no residual. */
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
