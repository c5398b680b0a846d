#include "runtime/kernels/sample.h"
#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* GridSample (ONNX 16, 20, 22; Jaderberg et al. 2015), AffineGrid (20), RoiAlign (10, 16, 22; He et al. 2017)
 * and MaxRoiPool (1, 22; Girshick 2015). The taps of a point are found once and read in every channel. */

static crease_status wrong_shape(const cr_node *node, int i, const cr_shape *shape) {
    char text[128];
    return cr_node_fail(node, CREASE_ERROR_MODEL, "input %d has shape %s, which does not fit", i,
                        cr_shape_print(shape, text, sizeof text));
}

static bool differ(int64_t a, int64_t b) {
    return a >= 0 && b >= 0 && a != b;
}

/* One of the texts of an attribute, by position; `otherwise` when it is missing. */
static crease_status read_choice(const cr_node *node, const char *name, const char *const *texts, int n,
                                 int otherwise, int *choice) {
    const char *text;
    CR_TRY(cr_attr_string(node, name, texts[otherwise], &text));
    for (*choice = 0; *choice < n; ++*choice)
        if (strcmp(texts[*choice], text) == 0)
            return CREASE_OK;
    return cr_node_fail(node, CREASE_ERROR_MODEL, "%s '%.40s' is not known", name, text);
}

/* ---- GridSample ---- */

static crease_status grid_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    infer->out[0].dtype = infer->in[0]->dtype;
    const cr_shape *x = &infer->in[0]->shape, *grid = &infer->in[1]->shape;
    if (infer->in[1]->dtype && !cr_dtype_is_float(infer->in[1]->dtype))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the grid is %s",
                            crease_dtype_name(infer->in[1]->dtype));
    if (x->rank < 0 || grid->rank < 0)
        return CREASE_OK;
    if (x->rank != 4 && x->rank != 5)
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "an input of rank %d", x->rank);
    if (grid->rank != x->rank || differ(grid->dims[0], x->dims[0]) ||
        differ(grid->dims[grid->rank - 1], x->rank - 2))
        return wrong_shape(infer->node, 1, grid);
    infer->out[0].shape = *grid;
    memmove(infer->out[0].shape.dims + 2, grid->dims + 1, (size_t)(grid->rank - 2) * sizeof *grid->dims);
    infer->out[0].shape.dims[1] = x->dims[1];
    return CREASE_OK;
}

typedef struct grid_state {
    cr_sampler sampler;
    int64_t channels, area, points; /* of one image: elements in and out of a channel */
} grid_state;

static crease_status grid_prepare(cr_prepare *p) {
    static const char *const modes[] = {"linear", "nearest", "cubic", "bilinear", "bicubic"};
    static const char *const borders[] = {"zeros", "border", "reflection"};
    grid_state *s;
    int mode, border;
    int64_t align;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_choice(p->node, "mode", modes, 5, 0, &mode));
    CR_TRY(read_choice(p->node, "padding_mode", borders, 3, 0, &border));
    CR_TRY(cr_attr_int(p->node, "align_corners", 0, &align));
    mode = mode == 3 ? CR_SAMPLE_LINEAR : mode == 4 ? CR_SAMPLE_CUBIC : mode;
    s->sampler = (cr_sampler){(cr_sampling)mode, (cr_sample_border)border, align != 0, x->rank - 2, {0}};
    if (mode == CR_SAMPLE_CUBIC && s->sampler.rank != 2)
        return cr_node_fail(p->node, CREASE_ERROR_UNSUPPORTED, "cubic sampling of a volume");
    for (int d = 0; d < s->sampler.rank; d++)
        s->sampler.extent[d] = x->dims[d + 2];
    s->channels = x->dims[1];
    s->area = cr_shape_extent(x, 2, x->rank);
    s->points = cr_shape_extent(&p->in[1]->shape, 1, x->rank - 1);
    return CREASE_OK;
}

