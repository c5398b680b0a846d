/* Filters that are packed as taps: their terms, computed as they are needed; part of winograd_tmpl.h. */
#include "runtime/kernels/conv/winograd_input_tmpl.h"

/* Terms of the filters of an output group and of some input channels, as the products stream them:
 * [terms in the order of their elements][channels][columns L]. */
typedef struct winograd_filters {
    const float *terms;
    int64_t term_floats;       /* from one term to the next */
    int64_t channel, channels; /* the first input channel, and how many */
    /* What is fetched meanwhile: NULL: the filters themselves, ahead of their use; otherwise the next taps,
     * `pace` floats for each line of terms that is read. */
    const float *next;
    int64_t pace;
} winograd_filters;

/* One vector of each tap becomes one of each term, `offset` after the first of its term. */
CR_INLINE void transform_filter(const cr_winograd *winograd, const float *taps, int64_t stride,
                                float *const *places, int64_t offset) {
    const cr_winograd_axis *y = &cr_winograd_axes[winograd->y], *x = &cr_winograd_axes[winograd->x];
    const int across = cr_winograd_terms(x);
    cr_vec rows[CR_WINOGRAD_MAX_TAPS * CR_WINOGRAD_MAX_TERMS], g[CR_WINOGRAD_MAX_TAPS],
        r[CR_WINOGRAD_MAX_TERMS];
    CR_UNROLL
    for (int i = 0; i < y->taps; i++) {
        CR_UNROLL
        for (int j = 0; j < x->taps; j++, taps += stride)
            g[j] = cr_load(taps);
        filter_transform(winograd->x, g, rows + i * across);
    }
    CR_UNROLL
    for (int k = 0; k < across; k++) {
        CR_UNROLL
        for (int i = 0; i < y->taps; i++)
            g[i] = rows[i * across + k];
        filter_transform(winograd->y, g, r);
        CR_UNROLL
        for (int i = 0; i < cr_winograd_terms(y); i++)
            cr_store(places[i * across + k] + offset, r[i]);
    }
}

/* The terms of `channels` input channels, from taps [channels][taps][columns L]. */
CR_INLINE void transform_slab(const cr_winograd *winograd, const winograd_chunk *chunk, const float *taps,
                              int64_t channels, int columns) {
    const int n_taps = chunk->plan->y->taps * chunk->plan->x->taps;
    const int64_t term_floats = cr_winograd_term_floats(chunk->conv, chunk->plan);
    float *places[CR_WINOGRAD_MAX_ALL_TERMS];
    int terms[CR_WINOGRAD_MAX_ALL_TERMS];
    list_terms(chunk->plan->y, chunk->plan->x, terms);
    for (int k = 0; k < chunk->plan->terms; k++)
        places[terms[k]] = chunk->filters + k * term_floats;
    for (int64_t c = 0; c < channels; c++, taps += n_taps * columns * CR_LANES)
        for (int v = 0; v < columns; v++)
            transform_filter(winograd, taps + v * CR_LANES, columns * CR_LANES, places,
                             (c * columns + v) * CR_LANES);
}
