#ifndef CREASE_RUNTIME_EXEC_BODY_H
#define CREASE_RUNTIME_EXEC_BODY_H

#include "runtime/exec/plan.h"

/* Bodies of If, Loop and Scan. Each has plans of its own inside the plan of the graph that its node stands
 * in, one for each set of shapes seen lately: an iteration plans nothing unless its shapes are new. */
typedef struct cr_body cr_body;

/* Runs the steps of a plan whose inputs are there. */
typedef crease_status cr_run_steps(void *context, cr_plan *plan);

/* Run `graph`, a body of a node of outer's graph. inputs [graph->n_inputs] are borrowed; outputs
 * [graph->n_outputs] are given with memory of their own (zeroed on failure). */
crease_status cr_body_run(cr_plan *outer, const cr_plan_settings *settings, const cr_graph *graph,
                          const cr_tensor *inputs, cr_tensor *outputs, cr_run_steps *steps,
                          void *context) CREASE_MUST_TEST;

/* For planning a body: what is known of the values around it, with the shapes that they have now. */
void cr_body_set_infos(cr_plan *plan);

/* Of the list that cr_plan.bodies begins: the next one, the node that it belongs to, and plan i, of which the
 * first is the one used last; NULL past the end. */
cr_body *cr_body_next(const cr_body *body);
const cr_node *cr_body_node(const cr_body *body);
cr_plan *cr_body_plan(const cr_body *body, int i);

void cr_bodies_destroy(cr_body *bodies); /* NULL is fine */

#endif
