#ifndef CREASE_RUNTIME_OPS_MOVE_H
#define CREASE_RUNTIME_OPS_MOVE_H

#include "runtime/kernels/move.h"
#include "runtime/ops/infer.h"

/* Copy a whole nest with the pool's threads; finishes the nest. */
void cr_move(cr_pool *pool, cr_nest *nest, size_t element_bytes, const void *from, void *to);

/* An operator that is one nest: its prepare begins with cr_move_begin, which makes the state, and fills the
 * rest; its run is cr_move_run. */
typedef struct cr_move_state {
    cr_nest nest;
    int64_t rows, offset; /* of the first source element */
    size_t element;
} cr_move_state;

crease_status cr_move_begin(cr_prepare *prepare, cr_move_state **state) CREASE_MUST_TEST;
crease_status cr_move_run(cr_run *run);

/* Transpose of a tensor of this rank: axis i of the result is axis perm[i] of the input. Fails with MODEL. */
crease_status cr_transpose_axes(const cr_node *node, int rank, int *perm) CREASE_MUST_TEST;

#endif
