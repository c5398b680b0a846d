#include "runtime/kernels/conv/plain.h"

/* Each tap reaches a box of input pixels; along it the output advances by the stride. */
#define DEFINE_COL2IM(suffix, T)                                                                             \
    static void add_tap_##suffix(const cr_conv_geometry *g, const int64_t tap[CR_CONV_RANK],                 \
                                 const T *columns, T *y) {                                                   \
        int64_t begin[CR_CONV_RANK], end[CR_CONV_RANK], shift[CR_CONV_RANK];                                 \
        for (int axis = 0; axis < CR_CONV_RANK; axis++) {                                                    \
            cr_conv_reach(g, axis, tap[axis], &begin[axis], &end[axis]);                                     \
            shift[axis] = tap[axis] * g->dilation[axis] - g->pad[axis];                                      \
        }                                                                                                    \
        const int64_t step = g->stride[CR_W];                                                                \
        for (int64_t d = begin[CR_D]; d < end[CR_D]; d++)                                                    \
            for (int64_t h = begin[CR_H]; h < end[CR_H]; h++) {                                              \
                const int64_t yd = d * g->stride[CR_D] + shift[CR_D];                                        \
                const int64_t yh = h * g->stride[CR_H] + shift[CR_H];                                        \
                T *to = y + (yd * g->in[CR_H] + yh) * g->in[CR_W];                                           \
                const T *from = columns + (d * g->out[CR_H] + h) * g->out[CR_W];                             \
                for (int64_t w = begin[CR_W]; w < end[CR_W]; w++)                                            \
                    to[w * step + shift[CR_W]] += from[w];                                                   \
            }                                                                                                \
    }                                                                                                        \
                                                                                                             \
    void cr_col2im_##suffix(const cr_conv_geometry *g, const T *columns, T bias, T *y) {                     \
        const int64_t area = g->out[CR_D] * g->out[CR_H] * g->out[CR_W];                                     \
        for (int64_t i = 0; i < g->in[CR_D] * g->in[CR_H] * g->in[CR_W]; i++)                                \
            y[i] = bias;                                                                                     \
        for (int64_t d = 0; d < g->kernel[CR_D]; d++)                                                        \
            for (int64_t h = 0; h < g->kernel[CR_H]; h++)                                                    \
                for (int64_t w = 0; w < g->kernel[CR_W]; w++, columns += area)                               \
                    add_tap_##suffix(g, (const int64_t[]){d, h, w}, columns, y);                             \
    }
DEFINE_COL2IM(f32, float)
DEFINE_COL2IM(f64, double)
