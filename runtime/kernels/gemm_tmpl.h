/* The own float32 GEMM and matrix-vector product of one instruction set: the includer defines CR_LANES,
 * CR_SUFFIX and CR_MICRO_ROWS. Blocking after Goto and van de Geijn, "Anatomy of High-Performance Matrix
 * Multiplication" (2008): a block of A stays in the second-level cache, a strip of B in the first. */
#include <string.h>

#include "runtime/kernels/activation_tmpl.h"
#include "runtime/kernels/gemm_kernels.h"
#include "runtime/kernels/gemm_micro_tmpl.h"

enum {
    DEPTH_BLOCK = 256, /* a multiple of every CR_LANES */
    PANELS = 10,
    ROW_BLOCK = PANELS * CR_MICRO_ROWS,
    STRIP = MICRO_COLUMNS * CR_LANES,
    END_COLUMNS =
        8 * STRIP /* that many are finished at once: a block of them stays in the second-level cache */
};

/* Columns of a panel in memory: whole groups of L. */
static int64_t panel_depth(int64_t depth) {
    return (depth + CR_LANES - 1) / CR_LANES * CR_LANES;
}

/* L x L of a transposed operand, element (r, l) at from[l step + r], to rows of L. */
CR_INLINE void transpose_square(const float *from, int64_t step, float factor, float *to, int64_t to_step) {
    CR_UNROLL
    for (int r = 0; r < CR_LANES; r++) {
        cr_vec v = {0};
        CR_UNROLL
        for (int l = 0; l < CR_LANES; l++)
            v[l] = from[l * step + r];
        cr_store(to + r * to_step, factor * v);
    }
}

/* rows x depth of op(A), times alpha, as a panel of gemm_micro_tmpl.h; what a last group lacks is not read.
 */
static void pack_panel(bool trans, const float *a, int64_t lda, int64_t rows, int64_t depth, float alpha,
                       float *to) {
    const int64_t row_step = trans ? 1 : lda, depth_step = trans ? lda : 1;
    int64_t k = 0;
    for (; !trans && k + CR_LANES <= depth; k += CR_LANES)
        for (int64_t r = 0; r < rows; r++, to += CR_LANES)
            cr_store(to, alpha * cr_load(a + r * lda + k));
    for (; k < depth; k += CR_LANES) {
        const int64_t n = depth - k < CR_LANES ? depth - k : CR_LANES;
        for (int64_t r = 0; r < rows; r++, to += CR_LANES)
            for (int64_t l = 0; l < n; l++)
                to[l] = alpha * a[r * row_step + (k + l) * depth_step];
    }
}

CR_INLINE void copy_rows(int vectors, const float *b, int64_t ldb, int64_t depth, float *to) {
    for (int64_t k = 0; k < depth; k++, b += ldb, to += vectors * CR_LANES) {
        CR_UNROLL
        for (int v = 0; v < vectors; v++)
            cr_store(to + v * CR_LANES, cr_load(b + v * CR_LANES));
    }
}

/* depth x n of op(B), n <= width, as a strip [depth][width]; columns past n are 0. */
static void pack_strip(bool trans, const float *b, int64_t ldb, int64_t depth, int64_t n, int64_t width,
                       float *to) {
    if (n < width)
        memset(to, 0, (size_t)(depth * width) * sizeof *to);
    int64_t k = 0;
    for (; trans && n == width && k + CR_LANES <= depth; k += CR_LANES)
        for (int64_t j = 0; j < n; j += CR_LANES)
            transpose_square(b + j * ldb + k, ldb, 1, to + k * width + j, width);
    if (trans) {
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = k; i < depth; i++)
                to[i * width + j] = b[j * ldb + i];
    } else if (n == STRIP) {
        copy_rows(2, b, ldb, depth, to);
    } else if (n == CR_LANES) {
        copy_rows(1, b, ldb, depth, to);
    } else {
        for (; k < depth; k++)
            for (int64_t j = 0; j < n; j++)
                to[k * width + j] = b[k * ldb + j];
    }
}

