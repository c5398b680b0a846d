#include "runtime/ops/gemm.h"

#include "runtime/kernels/gemm.h"

#include <string.h>

/* Gemm (ONNX 1, 6, 7, 9, 11, 13) and MatMul (1, 9, 13) in float32 and float64; since 9 also in 32- and 64-bit
 * integers. Gemm's attribute `broadcast` (1, 6) only forbids what the newer versions allow: it is not read.
 */

/* ---- pieces ---- */

typedef struct pieces_job {
    int64_t m, n, row_pieces, column_pieces;
    cr_gemm_multiply *multiply;
    const void *context;
} pieces_job;

static void multiply_pieces(void *context, int64_t begin, int64_t end, int thread) {
    const pieces_job *j = context;
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        const int64_t c = task % j->column_pieces, r = task / j->column_pieces % j->row_pieces;
        cr_gemm_piece piece = {.item = task / j->column_pieces / j->row_pieces,
                               .row = cr_gemm_cut(j->m, j->row_pieces, r),
                               .column = cr_gemm_cut(j->n, j->column_pieces, c)};
        piece.rows = cr_gemm_cut(j->m, j->row_pieces, r + 1) - piece.row;
        piece.columns = cr_gemm_cut(j->n, j->column_pieces, c + 1) - piece.column;
        j->multiply(j->context, &piece);
    }
}

void cr_gemm_pieces(cr_pool *pool, int64_t items, int64_t m, int64_t n, int64_t k, cr_gemm_multiply *multiply,
                    const void *context) {
    pieces_job job = {.m = m, .n = n, .multiply = multiply, .context = context};
    cr_gemm_grid(m, n, k, &job.row_pieces, &job.column_pieces);
    cr_parallel(pool, items * job.row_pieces * job.column_pieces, multiply_pieces, &job);
}

/* ---- integers ---- */

/* Wrapping products by plain loops; signed and unsigned have the same bits. Strides in elements. */
typedef struct int_product {
    const void *a, *b;
    void *y;
    int64_t m, n, k, a_row, a_column, b_row, b_column;
} int_product;

#define DEFINE_INT_PRODUCT(name, T)                                                                          \
    static void name(const int_product *p) {                                                                 \
        const T *a = p->a, *b = p->b;                                                                        \
        T *y = p->y;                                                                                         \
        for (int64_t i = 0; i < p->m; i++)                                                                   \
            for (int64_t j = 0; j < p->n; j++) {                                                             \
                T sum = 0;                                                                                   \
                for (int64_t q = 0; q < p->k; q++)                                                           \
                    sum += a[i * p->a_row + q * p->a_column] * b[q * p->b_row + j * p->b_column];            \
                y[i * p->n + j] = sum;                                                                       \
            }                                                                                                \
    }
DEFINE_INT_PRODUCT(product_32, uint32_t)
DEFINE_INT_PRODUCT(product_64, uint64_t)

static bool is_int(crease_dtype dtype) {
    return (CR_T(dtype) & CR_T_INTS) != 0;
}

static size_t int_bytes(crease_dtype dtype) {
    return dtype == CREASE_INT32 || dtype == CREASE_UINT32 ? 4 : 8;
}

static void multiply_ints(crease_dtype dtype, const int_product *p) {
    if (int_bytes(dtype) == 4)
        product_32(p);
    else
        product_64(p);
}

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
    CR_TRY(cr_infer_same_type(infer, 0, 2));
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
    cr_packed_b w;
} gemm_state;

static crease_status gemm_prepare(cr_prepare *p) {
    gemm_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_int(p->node, "transA", 0, &s->ta));
    CR_TRY(cr_attr_int(p->node, "transB", 0, &s->tb));
    CR_TRY(cr_attr_float(p->node, "alpha", 1, &s->alpha));
    CR_TRY(cr_attr_float(p->node, "beta", 1, &s->beta));
    p->algorithm = "gemm";
    return cr_pack_b(p, s->tb != 0, p->in[0]->shape.dims[s->ta ? 1 : 0], &s->w);
}

typedef struct gemm_job {
    const gemm_state *s;
    const void *a, *b;
    void *y;
    int64_t m, n, k;
    bool is_double, added; /* C is in y already */
} gemm_job;

static void gemm_piece(const void *context, const cr_gemm_piece *p) {
    const gemm_job *j = context;
    const bool ta = j->s->ta != 0, tb = j->s->tb != 0;
    const int64_t lda = ta ? j->m : j->k, ldb = tb ? j->k : j->n, y = p->row * j->n + p->column;
    const int64_t a = ta ? p->row : p->row * j->k, b = tb ? p->column * j->k : p->column;
    if (j->is_double)
        cr_dgemm(ta, tb, p->rows, p->columns, j->k, (double)j->s->alpha, (const double *)j->a + a, lda,
                 (const double *)j->b + b, ldb, j->added, (double *)j->y + y, j->n);
    else
        cr_sgemm(ta, tb, p->rows, p->columns, j->k, j->s->alpha, (const float *)j->a + a, lda,
                 (const float *)j->b + b, ldb, j->added, (float *)j->y + y, j->n);
}

