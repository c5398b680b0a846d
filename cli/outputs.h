#ifndef CREASE_CLI_OUTPUTS_H
#define CREASE_CLI_OUTPUTS_H

#include "include/crease/crease.h"

/* The outputs of a session that has run. */

/* Stage each as folder/output_N.npy in graph-output order, or as a TensorProto output_N.pb where .npy has no
 * such element type. The folder must exist; file_commit() makes them appear. */
int outputs_stage(crease_session *session, const char *folder);

/* Print name, type, shape, range, mean and first values of each. */
int outputs_summarise(crease_session *session);

/* View of one output; a failure has printed its line. */
int outputs_get(crease_session *session, size_t index, crease_tensor *t);

#endif