/* A tile at the right edge of C, by way of a whole one. */
static void edge_tile(micro_function *multiply, const float *panel, const float *strip, int64_t depth,
                      micro_fetch fetch, int64_t rows, int64_t n, micro_start start, float *c, int64_t ldc) {
    float whole[CR_MICRO_ROWS * STRIP];
    for (int64_t r = 0; start.from != NULL && r < rows; r++) {
        memset(whole + r * STRIP, 0, sizeof(float) * STRIP);
        memcpy(whole + r * STRIP, start.from + r * start.step, (size_t)n * sizeof *c);
    }
    const micro_start copied = {start.from != NULL ? whole : NULL, STRIP};
    multiply(panel, strip, depth, fetch, copied, whole, STRIP);
    for (int64_t r = 0; r < rows; r++)
        memcpy(c + r * ldc, whole + r * STRIP, (size_t)n * sizeof *c);
}

/* Rows are cut into even panels, none taller than the register tile: panel p of so many begins here. */
static int64_t panel_row(int64_t rows, int64_t panels, int64_t p) {
    return rows * p / panels;
}

static int64_t panel_count(int64_t rows) {
    return (rows + CR_MICRO_ROWS - 1) / CR_MICRO_ROWS;
}

static micro_start start_at(micro_start start, int64_t row, int64_t column) {
    return (micro_start){start.from != NULL ? start.from + row * start.step + column : NULL, start.step};
}

/* A single panel fetches a little ahead; several fetch the next strip, each its share, so that memory never
 * rests. next NULL: there is none. */
static micro_fetch fetch_strip(const float *strip, const float *next, int64_t floats, int64_t panel,
                               int64_t panels) {
    if (next == NULL || panels == 1)
        return micro_follow(strip);
    return (micro_fetch){next + floats * panel / panels, (MICRO_LINE + panels - 1) / panels};
}

/* Rows x n of C with packed rows of A and a packed strip of B. next: the strip behind it, or NULL. */
static void multiply_strip(const float *panels, const float *strip, const float *next, int64_t depth,
                           int64_t rows, int64_t n, micro_start start, float *c, int64_t ldc) {
    const int64_t vectors = n > CR_LANES ? 2 : 1, count = panel_count(rows);
    for (int64_t p = 0; p < count; p++) {
        const int64_t row = panel_row(rows, count, p), height = panel_row(rows, count, p + 1) - row;
        const float *panel = panels + row * panel_depth(depth);
        micro_function *multiply = micro_tiles[height - 1][vectors - 1];
        const micro_fetch fetch = fetch_strip(strip, next, depth * vectors * CR_LANES, p, count);
        const micro_start own = start_at(start, row, 0);
        if (n == vectors * CR_LANES)
            multiply(panel, strip, depth, fetch, own, c + row * ldc, ldc);
        else
            edge_tile(multiply, panel, strip, depth, fetch, height, n, own, c + row * ldc, ldc);
    }
}

static void scale(float beta, int64_t m, int64_t n, float *c, int64_t ldc) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
}

static int64_t strip_width(int64_t n) {
    return n > CR_LANES ? STRIP : CR_LANES;
}

/* What does not fill a vector. */
static void finish_rest(const cr_activation *act, const float *bias, int64_t n, float *c) {
    float rest[CR_LANES] = {0};
    memcpy(rest, c, (size_t)n * sizeof *c);
    for (int64_t j = 0; bias != NULL && j < n; j++)
        rest[j] += bias[j];
    cr_activate_vectors(act, rest, rest, 1, 0);
    memcpy(c, rest, (size_t)n * sizeof *c);
}