/* Strides, in elements, of C broadcast to the result. */
static void bias_strides(const cr_shape *c, int64_t *row, int64_t *column) {
    const int64_t rows = c->rank == 2 ? c->dims[0] : 1, columns = c->rank ? c->dims[c->rank - 1] : 1;
    *row = rows == 1 ? 0 : columns;
    *column = columns == 1 ? 0 : 1;
}

/* y = beta C, broadcast. */
#define DEFINE_PUT_BIAS(name, T)                                                                             \
    static void name(const cr_tensor *c, float beta, cr_tensor *y) {                                         \
        const int64_t m = y->shape.dims[0], n = y->shape.dims[1];                                            \
        const T *from = c->data;                                                                             \
        T *to = y->data;                                                                                     \
        int64_t row, column;                                                                                 \
        bias_strides(&c->shape, &row, &column);                                                              \
        for (int64_t i = 0; i < m; i++)                                                                      \
            for (int64_t j = 0; j < n; j++)                                                                  \
                to[i * n + j] = (T)beta * from[i * row + j * column];                                        \
    }
DEFINE_PUT_BIAS(put_bias_f32, float)
DEFINE_PUT_BIAS(put_bias_f64, double)

/* y = alpha y + beta C in integers: wrapping where both factors are 1, else through a double, cut off. */
#define DEFINE_SCALE(name, T, U)                                                                             \
    static void name(const gemm_state *s, const cr_tensor *c, cr_tensor *y) {                                \
        const int64_t m = y->shape.dims[0], n = y->shape.dims[1];                                            \
        const double low = (T)-1 < 0 ? -0x1p0 * (double)((U)1 << (sizeof(T) * 8 - 1)) : 0;                   \
        const double high = (T)-1 < 0 ? -low : 2 * (double)((U)1 << (sizeof(T) * 8 - 1));                    \
        const T most = (T)-1 < 0 ? (T)((U)-1 >> 1) : (T)-1, least = (T)-1 < 0 ? (T)(-most - 1) : 0;          \
        int64_t row = 0, column = 0;                                                                         \
        T *to = y->data;                                                                                     \
        if (c)                                                                                               \
            bias_strides(&c->shape, &row, &column);                                                          \
        for (int64_t i = 0; i < m; i++)                                                                      \
            for (int64_t j = 0; j < n; j++) {                                                                \
                T *x = &to[i * n + j], added = c ? ((const T *)c->data)[i * row + j * column] : 0;           \
                if (s->alpha == 1 && (s->beta == 1 || !c)) {                                                 \
                    *x = (T)((U)*x + (U)added);                                                              \
                    continue;                                                                                \
                }                                                                                            \
                double value = (double)s->alpha * (double)*x + (double)s->beta * (double)added;              \
                *x = value >= high ? most : value <= low ? least : value == value ? (T)value : 0;            \
            }                                                                                                \
    }
DEFINE_SCALE(scale_i32, int32_t, uint32_t)
DEFINE_SCALE(scale_u32, uint32_t, uint32_t)
DEFINE_SCALE(scale_i64, int64_t, uint64_t)
DEFINE_SCALE(scale_u64, uint64_t, uint64_t)

static void gemm_ints(const gemm_state *s, const gemm_job *j, const cr_tensor *c, cr_tensor *y) {
    const int_product product = {j->a,
                                 j->b,
                                 j->y,
                                 j->m,
                                 j->n,
                                 j->k,
                                 s->ta ? 1 : j->k,
                                 s->ta ? j->m : 1,
                                 s->tb ? 1 : j->n,
                                 s->tb ? j->k : 1};
    multiply_ints(y->dtype, &product);
    if (y->dtype == CREASE_INT32)
        scale_i32(s, c, y);
    else if (y->dtype == CREASE_UINT32)
        scale_u32(s, c, y);
    else if (y->dtype == CREASE_INT64)
        scale_i64(s, c, y);
    else
        scale_u64(s, c, y);
}

