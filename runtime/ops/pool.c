#include "runtime/ops/infer.h"
#include "runtime/ops/window.h"

#include <math.h>

/* MaxPool (ONNX 1 to 22), AveragePool (1 to 22), GlobalAveragePool, GlobalMaxPool, on [N, C, spatial...]. */
enum { MAX, AVERAGE };

typedef struct pool_state {
    cr_window w;
    int64_t rows, in[3], out[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
    int64_t include_pad, column_major;
} pool_state;

static crease_status read(const cr_node *node, const cr_shape *x, cr_window *w, int64_t *out) {
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
    CR_TRY(cr_infer_rank(infer, 0, 3, 5));
    const cr_shape *x = &infer->in[0]->shape;
    infer->out[0].dtype = infer->in[0]->dtype;
    if (infer->n_out > 1)
        infer->out[1].dtype = CREASE_INT64;
    if (x->rank < 0)
        return CREASE_OK;
    infer->out[0].shape = *x;
    CR_TRY(read(infer->node, x, &w, infer->out[0].shape.dims + 2));
    if (infer->n_out > 1)
        infer->out[1].shape = infer->out[0].shape;
    return CREASE_OK;
}

static crease_status pool_prepare(cr_prepare *p) {
    pool_state *s;
    int64_t out[3];
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read(p->node, x, &s->w, out));
    CR_TRY(cr_attr_int(p->node, "count_include_pad", 0, &s->include_pad));
    CR_TRY(cr_attr_int(p->node, "storage_order", 0, &s->column_major));
    s->rows = x->dims[0] * x->dims[1];
    for (int d = 0; d < 3; d++)
        s->in[d] = s->out[d] = s->kernel[d] = s->stride[d] = s->dilation[d] = 1;
    for (int d = 0; d < s->w.n; d++) {
        int to = 3 - s->w.n + d;
        s->in[to] = x->dims[d + 2];
        s->out[to] = out[d];
        s->kernel[to] = s->w.kernel[d];
        s->stride[to] = s->w.stride[d];
        s->dilation[to] = s->w.dilation[d];
        s->pad[to] = s->w.pad_begin[d];
        s->pad_end[to] = s->w.pad_end[d];
    }
    return CREASE_OK;
}

/* Taps of output position o that lie inside the input: [low, high). */
static void inside(const pool_state *s, int d, int64_t o, int64_t *start, int64_t *low, int64_t *high) {
    *start = o * s->stride[d] - s->pad[d];
    *low = *start < 0 ? (-*start + s->dilation[d] - 1) / s->dilation[d] : 0;
    *high = s->in[d] - *start <= 0 ? 0 : (s->in[d] - *start + s->dilation[d] - 1) / s->dilation[d];
    *high = *high > s->kernel[d] ? s->kernel[d] : *high;
}

/* With count_include_pad, padding counts but what ceil_mode adds beyond it does not. */
static int64_t counted(const pool_state *s, int d, int64_t start) {
    int64_t n = 0;
    for (int64_t k = 0; k < s->kernel[d]; k++)
        n += start + k * s->dilation[d] < s->in[d] + s->pad_end[d];
    return n;
}

typedef struct pool_job {
    const pool_state *s;
    const void *x;
    void *y;
    int64_t *indices;
    int variant;
    crease_dtype dtype;
} pool_job;

