#include "runtime/kernels/gemm.h"
#include "runtime/ops/infer.h"

#include <string.h>

/* Gemm (ONNX 1, 6, 7, 9, 11, 13) and MatMul (1, 9, 13) in float32 and float64. */

/* ---- Gemm ---- */

static crease_status gemm_infer(cr_infer *infer) {
    int64_t ta, tb;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_same_type(infer, 0, 1));
    CR_TRY(cr_infer_rank(infer, 0, 2, 2));
    CR_TRY(cr_infer_rank(infer, 1, 2, 2));
    CR_TRY(cr_attr_int(infer->node, "transA", 0, &ta));
    CR_TRY(cr_attr_int(infer->node, "transB", 0, &tb));
    infer->out[0].dtype = infer->in[0]->dtype;
    const cr_shape *a = &infer->in[0]->shape, *b = &infer->in[1]->shape;
    if (a->rank < 0 || b->rank < 0)
        return CREASE_OK;
    int64_t k1 = a->dims[ta ? 0 : 1], k2 = b->dims[tb ? 1 : 0];
    if (k1 >= 0 && k2 >= 0 && k1 != k2)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "inner dimensions %lld and %lld differ",
                            (long long)k1, (long long)k2);
    cr_shape *y = &infer->out[0].shape, both;
    *y = (cr_shape){.rank = 2, .dims = {a->dims[ta ? 1 : 0], b->dims[tb ? 0 : 1]}};
    if (infer->n_in > 2 && infer->in[2] && cr_shape_is_static(y) &&
        cr_shape_is_static(&infer->in[2]->shape)) {
        CR_TRY(cr_shape_broadcast(y, &infer->in[2]->shape, infer->node->name, &both));
        if (!cr_shape_equal(y, &both))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "C does not broadcast to the result");
    }
    return CREASE_OK;
}

typedef struct gemm_state {
    int64_t ta, tb;
    float alpha, beta;
} gemm_state;

static crease_status gemm_prepare(cr_prepare *p) {
    gemm_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_int(p->node, "transA", 0, &s->ta));
    CR_TRY(cr_attr_int(p->node, "transB", 0, &s->tb));
    CR_TRY(cr_attr_float(p->node, "alpha", 1, &s->alpha));
    p->algorithm = "gemm";
    return cr_attr_float(p->node, "beta", 1, &s->beta);
}

typedef struct gemm_job {
    const gemm_state *s;
    const void *a, *b;
    void *y;
    int64_t m, n, k;
    bool is_double, added; /* C is in y already */
} gemm_job;

/* Columns [begin, end) of the result: with one row of A this is what streams the weights in parallel. */
static void gemm_columns(void *context, int64_t begin, int64_t end, int thread) {
    const gemm_job *j = context;
    bool ta = j->s->ta != 0, tb = j->s->tb != 0;
    int64_t lda = ta ? j->m : j->k, ldb = tb ? j->k : j->n, offset = tb ? begin * j->k : begin;
    (void)thread;
    if (j->is_double)
        cr_dgemm(ta, tb, j->m, end - begin, j->k, (double)j->s->alpha, j->a, lda,
                 (const double *)j->b + offset, ldb, j->added, (double *)j->y + begin, j->n);
    else
        cr_sgemm(ta, tb, j->m, end - begin, j->k, j->s->alpha, j->a, lda, (const float *)j->b + offset, ldb,
                 j->added, (float *)j->y + begin, j->n);
}

/* y = beta C, broadcast. */
static void put_bias(const cr_tensor *c, float beta, cr_tensor *y) {
    int64_t m = y->shape.dims[0], n = y->shape.dims[1], rank = c->shape.rank;
    int64_t rows = rank == 2 ? c->shape.dims[0] : 1, columns = rank ? c->shape.dims[rank - 1] : 1;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            int64_t from = (rows == 1 ? 0 : i) * columns + (columns == 1 ? 0 : j);
            cr_store_float(y->dtype, y->data, i * n + j,
                           (double)beta * cr_load_float(c->dtype, c->data, from));
        }
}

static crease_status gemm_run(cr_run *r) {
    const gemm_state *s = r->state;
    const cr_shape *a = &r->in[0]->shape;
    cr_tensor *y = r->out[0];
    gemm_job job = {.s = s,
                    .a = r->in[0]->data,
                    .b = r->in[1]->data,
                    .y = y->data,
                    .m = y->shape.dims[0],
                    .n = y->shape.dims[1],
                    .k = a->dims[s->ta ? 0 : 1],
                    .is_double = y->dtype == CREASE_DOUBLE};
    const cr_tensor *c = r->n_in > 2 ? r->in[2] : NULL;
    job.added = c != NULL;
    if (c)
        put_bias(c, s->beta, y);
    cr_parallel_grain(r->pool, job.n, 64, gemm_columns, &job);
    return CREASE_OK;
}

