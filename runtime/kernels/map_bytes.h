#ifndef CREASE_RUNTIME_KERNELS_MAP_BYTES_H
#define CREASE_RUNTIME_KERNELS_MAP_BYTES_H

#include <stdint.h>

/* y[i] = table[x[i]] for n bytes; y may be x. Thread-safe on disjoint ranges. */
typedef void cr_map_bytes_kernel(const uint8_t table[256], const uint8_t *x, uint8_t *y, int64_t n);

/* The best of this processor. */
cr_map_bytes_kernel *cr_map_bytes(void);

/* One by one; and 64 at a time, where cr_cpu_permutes_bytes(). */
cr_map_bytes_kernel cr_map_bytes_plain, cr_map_bytes_avx512vbmi;

#endif
