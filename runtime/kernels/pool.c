#include "runtime/kernels/pool.h"
#include "runtime/kernels/reduce.h"

#include <math.h>

/* Taps of output position o along axis d that lie inside the input: [low, high) of the kernel, the first
 * kernel position at `start` of the input. */
static void inside(const cr_pool_window *w, int d, int64_t o, int64_t *start, int64_t *low, int64_t *high) {
    int64_t dilation = w->dilation[d];
    *start = o * w->stride[d] - w->pad[d];
    *low = *start < 0 ? (-*start + dilation - 1) / dilation : 0;
    *high = w->in[d] > *start ? (w->in[d] - *start + dilation - 1) / dilation : 0;
    *high = *high > w->kernel[d] ? w->kernel[d] : *high;
}

/* What an average along axis d divides by. */
static int64_t counted(const cr_pool_window *w, int d, int64_t start, int64_t low, int64_t high) {
    if (!w->include_pad)
        return high > low ? high - low : 0;
    int64_t room = w->in[d] + w->pad_end[d] - start, n = (room + w->dilation[d] - 1) / w->dilation[d];
    return room <= 0 ? 0 : n < w->kernel[d] ? n : w->kernel[d];
}

static int64_t index_of(const cr_pool_window *w, int64_t row, int64_t at) {
    const int64_t *n = w->in;
    if (at < 0)
        return -1;
    if (w->column_major)
        at = at / (n[1] * n[2]) + at / n[2] % n[1] * n[0] + at % n[2] * n[0] * n[1];
    return row * n[0] * n[1] * n[2] + at;
}

/* counted() along the last axis for output column o; windows in the interior need no division. */
static int64_t counted_column(const cr_pool_window *w, int64_t o) {
    int64_t start = o * w->stride[2] - w->pad[2], low, high;
    if (start >= 0 && start + (w->kernel[2] - 1) * w->dilation[2] < w->in[2])
        return w->kernel[2];
    inside(w, 2, o, &start, &low, &high);
    return counted(w, 2, start, low, high);
}

typedef struct window {
    int64_t start[3], low[3], high[3], count;
} window;

static window window_at(const cr_pool_window *w, int64_t o) {
    int64_t at[3] = {o / (w->out[1] * w->out[2]), o / w->out[2] % w->out[1], o % w->out[2]};
    window s = {.count = 1};
    for (int d = 0; d < 3; d++) {
        inside(w, d, at[d], &s.start[d], &s.low[d], &s.high[d]);
        s.count *= counted(w, d, s.start[d], s.low[d], s.high[d]);
    }
    return s;
}

static double finish(const cr_pool_window *w, double sum, int64_t count) {
    if (w->kind == CR_POOL_LP)
        return w->p == 1 ? sum : w->p == 2 ? sqrt(sum) : pow(sum, 1.0 / (double)w->p);
    return count > 0 ? sum / (double)count : 0;
}

static double power(double x, int64_t p) {
    return p == 1 ? fabs(x) : p == 2 ? x * x : pow(fabs(x), (double)p);
}

/* For each tap inside window s of a plane: `at` is its position. */
#define FOR_TAPS(w, s)                                                                                       \
    for (int64_t a = (s).low[0]; a < (s).high[0]; a++)                                                       \
        for (int64_t b = (s).low[1]; b < (s).high[1]; b++)                                                   \
            for (int64_t line = (((s).start[0] + a * (w)->dilation[0]) * (w)->in[1] + (s).start[1] +         \
                                 b * (w)->dilation[1]) *                                                     \
                                    (w)->in[2] +                                                             \
                                (s).start[2],                                                                \
                         c = (s).low[2], at = line + c * (w)->dilation[2];                                   \
                 c < (s).high[2]; c++, at += (w)->dilation[2])

#define DEFINE_MAX(T, LOWEST)                                                                                \
    static void max_reference_##T(const cr_pool_window *w, const T *x, T *y, int64_t *indices,               \
                                  int64_t begin, int64_t end) {                                              \
        int64_t area = w->in[0] * w->in[1] * w->in[2], out = w->out[0] * w->out[1] * w->out[2];              \
        for (int64_t row = begin; row < end; row++)                                                          \
            for (int64_t o = 0; o < out; o++) {                                                              \
                const T *plane = x + row * area;                                                             \
                window s = window_at(w, o);                                                                  \
                T top = LOWEST;                                                                              \
                int64_t best = -1;                                                                           \
                FOR_TAPS(w, s) {                                                                             \
                    if (best < 0 || plane[at] > top) {                                                       \
                        top = plane[at];                                                                     \
                        best = at;                                                                           \
                    }                                                                                        \
                }                                                                                            \
                y[row * out + o] = top;                                                                      \
                if (indices)                                                                                 \
                    indices[row * out + o] = index_of(w, row, best);                                         \
            }                                                                                                \
    }