/* ---- MatMul: numpy's rules ---- */

/* As matrices: a vector is a row on the left, a column on the right. */
static crease_status matmul_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_same_type(infer, 0, 1));
    infer->out[0].dtype = infer->in[0]->dtype;
    cr_shape a = infer->in[0]->shape, b = infer->in[1]->shape, batch;
    if (a.rank < 0 || b.rank < 0)
        return CREASE_OK;
    if (a.rank == 0 || b.rank == 0)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "a scalar cannot be multiplied as a matrix");
    bool row = a.rank == 1, column = b.rank == 1;
    if (row)
        a = (cr_shape){.rank = 2, .dims = {1, a.dims[0]}};
    if (column)
        b = (cr_shape){.rank = 2, .dims = {b.dims[0], 1}};
    int64_t k1 = a.dims[a.rank - 1], k2 = b.dims[b.rank - 2];
    if (k1 >= 0 && k2 >= 0 && k1 != k2)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "inner dimensions %lld and %lld differ",
                            (long long)k1, (long long)k2);
    int64_t m = a.dims[a.rank - 2], n = b.dims[b.rank - 1];
    a.rank -= 2;
    b.rank -= 2;
    CR_TRY(cr_shape_broadcast(&a, &b, infer->node->name, &batch));
    if (!row)
        batch.dims[batch.rank++] = m;
    if (!column)
        batch.dims[batch.rank++] = n;
    infer->out[0].shape = batch;
    return CREASE_OK;
}

typedef struct matmul_job {
    const cr_tensor *a, *b;
    cr_tensor *y;
    int64_t m, n, k, pieces;
    cr_shape batch_a, batch_b, batch;
} matmul_job;

/* Offset in matrices of batch item i of an operand whose extents of 1 repeat. */
static int64_t batch_offset(const cr_shape *whole, const cr_shape *part, int64_t i) {
    int64_t offset = 0, stride = 1;
    for (int d = 1; d <= whole->rank; d++) {
        int64_t extent = whole->dims[whole->rank - d], index = i % extent;
        i /= extent;
        if (d <= part->rank) {
            int64_t own = part->dims[part->rank - d];
            offset += own == 1 ? 0 : index * stride;
            stride *= own;
        }
    }
    return offset;
}

static void matmul_piece(void *context, int64_t begin, int64_t end, int thread) {
    const matmul_job *j = context;
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        int64_t item = task / j->pieces, piece = task % j->pieces;
        int64_t first = j->n * piece / j->pieces, last = j->n * (piece + 1) / j->pieces;
        int64_t a = batch_offset(&j->batch, &j->batch_a, item) * j->m * j->k;
        int64_t b = batch_offset(&j->batch, &j->batch_b, item) * j->k * j->n + first,
                y = item * j->m * j->n + first;
        if (j->y->dtype == CREASE_DOUBLE)
            cr_dgemm(false, false, j->m, last - first, j->k, 1, (const double *)j->a->data + a, j->k,
                     (const double *)j->b->data + b, j->n, 0, (double *)j->y->data + y, j->n);
        else
            cr_sgemm(false, false, j->m, last - first, j->k, 1, (const float *)j->a->data + a, j->k,
                     (const float *)j->b->data + b, j->n, 0, (float *)j->y->data + y, j->n);
    }
}

static crease_status matmul_run(cr_run *r) {
    cr_shape a = r->in[0]->shape, b = r->in[1]->shape;
    if (a.rank == 1)
        a = (cr_shape){.rank = 2, .dims = {1, a.dims[0]}};
    if (b.rank == 1)
        b = (cr_shape){.rank = 2, .dims = {b.dims[0], 1}};
    matmul_job job = {.a = r->in[0],
                      .b = r->in[1],
                      .y = r->out[0],
                      .m = a.dims[a.rank - 2],
                      .n = b.dims[b.rank - 1],
                      .k = a.dims[a.rank - 1],
                      .batch_a = a,
                      .batch_b = b};
    job.batch_a.rank -= 2;
    job.batch_b.rank -= 2;
    CR_TRY(cr_shape_broadcast(&job.batch_a, &job.batch_b, r->node->name, &job.batch));
    if (cr_shape_n(&r->out[0]->shape) == 0)
        return CREASE_OK;
    job.pieces = job.n >= 256 ? (job.n + 255) / 256 : 1;
    cr_parallel(r->pool, cr_shape_n(&job.batch) * job.pieces, matmul_piece, &job);
    return CREASE_OK;
}

const cr_op cr_ops_gemm[] = {
    {"Gemm", 1, 0, CR_T_FLOATS, gemm_infer, gemm_prepare, gemm_run, 0, 0, 0, NULL},
    {"MatMul", 1, 0, CR_T_FLOATS, matmul_infer, NULL, matmul_run, 0, 0, 0, NULL},
    {0},
};
