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

/* One side of the pairs: its values in order, and where each pair's value stands among them. */
typedef struct ranking {
    double *ordered;
    size_t *rank;   /* [n] by pair */
    size_t *counts; /* [n] by rank: how often the present resample drew it */
} ranking;

static ranking rank_values(const double *values, size_t n) {
    ranking r = {sorted(values, n), memory_take(n, sizeof(size_t)), memory_take(n, sizeof(size_t))};
    for (size_t i = 0; i < n; i++) {
        size_t low = 0, high = n - 1;
        while (low < high) {
            size_t half = (low + high) / 2;
            if (r.ordered[half] < values[i])
                low = half + 1;
            else
                high = half;
        }
        r.rank[i] = low;
    }
    return r;
}

static void drop_ranking(ranking *r) {
    free(r->ordered);
    free(r->rank);
    free(r->counts);
}

/* Of the n draws counted: counting instead of sorting keeps long measurements from taking as long again. */
static double drawn_median(const ranking *r, size_t n) {
    size_t at = 0, seen = r->counts[0];
    while (seen < (n + 1) / 2)
        seen += r->counts[++at];
    double low = r->ordered[at];
    if (n % 2 || seen > n / 2)
        return low;
    do
        at++;
    while (r->counts[at] == 0);
    return (low + r->ordered[at]) / 2;
}

/* As many turns as there are, each drawn whole. */
static double resampled_ratio(ranking *a, ranking *b, size_t n, size_t turn, random_state *random) {
    const size_t turns = (n + turn - 1) / turn;
    size_t drawn = 0;
    memset(a->counts, 0, n * sizeof *a->counts);
    memset(b->counts, 0, n * sizeof *b->counts);
    for (size_t i = 0; i < turns; i++) {
        const size_t begin = random_bits(random) % turns * turn, end = begin + turn < n ? begin + turn : n;
        for (size_t pick = begin; pick < end; pick++, drawn++) {
            a->counts[a->rank[pick]]++;
            b->counts[b->rank[pick]]++;
        }
    }
    return drawn_median(a, drawn) / drawn_median(b, drawn);
}

stats_ratio stats_compare(const double *a, const double *b, size_t n, size_t turn) {
    random_state random = random_start(1, 0);
    double *ratios = memory_take(RESAMPLES, sizeof *ratios);
    ranking of_a = rank_values(a, n), of_b = rank_values(b, n);
    for (int k = 0; k < RESAMPLES; k++)
        ratios[k] = resampled_ratio(&of_a, &of_b, n, turn, &random);
    qsort(ratios, RESAMPLES, sizeof *ratios, by_value);
    stats_ratio ratio = {middle(of_a.ordered, n) / middle(of_b.ordered, n), ratios[RESAMPLES * 25 / 1000],
                         ratios[RESAMPLES * 975 / 1000 - 1]};
    drop_ranking(&of_a);
    drop_ranking(&of_b);
    free(ratios);
    return ratio;
}
