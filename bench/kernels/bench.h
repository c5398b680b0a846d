#ifndef CREASE_BENCH_KERNELS_BENCH_H
#define CREASE_BENCH_KERNELS_BENCH_H

/* What the benches share: memory, made-up data, cold caches. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Aligned to a cache line, with one to spare; ends the program where there is none. */
static inline void *bench_allocate(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (p == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(5);
    }
    return p;
}

/* From -scale / 2 to scale / 2. */
static inline float *bench_floats(int64_t n, float scale) {
    float *p = bench_allocate((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        p[i] = scale * ((float)rand() / (float)RAND_MAX - 0.5f);
    return p;
}

static inline void *bench_bytes(size_t n) {
    uint8_t *p = bench_allocate(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(rand() >> 8);
    return p;
}

/* Flushed line by line where that can be said, and otherwise pushed out by other data. */
static inline void bench_clear_caches(const void *data, size_t bytes) {
#if defined __x86_64__
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_ia32_clflush((const char *)data + i);
    __builtin_ia32_mfence();
#else
    enum { ENOUGH = 64 << 20 };
    static char other[ENOUGH];
    (void)data;
    (void)bytes;
    memset(other, other[0] + 1, sizeof other);
#endif
}

#endif
