#include "runtime/kernels/map_bytes.h"
#include "runtime/base/cpu.h"

void cr_map_bytes_plain(const uint8_t table[256], const uint8_t *x, uint8_t *y, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = table[x[i]];
}

cr_map_bytes_kernel *cr_map_bytes(void) {
#if defined __x86_64__ || defined __i386__
    if (cr_cpu_permutes_bytes())
        return cr_map_bytes_avx512vbmi;
#endif
    return cr_map_bytes_plain;
}
