#include "runtime/kernels/conv/plain.h"

/* Taps outside, rows inside: the columns that a tap reaches are found once for the plane. */
#define DEFINE_DEPTHWISE(suffix, T)                                                                          \
    static void add_tap_##suffix(const cr_conv_geometry *g, const int64_t tap[CR_CONV_RANK], const T *x,     \
                                 T weight, T *y) {                                                           \
        int64_t begin[CR_CONV_RANK], end[CR_CONV_RANK], shift[CR_CONV_RANK];                                 \
        for (int axis = 0; axis < CR_CONV_RANK; axis++) {                                                    \
            cr_conv_reach(g, axis, tap[axis], &begin[axis], &end[axis]);                                     \
            shift[axis] = tap[axis] * g->dilation[axis] - g->pad[axis];                                      \
        }                                                                                                    \
        const int64_t step = g->stride[CR_W], n = end[CR_W] - begin[CR_W];                                   \
        for (int64_t d = begin[CR_D]; d < end[CR_D] && n > 0; d++)                                           \
            for (int64_t h = begin[CR_H]; h < end[CR_H]; h++) {                                              \
                const int64_t xd = d * g->stride[CR_D] + shift[CR_D];                                        \
                const int64_t xh = h * g->stride[CR_H] + shift[CR_H];                                        \
                const T *from =                                                                              \
                    x + (xd * g->in[CR_H] + xh) * g->in[CR_W] + begin[CR_W] * step + shift[CR_W];            \
                T *to = y + (d * g->out[CR_H] + h) * g->out[CR_W] + begin[CR_W];                             \
                if (step == 1)                                                                               \
                    for (int64_t i = 0; i < n; i++)                                                          \
                        to[i] += weight * from[i];                                                           \
                else                                                                                         \
                    for (int64_t i = 0; i < n; i++)                                                          \
                        to[i] += weight * from[i * step];                                                    \
            }                                                                                                \
    }                                                                                                        \
                                                                                                             \
    void cr_depthwise_plane_##suffix(const cr_conv_geometry *g, const T *x, const T *weights, T bias,        \
                                     T *y) {                                                                 \
        for (int64_t i = 0; i < g->out[CR_D] * g->out[CR_H] * g->out[CR_W]; i++)                             \
            y[i] = bias;                                                                                     \
        for (int64_t d = 0; d < g->kernel[CR_D]; d++)                                                        \
            for (int64_t h = 0; h < g->kernel[CR_H]; h++)                                                    \
                for (int64_t w = 0; w < g->kernel[CR_W]; w++)                                                \
                    add_tap_##suffix(g, (const int64_t[]){d, h, w}, x, *weights++, y);                       \
    }
DEFINE_DEPTHWISE(f32, float)
DEFINE_DEPTHWISE(f64, double)
