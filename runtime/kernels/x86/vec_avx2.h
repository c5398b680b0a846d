/* What vec_tmpl.h needs from AVX2: max and min in one instruction, which the compilers may not form from
 * comparisons because of NaN, and conversions of half a vector, which they split. */
#include <immintrin.h>

/* The first CR_LANES / 2 floats at p as doubles. */
CR_INLINE cr_wide cr_widened(const float *p) {
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

/* The larger, the smaller; b if either is NaN. */
CR_INLINE cr_vec cr_max(cr_vec a, cr_vec b) {
    return _mm256_max_ps(a, b);
}

CR_INLINE cr_vec cr_min(cr_vec a, cr_vec b) {
    return _mm256_min_ps(a, b);
}

/* Lane l of the result is lane index[l] of v; indices are in [0, L). */
CR_INLINE cr_vec cr_permute(cr_vec v, cr_ivec index) {
    return _mm256_permutevar8x32_ps(v, (__m256i)index);
}
