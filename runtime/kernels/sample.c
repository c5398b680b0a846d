#include "runtime/kernels/sample.h"

#include <math.h>

/* x folded back and forth into [low, high]. */
static double reflect(double x, double low, double high) {
    const double range = high - low;
    if (range <= 0)
        return low;
    double distance = fmod(fabs(x - low), 2 * range);
    return low + (distance > range ? 2 * range - distance : distance);
}

static double place(const cr_sampler *s, int d, double x) {
    const double last = (double)(s->extent[d] - 1), edge = s->align_corners ? 0 : 0.5;
    if (s->border == CR_BORDER_EDGE)
        return x < 0 ? 0 : x > last ? last : x;
    if (s->border == CR_BORDER_REFLECT && (x < -edge || x > last + edge))
        return reflect(x, -edge, last + edge);
    return x;
}

/* Element i of an axis, below 0: none. */
static int64_t element(const cr_sampler *s, int d, double i) {
    const double last = (double)(s->extent[d] - 1);
    if (s->border == CR_BORDER_REFLECT && (i < 0 || i > last))
        i = nearbyint(place(s, d, i));
    if (s->border != CR_BORDER_ZEROS)
        i = i < 0 ? 0 : i > last ? last : i;
    return i >= 0 && i <= last ? (int64_t)i : -1;
}

typedef struct axis_taps {
    int n;
    int64_t index[4];
    double weight[4];
} axis_taps;

/* Keys's cubic convolution (1981) with a = -0.75; t in [0, 1) after the second tap. */
static void cubic_weights(double t, double *w) {
    const double a = -0.75;
    for (int i = 0; i < 4; i++) {
        const double x = fabs(t + 1 - i);
        w[i] = x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    }
}

static void find_axis(const cr_sampler *s, int d, double x, axis_taps *t) {
    x = place(s, d, s->mode == CR_SAMPLE_NEAREST ? nearbyint(x) : x);
    const double low = floor(x), part = x - low;
    if (s->mode == CR_SAMPLE_NEAREST) {
        *t = (axis_taps){1, {element(s, d, nearbyint(x))}, {1}};
    } else if (s->mode == CR_SAMPLE_LINEAR) {
        *t = (axis_taps){2, {element(s, d, low), element(s, d, low + 1)}, {1 - part, part}};
    } else {
        t->n = 4;
        cubic_weights(part, t->weight);
        for (int i = 0; i < 4; i++)
            t->index[i] = element(s, d, low - 1 + i);
    }
}

/* The four taps of a linear sample whose elements all exist, so that no border has a say; else false. */
static inline bool find_inside(const cr_sampler *s, const double *position, cr_taps *t) {
    const double y = position[0], x = position[1];
    const int64_t width = s->extent[1];
    if (s->mode != CR_SAMPLE_LINEAR || s->rank != 2 ||
        !(y >= 0 && x >= 0 && y < (double)(s->extent[0] - 1) && x < (double)(width - 1)))
        return false;
    const int64_t row = (int64_t)y, column = (int64_t)x, at = row * width + column;
    const double down = y - (double)row, right = x - (double)column;
    t->n = 4;
    t->index[0] = at;
    t->index[1] = at + 1;
    t->index[2] = at + width;
    t->index[3] = at + width + 1;
    t->weight[0] = (1 - down) * (1 - right);
    t->weight[1] = (1 - down) * right;
    t->weight[2] = down * (1 - right);
    t->weight[3] = down * right;
    return true;
}

static void find_taps(const cr_sampler *s, const double *position, cr_taps *taps) {
    axis_taps axes[CR_SAMPLE_RANK] = {{1, {0}, {1}}, {1, {0}, {1}}, {1, {0}, {1}}};
    int64_t extent[CR_SAMPLE_RANK] = {1, 1, 1};
    taps->n = 0;
    for (int d = 0; d < s->rank; d++) {
        if (!(fabs(position[d]) < 0x1p52))
            return;
        find_axis(s, d, position[d], &axes[CR_SAMPLE_RANK - s->rank + d]);
        extent[CR_SAMPLE_RANK - s->rank + d] = s->extent[d];
    }
    for (int i = 0; i < axes[0].n; i++)
        for (int j = 0; j < axes[1].n; j++)
            for (int k = 0; k < axes[2].n; k++) {
                if (axes[0].index[i] < 0 || axes[1].index[j] < 0 || axes[2].index[k] < 0)
                    continue;
                taps->index[taps->n] =
                    (axes[0].index[i] * extent[1] + axes[1].index[j]) * extent[2] + axes[2].index[k];
                taps->weight[taps->n++] = axes[0].weight[i] * axes[1].weight[j] * axes[2].weight[k];
            }
}

void cr_sample_taps(const cr_sampler *s, const double *position, cr_taps *taps) {
    if (!find_inside(s, position, taps))
        find_taps(s, position, taps);
}

void cr_roi_taps(int64_t height, int64_t width, double y, double x, cr_taps *taps) {
    const cr_sampler edge = {CR_SAMPLE_LINEAR, CR_BORDER_EDGE, true, 2, {height, width, 0}};
    taps->n = 0;
    if (y >= -1 && y <= (double)height && x >= -1 && x <= (double)width)
        cr_sample_taps(&edge, (double[]){y, x}, taps);
}

/* n is a constant where it is worth one. */
static inline double sum_of(const float *image, const cr_taps *taps, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += taps->weight[i] * (double)image[taps->index[i]];
    return sum;
}

/* Of float32, with the four taps of a linear sample in an image, without a loop. */
static inline double tap(crease_dtype dtype, const void *image, const cr_taps *taps) {
    double sum = 0;
    if (dtype == CREASE_FLOAT)
        return taps->n == 4 ? sum_of(image, taps, 4) : sum_of(image, taps, taps->n);
    for (int i = 0; i < taps->n; i++)
        sum += taps->weight[i] * cr_load_float(dtype, image, taps->index[i]);
    return sum;
}

double cr_tap(crease_dtype dtype, const void *image, const cr_taps *taps) {
    return tap(dtype, image, taps);
}

void cr_tap_points(crease_dtype dtype, const void *image, const cr_taps *taps, int64_t n, void *y,
                   int64_t at) {
    for (int64_t i = 0; i < n; i++)
        if (dtype == CREASE_FLOAT)
            ((float *)y)[at + i] = (float)tap(dtype, image, &taps[i]);
        else
            cr_store_float(dtype, y, at + i, tap(dtype, image, &taps[i]));
}

void cr_tap_planes(crease_dtype dtype, const void *images, int64_t plane, int64_t n, const cr_taps *taps,
                   double *sums) {
    const char *image = images;
    const size_t bytes = (size_t)plane * cr_element_bytes(dtype);
    for (int64_t c = 0; c < n; c++, image += bytes)
        sums[c] += tap(dtype, image, taps);
}
