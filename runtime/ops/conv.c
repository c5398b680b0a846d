#include "runtime/ops/conv.h"

#include "runtime/base/cpu.h"
#include "runtime/kernels/gemm.h"
#include "runtime/ops/infer.h"
#include "runtime/ops/window.h"

#include <string.h>

/* Conv and ConvTranspose (ONNX 1, 11, 22), float32 and float64, plain layout. Everything is 3-D inside, with
 * leading extents of 1.
 *   pointwise   1x1, stride 1, no padding: a GEMM on the input as it lies
 *   depthwise   one input channel a group: direct
 *   im2col      columns of a strip of output pixels, then a GEMM
 *   reference   the definition
 * GEMM finds the bias in the output and adds to it, so that the bias costs no pass of its own; what follows
 * is applied to each strip while it is in the cache. */

typedef enum algorithm { POINTWISE, DEPTHWISE, IM2COL, REFERENCE } algorithm;

struct cr_conv_state {
    cr_conv_geometry g; /* of a ConvTranspose: of the Conv that it transposes */
    int64_t ic, oc;     /* channels of a group; of a ConvTranspose: of its own input and output */
    int64_t in_area, out_area, taps, depth; /* depth: ic taps */
    int64_t pixel_pieces, channel_pieces;   /* of the output of one image and group */
    size_t thread_scratch;                  /* bytes */
    cr_plain_epilogue epilogue;
    algorithm algorithm;
    bool is_double, empty;
};
typedef cr_conv_state conv_state;

/* ---- shapes ---- */

/* Of an input whose rank is not known the weights tell it. */
static cr_shape input_shape(const cr_infer *infer) {
    cr_shape x = infer->in[0]->shape;
    if (x.rank >= 0)
        return x;
    x.rank = infer->in[1]->shape.rank;
    for (int d = 0; d < x.rank; d++)
        x.dims[d] = CR_DIM_UNKNOWN;
    return x;
}

static crease_status conv_channels(const cr_infer *infer, bool transposed, int64_t *oc) {
    const cr_shape x = input_shape(infer), *w = &infer->in[1]->shape;
    int64_t groups, all = -1; /* all: the second extent in all groups */
    CR_TRY(cr_attr_int(infer->node, "group", 1, &groups));
    const int64_t first = w->dims[0], second = w->dims[1], c = x.dims[1];
    if (groups < 1 || (second >= 0 && __builtin_mul_overflow(second, groups, &all)))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "group is %lld", (long long)groups);
    *oc = transposed ? all : first;
    const int64_t ic = transposed ? first : all;
    if ((c >= 0 && ic >= 0 && c != ic) || (first >= 0 && first % groups))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                            "input with %lld channels, weights [%lld, %lld, ...] and group %lld do not fit",
                            (long long)c, (long long)first, (long long)second, (long long)groups);
    if (infer->n_in > 2 && infer->in[2] && *oc >= 0) {
        const cr_shape *b = &infer->in[2]->shape;
        if (b->rank >= 0 && (b->rank != 1 || (b->dims[0] >= 0 && b->dims[0] != *oc)))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the bias does not have %lld values",
                                (long long)*oc);
    }
    return CREASE_OK;
}

/* Weights and a bias that fit together; others tell nothing of an input, and are refused when it is there. */
static bool tell_rank(const cr_infer *infer, bool transposed) {
    const cr_shape *w = &infer->in[1]->shape;
    const cr_info *bias = infer->n_in > 2 ? infer->in[2] : NULL;
    int64_t groups;
    if (w->rank < 3 || w->rank > CR_MAX_SPATIAL + 2 || !cr_shape_is_static(w) || cr_shape_n(w) == 0 ||
        cr_attr_int(infer->node, "group", 1, &groups) != CREASE_OK || groups < 1 || w->dims[0] % groups != 0)
        return false;
    const int64_t oc = transposed ? w->dims[1] * groups : w->dims[0];
    return !bias || (bias->shape.rank == 1 && bias->shape.dims[0] == oc);
}

