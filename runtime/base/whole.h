#ifndef CREASE_RUNTIME_BASE_WHOLE_H
#define CREASE_RUNTIME_BASE_WHOLE_H

#include <stdint.h>

/* Whole numbers. */

static inline int64_t cr_smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t cr_larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static inline int64_t cr_within(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* a / b rounded up, n to a multiple of unit. a and n are not negative, b and unit positive, and the sum of
 * both fits. */
static inline int64_t cr_divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static inline int64_t cr_round_up(int64_t n, int64_t unit) {
    return cr_divide_up(n, unit) * unit;
}

#endif
