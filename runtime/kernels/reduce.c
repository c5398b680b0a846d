#include "runtime/kernels/reduce.h"

#include <math.h>

double cr_reduce_start(cr_reduction op) {
    return op == CR_REDUCE_MAX ? -INFINITY : op == CR_REDUCE_MIN ? INFINITY : op == CR_REDUCE_PRODUCT ? 1 : 0;
}

static inline double take_in(cr_reduction op, double sum, double value) {
    switch (op) {
    case CR_REDUCE_MAX:
        return value > sum || value != value ? value : sum;
    case CR_REDUCE_MIN:
        return value < sum || value != value ? value : sum;
    case CR_REDUCE_PRODUCT:
        return sum * value;
    case CR_REDUCE_SIZES:
        return sum + fabs(value);
    case CR_REDUCE_SQUARES:
        return sum + value * value;
    case CR_REDUCE_SUM:
        break;
    }
    return sum + value;
}

double cr_reduce_step(cr_reduction op, double sum, double value) {
    return take_in(op, sum, value);
}

/* op is a constant wherever these are inlined, so that the loops run in vectors. */
static inline __attribute__((always_inline)) double row_of(cr_reduction op, const float *x, int64_t n) {
    double parts[CR_REDUCE_LANES], sum = cr_reduce_start(op);
    int64_t i = 0;
    if (n <= CR_REDUCE_LANES) { /* one value a part, the rest neutral: the same sum without them */
        for (; i < n; i++)
            sum = take_in(op, sum, (double)x[i]);
        return sum;
    }
    for (int l = 0; l < CR_REDUCE_LANES; l++)
        parts[l] = sum;
    for (; i + CR_REDUCE_LANES <= n; i += CR_REDUCE_LANES)
        for (int l = 0; l < CR_REDUCE_LANES; l++)
            parts[l] = take_in(op, parts[l], (double)x[i + l]);
    for (int l = 0; i < n; i++, l++)
        parts[l] = take_in(op, parts[l], (double)x[i]);
    const cr_reduction join = op == CR_REDUCE_SIZES || op == CR_REDUCE_SQUARES ? CR_REDUCE_SUM : op;
    for (int l = 0; l < CR_REDUCE_LANES; l++)
        sum = take_in(join, sum, parts[l]);
    return sum;
}

/* Vectors as every processor has them: compilers do not see them in a loop over parts that is unrolled. */
typedef float vec __attribute__((vector_size(16)));
typedef float vec_any __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(16)));
enum { LANES = 4, VECS = 4 };

static inline vec larger(vec a, vec b) {
    const mask is_b = b > a;
    return (vec)((is_b & (mask)b) | (~is_b & (mask)a));
}

/* The largest of factor x, or NaN where there is one. */
static double largest(float factor, const float *x, int64_t n) {
    vec parts[VECS];
    mask odd = {0};
    float most = -INFINITY;
    int32_t any = 0;
    int64_t i = 0;
    for (int k = 0; k < VECS; k++)
        parts[k] = most - (vec){0};
    for (; i + VECS * LANES <= n; i += VECS * LANES)
        for (int k = 0; k < VECS; k++) {
            const vec v = factor * *(const vec_any *)(x + i + k * LANES);
            parts[k] = larger(parts[k], v);
            odd |= v != v;
        }
    for (; i < n; i++) {
        const float v = factor * x[i];
        most = v > most ? v : most;
        any |= v != v;
    }
    parts[0] = larger(larger(parts[0], parts[1]), larger(parts[2], parts[3]));
    for (int l = 0; l < LANES; l++) {
        most = parts[0][l] > most ? parts[0][l] : most;
        any |= odd[l];
    }
    return any ? (double)NAN : (double)(factor * most);
}

static inline __attribute__((always_inline)) void columns_of(cr_reduction op, const float *x, int64_t n,
                                                             int64_t step, int64_t count, double *sums) {
    for (int64_t j = 0; j < count; j++)
        sums[j] = cr_reduce_start(op);
    for (int64_t i = 0; i < n; i++, x += step)
        for (int64_t j = 0; j < count; j++)
            sums[j] = take_in(op, sums[j], (double)x[j]);
}

#define EACH_SUM(X)                                                                                          \
    X(CR_REDUCE_SUM)                                                                                         \
    X(CR_REDUCE_PRODUCT)                                                                                     \
    X(CR_REDUCE_SIZES)                                                                                       \
    X(CR_REDUCE_SQUARES)

void cr_reduce_rows(cr_reduction op, const float *x, int64_t n, int64_t count, double *sums) {
    switch (op) {
    case CR_REDUCE_MAX:
        for (int64_t j = 0; j < count; j++)
            sums[j] = largest(1, x + j * n, n);
        break;
    case CR_REDUCE_MIN:
        for (int64_t j = 0; j < count; j++)
            sums[j] = largest(-1, x + j * n, n);
        break;
#define ROWS(kind)                                                                                           \
    case kind:                                                                                               \
        for (int64_t j = 0; j < count; j++)                                                                  \
            sums[j] = row_of(kind, x + j * n, n);                                                            \
        break;
        EACH_SUM(ROWS)
    }
}

void cr_reduce_columns(cr_reduction op, const float *x, int64_t n, int64_t step, int64_t count,
                       double *sums) {
    switch (op) {
#define COLUMNS(kind)                                                                                        \
    case kind:                                                                                               \
        columns_of(kind, x, n, step, count, sums);                                                           \
        break;
        EACH_SUM(COLUMNS)
        COLUMNS(CR_REDUCE_MAX)
        COLUMNS(CR_REDUCE_MIN)
    }
}
