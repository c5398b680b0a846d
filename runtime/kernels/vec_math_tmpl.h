#ifndef CREASE_RUNTIME_KERNELS_VEC_MATH_TMPL_H
#define CREASE_RUNTIME_KERNELS_VEC_MATH_TMPL_H

/* exp, tanh, sigmoid and erf of a vector; see vec_tmpl.h. NaN gives NaN. Accuracy is held by the tests over
 * every exponent. The polynomials are weighted minimax fits over the stated intervals, rounded to float. */

#include "runtime/kernels/vec_tmpl.h"

/* x = k log 2 + r with |r| <= log(2) / 2: expm1(r) in *fraction, and k + CR_EXP_BIAS, whose low 9 bits are
 * the sign and the exponent of 2^k. |x| < 2^21. Adding 1.5 2^23 + 127 rounds to an integer that then stands,
 * plus 127, in the low bits of the float. */
enum { CR_EXP_BIAS = 0x4b400000 + 127 };
CR_INLINE cr_ivec cr_exp_reduce(cr_vec x, cr_vec *fraction) {
    const float magic = 0x1.8p23f + 127, log2e = 0x1.715476p0f;
    const float ln2_high = 0x1.63p-1f, ln2_low = -0x1.bd0106p-13f; /* k ln2_high is exact */
    const cr_vec shifted = cr_fma(x, cr_broadcast(log2e), cr_broadcast(magic)), k = shifted - magic;
    const cr_vec r = cr_fma(k, cr_broadcast(-ln2_low), cr_fma(k, cr_broadcast(-ln2_high), x));
    cr_vec p = cr_fma(cr_broadcast(0x1.6db426p-10f), r, cr_broadcast(0x1.123b56p-7f));
    p = cr_fma(p, r, cr_broadcast(0x1.55545ep-5f));
    p = cr_fma(p, r, cr_broadcast(0x1.55548ep-3f));
    p = cr_fma(p, r, cr_broadcast(0.5f));
    *fraction = cr_fma(p, r * r, r);
    return (cr_ivec)shifted;
}

/* 2^n for n in [-126, 127], 0 for -127, infinity for 128. */
CR_INLINE cr_vec cr_exp2_biased(cr_ivec biased) {
    return (cr_vec)(biased << 23);
}

#if CR_LANES == 16 && defined __AVX512F__
#include "runtime/kernels/x86/vec_math_avx512.h"
#else

/* e^x within 2 ulp; 0 and infinity beyond the range of float, gradual underflow where the processor has it
 * on. */
CR_INLINE cr_vec cr_exp(cr_vec x) {
    cr_vec fraction;
    const cr_ivec n =
        cr_exp_reduce(cr_clamp(x, cr_broadcast(-105), cr_broadcast(90)), &fraction) - CR_EXP_BIAS;
    const cr_ivec half = n >> 1; /* 2^n itself may be beyond the range */
    return (1 + fraction) * cr_exp2_biased(half + CR_EXP_BIAS) * cr_exp2_biased(n - half + CR_EXP_BIAS);
}

/* 2^x within 2 ulp for sums and quotients with 1: below 2^-126 it may be 0, from 2^127.5 on infinity. */
CR_INLINE cr_vec cr_exp2(cr_vec x) {
    const float magic = 0x1.8p23f + 127; /* as above */
    x = cr_clamp(x, cr_broadcast(-127), cr_broadcast(128));
    const cr_vec shifted = x + magic, r = x - (shifted - magic);
    cr_vec p = cr_fma(cr_broadcast(0x1.5bba14p-10f), r, cr_broadcast(0x1.3cea88p-7f));
    p = cr_fma(p, r, cr_broadcast(0x1.c6b752p-5f));
    p = cr_fma(p, r, cr_broadcast(0x1.ebf9bcp-3f));
    p = cr_fma(p, r, cr_broadcast(0x1.62e42ap-1f));
    return cr_fma(p, r, cr_broadcast(1)) * cr_exp2_biased((cr_ivec)shifted);
}

