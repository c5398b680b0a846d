#ifndef CREASE_RUNTIME_KERNELS_GEMM_KERNELS_H
#define CREASE_RUNTIME_KERNELS_GEMM_KERNELS_H

#include "runtime/kernels/gemm.h"

/* What gemm.c chooses from; everybody else calls runtime/kernels/gemm.h. */

/* C = alpha op(A) op(B) + beta C as in gemm.h. Blocked for the caches, packed on the stack (some 120 KB).
 * Each element of C is one chain of sums in increasing k, so it does not depend on how C is cut. */
typedef void cr_sgemm_kernel(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                             const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                             int64_t ldc);

/* y[j] = alpha sum over p of x[p] B(p, j) + beta y[j] for j < n, p < k. B(p, j) is b[j ldb + p] if `dots`,
 * else b[p ldb + j]. Reads B once. beta 0: y is not read. */
typedef void cr_sgemv_kernel(bool dots, int64_t n, int64_t k, float alpha, const float *x, const float *b,
                             int64_t ldb, float beta, float *y);

/* C = alpha A B' + beta C for few rows m: reads B once, as it stands. Every element by the same order of sums
 * as cr_sgemv_kernel's dots. */
typedef void cr_sgemm_dots_kernel(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                                  const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/* The functions of gemm.h on a packed B. */
typedef struct cr_sgemm_pack_kernels {
    int64_t lanes, strip; /* columns of a vector and of a strip */
    void (*pack)(bool trans_b, int64_t n, int64_t k, const float *b, int64_t ldb, float *packed);
    void (*multiply)(bool trans_a, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                     const float *packed, float beta, float *c, int64_t ldc, const cr_gemm_end *end);
    void (*finish)(const cr_gemm_end *end, int64_t m, int64_t n, float *c, int64_t ldc);
} cr_sgemm_pack_kernels;

extern const cr_sgemm_pack_kernels cr_sgemm_packs_generic, cr_sgemm_packs_avx2, cr_sgemm_packs_avx512;
extern cr_sgemm_kernel cr_sgemm_generic, cr_sgemm_avx2, cr_sgemm_avx512;
extern cr_sgemv_kernel cr_sgemv_generic, cr_sgemv_avx2, cr_sgemv_avx512;
extern cr_sgemm_dots_kernel cr_sgemm_dots_generic, cr_sgemm_dots_avx2, cr_sgemm_dots_avx512;

/* Whether OpenBLAS runs kernels as wide as ours: where it does not know AVX-512 our own are faster. */
bool cr_blas_is_wide(void);

/* By OpenBLAS; false: there is none that computes right, or the sizes do not fit it, and nothing was done. */
bool cr_blas_sgemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                   int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
bool cr_blas_dgemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                   int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc);

#endif
