/* What vec_tmpl.h needs from AVX-512: masks in mask registers, max and min in one instruction, which the
 * compilers may not form from comparisons because of NaN, and conversions of half a vector, which they split.
 */
#include <immintrin.h>

typedef __mmask16 cr_mask;

CR_INLINE cr_mask cr_less(cr_vec a, cr_vec b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

CR_INLINE cr_mask cr_is_nan(cr_vec v) {
    return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
}

CR_INLINE cr_vec cr_select(cr_mask mask, cr_vec yes, cr_vec no) {
    return _mm512_mask_blend_ps(mask, no, yes);
}

/* The first CR_LANES / 2 floats at p as doubles. */
CR_INLINE cr_wide cr_widened(const float *p) {
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}

/* The larger, the smaller; b if either is NaN. */
CR_INLINE cr_vec cr_max(cr_vec a, cr_vec b) {
    return _mm512_max_ps(a, b);
}

CR_INLINE cr_vec cr_min(cr_vec a, cr_vec b) {
    return _mm512_min_ps(a, b);
}

/* Lane l of the result is lane index[l] of v; indices are in [0, L). */
CR_INLINE cr_vec cr_permute(cr_vec v, cr_ivec index) {
    return _mm512_permutexvar_ps((__m512i)index, v);
}

/* Of all lanes, in an order of its own for each instruction set. */
CR_INLINE float cr_sum_lanes(cr_vec v) {
    return _mm512_reduce_add_ps(v);
}