/* Rows x n of C = act(C + bias); bias NULL: zero. */
static void finish_block(const cr_activation *act, const float *bias, int64_t rows, int64_t n, float *c,
                         int64_t ldc) {
    const int64_t whole = n / CR_LANES * CR_LANES;
    for (int64_t i = 0; i < rows; i++, c += ldc) {
        for (int64_t j = 0; bias != NULL && j < whole; j += CR_LANES)
            cr_store(c + j, cr_load(c + j) + cr_load(bias + j));
        if (act->kind != CR_ACT_NONE)
            cr_activate_vectors(act, c, c, whole / CR_LANES, 0);
        if (whole < n)
            finish_rest(act, bias != NULL ? bias + whole : NULL, n - whole, c + whole);
    }
}

static void finish_all(const cr_gemm_end *end, int64_t m, int64_t n, float *c, int64_t ldc) {
    finish_block(&end->act, end->bias, m, n, c, ldc);
}

/* Where a block of op(A) B gets its strips from: packed for it (k: of the whole B), or B itself. */
typedef struct strip_source {
    const float *packed;
    int64_t k;
    bool trans;
    const float *b;
    int64_t ldb;
} strip_source;

/* Rows [depth_begin, depth_begin + depth) of the strip at column j, packed into `room` if it is not yet. */
static const float *strip_at(const strip_source *from, int64_t j, int64_t n, int64_t depth_begin,
                             int64_t depth, float *room) {
    const int64_t width = strip_width(n), ldb = from->ldb;
    if (from->packed != NULL)
        return from->packed + j * from->k + depth_begin * width;
    pack_strip(from->trans, from->b + (from->trans ? j * ldb + depth_begin : depth_begin * ldb + j), ldb,
               depth, n, width, room);
    return room;
}

static void pack_block(bool trans_a, int64_t rows, int64_t depth, float alpha, const float *a, int64_t lda,
                       float *panels) {
    for (int64_t p = 0, count = panel_count(rows); p < count; p++) {
        const int64_t r = panel_row(rows, count, p);
        pack_panel(trans_a, a + (trans_a ? r : r * lda), lda, panel_row(rows, count, p + 1) - r, depth, alpha,
                   panels + r * panel_depth(depth));
    }
}

/* What a product begins with and what becomes of it. */
typedef struct product_ends {
    micro_start start;
    const float *bias; /* that start does not hold, or NULL */
    const cr_activation *act;
} product_ends;

static product_ends ends_of(float beta, const float *c, int64_t ldc, const cr_gemm_end *end) {
    static const cr_activation none = {0};
    product_ends e = {.act = &none};
    if (beta != 0)
        e.start = (micro_start){c, ldc};
    if (end == NULL)
        return e;
    e.act = &end->act;
    if (end->residual != NULL)
        e.start = (micro_start){end->residual, end->ldr};
    if (e.start.from != NULL)
        e.bias = end->bias;
    else
        e.start = (micro_start){end->bias, 0};
    return e;
}

/* rows x n of C = start + alpha op(A) B, a piece of the sum at a time; behind the last one what is to become
 * of it, for some strips together. */
static void multiply_rows(bool trans_a, int64_t rows, int64_t n, int64_t k, float alpha, const float *a,
                          int64_t lda, const strip_source *b, const product_ends *ends, micro_start start,
                          float *c, int64_t ldc) {
    const bool finishes = ends->bias != NULL || ends->act->kind != CR_ACT_NONE;
    float panels[ROW_BLOCK * DEPTH_BLOCK] __attribute__((aligned(64)));
    float room[DEPTH_BLOCK * STRIP] __attribute__((aligned(64)));
    for (int64_t p = 0; p < k; p += DEPTH_BLOCK) {
        const int64_t depth = k - p < DEPTH_BLOCK ? k - p : DEPTH_BLOCK;
        const micro_start before = p > 0 ? (micro_start){c, ldc} : start;
        pack_block(trans_a, rows, depth, alpha, a + (trans_a ? p * lda : p), lda, panels);
        for (int64_t j = 0; j < n; j += STRIP) {
            const int64_t width = n - j < STRIP ? n - j : STRIP;
            const float *strip = strip_at(b, j, width, p, depth, room);
            const float *next = b->packed != NULL && j + STRIP < n ? strip + STRIP * k : NULL;
            multiply_strip(panels, strip, next, depth, rows, width, start_at(before, 0, j), c + j, ldc);
            const int64_t from = j / END_COLUMNS * END_COLUMNS, to = j + width;
            if (finishes && p + depth == k && (to == n || to - from == END_COLUMNS))
                finish_block(ends->act, ends->bias != NULL ? ends->bias + from : NULL, rows, to - from,
                             c + from, ldc);
        }
    }
}

