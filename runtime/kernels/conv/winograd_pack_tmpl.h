/* Filters of Winograd convolution, transformed and packed; part of winograd_tmpl.h. */
#include <string.h>

#include "runtime/kernels/conv/winograd.h"
#include "runtime/kernels/vec_tmpl.h"

/* The terms of a tile in the order of their elements, each as y * terms of x + x. */
static void list_terms(const cr_winograd_axis *y, const cr_winograd_axis *x, int *terms) {
    for (int py = 0; py < y->points; py++)
        for (int px = 0; px < x->points; px++)
            for (int ky = y->term[py]; ky < y->term[py + 1]; ky++)
                for (int kx = x->term[px]; kx < x->term[px + 1]; kx++)
                    *terms++ = ky * cr_winograd_terms(x) + kx;
}

/* r = G g for `width` filters, in double; taps and terms are `stride` apart. */
CR_INLINE void transform_taps(cr_winograd_scheme scheme, int width, const double *g, double *r, int stride) {
    const cr_winograd_axis *axis = &cr_winograd_axes[scheme];
    for (int k = 0; k < cr_winograd_terms(axis); k++, r += stride) {
        memset(r, 0, (size_t)width * sizeof *r);
        for (int t = 0; t < axis->taps; t++) {
            const double factor = cr_winograd_filters[scheme][k][t];
            for (int l = 0; l < width && factor != 0; l++)
                r[l] += factor * g[t * stride + l];
        }
    }
}

/* Filters of one input channel and `width` output channels, each [taps][width], to [terms][width]. */
CR_INLINE void transform_filters(const cr_winograd *winograd, int width, const double *taps, double *result) {
    const cr_winograd_axis *y = &cr_winograd_axes[winograd->y], *x = &cr_winograd_axes[winograd->x];
    double rows[CR_WINOGRAD_MAX_TERMS * CR_WINOGRAD_MAX_TAPS * 2 * CR_LANES];
    const int across = x->taps * width;
    for (int t = 0; t < x->taps; t++)
        transform_taps(winograd->y, width, taps + t * width, rows + t * width, across);
    for (int k = 0; k < cr_winograd_terms(y); k++)
        transform_taps(winograd->x, width, rows + k * across, result + k * cr_winograd_terms(x) * width,
                       width);
}

CR_INLINE void pack_terms(const cr_conv *conv, const cr_winograd *winograd, int width, int64_t first,
                          const float *weights, float *packed) {
    const cr_winograd_axis *y = &cr_winograd_axes[winograd->y], *x = &cr_winograd_axes[winograd->x];
    const int n_taps = y->taps * x->taps, n_terms = cr_winograd_terms(y) * cr_winograd_terms(x);
    const int64_t ic = conv->geometry.ic, rest = conv->geometry.oc - first;
    const int used = rest < width ? (int)rest : width;
    double taps[CR_WINOGRAD_MAX_ALL_TAPS * 2 * CR_LANES] = {0};
    double result[CR_WINOGRAD_MAX_ALL_TERMS * 2 * CR_LANES];
    int terms[CR_WINOGRAD_MAX_ALL_TERMS];
    list_terms(y, x, terms);
    for (int64_t c = 0; c < ic; c++) {
        for (int o = 0; o < used; o++)
            for (int t = 0; t < n_taps; t++)
                taps[t * width + o] = weights[((first + o) * ic + c) * n_taps + t];
        transform_filters(winograd, width, taps, result);
        for (int k = 0; k < n_terms; k++)
            for (int o = 0; o < width; o++)
                packed[(k * ic + c) * width + o] = (float)result[terms[k] * width + o];
    }
}

/* [ic][taps][width] */
CR_INLINE void pack_taps(const cr_conv *conv, int n_taps, int width, int64_t first, const float *weights,
                         float *packed) {
    const int64_t ic = conv->geometry.ic, rest = conv->geometry.oc - first;
    const int used = rest < width ? (int)rest : width;
    for (int64_t c = 0; c < ic; c++)
        for (int t = 0; t < n_taps; t++, packed += width)
            for (int o = 0; o < width; o++)
                packed[o] = o < used ? weights[((first + o) * ic + c) * n_taps + t] : 0;
}

static void pack_all(const cr_conv *conv, const cr_winograd *winograd, const float *weights, float *packed) {
    const int64_t blocks = (conv->geometry.oc + CR_LANES - 1) / CR_LANES,
                  terms = cr_winograd_packed_terms(winograd);
    for (int64_t block = 0; block < blocks; block += 2) {
        float *to = packed + block * terms * conv->geometry.ic * CR_LANES;
        const int width = block + 1 < blocks ? 2 * CR_LANES : CR_LANES;
        if (winograd->packs == CR_PACKS_TAPS)
            pack_taps(conv, (int)terms, width, block * CR_LANES, weights, to);
        else if (width > CR_LANES)
            pack_terms(conv, winograd, 2 * CR_LANES, block * CR_LANES, weights, to);
        else
            pack_terms(conv, winograd, CR_LANES, block * CR_LANES, weights, to);
    }
}
