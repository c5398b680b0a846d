#include "runtime/kernels/fourier.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static bool is_power(int64_t n) {
    return (n & (n - 1)) == 0;
}

/* The power of two that holds a convolution of length n with one of 2 n - 1. */
static int64_t padded(int64_t n) {
    int64_t m = 1;
    while (m < 2 * n - 1)
        m *= 2;
    return m;
}

/* Table: roots of unity of the power of two [m / 2], then for Bluestein the chirp [n] and the transform of
 * its conjugate [m]; all complex. */
bool cr_fourier_sizes(int64_t n, size_t *table, size_t *workspace) {
    if (n < 1 || n > (int64_t)1 << 40)
        return false;
    const int64_t m = is_power(n) ? n : padded(n);
    *table = (size_t)(m / 2 + 1) * 2 + (is_power(n) ? 0 : (size_t)(n + m) * 2);
    *workspace = is_power(n) ? 0 : (size_t)m * 2;
    return true;
}

static void swap(double *x, int64_t i, int64_t j) {
    for (int part = 0; part < 2; part++) {
        const double kept = x[2 * i + part];
        x[2 * i + part] = x[2 * j + part];
        x[2 * j + part] = kept;
    }
}

static void reverse_bits(int64_t n, double *x) {
    for (int64_t i = 1, j = 0; i < n; i++) {
        int64_t bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j |= bit;
        if (i < j)
            swap(x, i, j);
    }
}

/* Cooley and Tukey (1965), n a power of two. */
static void radix_2(int64_t n, const double *roots, double *x) {
    reverse_bits(n, x);
    for (int64_t half = 1; half < n; half *= 2) {
        const int64_t step = n / (2 * half);
        for (int64_t base = 0; base < n; base += 2 * half)
            for (int64_t k = 0; k < half; k++) {
                double *a = x + 2 * (base + k), *b = a + 2 * half;
                const double *w = roots + 2 * k * step;
                const double re = b[0] * w[0] - b[1] * w[1], im = b[0] * w[1] + b[1] * w[0];
                b[0] = a[0] - re;
                b[1] = a[1] - im;
                a[0] += re;
                a[1] += im;
            }
    }
}

static void multiply(double *x, const double *y) {
    const double re = x[0] * y[0] - x[1] * y[1];
    x[1] = x[0] * y[1] + x[1] * y[0];
    x[0] = re;
}

static void conjugate(int64_t n, double *x, double scale) {
    for (int64_t i = 0; i < n; i++) {
        x[2 * i] *= scale;
        x[2 * i + 1] *= -scale;
    }
}

void cr_fourier_make(int64_t n, double *table) {
    const int64_t m = is_power(n) ? n : padded(n);
    for (int64_t k = 0; k < m / 2 + 1; k++) {
        table[2 * k] = cos(-2 * pi * (double)k / (double)m);
        table[2 * k + 1] = sin(-2 * pi * (double)k / (double)m);
    }
    if (is_power(n))
        return;
    double *chirp = table + 2 * (m / 2 + 1), *spectrum = chirp + 2 * n;
    memset(spectrum, 0, (size_t)m * 2 * sizeof *spectrum);
    int64_t square = 0; /* k^2 modulo 2 n, without overflow */
    for (int64_t k = 0; k < n; k++) {
        const double angle = pi * (double)square / (double)n;
        chirp[2 * k] = cos(angle);
        chirp[2 * k + 1] = -sin(angle);
        for (int side = 0; side < (k ? 2 : 1); side++) {
            double *to = spectrum + 2 * (side ? m - k : k);
            to[0] = cos(angle);
            to[1] = sin(angle);
        }
        square = (square + 2 * k + 1) % (2 * n);
    }
    radix_2(m, table, spectrum);
}

static void bluestein(int64_t n, const double *table, double *x, double *workspace) {
    const int64_t m = padded(n);
    const double *chirp = table + 2 * (m / 2 + 1), *spectrum = chirp + 2 * n;
    memset(workspace, 0, (size_t)m * 2 * sizeof *workspace);
    for (int64_t k = 0; k < n; k++) {
        memcpy(workspace + 2 * k, x + 2 * k, 2 * sizeof *x);
        multiply(workspace + 2 * k, chirp + 2 * k);
    }
    radix_2(m, table, workspace);
    for (int64_t k = 0; k < m; k++)
        multiply(workspace + 2 * k, spectrum + 2 * k);
    conjugate(m, workspace, 1);
    radix_2(m, table, workspace);
    conjugate(m, workspace, 1 / (double)m);
    for (int64_t k = 0; k < n; k++) {
        memcpy(x + 2 * k, workspace + 2 * k, 2 * sizeof *x);
        multiply(x + 2 * k, chirp + 2 * k);
    }
}

void cr_fourier_run(int64_t n, const double *table, bool inverse, double *x, double *workspace) {
    if (inverse)
        conjugate(n, x, 1);
    if (is_power(n))
        radix_2(n, table, x);
    else
        bluestein(n, table, x, workspace);
    if (inverse)
        conjugate(n, x, 1 / (double)n);
}
