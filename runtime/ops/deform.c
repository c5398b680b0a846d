#include "runtime/kernels/gemm.h"
#include "runtime/kernels/sample.h"
#include "runtime/ops/infer.h"
#include "runtime/ops/window.h"

#include <string.h>

/* DeformConv (ONNX 19, 22; Dai et al. 2017, Zhu et al. 2019): a 2-D convolution whose taps are moved by
 * offsets from data and read between elements. Columns of an image and group, then a GEMM. */

enum { IN_X, IN_W, IN_OFFSET, IN_BIAS, IN_MASK };

typedef struct deform_state {
    cr_window w;
    int64_t groups, offset_groups;
    int64_t channels, oc, in[2], out[2], taps;
    size_t columns_bytes;
} deform_state;

static bool differ(int64_t a, int64_t b) {
    return a >= 0 && b >= 0 && a != b;
}

static crease_status does_not_fit(const cr_infer *infer, const char *what) {
    return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%s do not fit the input and the weights", what);
}

/* Offsets [N, groups taps 2, out...], mask [N, groups taps, out...]. */
static crease_status check_field(const cr_infer *infer, int i, int64_t each, const deform_state *s) {
    const cr_info *info = i < infer->n_in ? infer->in[i] : NULL;
    if (!info || info->shape.rank < 0)
        return CREASE_OK;
    const int64_t *d = info->shape.dims;
    if (info->shape.rank != 4 || differ(d[0], infer->in[IN_X]->shape.dims[0]) ||
        differ(d[1], s->offset_groups * s->taps * each) || differ(d[2], s->out[0]) || differ(d[3], s->out[1]))
        return does_not_fit(infer, i == IN_MASK ? "mask" : "offsets");
    return CREASE_OK;
}

/* Shapes of x and w have rank 4; w is static. */
static crease_status read_deform(const cr_node *node, const cr_shape *x, const cr_shape *w, deform_state *s) {
    CR_TRY(cr_attr_int(node, "group", 1, &s->groups));
    CR_TRY(cr_attr_int(node, "offset_group", 1, &s->offset_groups));
    s->channels = x->dims[1];
    s->oc = w->dims[0];
    s->taps = w->dims[2] * w->dims[3];
    if (s->groups < 1 || s->offset_groups < 1 || s->oc % s->groups || s->offset_groups > (int64_t)1 << 20 ||
        w->dims[2] > (int64_t)1 << 20 || w->dims[3] > (int64_t)1 << 20 || s->taps < 1 ||
        (s->channels >= 0 && (s->channels % s->groups || s->channels / s->groups != w->dims[1] ||
                              s->channels % s->offset_groups)))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "channels, weights and groups do not fit together");
    CR_TRY(cr_window_read(node, 2, w->dims + 2, &s->w));
    for (int d = 0; d < 2; d++) {
        s->in[d] = x->dims[d + 2];
        s->out[d] = CR_DIM_UNKNOWN;
        if (s->w.kernel[d] != w->dims[d + 2])
            return cr_node_fail(node, CREASE_ERROR_MODEL, "kernel_shape is not that of the weights");
        if (s->in[d] >= 0)
            CR_TRY(cr_window_extent(node, &s->w, d, s->in[d], false, &s->out[d]));
    }
    return CREASE_OK;
}

static crease_status deform_infer(cr_infer *infer) {
    deform_state s = {0};
    for (int i = IN_X; i <= IN_OFFSET; i++) {
        CR_TRY(cr_infer_need(infer, i));
        CR_TRY(cr_infer_same_type(infer, IN_X, i));
    }
    CR_TRY(cr_infer_same_type(infer, IN_X, IN_BIAS));
    CR_TRY(cr_infer_same_type(infer, IN_X, IN_MASK));
    const cr_shape *x = &infer->in[IN_X]->shape, *w = &infer->in[IN_W]->shape;
    infer->out[0].dtype = infer->in[IN_X]->dtype;
    if (x->rank < 0 || !cr_shape_is_static(w))
        return CREASE_OK;
    if (x->rank != 4 || w->rank != 4)
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "an input of rank %d", x->rank);
    CR_TRY(read_deform(infer->node, x, w, &s));
    CR_TRY(check_field(infer, IN_OFFSET, 2, &s));
    CR_TRY(check_field(infer, IN_MASK, 1, &s));
    const cr_info *bias = IN_BIAS < infer->n_in ? infer->in[IN_BIAS] : NULL;
    if (bias && !cr_shape_fits(&bias->shape, &(cr_shape){.rank = 1, .dims = {s.oc}}))
        return does_not_fit(infer, "bias");
    infer->out[0].shape = (cr_shape){.rank = 4, .dims = {x->dims[0], s.oc, s.out[0], s.out[1]}};
    return CREASE_OK;
}

