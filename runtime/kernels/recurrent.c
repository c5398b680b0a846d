#include "runtime/kernels/recurrent.h"

#include "runtime/base/cpu.h"

#include <math.h>

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

double cr_cell_activate(const cr_cell_activation *activation, double x) {
    const double a = activation->a, b = activation->b;
    switch (activation->kind) {
    case CR_CELL_TANH:
        return tanh(x);
    case CR_CELL_SIGMOID:
        return 1 / (1 + exp(-x));
    case CR_CELL_RELU:
        return x < 0 ? 0 : x;
    case CR_CELL_HARD_SIGMOID:
        return clamp(a * x + b, 0, 1);
    case CR_CELL_AFFINE:
        return a * x + b;
    case CR_CELL_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case CR_CELL_THRESHOLDED_RELU:
        return x > a ? x : 0;
    case CR_CELL_SCALED_TANH:
        return a * tanh(b * x);
    case CR_CELL_ELU:
        return x < 0 ? a * expm1(x) : x;
    case CR_CELL_SOFTSIGN:
        return x / (1 + fabs(x));
    case CR_CELL_SOFTPLUS:
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    }
    return x;
}

static double activate(const cr_cell *cell, const cr_cell_activation *activation, double x) {
    return cr_cell_activate(activation, clamp(x, -cell->clip, cell->clip));
}

/* Sums in double, one rounding when a state is stored. */
#define DEFINE_CELL(name, T)                                                                                 \
    static double name##_sum(const cr_cell *cell, const void *x, const void *r, int64_t i) {                 \
        return (double)((const T *)x)[i] + (double)((const T *)r)[i] + (double)((const T *)cell->bias)[i];   \
    }                                                                                                        \
    static double name##_peep(const cr_cell *cell, int64_t i, double c) {                                    \
        return cell->peep ? (double)((const T *)cell->peep)[i] * c : 0;                                      \
    }                                                                                                        \
    static void name##_rnn(const cr_cell *cell, const void *x, const void *r, void *h) {                     \
        for (int64_t i = 0; i < cell->n; i++)                                                                \
            ((T *)h)[i] = (T)activate(cell, &cell->f, name##_sum(cell, x, r, i));                            \
    }                                                                                                        \
    static void name##_lstm(const cr_cell *cell, const void *x, const void *r, void *h, void *c) {           \
        const int64_t n = cell->n;                                                                           \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            const double was = (double)((T *)c)[i];                                                          \
            const double in =                                                                                \
                activate(cell, &cell->f, name##_sum(cell, x, r, i) + name##_peep(cell, i, was));             \
            const double kept =                                                                              \
                cell->coupled                                                                                \
                    ? 1 - in                                                                                 \
                    : activate(cell, &cell->f,                                                               \
                               name##_sum(cell, x, r, 2 * n + i) + name##_peep(cell, 2 * n + i, was));       \
            const double now =                                                                               \
                kept * was + in * activate(cell, &cell->g, name##_sum(cell, x, r, 3 * n + i));               \
            const double out =                                                                               \
                activate(cell, &cell->f, name##_sum(cell, x, r, n + i) + name##_peep(cell, n + i, now));     \
            ((T *)c)[i] = (T)now;                                                                            \
            ((T *)h)[i] = (T)(out * cr_cell_activate(&cell->h, now));                                        \
        }                                                                                                    \
    }                                                                                                        \
    static void name##_gru_reset(const cr_cell *cell, const void *x, const void *r, const void *h,           \
                                 void *reset) {                                                              \
        for (int64_t i = 0; i < cell->n; i++)                                                                \
            ((T *)reset)[i] = (T)(activate(cell, &cell->f, name##_sum(cell, x, r, cell->n + i)) *            \
                                  (double)((const T *)h)[i]);                                                \
    }                                                                                                        \
    static void name##_gru(const cr_cell *cell, const void *x, const void *r, void *h) {                     \
        const int64_t n = cell->n;                                                                           \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            double sum = name##_sum(cell, x, r, 2 * n + i);                                                  \
            if (cell->linear)                                                                                \
                sum = (double)((const T *)x)[2 * n + i] + (double)((const T *)cell->bias)[2 * n + i] +       \
                      activate(cell, &cell->f, name##_sum(cell, x, r, n + i)) *                              \
                          ((double)((const T *)r)[2 * n + i] + (double)((const T *)cell->bias_r)[i]);        \
            const double z = activate(cell, &cell->f, name##_sum(cell, x, r, i));                            \
            ((T *)h)[i] = (T)((1 - z) * activate(cell, &cell->g, sum) + z * (double)((T *)h)[i]);            \
        }                                                                                                    \
    }                                                                                                        \
    const cr_cell_kernels name = {name##_rnn, name##_lstm, name##_gru_reset, name##_gru};

DEFINE_CELL(cr_cell_f32_reference, float)
DEFINE_CELL(cr_cell_f64, double)

/* ---- the choice ---- */

static bool has_vector_form(const cr_cell_activation *activation) {
    switch (activation->kind) {
    case CR_CELL_TANH:
    case CR_CELL_SIGMOID:
    case CR_CELL_RELU:
    case CR_CELL_HARD_SIGMOID:
    case CR_CELL_LEAKY_RELU:
    case CR_CELL_ELU:
        return true;
    default:
        return false;
    }
}

const cr_cell_kernels *cr_cell_kernels_for(crease_dtype dtype, const cr_cell *cell) {
    const cr_isa isa = cr_cpu_isa();
    if (dtype == CREASE_DOUBLE)
        return &cr_cell_f64;
    if (isa == CR_ISA_PLAIN || !has_vector_form(&cell->f) || !has_vector_form(&cell->g) ||
        !has_vector_form(&cell->h))
        return &cr_cell_f32_reference;
#if defined __x86_64__ || defined __i386__
    if (isa == CR_ISA_AVX512)
        return &cr_cell_f32_avx512;
    if (isa == CR_ISA_AVX2)
        return &cr_cell_f32_avx2;
#endif
    return &cr_cell_f32_generic;
}
