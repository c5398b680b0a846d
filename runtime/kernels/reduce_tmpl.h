/* Reductions for one instruction set; see reduce.h. Before including: CR_LANES, CR_SUFFIX. */
#include "runtime/kernels/reduce.h"
#include "runtime/kernels/vec_math_tmpl.h"

/* Doubles of a vector; vectors of a row and of columns that run side by side. */
enum { WIDE = CR_LANES / 2, VECS = 4, BLOCK = 8 };
typedef int64_t wide_mask __attribute__((vector_size(WIDE * 8)));

/* op is a constant wherever these are inlined. */
CR_INLINE cr_wide wide_take(cr_reduction op, cr_wide sum, cr_wide v) {
    switch (op) {
    case CR_REDUCE_PRODUCT:
        return sum * v;
    case CR_REDUCE_SIZES:
        return sum + (cr_wide)((wide_mask)v & INT64_MAX);
    case CR_REDUCE_SQUARES:
        return sum + v * v;
    default:
        return sum + v;
    }
}

CR_INLINE cr_wide wide_start(cr_reduction op) {
    return (op == CR_REDUCE_PRODUCT ? 1.0 : 0.0) - (cr_wide){0};
}

/* The last n of the WIDE floats before `end`, neutral values in place of those before them. */
CR_INLINE cr_wide last_of(cr_reduction op, const float *end, int64_t n) {
    wide_mask lane = {0};
    CR_UNROLL
    for (int l = 0; l < WIDE; l++)
        lane[l] = l;
    const wide_mask is_new = lane >= WIDE - n;
    return (cr_wide)((is_new & (wide_mask)cr_widened(end - WIDE)) | (~is_new & (wide_mask)wide_start(op)));
}

/* Halves onto each other until one is left. */
CR_INLINE double joined(cr_reduction join, cr_wide v) {
    double parts[WIDE];
    CR_UNROLL
    for (int l = 0; l < WIDE; l++)
        parts[l] = v[l];
    CR_UNROLL
    for (int half = WIDE / 2; half > 0; half /= 2) {
        CR_UNROLL
        for (int l = 0; l < half; l++)
            parts[l] = join == CR_REDUCE_PRODUCT ? parts[l] * parts[l + half] : parts[l] + parts[l + half];
    }
    return parts[0];
}

CR_INLINE double short_row(cr_reduction op, const float *x, int64_t n) {
    double sum = cr_reduce_start(op);
    for (int64_t i = 0; i < n; i++)
        sum = cr_reduce_step(op, sum, (double)x[i]);
    return sum;
}

CR_INLINE double sum_row(cr_reduction op, const float *x, int64_t n) {
    const cr_reduction join = op == CR_REDUCE_PRODUCT ? op : CR_REDUCE_SUM;
    cr_wide parts[VECS];
    int64_t i = 0;
    if (n < WIDE)
        return short_row(op, x, n);
    CR_UNROLL
    for (int k = 0; k < VECS; k++)
        parts[k] = wide_start(op);
    for (; i + VECS * WIDE <= n; i += VECS * WIDE) {
        CR_UNROLL
        for (int k = 0; k < VECS; k++)
            parts[k] = wide_take(op, parts[k], cr_widened(x + i + k * WIDE));
    }
    for (; i + WIDE <= n; i += WIDE)
        parts[0] = wide_take(op, parts[0], cr_widened(x + i));
    if (i < n)
        parts[1] = wide_take(op, parts[1], last_of(op, x + n, n - i));
    return joined(join,
                  wide_take(join, wide_take(join, parts[0], parts[1]), wide_take(join, parts[2], parts[3])));
}

CR_INLINE cr_vec further(cr_reduction op, cr_vec a, cr_vec b) {
    return op == CR_REDUCE_MAX ? cr_max(a, b) : cr_min(a, b);
}

