#include "runtime/kernels/gemm.h"
#include "runtime/ops/infer.h"
#include "runtime/ops/window.h"

#include <string.h>

/* Conv (ONNX 1, 11, 22) and ConvTranspose (1, 11, 22), float32 and float64, plain layout. Everything is 3-D
 * inside, with leading extents of 1. pointwise   1x1, stride 1, no padding: a GEMM on the input as it lies
 *   depthwise   one input channel a group: direct
 *   im2col      columns of a strip of output rows, then a GEMM (Chellapilla et al. 2006); the bias is written
 * first and the GEMM adds to it, so that it costs no pass of its own */

typedef struct conv_state {
    bool is_double, depthwise, pointwise;
    int64_t n, groups, ic, oc; /* channels of a group */
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
    int64_t in_area, out_area, taps;
    int64_t strip;         /* output pixels of a strip */
    size_t thread_scratch; /* bytes */
} conv_state;

/* ---- shapes ---- */

static crease_status conv_channels(const cr_infer *infer, bool transposed, int64_t *groups, int64_t *oc) {
    const cr_shape *x = &infer->in[0]->shape, *w = &infer->in[1]->shape;
    CR_TRY(cr_attr_int(infer->node, "group", 1, groups));
    int64_t first = w->dims[0], second = w->dims[1], c = x->dims[1];
    if (*groups < 1)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "group is %lld", (long long)*groups);
    *oc = transposed ? (second < 0 ? -1 : second * *groups) : first;
    bool wrong = transposed
                     ? (c >= 0 && first >= 0 && c != first) || (first >= 0 && first % *groups)
                     : (c >= 0 && second >= 0 && c != second * *groups) || (first >= 0 && first % *groups);
    if (wrong)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                            "input with %lld channels, weights [%lld, %lld, ...] and group %lld do not fit",
                            (long long)c, (long long)first, (long long)second, (long long)*groups);
    if (infer->n_in > 2 && infer->in[2] && *oc >= 0) {
        const cr_shape *b = &infer->in[2]->shape;
        if (b->rank >= 0 && (b->rank != 1 || (b->dims[0] >= 0 && b->dims[0] != *oc)))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the bias does not have %lld values",
                                (long long)*oc);
    }
    return CREASE_OK;
}

static crease_status conv_ready(cr_infer *infer, bool *known) {
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_same_type(infer, 0, 1));
    CR_TRY(cr_infer_rank(infer, 0, 3, 5));
    infer->out[0].dtype = infer->in[0]->dtype;
    int rank = infer->in[0]->shape.rank;
    *known = rank >= 0 && infer->in[1]->shape.rank >= 0;
    if (*known && infer->in[1]->shape.rank != rank)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input has rank %d, weights have rank %d", rank,
                            infer->in[1]->shape.rank);
    return CREASE_OK;
}

static crease_status conv_infer(cr_infer *infer) {
    int64_t groups, oc;
    bool known;
    cr_window w;
    CR_TRY(conv_ready(infer, &known));
    if (!known)
        return CREASE_OK;
    const cr_shape *x = &infer->in[0]->shape, *weights = &infer->in[1]->shape;
    CR_TRY(conv_channels(infer, false, &groups, &oc));
    cr_shape *y = &infer->out[0].shape;
    *y = (cr_shape){.rank = x->rank, .dims = {x->dims[0], oc}};
    for (int d = 2; d < x->rank; d++)
        if (weights->dims[d] < 0) {
            *y = cr_shape_unknown();
            return CREASE_OK;
        }
    CR_TRY(cr_window_read(infer->node, x->rank - 2, weights->dims + 2, &w));
    for (int d = 0; d < w.n; d++) {
        y->dims[d + 2] = CR_DIM_UNKNOWN;
        if (x->dims[d + 2] >= 0)
            CR_TRY(cr_window_extent(infer->node, &w, d, x->dims[d + 2], false, &y->dims[d + 2]));
    }
    return CREASE_OK;
}

/* ONNX ConvTranspose: out = stride (in - 1) + output_padding + reach - pads; output_shape and auto_pad decide
 * the pads. */
