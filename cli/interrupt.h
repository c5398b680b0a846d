#ifndef CREASE_CLI_INTERRUPT_H
#define CREASE_CLI_INTERRUPT_H

#include "include/crease/crease.h"

/* Ctrl-C and its relatives. A run in progress is cancelled, so that the program ends in order with exit code
 * 130; anywhere else, and at the second signal, it ends at once. Staged files are removed in every case. */
void interrupt_install(void);

/* crease_session_run() that can be interrupted. */
crease_status interrupt_run(crease_session *session) CREASE_MUST_TEST;

/* Keep signals waiting, for calls that write files of their own. */
void interrupt_hold(void);
void interrupt_release(void);

#endif