/* NaN if either is: the second is what the instruction gives then. */
CR_INLINE cr_vec further_or_nan(cr_reduction op, cr_vec a, cr_vec b) {
    return cr_select(cr_is_nan(a), a, further(op, a, b));
}

CR_INLINE double furthest_lane(cr_reduction op, cr_vec v) {
    static const int32_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const cr_ivec lane = cr_load_int(numbers);
    CR_UNROLL
    for (int half = CR_LANES / 2; half > 0; half /= 2)
        v = further_or_nan(op, v, cr_permute(v, lane ^ half));
    return (double)v[0];
}

/* The largest or the smallest; the last vector may take in values once more. */
CR_INLINE double extreme_row(cr_reduction op, const float *x, int64_t n) {
    if (n < CR_LANES)
        return short_row(op, x, n);
    cr_vec parts[VECS];
    cr_mask odd = cr_is_nan(cr_load(x));
    int64_t i = 0;
    CR_UNROLL
    for (int k = 0; k < VECS; k++)
        parts[k] = cr_load(x);
    for (; i + VECS * CR_LANES <= n; i += VECS * CR_LANES) {
        CR_UNROLL
        for (int k = 0; k < VECS; k++) {
            const cr_vec v = cr_load(x + i + k * CR_LANES);
            parts[k] = further(op, parts[k], v);
            odd |= cr_is_nan(v);
        }
    }
    for (; i < n; i += CR_LANES) {
        const cr_vec v = cr_load(x + (i + CR_LANES <= n ? i : n - CR_LANES));
        parts[0] = further(op, parts[0], v);
        odd |= cr_is_nan(v);
    }
    const cr_vec all = further(op, further(op, parts[0], parts[1]), further(op, parts[2], parts[3]));
    return furthest_lane(op, cr_select(odd, cr_broadcast(NAN), all));
}

/* `vecs` vectors of columns, row after row. */
CR_INLINE void sum_columns(cr_reduction op, int vecs, const float *x, int64_t n, int64_t step, double *sums) {
    cr_wide parts[BLOCK];
    CR_UNROLL
    for (int k = 0; k < vecs; k++)
        parts[k] = wide_start(op);
    for (int64_t i = 0; i < n; i++, x += step) {
        CR_UNROLL
        for (int k = 0; k < vecs; k++)
            parts[k] = wide_take(op, parts[k], cr_widened(x + k * WIDE));
    }
    CR_UNROLL
    for (int k = 0; k < vecs; k++)
        __builtin_memcpy(sums + k * WIDE, &parts[k], sizeof parts[k]);
}

CR_INLINE void extreme_columns(cr_reduction op, int vecs, const float *x, int64_t n, int64_t step,
                               double *sums) {
    cr_vec parts[BLOCK];
    CR_UNROLL
    for (int k = 0; k < vecs; k++)
        parts[k] = cr_broadcast((float)cr_reduce_start(op));
    for (int64_t i = 0; i < n; i++, x += step) {
        CR_UNROLL
        for (int k = 0; k < vecs; k++)
            parts[k] = further_or_nan(op, parts[k], cr_load(x + k * CR_LANES));
    }
    CR_UNROLL
    for (int k = 0; k < vecs; k++)
        for (int l = 0; l < CR_LANES; l++)
            sums[k * CR_LANES + l] = (double)parts[k][l];
}

CR_INLINE void some_columns(cr_reduction op, int vecs, const float *x, int64_t n, int64_t step,
                            double *sums) {
    if (op == CR_REDUCE_MAX || op == CR_REDUCE_MIN)
        extreme_columns(op, vecs, x, n, step, sums);
    else
        sum_columns(op, vecs, x, n, step, sums);
}

CR_INLINE void narrow_columns(cr_reduction op, const float *x, int64_t n, int64_t step, int64_t count,
                              double *sums) {
    for (int64_t j = 0; j < count; j++)
        sums[j] = cr_reduce_start(op);
    for (int64_t i = 0; i < n; i++, x += step)
        for (int64_t j = 0; j < count; j++)
            sums[j] = cr_reduce_step(op, sums[j], (double)x[j]);
}

