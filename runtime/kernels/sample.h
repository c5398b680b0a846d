#ifndef CREASE_RUNTIME_KERNELS_SAMPLE_H
#define CREASE_RUNTIME_KERNELS_SAMPLE_H

#include "runtime/base/dtype.h"

/* Reading an image between its elements. */

enum { CR_SAMPLE_RANK = 3, CR_SAMPLE_TAPS = 16 };

typedef enum cr_sampling { CR_SAMPLE_LINEAR, CR_SAMPLE_NEAREST, CR_SAMPLE_CUBIC } cr_sampling;
typedef enum cr_sample_border { CR_BORDER_ZEROS, CR_BORDER_EDGE, CR_BORDER_REFLECT } cr_sample_border;

typedef struct cr_sampler {
    cr_sampling mode;
    cr_sample_border border;
    bool align_corners; /* reflection is about the centres of the outer elements, else about their edges */
    int rank;           /* 2 or 3; cubic: 2 */
    int64_t extent[CR_SAMPLE_RANK];
} cr_sampler;

/* Elements of the image and what each counts; elements outside are left out. */
typedef struct cr_taps {
    int n;
    int64_t index[CR_SAMPLE_TAPS];
    double weight[CR_SAMPLE_TAPS];
} cr_taps;

/* Taps at a position in elements, 0 being the centre of the first; NaN has none. Cubic with a = -0.75. */
void cr_sample_taps(const cr_sampler *sampler, const double *position, cr_taps *taps);

/* The point between four elements of [height, width] as RoiAlign has it: beyond one element outside there is
 * nothing, up to there the edge continues. */
void cr_roi_taps(int64_t height, int64_t width, double y, double x, cr_taps *taps);

/* Sum over taps of image[index] weight, of a float type. */
double cr_tap(crease_dtype dtype, const void *image, const cr_taps *taps);

/* y[at + i] = cr_tap() of the i-th of n points' taps. */
void cr_tap_points(crease_dtype dtype, const void *image, const cr_taps *taps, int64_t n, void *y,
                   int64_t at);

/* sums[c] += cr_tap() of the c-th of `n` images that lie `plane` elements apart. */
void cr_tap_planes(crease_dtype dtype, const void *images, int64_t plane, int64_t n, const cr_taps *taps,
                   double *sums);

#endif
