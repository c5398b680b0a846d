#include "runtime/kernels/conv/plain.h"

/* Convolution by its definition, for both types. */
#define DEFINE_REFERENCE(suffix, T)                                                                          \
    static double sum_##suffix(const cr_conv_geometry *g, const T *x, const T *weights,                      \
                               const int64_t out[CR_CONV_RANK]) {                                            \
        int64_t begin[CR_CONV_RANK], end[CR_CONV_RANK], origin[CR_CONV_RANK];                                \
        double sum = 0;                                                                                      \
        for (int axis = 0; axis < CR_CONV_RANK; axis++) {                                                    \
            cr_conv_taps(g, axis, out[axis], &begin[axis], &end[axis]);                                      \
            origin[axis] = out[axis] * g->stride[axis] - g->pad[axis];                                       \
        }                                                                                                    \
        for (int64_t c = 0; c < g->ic / g->groups; c++)                                                      \
            for (int64_t d = begin[CR_D]; d < end[CR_D]; d++)                                                \
                for (int64_t h = begin[CR_H]; h < end[CR_H]; h++)                                            \
                    for (int64_t w = begin[CR_W]; w < end[CR_W]; w++) {                                      \
                        const int64_t z = (c * g->in[CR_D] + origin[CR_D] + d * g->dilation[CR_D]);          \
                        const int64_t row = z * g->in[CR_H] + origin[CR_H] + h * g->dilation[CR_H];          \
                        const int64_t tap =                                                                  \
                            ((c * g->kernel[CR_D] + d) * g->kernel[CR_H] + h) * g->kernel[CR_W] + w;         \
                        sum += (double)weights[tap] *                                                        \
                               (double)x[row * g->in[CR_W] + origin[CR_W] + w * g->dilation[CR_W]];          \
                    }                                                                                        \
        return sum;                                                                                          \
    }                                                                                                        \
                                                                                                             \
    void cr_conv_plane_##suffix(const cr_conv_geometry *g, const T *x, const T *weights, T bias, T *y) {     \
        for (int64_t d = 0; d < g->out[CR_D]; d++)                                                           \
            for (int64_t h = 0; h < g->out[CR_H]; h++)                                                       \
                for (int64_t w = 0; w < g->out[CR_W]; w++)                                                   \
                    *y++ = (T)((double)bias + sum_##suffix(g, x, weights, (const int64_t[]){d, h, w}));      \
    }
DEFINE_REFERENCE(f32, float)
DEFINE_REFERENCE(f64, double)
