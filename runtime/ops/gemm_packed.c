#include "runtime/ops/gemm.h"

static void fill_packed(const void *context, void *packed) {
    const cr_packed_b *w = context;
    cr_sgemm_pack(w->trans, w->n, w->k, w->b->data, w->trans ? w->k : w->n, packed);
}

enum { MANY = 2 }; /* rows */

crease_status cr_pack_b(cr_prepare *p, bool trans, int64_t m, cr_packed_b *w) {
    const cr_info *b = p->in[1];
    const bool suits = p->node->graph->model->lowered && cr_sgemm_packs(p->any_shape ? MANY : m) &&
                       b->known && b->dtype == CREASE_FLOAT && b->shape.rank == 2 &&
                       cr_shape_n(&b->shape) > 0;
    *w = (cr_packed_b){0};
    if (!suits)
        return CREASE_OK;
    *w = (cr_packed_b){b->known, trans, b->shape.dims[trans ? 0 : 1], b->shape.dims[trans ? 1 : 0], NULL};
    return cr_prepare_pack(p, "packed", CR_PACK_READS(1) | CR_PACK_REPLACES,
                           cr_sgemm_packed_bytes(w->n, w->k), fill_packed, w, &w->packed);
}

typedef struct packed_job {
    const cr_packed_product *product;
    int64_t row_pieces, column_pieces;
} packed_job;

static void multiply_piece(const cr_packed_product *p, int64_t row, int64_t rows, int64_t column,
                           int64_t columns) {
    const cr_packed_b *w = p->w;
    const int64_t at = row * w->n + column;
    cr_gemm_end end = p->end ? *p->end : (cr_gemm_end){0};
    if (end.bias)
        end.bias += column;
    if (end.residual)
        end.residual += at;
    cr_sgemm_packed(p->trans_a, rows, columns, w->k, p->alpha, p->a + (p->trans_a ? row : row * w->k),
                    p->trans_a ? p->m : w->k, (const float *)w->packed + column * w->k, p->added, p->y + at,
                    w->n, p->end ? &end : NULL);
}

static void packed_pieces(void *context, int64_t begin, int64_t end, int thread) {
    const packed_job *j = context;
    const cr_packed_product *p = j->product;
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        const int64_t i = task / j->column_pieces, c = task % j->column_pieces;
        const int64_t row = p->m * i / j->row_pieces, rows = p->m * (i + 1) / j->row_pieces - row;
        const int64_t column = cr_sgemm_packed_cut(p->w->n, j->column_pieces, c);
        multiply_piece(p, row, rows, column, cr_sgemm_packed_cut(p->w->n, j->column_pieces, c + 1) - column);
    }
}

void cr_packed_run(cr_pool *pool, const cr_packed_product *product) {
    packed_job job = {product, 0, 0};
    cr_sgemm_packed_grid(product->m, product->w->n, cr_pool_threads(pool), &job.row_pieces,
                         &job.column_pieces);
    cr_parallel(pool, job.row_pieces * job.column_pieces, packed_pieces, &job);
}
