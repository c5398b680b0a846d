#include "runtime/ops/blocked.h"
#include "runtime/ops/window.h"

/* MaxPool, AveragePool and the global pools on the blocked layout; attributes as ONNX's. A global maximum is
 * a window as large as the input. GlobalAveragePool may stand for the mean of pre(scale x + shift), with the
 * constants scale and shift [C] at inputs 1 and 2 and the activation "pre". MaxPool is of bytes, too
 * (bytes.c). */

enum { MAX, AVERAGE, GLOBAL_AVERAGE, GLOBAL_MAX };

typedef struct pool_state {
    cr_pooling pool;
    cr_blocked_shape shape; /* of the input */
    cr_prologue affine;     /* scale NULL: none */
    size_t plane_bytes;     /* scratch of a thread, for a plane behind the affine */
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

static crease_status read_affine(cr_prepare *p, pool_state *s) {
    if (p->op->variant != GLOBAL_AVERAGE || p->n_in < 3)
        return CREASE_OK;
    CR_TRY(cr_blocked_row(p, 1, "scale", s->shape.channels, s->shape.lanes, &s->affine.scale));
    CR_TRY(cr_blocked_row(p, 2, "shift", s->shape.channels, s->shape.lanes, &s->affine.shift));
    CR_TRY(cr_blocked_activation(p->node, "pre", &s->affine.act));
    if (!cr_mul_size((size_t)s->shape.pixels, (size_t)s->shape.lanes * sizeof(float), &s->plane_bytes) ||
        !cr_mul_size(s->plane_bytes, (size_t)cr_pool_threads(p->pool), &p->scratch_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the extents are too large");
    return CREASE_OK;
}

static crease_status pool_prepare(cr_prepare *p) {
    pool_state *s;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    cr_conv_geometry *g = &s->pool.geometry;
    *g = (cr_conv_geometry){.n = x->dims[0], .ic = x->dims[1], .oc = x->dims[1], .groups = 1};
    if (p->in[0]->dtype == CREASE_UINT8 && p->node->lanes != CR_POOL_BYTES_LANES)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "bytes stand in blocks of %d channels",
                            CR_POOL_BYTES_LANES);
    s->pool.lanes = p->node->lanes;
    s->shape = cr_blocked_shape_of(x, p->node->lanes);
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        g->in[axis] = g->out[axis] = g->kernel[axis] = g->stride[axis] = g->dilation[axis] = 1;
    if (p->op->variant == MAX || p->op->variant == AVERAGE)
        return read_window(p, &s->pool);
    whole_window(x, g);
    return read_affine(p, s);
}

typedef struct pool_job {
    const cr_blocked_kernels *kernels;
    const pool_state *s;
    int variant;
    bool bytes;
    const void *from;
    void *to;
    char *scratch;
} pool_job;

/* Plane by plane, so that what the affine makes stays in the nearest cache. */
static void average_affine(const pool_job *j, int64_t begin, int64_t end, float *plane) {
    const cr_blocked_shape *all = &j->s->shape;
    const int64_t blocks = cr_blocked_blocks(all), floats = all->pixels * all->lanes;
    const cr_blocked_shape one = {1, all->lanes, all->pixels, all->lanes};
    for (int64_t i = begin; i < end; i++) {
        cr_prologue affine = j->s->affine;
        affine.scale += i % blocks * all->lanes;
        affine.shift += i % blocks * all->lanes;
        j->kernels->affine(&one, &affine, (const float *)j->from + i * floats, plane, 0, all->pixels);
        j->kernels->global_average(&one, plane, (float *)j->to + i * all->lanes, 0, 1);
    }
}

static void pool_task(void *context, int64_t begin, int64_t end, int thread) {
    const pool_job *j = context;
    if (j->bytes)
        cr_max_pool_bytes(&j->s->pool, j->from, j->to, begin, end);
    else if (j->s->affine.scale)
        average_affine(j, begin, end, (float *)(void *)(j->scratch + (size_t)thread * j->s->plane_bytes));
    else if (j->variant == GLOBAL_AVERAGE)
        j->kernels->global_average(&j->s->shape, j->from, j->to, begin, end);
    else
        (j->variant == AVERAGE ? j->kernels->average_pool : j->kernels->max_pool)(&j->s->pool, j->from, j->to,
                                                                                  begin, end);
}

static crease_status pool_run(cr_run *r) {
    const pool_state *s = r->state;
    pool_job job = {.kernels = cr_blocked(cr_cpu_isa()),
                    .s = s,
                    .variant = r->op->variant,
                    .bytes = r->in[0]->dtype == CREASE_UINT8,
                    .from = r->in[0]->data,
                    .to = r->out[0]->data,
                    .scratch = r->scratch};
    if (cr_shape_n(&r->out[0]->shape) == 0)
        return CREASE_OK;
    const cr_conv_geometry *g = &s->pool.geometry;
    const int64_t blocks = cr_blocked_blocks(&s->shape);
    const cr_blocked_units lines = {g->n, blocks, g->out[CR_D] * g->out[CR_H],
                                    g->out[CR_W] * s->pool.lanes *
                                        (int64_t)cr_element_bytes(r->in[0]->dtype)};
    if (job.variant == GLOBAL_AVERAGE)
        cr_parallel(r->pool, g->n * blocks, pool_task, &job);
    else
        cr_blocked_parallel(r->pool, &lines, 1, pool_task, &job);
    return CREASE_OK;
}

#define POOL(name, types, variant)                                                                           \
    { name, 1, 0, types, pool_infer, pool_prepare, pool_run, variant, CR_OP_IMAGES, 0, "crease" }

const cr_op cr_ops_blocked_pool[] = {
    POOL("MaxPool", CR_T(CREASE_FLOAT) | CR_T(CREASE_UINT8), MAX),
    POOL("AveragePool", CR_T(CREASE_FLOAT), AVERAGE),
    POOL("GlobalAveragePool", CR_T(CREASE_FLOAT), GLOBAL_AVERAGE),
    POOL("GlobalMaxPool", CR_T(CREASE_FLOAT), GLOBAL_MAX),
    {0},
};
