#ifndef CREASE_RUNTIME_KERNELS_POOL_H
#define CREASE_RUNTIME_KERNELS_POOL_H

#include "runtime/base/dtype.h"

/* Pooling over plain planes [rows][in[0]][in[1]][in[2]] -> [rows][out[0]][out[1]][out[2]], where a row is one
 * image of one channel and missing leading spatial dimensions are 1. Thread-safe on disjoint rows. */

typedef enum cr_pool_kind { CR_POOL_MAX, CR_POOL_AVERAGE, CR_POOL_LP } cr_pool_kind;

typedef struct cr_pool_window {
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
    cr_pool_kind kind;
    bool include_pad;  /* averages count padding, but not what ceil_mode adds beyond it */
    bool column_major; /* indices count the last spatial dimension slowest (storage_order 1) */
    int64_t p;         /* exponent of CR_POOL_LP, >= 1 */
} cr_pool_window;

/* Rows [begin, end) of x into y; float32 and float64, for CR_POOL_MAX also int8 and uint8. indices: NULL or,
 * for CR_POOL_MAX, the position of each maximum in the whole of x. A window without a tap inside the input
 * gives the lowest value (MAX; minus infinity of floats), 0 (others) and index -1. Sums are accumulated in
 * double. */
void cr_pool_reference(const cr_pool_window *window, crease_dtype dtype, const void *x, void *y,
                       int64_t *indices, int64_t begin, int64_t end);

/* The same values, tap by tap along whole output rows, for max and average without indices; averages add the
 * taps of one window in the element type, so it is meant for windows of up to CR_POOL_FAST_TAPS taps. */
enum { CR_POOL_FAST_TAPS = 128 };
bool cr_pool_fast_accepts(const cr_pool_window *window, bool indices);
void cr_pool_fast(const cr_pool_window *window, crease_dtype dtype, const void *x, void *y, int64_t begin,
                  int64_t end);

/* One value for each row of `area` elements, summed in double; float32 and float64. p as above; NaN wins. */
void cr_pool_global(cr_pool_kind kind, int64_t p, crease_dtype dtype, const void *x, void *y, int64_t area,
                    int64_t begin, int64_t end);

#endif
