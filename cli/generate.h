#ifndef CREASE_CLI_GENERATE_H
#define CREASE_CLI_GENERATE_H

#include "cli/tensor.h"

typedef enum generator { GENERATE_ZEROS, GENERATE_ONES, GENERATE_RANDOM } generator;

/* Fill a zeroed tensor whose type, shape and memory are set. Random floats are N(0, 1), integers and bool 0
 * or 1; the numbers depend on seed and name, so that two inputs differ. Types other than numbers are
 * CLI_INPUT, with the line printed, and free the tensor; zeros are possible for all. */
int generate(const char *name, generator kind, uint64_t seed, tensor *t);

#endif