static crease_status conv_ready(cr_infer *infer, bool transposed, bool *known) {
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_same_type(infer, 0, 1));
    CR_TRY(cr_infer_rank(infer, 0, 3, 5));
    infer->out[0].dtype = infer->in[0]->dtype;
    int rank = infer->in[0]->shape.rank;
    *known = rank < 0 ? tell_rank(infer, transposed) : infer->in[1]->shape.rank >= 0;
    if (*known && rank >= 0 && infer->in[1]->shape.rank != rank)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input has rank %d, weights have rank %d", rank,
                            infer->in[1]->shape.rank);
    return CREASE_OK;
}

/* Weights with an extent of 0 have no kernel. */
static crease_status check_kernel(const cr_infer *infer) {
    const cr_shape *w = &infer->in[1]->shape;
    for (int d = 2; d < w->rank; d++)
        if (w->dims[d] == 0 || w->dims[d] > (int64_t)1 << 30)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the weights have a kernel extent of %lld",
                                (long long)w->dims[d]);
    return CREASE_OK;
}

/* Checks both forms share. *known: the rank is, and then *oc is the channels of the output (-1: not known).
 */
static crease_status conv_begin(cr_infer *infer, bool transposed, int64_t *oc, bool *known) {
    CR_TRY(conv_ready(infer, transposed, known));
    if (!*known)
        return CREASE_OK;
    CR_TRY(check_kernel(infer));
    return conv_channels(infer, transposed, oc);
}

crease_status cr_conv_infer(cr_infer *infer) {
    int64_t oc;
    bool known;
    cr_window w;
    CR_TRY(conv_begin(infer, false, &oc, &known));
    if (!known)
        return CREASE_OK;
    const cr_shape in = input_shape(infer), *x = &in, *weights = &infer->in[1]->shape;
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

enum { VALID = 3, SAME_UPPER = 1, SAME_LOWER = 2 }; /* cr_window.auto_pad */

/* ONNX ConvTranspose: out = stride (in - 1) + output_padding + reach - pads; output_shape and auto_pad decide
 * the pads. */
static crease_status transpose_extent(const cr_node *node, cr_window *w, int d, int64_t in, int64_t *out) {
    const int64_t *extra, *shape;
    int n_extra, n_shape;
    CR_TRY(cr_attr_ints(node, "output_padding", &extra, &n_extra));
    CR_TRY(cr_attr_ints(node, "output_shape", &shape, &n_shape));
    if ((n_extra && n_extra != w->n) || (n_shape && n_shape != w->n && n_shape != w->n + 2))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "output_padding or output_shape has the wrong length");
    const int64_t adjust = n_extra ? extra[d] : 0;
    int64_t reach, full;
    if (adjust < 0 || __builtin_mul_overflow(w->kernel[d] - 1, w->dilation[d], &reach) ||
        __builtin_mul_overflow(in - 1, w->stride[d], &full) ||
        __builtin_add_overflow(full, reach + 1, &full) || __builtin_add_overflow(full, adjust, &full) ||
        full > (int64_t)1 << 32)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "output_padding %lld or the extents are not possible",
                            (long long)adjust);
    if (w->auto_pad == VALID)
        w->pad_begin[d] = w->pad_end[d] = 0;
    if (n_shape || w->auto_pad == SAME_UPPER || w->auto_pad == SAME_LOWER) {
        *out = n_shape ? shape[d + (n_shape - w->n)] : in * w->stride[d];
        int64_t total = *out > 0 && full > *out ? full - *out : 0;
        w->pad_begin[d] = w->auto_pad == SAME_UPPER ? total / 2 : total - total / 2;
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
    int64_t oc;
    bool known;
    cr_window w;
    CR_TRY(conv_begin(infer, true, &oc, &known));
    if (!known)
        return CREASE_OK;
    const cr_shape in = input_shape(infer), *x = &in, *weights = &infer->in[1]->shape;
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

static bool product(int64_t *to, int64_t a, int64_t b, int64_t c) {
    return !__builtin_mul_overflow(a, b, to) && !__builtin_mul_overflow(*to, c, to);
}

/* x and y: the sides of the Conv, so the output and the input of a ConvTranspose. */
static void fill_geometry(const cr_window *w, const cr_shape *x, const cr_shape *y, int64_t groups,
                          cr_conv_geometry *g) {
    *g = (cr_conv_geometry){.n = x->dims[0], .groups = groups, .ic = x->dims[1], .oc = y->dims[1]};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const int d = axis - (CR_CONV_RANK - w->n);
        g->in[axis] = d < 0 ? 1 : x->dims[d + 2];
        g->out[axis] = d < 0 ? 1 : y->dims[d + 2];
        g->kernel[axis] = d < 0 ? 1 : w->kernel[d];
        g->stride[axis] = d < 0 ? 1 : w->stride[d];
        g->dilation[axis] = d < 0 ? 1 : w->dilation[d];
        g->pad[axis] = d < 0 ? 0 : w->pad_begin[d];
    }
}

