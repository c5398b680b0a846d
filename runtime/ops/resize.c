#include "runtime/ops/blocked.h"
#include "runtime/ops/infer.h"
#include "runtime/kernels/remap.h"
#include "runtime/kernels/resize.h"

#include <math.h>
#include <string.h>

/* Resize (ONNX 10, 11: coordinates, 13, 18: axes, antialias and aspect ratio, 19: half_pixel_symmetric) and
 * Upsample (1: two attributes, 7: an attribute, 9: an input), along any axes. Nearest chooses positions and
 * moves bytes of any type; linear and cubic (Keys 1981) are products of one-dimensional filters on numbers.
 * Positions and weights are those of ONNX's reference implementation. */

enum { NEAREST, LINEAR, CUBIC };
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

typedef struct resize_spec {
    int mode, coordinates, rounding, policy;
    int64_t exclude_outside, antialias;
    float cubic_a, extrapolation;
    double scale[CR_MAX_RANK];
    int64_t extent[CR_MAX_RANK];                           /* of the output */
    double crop_begin[CR_MAX_RANK], crop_end[CR_MAX_RANK]; /* normalised, 0 and 1 where nothing is cropped */
} resize_spec;

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

static crease_status read_modes(const cr_node *node, int64_t opset, resize_spec *s) {
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear"};
    static const char *const rounds[] = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"};
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    static const char *const coordinates[] = {
        "half_pixel",           "asymmetric",         "align_corners",       "pytorch_half_pixel",
        "half_pixel_symmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"};
    *s = (resize_spec){0};
    CR_TRY(pick(node, "mode", modes, 4, NEAREST, &s->mode));
    s->mode = s->mode > CUBIC ? LINEAR : s->mode;
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

typedef struct resize_inputs {
    const cr_info *roi, *scales, *sizes; /* NULL: left out */
} resize_inputs;

/* Resize 11 and later: X, roi, scales, sizes; Resize 10 and Upsample 9: X, scales. An empty tensor stands for
 * one that is left out. */
static resize_inputs find_inputs(int64_t opset, int n_in, const cr_info *const *in) {
    resize_inputs found = {NULL, NULL, NULL};
    const cr_info **ports[] = {&found.roi, &found.scales, &found.sizes};
    for (int i = 1; i < n_in && i < 4; i++) {
        bool empty = !in[i] || (in[i]->known && cr_shape_n(&in[i]->known->shape) == 0) ||
                     (in[i]->shape.rank == 1 && in[i]->shape.dims[0] == 0);
        if (!empty)
            *ports[opset < 11 ? 1 : i - 1] = in[i];
    }
    return found;
}

static crease_status check_list(const cr_node *node, const cr_info *info, bool floats, const char *what) {
    if (!info || !info->dtype || (floats ? cr_dtype_is_float(info->dtype) : info->dtype == CREASE_INT64))
        return CREASE_OK;
    return cr_node_fail(node, CREASE_ERROR_MODEL, "%s are %s", what, crease_dtype_name(info->dtype));
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
        CR_TRY(cr_axis_resolve(attr[i], rank, node->name, &axes[i]));
    for (int i = 0; *n == 0 && i < rank; i++)
        axes[i] = i;
    *n = *n ? *n : rank;
    return CREASE_OK;
}

static crease_status set_scale(const cr_node *node, const cr_shape *x, int d, double scale, resize_spec *s) {
    double extent = floor((double)x->dims[d] * scale);
    if (!(scale > 0) || !(extent < 0x1p53))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "a scale of %g is not possible", scale);
    s->scale[d] = scale;
    s->extent[d] = (int64_t)extent;
    return CREASE_OK;
}

