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

#endif
