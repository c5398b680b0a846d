#include "runtime/kernels/pool.h"
#include "runtime/ops/infer.h"
#include "runtime/ops/window.h"

/* MaxPool (ONNX 1, 8: indices, 10: dilations and ceil_mode, 11, 12: int8, 22), AveragePool (1, 7:
 * count_include_pad, 10, 11, 19: dilations, 22), LpPool (1: float p, 2, 11, 18, 22) and their global forms,
 * on [N, C, spatial...] with 1 to 3 spatial dimensions; global pools take any number. */

static crease_status read_window(const cr_node *node, const cr_shape *x, cr_window *w, int64_t *out) {
    int64_t ceil_mode;
    CR_TRY(cr_attr_int(node, "ceil_mode", 0, &ceil_mode));
    CR_TRY(cr_window_read(node, x->rank - 2, NULL, w));
    for (int d = 0; d < w->n; d++) {
        out[d] = CR_DIM_UNKNOWN;
        if (x->dims[d + 2] >= 0)
            CR_TRY(cr_window_extent(node, w, d, x->dims[d + 2], ceil_mode != 0, &out[d]));
    }
    return CREASE_OK;
}

static crease_status pool_infer(cr_infer *infer) {
    cr_window w;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_rank(infer, 0, 3, 2 + CR_MAX_SPATIAL));
    const cr_shape *x = &infer->in[0]->shape;
    infer->out[0].dtype = infer->in[0]->dtype;
    if (infer->n_out > 1)
        infer->out[1].dtype = CREASE_INT64;
    if (x->rank < 0)
        return CREASE_OK;
    infer->out[0].shape = *x;
    CR_TRY(read_window(infer->node, x, &w, infer->out[0].shape.dims + 2));
    if (infer->n_out > 1)
        infer->out[1].shape = infer->out[0].shape;
    return CREASE_OK;
}

/* The exponent: a float in version 1, an integer later; 2 by default. */
static crease_status read_exponent(const cr_node *node, int64_t opset, int64_t *p) {
    float value;
    if (opset >= 2) {
        CR_TRY(cr_attr_int(node, "p", 2, p));
    } else {
        CR_TRY(cr_attr_float(node, "p", 2, &value));
        *p = value >= 1 && value < 1e6f ? (int64_t)value : 0;
        if ((float)*p != value)
            return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "p is %g", (double)value);
    }
    if (*p < 1)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "p is %lld, expected at least 1", (long long)*p);
    return CREASE_OK;
}

typedef struct pool_state {
    cr_pool_window w;
    int64_t rows;
} pool_state;

/* How many axes there are up to the last that does something. */
static int count_axes(const cr_window *w, const int64_t *in, const int64_t *out) {
    int n = w->n;
    while (n > 1 && in[n - 1] == 1 && out[n - 1] == 1 && w->kernel[n - 1] == 1 && w->pad_begin[n - 1] == 0)
        n--;
    return n;
}

/* The kernels see three spatial dimensions: missing ones lead and are 1. They go along the last, so one that
 * does nothing at the end counts as missing, as of a signal that is written as an image. */
static void widen(cr_pool_window *to, const cr_window *w, const int64_t *in, const int64_t *out) {
    const int n = count_axes(w, in, out);
    for (int d = 0; d < 3; d++) {
        int from = d - (3 - n);
        to->in[d] = from < 0 ? 1 : in[from];
        to->out[d] = from < 0 ? 1 : out[from];
        to->kernel[d] = from < 0 ? 1 : w->kernel[from];
        to->stride[d] = from < 0 ? 1 : w->stride[from];
        to->dilation[d] = from < 0 ? 1 : w->dilation[from];
        to->pad[d] = from < 0 ? 0 : w->pad_begin[from];
        to->pad_end[d] = from < 0 ? 0 : w->pad_end[from];
    }
}

