#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* Resize (ONNX 10 to 19) and Upsample (7, 9) on floats: nearest, linear and cubic (Keys 1981) along any axes,
 * as a product of one-dimensional filters. antialias, tf_crop_and_resize and keep_aspect_ratio_policy are
 * refused. */
enum { NEAREST, LINEAR, CUBIC };
enum { HALF_PIXEL, ASYMMETRIC, ALIGN_CORNERS, PYTORCH_HALF_PIXEL, HALF_PIXEL_SYMMETRIC };
enum { ROUND_FLOOR, ROUND_CEIL, PREFER_FLOOR, PREFER_CEIL };

typedef struct resize_spec {
    int mode, coordinates, rounding;
    int64_t exclude_outside;
    float cubic_a;
    double scale[CR_MAX_RANK];
    int64_t extent[CR_MAX_RANK]; /* of the output */
} resize_spec;

static crease_status pick(const cr_node *node, const char *name, const char *otherwise,
                          const char *const *names, int n, int *to) {
    const char *value;
    CR_TRY(cr_attr_string(node, name, otherwise, &value));
    for (*to = 0; *to < n; ++*to)
        if (strcmp(names[*to], value) == 0)
            return CREASE_OK;
    return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "%s '%s' is not supported", name, value);
}

static crease_status read_modes(const cr_node *node, int64_t opset, resize_spec *s) {
    static const char *const modes[] = {"nearest", "linear", "cubic"}, *const rounds[] = {
                                                                           "floor", "ceil",
                                                                           "round_prefer_floor",
                                                                           "round_prefer_ceil"};
    static const char *const coordinates[] = {"half_pixel", "asymmetric", "align_corners",
                                              "pytorch_half_pixel", "half_pixel_symmetric"};
    const char *mode, *policy;
    int64_t antialias;
    CR_TRY(cr_attr_string(node, "mode", "nearest", &mode));
    CR_TRY(cr_attr_int(node, "antialias", 0, &antialias));
    CR_TRY(cr_attr_string(node, "keep_aspect_ratio_policy", "stretch", &policy));
    if (antialias || strcmp(policy, "stretch") != 0)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED,
                            "antialias and keep_aspect_ratio_policy are not supported");
    if (strcmp(mode, "bilinear") == 0)
        s->mode = LINEAR;
    else
        CR_TRY(pick(node, "mode", "nearest", modes, 3, &s->mode));
    CR_TRY(cr_attr_int(node, "exclude_outside", 0, &s->exclude_outside));
    CR_TRY(cr_attr_float(node, "cubic_coeff_a", -0.75f, &s->cubic_a));
    if (opset < 11) { /* Upsample, Resize 10 */
        s->coordinates = ASYMMETRIC;
        s->rounding = ROUND_FLOOR;
        return CREASE_OK;
    }
    CR_TRY(pick(node, "nearest_mode", "round_prefer_floor", rounds, 4, &s->rounding));
    return pick(node, "coordinate_transformation_mode", "half_pixel", coordinates, 5, &s->coordinates);
}

static double number(const cr_tensor *t, int64_t i) {
    return cr_dtype_is_float(t->dtype) ? cr_load_float(t->dtype, t->data, i) : (double)cr_tensor_int(t, i);
}

/* Scales and extents of every axis. scales, sizes: NULL when absent. */
static crease_status read_extents(const cr_node *node, const cr_shape *x, const cr_tensor *scales,
                                  const cr_tensor *sizes, resize_spec *s) {
    const int64_t *axes;
    const float *attr;
    int n_axes, n_attr;
    CR_TRY(cr_attr_ints(node, "axes", &axes, &n_axes));
    CR_TRY(cr_attr_floats(node, "scales", &attr, &n_attr));
    for (int d = 0; d < x->rank; d++) {
        s->scale[d] = 1;
        s->extent[d] = x->dims[d];
    }
    const cr_tensor *given = sizes ? sizes : scales;
    int64_t n = given ? cr_shape_n(&given->shape) : n_attr;
    if (n != (n_axes ? n_axes : x->rank))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "%lld scales or sizes for %d axes", (long long)n,
                            n_axes ? n_axes : x->rank);
    for (int i = 0; i < n; i++) {
        int d;
        CR_TRY(cr_axis_resolve(n_axes ? axes[i] : i, x->rank, node->name, &d));
        double v = given ? number(given, i) : (double)attr[i];
        if (!(v > 0) || v > 1e9 || (sizes && x->dims[d] == 0))
            return cr_node_fail(node, CREASE_ERROR_MODEL, "a scale or size of %g is not possible", v);
        s->extent[d] = sizes ? (int64_t)v : (int64_t)floor((double)x->dims[d] * v);
        s->scale[d] = sizes ? v / (double)x->dims[d] : v;
    }
    return CREASE_OK;
}

