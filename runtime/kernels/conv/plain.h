#ifndef CREASE_RUNTIME_KERNELS_CONV_PLAIN_H
#define CREASE_RUNTIME_KERNELS_CONV_PLAIN_H

#include "runtime/kernels/conv/conv.h"

/* Parts of a convolution on the plain layout [N][C][D][H][W], float32 and float64, each single-threaded. No
 * buffers overlap unless it is said. Extents of 0 are allowed. */

/* Columns [first, first + n) of the matrix [ic / groups * taps][output pixels] whose product with the weights
 * is the convolution (Chellapilla, Puri, Simard 2006), written to columns [..][n]. x: the first channel of an
 * image and group. */
void cr_im2col_f32(const cr_conv_geometry *geometry, const float *x, int64_t first, int64_t n,
                   float *columns);
void cr_im2col_f64(const cr_conv_geometry *geometry, const double *x, int64_t first, int64_t n,
                   double *columns);

/* One output plane of a convolution with one input channel in each group. weights: [taps]. */
void cr_depthwise_plane_f32(const cr_conv_geometry *geometry, const float *x, const float *weights,
                            float bias, float *y);
void cr_depthwise_plane_f64(const cr_conv_geometry *geometry, const double *x, const double *weights,
                            double bias, double *y);

/* One output plane of a transposed convolution: y = bias, and columns [taps][input pixels] added where each
 * tap belongs. geometry is that of the convolution it transposes: `in` are the extents of y, `out` those of
 * the transposed convolution's input. */
void cr_col2im_f32(const cr_conv_geometry *geometry, const float *columns, float bias, float *y);
void cr_col2im_f64(const cr_conv_geometry *geometry, const double *columns, double bias, double *y);

/* One output plane by the definition. x: as for im2col; weights: [ic / groups][taps]. Sums in double. */
void cr_conv_plane_f32(const cr_conv_geometry *geometry, const float *x, const float *weights, float bias,
                       float *y);
void cr_conv_plane_f64(const cr_conv_geometry *geometry, const double *x, const double *weights, double bias,
                       double *y);

/* y = act_after(act(y) + residual) for n values of one channel; residual NULL: none. */
typedef struct cr_plain_epilogue {
    cr_activation act, act_after;
} cr_plain_epilogue;
void cr_plain_finish_f32(const cr_plain_epilogue *epilogue, int64_t channel, const float *residual, int64_t n,
                         float *y);
void cr_plain_finish_f64(const cr_plain_epilogue *epilogue, int64_t channel, const double *residual,
                         int64_t n, double *y);

#endif
