#ifndef CREASE_RUNTIME_OPS_GEMM_H
#define CREASE_RUNTIME_OPS_GEMM_H

#include "runtime/kernels/gemm.h"
#include "runtime/ops/infer.h"

/* Part of a product, or of one of several. */
typedef struct cr_gemm_piece {
    int64_t item;        /* which product */
    int64_t row, column; /* where the part begins */
    int64_t rows, columns;
} cr_gemm_piece;
typedef void cr_gemm_multiply(const void *context, const cr_gemm_piece *piece);

/* Cuts `items` products of m by n, k deep, as cr_gemm_grid does, and has the pool's threads multiply every
 * piece of them once. */
void cr_gemm_pieces(cr_pool *pool, int64_t items, int64_t m, int64_t n, int64_t k, cr_gemm_multiply *multiply,
                    const void *context);

/* Products by a constant matrix, input 1 of a node in a model that was made for this machine: packed once. */
typedef struct cr_packed_b {
    const cr_tensor *b;
    bool trans; /* stored [n][k] */
    int64_t n, k;
    const void *packed; /* NULL: it is not, and the fields above are not set */
} cr_packed_b;

/* Whether that is worth it is decided here, for products of m rows; *w lives as long as the plan. */
crease_status cr_pack_b(cr_prepare *prepare, bool trans, int64_t m, cr_packed_b *w) CREASE_MUST_TEST;

/* y [m][n] = alpha op(a) B, and its end. */
typedef struct cr_packed_product {
    const cr_packed_b *w;
    bool trans_a, added; /* added to what y holds, which takes the place of a residual */
    float alpha;
    int64_t m;
    const float *a;
    float *y;
    const cr_gemm_end *end; /* or NULL */
} cr_packed_product;
void cr_packed_run(cr_pool *pool, const cr_packed_product *product);

#endif
