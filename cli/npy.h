#ifndef CREASE_CLI_NPY_H
#define CREASE_CLI_NPY_H

#include "cli/file.h"
#include "cli/tensor.h"

/* NumPy's file format, versions 1.0 to 3.0 (numpy.lib.format): numbers and bool, C and Fortran order, little-
 * and big-endian. `source` names the bytes in messages. */
bool npy_is(const blob *file);
int npy_read(const char *source, const blob *file, tensor *out);

/* Whether version 1.0 can hold this element type, and its header for such a tensor; the data follow it as
 * they are. Release head->data with free(). */
bool npy_can_hold(crease_dtype dtype);
void npy_header(const crease_tensor *t, blob *head);

#endif