static double denormalize(const cr_sampler *s, int d, double g) {
    const double n = (double)s->extent[d];
    return s->align_corners ? (g + 1) / 2 * (n - 1) : ((g + 1) * n - 1) / 2;
}

enum { GRID_POINTS = 32 }; /* whose taps are kept while the channels are read */

/* Taps of n points of the grid, counted over all images. */
static void find_grid_taps(const cr_run *r, int64_t point, int64_t n, cr_taps *taps) {
    const grid_state *s = r->state;
    const cr_tensor *grid = r->in[1];
    const int rank = s->sampler.rank;
    for (int64_t i = 0; i < n; i++) {
        double position[CR_SAMPLE_RANK];
        for (int d = 0; d < rank; d++) { /* the grid names the last axis first */
            const int64_t at = (point + i) * rank + rank - 1 - d;
            position[d] =
                denormalize(&s->sampler, d,
                            grid->dtype == CREASE_FLOAT ? (double)((const float *)grid->data)[at]
                                                        : cr_load_float(grid->dtype, grid->data, at));
        }
        cr_sample_taps(&s->sampler, position, &taps[i]);
    }
}

static void grid_task(void *context, int64_t begin, int64_t end, int thread) {
    const cr_run *r = context;
    const grid_state *s = r->state;
    const crease_dtype dtype = r->in[0]->dtype;
    const size_t plane = (size_t)s->area * cr_element_bytes(dtype);
    (void)thread;
    for (int64_t point = begin, n; point < end; point += n) {
        const int64_t image = point / s->points, at = point % s->points;
        cr_taps taps[GRID_POINTS];
        n = s->points - at < end - point ? s->points - at : end - point;
        n = n < GRID_POINTS ? n : GRID_POINTS;
        find_grid_taps(r, point, n, taps);
        const char *x = (const char *)r->in[0]->data + (size_t)(image * s->channels) * plane;
        for (int64_t c = 0; c < s->channels; c++, x += plane)
            cr_tap_points(dtype, x, taps, n, r->out[0]->data, (image * s->channels + c) * s->points + at);
    }
}

static crease_status grid_run(cr_run *r) {
    const grid_state *s = r->state;
    if (cr_shape_n(&r->out[0]->shape))
        cr_parallel_grain(r->pool, r->in[0]->shape.dims[0] * s->points, 1024 / s->channels + 1, grid_task, r);
    return CREASE_OK;
}

/* ---- AffineGrid ---- */

static crease_status affine_infer(cr_infer *infer) {
    int64_t size[CR_MAX_RANK], align;
    int n;
    bool known;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    infer->out[0].dtype = infer->in[0]->dtype;
    CR_TRY(cr_infer_ints(infer, 1, size, &n, &known));
    CR_TRY(cr_attr_int(infer->node, "align_corners", 0, &align));
    const cr_shape *theta = &infer->in[0]->shape;
    if (!known || theta->rank < 0)
        return CREASE_OK;
    if ((n != 4 && n != 5) || theta->rank != 3 || differ(theta->dims[0], size[0]) ||
        differ(theta->dims[1], n - 2) || differ(theta->dims[2], n - 1))
        return wrong_shape(infer->node, 0, theta);
    cr_shape *y = &infer->out[0].shape;
    *y = (cr_shape){.rank = n, .dims = {size[0]}};
    for (int d = 2; d < n; d++) {
        if (size[d] < 0)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the size %lld is negative",
                                (long long)size[d]);
        y->dims[d - 1] = size[d];
    }
    y->dims[n - 1] = n - 2;
    return size[0] < 0 ? wrong_shape(infer->node, 0, theta) : CREASE_OK;
}

/* Centre of element i of n in [-1, 1]; the ends are the centres of the outer elements when aligned. */
static double base_coordinate(int64_t i, int64_t n, bool align) {
    if (align)
        return n > 1 ? -1 + 2 * (double)i / (double)(n - 1) : 0;
    return -1 + (2 * (double)i + 1) / (double)n;
}

