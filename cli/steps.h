#ifndef CREASE_CLI_STEPS_H
#define CREASE_CLI_STEPS_H

#include "cli/json.h"
#include "include/crease/crease.h"

/* A session's profile: the time of each step of its plan. */

/* An array of {"node", "op", "algorithm", "note", "macs", "runs", "ms"} in execution order; ms is one run's.
 */
void steps_write(json *j, const char *key, crease_session *session);

/* A table of the `limit` steps that took longest. */
void steps_print(crease_session *session, size_t limit);

#endif
