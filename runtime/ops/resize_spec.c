#include "runtime/ops/resize_spec.h"

#include <math.h>
#include <string.h>

enum {
    HALF_PIXEL,
    ASYMMETRIC,
    ALIGN_CORNERS,
    PYTORCH_HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    TF_CROP_AND_RESIZE,
    TF_HALF_PIXEL_FOR_NN /* Resize 11 only */
};
enum { ROUND_FLOOR, ROUND_CEIL, PREFER_FLOOR, PREFER_CEIL };
enum { STRETCH, NOT_LARGER, NOT_SMALLER };

/* ---- attributes ---- */

static crease_status pick(const cr_node *node, const char *name, const char *const *names, int n,
                          int otherwise, int *to) {
    const char *value;
    CR_TRY(cr_attr_string(node, name, names[otherwise], &value));
    for (*to = 0; *to < n; ++*to)
        if (strcmp(names[*to], value) == 0)
            return CREASE_OK;
    return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "%s '%s' is not supported", name, value);
}

crease_status cr_resize_read_modes(const cr_node *node, int64_t opset, cr_resize_spec *s) {
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear"};
    static const char *const rounds[] = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"};
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    static const char *const coordinates[] = {
        "half_pixel",           "asymmetric",         "align_corners",       "pytorch_half_pixel",
        "half_pixel_symmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"};
    *s = (cr_resize_spec){0};
    CR_TRY(pick(node, "mode", modes, 4, CR_RESIZE_NEAREST, &s->mode));
    s->mode = s->mode > CR_RESIZE_CUBIC ? CR_RESIZE_LINEAR : s->mode;
    s->coordinates = ASYMMETRIC;
    s->rounding = ROUND_FLOOR;
    s->cubic_a = -0.75f;
    if (opset < 11) /* Upsample, Resize 10 */
        return CREASE_OK;
    CR_TRY(cr_attr_int(node, "antialias", 0, &s->antialias));
    CR_TRY(cr_attr_int(node, "exclude_outside", 0, &s->exclude_outside));
    CR_TRY(cr_attr_float(node, "cubic_coeff_a", -0.75f, &s->cubic_a));
    CR_TRY(cr_attr_float(node, "extrapolation_value", 0, &s->extrapolation));
    CR_TRY(pick(node, "keep_aspect_ratio_policy", policies, 3, STRETCH, &s->policy));
    CR_TRY(pick(node, "nearest_mode", rounds, 4, PREFER_FLOOR, &s->rounding));
    return pick(node, "coordinate_transformation_mode", coordinates, 7, HALF_PIXEL, &s->coordinates);
}

/* ---- extents ---- */

cr_resize_inputs cr_resize_find_inputs(int64_t opset, int n_in, const cr_info *const *in) {
    cr_resize_inputs found = {NULL, NULL, NULL};
    const cr_info **ports[] = {&found.roi, &found.scales, &found.sizes};
    for (int i = 1; i < n_in && i < 4; i++) {
        bool empty = !in[i] || (in[i]->known && cr_shape_n(&in[i]->known->shape) == 0) ||
                     (in[i]->shape.rank == 1 && in[i]->shape.dims[0] == 0);
        if (!empty)
            *ports[opset < 11 ? 1 : i - 1] = in[i];
    }
    return found;
}

static double number(const cr_tensor *t, int64_t i) {
    return cr_dtype_is_float(t->dtype) ? cr_load_float(t->dtype, t->data, i) : (double)cr_tensor_int(t, i);
}

/* Which axes the lists speak of: attribute axes from version 18 on, else all. */
static crease_status read_axes(const cr_node *node, int rank, int *axes, int *n) {
    const int64_t *attr;
    CR_TRY(cr_attr_ints(node, "axes", &attr, n));
    if (*n > rank)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "%d axes are given for rank %d", *n, rank);
    for (int i = 0; i < *n; i++)
        CR_TRY(cr_node_axis(node, attr[i], rank, &axes[i]));
    for (int i = 0; *n == 0 && i < rank; i++)
        axes[i] = i;
    *n = *n ? *n : rank;
    return CREASE_OK;
}

static crease_status set_scale(const cr_node *node, const cr_shape *x, int d, double scale,
                               cr_resize_spec *s) {
    double extent = floor((double)x->dims[d] * scale);
    if (!(scale > 0) || !(extent < 0x1p53))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "a scale of %g is not possible", scale);
    s->scale[d] = scale;
    s->extent[d] = (int64_t)extent;
    return CREASE_OK;
}