static crease_status transpose_extent(const cr_node *node, cr_window *w, int d, int64_t in, int64_t *out) {
    const int64_t *extra, *shape;
    int n_extra, n_shape;
    CR_TRY(cr_attr_ints(node, "output_padding", &extra, &n_extra));
    CR_TRY(cr_attr_ints(node, "output_shape", &shape, &n_shape));
    if ((n_extra && n_extra != w->n) || (n_shape && n_shape != w->n && n_shape != w->n + 2))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "output_padding or output_shape has the wrong length");
    int64_t reach = (w->kernel[d] - 1) * w->dilation[d] + 1, adjust = n_extra ? extra[d] : 0;
    int64_t full = w->stride[d] * (in - 1) + adjust + reach;
    if (n_shape || w->auto_pad == 1 || w->auto_pad == 2) {
        *out = n_shape ? shape[d + (n_shape - w->n)] : in * w->stride[d];
        int64_t total = full - *out;
        total = total < 0 ? 0 : total;
        w->pad_begin[d] = w->auto_pad == 1 ? total / 2 : total - total / 2;
        w->pad_end[d] = total - w->pad_begin[d];
    } else {
        *out = full - w->pad_begin[d] - w->pad_end[d];
    }
    if (*out < 1 || *out > (int64_t)1 << 31)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "the output extent %lld is not possible",
                            (long long)*out);
    return CREASE_OK;
}

static crease_status transpose_infer(cr_infer *infer) {
    int64_t groups, oc;
    bool known;
    cr_window w;
    CR_TRY(conv_ready(infer, &known));
    if (!known)
        return CREASE_OK;
    const cr_shape *x = &infer->in[0]->shape, *weights = &infer->in[1]->shape;
    CR_TRY(conv_channels(infer, true, &groups, &oc));
    cr_shape *y = &infer->out[0].shape;
    if (!cr_shape_is_static(weights))
        return CREASE_OK;
    *y = (cr_shape){.rank = x->rank, .dims = {x->dims[0], oc}};
    CR_TRY(cr_window_read(infer->node, x->rank - 2, weights->dims + 2, &w));
    for (int d = 0; d < w.n; d++) {
        y->dims[d + 2] = CR_DIM_UNKNOWN;
        if (x->dims[d + 2] >= 0)
            CR_TRY(transpose_extent(infer->node, &w, d, x->dims[d + 2], &y->dims[d + 2]));
    }
    return CREASE_OK;
}

/* ---- preparing ---- */

static crease_status fill_state(cr_prepare *p, bool transposed, conv_state *s) {
    const cr_shape *x = &p->in[0]->shape, *weights = &p->in[1]->shape, *y = &p->out[0].shape;
    cr_window w;
    int64_t unused;
    CR_TRY(cr_window_read(p->node, x->rank - 2, weights->dims + 2, &w));
    CR_TRY(cr_attr_int(p->node, "group", 1, &s->groups));
    s->is_double = p->in[0]->dtype == CREASE_DOUBLE;
    s->n = x->dims[0];
    s->ic = x->dims[1] / s->groups;
    s->oc = y->dims[1] / s->groups;
    for (int d = 0; d < 3; d++)
        s->in[d] = s->out[d] = s->kernel[d] = s->stride[d] = s->dilation[d] = 1;
    for (int d = 0; d < w.n; d++) {
        int to = 3 - w.n + d;
        CR_TRY(transposed ? transpose_extent(p->node, &w, d, x->dims[d + 2], &unused)
                          : cr_window_extent(p->node, &w, d, x->dims[d + 2], false, &unused));
        s->in[to] = x->dims[d + 2];
        s->out[to] = y->dims[d + 2];
        s->kernel[to] = w.kernel[d];
        s->stride[to] = w.stride[d];
        s->dilation[to] = w.dilation[d];
        s->pad[to] = w.pad_begin[d];
    }
    s->in_area = s->in[0] * s->in[1] * s->in[2];
    s->out_area = s->out[0] * s->out[1] * s->out[2];
    s->taps = s->kernel[0] * s->kernel[1] * s->kernel[2];
    return CREASE_OK;
}