static crease_status pool_prepare(cr_prepare *p) {
    pool_state *s;
    cr_window w;
    int64_t out[CR_MAX_SPATIAL], include_pad, storage_order;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_window(p->node, x, &w, out));
    CR_TRY(cr_attr_int(p->node, "count_include_pad", 0, &include_pad));
    CR_TRY(cr_attr_int(p->node, "storage_order", 0, &storage_order));
    widen(&s->w, &w, x->dims + 2, out);
    s->w.kind = (cr_pool_kind)p->op->variant;
    s->w.include_pad = include_pad != 0;
    s->w.column_major = storage_order != 0;
    s->rows = x->dims[0] * x->dims[1];
    if (s->w.kind == CR_POOL_LP)
        CR_TRY(read_exponent(p->node, p->opset, &s->w.p));
    return CREASE_OK;
}

typedef struct pool_job {
    const cr_pool_window *w;
    crease_dtype dtype;
    const void *x;
    void *y;
    int64_t *indices;
    bool fast;
} pool_job;

static void pool_task(void *context, int64_t begin, int64_t end, int thread) {
    const pool_job *j = context;
    (void)thread;
    if (j->fast)
        cr_pool_fast(j->w, j->dtype, j->x, j->y, begin, end);
    else
        cr_pool_reference(j->w, j->dtype, j->x, j->y, j->indices, begin, end);
}

static crease_status pool_run(cr_run *r) {
    const pool_state *s = r->state;
    int64_t *indices = r->n_out > 1 && r->out[1] ? r->out[1]->data : NULL;
    pool_job job = {&s->w, r->in[0]->dtype, r->in[0]->data, r->out[0]->data, indices, false};
    job.fast = cr_pool_fast_accepts(&s->w, indices != NULL);
    if (cr_shape_n(&r->out[0]->shape))
        cr_parallel(r->pool, s->rows, pool_task, &job);
    return CREASE_OK;
}

/* ---- global ---- */

static crease_status global_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_rank(infer, 0, 2, CR_MAX_RANK));
    for (int d = 2; d < infer->out[0].shape.rank; d++)
        infer->out[0].shape.dims[d] = 1;
    return CREASE_OK;
}

typedef struct global_state {
    int64_t p, area, rows;
} global_state;

static crease_status global_prepare(cr_prepare *p) {
    global_state *s;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    s->rows = x->dims[0] * x->dims[1];
    if (p->op->variant == CR_POOL_LP)
        CR_TRY(read_exponent(p->node, p->opset, &s->p));
    s->area = 1;
    for (int d = 2; d < x->rank; d++)
        s->area *= x->dims[d];
    return CREASE_OK;
}

typedef struct global_job {
    const global_state *s;
    cr_pool_kind kind;
    crease_dtype dtype;
    const void *x;
    void *y;
} global_job;

static void global_task(void *context, int64_t begin, int64_t end, int thread) {
    const global_job *j = context;
    (void)thread;
    cr_pool_global(j->kind, j->s->p, j->dtype, j->x, j->y, j->s->area, begin, end);
}

enum { THREAD_ELEMENTS = 1 << 14 }; /* what is worth waking a thread for */

static crease_status global_run(cr_run *r) {
    const global_state *s = r->state;
    global_job job = {s, (cr_pool_kind)r->op->variant, r->in[0]->dtype, r->in[0]->data, r->out[0]->data};
    cr_parallel_grain(r->pool, s->rows, THREAD_ELEMENTS / (s->area + 1) + 1, global_task, &job);
    return CREASE_OK;
}

#define POOL(name, types, variant)                                                                           \
    { name, 1, 0, types, pool_infer, pool_prepare, pool_run, variant, 0, 0, NULL }
#define GLOBAL(name, variant)                                                                                \
    { name, 1, 0, CR_T_FLOATS, global_infer, global_prepare, global_run, variant, 0, 0, NULL }

const cr_op cr_ops_pool[] = {
    POOL("MaxPool", CR_T_FLOATS | CR_T(CREASE_UINT8) | CR_T(CREASE_INT8), CR_POOL_MAX),
    POOL("AveragePool", CR_T_FLOATS, CR_POOL_AVERAGE),
    POOL("LpPool", CR_T_FLOATS, CR_POOL_LP),
    GLOBAL("GlobalAveragePool", CR_POOL_AVERAGE),
    GLOBAL("GlobalMaxPool", CR_POOL_MAX),
    GLOBAL("GlobalLpPool", CR_POOL_LP),
    {0},
};