#define DEFINE_SUM(T)                                                                                        \
    static void sum_reference_##T(const cr_pool_window *w, const T *x, T *y, int64_t begin, int64_t end) {   \
        int64_t area = w->in[0] * w->in[1] * w->in[2], out = w->out[0] * w->out[1] * w->out[2];              \
        for (int64_t row = begin; row < end; row++)                                                          \
            for (int64_t o = 0; o < out; o++) {                                                              \
                const T *plane = x + row * area;                                                             \
                window s = window_at(w, o);                                                                  \
                double sum = 0;                                                                              \
                FOR_TAPS(w, s)                                                                               \
                sum += w->kind == CR_POOL_LP ? power((double)plane[at], w->p) : (double)plane[at];           \
                y[row * out + o] = (T)finish(w, sum, s.count);                                               \
            }                                                                                                \
    }

/* ---- along output rows ---- */

/* Output positions along the last axis whose tap k is inside the input: [first, last). */
static void columns_of(const cr_pool_window *w, int64_t k, int64_t *first, int64_t *last) {
    int64_t shift = k * w->dilation[2] - w->pad[2], stride = w->stride[2];
    *first = shift < 0 ? (-shift + stride - 1) / stride : 0;
    *last = w->in[2] > shift ? (w->in[2] - shift + stride - 1) / stride : 0;
    *last = *last > w->out[2] ? w->out[2] : *last;
}

#define TAP_LOOP(i)                                                                                          \
    for (int64_t o = first; o < last; o++) {                                                                 \
        if (sum)                                                                                             \
            y[o] = y[o] + line[i];                                                                           \
        else                                                                                                 \
            y[o] = line[i] > y[o] ? line[i] : y[o];                                                          \
    }

