#ifndef CREASE_CLI_STATS_H
#define CREASE_CLI_STATS_H

#include <stddef.h>

typedef struct stats {
    double median, min, mean;
    double sigma; /* of the sample, n - 1 in the denominator; 0 for one value */
    double p90;   /* nearest rank */
} stats;

/* n > 0. */
stats stats_of(const double *values, size_t n);
double stats_median(const double *values, size_t n);

typedef struct stats_ratio {
    double median;    /* of a over that of b */
    double low, high; /* its 95 % interval */
} stats_ratio;

/* Percentile bootstrap (Efron 1979) over turns, of so many consecutive values (the last may be shorter):
 * those of a and b that were measured one after the other share what disturbed them, as do the values of a
 * turn, so they are drawn together. 2000 resamples with a fixed seed, so that the same samples give the same
 * interval. */
stats_ratio stats_compare(const double *a, const double *b, size_t n, size_t turn);

#endif
