#include "runtime/kernels/softmax.h"

#include <math.h>

static void column(const cr_softmax_shape *s, const float *x, float *y) {
    double most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < s->extent; k++) {
        const double value = (double)x[k * s->inner];
        most = value > most ? value : most;
    }
    for (int64_t k = 0; k < s->extent; k++)
        sum += exp((double)x[k * s->inner] - most);
    for (int64_t k = 0; k < s->extent; k++) {
        const double u = (double)x[k * s->inner] - most;
        y[k * s->inner] = (float)(s->log ? u - log(sum) : exp(u) / sum);
    }
}

void cr_softmax_reference(const cr_softmax_shape *s, const float *x, float *y, int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++) {
        const int64_t at = c / s->inner * s->extent * s->inner + c % s->inner;
        column(s, x + at, y + at);
    }
}

cr_softmax_kernel *cr_softmax(cr_isa isa) {
    switch (isa) {
    case CR_ISA_VECTOR:
        return cr_softmax_generic;
#if defined __x86_64__ || defined __i386__
    case CR_ISA_AVX2:
        return cr_softmax_avx2;
    case CR_ISA_AVX512:
        return cr_softmax_avx512;
#elif defined __aarch64__
    case CR_ISA_NEON:
        return cr_softmax_neon;
#endif
    default:
        return cr_softmax_reference;
    }
}
