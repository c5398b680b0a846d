/* The register tile of packed matrix products: rows x columns vectors of accumulators, fed by broadcasts of a
 * panel of A and by streamed vectors of B. Shared by the packed GEMM and by Winograd; included once per ISA
 * file after CR_LANES (L below) and CR_MICRO_ROWS (the tallest tile whose accumulators, two vectors of B and
 * a broadcast fit the registers) are set.
 *
 *   panel of A: [ceil(depth / L)][rows][L], element (r, k) at ((k / L) rows + r) L + k % L
 *   strip of B: [depth][columns L]
 *
 * Every accumulator is one chain of fused multiply-adds in increasing k, so a result does not depend on the
 * height of the tile it was computed in. */
#include "runtime/kernels/vec_tmpl.h"

enum { MICRO_COLUMNS = 2 };

/* How far ahead B is fetched where it streams past one panel of A: the hardware's prefetcher follows it, but
 * stops at the ends of pages. Into the second-level cache, since the first has few buffers for lines on their
 * way, and the loads of the multiply-adds need them. Up to 80 % where B comes from memory. */
enum { MICRO_AHEAD = 4096, MICRO_LINE = 16 };

/* What is fetched while a strip is read: from `from` on, `pace` floats for each line read. */
typedef struct micro_fetch {
    const float *from;
    int64_t pace;
} micro_fetch;

CR_INLINE micro_fetch micro_follow(const float *strip) {
    return (micro_fetch){strip + MICRO_AHEAD, MICRO_LINE};
}

CR_INLINE void micro_step(int rows, int columns, const float *a, const float *b,
                          cr_vec acc[][MICRO_COLUMNS]) {
    cr_vec w[MICRO_COLUMNS];
    CR_UNROLL
    for (int c = 0; c < columns; c++)
        w[c] = cr_load(b + c * CR_LANES);
    CR_UNROLL
    for (int r = 0; r < rows; r++) {
        const cr_vec x = cr_broadcast(a[r * CR_LANES]);
        CR_UNROLL
        for (int c = 0; c < columns; c++)
            acc[r][c] = cr_fma(x, w[c], acc[r][c]);
    }
}

/* acc += panel x strip. rows and columns are constants wherever this is inlined. */
CR_INLINE void micro_multiply(int rows, int columns, const float *a, const float *b, int64_t depth,
                              micro_fetch fetch, cr_vec acc[][MICRO_COLUMNS]) {
    const int64_t step = (int64_t)columns * CR_LANES;
    for (; depth >= CR_LANES; depth -= CR_LANES, a += (int64_t)rows * CR_LANES)
        for (int l = 0; l < CR_LANES; l += 4, b += 4 * step) {
            CR_UNROLL
            for (int i = 0; i < 4 * columns * CR_LANES; i += MICRO_LINE, fetch.from += fetch.pace)
                __builtin_prefetch(fetch.from, 0, 2);
            micro_step(rows, columns, a + l, b, acc);
            micro_step(rows, columns, a + l + 1, b + step, acc);
            micro_step(rows, columns, a + l + 2, b + 2 * step, acc);
            micro_step(rows, columns, a + l + 3, b + 3 * step, acc);
        }
    for (; depth > 0; depth--, a++, b += step)
        micro_step(rows, columns, a, b, acc);
}

/* What sums begin with: rows of columns L floats, `step` apart (0: all alike); NULL: zero. */
typedef struct micro_start {
    const float *from;
    int64_t step;
} micro_start;

/* c [rows][c_stride] (columns L floats of each row) = start + panel x strip. start may be c. */
CR_INLINE void micro_tile(int rows, int columns, const float *a, const float *b, int64_t depth,
                          micro_fetch fetch, micro_start start, float *c, int64_t c_stride) {
    cr_vec acc[CR_MICRO_ROWS][MICRO_COLUMNS];
    CR_UNROLL
    for (int r = 0; r < rows; r++) {
        CR_UNROLL
        for (int v = 0; v < columns; v++)
            acc[r][v] =
                start.from != NULL ? cr_load(start.from + r * start.step + v * CR_LANES) : (cr_vec){0};
    }
    micro_multiply(rows, columns, a, b, depth, fetch, acc);
    CR_UNROLL
    for (int r = 0; r < rows; r++) {
        CR_UNROLL
        for (int v = 0; v < columns; v++)
            cr_store(c + r * c_stride + v * CR_LANES, acc[r][v]);
    }
}

typedef void micro_function(const float *a, const float *b, int64_t depth, micro_fetch fetch,
                            micro_start start, float *c, int64_t c_stride);

#if CR_MICRO_ROWS == 14
#define MICRO_HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif CR_MICRO_ROWS == 10
#define MICRO_HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10)
#elif CR_MICRO_ROWS == 6
#define MICRO_HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#error "CR_MICRO_ROWS: list the heights of this tile"
#endif

#define MICRO_DEFINE(rows)                                                                                   \
    static void micro_##rows##x1(const float *a, const float *b, int64_t depth, micro_fetch fetch,           \
                                 micro_start start, float *c, int64_t c_stride) {                            \
        micro_tile(rows, 1, a, b, depth, fetch, start, c, c_stride);                                         \
    }                                                                                                        \
    static void micro_##rows##x2(const float *a, const float *b, int64_t depth, micro_fetch fetch,           \
                                 micro_start start, float *c, int64_t c_stride) {                            \
        micro_tile(rows, 2, a, b, depth, fetch, start, c, c_stride);                                         \
    }
MICRO_HEIGHTS(MICRO_DEFINE)

/* [rows - 1][columns - 1] */
#define MICRO_ROW(rows) {micro_##rows##x1, micro_##rows##x2},
static micro_function *const micro_tiles[CR_MICRO_ROWS][MICRO_COLUMNS] = {MICRO_HEIGHTS(MICRO_ROW)};