/* The part of each coordinate of a point that one term of the affine map gives: [rank][rank + 1]. */
typedef double affine_terms[CR_SAMPLE_RANK][CR_SAMPLE_RANK + 1];

/* One row of points, whose first term is given for a coordinate of 1, the others for the row's. */
static void affine_row(cr_tensor *y, int64_t first, int64_t n, int rank, bool align, affine_terms terms) {
    for (int64_t i = 0; i < n; i++) {
        const double x = base_coordinate(i, n, align);
        for (int row = 0; row < rank; row++) {
            const int64_t at = (first + i) * rank + row;
            double sum = x * terms[row][0];
            for (int k = 1; k <= rank; k++)
                sum += terms[row][k];
            if (y->dtype == CREASE_FLOAT)
                ((float *)y->data)[at] = (float)sum;
            else
                cr_store_float(y->dtype, y->data, at, sum);
        }
    }
}

static crease_status affine_prepare(cr_prepare *p) {
    int64_t *align;
    CR_TRY(CR_PREPARE_STATE(p, &align));
    return cr_attr_int(p->node, "align_corners", 0, align);
}

static crease_status affine_run(cr_run *r) {
    const cr_shape *y = &r->out[0]->shape;
    const int rank = y->rank - 2;
    const int64_t columns = y->dims[rank], rows = cr_shape_extent(y, 1, rank);
    const bool align = *(const int64_t *)r->state != 0;
    for (int64_t i = 0; i < y->dims[0] * rows; i++) {
        double base[CR_SAMPLE_RANK + 1] = {1}; /* the last axis comes first */
        affine_terms terms;
        int64_t rest = i % rows;
        for (int d = rank - 1; d > 0; rest /= y->dims[d--])
            base[rank - d] = base_coordinate(rest % y->dims[d], y->dims[d], align);
        base[rank] = 1;
        for (int row = 0; row < rank; row++)
            for (int k = 0; k <= rank; k++)
                terms[row][k] = base[k] * cr_load_float(r->in[0]->dtype, r->in[0]->data,
                                                        (i / rows * rank + row) * (rank + 1) + k);
        affine_row(r->out[0], i * columns, columns, rank, align, terms);
    }
    return CREASE_OK;
}

/* ---- RoiAlign ---- */

enum { AVERAGE, MAXIMUM };
enum { MOST_SAMPLES = 4096 }; /* along one axis of a bin: boxes come from data */

static crease_status roi_infer(cr_infer *infer) {
    int64_t height, width;
    for (int i = 0; i < 3; i++)
        CR_TRY(cr_infer_need(infer, i));
    CR_TRY(cr_infer_rank(infer, 0, 4, 4));
    CR_TRY(cr_infer_rank(infer, 1, 2, 2));
    CR_TRY(cr_infer_rank(infer, 2, 1, 1));
    CR_TRY(cr_infer_same_type(infer, 0, 1));
    CR_TRY(cr_attr_int(infer->node, "output_height", 1, &height));
    CR_TRY(cr_attr_int(infer->node, "output_width", 1, &width));
    const cr_shape *x = &infer->in[0]->shape, *rois = &infer->in[1]->shape, *batch = &infer->in[2]->shape;
    infer->out[0].dtype = infer->in[0]->dtype;
    if (infer->in[2]->dtype && infer->in[2]->dtype != CREASE_INT64)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "batch_indices are %s, expected int64",
                            crease_dtype_name(infer->in[2]->dtype));
    if (height < 1 || width < 1)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the output is %lld x %lld", (long long)height,
                            (long long)width);
    if (rois->rank > 0 &&
        (differ(rois->dims[1], 4) || (batch->rank > 0 && differ(rois->dims[0], batch->dims[0]))))
        return wrong_shape(infer->node, 1, rois);
    if (x->rank >= 0 && rois->rank >= 0)
        infer->out[0].shape = (cr_shape){.rank = 4, .dims = {rois->dims[0], x->dims[1], height, width}};
    return CREASE_OK;
}