/* One output row: every tap is one pass over it. y does not overlap x. */
#define DEFINE_FAST(T, LOWEST)                                                                               \
    static void taps_##T(const cr_pool_window *w, const T *restrict line, T *restrict y, int64_t k,          \
                         bool sum) {                                                                         \
        int64_t first, last, stride = w->stride[2];                                                          \
        columns_of(w, k, &first, &last);                                                                     \
        line += k * w->dilation[2] - w->pad[2];                                                              \
        if (stride == 1)                                                                                     \
            TAP_LOOP(o)                                                                                      \
        else if (stride == 2)                                                                                \
            TAP_LOOP(2 * o)                                                                                  \
        else                                                                                                 \
            TAP_LOOP(stride *o)                                                                              \
    }                                                                                                        \
    static void fast_##T(const cr_pool_window *w, const T *x, T *y, int64_t begin, int64_t end) {            \
        int64_t area = w->in[0] * w->in[1] * w->in[2], lines = w->out[0] * w->out[1];                        \
        bool sum = w->kind == CR_POOL_AVERAGE;                                                               \
        for (int64_t i = begin * lines; i < end * lines; i++) {                                              \
            const T *plane = x + i / lines * area;                                                           \
            T *to = y + i * w->out[2];                                                                       \
            window s = window_at(w, i % lines * w->out[2]);                                                  \
            for (int64_t o = 0; o < w->out[2]; o++)                                                          \
                to[o] = sum ? 0 : LOWEST;                                                                    \
            for (int64_t a = s.low[0]; a < s.high[0]; a++)                                                   \
                for (int64_t b = s.low[1]; b < s.high[1]; b++)                                               \
                    for (int64_t k = 0; k < w->kernel[2]; k++)                                               \
                        taps_##T(w,                                                                          \
                                 plane + ((s.start[0] + a * w->dilation[0]) * w->in[1] + s.start[1] +        \
                                          b * w->dilation[1]) *                                              \
                                             w->in[2],                                                       \
                                 to, k, sum);                                                                \
            int64_t around = counted(w, 0, s.start[0], s.low[0], s.high[0]) *                                \
                             counted(w, 1, s.start[1], s.low[1], s.high[1]);                                 \
            for (int64_t o = 0; sum && o < w->out[2]; o++) {                                                 \
                int64_t count = around * counted_column(w, o);                                               \
                to[o] = count > 0 ? to[o] / (T)count : 0;                                                    \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_MAX(float, -INFINITY)
DEFINE_MAX(double, -INFINITY)
DEFINE_MAX(uint8_t, 0)
DEFINE_MAX(int8_t, INT8_MIN)
DEFINE_SUM(float)
DEFINE_SUM(double)
DEFINE_FAST(float, -INFINITY)
DEFINE_FAST(double, -INFINITY)
DEFINE_FAST(uint8_t, 0)
DEFINE_FAST(int8_t, INT8_MIN)

void cr_pool_reference(const cr_pool_window *w, crease_dtype dtype, const void *x, void *y, int64_t *indices,
                       int64_t begin, int64_t end) {
    if (dtype == CREASE_UINT8)
        max_reference_uint8_t(w, x, y, indices, begin, end);
    else if (dtype == CREASE_INT8)
        max_reference_int8_t(w, x, y, indices, begin, end);
    else if (w->kind == CR_POOL_MAX && dtype == CREASE_DOUBLE)
        max_reference_double(w, x, y, indices, begin, end);
    else if (w->kind == CR_POOL_MAX)
        max_reference_float(w, x, y, indices, begin, end);
    else if (dtype == CREASE_DOUBLE)
        sum_reference_double(w, x, y, begin, end);
    else
        sum_reference_float(w, x, y, begin, end);
}

bool cr_pool_fast_accepts(const cr_pool_window *w, bool indices) {
    int64_t taps = 1;
    for (int d = 0; d < 3; d++)
        taps = w->kernel[d] > CR_POOL_FAST_TAPS ? CR_POOL_FAST_TAPS + 1 : taps * w->kernel[d];
    return !indices && (w->kind == CR_POOL_MAX || w->kind == CR_POOL_AVERAGE) && taps <= CR_POOL_FAST_TAPS;
}

void cr_pool_fast(const cr_pool_window *w, crease_dtype dtype, const void *x, void *y, int64_t begin,
                  int64_t end) {
    if (dtype == CREASE_UINT8)
        fast_uint8_t(w, x, y, begin, end);
    else if (dtype == CREASE_INT8)
        fast_int8_t(w, x, y, begin, end);
    else if (dtype == CREASE_DOUBLE)
        fast_double(w, x, y, begin, end);
    else
        fast_float(w, x, y, begin, end);
}

/* ---- global ---- */

static double global_end(cr_pool_kind kind, int64_t p, double sum, int64_t n) {
    if (kind == CR_POOL_AVERAGE)
        return sum / (double)n;
    return kind == CR_POOL_MAX || p == 1 ? sum : p == 2 ? sqrt(sum) : pow(sum, 1.0 / (double)p);
}

#define DEFINE_GLOBAL(T)                                                                                     \
    static double global_##T(cr_pool_kind kind, int64_t p, const T *x, int64_t n) {                          \
        double sum = kind == CR_POOL_MAX ? -INFINITY : 0;                                                    \
        for (int64_t i = 0; i < n; i++)                                                                      \
            sum = kind == CR_POOL_MAX  ? cr_reduce_step(CR_REDUCE_MAX, sum, (double)x[i])                    \
                  : kind == CR_POOL_LP ? sum + power((double)x[i], p)                                        \
                                       : sum + (double)x[i];                                                 \
        return global_end(kind, p, sum, n);                                                                  \
    }
DEFINE_GLOBAL(float)
DEFINE_GLOBAL(double)

static void global_rows(cr_pool_kind kind, int64_t p, const float *x, float *y, int64_t n, int64_t rows) {
    enum { MOST = 64 };
    const cr_reduction op = kind == CR_POOL_MAX       ? CR_REDUCE_MAX
                            : kind == CR_POOL_AVERAGE ? CR_REDUCE_SUM
                            : p == 1                  ? CR_REDUCE_SIZES
                                                      : CR_REDUCE_SQUARES;
    double sums[MOST];
    for (int64_t row = 0, count; row < rows; row += count) {
        count = rows - row < MOST ? rows - row : MOST;
        cr_reduce(cr_cpu_isa())->rows(op, x + row * n, n, count, sums);
        for (int64_t i = 0; i < count; i++)
            y[row + i] = (float)global_end(kind, p, sums[i], n);
    }
}

void cr_pool_global(cr_pool_kind kind, int64_t p, crease_dtype dtype, const void *x, void *y, int64_t area,
                    int64_t begin, int64_t end) {
    const float *from = x;
    if (dtype != CREASE_DOUBLE && (kind != CR_POOL_LP || p <= 2))
        global_rows(kind, p, from + begin * area, (float *)y + begin, area, end - begin);
    else
        for (int64_t row = begin; row < end; row++)
            if (dtype == CREASE_DOUBLE)
                ((double *)y)[row] = global_double(kind, p, (const double *)x + row * area, area);
            else
                ((float *)y)[row] = (float)global_float(kind, p, from + row * area, area);
}
