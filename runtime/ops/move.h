#ifndef CREASE_RUNTIME_OPS_MOVE_H
#define CREASE_RUNTIME_OPS_MOVE_H

#include "runtime/kernels/move.h"
#include "runtime/ops/infer.h"

/* Copy a whole nest with the pool's threads; finishes the nest. */
void cr_move(cr_pool *pool, cr_nest *nest, size_t element_bytes, const void *from, void *to);

#endif
