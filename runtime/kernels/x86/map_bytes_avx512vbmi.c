#include "runtime/kernels/map_bytes.h"

#include <immintrin.h>

/* The table is four registers: each permutation of two of them chooses by seven bits of a byte, and its
 * highest bit between both. */
void cr_map_bytes_avx512vbmi(const uint8_t table[256], const uint8_t *x, uint8_t *y, int64_t n) {
    const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64),
                  t2 = _mm512_loadu_si512(table + 128), t3 = _mm512_loadu_si512(table + 192);
    for (; n > 0; n -= 64, x += 64, y += 64) {
        const __mmask64 some = n < 64 ? ~0ULL >> (64 - n) : ~0ULL;
        const __m512i at = _mm512_maskz_loadu_epi8(some, x);
        const __m512i low = _mm512_permutex2var_epi8(t0, at, t1), high = _mm512_permutex2var_epi8(t2, at, t3);
        _mm512_mask_storeu_epi8(y, some, _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), low, high));
    }
}
