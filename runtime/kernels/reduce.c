#include "runtime/kernels/reduce.h"

static void columns(cr_reduction op, const float *x, int64_t n, int64_t step, int64_t count, double *sums) {
    for (int64_t j = 0; j < count; j++)
        sums[j] = cr_reduce_start(op);
    for (int64_t i = 0; i < n; i++, x += step)
        for (int64_t j = 0; j < count; j++)
            sums[j] = cr_reduce_step(op, sums[j], (double)x[j]);
}

static void rows(cr_reduction op, const float *x, int64_t n, int64_t count, double *sums) {
    for (int64_t j = 0; j < count; j++)
        columns(op, x + j * n, n, 1, 1, sums + j);
}

static void exp_columns(const float *x, int64_t n, int64_t step, int64_t count, const float *tops,
                        double *sums) {
    for (int64_t j = 0; j < count; j++) {
        sums[j] = 0;
        for (int64_t i = 0; i < n; i++)
            sums[j] += exp((double)x[i * step + j] - (double)tops[j]);
    }
}

static void exp_rows(const float *x, int64_t n, int64_t count, const float *tops, double *sums) {
    for (int64_t j = 0; j < count; j++)
        exp_columns(x + j * n, n, 1, 1, tops + j, sums + j);
}

static void arg_columns(bool least, const float *x, int64_t n, int64_t step, int64_t count, int64_t *at) {
    for (int64_t j = 0; j < count; j++) {
        at[j] = 0;
        for (int64_t i = 1; i < n; i++) {
            const float v = x[i * step + j], best = x[at[j] * step + j];
            if (least ? v < best : v > best)
                at[j] = i;
        }
    }
}

static void arg_rows(bool least, const float *x, int64_t n, int64_t count, int64_t *at) {
    for (int64_t j = 0; j < count; j++)
        arg_columns(least, x + j * n, n, 1, 1, at + j);
}

const cr_reduce_kernels cr_reduce_reference = {rows, columns, exp_rows, exp_columns, arg_rows, arg_columns};

const cr_reduce_kernels *cr_reduce(cr_isa isa) {
    switch (isa) {
    case CR_ISA_VECTOR:
        return &cr_reduce_generic;
#if defined __x86_64__ || defined __i386__
    case CR_ISA_AVX2:
        return &cr_reduce_avx2;
    case CR_ISA_AVX512:
        return &cr_reduce_avx512;
#elif defined __aarch64__
    case CR_ISA_NEON:
        return &cr_reduce_neon;
#endif
    default:
        return &cr_reduce_reference;
    }
}