crease_status cr_conv_read(cr_prepare *p, bool transposed, cr_conv_geometry *g) {
    const cr_shape *x = &p->in[0]->shape, *weights = &p->in[1]->shape, *y = &p->out[0].shape;
    cr_window w;
    int64_t groups, unused;
    CR_TRY(cr_window_read(p->node, x->rank - 2, weights->dims + 2, &w));
    CR_TRY(cr_attr_int(p->node, "group", 1, &groups));
    for (int d = 0; d < w.n; d++)
        CR_TRY(transposed ? transpose_extent(p->node, &w, d, x->dims[d + 2], &unused)
                          : cr_window_extent(p->node, &w, d, x->dims[d + 2], false, &unused));
    fill_geometry(&w, transposed ? y : x, transposed ? x : y, groups, g);
    return CREASE_OK;
}

static crease_status fill_state(cr_prepare *p, bool transposed, conv_state *s) {
    const cr_shape *x = &p->in[0]->shape, *y = &p->out[0].shape;
    const int64_t *in, *out, *kernel = s->g.kernel;
    CR_TRY(cr_conv_read(p, transposed, &s->g));
    in = transposed ? s->g.out : s->g.in;
    out = transposed ? s->g.in : s->g.out;
    s->is_double = p->in[0]->dtype == CREASE_DOUBLE;
    s->ic = x->dims[1] / s->g.groups;
    s->oc = y->dims[1] / s->g.groups;
    s->empty = cr_shape_n(y) == 0;
    if (!s->empty &&
        !(product(&s->in_area, in[0], in[1], in[2]) && product(&s->out_area, out[0], out[1], out[2]) &&
          product(&s->taps, kernel[0], kernel[1], kernel[2]) && product(&s->depth, s->ic, s->taps, 1)))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "the extents are too large");
    return CREASE_OK;
}

/* `block` elements for each thread. */
static crease_status reserve(cr_prepare *p, conv_state *s, int64_t rows, int64_t columns) {
    size_t n, total;
    if (!cr_mul_size((size_t)rows, (size_t)columns, &n) || !cr_mul_size(n, s->is_double ? 8 : 4, &n) ||
        !cr_add_size(n, 63, &n) || !cr_mul_size(n, (size_t)cr_pool_threads(p->pool), &total))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "the extents are too large");
    s->thread_scratch = n / 64 * 64;
    p->scratch_bytes = s->thread_scratch * (size_t)cr_pool_threads(p->pool);
    return CREASE_OK;
}

static bool accepts(const conv_state *s, algorithm which) {
    bool unit = s->taps == 1;
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        unit &= s->g.stride[axis] == 1 && s->g.pad[axis] == 0 && s->g.in[axis] == s->g.out[axis];
    return which == POINTWISE ? unit : which == DEPTHWISE ? s->ic == 1 && s->g.groups > 1 : true;
}

static const char *const algorithm_names[] = {"pointwise", "depthwise", "im2col", "reference", NULL};

const char *const *cr_conv_plain_names(void) {
    return algorithm_names;
}

static void choose(cr_prepare *p, conv_state *s) {
    const algorithm best = accepts(s, POINTWISE) ? POINTWISE : accepts(s, DEPTHWISE) ? DEPTHWISE : IM2COL;
    s->algorithm = best;
    for (algorithm a = POINTWISE; p->convolution && a <= REFERENCE; a++)
        if (strcmp(p->convolution, algorithm_names[a]) == 0 && accepts(s, a))
            s->algorithm = a;
    p->algorithm = algorithm_names[s->algorithm];
    p->note = s->algorithm == best ? "" : "forced";
}

/* Pieces of pixels: strips whose columns take half the second-level cache, or for pointwise up to 16 of at
 * least 64 pixels. Few pieces, as small maps have, are cut by channels too where that leaves enough of
 * them to make up for collecting the columns again. Channels come last because the rows of a product that
 * OpenBLAS computes can round differently with its height. The cuts do not depend on the number of threads,
 * so neither does any sum. */
