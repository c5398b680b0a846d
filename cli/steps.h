#ifndef CREASE_CLI_STEPS_H
#define CREASE_CLI_STEPS_H

#include "cli/json.h"
#include "include/crease/crease.h"

/* A session's profile: the time of each step of its plan. Times are those of the fastest run, which nothing
 * interrupted. */

/* An array of {"node", "op", "algorithm", "note", "refused", "macs", "runs", "ms", "mean_ms", "gflops",
 * "of_peak"} in execution order. macs, gflops and of_peak (1: all of the machine's peak) are null where no
 * products are counted, of_peak also with machine NULL. */
void steps_write(json *j, const char *key, crease_session *session, const crease_machine *machine);

/* Tables of the `limit` slowest steps (0: all, each with why other algorithms were refused) and of the sums
 * by operator and algorithm, and what the roofline says of the whole. */
void steps_print(crease_session *session, const crease_machine *machine, size_t limit);

#endif
