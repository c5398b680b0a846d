#ifndef CREASE_RUNTIME_KERNELS_CONV_PROLOGUE_TMPL_H
#define CREASE_RUNTIME_KERNELS_CONV_PROLOGUE_TMPL_H

#include "runtime/kernels/activation_tmpl.h"
#include "runtime/kernels/conv/conv.h"

/* NULL: none. */
CR_INLINE const cr_prologue *cr_prologue_of(const cr_conv_args *args) {
    return args->prologue != NULL && args->prologue->scale != NULL ? args->prologue : NULL;
}

CR_INLINE void cr_prologue_loop(cr_act kind, const cr_activation *act, cr_vec scale, cr_vec shift,
                                const float *from, float *to, int64_t n) {
    for (int64_t i = 0; i < n * CR_LANES; i += CR_LANES)
        cr_store(to + i, cr_activate_kind(kind, cr_fma(scale, cr_load(from + i), shift), act, 0));
}

/* to = act(scale x + shift) for n vectors of one image and channel block, whose lane 0 is `channel`. to may
 * be from. In one pass what is usual. */
static inline __attribute__((unused)) void cr_prologue_vectors(const cr_prologue *prologue, int64_t image,
                                                               int64_t channel, const float *from, float *to,
                                                               int64_t n) {
    const cr_activation *act = &prologue->act;
    const int64_t at = image * prologue->batch_stride + channel;
    const cr_vec scale = cr_load(prologue->scale + at);
    const cr_vec shift = prologue->shift != NULL ? cr_load(prologue->shift + at) : (cr_vec){0};
    switch (act->kind) {
    case CR_ACT_RELU:
        cr_prologue_loop(CR_ACT_RELU, act, scale, shift, from, to, n);
        break;
    case CR_ACT_CLIP:
        cr_prologue_loop(CR_ACT_CLIP, act, scale, shift, from, to, n);
        break;
    default:
        cr_prologue_loop(CR_ACT_NONE, act, scale, shift, from, to, n);
        if (act->kind != CR_ACT_NONE)
            cr_activate_vectors(act, to, to, n, channel);
    }
}

#endif
