#include "runtime/kernels/attention.h"

#include <math.h>
#include <string.h>

#include "runtime/kernels/reduce.h"
#include "runtime/kernels/softmax.h"

/* Keys in front of those that are hidden in any case. */
static int64_t seen_by(const cr_scores *s) {
    const int64_t seen = s->mask && s->n_mask < s->visible ? s->n_mask : s->visible;
    return seen < 0 ? 0 : seen;
}

#define DEFINE_SCORES(suffix, T, TANH)                                                                       \
    static void cap_##suffix(const cr_scores *s, T *row) {                                                   \
        const T cap = (T)s->softcap;                                                                         \
        for (int64_t i = 0; i < s->n; i++)                                                                   \
            row[i] = cap * TANH(row[i] / cap);                                                               \
    }                                                                                                        \
    static void mask_##suffix(const cr_scores *s, T *row) {                                                  \
        const int64_t seen = seen_by(s);                                                                     \
        if (s->mask) {                                                                                       \
            for (int64_t i = 0; i < seen; i++)                                                               \
                if (s->mask_is_bool)                                                                         \
                    row[i] = ((const uint8_t *)s->mask)[i] ? row[i] : (T)-INFINITY;                          \
                else                                                                                         \
                    row[i] += ((const T *)s->mask)[i];                                                       \
        }                                                                                                    \
        for (int64_t i = seen; i < s->n; i++)                                                                \
            row[i] = (T)-INFINITY;                                                                           \
    }                                                                                                        \
    static void rotate_##suffix(bool interleaved, int64_t rotated, const T *x, const T *cosines,             \
                                const T *sines, T *y) {                                                      \
        const int64_t half = rotated / 2, step = interleaved ? 2 : 1, other = interleaved ? 1 : half;        \
        for (int64_t k = 0; k < half; k++) {                                                                 \
            const T a = x[k * step], b = x[k * step + other];                                                \
            y[k * step] = cosines[k] * a - sines[k] * b;                                                     \
            y[k * step + other] = sines[k] * a + cosines[k] * b;                                             \
        }                                                                                                    \
    }

DEFINE_SCORES(f32, float, tanhf)
DEFINE_SCORES(f64, double, tanh)

static void softmax_f64(const cr_scores *s, double *row) {
    double high = -INFINITY, sum = 0;
    for (int64_t i = 0; i < s->n; i++)
        high = row[i] > high ? row[i] : high;
    for (int64_t i = 0; i < s->n; i++) {
        row[i] = high == -INFINITY ? 0 : exp(row[i] - high);
        sum += row[i];
    }
    for (int64_t i = 0; i < s->n; i++)
        row[i] *= sum == 0 ? 0 : 1 / sum;
}

static void softmax_f32(const cr_scores *s, float *row) {
    const int64_t seen = seen_by(s);
    const cr_isa isa = cr_cpu_isa();
    double high = -INFINITY;
    if (seen > 0)
        cr_reduce(isa)->rows(CR_REDUCE_MAX, row, seen, 1, &high);
    const int64_t any = high == -INFINITY ? 0 : seen;
    if (any > 0)
        cr_softmax(isa)(&(cr_softmax_shape){.extent = any, .inner = 1}, row, row, 0, 1);
    memset(row + any, 0, (size_t)(s->n - any) * sizeof *row);
}

void cr_scores_cap(crease_dtype dtype, const cr_scores *scores, void *row) {
    if (scores->softcap == 0)
        return;
    if (dtype == CREASE_DOUBLE)
        cap_f64(scores, row);
    else
        cap_f32(scores, row);
}

void cr_scores_mask(crease_dtype dtype, const cr_scores *scores, void *row) {
    if (dtype == CREASE_DOUBLE)
        mask_f64(scores, row);
    else
        mask_f32(scores, row);
}

void cr_scores_softmax(crease_dtype dtype, const cr_scores *scores, void *row) {
    if (dtype == CREASE_DOUBLE)
        softmax_f64(scores, row);
    else
        softmax_f32(scores, row);
}

void cr_rotate(crease_dtype dtype, bool interleaved, int64_t rotated, const void *x, const void *cosines,
               const void *sines, void *y) {
    if (dtype == CREASE_DOUBLE)
        rotate_f64(interleaved, rotated, x, cosines, sines, y);
    else
        rotate_f32(interleaved, rotated, x, cosines, sines, y);
}