static crease_status deform_prepare(cr_prepare *p) {
    deform_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_deform(p->node, &p->in[IN_X]->shape, &p->in[IN_W]->shape, s));
    const cr_shape columns = {.rank = 4, .dims = {s->channels / s->groups, s->taps, s->out[0], s->out[1]}};
    if (!cr_tensor_bytes(p->in[IN_X]->dtype, 0, &columns, &s->columns_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the columns are too large");
    p->scratch_bytes = s->columns_bytes;
    return CREASE_OK;
}

typedef struct deform_job {
    const cr_run *r;
    const deform_state *s;
    int64_t image, group;
} deform_job;

static double field(const cr_tensor *t, const deform_state *s, int64_t image, int64_t plane, int64_t pixel) {
    const int64_t area = s->out[0] * s->out[1];
    return cr_load_float(t->dtype, t->data, (image * t->shape.dims[1] + plane) * area + pixel);
}

/* Rows [channel of the group][tap] of the columns, [begin, end). */
static void make_columns(void *context, int64_t begin, int64_t end, int thread) {
    const deform_job *j = context;
    const deform_state *s = j->s;
    const cr_tensor *x = j->r->in[IN_X], *offset = j->r->in[IN_OFFSET];
    const cr_tensor *mask = IN_MASK < j->r->n_in ? j->r->in[IN_MASK] : NULL;
    const int64_t area = s->out[0] * s->out[1], each = s->channels / s->groups;
    const cr_sampler sampler = {CR_SAMPLE_LINEAR, CR_BORDER_ZEROS, true, 2, {s->in[0], s->in[1], 0}};
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const int64_t channel = j->group * each + row / s->taps, tap = row % s->taps;
        const int64_t plane = channel / (s->channels / s->offset_groups) * s->taps + tap;
        const char *image =
            (const char *)x->data +
            (size_t)((j->image * s->channels + channel) * s->in[0] * s->in[1]) * cr_element_bytes(x->dtype);
        for (int64_t pixel = 0; pixel < area; pixel++) {
            const int64_t at[] = {pixel / s->out[1], pixel % s->out[1]};
            const int64_t of_tap[] = {tap / s->w.kernel[1], tap % s->w.kernel[1]};
            double position[2];
            cr_taps taps;
            for (int d = 0; d < 2; d++)
                position[d] =
                    (double)(at[d] * s->w.stride[d] - s->w.pad_begin[d] + of_tap[d] * s->w.dilation[d]) +
                    field(offset, s, j->image, 2 * plane + d, pixel);
            cr_sample_taps(&sampler, position, &taps);
            cr_store_float(x->dtype, j->r->scratch, row * area + pixel,
                           cr_tap(x->dtype, image, &taps) *
                               (mask ? field(mask, s, j->image, plane, pixel) : 1));
        }
    }
}

static void multiply(const deform_job *j) {
    const deform_state *s = j->s;
    const cr_run *r = j->r;
    const crease_dtype dtype = r->in[IN_X]->dtype;
    const int64_t area = s->out[0] * s->out[1], m = s->oc / s->groups, k = s->channels / s->groups * s->taps;
    const cr_tensor *bias = IN_BIAS < r->n_in ? r->in[IN_BIAS] : NULL;
    const int64_t first = (j->image * s->oc + j->group * m) * area;
    for (int64_t i = 0; i < m * area; i++)
        cr_store_float(dtype, r->out[0]->data, first + i,
                       bias ? cr_load_float(dtype, bias->data, j->group * m + i / area) : 0);
    if (dtype == CREASE_DOUBLE)
        cr_dgemm(false, false, m, area, k, 1, (const double *)r->in[IN_W]->data + j->group * m * k, k,
                 r->scratch, area, 1, (double *)r->out[0]->data + first, area);
    else
        cr_sgemm(false, false, m, area, k, 1, (const float *)r->in[IN_W]->data + j->group * m * k, k,
                 r->scratch, area, 1, (float *)r->out[0]->data + first, area);
}

static crease_status deform_run(cr_run *r) {
    const deform_state *s = r->state;
    if (cr_shape_n(&r->out[0]->shape) == 0)
        return CREASE_OK;
    for (int64_t image = 0; image < r->in[IN_X]->shape.dims[0]; image++)
        for (int64_t group = 0; group < s->groups; group++) {
            deform_job job = {r, s, image, group};
            cr_parallel(r->pool, s->channels / s->groups * s->taps, make_columns, &job);
            multiply(&job);
        }
    return CREASE_OK;
}

const cr_op cr_ops_deform[] = {
    {"DeformConv", 19, 0, CR_T_FLOATS, deform_infer, deform_prepare, deform_run, 0, 0, 0, NULL},
    {0},
};
