#ifndef CREASE_RUNTIME_API_WALK_H
#define CREASE_RUNTIME_API_WALK_H

#include "runtime/ops/eval.h"

/* A model computed node by node, outside any session, for those who look at every value or put values of
 * their own in between. Plain and slow: nothing is packed or planned. */
typedef struct cr_walk {
    const cr_model *model; /* resolved and ordered; borrowed */
    cr_heap *heap;         /* borrowed */
    cr_tensor *values;     /* [model->n_values] by id, one reference each; dtype 0: not computed */
    int *pending;          /* by id: uses to come */
} cr_walk;

crease_status cr_walk_begin(cr_walk *walk, const cr_model *model, cr_heap *heap) CREASE_MUST_TEST;
void cr_walk_end(cr_walk *walk); /* also after a failure */

/* Give a value contents; takes one more reference. */
void cr_walk_set(cr_walk *walk, const cr_value *value, const cr_tensor *contents);
/* What is computed, constant or the default of an input; NULL: nothing yet. */
const cr_tensor *cr_walk_contents(const cr_walk *walk, const cr_value *value);
/* Contents of a node's inputs into in [n_inputs]; NULL where left out. */
crease_status cr_walk_gather(const cr_walk *walk, const cr_node *node, const cr_tensor **in) CREASE_MUST_TEST;
/* Compute the node from `in` and keep its outputs. Fails with UNSUPPORTED where it has bodies and the eval
 * runs none. */
crease_status cr_walk_eval(cr_walk *walk, const cr_eval *eval, const cr_node *node,
                           const cr_tensor *const *in) CREASE_MUST_TEST;
/* The node is done: drop what nobody is going to use any more. */
void cr_walk_leave(cr_walk *walk, const cr_node *node);

/* Gives the node's outputs contents; the arena is emptied afterwards. */
typedef crease_status cr_walk_visit(void *context, const cr_node *node, const cr_tensor *const *in,
                                    cr_arena *arena);
/* Every node of the main graph, whose inputs are set, in order. */
crease_status cr_walk_main(cr_walk *walk, cr_walk_visit *visit, void *context) CREASE_MUST_TEST;
/* One run of a body, for cr_eval.subgraph: its inputs are borrowed, each output is given with a reference,
 * and the values of the body go afterwards. */
crease_status cr_walk_body(cr_walk *walk, const cr_graph *body, const cr_tensor *inputs, cr_tensor *outputs,
                           cr_walk_visit *visit, void *context) CREASE_MUST_TEST;

#endif