/* 1 + 2^x within 2 ulp. */
CR_INLINE cr_vec cr_exp2_plus_1(cr_vec x) {
    return 1 + cr_exp2(x);
}

/* numerator / d for d >= 1. */
CR_INLINE cr_vec cr_quotient(cr_vec numerator, cr_vec d) {
    return numerator / d;
}

#endif

/* e^x - 1 within 2 ulp for x <= 0. */
CR_INLINE cr_vec cr_expm1_negative(cr_vec x) {
    cr_vec fraction;
    const cr_vec scale = cr_exp2_biased(cr_exp_reduce(cr_max(cr_broadcast(-30), x), &fraction));
    return cr_fma(scale, fraction, scale - 1);
}

/* numerator / (1 + e^-x) within 3 ulp for x >= 0. Below, where e^-x outgrows the 1, the rounding of
 * x log2(e) shows: within 3 + 1.25 |x| ulp. */
CR_INLINE cr_vec cr_logistic(cr_vec numerator, cr_vec x) {
    return cr_quotient(numerator, cr_exp2_plus_1(x * -0x1.715476p0f));
}

/* Within 3 ulp. */
CR_INLINE cr_vec cr_tanh(cr_vec x) {
    const cr_vec size = cr_abs(x), square = x * x;
    cr_vec p = cr_broadcast(-0x1.76abe4p-8f); /* (tanh(x) - x) / x^3 for |x| < 0.625 */
    p = cr_fma(p, square, cr_broadcast(0x1.5256cap-6f));
    p = cr_fma(p, square, cr_broadcast(-0x1.b84446p-5f));
    p = cr_fma(p, square, cr_broadcast(0x1.110768p-3f));
    p = cr_fma(p, square, cr_broadcast(-0x1.555534p-2f));
    const cr_vec near = cr_fma(p * square, x, x);
    const cr_vec far = cr_copysign(1 - cr_quotient(cr_broadcast(2), cr_exp2_plus_1(size * 0x1.715476p1f)), x);
    return cr_select(cr_less(size, cr_broadcast(0.625f)), near, far);
}

/* Within 3 ulp. */
CR_INLINE cr_vec cr_erf(cr_vec x) {
    const cr_vec size = cr_min(cr_broadcast(4), cr_abs(x)), square = x * x;
    cr_vec p = cr_broadcast(0x1.4ae4c8p-14f); /* erf(x) / x - 1 for |x| < 1 */
    p = cr_fma(p, square, cr_broadcast(-0x1.a485eap-11f));
    p = cr_fma(p, square, cr_broadcast(0x1.5419f4p-8f));
    p = cr_fma(p, square, cr_broadcast(-0x1.b7fbb4p-6f));
    p = cr_fma(p, square, cr_broadcast(0x1.ce2d20p-4f));
    p = cr_fma(p, square, cr_broadcast(-0x1.81273ep-2f));
    p = cr_fma(p, square, cr_broadcast(0x1.06eba8p-3f));
    const cr_vec near = cr_fma(p, x, x);
    cr_vec q =
        cr_broadcast(-0x1.307886p-16f); /* log2(1 - erf(x)) / x for 1 <= |x| <= 4, where erf rounds to 1 */
    q = cr_fma(q, size, cr_broadcast(0x1.fcce5ep-12f));
    q = cr_fma(q, size, cr_broadcast(-0x1.5d9c74p-8f));
    q = cr_fma(q, size, cr_broadcast(0x1.1a3824p-5f));
    q = cr_fma(q, size, cr_broadcast(-0x1.3a4baep-3f));
    q = cr_fma(q, size, cr_broadcast(-0x1.d51976p-1f));
    q = cr_fma(q, size, cr_broadcast(-0x1.a0d9ecp0f));
    const cr_vec far = cr_copysign(1 - cr_exp2(size * q), x);
    return cr_select(cr_less(size, cr_broadcast(1)), near, far);
}

#endif