typedef struct roi_state {
    int mode;
    double scale, offset; /* offset: of half a pixel */
    int64_t sampling;
    bool at_least_one; /* boxes are no smaller than one element */
} roi_state;

static crease_status roi_prepare(cr_prepare *p) {
    static const char *const modes[] = {"avg", "max"};
    static const char *const transforms[] = {"half_pixel", "output_half_pixel"};
    roi_state *s;
    int transform;
    float scale;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_choice(p->node, "mode", modes, 2, 0, &s->mode));
    CR_TRY(read_choice(p->node, "coordinate_transformation_mode", transforms, 2, p->opset < 16, &transform));
    CR_TRY(cr_attr_int(p->node, "sampling_ratio", 0, &s->sampling));
    CR_TRY(cr_attr_float(p->node, "spatial_scale", 1, &scale));
    if (s->sampling < 0 || s->sampling > MOST_SAMPLES)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "sampling_ratio is %lld", (long long)s->sampling);
    s->scale = (double)scale;
    s->offset = transform == 0 ? 0.5 : 0;
    s->at_least_one = transform == 1;
    if (!cr_mul_size((size_t)p->in[0]->shape.dims[1], sizeof(double), &p->scratch_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "there are too many channels");
    return CREASE_OK;
}

/* Along one axis: where the box begins, the extent of a bin, samples in it. */
typedef struct roi_axis {
    double start, bin;
    int64_t samples;
} roi_axis;

static crease_status read_axis(const cr_run *r, double low, double high, int64_t bins, roi_axis *axis) {
    const roi_state *s = r->state;
    axis->start = low * s->scale - s->offset;
    double size = high * s->scale - s->offset - axis->start;
    if (s->at_least_one && size < 1)
        size = 1;
    axis->bin = size / (double)bins;
    const double samples = s->sampling ? (double)s->sampling : ceil(axis->bin);
    if (!(samples <= MOST_SAMPLES) || !isfinite(axis->start))
        return cr_node_fail(r->node, CREASE_ERROR_RUN, "a box from %g to %g is too large", low, high);
    axis->samples = samples < 0 ? 0 : (int64_t)samples;
    return CREASE_OK;
}

/* What the taps of one sample contribute at most, in each channel; where there are none, 0. */
static void raise_highest(crease_dtype dtype, const char *image, int64_t plane, int64_t channels,
                          const cr_taps *taps, double *highest) {
    for (int64_t c = 0; c < channels; c++) {
        for (int k = 0; k < taps->n; k++)
            highest[c] =
                fmax(highest[c], taps->weight[k] * cr_load_float(dtype, image, c * plane + taps->index[k]));
        if (taps->n == 0)
            highest[c] = fmax(highest[c], 0);
    }
}

/* An element of the result in every channel: the mean of the samples of its bin; or the largest of what the
 * samples' taps contribute each, which is what ONNX's operator computes. */
static void sample_bin(const cr_run *r, const char *image, const roi_axis *rows, const roi_axis *columns,
                       int64_t row, int64_t column, double *of_channel) {
    const roi_state *s = r->state;
    const cr_shape *x = &r->in[0]->shape;
    const crease_dtype dtype = r->in[0]->dtype;
    const int64_t channels = x->dims[1], plane = x->dims[2] * x->dims[3];
    const double n = (double)(rows->samples * columns->samples);
    for (int64_t c = 0; c < channels; c++)
        of_channel[c] = s->mode == MAXIMUM && n > 0 ? -INFINITY : 0;
    for (int64_t i = 0; i < rows->samples; i++)
        for (int64_t j = 0; j < columns->samples; j++) {
            cr_taps taps;
            const double y_at = ((double)i + 0.5) / (double)rows->samples + (double)row;
            const double x_at = ((double)j + 0.5) / (double)columns->samples + (double)column;
            cr_roi_taps(x->dims[2], x->dims[3], rows->start + y_at * rows->bin,
                        columns->start + x_at * columns->bin, &taps);
            if (s->mode == MAXIMUM)
                raise_highest(dtype, image, plane, channels, &taps, of_channel);
            else
                cr_tap_planes(dtype, image, plane, channels, &taps, of_channel);
        }
    for (int64_t c = 0; c < channels && s->mode == AVERAGE; c++)
        of_channel[c] /= n > 0 ? n : 1;
}

