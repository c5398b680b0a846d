/* Softmax for one instruction set; see softmax.h. Before including: CR_LANES, CR_SUFFIX. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/softmax.h"
#include "runtime/kernels/vec_math_tmpl.h"

/* Columns that are shorter than this are turned, so that each has a lane. */
enum { SHORT = 4 * CR_LANES };

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

/* One long column whose elements are neighbours. */
static void softmax_row(const cr_softmax_shape *s, const float *x, float *y) {
    const int64_t whole = s->extent / CR_LANES * CR_LANES;
    float most = x[0], rest[CR_LANES], sum = 0;
    cr_vec high = cr_broadcast(most), total = {0};
    for (int64_t k = 0; k < whole; k += CR_LANES)
        high = cr_max(high, cr_load(x + k));
    for (int l = 0; l < CR_LANES; l++)
        most = high[l] > most ? high[l] : most;
    for (int64_t k = whole; k < s->extent; k++)
        most = x[k] > most ? x[k] : most;
    for (int64_t k = 0; k < whole; k += CR_LANES) {
        const cr_vec u = cr_load(x + k) - most, e = cr_exp(u);
        cr_store(y + k, s->log ? u : e);
        total += e;
    }
    for (int l = 0; l < CR_LANES; l++)
        rest[l] = whole + l < s->extent ? x[whole + l] - most : -INFINITY;
    const cr_vec end = cr_exp(cr_load(rest));
    total += end;
    for (int64_t k = whole; k < s->extent; k++)
        y[k] = s->log ? rest[k - whole] : end[k - whole];
    for (int l = 0; l < CR_LANES; l++)
        sum += total[l];
    const float factor = s->log ? logf(sum) : 1 / sum;
    for (int64_t k = 0; k < s->extent; k++)
        y[k] = s->log ? y[k] - factor : y[k] * factor;
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
