/* What vec_math_tmpl.h does better on AVX-512: powers of two by a table of 32 roots, a polynomial between
 * them and an instruction that scales by any exponent, up to infinity and down to 0; and division. */

/* numerator / d for d >= 1, within 2 ulp more than the quotient: Newton's step from a reciprocal within
 * 2^-14, in a quarter less time than an Intel processor takes to divide. Beyond 2^126 the reciprocal is
 * subnormal, and so 0 where those are; of infinity it would be NaN, but for the minimum, which is the second
 * operand if there is a NaN. */
CR_INLINE cr_vec cr_quotient(cr_vec numerator, cr_vec d) {
    const cr_vec r = _mm512_rcp14_ps(d);
    const cr_vec error = _mm512_min_ps(_mm512_fnmadd_ps(d, r, cr_broadcast(1)), cr_broadcast(1));
    return numerator * _mm512_fmadd_ps(r, error, r);
}

static const float cr_exp2_roots[32] = {
    0x1p0f,        0x1.059b0ep0f, 0x1.0b5586p0f, 0x1.11301ep0f, 0x1.172b84p0f, 0x1.1d4874p0f, 0x1.2387a6p0f,
    0x1.29e9ep0f,  0x1.306fep0f,  0x1.371a74p0f, 0x1.3dea64p0f, 0x1.44e086p0f, 0x1.4bfdaep0f, 0x1.5342b6p0f,
    0x1.5ab07ep0f, 0x1.6247ecp0f, 0x1.6a09e6p0f, 0x1.71f75ep0f, 0x1.7a1148p0f, 0x1.82589ap0f, 0x1.8ace54p0f,
    0x1.93737cp0f, 0x1.9c4918p0f, 0x1.a5503cp0f, 0x1.ae89fap0f, 0x1.b7f77p0f,  0x1.c199bep0f, 0x1.cb720ep0f,
    0x1.d5818ep0f, 0x1.dfc974p0f, 0x1.ea4afap0f, 0x1.f50766p0f,
};

/* 2^(i/32), i the lowest 5 bits of each lane. */
CR_INLINE cr_vec cr_exp2_root(cr_vec bits) {
    return _mm512_permutex2var_ps(cr_load(cr_exp2_roots), (__m512i)bits, cr_load(cr_exp2_roots + 16));
}

/* e^x within 2 ulp; 0 and infinity beyond the range of float, gradual underflow where the processor has it
 * on. Adding 1.5 2^18 rounds to a multiple of 1/32. */
CR_INLINE cr_vec cr_exp(cr_vec x) {
    const float magic = 0x1.8p18f, log2e = 0x1.715476p0f;
    const float ln2_high = 0x1.63p-1f, ln2_low = -0x1.bd0106p-13f; /* k ln2_high is exact */
    x = cr_clamp(x, cr_broadcast(-105), cr_broadcast(90));
    const cr_vec shifted = cr_fma(x, cr_broadcast(log2e), cr_broadcast(magic)), k = shifted - magic;
    const cr_vec r = cr_fma(k, cr_broadcast(-ln2_low), cr_fma(k, cr_broadcast(-ln2_high), x));
    const cr_vec root = cr_exp2_root(shifted);
    cr_vec p = cr_fma(cr_broadcast(0x1.55548ep-3f), r, cr_broadcast(0x1.000088p-1f));
    p = cr_fma(p, r, cr_broadcast(1));
    return _mm512_scalef_ps(cr_fma(root * r, p, root), k);
}

/* 2^x = root 2^floor(x) (1 + r slope): the root, and r and slope, within 2 ulp. Rounding down keeps the
 * fraction and the whole part of x, which scalef takes, of one mind; of an x so large that adding 1.5 2^18
 * loses the fraction the root does not matter. */
CR_INLINE cr_vec cr_exp2_parts(cr_vec x, cr_vec *r, cr_vec *slope) {
    const cr_vec shifted =
        _mm512_add_round_ps(x, cr_broadcast(0x1.8p18f), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    *r = _mm512_reduce_ps(x, 5 << 4 | _MM_FROUND_TO_NEG_INF);
    *slope = cr_fma(cr_broadcast(0x1.f0f3e6p-3f), *r, cr_broadcast(0x1.62e11ep-1f));
    return cr_exp2_root(shifted);
}

/* 2^x within 2 ulp. */
CR_INLINE cr_vec cr_exp2(cr_vec x) {
    cr_vec r, slope;
    const cr_vec root = cr_exp2_parts(x, &r, &slope);
    return _mm512_scalef_ps(cr_fma(root * r, slope, root), x);
}

/* 1 + 2^x within 2 ulp, the addition being that of a multiply-add, which must not be left to the compiler:
 * with sanitizers it rounds between. */
CR_INLINE cr_vec cr_exp2_plus_1(cr_vec x) {
    cr_vec r, slope;
    const cr_vec root = _mm512_scalef_ps(cr_exp2_parts(x, &r, &slope), x);
    return _mm512_fmadd_ps(root, _mm512_fmadd_ps(slope, r, cr_broadcast(1)), cr_broadcast(1));
}