/* Inputs: Resize 11 and later: X, roi, scales, sizes; Resize 10, Upsample 9: X, scales; Upsample 7: an
 * attribute. */
static void find_inputs(int64_t opset, int n_in, int *scales, int *sizes) {
    *scales = opset < 11 ? (n_in > 1 ? 1 : -1) : n_in > 2 ? 2 : -1;
    *sizes = opset >= 11 && n_in > 3 ? 3 : -1;
}

static crease_status resize_infer(cr_infer *infer) {
    resize_spec s;
    int scales, sizes;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(read_modes(infer->node, infer->opset, &s));
    find_inputs(infer->opset, infer->n_in, &scales, &sizes);
    const cr_info *given[2] = {scales >= 0 ? infer->in[scales] : NULL, sizes >= 0 ? infer->in[sizes] : NULL};
    cr_shape *y = &infer->out[0].shape;
    bool known = cr_shape_is_static(y);
    for (int i = 0; i < 2; i++)
        known &= !given[i] || given[i]->known;
    if (!known) {
        for (int d = 0; d < y->rank; d++)
            y->dims[d] = CR_DIM_UNKNOWN;
        return CREASE_OK;
    }
    const cr_tensor *t[2] = {given[0] ? given[0]->known : NULL, given[1] ? given[1]->known : NULL};
    for (int i = 0; i < 2; i++) /* an empty tensor means absent */
        t[i] = t[i] && cr_shape_n(&t[i]->shape) ? t[i] : NULL;
    CR_TRY(read_extents(infer->node, &infer->in[0]->shape, t[0], t[1], &s));
    memcpy(y->dims, s.extent, (size_t)y->rank * sizeof *y->dims);
    return CREASE_OK;
}

static double source(const resize_spec *s, int d, int64_t in, int64_t i) {
    double scale = s->scale[d], out = (double)s->extent[d], x = (double)i;
    switch (s->coordinates) {
    case ASYMMETRIC:
        return x / scale;
    case ALIGN_CORNERS:
        /* by the fractional output extent where scales are given, as ONNX's reference has it */
        return scale * (double)in <= 1 ? 0 : x * ((double)in - 1) / (scale * (double)in - 1);
    case PYTORCH_HALF_PIXEL:
        return out > 1 ? (x + 0.5) / scale - 0.5 : 0;
    case HALF_PIXEL_SYMMETRIC: {
        double adjustment = out / (scale * (double)in), centre = (double)in / 2;
        return centre * (1 - adjustment) + (x + 0.5) / scale - 0.5;
    }
    default:
        return (x + 0.5) / scale - 0.5;
    }
}

static int64_t nearest(int rounding, double x) {
    switch (rounding) {
    case ROUND_FLOOR:
        return (int64_t)floor(x);
    case ROUND_CEIL:
        return (int64_t)ceil(x);
    case PREFER_FLOOR:
        return (int64_t)ceil(x - 0.5);
    default:
        return (int64_t)floor(x + 0.5);
    }
}

typedef struct taps {
    int n;
    int64_t at[4];
    double weight[4];
} taps;

static double cubic(double a, double t) {
    t = fabs(t);
    return t <= 1  ? ((a + 2) * t - (a + 3)) * t * t + 1
           : t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
                   : 0;
}