static crease_status set_sizes(const cr_node *node, const cr_shape *x, const cr_tensor *sizes,
                               const int *axes, int n, resize_spec *s) {
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
static crease_status attr_scales(const cr_node *node, int64_t opset, const cr_shape *x, resize_spec *s) {
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

static crease_status read_extents(const cr_node *node, int64_t opset, const cr_shape *x,
                                  const resize_inputs *inputs, resize_spec *s) {
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

/* roi: all begins, then all ends. */
static crease_status read_crop(const cr_node *node, const cr_tensor *roi, int rank, resize_spec *s) {
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

/* By scales that are known: an extent that is not known stays what it is under a scale of 1. */
static crease_status scale_some(const cr_infer *infer, const resize_inputs *inputs, resize_spec *s,
                                cr_shape *y) {
    const cr_shape *x = &infer->in[0]->shape;
    cr_shape filled = *x;
    for (int d = 0; d < x->rank; d++)
        filled.dims[d] = x->dims[d] < 0 ? 1 : x->dims[d];
    CR_TRY(read_extents(infer->node, infer->opset, &filled, inputs, s));
    for (int d = 0; d < x->rank; d++)
        y->dims[d] = x->dims[d] >= 0 ? s->extent[d] : s->scale[d] == 1.0 ? x->dims[d] : CR_DIM_UNKNOWN;
    return CREASE_OK;
}

static crease_status resize_infer(cr_infer *infer) {
    resize_spec s;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(read_modes(infer->node, infer->opset, &s));
    crease_dtype dtype = infer->in[0]->dtype;
    if (s.mode != NEAREST && dtype && !(CR_T_NUMBERS & CR_T(dtype)))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "%s between values of %s",
                            s.mode == LINEAR ? "linear" : "cubic", crease_dtype_name(dtype));
    resize_inputs inputs = find_inputs(infer->opset, infer->n_in, infer->in);
    CR_TRY(check_list(infer->node, inputs.scales, true, "scales"));
    CR_TRY(check_list(infer->node, inputs.sizes, false, "sizes"));
    cr_shape *y = &infer->out[0].shape;
    bool known = cr_shape_is_static(y) && (!inputs.scales || inputs.scales->known) &&
                 (!inputs.sizes || inputs.sizes->known);
    if (known)
        CR_TRY(read_extents(infer->node, infer->opset, &infer->in[0]->shape, &inputs, &s));
    for (int d = 0; d < y->rank; d++)
        y->dims[d] = known ? s.extent[d] : CR_DIM_UNKNOWN;
    if (!known && y->rank >= 0 && !inputs.sizes && (!inputs.scales || inputs.scales->known))
        return scale_some(infer, &inputs, &s, y);
    return CREASE_OK;
}

/* ---- positions and weights ---- */

/* Source coordinate of output position i of axis d; lengths are fractional where scales are given. */
static double coordinate(const resize_spec *s, int d, int64_t in, int64_t i) {
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

static bool is_outside(const resize_spec *s, double x, int64_t in) {
    return s->coordinates == TF_CROP_AND_RESIZE && !(x >= 0 && x <= (double)(in - 1));
}

/* An axis that stays as it is keeps its positions whatever the coordinates and the rounding. */
static void nearest_positions(const resize_spec *s, int d, int64_t in, bool same, int64_t *at) {
    for (int64_t i = 0; i < s->extent[d]; i++) {
        double x = coordinate(s, d, in, i);
        at[i] = same ? i : is_outside(s, x, in) ? -1 : nearest(s->rounding, x, in);
    }
}

/* The filters at distance t from their centre. */
static double weight_at(const resize_spec *s, double t) {
    double a = (double)s->cubic_a;
    t = fabs(t);
    if (s->mode == LINEAR)
        return t < 1 ? 1 - t : 0;
    return t <= 1  ? ((a + 2) * t - (a + 3)) * t * t + 1
           : t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
                   : 0;
}

/* Shrinking with antialias stretches the filter by 1 / scale. */
static double filter_scale(const resize_spec *s, int d) {
    return s->antialias && s->scale[d] < 1 ? s->scale[d] : 1;
}

/* The first tap counted from the source position before the coordinate; there are 2 - 2 * first of them. */
static int64_t first_tap(const resize_spec *s, int d) {
    return (int64_t)floor(-(s->mode == LINEAR ? 1 : 2) / filter_scale(s, d)) + 1;
}

static double tap_weight(const resize_spec *s, double position, double x, double stretch, int64_t in) {
    bool excluded = s->exclude_outside && !(position >= 0 && position < (double)in);
    return excluded ? 0 : weight_at(s, (position - x) * stretch);
}

/* Taps of output position i, from element i * n of at and of weight, which is of type `work`. */
static void make_taps(const resize_spec *s, int d, int64_t in, int64_t i, crease_dtype work, int64_t *at,
                      void *weight) {
    double x = coordinate(s, d, in, i), base = ceil(x) - 1, stretch = filter_scale(s, d), sum = 0;
    int64_t first = first_tap(s, d), n = 2 - 2 * first;
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

/* ---- plan: nearest is one remap, the others a pass for each axis that changes ---- */

typedef struct resize_pass {
    int64_t outer, in, out, inner;
    int axis;
    cr_taps taps;
    int64_t *at; /* taps.at and taps.weight, to be filled */
    void *weight;
} resize_pass;

typedef struct resize_state {
    resize_spec s;
    cr_shape x, y;
    bool late_crop; /* roi is known only when the node runs */
    cr_remap remap;
    int64_t *positions[CR_MAX_RANK]; /* of the remap, to be filled */
    resize_pass passes[CR_MAX_RANK];
    int n_passes;
    crease_dtype work;       /* type that passes compute in */
    int64_t buffer_elements; /* of each of the two buffers in scratch */
    cr_pixel_gather pixels;  /* nearest on the blocked layout */
} resize_state;

static bool changes(const resize_state *s, int d) {
    return s->x.dims[d] != s->y.dims[d] || s->s.scale[d] != 1 ||
           (s->s.coordinates == TF_CROP_AND_RESIZE &&
            (s->late_crop || s->s.crop_begin[d] != 0 || s->s.crop_end[d] != 1));
}

static void fill_positions(resize_state *s) {
    for (int d = 0; d < s->x.rank && s->s.mode == NEAREST; d++)
        nearest_positions(&s->s, d, s->x.dims[d], !changes(s, d), s->positions[d]);
    for (int p = 0; p < s->n_passes; p++) {
        resize_pass *pass = &s->passes[p];
        for (int64_t i = 0; i < pass->out; i++)
            make_taps(&s->s, pass->axis, pass->in, i, s->work, pass->at, pass->weight);
    }
}

static crease_status plan_nearest(cr_prepare *p, resize_state *s) {
    cr_remap *m = &s->remap;
    m->rank = s->x.rank;
    m->element_bytes = cr_element_bytes(p->in[0]->dtype);
    for (int d = 0; d < m->rank; d++) {
        m->in[d] = s->x.dims[d];
        m->out[d] = s->y.dims[d];
        CR_TRY(CR_ARENA_NEW(p->arena, &s->positions[d], (size_t)m->out[d]));
        m->source[d] = s->positions[d];
    }
    int last = m->rank - 1;
    m->inner_end = last >= 0 && !changes(s, last) ? m->out[last] : 0;
    return CREASE_OK;
}

static crease_status add_pass(cr_prepare *p, resize_state *s, cr_shape *now, int d) {
    resize_pass *pass = &s->passes[s->n_passes++];
    *pass = (resize_pass){.outer = cr_shape_extent(now, 0, d),
                          .in = now->dims[d],
                          .out = s->y.dims[d],
                          .inner = cr_shape_extent(now, d + 1, now->rank),
                          .axis = d};
    size_t n;
    pass->taps.n = 2 - 2 * first_tap(&s->s, d);
    if (!cr_mul_size((size_t)pass->out, (size_t)pass->taps.n, &n))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the filters are too large");
    CR_TRY(CR_ARENA_NEW(p->arena, &pass->at, n));
    CR_TRY(cr_arena_array(p->arena, n, cr_element_bytes(s->work), &pass->weight));
    pass->taps.at = pass->at;
    pass->taps.weight = pass->weight;
    now->dims[d] = pass->out;
    char text[256];
    CR_TRY(cr_shape_check(now, CREASE_ERROR_MEMORY, cr_node_print(p->node, text, sizeof text)));
    int64_t elements = cr_shape_n(now);
    s->buffer_elements = elements > s->buffer_elements ? elements : s->buffer_elements;
    return CREASE_OK;
}

/* Shrinking passes come first, outer axes before inner ones, so that most of the work is along rows; growing
 * ones in the opposite order, for the same reason. */
static crease_status plan_passes(cr_prepare *p, resize_state *s) {
    cr_shape now = s->x;
    bool integers = !cr_dtype_is_float(p->in[0]->dtype);
    s->work = p->in[0]->dtype == CREASE_DOUBLE || integers ? CREASE_DOUBLE : CREASE_FLOAT;
    s->buffer_elements = cr_shape_n(&s->x);
    for (int d = 0; d < now.rank; d++)
        if (changes(s, d) && s->y.dims[d] <= s->x.dims[d])
            CR_TRY(add_pass(p, s, &now, d));
    for (int d = now.rank - 1; d >= 0; d--)
        if (changes(s, d) && s->y.dims[d] > s->x.dims[d])
            CR_TRY(add_pass(p, s, &now, d));
    if ((s->n_passes > 1 || integers) &&
        !cr_mul_size((size_t)s->buffer_elements, 2 * cr_element_bytes(s->work), &p->scratch_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the intermediate results are too large");
    return CREASE_OK;
}

/* Nearest positions on the blocked layout, whose pixels move whole. */
static crease_status plan_pixels(cr_prepare *p, resize_state *s) {
    cr_pixel_gather *g = &s->pixels;
    *g = (cr_pixel_gather){.n = s->x.dims[0], .channels = s->x.dims[1], .lanes = p->node->lanes};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const int d = axis - CR_CONV_RANK + s->x.rank;
        int32_t *index;
        g->in[axis] = d < 2 ? 1 : s->x.dims[d];
        g->out[axis] = d < 2 ? 1 : s->y.dims[d];
        CR_TRY(CR_ARENA_NEW(p->arena, &index, (size_t)g->out[axis]));
        for (int64_t i = 0; d >= 2 && i < g->out[axis]; i++)
            index[i] = (int32_t)s->positions[d][i];
        g->index[axis] = index;
    }
    g->fill = s->s.extrapolation;
    return CREASE_OK;
}

/* The blocked layout as one more, last axis, which stays as it is. */
static void block(resize_state *s, int lanes) {
    const int last = s->x.rank++;
    s->y.rank++;
    s->x.dims[1] = s->y.dims[1] = (s->x.dims[1] + lanes - 1) / lanes;
    s->x.dims[last] = s->y.dims[last] = lanes;
    s->s.scale[last] = 1;
}

static crease_status resize_prepare(cr_prepare *p) {
    resize_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    resize_inputs inputs = find_inputs(p->opset, p->n_in, p->in);
    s->x = p->in[0]->shape;
    s->y = p->out[0].shape;
    CR_TRY(read_modes(p->node, p->opset, &s->s));
    CR_TRY(read_extents(p->node, p->opset, &s->x, &inputs, &s->s));
    if (p->node->lanes)
        s->s.scale[0] = 1; /* sizes speak of the whole batch */
    if (cr_shape_n(&s->x) == 0 || cr_shape_n(&s->y) == 0)
        return CREASE_OK;
    if (s->s.coordinates == TF_CROP_AND_RESIZE) {
        if (!inputs.roi)
            return cr_node_fail(p->node, CREASE_ERROR_MODEL, "there is no roi");
        s->late_crop = !inputs.roi->known;
        if (inputs.roi->known)
            CR_TRY(read_crop(p->node, inputs.roi->known, s->x.rank, &s->s));
    }
    if (p->node->lanes && s->s.mode != NEAREST)
        block(s, p->node->lanes);
    CR_TRY(s->s.mode == NEAREST ? plan_nearest(p, s) : plan_passes(p, s));
    if (!s->late_crop)
        fill_positions(s);
    return p->node->lanes && s->s.mode == NEAREST ? plan_pixels(p, s) : CREASE_OK;
}

/* crease.Resize: on the blocked layout, with the attributes and inputs of the ONNX version that the model
 * imports. Axes 0 and 1 keep their extents. */
static crease_status blocked_prepare(cr_prepare *p) {
    p->opset = cr_model_opset(p->node->graph->model, "");
    return resize_prepare(p);
}

/* ---- run ---- */

typedef struct remap_job {
    const cr_remap *remap;
    const void *x, *filler;
    void *y;
} remap_job;

static void remap_task(void *context, int64_t begin, int64_t end, int thread) {
    const remap_job *j = context;
    (void)thread;
    cr_remap_rows(j->remap, j->x, j->filler, j->y, begin, end);
}

static void run_nearest(cr_run *r, const resize_state *s) {
    char filler[16] = {0};
    crease_dtype dtype = r->in[0]->dtype;
    double value = (double)s->s.extrapolation;
    if (cr_dtype_is_float(dtype))
        cr_store_float(dtype, filler, 0, value);
    else if (CR_T_INTS & CR_T(dtype))
        cr_doubles_to_integers(dtype, &value, filler, 1);
    remap_job job = {&s->remap, r->in[0]->data, filler, r->out[0]->data};
    int64_t columns = s->y.dims[s->y.rank - 1];
    cr_parallel_grain(r->pool, cr_shape_n(&s->y) / columns, 4096 / columns + 1, remap_task, &job);
}

typedef struct pixel_job {
    const cr_pixel_gather *pixels;
    const float *from;
    float *to;
} pixel_job;

static void pixel_task(void *context, int64_t begin, int64_t end, int thread) {
    const pixel_job *j = context;
    (void)thread;
    cr_blocked(cr_cpu_isa())->gather_pixels(j->pixels, j->from, j->to, begin, end);
}

static void run_pixels(cr_run *r, const resize_state *s) {
    const cr_blocked_shape shape = cr_blocked_shape_of(&r->out[0]->shape, r->node->lanes);
    const int64_t width = s->pixels.out[CR_W];
    const cr_blocked_units lines = {shape.n, cr_blocked_blocks(&shape), shape.pixels / width,
                                    width * shape.lanes * (int64_t)sizeof(float)};
    pixel_job job = {&s->pixels, r->in[0]->data, r->out[0]->data};
    cr_blocked_parallel(r->pool, &lines, 1, pixel_task, &job);
}

typedef struct pass_job {
    const resize_state *s;
    const resize_pass *pass;
    const void *x;
    void *y;
} pass_job;

static void pass_task(void *context, int64_t begin, int64_t end, int thread) {
    const pass_job *j = context;
    const resize_pass *p = j->pass;
    (void)thread;
    cr_resize_axis(j->s->work, &p->taps, (double)j->s->s.extrapolation, j->x, j->y, p->in, p->out, p->inner,
                   begin, end);
}

static void run_passes(cr_run *r, const resize_state *s) {
    crease_dtype dtype = r->in[0]->dtype;
    bool integers = !cr_dtype_is_float(dtype);
    char *buffers[2] = {r->scratch, NULL};
    const void *from = r->in[0]->data;
    int next = 0;
    if (r->scratch)
        buffers[1] = buffers[0] + (size_t)s->buffer_elements * cr_element_bytes(s->work);
    if (integers) {
        cr_integers_to_doubles(dtype, from, (double *)(void *)buffers[next], cr_shape_n(&s->x));
        from = buffers[next];
        next = 1;
    }
    for (int p = 0; p < s->n_passes; p++, next = !next) {
        const resize_pass *pass = &s->passes[p];
        bool last = p + 1 == s->n_passes && !integers;
        pass_job job = {s, pass, from, last ? r->out[0]->data : buffers[next]};
        cr_parallel_grain(r->pool, pass->outer * pass->out, 4096 / pass->inner + 1, pass_task, &job);
        from = job.y;
    }
    if (integers)
        cr_doubles_to_integers(dtype, from, r->out[0]->data, cr_shape_n(&s->y));
    else if (s->n_passes == 0)
        memcpy(r->out[0]->data, from, (size_t)cr_shape_n(&s->y) * cr_element_bytes(dtype));
}

static crease_status resize_run(cr_run *r) {
    resize_state *s = r->state;
    if (cr_shape_n(&r->out[0]->shape) == 0)
        return CREASE_OK;
    if (s->late_crop) {
        CR_TRY(read_crop(r->node, r->in[1], s->x.rank, &s->s));
        fill_positions(s);
    }
    if (s->x.rank == 0)
        memcpy(r->out[0]->data, r->in[0]->data, cr_element_bytes(r->in[0]->dtype));
    else if (s->pixels.lanes)
        run_pixels(r, s);
    else if (s->s.mode == NEAREST)
        run_nearest(r, s);
    else
        run_passes(r, s);
    return CREASE_OK;
}

#define RESIZE(name, since, until)                                                                           \
    { name, since, until, CR_T_BYTES, resize_infer, resize_prepare, resize_run, 0, 0, 0, NULL }

const cr_op cr_ops_resize[] = {
    RESIZE("Resize", 10, 0),
    RESIZE("Upsample", 1, 9),
    {"Resize", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer, blocked_prepare, resize_run, 0, CR_OP_IMAGES, 0,
     "crease"},
    {"Upsample", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer, blocked_prepare, resize_run, 0, CR_OP_IMAGES, 0,
     "crease"},
    {0},
};
