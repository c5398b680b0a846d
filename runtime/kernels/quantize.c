#include "runtime/kernels/quantize.h"
#include "runtime/kernels/narrow.h"

#include <math.h>

static void range_of(crease_dtype dtype, double *low, double *high) {
    const bool is_signed = CR_T(dtype) & ((cr_types)CR_T_SIGNED | CR_T(CREASE_INT4) | CR_T(CREASE_INT2));
    const double size = ldexp(1, (int)crease_dtype_bits(dtype));
    *low = is_signed ? -size / 2 : 0;
    *high = is_signed ? size / 2 - 1 : size - 1;
}

/* NaN goes to `zero`. */
static double saturate(double rounded, double zero, double low, double high) {
    const double value = rounded + zero;
    return value < low ? low : value > high ? high : value == value ? value : zero;
}

const cr_quantize_kernels *cr_quantize_of(cr_isa isa) {
    switch (isa) {
    case CR_ISA_PLAIN:
        return NULL;
#if defined __x86_64__ || defined __i386__
    case CR_ISA_AVX2:
        return &cr_quantize_avx2;
    case CR_ISA_AVX512:
        return &cr_quantize_avx512;
#endif
    default:
        return &cr_quantize_generic;
    }
}

static void store(crease_dtype dtype, void *y, int64_t i, double value, bool saturating) {
    if (CR_T(dtype) & (cr_types)CR_T_NARROW)
        cr_narrow_store(dtype, y, i, value, saturating, CR_ROUND_NEAREST);
    else if (crease_dtype_bits(dtype) == 8)
        ((uint8_t *)y)[i] = (uint8_t)(int32_t)value;
    else
        ((uint16_t *)y)[i] = (uint16_t)(int32_t)value;
}

static bool quantize_fast(const cr_scaling *s, const float *x, crease_dtype to, void *y, int64_t n) {
    const cr_quantize_kernels *kernels = cr_quantize_of(cr_cpu_isa());
    if (!kernels || (to != CREASE_UINT8 && to != CREASE_INT8))
        return false;
    if (to == CREASE_UINT8)
        kernels->to_u8(s->scale, (float)s->zero, x, y, n);
    else
        kernels->to_i8(s->scale, (float)s->zero, x, y, n);
    return true;
}

void cr_quantize(const cr_scaling *s, crease_dtype from, const void *x, crease_dtype to, void *y, int64_t at,
                 int64_t n) {
    double low, high;
    if (from == CREASE_FLOAT && quantize_fast(s, (const float *)x + at, to, (char *)y + at, n))
        return;
    const bool is_float = CR_T(to) & ((cr_types)CR_T_FLOAT8 | CR_T(CREASE_FLOAT4E2M1));
    range_of(to, &low, &high);
    for (int64_t i = at; i < at + n; i++) {
        const float q = (float)cr_number_load(from, x, i) / s->scale;
        store(to, y, i, is_float ? (double)q + s->zero : saturate((double)nearbyintf(q), s->zero, low, high),
              s->saturate);
    }
}

static bool dequantize_fast(const cr_scaling *s, crease_dtype from, const void *x, float *y, int64_t n) {
    const cr_quantize_kernels *kernels = cr_quantize_of(cr_cpu_isa());
    if (!kernels || (from != CREASE_UINT8 && from != CREASE_INT8))
        return false;
    if (from == CREASE_UINT8)
        kernels->from_u8(s->scale, (float)s->zero, x, y, n);
    else
        kernels->from_i8(s->scale, (float)s->zero, x, y, n);
    return true;
}

void cr_dequantize(const cr_scaling *s, crease_dtype from, const void *x, crease_dtype to, void *y,
                   int64_t at, int64_t n) {
    if (to == CREASE_FLOAT && dequantize_fast(s, from, (const char *)x + at, (float *)y + at, n))
        return;
    for (int64_t i = at; i < at + n; i++) /* int32 keeps its bits until it is scaled */
        cr_store_float(to, y, i, (double)((float)(cr_number_load(from, x, i) - s->zero) * s->scale));
}

void cr_range_with_zero(const float *x, int64_t n, float *low, float *high) {
    const cr_quantize_kernels *kernels = cr_quantize_of(cr_cpu_isa());
    *low = *high = 0;
    if (kernels) {
        kernels->range(x, n, low, high);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        *low = x[i] < *low ? x[i] : *low;
        *high = x[i] > *high ? x[i] : *high;
    }
}
