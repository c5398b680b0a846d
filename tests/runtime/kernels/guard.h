#ifndef CREASE_TESTS_RUNTIME_KERNELS_GUARD_H
#define CREASE_TESTS_RUNTIME_KERNELS_GUARD_H

/* For kernel tests: buffers between guard zones, reproducible random numbers, the instruction sets of this
 * processor. Guard zones hold NaN, so a kernel that reads past a buffer poisons its result and one that
 * writes there is seen. */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/cpu.h"

#define TEST_UNUSED __attribute__((unused))

enum { GUARD_FLOATS = 64 };

/* Data starts one float past a multiple of 64 bytes: kernels assume no more than the alignment of a float. */
typedef struct guarded {
    float *data;
    size_t n;
    float *memory;
} guarded;

TEST_UNUSED static guarded guarded_new(size_t n) {
    guarded g = {.n = n};
    const size_t bytes = ((n + 1 + 2 * GUARD_FLOATS) * sizeof(float) + 63) / 64 * 64;
    g.memory = aligned_alloc(64, bytes);
    if (g.memory == NULL)
        abort();
    memset(g.memory, 0xff, bytes); /* NaN */
    g.data = g.memory + 1 + GUARD_FLOATS;
    return g;
}

/* Data starts at a multiple of 64 bytes, as that of workspaces does. */
TEST_UNUSED static guarded guarded_new_aligned(size_t n) {
    guarded g = guarded_new(n);
    g.data = g.memory + GUARD_FLOATS;
    return g;
}

TEST_UNUSED static void guarded_free(guarded *g) {
    free(g->memory);
    g->memory = NULL;
}

TEST_UNUSED static bool guarded_intact(const guarded *g) {
    for (size_t i = 0; i < GUARD_FLOATS; i++) {
        uint32_t before, after;
        memcpy(&before, g->data - 1 - i, sizeof before);
        memcpy(&after, &g->data[g->n + i], sizeof after);
        if (before != UINT32_MAX || after != UINT32_MAX)
            return false;
    }
    return true;
}

/* ---- random numbers: xorshift; the seed is the time or CREASE_TEST_SEED and stands in messages of failure
 * ---- */

static uint64_t test_random_state, test_seed_value;

TEST_UNUSED static void test_seed(void) {
    const char *given = getenv("CREASE_TEST_SEED");
    const uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    test_seed_value = seed;
    test_random_state = seed * 0x9e3779b97f4a7c15u + 1;
}

TEST_UNUSED static uint64_t random_bits(void) {
    test_random_state ^= test_random_state << 13;
    test_random_state ^= test_random_state >> 7;
    test_random_state ^= test_random_state << 17;
    return test_random_state;
}

/* In [low, high]. */
TEST_UNUSED static int64_t random_int(int64_t low, int64_t high) {
    return low + (int64_t)(random_bits() % (uint64_t)(high - low + 1));
}

TEST_UNUSED static bool random_chance(int percent) {
    return random_int(1, 100) <= percent;
}

/* In [-1, 1). */
TEST_UNUSED static float random_float(void) {
    return (float)(random_bits() >> 40) * 0x1p-23f - 1;
}

TEST_UNUSED static void random_fill(guarded *g) {
    for (size_t i = 0; i < g->n; i++)
        g->data[i] = random_float();
}

TEST_UNUSED static guarded random_buffer(size_t n) {
    guarded g = guarded_new(n);
    random_fill(&g);
    return g;
}

/* The number of random cases where usually there are `usual`: CREASE_TEST_PERCENT of them, for emulators
 * and sanitizers. */
TEST_UNUSED static int test_rounds(int usual) {
    const char *percent = getenv("CREASE_TEST_PERCENT");
    const int rounds = percent != NULL ? usual * atoi(percent) / 100 : usual;
    return rounds > 0 ? rounds : 1;
}

/* Whether this processor runs kernels of an instruction set. */
TEST_UNUSED static bool isa_runs(cr_isa isa) {
    const cr_isa best = cr_cpu_isa();
    if (isa == CR_ISA_NEON || best == CR_ISA_NEON)
        return isa == best || isa < CR_ISA_AVX2;
    return isa <= best;
}

#endif
