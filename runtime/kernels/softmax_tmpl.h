/* Softmax for one instruction set; see softmax.h. Before including: CR_LANES, CR_SUFFIX. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/softmax.h"
#include "runtime/kernels/vec_math_tmpl.h"

/* Columns that are shorter than this, at least a vector, are turned, so that each has a lane: as measured for
 * 4, 8 and 16. */
enum { SHORT = CR_LANES == 8 ? 24 : CR_LANES };

static const int32_t softmax_lanes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* The first n floats at p; the other lanes are 0. */
CR_INLINE cr_vec softmax_load(const float *p, int64_t n) {
    cr_vec v = {0};
    if (n == CR_LANES)
        return cr_load(p);
    memcpy(&v, p, (size_t)n * sizeof(float));
    return v;
}

CR_INLINE void softmax_store(float *p, cr_vec v, int64_t n) {
    if (n == CR_LANES)
        cr_store(p, v);
    else
        memcpy(p, &v, (size_t)n * sizeof(float));
}

/* n columns side by side, each in a lane, `step` floats from element to element. */
CR_INLINE void softmax_some(const cr_softmax_shape *s, const float *x, float *y, int64_t step, int64_t n) {
    cr_vec most = softmax_load(x, n), sum = {0};
    for (int64_t k = 1; k < s->extent; k++)
        most = cr_max(most, softmax_load(x + k * step, n));
    for (int64_t k = 0; k < s->extent; k++) {
        const cr_vec u = softmax_load(x + k * step, n) - most, e = cr_exp(u);
        softmax_store(y + k * step, s->log ? u : e, n);
        sum += e;
    }
    for (int l = 0; l < CR_LANES; l++)
        sum[l] = s->log ? logf(sum[l]) : 1 / sum[l];
    for (int64_t k = 0; k < s->extent; k++) {
        const cr_vec v = softmax_load(y + k * step, n);
        softmax_store(y + k * step, s->log ? v - sum : v * sum, n);
    }
}

static void softmax_columns(const cr_softmax_shape *s, const float *x, float *y, int64_t step, int64_t n) {
    if (n == CR_LANES)
        softmax_some(s, x, y, step, CR_LANES);
    else
        softmax_some(s, x, y, step, n);
}

CR_INLINE float softmax_highest(cr_vec v) {
    const cr_ivec lane = cr_load_int(softmax_lanes);
    CR_UNROLL
    for (int half = CR_LANES / 2; half > 0; half /= 2)
        v = cr_max(v, cr_permute(v, lane ^ half));
    return v[0];
}

/* One column of at least a vector whose elements are neighbours. The last vector is taken once more, from
 * before anything is stored: what it has in common with the one before it comes out the same. */
static void softmax_row(const cr_softmax_shape *s, const float *x, float *y) {
    const int64_t whole = s->extent / CR_LANES * CR_LANES, last = s->extent - CR_LANES;
    const cr_vec end = cr_load(x + last);
    cr_vec high = end, total = {0};
    for (int64_t k = 0; k < whole; k += CR_LANES)
        high = cr_max(high, cr_load(x + k));
    const float most = softmax_highest(high);
    for (int64_t k = 0; k < whole; k += CR_LANES) {
        const cr_vec u = cr_load(x + k) - most, e = cr_exp(u);
        cr_store(y + k, s->log ? u : e);
        total += e;
    }
    const cr_vec u = end - most;
    cr_vec e = u;
    if (whole < s->extent) {
        const cr_vec lane = __builtin_convertvector(cr_load_int(softmax_lanes), cr_vec);
        e = cr_exp(u);
        total += cr_select(cr_less(lane, cr_broadcast((float)(whole - last))), (cr_vec){0}, e);
    }
    const float sum = cr_sum_lanes(total), factor = s->log ? logf(sum) : 1 / sum;
    for (int64_t k = 0; k < whole; k += CR_LANES)
        cr_store(y + k, s->log ? cr_load(y + k) - factor : cr_load(y + k) * factor);
    if (whole < s->extent)
        cr_store(y + last, s->log ? u - factor : e * factor);
}

/* n short rows, turned so that each has a lane. */
static void softmax_turned(const cr_softmax_shape *s, const float *x, float *y, int64_t n) {
    float lanes[SHORT * CR_LANES];
    for (int64_t k = 0; k < s->extent; k++)
        for (int64_t i = 0; i < CR_LANES; i++)
            lanes[k * CR_LANES + i] = x[(i < n ? i : 0) * s->extent + k];
    softmax_columns(s, lanes, lanes, CR_LANES, CR_LANES);
    for (int64_t k = 0; k < s->extent; k++)
        for (int64_t i = 0; i < n; i++)
            y[i * s->extent + k] = lanes[k * CR_LANES + i];
}

static int64_t softmax_fewer(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void CR_NAME(cr_softmax)(const cr_softmax_shape *s, const float *x, float *y, int64_t begin, int64_t end) {
    for (int64_t c = begin, n; c < end; c += n) {
        if (s->inner > 1) {
            const int64_t at = c / s->inner * s->extent * s->inner + c % s->inner;
            n = softmax_fewer(softmax_fewer(CR_LANES, s->inner - c % s->inner), end - c);
            softmax_columns(s, x + at, y + at, s->inner, n);
        } else if (s->extent < SHORT) {
            n = softmax_fewer(CR_LANES, end - c);
            softmax_turned(s, x + c * s->extent, y + c * s->extent, n);
        } else {
            n = 1;
            softmax_row(s, x + c * s->extent, y + c * s->extent);
        }
    }
}
