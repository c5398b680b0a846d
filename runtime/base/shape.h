#ifndef CREASE_RUNTIME_BASE_SHAPE_H
#define CREASE_RUNTIME_BASE_SHAPE_H

#include "runtime/base/status.h"

enum { CR_MAX_RANK = 16 };

/* Dimensions: >= 0 known; CR_DIM_UNKNOWN; below that a symbol of the model (equal symbols are equal
 * dimensions). rank -1: nothing is known. */
enum { CR_DIM_UNKNOWN = -1, CR_DIM_FIRST_SYMBOL = -2 };

typedef struct cr_shape {
    int rank;
    int64_t dims[CR_MAX_RANK];
} cr_shape;

cr_shape cr_shape_unknown(void);
cr_shape cr_shape_of(int rank, const int64_t *dims); /* rank <= CR_MAX_RANK */
bool cr_shape_is_static(const cr_shape *shape);      /* rank and every dimension known */
bool cr_shape_equal(const cr_shape *a, const cr_shape *b);
/* Not contradicting: an unknown rank or dimension fits everything, symbols fit everything. */
bool cr_shape_fits(const cr_shape *a, const cr_shape *b);

/* Product of dims[begin, end); false on overflow or an unknown dimension. The empty product is 1. */
bool cr_shape_product(const cr_shape *shape, int begin, int end, int64_t *product);
/* All elements; the shape must be static and have been accepted by cr_shape_check: never overflows then. */
int64_t cr_shape_n(const cr_shape *shape);
/* Product of dims[begin, end) of such a shape. */
int64_t cr_shape_extent(const cr_shape *shape, int begin, int end);
/* Strides in elements of a dense tensor of such a shape. */
void cr_dense_strides(const cr_shape *shape, int64_t *strides);
/* Static shape whose element count times 16 bytes fits in a size, an extent of 0 counted as 1: then any
 * extents of it can be multiplied. Fails with `status`, naming `who`. */
crease_status cr_shape_check(const cr_shape *shape, crease_status status, const char *who);
/* The same of what is known of a shape, perhaps nothing. */
crease_status cr_shape_check_known(const cr_shape *shape, crease_status status, const char *who);

/* Axis in [-rank, rank) made non-negative; fails with MODEL naming who. */
crease_status cr_axis_resolve(int64_t axis, int rank, const char *who, int *resolved);

/* ONNX multidirectional broadcasting of two shapes; unknown dimensions stay unknown unless the other side
 * decides. */
crease_status cr_shape_broadcast(const cr_shape *a, const cr_shape *b, const char *who, cr_shape *out);

/* "[1, 3, ?, 224]" into text; returns text. */
const char *cr_shape_print(const cr_shape *shape, char *text, size_t bytes);

#endif
