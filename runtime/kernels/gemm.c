#include "runtime/kernels/gemm.h"

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