#define DEFINE_POOL(T, name, LOWEST)                                                                         \
    static void name(void *context, int64_t begin, int64_t end, int thread) {                                \
        const pool_job *j = context;                                                                         \
        const pool_state *s = j->s;                                                                          \
        int64_t area = s->in[0] * s->in[1] * s->in[2], out = s->out[0] * s->out[1] * s->out[2], st[3],       \
                lo[3], hi[3];                                                                                \
        (void)thread;                                                                                        \
        for (int64_t row = begin; row < end; row++)                                                          \
            for (int64_t o = 0; o < out; o++) {                                                              \
                const T *x = (const T *)j->x + row * area;                                                   \
                int64_t at[3] = {o / (s->out[1] * s->out[2]), o / s->out[2] % s->out[1], o % s->out[2]},     \
                        best = -1;                                                                           \
                double sum = 0;                                                                              \
                T top = LOWEST;                                                                              \
                for (int d = 0; d < 3; d++)                                                                  \
                    inside(s, d, at[d], &st[d], &lo[d], &hi[d]);                                             \
                for (int64_t a = lo[0]; a < hi[0]; a++)                                                      \
                    for (int64_t b = lo[1]; b < hi[1]; b++) {                                                \
                        int64_t line =                                                                       \
                            ((st[0] + a * s->dilation[0]) * s->in[1] + st[1] + b * s->dilation[1]) *         \
                            s->in[2];                                                                        \
                        for (int64_t c = lo[2]; c < hi[2]; c++) {                                            \
                            int64_t i = line + st[2] + c * s->dilation[2];                                   \
                            if (j->variant == AVERAGE)                                                       \
                                sum += (double)x[i];                                                         \
                            else if (best < 0 || x[i] > top) {                                               \
                                top = x[i];                                                                  \
                                best = i;                                                                    \
                            }                                                                                \
                        }                                                                                    \
                    }                                                                                        \
                if (j->variant == AVERAGE) {                                                                 \
                    int64_t n = 1;                                                                           \
                    for (int d = 0; d < 3; d++)                                                              \
                        n *= s->include_pad ? counted(s, d, st[d]) : hi[d] - lo[d];                          \
                    top = (T)(n > 0 ? sum / (double)n : 0);                                                  \
                }                                                                                            \
                ((T *)j->y)[row * out + o] = top;                                                            \
                if (j->indices) {                                                                            \
                    if (s->column_major && best >= 0)                                                        \
                        best = best % s->in[2] * s->in[1] * s->in[0] + best / s->in[2];                      \
                    j->indices[row * out + o] = row * area + best;                                           \
                }                                                                                            \
            }                                                                                                \
    }
DEFINE_POOL(float, pool_f32, -INFINITY)
DEFINE_POOL(double, pool_f64, -INFINITY)
DEFINE_POOL(uint8_t, pool_u8, 0)
DEFINE_POOL(int8_t, pool_i8, INT8_MIN)

static crease_status pool_run(cr_run *r) {
    pool_job job = {r->state,        r->in[0]->data,
                    r->out[0]->data, r->n_out > 1 && r->out[1] ? r->out[1]->data : NULL,
                    r->op->variant,  r->in[0]->dtype};
    cr_task *task = job.dtype == CREASE_DOUBLE  ? pool_f64
                    : job.dtype == CREASE_UINT8 ? pool_u8
                    : job.dtype == CREASE_INT8  ? pool_i8
                                                : pool_f32;
    cr_parallel(r->pool, job.s->rows, task, &job);
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

static crease_status global_run(cr_run *r) {
    const cr_tensor *x = r->in[0];
    int64_t rows = x->shape.dims[0] * x->shape.dims[1], area = rows ? cr_shape_n(&x->shape) / rows : 0;
    for (int64_t row = 0; row < rows; row++) {
        double value = r->op->variant == MAX ? -INFINITY : 0;
        for (int64_t i = 0; i < area; i++) {
            double v = cr_load_float(x->dtype, x->data, row * area + i);
            value = r->op->variant == MAX ? (v > value ? v : value) : value + v;
        }
        cr_store_float(x->dtype, r->out[0]->data, row, r->op->variant == MAX ? value : value / (double)area);
    }
    return CREASE_OK;
}

const cr_op cr_ops_pool[] = {
    {"MaxPool", 1, 0, CR_T_FLOATS | CR_T(CREASE_UINT8) | CR_T(CREASE_INT8), pool_infer, pool_prepare,
     pool_run, MAX, 0, 0, NULL},
    {"AveragePool", 1, 0, CR_T_FLOATS, pool_infer, pool_prepare, pool_run, AVERAGE, 0, 0, NULL},
    {"GlobalAveragePool", 1, 0, CR_T_FLOATS, global_infer, NULL, global_run, AVERAGE, 0, 0, NULL},
    {"GlobalMaxPool", 1, 0, CR_T_FLOATS, global_infer, NULL, global_run, MAX, 0, 0, NULL},
    {0},
};
