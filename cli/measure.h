#ifndef CREASE_CLI_MEASURE_H
#define CREASE_CLI_MEASURE_H

#include "include/crease/crease.h"

/* Times of several sessions measured side by side. */

double measure_now(void); /* seconds of a clock that only goes forward */

/* Milliseconds of each run; freed by the caller. */
typedef struct series {
    double *ms;
    size_t n, capacity;
} series;

typedef struct measure_plan {
    int runs;       /* of each session; 0: as many as fit */
    double seconds; /* when runs is 0: all of it, at least MEASURE_MIN_RUNS of each */
} measure_plan;

enum { MEASURE_MIN_RUNS = 5 };

/* Run the sessions in turn, A B C C B A A B C ..., so that what drifts (clock, temperature, neighbours) falls
 * on all alike. Before that each runs unmeasured. out [n] gets the same number of runs for each. Returns an
 * exit code. */
int measure_interleaved(crease_session *const *sessions, int n, const measure_plan *plan, series *out);

#endif
