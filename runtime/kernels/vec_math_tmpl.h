#ifndef CREASE_RUNTIME_KERNELS_VEC_MATH_TMPL_H
#define CREASE_RUNTIME_KERNELS_VEC_MATH_TMPL_H

/* exp, tanh, sigmoid and erf of a vector; see vec_tmpl.h. NaN gives NaN. Accuracy is held by the tests over
 * every exponent. The polynomials are weighted minimax fits over the stated intervals, rounded to float. */

#include "runtime/kernels/vec_tmpl.h"

/* Each of n vectors (a constant, at most CR_IN_STEP) in step with the others: an evaluation is one long
 * chain, of which the schedulers of a processor hold only a few whole ones. */
enum { CR_IN_STEP = 4 };
#define CR_EACH CR_UNROLL for (int i = 0; i < n; i++)

/* x = k log 2 + r with |r| <= log(2) / 2: expm1(r) in *fraction, k + CR_EXP_BIAS in *biased, whose low 9 bits
 * are the sign and the exponent of 2^k. |x| < 2^21. Adding 1.5 2^23 + 127 rounds to an integer that then
 * stands, plus 127, in the low bits of the float. */
enum { CR_EXP_BIAS = 0x4b400000 + 127 };
CR_INLINE void cr_exp_reduce_each(int n, const cr_vec *x, cr_vec *fraction, cr_ivec *biased) {
    const float magic = 0x1.8p23f + 127, log2e = 0x1.715476p0f;
    const float ln2_high = 0x1.63p-1f, ln2_low = -0x1.bd0106p-13f; /* k ln2_high is exact */
    cr_vec shifted[CR_IN_STEP], r[CR_IN_STEP], p[CR_IN_STEP];
    CR_EACH shifted[i] = cr_fma(x[i], cr_broadcast(log2e), cr_broadcast(magic));
    CR_EACH biased[i] = (cr_ivec)shifted[i];
    CR_EACH shifted[i] = shifted[i] - magic;
    CR_EACH r[i] = cr_fma(shifted[i], cr_broadcast(-ln2_high), x[i]);
    CR_EACH r[i] = cr_fma(shifted[i], cr_broadcast(-ln2_low), r[i]);
    CR_EACH p[i] = cr_fma(cr_broadcast(0x1.6db426p-10f), r[i], cr_broadcast(0x1.123b56p-7f));
    CR_EACH p[i] = cr_fma(p[i], r[i], cr_broadcast(0x1.55545ep-5f));
    CR_EACH p[i] = cr_fma(p[i], r[i], cr_broadcast(0x1.55548ep-3f));
    CR_EACH p[i] = cr_fma(p[i], r[i], cr_broadcast(0.5f));
    CR_EACH fraction[i] = cr_fma(p[i], r[i] * r[i], r[i]);
}

CR_INLINE cr_ivec cr_exp_reduce(cr_vec x, cr_vec *fraction) {
    cr_ivec biased;
    cr_exp_reduce_each(1, &x, fraction, &biased);
    return biased;
}

/* 2^n for n in [-126, 127]. */
CR_INLINE cr_vec cr_exp2_biased(cr_ivec biased) {
    return (cr_vec)(biased << 23);
}

/* e^x within 2 ulp; 0 and infinity beyond the range of float, gradual underflow where the processor has it
 * on. */
CR_INLINE cr_vec cr_exp(cr_vec x) {
    cr_vec fraction;
    const cr_ivec n =
        cr_exp_reduce(cr_clamp(x, cr_broadcast(-105), cr_broadcast(90)), &fraction) - CR_EXP_BIAS;
    const cr_ivec half = n >> 1; /* 2^n itself may be beyond the range */
    return (1 + fraction) * cr_exp2_biased(half + CR_EXP_BIAS) * cr_exp2_biased(n - half + CR_EXP_BIAS);
}

/* e^x - 1 within 2 ulp for x <= 0. */
CR_INLINE cr_vec cr_expm1_negative(cr_vec x) {
    cr_vec fraction;
    const cr_vec scale = cr_exp2_biased(cr_exp_reduce(cr_max(cr_broadcast(-30), x), &fraction));
    return cr_fma(scale, fraction, scale - 1);
}

/* 1 / (1 + e^-x) within 3 ulp; at 87 and beyond, where one power of two still holds e^x, it stays as at 87,
 * less than 2^-125 from the limit. */
CR_INLINE void cr_sigmoid_each(int n, const cr_vec *x, cr_vec *y) {
    const cr_vec limit = cr_broadcast(87);
    cr_vec fraction[CR_IN_STEP], scale[CR_IN_STEP];
    cr_ivec biased[CR_IN_STEP];
    CR_EACH y[i] = -cr_clamp(x[i], -limit, limit);
    cr_exp_reduce_each(n, y, fraction, biased);
    CR_EACH scale[i] = cr_exp2_biased(biased[i]);
    CR_EACH y[i] = 1 + cr_fma(scale[i], fraction[i], scale[i]);
    CR_EACH y[i] = cr_reciprocal(y[i]);
}

CR_INLINE cr_vec cr_sigmoid(cr_vec x) {
    cr_vec y;
    cr_sigmoid_each(1, &x, &y);
    return y;
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
    const cr_vec far = cr_copysign(1 - 2 / (1 + cr_exp(size + size)), x);
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
        cr_broadcast(0x1.a6160ep-17f); /* -log(1 - erf(x)) / x for 1 <= |x| <= 4, where erf rounds to 1 */
    q = cr_fma(q, size, cr_broadcast(-0x1.60ad72p-12f));
    q = cr_fma(q, size, cr_broadcast(0x1.e4a9f8p-9f));
    q = cr_fma(q, size, cr_broadcast(-0x1.873d32p-6f));
    q = cr_fma(q, size, cr_broadcast(0x1.b3b4cep-4f));
    q = cr_fma(q, size, cr_broadcast(0x1.4527acp-1f));
    q = cr_fma(q, size, cr_broadcast(0x1.20f074p0f));
    const cr_vec far = cr_copysign(1 - cr_exp(-size * q), x);
    return cr_select(cr_less(size, cr_broadcast(1)), near, far);
}

#endif
