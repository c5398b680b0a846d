#ifndef CREASE_RUNTIME_KERNELS_GEMM_H
#define CREASE_RUNTIME_KERNELS_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/kernels/activation.h"

/* C = alpha op(A) op(B) + beta C, row-major; op(A) is m x k, op(B) k x n. beta 0: C is not read. C aliases
 * nothing. Single-threaded; safe to call from several threads. m, n or k may be 0. OpenBLAS computes
 * it where it is installed and has kernels for this processor's widest vectors, own kernels where not;
 * products with a vector, and of few rows with a transposed B, are always our own. */
void cr_sgemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
              int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
void cr_dgemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
              int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc);

/* B packed once for many products: strips of some columns one after another, k floats for each column, the
 * last strip rounded up to whole vectors. Whether that is worth it for products of m rows; where it never is,
 * the others must not be called. */
bool cr_sgemm_packs(int64_t m);
size_t cr_sgemm_packed_bytes(int64_t n, int64_t k);
void cr_sgemm_pack(bool trans_b, int64_t n, int64_t k, const float *b, int64_t ldb, float *packed);
/* What becomes of each element of a product: act(c + residual + bias[j]). bias [n] and residual [m][ldr] may
 * be NULL, the residual may be C itself; act has no slope. */
typedef struct cr_gemm_end {
    const float *bias, *residual;
    int64_t ldr;
    cr_activation act;
} cr_gemm_end;

/* cr_sgemm with a packed B, and the end behind it while C is near; NULL: none. With an end k is at least 1,
 * and beta is 0 where it has a residual. A range of columns is a product of its own: from column j on, where
 * a piece begins (below), packed + j k. Each element is one chain of sums in increasing k, however the
 * product is cut. */
void cr_sgemm_packed(bool trans_a, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                     const float *packed, float beta, float *c, int64_t ldc, const cr_gemm_end *end);
/* The end of a product that has its residual; where cr_sgemm_packs never is true it must not be called. */
void cr_sgemm_finish(const cr_gemm_end *end, int64_t m, int64_t n, float *c, int64_t ldc);
/* How to cut such a product for threads, both at least 1, and the column where piece i begins. */
void cr_sgemm_packed_grid(int64_t m, int64_t n, int threads, int64_t *row_pieces, int64_t *column_pieces);
int64_t cr_sgemm_packed_cut(int64_t n, int64_t pieces, int64_t piece);

/* How to cut a product for threads, into row_pieces x column_pieces: by its sizes only, so that results do
 * not depend on how many threads there are. Both at least 1. */
void cr_gemm_grid(int64_t m, int64_t n, int64_t k, int64_t *row_pieces, int64_t *column_pieces);
/* Where piece i of an extent begins, a multiple of 16 or the extent; piece i + 1 begins where it ends. */
int64_t cr_gemm_cut(int64_t extent, int64_t pieces, int64_t piece);

/* cr_sgemm and cr_dgemm by plain loops: what they are held against. */
void cr_sgemm_reference(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                        const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                        int64_t ldc);
void cr_dgemm_reference(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, double alpha,
                        const double *a, int64_t lda, const double *b, int64_t ldb, double beta, double *c,
                        int64_t ldc);

/* Around a run: OpenBLAS's thread count is the process's. The first to enter sets it to 1, the last to leave
 * restores what the host program had. Thread-safe. */
void cr_blas_enter(void);
void cr_blas_leave(void);

/* "OpenBLAS 0.3.21 (Haswell)" or "none (own kernels)". Loads the library. Valid for the life of the process.
 */
const char *cr_blas_description(void);

#endif
