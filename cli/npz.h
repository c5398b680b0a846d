#ifndef CREASE_CLI_NPZ_H
#define CREASE_CLI_NPZ_H

#include "cli/file.h"
#include "cli/tensor.h"

/* A .npz: a ZIP archive of .npy files, stored or deflated (numpy.savez, savez_compressed; PKWARE
 * APPNOTE 6.3). Archives over 4 GiB and encrypted ones are refused. */
bool npz_is(const blob *file);

/* All arrays, each with its name (the entry's name without ".npy"); the caller frees each and the list. */
int npz_read(const char *source, const blob *file, tensor **list, size_t *n);

#endif