static crease_status cut(cr_prepare *p, conv_state *s) {
    enum { ENOUGH = 4, CHANNELS = 128, LEAST = 64 };
    const int64_t images = s->g.n * s->g.groups;
    int64_t strip = LEAST;
    if (s->algorithm == POINTWISE)
        strip = s->out_area > 16 * LEAST ? (s->out_area + 15) / 16 : LEAST;
    else if (cr_cpu_l2_bytes() / 2 / (s->is_double ? 8 : 4) > LEAST * s->depth)
        strip = cr_cpu_l2_bytes() / 2 / (s->is_double ? 8 : 4) / (s->depth ? s->depth : 1);
    s->pixel_pieces = images >= 24 && s->algorithm == POINTWISE ? 1 : (s->out_area - 1) / strip + 1;
    if (s->pixel_pieces < ENOUGH && images < ENOUGH && s->oc >= 2 * CHANNELS)
        s->channel_pieces = ENOUGH < s->oc / CHANNELS ? ENOUGH : s->oc / CHANNELS;
    return s->algorithm == POINTWISE ? CREASE_OK
                                     : reserve(p, s, s->depth, s->out_area / s->pixel_pieces + 32);
}

crease_status cr_conv_prepare(cr_prepare *p, const cr_plain_epilogue *epilogue, cr_conv_state **state) {
    conv_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(fill_state(p, false, s));
    *state = s;
    s->pixel_pieces = s->channel_pieces = 1;
    if (epilogue)
        s->epilogue = *epilogue;
    if (s->empty)
        return CREASE_OK;
    choose(p, s);
    return s->algorithm == POINTWISE || s->algorithm == IM2COL ? cut(p, s) : CREASE_OK;
}

static crease_status conv_prepare(cr_prepare *p) {
    cr_conv_state *state;
    return cr_conv_prepare(p, NULL, &state);
}

/* ---- running, written once for both types ---- */

typedef struct conv_job {
    const conv_state *s;
    const void *x, *w, *bias, *residual;
    void *y;
    char *scratch;
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

static conv_job job_of(const cr_run *r, const conv_state *s, const void *residual) {
    return (conv_job){.s = s,
                      .x = r->in[0]->data,
                      .w = r->in[1]->data,
                      .bias = r->n_in > 2 && r->in[2] ? r->in[2]->data : NULL,
                      .residual = residual,
                      .y = r->out[0]->data,
                      .scratch = r->scratch};
}

crease_status cr_conv_run(cr_run *r, const cr_conv_state *s, const void *residual) {
    conv_job job = job_of(r, s, residual);
    const int64_t images = s->g.n * s->g.groups;
    if (s->empty)
        return CREASE_OK;
    if (s->algorithm == POINTWISE || s->algorithm == IM2COL)
        cr_parallel(r->pool, images * s->pixel_pieces * s->channel_pieces,
                    s->is_double ? gemm_pieces_f64 : gemm_pieces_f32, &job);
    else
        cr_parallel(r->pool, images * s->oc, s->is_double ? planes_f64 : planes_f32, &job);
    return CREASE_OK;
}

static crease_status conv_run(cr_run *r) {
    return cr_conv_run(r, r->state, NULL);
}

static crease_status transpose_prepare(cr_prepare *p) {
    conv_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(fill_state(p, true, s));
    p->algorithm = "col2im";
    return s->empty ? CREASE_OK : reserve(p, s, s->taps, s->in_area);
}

static crease_status transpose_run(cr_run *r) {
    const conv_state *s = r->state;
    conv_job job = job_of(r, s, NULL);
    if (s->empty)
        return CREASE_OK;
    cr_parallel(r->pool, s->g.n * s->g.groups * s->oc, s->is_double ? transposed_f64 : transposed_f32, &job);
    return CREASE_OK;
}

const cr_op cr_ops_conv[] = {
    {"Conv", 1, 0, CR_T_FLOATS, cr_conv_infer, conv_prepare, conv_run, 0, 0, 0, NULL},
    {"ConvTranspose", 1, 0, CR_T_FLOATS, transpose_infer, transpose_prepare, transpose_run, 0, 0, 0, NULL},
    {0},
};