static void multiply(bool trans_a, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                     const strip_source *b, float beta, float *c, int64_t ldc, const cr_gemm_end *end) {
    const product_ends ends = ends_of(beta, c, ldc, end);
    if (k <= 0 || (beta != 0 && beta != 1))
        scale(beta, m, n, c, ldc);
    for (int64_t q = 0, blocks = (m + ROW_BLOCK - 1) / ROW_BLOCK; q < blocks; q++) {
        const int64_t i = panel_row(m, blocks, q);
        multiply_rows(trans_a, panel_row(m, blocks, q + 1) - i, n, k, alpha, a + (trans_a ? i : i * lda), lda,
                      b, &ends, start_at(ends.start, i, 0), c + i * ldc, ldc);
    }
}

void CR_NAME(cr_sgemm)(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                       const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                       int64_t ldc) {
    const strip_source from = {.trans = trans_b, .b = b, .ldb = ldb};
    multiply(trans_a, m, n, k, alpha, a, lda, &from, beta, c, ldc, NULL);
}

static void pack_all(bool trans_b, int64_t n, int64_t k, const float *b, int64_t ldb, float *packed) {
    for (int64_t j = 0; j < n; j += STRIP) {
        const int64_t columns = n - j < STRIP ? n - j : STRIP;
        pack_strip(trans_b, b + (trans_b ? j * ldb : j), ldb, k, columns, strip_width(columns),
                   packed + j * k);
    }
}

static void multiply_packed(bool trans_a, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                            int64_t lda, const float *packed, float beta, float *c, int64_t ldc,
                            const cr_gemm_end *end) {
    const strip_source from = {.packed = packed, .k = k};
    multiply(trans_a, m, n, k, alpha, a, lda, &from, beta, c, ldc, end);
}

const cr_sgemm_pack_kernels CR_NAME(cr_sgemm_packs) = {CR_LANES, STRIP, pack_all, multiply_packed,
                                                       finish_all};

/* ---- vectors and few rows times a matrix: bound by reading the matrix ---- */

/* Rows of A and of B at once; twice the product in accumulators. */
#if CR_LANES == 16 || defined __aarch64__
enum { DOT_ROWS = 4, DOT_COLUMNS = 3 };
#else
enum { DOT_ROWS = 2, DOT_COLUMNS = 3 };
#endif

/* y[0, rows) from as many rows of B; a row's order of summation does not depend on its neighbours. */
CR_INLINE void dot_rows(int rows, int64_t k, float alpha, const float *x, const float *b, int64_t ldb,
                        float beta, float *y) {
    cr_vec even[4] = {{0}}, odd[4] = {{0}};
    int64_t p = 0;
    for (; p + 2 * CR_LANES <= k; p += 2 * CR_LANES) {
        const cr_vec x0 = cr_load(x + p), x1 = cr_load(x + p + CR_LANES);
        CR_UNROLL
        for (int r = 0; r < rows; r++) {
            even[r] = cr_fma(x0, cr_load(b + r * ldb + p), even[r]);
            odd[r] = cr_fma(x1, cr_load(b + r * ldb + p + CR_LANES), odd[r]);
        }
    }
    CR_UNROLL
    for (int r = 0; r < rows; r++) {
        float sum = cr_sum_lanes(even[r] + odd[r]);
        for (int64_t q = p; q < k; q++)
            sum += x[q] * b[r * ldb + q];
        y[r] = alpha * sum + (beta == 0 ? 0 : beta * y[r]);
    }
}

