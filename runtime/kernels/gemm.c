#include "runtime/kernels/gemm.h"

#include "runtime/base/cpu.h"
#include "runtime/base/whole.h"
#include "runtime/kernels/gemm_kernels.h"

#include <stddef.h>

/* Rows of C one after another, the inner loop along n where B allows it. */
#define DEFINE_GEMM(name, T)                                                                                 \
    void name(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, T alpha, const T *a, int64_t lda, \
              const T *b, int64_t ldb, T beta, T *c, int64_t ldc) {                                          \
        for (int64_t i = 0; i < m; i++) {                                                                    \
            T *row = c + i * ldc;                                                                            \
            for (int64_t j = 0; j < n; j++)                                                                  \
                row[j] = beta == 0 ? 0 : beta * row[j];                                                      \
            if (trans_b) {                                                                                   \
                for (int64_t j = 0; j < n; j++) {                                                            \
                    T sum = 0;                                                                               \
                    for (int64_t p = 0; p < k; p++)                                                          \
                        sum += (trans_a ? a[p * lda + i] : a[i * lda + p]) * b[j * ldb + p];                 \
                    row[j] += alpha * sum;                                                                   \
                }                                                                                            \
                continue;                                                                                    \
            }                                                                                                \
            for (int64_t p = 0; p < k; p++) {                                                                \
                T x = alpha * (trans_a ? a[p * lda + i] : a[i * lda + p]);                                   \
                const T *from = b + p * ldb;                                                                 \
                for (int64_t j = 0; j < n; j++)                                                              \
                    row[j] += x * from[j];                                                                   \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_GEMM(cr_sgemm_reference, float)
DEFINE_GEMM(cr_dgemm_reference, double)

/* ---- the choice ---- */

static cr_sgemm_kernel *own_sgemm(cr_isa isa) {
#if defined __x86_64__ || defined __i386__
    if (isa == CR_ISA_AVX512)
        return cr_sgemm_avx512;
    if (isa == CR_ISA_AVX2)
        return cr_sgemm_avx2;
#endif
    return isa == CR_ISA_PLAIN ? cr_sgemm_reference : cr_sgemm_generic;
}

static cr_sgemv_kernel *own_sgemv(cr_isa isa) {
#if defined __x86_64__ || defined __i386__
    if (isa == CR_ISA_AVX512)
        return cr_sgemv_avx512;
    if (isa == CR_ISA_AVX2)
        return cr_sgemv_avx2;
#endif
    return isa == CR_ISA_PLAIN ? NULL : cr_sgemv_generic;
}

/* Rows up to which reading B as it stands is faster than packing it. */
enum { FEW_ROWS = 16 };

static bool by_dots(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                    int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    cr_sgemm_dots_kernel *multiply = cr_sgemm_dots_generic;
    const cr_isa isa = cr_cpu_isa();
#if defined __x86_64__ || defined __i386__
    multiply = isa == CR_ISA_AVX512 ? cr_sgemm_dots_avx512
               : isa == CR_ISA_AVX2 ? cr_sgemm_dots_avx2
                                    : multiply;
#endif
    if (trans_a || !trans_b || m > FEW_ROWS || isa == CR_ISA_PLAIN)
        return false;
    multiply(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    return true;
}

static bool by_blas(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                    int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    return cr_blas_is_wide() && cr_blas_sgemm(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/* A row times B, or by transposing the whole product, A times a column; where vectors are contiguous. */
static bool by_vector(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                      const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                      int64_t ldc) {
    cr_sgemv_kernel *multiply = own_sgemv(cr_cpu_isa());
    if (!multiply)
        return false;
    if (m == 1 && (!trans_a || lda == 1))
        multiply(trans_b, n, k, alpha, a, b, ldb, beta, c);
    else if (n == 1 && ldc == 1 && (trans_b || ldb == 1))
        multiply(!trans_a, m, k, alpha, b, a, lda, beta, c);
    else
        return false;
    return true;
}

void cr_sgemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
              int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    if (!by_vector(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) &&
        !by_dots(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) &&
        !by_blas(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
        own_sgemm(cr_cpu_isa())(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void cr_dgemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
              int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc) {
    if (!cr_blas_dgemm(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
        cr_dgemm_reference(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

/* ---- B packed once ---- */

static const cr_sgemm_pack_kernels *pack_kernels(void) {
    const cr_isa isa = cr_cpu_isa();
#if defined __x86_64__ || defined __i386__
    if (isa == CR_ISA_AVX512)
        return &cr_sgemm_packs_avx512;
    if (isa == CR_ISA_AVX2)
        return &cr_sgemm_packs_avx2;
#endif
    return isa == CR_ISA_PLAIN ? NULL : &cr_sgemm_packs_generic;
}

/* A single row is bound by reading B however it stands. Two of 2048 by 1000 take 0.67 of the time of dots, 16
 * 0.35. */
bool cr_sgemm_packs(int64_t m) {
    return pack_kernels() != NULL && m > 1;
}

size_t cr_sgemm_packed_bytes(int64_t n, int64_t k) {
    const int64_t lanes = pack_kernels()->lanes;
    return (size_t)((n + lanes - 1) / lanes * lanes) * (size_t)k * sizeof(float);
}

void cr_sgemm_pack(bool trans_b, int64_t n, int64_t k, const float *b, int64_t ldb, float *packed) {
    pack_kernels()->pack(trans_b, n, k, b, ldb, packed);
}

void cr_sgemm_packed(bool trans_a, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                     const float *packed, float beta, float *c, int64_t ldc, const cr_gemm_end *end) {
    pack_kernels()->multiply(trans_a, m, n, k, alpha, a, lda, packed, beta, c, ldc, end);
}

void cr_sgemm_finish(const cr_gemm_end *end, int64_t m, int64_t n, float *c, int64_t ldc) {
    pack_kernels()->finish(end, m, n, c, ldc);
}

/* ---- cutting ---- */

/* A few pieces for each thread, by columns first: A is packed again for each of them, which costs little as
 * long as they are some strips wide. */
void cr_sgemm_packed_grid(int64_t m, int64_t n, int threads, int64_t *row_pieces, int64_t *column_pieces) {
    const int64_t wanted = threads > 1 ? 4 * (int64_t)threads : 1,
                  strips = n / (4 * pack_kernels()->strip) + 1;
    *column_pieces = strips < wanted ? strips : wanted;
    *row_pieces = 1;
    while (*row_pieces * *column_pieces < wanted && m / (*row_pieces + 1) >= 32)
        ++*row_pieces;
}

int64_t cr_sgemm_packed_cut(int64_t n, int64_t pieces, int64_t piece) {
    const int64_t strip = pack_kernels()->strip, strips = (n + strip - 1) / strip;
    return cr_smaller(n, strips * piece / pieces * strip);
}

/* A piece is worth a quarter of a million multiply-adds, and enough of both extents that packing the other
 * operand again for each piece is cheap. 24 pieces divide among 2, 3, 4, 6 and 8 threads. */
void cr_gemm_grid(int64_t m, int64_t n, int64_t k, int64_t *row_pieces, int64_t *column_pieces) {
    const double work = (double)m * (double)n * (double)k / (m == 1 ? 1 << 16 : 1 << 18);
    const int64_t wanted = work < 1 ? 1 : work > 24 ? 24 : (int64_t)work;
    const int64_t rows = m / 32 + 1, columns = n / 64 + 1;
    if (m > n) {
        *row_pieces = cr_smaller(wanted, rows);
        *column_pieces = cr_smaller(wanted / *row_pieces, columns);
    } else {
        *column_pieces = cr_smaller(wanted, columns);
        *row_pieces = cr_smaller(wanted / *column_pieces, rows);
    }
}

int64_t cr_gemm_cut(int64_t extent, int64_t pieces, int64_t piece) {
    return cr_smaller(extent, (extent / pieces * piece + extent % pieces * piece / pieces + 15) / 16 * 16);
}
