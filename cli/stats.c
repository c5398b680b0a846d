#include "cli/stats.h"
#include "cli/memory.h"
#include "cli/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 2000 };

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted(const double *values, size_t n) {
    double *copy = memory_take(n, sizeof *copy);
    memcpy(copy, values, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, by_value);
    return copy;
}

static double middle(const double *ordered, size_t n) {
    return n % 2 ? ordered[n / 2] : (ordered[n / 2 - 1] + ordered[n / 2]) / 2;
}

double stats_median(const double *values, size_t n) {
    double *ordered = sorted(values, n), median = middle(ordered, n);
    free(ordered);
    return median;
}

stats stats_of(const double *values, size_t n) {
    double sum = 0, squares = 0, *ordered = sorted(values, n);
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    stats s = {.median = middle(ordered, n),
               .min = ordered[0],
               .mean = mean,
               .sigma = n > 1 ? sqrt(squares / (double)(n - 1)) : 0,
               .p90 = ordered[(n * 9 + 9) / 10 - 1]};
    free(ordered);
    return s;
}

stats_ratio stats_compare(const double *a, const double *b, size_t n) {
    random_state r = random_start(1, 0);
    double *drawn = memory_take(2 * n, sizeof *drawn), *ratios = memory_take(RESAMPLES, sizeof *ratios);
    for (int k = 0; k < RESAMPLES; k++) {
        for (size_t i = 0; i < n; i++) {
            size_t pick = random_bits(&r) % n;
            drawn[i] = a[pick];
            drawn[n + i] = b[pick];
        }
        ratios[k] = stats_median(drawn, n) / stats_median(drawn + n, n);
    }
    qsort(ratios, RESAMPLES, sizeof *ratios, by_value);
    stats_ratio ratio = {stats_median(a, n) / stats_median(b, n), ratios[RESAMPLES * 25 / 1000],
                         ratios[RESAMPLES * 975 / 1000 - 1]};
    free(drawn);
    free(ratios);
    return ratio;
}