/* The last vector may compute columns once more, to the same values. */
CR_INLINE void columns_of(cr_reduction op, const float *x, int64_t n, int64_t step, int64_t count,
                          double *sums) {
    const int64_t width = op == CR_REDUCE_MAX || op == CR_REDUCE_MIN ? CR_LANES : WIDE;
    int64_t j = 0;
    if (count < width) {
        narrow_columns(op, x, n, step, count, sums);
        return;
    }
    for (; j + BLOCK * width <= count; j += BLOCK * width)
        some_columns(op, BLOCK, x + j, n, step, sums + j);
    for (; j + BLOCK / 4 * width <= count; j += BLOCK / 4 * width)
        some_columns(op, BLOCK / 4, x + j, n, step, sums + j);
    for (; j < count; j += width) {
        const int64_t at = j + width <= count ? j : count - width;
        some_columns(op, 1, x + at, n, step, sums + at);
    }
}

#define EACH_REDUCTION(X)                                                                                    \
    X(CR_REDUCE_SUM, sum_row)                                                                                \
    X(CR_REDUCE_MAX, extreme_row)                                                                            \
    X(CR_REDUCE_MIN, extreme_row)                                                                            \
    X(CR_REDUCE_PRODUCT, sum_row)                                                                            \
    X(CR_REDUCE_SIZES, sum_row)                                                                              \
    X(CR_REDUCE_SQUARES, sum_row)

static void reduce_rows(cr_reduction op, const float *x, int64_t n, int64_t count, double *sums) {
    switch (op) {
#define ROWS(kind, row)                                                                                      \
    case kind:                                                                                               \
        for (int64_t j = 0; j < count; j++)                                                                  \
            sums[j] = row(kind, x + j * n, n);                                                               \
        break;
        EACH_REDUCTION(ROWS)
    }
}

static void reduce_columns(cr_reduction op, const float *x, int64_t n, int64_t step, int64_t count,
                           double *sums) {
    switch (op) {
#define COLUMNS(kind, row)                                                                                   \
    case kind:                                                                                               \
        columns_of(kind, x, n, step, count, sums);                                                           \
        break;
        EACH_REDUCTION(COLUMNS)
    }
}

/* exp(x[i] - top[i]), or of the one top where step is 0, for n floats. */
CR_INLINE void exps_of(const float *x, const float *top, int64_t step, int64_t n, float *to) {
    int64_t i = 0;
    for (; i + CR_LANES <= n; i += CR_LANES)
        cr_store(to + i, cr_exp(cr_load(x + i) - (step ? cr_load(top + i) : cr_broadcast(*top))));
    for (; i < n; i++)
        to[i] = cr_exp(cr_broadcast(x[i] - top[i * step]))[0];
}

enum { PART = 256 };

static void exp_rows(const float *x, int64_t n, int64_t count, const float *tops, double *sums) {
    float exps[PART];
    for (int64_t j = 0; j < count; j++, x += n) {
        sums[j] = 0;
        for (int64_t i = 0; i < n; i += PART) {
            const int64_t part = n - i < PART ? n - i : PART;
            exps_of(x + i, tops + j, 0, part, exps);
            sums[j] += sum_row(CR_REDUCE_SUM, exps, part);
        }
    }
}

static void exp_columns(const float *x, int64_t n, int64_t step, int64_t count, const float *tops,
                        double *sums) {
    float exps[PART];
    for (int64_t at = 0, part; at < count; at += part) {
        part = count - at < PART ? count - at : PART;
        for (int64_t j = 0; j < part; j++)
            sums[at + j] = 0;
        for (int64_t i = 0; i < n; i++) {
            exps_of(x + i * step + at, tops + at, 1, part, exps);
            for (int64_t j = 0; j < part; j++)
                sums[at + j] += (double)exps[j];
        }
    }
}

