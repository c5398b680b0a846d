#ifndef CREASE_CLI_MEASURE_H
#define CREASE_CLI_MEASURE_H

#include "include/crease/crease.h"

/* Times of several sessions measured side by side. */

double measure_now(void); /* seconds of a clock that only goes forward */

/* Milliseconds of each run, in turns of so many that came one right after the other; the last turn may be
 * shorter. Freed by the caller. */
typedef struct series {
    double *ms;
    size_t n, capacity, turn;
} series;

typedef struct measure_plan {
    int runs;       /* of each session; 0: as many as fit */
    double seconds; /* when runs is 0: all of it, at least MEASURE_MIN_TURNS of each */
} measure_plan;

enum { MEASURE_MIN_TURNS = 5 };

/* The sessions take turns, A B C C B A A B C ..., so that what drifts (clock, temperature, neighbours) falls
 * on all alike. In its turn a session runs once unmeasured, so that it has caches and threads to itself as in
 * a program that runs nothing else, and then once or, if it is fast, a few times. Before all that each runs
 * unmeasured. out [n] gets the same number of runs and turns for each. Returns an exit code. */
int measure_interleaved(crease_session *const *sessions, int n, const measure_plan *plan, series *out);

#endif
