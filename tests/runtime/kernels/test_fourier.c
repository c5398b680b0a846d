#include "runtime/kernels/fourier.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *random_line(int64_t n) {
    double *x = malloc((size_t)n * 2 * sizeof *x);
    for (int64_t i = 0; i < 2 * n; i++)
        x[i] = (double)rand() / RAND_MAX - 0.5;
    return x;
}

static void run(int64_t n, bool inverse, double *x) {
    size_t table_doubles, workspace_doubles;
    cr_assert(cr_fourier_sizes(n, &table_doubles, &workspace_doubles));
    double *table = malloc(table_doubles * sizeof *table);
    double *workspace = malloc((workspace_doubles + 1) * sizeof *workspace);
    cr_fourier_make(n, table);
    cr_fourier_run(n, table, inverse, x, workspace);
    free(table);
    free(workspace);
}

Test(fourier, every_length_follows_the_definition) {
    srand(20250302);
    for (int64_t n = 1; n <= 67; n++) {
        double *x = random_line(n), *y = malloc((size_t)n * 2 * sizeof *y);
        memcpy(y, x, (size_t)n * 2 * sizeof *y);
        run(n, false, y);
        for (int64_t k = 0; k < n; k++) {
            double re = 0, im = 0;
            for (int64_t i = 0; i < n; i++) {
                const double angle = -2 * 3.14159265358979323846 * (double)(i * k % n) / (double)n;
                re += x[2 * i] * cos(angle) - x[2 * i + 1] * sin(angle);
                im += x[2 * i] * sin(angle) + x[2 * i + 1] * cos(angle);
            }
            cr_assert_float_eq(y[2 * k], re, 1e-12, "n %lld, k %lld", (long long)n, (long long)k);
            cr_assert_float_eq(y[2 * k + 1], im, 1e-12, "n %lld, k %lld", (long long)n, (long long)k);
        }
        free(x);
        free(y);
    }
}

Test(fourier, the_inverse_leads_back) {
    static const int64_t lengths[] = {1024, 1000, 997, 400};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        const int64_t n = lengths[l];
        double *x = random_line(n), *y = malloc((size_t)n * 2 * sizeof *y);
        memcpy(y, x, (size_t)n * 2 * sizeof *y);
        run(n, false, y);
        run(n, true, y);
        for (int64_t i = 0; i < 2 * n; i++)
            cr_assert_float_eq(y[i], x[i], 1e-12);
        free(x);
        free(y);
    }
}

Test(fourier, lengths_beyond_memory_are_refused) {
    size_t table, workspace;
    cr_assert_not(cr_fourier_sizes(0, &table, &workspace));
    cr_assert_not(cr_fourier_sizes(INT64_MAX, &table, &workspace));
}
