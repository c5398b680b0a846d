/* What vec_tmpl.h needs from SSE2: max and min in one instruction, which the compilers may not form from
 * comparisons because of NaN, and conversions of half a vector, which they split. */
#include <emmintrin.h>

/* The first CR_LANES / 2 floats at p as doubles. */
CR_INLINE cr_wide cr_widened(const float *p) {
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadu_si64(p)));
}

/* The larger, the smaller; b if either is NaN. */
CR_INLINE cr_vec cr_max(cr_vec a, cr_vec b) {
    return _mm_max_ps(a, b);
}

CR_INLINE cr_vec cr_min(cr_vec a, cr_vec b) {
    return _mm_min_ps(a, b);
}