static crease_status set_sizes(const cr_node *node, const cr_shape *x, const cr_tensor *sizes,
                               const int *axes, int n, cr_resize_spec *s) {
    double common = s->policy == NOT_LARGER ? INFINITY : 0;
    for (int i = 0; i < n; i++) {
        int64_t size = cr_tensor_int(sizes, i), in = x->dims[axes[i]];
        if (size < 1 || in < 1)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "an extent of %lld cannot become %lld",
                                (long long)in, (long long)size);
        double scale = (double)size / (double)in;
        common = s->policy == NOT_LARGER ? fmin(common, scale) : fmax(common, scale);
        s->scale[axes[i]] = scale;
        s->extent[axes[i]] = size;
    }
    for (int i = 0; s->policy != STRETCH && i < n; i++) {
        double extent = floor((double)x->dims[axes[i]] * common + 0.5); /* halves are rounded up */
        if (!(extent < 0x1p53))
            return cr_node_fail(node, CREASE_ERROR_MODEL, "a scale of %g is not possible", common);
        s->scale[axes[i]] = common;
        s->extent[axes[i]] = (int64_t)extent;
    }
    return CREASE_OK;
}

/* Upsample without an input: "scales", or two attributes for images in version 1. */
static crease_status attr_scales(const cr_node *node, int64_t opset, const cr_shape *x, cr_resize_spec *s) {
    const float *attr = NULL;
    float image[4] = {1, 1, 0, 0};
    int n = 4;
    if (opset < 7) {
        CR_TRY(cr_attr_float(node, "height_scale", 0, &image[2]));
        CR_TRY(cr_attr_float(node, "width_scale", 0, &image[3]));
        attr = image;
    } else {
        CR_TRY(cr_attr_floats(node, "scales", &attr, &n));
    }
    if (n != x->rank)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "%d scales are given for rank %d", n, x->rank);
    for (int d = 0; d < n; d++)
        CR_TRY(set_scale(node, x, d, (double)attr[d], s));
    return CREASE_OK;
}

crease_status cr_resize_read_extents(const cr_node *node, int64_t opset, const cr_shape *x,
                                     const cr_resize_inputs *inputs, cr_resize_spec *s) {
    int axes[CR_MAX_RANK], n;
    for (int d = 0; d < x->rank; d++) {
        s->scale[d] = 1;
        s->extent[d] = x->dims[d];
        s->crop_begin[d] = 0;
        s->crop_end[d] = 1;
    }
    if (!inputs->sizes && !inputs->scales)
        return attr_scales(node, opset, x, s);
    CR_TRY(read_axes(node, x->rank, axes, &n));
    const cr_tensor *given = inputs->sizes ? inputs->sizes->known : inputs->scales->known;
    if (cr_shape_n(&given->shape) != n)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "%lld scales or sizes are given for %d axes",
                            (long long)cr_shape_n(&given->shape), n);
    if (inputs->sizes)
        return set_sizes(node, x, given, axes, n, s);
    for (int i = 0; i < n; i++)
        CR_TRY(set_scale(node, x, axes[i], number(given, i), s));
    return CREASE_OK;
}

bool cr_resize_crops(const cr_resize_spec *s) {
    return s->coordinates == TF_CROP_AND_RESIZE;
}

crease_status cr_resize_read_crop(const cr_node *node, const cr_tensor *roi, int rank, cr_resize_spec *s) {
    int axes[CR_MAX_RANK], n;
    CR_TRY(read_axes(node, rank, axes, &n));
    if (!cr_dtype_is_float(roi->dtype) || cr_shape_n(&roi->shape) != 2 * n)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "roi does not have a begin and an end for %d axes", n);
    for (int i = 0; i < n; i++) {
        s->crop_begin[axes[i]] = number(roi, i);
        s->crop_end[axes[i]] = number(roi, i + n);
        if (!isfinite(s->crop_begin[axes[i]]) || !isfinite(s->crop_end[axes[i]]))
            return cr_node_fail(node, CREASE_ERROR_MODEL, "roi is not finite");
    }
    return CREASE_OK;
}

/* ---- positions and weights ---- */

