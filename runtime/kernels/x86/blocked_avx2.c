/* Blocked kernels on AVX2. */
#define CR_LANES  8
#define CR_SUFFIX avx2
#include <immintrin.h>

#include "runtime/kernels/vec_tmpl.h"

/* The permutation reads the low three bits of an index; the fourth, moved to the sign, chooses between the
 * two. */
CR_INLINE cr_vec permute_pair(cr_vec a, cr_vec b, cr_ivec index) {
    const __m256 from_a = _mm256_permutevar8x32_ps(a, (__m256i)index);
    const __m256 from_b = _mm256_permutevar8x32_ps(b, (__m256i)index);
    return _mm256_blendv_ps(from_a, from_b, (__m256)(index << 28));
}

#include "runtime/kernels/blocked/blocked_tmpl.h"