static crease_status align_box(const cr_run *r, int64_t box) {
    const cr_shape *x = &r->in[0]->shape, *y = &r->out[0]->shape;
    const crease_dtype dtype = r->in[0]->dtype;
    const size_t plane = (size_t)(x->dims[2] * x->dims[3]) * cr_element_bytes(dtype);
    const int64_t batch = cr_tensor_int(r->in[2], box);
    roi_axis rows, columns;
    double corner[4];
    if (batch < 0 || batch >= x->dims[0])
        return cr_node_fail(r->node, CREASE_ERROR_RUN, "box %lld is in image %lld of %lld", (long long)box,
                            (long long)batch, (long long)x->dims[0]);
    for (int i = 0; i < 4; i++)
        corner[i] = cr_load_float(dtype, r->in[1]->data, box * 4 + i);
    CR_TRY(read_axis(r, corner[0], corner[2], y->dims[3], &columns));
    CR_TRY(read_axis(r, corner[1], corner[3], y->dims[2], &rows));
    const char *image = (const char *)r->in[0]->data + (size_t)(batch * x->dims[1]) * plane;
    const int64_t bins = y->dims[2] * y->dims[3];
    for (int64_t i = 0; i < bins; i++) {
        sample_bin(r, image, &rows, &columns, i / y->dims[3], i % y->dims[3], r->scratch);
        for (int64_t c = 0; c < x->dims[1]; c++)
            cr_store_float(dtype, r->out[0]->data, (box * x->dims[1] + c) * bins + i,
                           ((const double *)r->scratch)[c]);
    }
    return CREASE_OK;
}

static crease_status roi_run(cr_run *r) {
    if (cr_shape_n(&r->in[0]->shape) == 0) {
        for (int64_t i = 0; i < cr_shape_n(&r->out[0]->shape); i++)
            cr_store_float(r->out[0]->dtype, r->out[0]->data, i, 0);
        return CREASE_OK;
    }
    for (int64_t box = 0; box < r->out[0]->shape.dims[0]; box++)
        CR_TRY(align_box(r, box));
    return CREASE_OK;
}

/* ---- MaxRoiPool ---- */

static crease_status pool_infer(cr_infer *infer) {
    const int64_t *pooled;
    int n;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_rank(infer, 0, 4, 4));
    CR_TRY(cr_infer_rank(infer, 1, 2, 2));
    CR_TRY(cr_infer_same_type(infer, 0, 1));
    CR_TRY(cr_attr_ints(infer->node, "pooled_shape", &pooled, &n));
    infer->out[0].dtype = infer->in[0]->dtype;
    if (n != 2 || pooled[0] < 1 || pooled[1] < 1)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "pooled_shape is not two positive numbers");
    const cr_shape *x = &infer->in[0]->shape, *rois = &infer->in[1]->shape;
    if (rois->rank > 0 && differ(rois->dims[1], 5))
        return wrong_shape(infer->node, 1, rois);
    if (x->rank >= 0 && rois->rank >= 0)
        infer->out[0].shape =
            (cr_shape){.rank = 4, .dims = {rois->dims[0], x->dims[1], pooled[0], pooled[1]}};
    return CREASE_OK;
}

