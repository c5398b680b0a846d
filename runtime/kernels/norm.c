#include "runtime/kernels/norm.h"

#include <math.h>

enum { CHAINS = 8 }; /* independent additions in flight: hides their latency, and lets compilers vectorise */

#define T         float
#define NAME(f)   f##_f32
#define POW(x, y) powf(x, y)
#define SQRT(x)   sqrtf(x)
#include "runtime/kernels/norm_tmpl.h"
#undef T
#undef NAME
#undef POW
#undef SQRT

#define T         double
#define NAME(f)   f##_f64
#define POW(x, y) pow(x, y)
#define SQRT(x)   sqrt(x)
#include "runtime/kernels/norm_tmpl.h"

const cr_norm_kernels *cr_norm_f32_of(cr_isa isa) {
    switch (isa) {
    case CR_ISA_VECTOR:
        return &cr_norm_f32_generic;
#if defined __x86_64__ || defined __i386__
    case CR_ISA_AVX2:
        return &cr_norm_f32_avx2;
    case CR_ISA_AVX512:
        return &cr_norm_f32_avx512;
#elif defined __aarch64__
    case CR_ISA_NEON:
        return &cr_norm_f32_neon;
#endif
    default:
        return &cr_norm_f32;
    }
}

const cr_norm_kernels *cr_norm_kernels_of(crease_dtype dtype) {
    return dtype == CREASE_DOUBLE ? &cr_norm_f64 : cr_norm_f32_of(cr_cpu_isa());
}

void cr_lrn_channel(crease_dtype dtype, const void *image, void *y, int64_t channels, int64_t area, int64_t c,
                    const cr_lrn *lrn) {
    if (dtype == CREASE_DOUBLE)
        lrn_f64(image, y, channels, area, c, lrn);
    else
        lrn_f32(image, y, channels, area, c, lrn);
}
