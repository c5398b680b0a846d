#ifndef CREASE_CLI_PAYOFF_H
#define CREASE_CLI_PAYOFF_H

#include "cli/json.h"
#include "include/crease/crease.h"

/* Why folding does or does not pay on this network and machine. */
typedef struct payoff {
    int64_t n_all, n_folded; /* batch normalisations */
    int64_t n_steps;         /* of those folded: what ran unfolded as a step of its own */
    int64_t bytes;           /* that those steps read and write in a run */
    double gb_per_second;    /* measured on a block as large as one of their results is on average */
    double predicted_ms;     /* the bytes at this rate */
    double measured_ms;      /* unfolded less folded, medians */
    bool is_measured;        /* beyond the noise */
} payoff;

/* Both sessions have run. Fills what precedes measured_ms; returns an exit code. */
int payoff_find(crease_session *unfolded, crease_session *folded, int threads, payoff *p);

/* One sentence. */
void payoff_print(const payoff *p);
void payoff_write(json *j, const char *key, const payoff *p);

#endif
