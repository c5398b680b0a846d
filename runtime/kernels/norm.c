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

const cr_norm_kernels *cr_norm_kernels_of(crease_dtype dtype) {
    return dtype == CREASE_DOUBLE ? &cr_norm_f64 : &cr_norm_f32;
}
