#include "runtime/ops/blocked.h"
#include "runtime/ops/window.h"

/* MaxPool, AveragePool and the global pools on the blocked layout; attributes as ONNX's. A global maximum is
 * a window as large as the input. */

enum { MAX, AVERAGE, GLOBAL_AVERAGE, GLOBAL_MAX };

typedef struct pool_state {
    cr_pooling pool;
    cr_blocked_shape shape; /* of the input */
} pool_state;

static crease_status pool_infer(cr_infer *infer) {
    if (infer->n_out > 1 && infer->node->outputs[1])
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the blocked layout gives no indices");
    return cr_blocked_infer(infer);
}

/* ceil_mode is in the output extents already; auto_pad is resolved into the pads here. */
static crease_status read_window(const cr_prepare *p, cr_pooling *pool) {
    const cr_shape *x = &p->in[0]->shape, *y = &p->out[0].shape;
    cr_window w;
    int64_t ceil_mode, include_pad, out;
    CR_TRY(cr_attr_int(p->node, "ceil_mode", 0, &ceil_mode));
    CR_TRY(cr_attr_int(p->node, "count_include_pad", 0, &include_pad));
    CR_TRY(cr_window_read(p->node, x->rank - 2, NULL, &w));
    pool->count_include_pad = include_pad != 0;
    for (int d = 0; d < w.n; d++) {
        const int axis = CR_CONV_RANK - w.n + d;
        CR_TRY(cr_window_extent(p->node, &w, d, x->dims[d + 2], ceil_mode != 0, &out));
        pool->geometry.in[axis] = x->dims[d + 2];
        pool->geometry.out[axis] = y->dims[d + 2];
        pool->geometry.kernel[axis] = w.kernel[d];
        pool->geometry.stride[axis] = w.stride[d];
        pool->geometry.dilation[axis] = w.dilation[d];
        pool->geometry.pad[axis] = w.pad_begin[d];
        pool->pad_end[axis] = w.pad_end[d];
    }
    return CREASE_OK;
}

static void whole_window(const cr_shape *x, cr_conv_geometry *g) {
    for (int d = 2; d < x->rank; d++)
        g->in[CR_W] *= x->dims[d];
    g->kernel[CR_W] = g->in[CR_W];
}

static crease_status pool_prepare(cr_prepare *p) {
    pool_state *s;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    cr_conv_geometry *g = &s->pool.geometry;
    *g = (cr_conv_geometry){.n = x->dims[0], .ic = x->dims[1], .oc = x->dims[1], .groups = 1};
    s->pool.lanes = p->node->lanes;
    s->shape = cr_blocked_shape_of(x, p->node->lanes);
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        g->in[axis] = g->out[axis] = g->kernel[axis] = g->stride[axis] = g->dilation[axis] = 1;
    if (p->op->variant == MAX || p->op->variant == AVERAGE)
        return read_window(p, &s->pool);
    whole_window(x, g);
    return CREASE_OK;
}

typedef struct pool_job {
    const cr_blocked_kernels *kernels;
    const pool_state *s;
    int variant;
    const float *from;
    float *to;
} pool_job;

static void pool_task(void *context, int64_t begin, int64_t end, int thread) {
    const pool_job *j = context;
    (void)thread;
    if (j->variant == GLOBAL_AVERAGE)
        j->kernels->global_average(&j->s->shape, j->from, j->to, begin, end);
    else
        (j->variant == AVERAGE ? j->kernels->average_pool : j->kernels->max_pool)(&j->s->pool, j->from, j->to,
                                                                                  begin, end);
}

static crease_status pool_run(cr_run *r) {
    const pool_state *s = r->state;
    pool_job job = {cr_blocked(cr_cpu_isa()), s, r->op->variant, r->in[0]->data, r->out[0]->data};
    if (cr_shape_n(&r->out[0]->shape) == 0)
        return CREASE_OK;
    cr_parallel(r->pool,
                job.variant == GLOBAL_AVERAGE ? s->shape.n * cr_blocked_blocks(&s->shape)
                                              : cr_pooling_lines(&s->pool),
                pool_task, &job);
    return CREASE_OK;
}

#define POOL(name, variant)                                                                                  \
    { name, 1, 0, CR_T(CREASE_FLOAT), pool_infer, pool_prepare, pool_run, variant, 0, 0, "crease" }

const cr_op cr_ops_blocked_pool[] = {
    POOL("MaxPool", MAX),
    POOL("AveragePool", AVERAGE),
    POOL("GlobalAveragePool", GLOBAL_AVERAGE),
    POOL("GlobalMaxPool", GLOBAL_MAX),
    {0},
};