static crease_status conv_prepare(cr_prepare *p) {
    conv_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(fill_state(p, false, s));
    bool unit = true;
    for (int d = 0; d < 3; d++)
        unit &= s->stride[d] == 1 && s->pad[d] == 0 && s->in[d] == s->out[d];
    const char *forced = p->convolution;
    s->pointwise = s->taps == 1 && unit && !(forced && strcmp(forced, "im2col") == 0);
    s->depthwise = s->ic == 1 && s->groups > 1 && !s->pointwise && !(forced && strcmp(forced, "im2col") == 0);
    p->algorithm = s->pointwise ? "pointwise" : s->depthwise ? "depthwise" : "im2col";
    size_t element = s->is_double ? 8 : 4;
    int64_t column =
        s->ic * s->taps; /* a strip of columns of half a megabyte stays in the second-level cache */
    s->strip = s->pointwise ? 0 : (512 * 1024 / (int64_t)element + column) / (column ? column : 1);
    s->strip = s->strip < 64 ? 64 : s->strip;
    s->strip = s->strip > s->out_area ? s->out_area : s->strip;
    if (!s->pointwise && !s->depthwise)
        s->thread_scratch = ((size_t)(s->strip * column) * element + 63) / 64 * 64;
    p->scratch_bytes = s->thread_scratch * (size_t)cr_pool_threads(p->pool);
    return CREASE_OK;
}

/* ---- running, written once for both types ---- */

typedef struct conv_job {
    const conv_state *s;
    const void *x, *w, *bias;
    void *y;
    char *scratch;
    int64_t pieces; /* of the output of one group */
} conv_job;

#define T       float
#define NAME(x) x##_f32
#define GEMM    cr_sgemm
#include "runtime/ops/conv_tmpl.h"
#undef T
#undef NAME
#undef GEMM
#define T       double
#define NAME(x) x##_f64
#define GEMM    cr_dgemm
#include "runtime/ops/conv_tmpl.h"
#undef T
#undef NAME
#undef GEMM

static crease_status conv_run(cr_run *r) {
    const conv_state *s = r->state;
    conv_job job = {s,
                    r->in[0]->data,
                    r->in[1]->data,
                    r->n_in > 2 && r->in[2] ? r->in[2]->data : NULL,
                    r->out[0]->data,
                    r->scratch,
                    1};
    if (s->n * s->groups * s->oc * s->out_area == 0)
        return CREASE_OK;
    if (s->depthwise) {
        cr_parallel(r->pool, s->n * s->groups * s->oc, s->is_double ? depthwise_f64 : depthwise_f32, &job);
        return CREASE_OK;
    }
    /* pieces do not depend on the number of threads, so neither does any sum */
    if (s->pointwise)
        job.pieces = s->out_area >= 256 ? (s->out_area + 1023) / 1024 : 1;
    else
        job.pieces = (s->out_area + s->strip - 1) / s->strip;
    cr_parallel(r->pool, s->n * s->groups * job.pieces, s->is_double ? gemm_piece_f64 : gemm_piece_f32, &job);
    return CREASE_OK;
}

static crease_status transpose_prepare(cr_prepare *p) {
    conv_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(fill_state(p, true, s));
    p->algorithm = "col2im";
    s->thread_scratch = ((size_t)(s->taps * s->in_area) * (s->is_double ? 8 : 4) + 63) / 64 * 64;
    p->scratch_bytes = s->thread_scratch * (size_t)cr_pool_threads(p->pool);
    return CREASE_OK;
}

static crease_status transpose_run(cr_run *r) {
    const conv_state *s = r->state;
    conv_job job = {s,
                    r->in[0]->data,
                    r->in[1]->data,
                    r->n_in > 2 && r->in[2] ? r->in[2]->data : NULL,
                    r->out[0]->data,
                    r->scratch,
                    1};
    cr_parallel(r->pool, s->n * s->groups * s->oc, s->is_double ? transposed_f64 : transposed_f32, &job);
    return CREASE_OK;
}

const cr_op cr_ops_conv[] = {
    {"Conv", 1, 0, CR_T_FLOATS, conv_infer, conv_prepare, conv_run, 0, 0, 0, NULL},
    {"ConvTranspose", 1, 0, CR_T_FLOATS, transpose_infer, transpose_prepare, transpose_run, 0, 0, 0, NULL},
    {0},
};
