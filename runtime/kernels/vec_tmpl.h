#ifndef CREASE_RUNTIME_KERNELS_VEC_TMPL_H
#define CREASE_RUNTIME_KERNELS_VEC_TMPL_H

/* A vector of CR_LANES floats by the vector extensions of gcc and clang. A file of one instruction set
 * defines CR_LANES (4, 8 or 16) and CR_SUFFIX, then includes this and the template bodies it instantiates.
 * Arithmetic is written with the ordinary operators; what they cannot say is here, and where the compilers
 * need telling in x86/vec_*.h. Loads and stores need only the alignment of a float. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef CR_LANES
#error "define CR_LANES before including vec_tmpl.h"
#endif

#define CR_INLINE static inline __attribute__((always_inline, unused))
#if defined CREASE_ROLLED || !defined __OPTIMIZE__ /* with sanitizers a file would take minutes; without */
#define CR_UNROLL                                  /* optimisation gcc warns that it ignores the request */
#elif defined __clang__
#define CR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CR_UNROLL _Pragma("GCC unroll 32")
#endif
#define CR_PASTE2(a, b) a##_##b
#define CR_PASTE(a, b)  CR_PASTE2(a, b)
#define CR_NAME(a)      CR_PASTE(a, CR_SUFFIX)

typedef float cr_vec __attribute__((vector_size(CR_LANES * 4)));
typedef float cr_vec_any __attribute__((vector_size(CR_LANES * 4), aligned(4), may_alias));
typedef double cr_wide __attribute__((vector_size(CR_LANES * 4))); /* half as many doubles */
typedef int32_t cr_ivec __attribute__((vector_size(CR_LANES * 4)));
typedef int32_t cr_ivec_any __attribute__((vector_size(CR_LANES * 4), aligned(4), may_alias));

CR_INLINE cr_vec cr_load(const float *p) {
    return *(const cr_vec_any *)p;
}

CR_INLINE void cr_store(float *p, cr_vec v) {
    *(cr_vec_any *)p = v;
}

CR_INLINE cr_ivec cr_load_int(const int32_t *p) {
    return *(const cr_ivec_any *)p;
}

/* x - 0 is x for every x, -0 and NaN included; compilers see a plain broadcast. */
CR_INLINE cr_vec cr_broadcast(float x) {
    return x - (cr_vec){0};
}

/* v, in a register: for a vector that several multiply-adds use, compilers may load it again with each of
 * them where loads are what there are too many of. */
CR_INLINE cr_vec cr_held(cr_vec v) {
#if defined __x86_64__
    __asm__("" : "+v"(v));
#elif defined __aarch64__
    __asm__("" : "+w"(v));
#endif
    return v;
}

/* a b + c; one rounding where the instruction set has it (contraction within an expression is the compilers'
 * default). */
CR_INLINE cr_vec cr_fma(cr_vec a, cr_vec b, cr_vec c) {
    return a * b + c;
}

#if CR_LANES == 16 && defined __AVX512F__
#include "runtime/kernels/x86/vec_avx512.h"
#else

typedef cr_ivec cr_mask;

CR_INLINE cr_mask cr_less(cr_vec a, cr_vec b) {
    return a < b;
}

CR_INLINE cr_mask cr_is_nan(cr_vec v) {
    return v != v;
}

CR_INLINE cr_vec cr_select(cr_mask mask, cr_vec yes, cr_vec no) {
    return (cr_vec)((mask & (cr_ivec)yes) | (~mask & (cr_ivec)no));
}

/* Of all lanes, in an order of its own for each instruction set. */
CR_INLINE float cr_sum_lanes(cr_vec v) {
    float sum = 0;
    CR_UNROLL
    for (int l = 0; l < CR_LANES; l++)
        sum += v[l];
    return sum;
}

#if CR_LANES == 8 && defined __AVX2__
#include "runtime/kernels/x86/vec_avx2.h"
#else

/* Lane l of the result is lane index[l] of v; indices are in [0, L). */
CR_INLINE cr_vec cr_permute(cr_vec v, cr_ivec index) {
    cr_vec result = {0};
    CR_UNROLL
    for (int l = 0; l < CR_LANES; l++)
        result[l] = v[index[l]];
    return result;
}

#if CR_LANES == 4 && defined __SSE2__
#include "runtime/kernels/x86/vec_sse2.h"
#else

/* The first CR_LANES / 2 floats at p as doubles. */
CR_INLINE cr_wide cr_widened(const float *p) {
    typedef float half __attribute__((vector_size(CR_LANES * 2), aligned(4), may_alias));
    return __builtin_convertvector(*(const half *)p, cr_wide);
}

/* The larger, the smaller; b if either is NaN. */
CR_INLINE cr_vec cr_max(cr_vec a, cr_vec b) {
    return cr_select(cr_less(b, a), a, b);
}

CR_INLINE cr_vec cr_min(cr_vec a, cr_vec b) {
    return cr_select(cr_less(a, b), a, b);
}

#endif
#endif
#endif

/* min(max(x, low), high); NaN stays NaN. */
CR_INLINE cr_vec cr_clamp(cr_vec x, cr_vec low, cr_vec high) {
    return cr_min(high, cr_max(low, x));
}

CR_INLINE cr_vec cr_abs(cr_vec x) {
    return (cr_vec)((cr_ivec)x & 0x7fffffff);
}

/* |x| with the sign of s. */
CR_INLINE cr_vec cr_copysign(cr_vec x, cr_vec s) {
    return (cr_vec)(((cr_ivec)x & 0x7fffffff) | ((cr_ivec)s & (int32_t)0x80000000));
}

#endif
