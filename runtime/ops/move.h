#ifndef CREASE_RUNTIME_OPS_MOVE_H
#define CREASE_RUNTIME_OPS_MOVE_H

#include "runtime/kernels/move.h"
#include "runtime/ops/infer.h"

/* What operators that move data share. */

/* Attribute "axis" for a known rank, made non-negative. */
crease_status cr_axis_attr(const cr_node *node, int64_t otherwise, int rank, int *axis) CREASE_MUST_TEST;

/* Product of dims[begin, end) of a static shape that was checked. */
int64_t cr_shape_extent(const cr_shape *shape, int begin, int end);

/* Strides in elements of a dense tensor. */
void cr_dense_strides(const cr_shape *shape, int64_t *strides);

/* Bytes of one element of a type of CR_T_BYTES. */
size_t cr_element_bytes(crease_dtype dtype);

/* Contents of an integer input (int32 or int64) of any length, NULL when left out or not known yet: *left_out
 * tells which. Fails with MODEL for other types. */
crease_status cr_infer_list(const cr_infer *infer, int i, const cr_tensor **list,
                            bool *left_out) CREASE_MUST_TEST;

/* Copy a whole nest with the pool's threads; finishes the nest. */
void cr_move(cr_pool *pool, cr_nest *nest, size_t element_bytes, const void *from, void *to);

#endif
