#include "runtime/kernels/resize.h"

#define DEFINE_RESIZE(T)                                                                                     \
    static void sum_rows_##T(const T *weight, const int64_t *at, int64_t n, const T *x, T *restrict y,       \
                             int64_t inner) {                                                                \
        const T *a = x + at[0] * inner, *b = x + at[n > 1] * inner;                                          \
        T u = weight[0], v = weight[n > 1];                                                                  \
        for (int64_t j = 0; j < inner; j++)                                                                  \
            y[j] = n > 1 ? u * a[j] + v * b[j] : u * a[j];                                                   \
        for (int64_t k = 2; k < n; k++) {                                                                    \
            const T *c = x + at[k] * inner;                                                                  \
            T w = weight[k];                                                                                 \
            for (int64_t j = 0; j < inner; j++)                                                              \
                y[j] += w * c[j];                                                                            \
        }                                                                                                    \
    }                                                                                                        \
    static T sum_taps_##T(const T *weight, const int64_t *at, int64_t n, const T *x) {                       \
        T sum = 0;                                                                                           \
        for (int64_t k = 0; k < n; k++)                                                                      \
            sum += weight[k] * x[at[k]];                                                                     \
        return sum;                                                                                          \
    }                                                                                                        \
    /* positions [first, last) of one line */                                                                \
    static void line_##T(const cr_taps *t, T outside, const T *x, T *y, int64_t first, int64_t last) {       \
        const T *weight = t->weight;                                                                         \
        const int64_t *at = t->at;                                                                           \
        if (t->n == 2)                                                                                       \
            for (int64_t i = first; i < last; i++)                                                           \
                y[i] = at[2 * i] < 0 ? outside                                                               \
                                     : weight[2 * i] * x[at[2 * i]] + weight[2 * i + 1] * x[at[2 * i + 1]];  \
        else                                                                                                 \
            for (int64_t i = first; i < last; i++)                                                           \
                y[i] = at[t->n * i] < 0 ? outside : sum_taps_##T(weight + t->n * i, at + t->n * i, t->n, x); \
    }                                                                                                        \
    static void axis_##T(const cr_taps *t, T outside, const T *x, T *y, int64_t in, int64_t out,             \
                         int64_t inner, int64_t begin, int64_t end) {                                        \
        const T *weight = t->weight;                                                                         \
        for (int64_t row = begin, last; row < end; row = last) {                                             \
            int64_t o = row / out, first = row % out;                                                        \
            last = (o + 1) * out < end ? (o + 1) * out : end;                                                \
            const T *from = x + o * in * inner;                                                              \
            if (inner == 1) {                                                                                \
                line_##T(t, outside, from, y + o * out, first, last - o * out);                              \
                continue;                                                                                    \
            }                                                                                                \
            for (int64_t i = first; i < last - o * out; i++) {                                               \
                const int64_t *at = t->at + t->n * i;                                                        \
                T *to = y + (o * out + i) * inner;                                                           \
                if (at[0] >= 0)                                                                              \
                    sum_rows_##T(weight + t->n * i, at, t->n, from, to, inner);                              \
                for (int64_t j = 0; at[0] < 0 && j < inner; j++)                                             \
                    to[j] = outside;                                                                         \
            }                                                                                                \
        }                                                                                                    \
    }
DEFINE_RESIZE(float)
DEFINE_RESIZE(double)

void cr_resize_axis(crease_dtype dtype, const cr_taps *taps, double outside, const void *x, void *y,
                    int64_t in, int64_t out, int64_t inner, int64_t begin, int64_t end) {
    if (dtype == CREASE_DOUBLE)
        axis_double(taps, outside, x, y, in, out, inner, begin, end);
    else
        axis_float(taps, (float)outside, x, y, in, out, inner, begin, end);
}

/* ---- integers ---- */

/* The bounds are exact in double or round outwards, so that they are compared with >= and <=. */
#define CONVERT(T, LOW, HIGH)                                                                                \
    do {                                                                                                     \
        for (int64_t i = 0; widened && i < n; i++)                                                           \
            widened[i] = (double)((const T *)narrow_in)[i];                                                  \
        for (int64_t i = 0; narrow_out && i < n; i++)                                                        \
            ((T *)narrow_out)[i] = !(wide_in[i] > (double)(LOW))  ? (LOW)                                    \
                                   : wide_in[i] >= (double)(HIGH) ? (HIGH)                                   \
                                                                  : (T)wide_in[i];                           \
    } while (0)

static void convert(crease_dtype dtype, const void *narrow_in, double *widened, const double *wide_in,
                    void *narrow_out, int64_t n) {
    switch (dtype) {
    case CREASE_INT8:
        CONVERT(int8_t, INT8_MIN, INT8_MAX);
        break;
    case CREASE_UINT8:
        CONVERT(uint8_t, 0, UINT8_MAX);
        break;
    case CREASE_INT16:
        CONVERT(int16_t, INT16_MIN, INT16_MAX);
        break;
    case CREASE_UINT16:
        CONVERT(uint16_t, 0, UINT16_MAX);
        break;
    case CREASE_INT32:
        CONVERT(int32_t, INT32_MIN, INT32_MAX);
        break;
    case CREASE_UINT32:
        CONVERT(uint32_t, 0, UINT32_MAX);
        break;
    case CREASE_INT64:
        CONVERT(int64_t, INT64_MIN, INT64_MAX);
        break;
    default:
        CONVERT(uint64_t, 0, UINT64_MAX);
        break;
    }
}

void cr_integers_to_doubles(crease_dtype dtype, const void *x, double *y, int64_t n) {
    convert(dtype, x, y, NULL, NULL, n);
}

void cr_doubles_to_integers(crease_dtype dtype, const double *x, void *y, int64_t n) {
    convert(dtype, NULL, NULL, x, y, n);
}