/* Few rows of A and rows of B, each element of C by the order of dot_rows. */
CR_INLINE void dot_block(int m, int n, int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                         int64_t ldb, float beta, float *c, int64_t ldc) {
    cr_vec even[DOT_ROWS][DOT_COLUMNS] = {{{0}}}, odd[DOT_ROWS][DOT_COLUMNS] = {{{0}}};
    int64_t p = 0;
    for (; p + 2 * CR_LANES <= k; p += 2 * CR_LANES) {
        CR_UNROLL
        for (int j = 0; j < n; j++) {
            const cr_vec b0 = cr_load(b + j * ldb + p), b1 = cr_load(b + j * ldb + p + CR_LANES);
            CR_UNROLL
            for (int i = 0; i < m; i++) {
                even[i][j] = cr_fma(cr_load(a + i * lda + p), b0, even[i][j]);
                odd[i][j] = cr_fma(cr_load(a + i * lda + p + CR_LANES), b1, odd[i][j]);
            }
        }
    }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = cr_sum_lanes(even[i][j] + odd[i][j]);
            for (int64_t q = p; q < k; q++)
                sum += a[i * lda + q] * b[j * ldb + q];
            float *y = c + i * ldc + j;
            *y = alpha * sum + (beta == 0 ? 0 : beta * *y);
        }
}

void CR_NAME(cr_sgemm_dots)(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                            const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    int64_t j = 0;
    for (; j + DOT_COLUMNS <= n; j += DOT_COLUMNS)
        for (int64_t i = 0; i < m; i += DOT_ROWS) {
            const float *rows = a + i * lda;
            if (m - i >= DOT_ROWS)
                dot_block(DOT_ROWS, DOT_COLUMNS, k, alpha, rows, lda, b + j * ldb, ldb, beta, c + i * ldc + j,
                          ldc);
            else
                for (int64_t r = i; r < m; r++)
                    dot_block(1, DOT_COLUMNS, k, alpha, a + r * lda, lda, b + j * ldb, ldb, beta,
                              c + r * ldc + j, ldc);
        }
    for (; j < n; j++)
        for (int64_t i = 0; i < m; i++)
            dot_block(1, 1, k, alpha, a + i * lda, lda, b + j * ldb, ldb, beta, c + i * ldc + j, ldc);
}

/* y += the rows [p, p + 4) of B times x, n columns that stay in the first-level cache. */
static void add_rows(int64_t n, int64_t k, float alpha, const float *x, const float *b, int64_t ldb,
                     float *y) {
    int64_t p = 0;
    for (; p + 4 <= k; p += 4, b += 4 * ldb) {
        const float x0 = alpha * x[p], x1 = alpha * x[p + 1], x2 = alpha * x[p + 2], x3 = alpha * x[p + 3];
        for (int64_t j = 0; j < n; j++)
            y[j] = y[j] + x0 * b[j] + x1 * b[ldb + j] + x2 * b[2 * ldb + j] + x3 * b[3 * ldb + j];
    }
    for (; p < k; p++, b += ldb)
        for (int64_t j = 0; j < n; j++)
            y[j] += alpha * x[p] * b[j];
}

void CR_NAME(cr_sgemv)(bool dots, int64_t n, int64_t k, float alpha, const float *x, const float *b,
                       int64_t ldb, float beta, float *y) {
    enum { COLUMNS = 2048 };
    if (dots) {
        int64_t j = 0;
        for (; j + 4 <= n; j += 4)
            dot_rows(4, k, alpha, x, b + j * ldb, ldb, beta, y + j);
        for (; j < n; j++)
            dot_rows(1, k, alpha, x, b + j * ldb, ldb, beta, y + j);
        return;
    }
    scale(beta, 1, n, y, n);
    for (int64_t j = 0; j < n; j += COLUMNS)
        add_rows(n - j < COLUMNS ? n - j : COLUMNS, k, alpha, x, b + j, ldb, y + j);
}
