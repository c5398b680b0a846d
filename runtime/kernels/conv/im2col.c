#include "runtime/kernels/conv/plain.h"

#include "runtime/base/whole.h"

/* One row of the matrix: a tap of a channel. `begin` and `end`: output positions for which it reads inside.
 */
typedef struct tap {
    int64_t k[CR_CONV_RANK], begin[CR_CONV_RANK], end[CR_CONV_RANK];
} tap;

static tap tap_of(const cr_conv_geometry *g, int64_t index) {
    tap t = {.k = {index / (g->kernel[CR_H] * g->kernel[CR_W]), index / g->kernel[CR_W] % g->kernel[CR_H],
                   index % g->kernel[CR_W]}};
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        cr_conv_reach(g, axis, t.k[axis], &t.begin[axis], &t.end[axis]);
    return t;
}

/* Input position of an output position along an axis; only inside the reach. */
static int64_t source(const cr_conv_geometry *g, const tap *t, int axis, int64_t out) {
    return out * g->stride[axis] - g->pad[axis] + t->k[axis] * g->dilation[axis];
}

static bool reads(const tap *t, int axis, int64_t out) {
    return out >= t->begin[axis] && out < t->end[axis];
}

/* Zeros, then values, then zeros: no test for each element. */
#define DEFINE_IM2COL(suffix, T)                                                                             \
    static void line_##suffix(const cr_conv_geometry *g, const tap *t, const T *x, int64_t row, int64_t w,   \
                              int64_t n, T *to) {                                                            \
        const int64_t d = row / g->out[CR_H], h = row % g->out[CR_H], step = g->stride[CR_W];                \
        int64_t i = 0, begin = n, end = n;                                                                   \
        if (reads(t, CR_D, d) && reads(t, CR_H, h)) {                                                        \
            begin = cr_within(t->begin[CR_W] - w, 0, n);                                                     \
            end = cr_within(t->end[CR_W] - w, begin, n);                                                     \
        }                                                                                                    \
        for (; i < begin; i++)                                                                               \
            to[i] = 0;                                                                                       \
        if (begin < end) {                                                                                   \
            const int64_t line = source(g, t, CR_D, d) * g->in[CR_H] + source(g, t, CR_H, h);                \
            const T *from = x + line * g->in[CR_W] + source(g, t, CR_W, w + begin);                          \
            if (step == 1)                                                                                   \
                for (; i < end; i++)                                                                         \
                    to[i] = from[i - begin];                                                                 \
            else                                                                                             \
                for (; i < end; i++)                                                                         \
                    to[i] = from[(i - begin) * step];                                                        \
        }                                                                                                    \
        for (; i < n; i++)                                                                                   \
            to[i] = 0;                                                                                       \
    }                                                                                                        \
                                                                                                             \
    void cr_im2col_##suffix(const cr_conv_geometry *g, const T *x, int64_t first, int64_t n, T *columns) {   \
        const int64_t taps = g->kernel[CR_D] * g->kernel[CR_H] * g->kernel[CR_W];                            \
        const int64_t area = g->in[CR_D] * g->in[CR_H] * g->in[CR_W], width = g->out[CR_W];                  \
        for (int64_t k = 0; k < taps; k++) {                                                                 \
            const tap t = tap_of(g, k);                                                                      \
            for (int64_t c = 0; c < g->ic / g->groups; c++)                                                  \
                for (int64_t i = 0, run; i < n; i += run) {                                                  \
                    const int64_t row = (first + i) / width, w = (first + i) % width;                        \
                    run = width - w < n - i ? width - w : n - i;                                             \
                    line_##suffix(g, &t, x + c * area, row, w, run, columns + (c * taps + k) * n + i);       \
                }                                                                                            \
        }                                                                                                    \
    }
DEFINE_IM2COL(f32, float)
DEFINE_IM2COL(f64, double)
