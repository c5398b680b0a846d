#include "runtime/kernels/conv/conv.h"

#include "runtime/base/whole.h"

/* a / b rounded up; b > 0, a of either sign. Most dilations and strides are 1, and divisions slow. */
static int64_t divide_up(int64_t a, int64_t b) {
    return b == 1 ? a : a > 0 ? (a - 1) / b + 1 : -(-a / b);
}

int64_t cr_conv_volume(const int64_t extents[CR_CONV_RANK]) {
    return extents[CR_D] * extents[CR_H] * extents[CR_W];
}

bool cr_conv_is_pointwise(const cr_conv_geometry *g) {
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        if (g->kernel[axis] != 1 || g->stride[axis] != 1 || g->pad[axis] != 0 || g->in[axis] != g->out[axis])
            return false;
    return true;
}

void cr_conv_flatten(cr_conv_geometry *g) {
    if (!cr_conv_is_pointwise(g))
        return;
    g->in[CR_W] = g->out[CR_W] = cr_conv_volume(g->in);
    g->in[CR_D] = g->in[CR_H] = g->out[CR_D] = g->out[CR_H] = 1;
}

void cr_conv_taps(const cr_conv_geometry *geometry, int axis, int64_t out, int64_t *begin, int64_t *end) {
    const int64_t dilation = geometry->dilation[axis], kernel = geometry->kernel[axis];
    const int64_t before = geometry->pad[axis] - out * geometry->stride[axis];
    *begin = cr_within(divide_up(before, dilation), 0, kernel);
    *end = cr_within(divide_up(before + geometry->in[axis], dilation), 0, kernel);
}

void cr_conv_reach(const cr_conv_geometry *geometry, int axis, int64_t tap, int64_t *begin, int64_t *end) {
    const int64_t stride = geometry->stride[axis], out = geometry->out[axis];
    const int64_t before = geometry->pad[axis] - tap * geometry->dilation[axis];
    *begin = cr_within(divide_up(before, stride), 0, out);
    *end = cr_within(divide_up(before + geometry->in[axis], stride), 0, out);
}

/* Both ends of the taps can only fall with the output position, so their distance fallen names the class. */
int64_t cr_conv_border_class(const cr_conv_geometry *geometry, int axis, int64_t out) {
    int64_t begin, end, first_begin, first_end;
    cr_conv_taps(geometry, axis, out, &begin, &end);
    cr_conv_taps(geometry, axis, 0, &first_begin, &first_end);
    return first_begin + first_end - begin - end;
}

int64_t cr_conv_border_classes(const cr_conv_geometry *geometry, int axis) {
    return geometry->out[axis] > 0 ? cr_conv_border_class(geometry, axis, geometry->out[axis] - 1) + 1 : 0;
}

int64_t cr_conv_border_rows(const cr_conv_geometry *geometry) {
    int64_t rows = 1;
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        rows *= cr_conv_border_classes(geometry, axis);
    return rows;
}

int64_t cr_conv_border_row(const cr_conv_geometry *geometry, int64_t d, int64_t y, int64_t x) {
    const int64_t plane = cr_conv_border_class(geometry, CR_D, d) * cr_conv_border_classes(geometry, CR_H);
    return (plane + cr_conv_border_class(geometry, CR_H, y)) * cr_conv_border_classes(geometry, CR_W) +
           cr_conv_border_class(geometry, CR_W, x);
}

typedef struct tap_box {
    int64_t begin[CR_CONV_RANK], end[CR_CONV_RANK];
} tap_box;

static float bias_inside(const cr_conv_geometry *g, const tap_box *box, double bias, const float *tap_sums) {
    for (int64_t d = box->begin[CR_D]; d < box->end[CR_D]; d++)
        for (int64_t h = box->begin[CR_H]; h < box->end[CR_H]; h++)
            for (int64_t w = box->begin[CR_W]; w < box->end[CR_W]; w++)
                bias += (double)tap_sums[(d * g->kernel[CR_H] + h) * g->kernel[CR_W] + w];
    return (float)bias;
}

static void fill_row(const cr_conv_geometry *g, const tap_box *box, int lanes, const float *bias,
                     const float *tap_sums, float *row) {
    const int64_t taps = g->kernel[CR_D] * g->kernel[CR_H] * g->kernel[CR_W];
    const int64_t padded = (g->oc + lanes - 1) / lanes * lanes;
    for (int64_t o = 0; o < g->oc; o++)
        row[o] = bias_inside(g, box, bias != NULL ? (double)bias[o] : 0, tap_sums + o * taps);
    for (int64_t o = g->oc; o < padded; o++)
        row[o] = 0;
}

/* The first output position of an axis that is of this class or a later one: a class without positions shares
 * the row of its successor. */
static int64_t first_of_class(const cr_conv_geometry *geometry, int axis, int64_t class) {
    int64_t out = 0;
    while (cr_conv_border_class(geometry, axis, out) < class)
        out++;
    return out;
}

void cr_conv_border_bias(const cr_conv_geometry *geometry, int lanes, const float *bias,
                         const float *tap_sums, float *rows) {
    int64_t classes[CR_CONV_RANK], first[CR_CONV_RANK];
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        classes[axis] = cr_conv_border_classes(geometry, axis);
    const int64_t n_rows = classes[CR_D] * classes[CR_H] * classes[CR_W];
    const int64_t padded = (geometry->oc + lanes - 1) / lanes * lanes;
    for (int64_t row = 0; row < n_rows; row++, rows += padded) {
        tap_box box;
        first[CR_D] = first_of_class(geometry, CR_D, row / (classes[CR_H] * classes[CR_W]));
        first[CR_H] = first_of_class(geometry, CR_H, row / classes[CR_W] % classes[CR_H]);
        first[CR_W] = first_of_class(geometry, CR_W, row % classes[CR_W]);
        for (int axis = 0; axis < CR_CONV_RANK; axis++)
            cr_conv_taps(geometry, axis, first[axis], &box.begin[axis], &box.end[axis]);
        fill_row(geometry, &box, lanes, bias, tap_sums, rows);
    }
}

/* Of a plane, for each thread: much more than a prefetcher reads ahead. */
enum { LEAST_STRIP_BYTES = 8 * 1024 };

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b > 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int64_t cr_conv_shares(int64_t n, int threads) {
    return threads > 1 && n > 0 ? threads / common_divisor(n, threads) : 1;
}

int64_t cr_conv_strips(int64_t n, int64_t rows, int64_t row_bytes, int threads) {
    const int64_t shares = cr_conv_shares(n, threads);
    if (shares == 1 || row_bytes <= 0 || rows / shares < 2)
        return 1;
    return rows / shares > (LEAST_STRIP_BYTES - 1) / row_bytes ? shares : 1;
}