static taps taps_of(const resize_spec *s, int d, int64_t in, int64_t i) {
    double x = source(s, d, in, i), base = floor(x), sum = 0;
    taps t = {.n = s->mode == NEAREST || (in == s->extent[d] && s->scale[d] == 1) ? 1
                   : s->mode == LINEAR                                            ? 2
                                                                                  : 4};
    for (int k = 0; k < t.n; k++) {
        int64_t at = t.n == 1 ? (s->scale[d] == 1 && in == s->extent[d] ? i : nearest(s->rounding, x))
                              : (int64_t)base + k - (t.n == 4);
        double weight = t.n == 1   ? 1
                        : t.n == 2 ? 1 - fabs(x - (double)at)
                                   : cubic((double)s->cubic_a, x - (double)at);
        if (s->exclude_outside && (at < 0 || at >= in))
            weight = 0;
        t.at[k] = at < 0 ? 0 : at >= in ? in - 1 : at;
        t.weight[k] = weight;
        sum += weight;
    }
    for (int k = 0; k < t.n && s->exclude_outside; k++)
        t.weight[k] /= sum;
    return t;
}

/* One axis of x [outer, in, inner] into y [outer, out, inner]. */
static void resize_axis(const resize_spec *s, int d, crease_dtype dtype, const void *x, void *y,
                        int64_t outer, int64_t in, int64_t inner) {
    int64_t out = s->extent[d];
    for (int64_t i = 0; i < out; i++) {
        taps t = taps_of(s, d, in, i);
        for (int64_t o = 0; o < outer; o++)
            for (int64_t j = 0; j < inner; j++) {
                double sum = 0;
                for (int k = 0; k < t.n; k++)
                    sum += t.weight[k] * cr_load_float(dtype, x, (o * in + t.at[k]) * inner + j);
                cr_store_float(dtype, y, (o * out + i) * inner + j, sum);
            }
    }
}

static crease_status resize_run(cr_run *r) {
    resize_spec s;
    int scales, sizes;
    const cr_tensor *x = r->in[0];
    int64_t opset = cr_model_opset(r->node->graph->model, "");
    CR_TRY(read_modes(r->node, opset, &s));
    find_inputs(opset, r->n_in, &scales, &sizes);
    const cr_tensor *t[2] = {scales >= 0 ? r->in[scales] : NULL, sizes >= 0 ? r->in[sizes] : NULL};
    for (int i = 0; i < 2; i++)
        t[i] = t[i] && cr_shape_n(&t[i]->shape) ? t[i] : NULL;
    CR_TRY(read_extents(r->node, &x->shape, t[0], t[1], &s));
    cr_tensor now = cr_tensor_retain(x);
    crease_status status = CREASE_OK;
    for (int d = 0; status == CREASE_OK && d < x->shape.rank; d++) {
        cr_tensor next;
        cr_shape shape = now.shape;
        int64_t outer = 1, inner = 1, in = shape.dims[d];
        if (s.extent[d] == in && s.scale[d] == 1)
            continue;
        for (int e = 0; e < shape.rank; e++)
            *(e < d ? &outer : &inner) *= e == d ? 1 : shape.dims[e];
        shape.dims[d] = s.extent[d];
        status = cr_tensor_create(r->heap, x->dtype, &shape, &next);
        if (status != CREASE_OK)
            break;
        resize_axis(&s, d, x->dtype, now.data, next.data, outer, in, inner);
        cr_tensor_release(&now);
        now = next;
    }
    size_t bytes;
    if (status == CREASE_OK && cr_tensor_bytes(x->dtype, 0, &now.shape, &bytes) && bytes)
        memcpy(r->out[0]->data, now.data, bytes);
    cr_tensor_release(&now);
    return status;
}

const cr_op cr_ops_resize[] = {
    {"Resize", 10, 0, CR_T_FLOATS, resize_infer, NULL, resize_run, 0, 0, 0, NULL},
    {"Upsample", 7, 9, CR_T_FLOATS, resize_infer, NULL, resize_run, 0, 0, 0, NULL},
    {0},
};
