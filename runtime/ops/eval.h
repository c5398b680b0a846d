#ifndef CREASE_RUNTIME_OPS_EVAL_H
#define CREASE_RUNTIME_OPS_EVAL_H

#include "runtime/ops/op.h"

/* Compute one node on constant inputs, outside any session: for constant folding in passes and for shape
 * arithmetic in plans. in[i] NULL: left out. out [n_outputs] are given with a reference each. Fails with
 * UNSUPPORTED for nodes that are random, have bodies or have no row. */
crease_status cr_node_eval(const cr_node *node, cr_heap *heap, const cr_tensor *const *in,
                           cr_tensor *out) CREASE_MUST_TEST;

#endif