/* ---- where an extreme stands ---- */

/* The extreme of a row without its NaN, unless that stands in front. */
CR_INLINE float extreme_of(cr_reduction op, const float *x, int64_t n) {
    float best = x[0];
    int64_t i = 0;
    if (best == best && n >= VECS * CR_LANES) {
        cr_vec parts[VECS];
        CR_UNROLL
        for (int k = 0; k < VECS; k++)
            parts[k] = cr_broadcast(best);
        for (; i + VECS * CR_LANES <= n; i += VECS * CR_LANES) {
            CR_UNROLL
            for (int k = 0; k < VECS; k++)
                parts[k] = further(op, cr_load(x + i + k * CR_LANES), parts[k]);
        }
        best = (float)furthest_lane(
            op, further(op, further(op, parts[0], parts[1]), further(op, parts[2], parts[3])));
    }
    for (; i < n; i++)
        best = (op == CR_REDUCE_MAX ? x[i] > best : x[i] < best) ? x[i] : best;
    return best;
}

/* Where `value` first stands in x; 0 if nowhere, as NaN. */
CR_INLINE int64_t find(const float *x, int64_t n, float value) {
    enum { AT_ONCE = 4 * CR_LANES };
    int64_t i = 0;
    for (int32_t any = 0; i + AT_ONCE <= n; i += AT_ONCE) {
        for (int k = 0; k < AT_ONCE; k++)
            any |= x[i + k] == value;
        if (any)
            break;
    }
    while (i < n && x[i] != value)
        i++;
    return i < n ? i : 0;
}

static void arg_rows(bool least, const float *x, int64_t n, int64_t count, int64_t *at) {
    for (int64_t j = 0; j < count; j++, x += n)
        at[j] = find(x, n, least ? extreme_of(CR_REDUCE_MIN, x, n) : extreme_of(CR_REDUCE_MAX, x, n));
}

CR_INLINE void arg_some(bool least, int vecs, const float *x, int64_t n, int64_t step, int64_t *at) {
    cr_vec best[VECS], where[VECS]; /* the bits of integers */
    CR_UNROLL
    for (int k = 0; k < vecs; k++) {
        best[k] = cr_load(x + k * CR_LANES);
        where[k] = (cr_vec){0};
    }
    for (int64_t i = 1; i < n; i++) {
        const cr_vec here = (cr_vec)((int32_t)i - (cr_ivec){0});
        CR_UNROLL
        for (int k = 0; k < vecs; k++) {
            const cr_vec v = cr_load(x + i * step + k * CR_LANES);
            const cr_mask beyond = least ? cr_less(v, best[k]) : cr_less(best[k], v);
            best[k] = cr_select(beyond, v, best[k]);
            where[k] = cr_select(beyond, here, where[k]);
        }
    }
    CR_UNROLL
    for (int k = 0; k < vecs; k++)
        for (int l = 0; l < CR_LANES; l++)
            at[k * CR_LANES + l] = ((cr_ivec)where[k])[l];
}

CR_INLINE void arg_of(bool least, const float *x, int64_t n, int64_t step, int64_t count, int64_t *at) {
    int64_t j = 0;
    for (; j + VECS * CR_LANES <= count; j += VECS * CR_LANES)
        arg_some(least, VECS, x + j, n, step, at + j);
    for (; j + CR_LANES <= count; j += CR_LANES)
        arg_some(least, 1, x + j, n, step, at + j);
    if (j < count)
        cr_reduce_reference.arg_columns(least, x + j, n, step, count - j, at + j);
}

static void arg_columns(bool least, const float *x, int64_t n, int64_t step, int64_t count, int64_t *at) {
    if (least)
        arg_of(true, x, n, step, count, at);
    else
        arg_of(false, x, n, step, count, at);
}

const cr_reduce_kernels CR_NAME(cr_reduce) = {reduce_rows, reduce_columns, exp_rows,
                                              exp_columns, arg_rows,       arg_columns};
