#include "runtime/kernels/scan.h"

#define DEFINE_SCAN(T)                                                                                       \
    static void scan_##T(bool exclusive, int64_t first, int64_t step, const T *x, T *y, int64_t n,           \
                         int64_t inner) {                                                                    \
        for (int64_t j = 0; j < inner; j++)                                                                  \
            y[first * inner + j] = exclusive ? 0 : x[first * inner + j];                                     \
        for (int64_t i = 1; i < n; i++) {                                                                    \
            int64_t at = (first + i * step) * inner, before = at - step * inner;                             \
            const T *from = x + (exclusive ? before : at);                                                   \
            for (int64_t j = 0; j < inner; j++)                                                              \
                y[at + j] = y[before + j] + from[j];                                                         \
        }                                                                                                    \
    }                                                                                                        \
    static void blocks_##T(bool exclusive, bool reverse, const T *x, T *y, int64_t n, int64_t inner,         \
                           int64_t begin, int64_t end) {                                                     \
        for (int64_t o = begin; o < end; o++)                                                                \
            scan_##T(exclusive, reverse ? n - 1 : 0, reverse ? -1 : 1, x + o * n * inner, y + o * n * inner, \
                     n, inner);                                                                              \
    }
DEFINE_SCAN(float)
DEFINE_SCAN(double)
DEFINE_SCAN(uint32_t)
DEFINE_SCAN(uint64_t)

void cr_cumulative_sum(crease_dtype dtype, bool exclusive, bool reverse, const void *x, void *y, int64_t n,
                       int64_t inner, int64_t begin, int64_t end) {
    if (dtype == CREASE_FLOAT)
        blocks_float(exclusive, reverse, x, y, n, inner, begin, end);
    else if (dtype == CREASE_DOUBLE)
        blocks_double(exclusive, reverse, x, y, n, inner, begin, end);
    else if (crease_dtype_bits(dtype) == 32)
        blocks_uint32_t(exclusive, reverse, x, y, n, inner, begin, end);
    else
        blocks_uint64_t(exclusive, reverse, x, y, n, inner, begin, end);
}
