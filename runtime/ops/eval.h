#ifndef CREASE_RUNTIME_OPS_EVAL_H
#define CREASE_RUNTIME_OPS_EVAL_H

#include "runtime/ops/op.h"

/* Compute one node outside any plan: constant folding, shape arithmetic, and nodes whose shapes are known
 * only when they run. Every input is known, so infer, prepare and run follow each other at once; float16 and
 * bfloat16 are widened to float32 around operators that do not handle them, and rounded once. */

typedef struct cr_eval {
    cr_heap *heap;
    cr_pool *pool; /* NULL: the calling thread */
    bool exact;
    bool any_shape; /* as in cr_prepare */
    const char *convolution;
    cr_packs *packs; /* keep what is packed of constants, all else of it filled; NULL: packed for this once */
    crease_status (*subgraph)(cr_run *run, cr_graph *graph, const cr_tensor *inputs,
                              cr_tensor *outputs); /* or NULL */
    /* Told what was chosen before the node runs; its strings and shapes are gone afterwards. Or NULL. */
    crease_status (*prepared)(void *executor, const cr_prepare *prepare);
    void *executor; /* for the callbacks */
} cr_eval;

/* in[i] NULL: left out. out [n_outputs] are given with a reference each (left-out outputs are zeroed). Fails
 * with UNSUPPORTED for nodes without a row, or with bodies when there is no subgraph callback. */
crease_status cr_eval_node(const cr_eval *eval, const cr_node *node, const cr_tensor *const *in,
                           cr_tensor *out) CREASE_MUST_TEST;

/* The same in the calling thread with default choices. */
crease_status cr_node_eval(const cr_node *node, cr_heap *heap, const cr_tensor *const *in,
                           cr_tensor *out) CREASE_MUST_TEST;

#endif