/* Elements [*low, *high) of an axis that bin i covers. */
static void bin_range(double start, double size, int64_t bins, int64_t i, int64_t extent, int64_t *low,
                      int64_t *high) {
    const double from = floor((double)i * size / (double)bins) + start;
    const double to = ceil((double)(i + 1) * size / (double)bins) + start;
    *low = from < 0 ? 0 : from > (double)extent ? extent : (int64_t)from;
    *high = to < 0 ? 0 : to > (double)extent ? extent : (int64_t)to;
}

static double largest(const cr_run *r, int64_t plane, const int64_t *rows, const int64_t *columns) {
    const int64_t width = r->in[0]->shape.dims[3];
    double high = rows[0] < rows[1] && columns[0] < columns[1] ? -INFINITY : 0;
    for (int64_t i = rows[0]; i < rows[1]; i++)
        for (int64_t j = columns[0]; j < columns[1]; j++)
            high = fmax(high, cr_load_float(r->in[0]->dtype, r->in[0]->data, plane + i * width + j));
    return high;
}

static crease_status pool_box(const cr_run *r, double scale, int64_t box) {
    const cr_shape *x = &r->in[0]->shape, *y = &r->out[0]->shape;
    double corner[5];
    for (int i = 0; i < 5; i++) {
        corner[i] = cr_load_float(r->in[1]->dtype, r->in[1]->data, box * 5 + i);
        corner[i] = i ? round(corner[i] * scale) : corner[i];
        if (!(fabs(corner[i]) < 0x1p40))
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "box %lld is not finite", (long long)box);
    }
    if (corner[0] < 0 || corner[0] >= (double)x->dims[0])
        return cr_node_fail(r->node, CREASE_ERROR_RUN, "box %lld is in image %g of %lld", (long long)box,
                            corner[0], (long long)x->dims[0]);
    const double width = fmax(corner[3] - corner[1] + 1, 1), height = fmax(corner[4] - corner[2] + 1, 1);
    for (int64_t c = 0; c < x->dims[1]; c++)
        for (int64_t i = 0; i < y->dims[2]; i++)
            for (int64_t j = 0; j < y->dims[3]; j++) {
                int64_t rows[2], columns[2];
                bin_range(corner[2], height, y->dims[2], i, x->dims[2], &rows[0], &rows[1]);
                bin_range(corner[1], width, y->dims[3], j, x->dims[3], &columns[0], &columns[1]);
                const int64_t plane = ((int64_t)corner[0] * x->dims[1] + c) * x->dims[2] * x->dims[3];
                cr_store_float(r->out[0]->dtype, r->out[0]->data,
                               ((box * x->dims[1] + c) * y->dims[2] + i) * y->dims[3] + j,
                               largest(r, plane, rows, columns));
            }
    return CREASE_OK;
}

static crease_status pool_prepare(cr_prepare *p) {
    float *scale;
    CR_TRY(CR_PREPARE_STATE(p, &scale));
    return cr_attr_float(p->node, "spatial_scale", 1, scale);
}

static crease_status pool_run(cr_run *r) {
    const double scale = (double)*(const float *)r->state;
    for (int64_t box = 0; box < r->out[0]->shape.dims[0]; box++)
        CR_TRY(pool_box(r, scale, box));
    return CREASE_OK;
}

const cr_op cr_ops_sample[] = {
    {"GridSample", 16, 0, CR_T_FLOATS, grid_infer, grid_prepare, grid_run, 0, CR_OP_HALF, 0, NULL},
    {"AffineGrid", 20, 0, CR_T_FLOATS, affine_infer, affine_prepare, affine_run, 0, CR_OP_HALF, 0, NULL},
    {"RoiAlign", 10, 0, CR_T_FLOATS, roi_infer, roi_prepare, roi_run, 0, CR_OP_HALF, 0, NULL},
    {"MaxRoiPool", 1, 0, CR_T_FLOATS, pool_infer, pool_prepare, pool_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
