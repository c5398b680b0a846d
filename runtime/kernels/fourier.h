#ifndef CREASE_RUNTIME_KERNELS_FOURIER_H
#define CREASE_RUNTIME_KERNELS_FOURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Discrete Fourier transforms of any length n >= 1 in O(n log n), in double: radix 2 for powers of two,
 * Bluestein's algorithm (1970) by way of them otherwise. */

/* Doubles of the table and of the workspace for length n; false where that is more than memory can hold. */
bool cr_fourier_sizes(int64_t n, size_t *table, size_t *workspace);
void cr_fourier_make(int64_t n, double *table);

/* x [n][2], real and imaginary parts, becomes its transform; the inverse is divided by n. Thread-safe with a
 * workspace each. */
void cr_fourier_run(int64_t n, const double *table, bool inverse, double *x, double *workspace);

#endif