/* Source coordinate of output position i of axis d; lengths are fractional where scales are given. */
static double coordinate(const cr_resize_spec *s, int d, int64_t in, int64_t i) {
    double scale = s->scale[d], length = scale * (double)in, x = (double)i, last = (double)in - 1;
    double crop = s->crop_end[d] - s->crop_begin[d];
    switch (s->coordinates) {
    case ASYMMETRIC:
        return x / scale;
    case ALIGN_CORNERS:
        return length <= 1 ? 0 : x * last / (length - 1);
    case PYTORCH_HALF_PIXEL:
        return s->extent[d] > 1 ? (x + 0.5) / scale - 0.5 : 0;
    case HALF_PIXEL_SYMMETRIC:
        return (double)in / 2 * (1 - (double)s->extent[d] / length) + (x + 0.5) / scale - 0.5;
    case TF_CROP_AND_RESIZE:
        return s->crop_begin[d] * last + (length <= 1 ? crop * last / 2 : x * crop * last / (length - 1));
    case TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5) / scale;
    default:
        return (x + 0.5) / scale - 0.5;
    }
}

static int64_t clamp(double x, int64_t in) {
    return x < 0 ? 0 : x > (double)(in - 1) ? in - 1 : (int64_t)x;
}

static int64_t nearest(int rounding, double x, int64_t in) {
    double rounded = rounding == ROUND_FLOOR    ? floor(x)
                     : rounding == ROUND_CEIL   ? ceil(x)
                     : rounding == PREFER_FLOOR ? ceil(x - 0.5)
                                                : floor(x + 0.5);
    return clamp(rounded, in);
}

static bool is_outside(const cr_resize_spec *s, double x, int64_t in) {
    return cr_resize_crops(s) && !(x >= 0 && x <= (double)(in - 1));
}

void cr_resize_positions(const cr_resize_spec *s, int d, int64_t in, bool same, int64_t *at) {
    for (int64_t i = 0; i < s->extent[d]; i++) {
        double x = coordinate(s, d, in, i);
        at[i] = same ? i : is_outside(s, x, in) ? -1 : nearest(s->rounding, x, in);
    }
}

/* The filters at distance t from their centre. */
static double weight_at(const cr_resize_spec *s, double t) {
    double a = (double)s->cubic_a;
    t = fabs(t);
    if (s->mode == CR_RESIZE_LINEAR)
        return t < 1 ? 1 - t : 0;
    return t <= 1  ? ((a + 2) * t - (a + 3)) * t * t + 1
           : t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
                   : 0;
}

/* Shrinking with antialias stretches the filter by 1 / scale. */
static double filter_scale(const cr_resize_spec *s, int d) {
    return s->antialias && s->scale[d] < 1 ? s->scale[d] : 1;
}

/* The first tap counted from the source position before the coordinate. */
static int64_t first_tap(const cr_resize_spec *s, int d) {
    return (int64_t)floor(-(s->mode == CR_RESIZE_LINEAR ? 1 : 2) / filter_scale(s, d)) + 1;
}

int64_t cr_resize_taps(const cr_resize_spec *s, int d) {
    return 2 - 2 * first_tap(s, d);
}

static double tap_weight(const cr_resize_spec *s, double position, double x, double stretch, int64_t in) {
    bool excluded = s->exclude_outside && !(position >= 0 && position < (double)in);
    return excluded ? 0 : weight_at(s, (position - x) * stretch);
}

void cr_resize_make_taps(const cr_resize_spec *s, int d, int64_t in, int64_t i, crease_dtype work,
                         int64_t *at, void *weight) {
    double x = coordinate(s, d, in, i), base = ceil(x) - 1, stretch = filter_scale(s, d), sum = 0;
    int64_t first = first_tap(s, d), n = cr_resize_taps(s, d);
    bool normalise = s->exclude_outside || stretch < 1;
    for (int64_t k = 0; k < n; k++)
        sum += tap_weight(s, base + (double)(first + k), x, stretch, in);
    for (int64_t k = 0; k < n; k++) {
        double position = base + (double)(first + k), w = tap_weight(s, position, x, stretch, in);
        at[i * n + k] = clamp(position, in);
        cr_store_float(work, weight, i * n + k, normalise && sum != 0 ? w / sum : w);
    }
    if (is_outside(s, x, in))
        at[i * n] = -1;
}
