#ifndef CREASE_RUNTIME_EXEC_PROFILE_H
#define CREASE_RUNTIME_EXEC_PROFILE_H

#include "runtime/exec/plan.h"

/* Times of steps, those of bodies included: a step of a body counts all its turns in a run of the model as
 * one. */

void cr_profile_clear(cr_plan *plan);
/* Around a run of the model; without cr_profile_end, as where it fails, the run does not count. */
void cr_profile_begin(cr_plan *plan);
void cr_profile_end(cr_plan *plan);

/* Steps in the order of execution, those of a body behind the step that runs it, planned for the shapes that
 * it ran with last. */
size_t cr_profile_n_steps(const cr_plan *plan);
/* *depth: 0 in the main graph, n in a body of n levels. NULL past the end. */
const cr_step *cr_profile_step(const cr_plan *plan, size_t index, int *depth);

#endif
