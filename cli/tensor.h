#ifndef CREASE_CLI_TENSOR_H
#define CREASE_CLI_TENSOR_H

#include "include/crease/crease.h"

enum { TENSOR_MAX_RANK = 16, TENSOR_SHAPE_TEXT = 24 * TENSOR_MAX_RANK };

/* A tensor that the program owns: read from a file or generated. Dense, row-major. */
typedef struct tensor {
    char *name; /* NULL: none */
    crease_dtype dtype;
    int rank;
    int64_t dims[TENSOR_MAX_RANK];
    void *data; /* of strings: crease_string[n], with the characters behind them in the same block */
    size_t bytes;
} tensor;

void tensor_free(tensor *t);

/* The library's view of it; valid as long as t is. */
crease_tensor tensor_view(const tensor *t);

/* Elements of a shape, and bytes of a tensor of fixed-size elements; false on overflow or a negative
 * dimension. */
bool tensor_count(int rank, const int64_t *dims, int64_t *n);
bool tensor_bytes(crease_dtype dtype, int rank, const int64_t *dims, size_t *bytes);

/* Elements as double, for the types for which tensor_is_number() holds: floats, integers of 8 bits and more,
 * bool. Writing rounds to the nearest and saturates. */
bool tensor_is_number(crease_dtype dtype);
bool tensor_is_float(crease_dtype dtype);
double tensor_get(crease_dtype dtype, const void *data, int64_t i);
void tensor_set(crease_dtype dtype, void *data, int64_t i, double value);

/* "1x3x224x224", "scalar", with the names or "?" of dynamic dimensions; text of TENSOR_SHAPE_TEXT bytes,
 * returned. */
const char *tensor_shape_text(int rank, const int64_t *dims, const char *const *names, char *text);

#endif