static crease_status gemm_run(cr_run *r) {
    const gemm_state *s = r->state;
    cr_tensor *y = r->out[0];
    const cr_tensor *c = r->n_in > 2 ? r->in[2] : NULL;
    gemm_job job = {.s = s,
                    .a = r->in[0]->data,
                    .b = r->in[1]->data,
                    .y = y->data,
                    .m = y->shape.dims[0],
                    .n = y->shape.dims[1],
                    .k = r->in[0]->shape.dims[s->ta ? 0 : 1],
                    .is_double = y->dtype == CREASE_DOUBLE,
                    .added = c != NULL};
    if (job.m == 0 || job.n == 0)
        return CREASE_OK;
    if (is_int(y->dtype)) {
        gemm_ints(s, &job, c, y);
        return CREASE_OK;
    }
    if (c && job.is_double)
        put_bias_f64(c, s->beta, y);
    else if (c)
        put_bias_f32(c, s->beta, y);
    if (s->w.packed) {
        const cr_packed_product packed = {.w = &s->w,
                                          .trans_a = s->ta != 0,
                                          .added = c != NULL,
                                          .alpha = s->alpha,
                                          .m = job.m,
                                          .a = job.a,
                                          .y = job.y};
        cr_packed_run(r->pool, &packed);
        return CREASE_OK;
    }
    cr_gemm_pieces(r->pool, 1, job.m, job.n, job.k, gemm_piece, &job);
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
    int64_t m, n, k;
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

static const void *element(const cr_tensor *tensor, size_t bytes, int64_t i) {
    return (const char *)tensor->data + (size_t)i * bytes;
}

static void matmul_piece(const void *context, const cr_gemm_piece *p) {
    const matmul_job *j = context;
    const int64_t a = batch_offset(&j->batch, &j->batch_a, p->item) * j->m * j->k + p->row * j->k;
    const int64_t b = batch_offset(&j->batch, &j->batch_b, p->item) * j->k * j->n + p->column;
    const int64_t y = p->item * j->m * j->n + p->row * j->n + p->column;
    if (j->y->dtype == CREASE_DOUBLE)
        cr_dgemm(false, false, p->rows, p->columns, j->k, 1, element(j->a, 8, a), j->k, element(j->b, 8, b),
                 j->n, 0, (double *)j->y->data + y, j->n);
    else
        cr_sgemm(false, false, p->rows, p->columns, j->k, 1, element(j->a, 4, a), j->k, element(j->b, 4, b),
                 j->n, 0, (float *)j->y->data + y, j->n);
}

static void matmul_ints(void *context, int64_t begin, int64_t end, int thread) {
    const matmul_job *j = context;
    const size_t bytes = int_bytes(j->y->dtype);
    (void)thread;
    for (int64_t item = begin; item < end; item++) {
        const int_product product = {
            element(j->a, bytes, batch_offset(&j->batch, &j->batch_a, item) * j->m * j->k),
            element(j->b, bytes, batch_offset(&j->batch, &j->batch_b, item) * j->k * j->n),
            (char *)j->y->data + (size_t)(item * j->m * j->n) * bytes,
            j->m,
            j->n,
            j->k,
            j->k,
            1,
            j->n,
            1};
        multiply_ints(j->y->dtype, &product);
    }
}

/* One matrix on the right: the matrices on the left are the rows of one. */
static void join_batch(matmul_job *job) {
    if (cr_shape_n(&job->batch_b) != 1 || cr_shape_n(&job->batch_a) != cr_shape_n(&job->batch))
        return;
    job->m *= cr_shape_n(&job->batch);
    job->batch.rank = job->batch_a.rank = job->batch_b.rank = 0;
}

/* The rows of all matrices on the left, as join_batch has them. */
static int64_t all_rows(const cr_shape *a) {
    int64_t rows = 1;
    for (int d = 0; d + 1 < a->rank; d++)
        rows *= a->dims[d];
    return rows;
}

static crease_status matmul_prepare(cr_prepare *p) {
    cr_packed_b *w;
    CR_TRY(CR_PREPARE_STATE(p, &w));
    p->algorithm = "gemm";
    return cr_pack_b(p, false, all_rows(&p->in[0]->shape), w);
}

static crease_status matmul_run(cr_run *r) {
    const cr_packed_b *w = r->state;
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
    join_batch(&job);
    if (w->packed) {
        const cr_packed_product packed = {.w = w, .alpha = 1, .m = job.m, .a = job.a->data, .y = job.y->data};
        cr_packed_run(r->pool, &packed);
        return CREASE_OK;
    }
    const int64_t items = cr_shape_n(&job.batch);
    if (is_int(job.y->dtype)) {
        cr_parallel(r->pool, items, matmul_ints, &job);
        return CREASE_OK;
    }
    cr_gemm_pieces(r->pool, items, job.m, job.n, job.k, matmul_piece, &job);
    return CREASE_OK;
}

#define WITH_INTS                                                                                            \
    CR_T_FLOATS | CR_T(CREASE_INT32) | CR_T(CREASE_UINT32) | CR_T(CREASE_INT64) | CR_T(CREASE_UINT64)

const cr_op cr_ops_gemm[] = {
    {"Gemm", 1, 8, CR_T_FLOATS, gemm_infer, gemm_prepare, gemm_run, 0, CR_OP_AHEAD, 0, NULL},
    {"Gemm", 9, 0, WITH_INTS, gemm_infer, gemm_prepare, gemm_run, 0, CR_OP_AHEAD, 0, NULL},
    {"MatMul", 1, 8, CR_T_FLOATS, matmul_infer, matmul_prepare, matmul_run, 0, CR_OP_AHEAD, 0, NULL},
    {"MatMul", 9, 0, WITH_INTS, matmul_infer, matmul_prepare, matmul_run, 0, CR_OP_AHEAD, 0, NULL},
    {0},
};
