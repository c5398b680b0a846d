/* Blocked kernels on AVX-512. */
#define CR_LANES  16
#define CR_SUFFIX avx512
#include <immintrin.h>

#include "runtime/kernels/vec_tmpl.h"

CR_INLINE cr_vec permute_pair(cr_vec a, cr_vec b, cr_ivec index) {
    return _mm512_permutex2var_ps(a, (__m512i)index, b);
}

#include "runtime/kernels/blocked/blocked_tmpl.h"
