#include "runtime/exec/profile.h"
#include "runtime/exec/body.h"

/* ---- every plan ---- */

static void visit_steps(cr_plan *plan, void (*visit)(cr_step *step)) {
    for (int s = 0; s < plan->n_steps; s++)
        visit(&plan->steps[s]);
    for (cr_body *body = plan->bodies; body; body = cr_body_next(body))
        for (int i = 0; cr_body_plan(body, i); i++)
            visit_steps(cr_body_plan(body, i), visit);
}

static void clear(cr_step *step) {
    step->seconds = step->best_seconds = 0;
    step->n_runs = 0;
}

static void begin(cr_step *step) {
    step->run_seconds = 0;
    step->run_passes = 0;
}

static void end(cr_step *step) {
    step->turns = step->run_passes / step->passes;
    if (!step->run_passes)
        return;
    if (step->n_runs++ == 0 || step->run_seconds < step->best_seconds)
        step->best_seconds = step->run_seconds;
    step->seconds += step->run_seconds;
}

void cr_profile_clear(cr_plan *plan) {
    visit_steps(plan, clear);
}

void cr_profile_begin(cr_plan *plan) {
    visit_steps(plan, begin);
}

void cr_profile_end(cr_plan *plan) {
    visit_steps(plan, end);
}

/* ---- the list ---- */

size_t cr_profile_n_steps(const cr_plan *plan) {
    size_t n = (size_t)plan->n_steps;
    for (cr_body *body = plan->bodies; body; body = cr_body_next(body))
        if (cr_body_plan(body, 0))
            n += cr_profile_n_steps(cr_body_plan(body, 0));
    return n;
}

/* Step *index of the plan and its bodies, or NULL and the index less as many as there are. */
static const cr_step *find(const cr_plan *plan, size_t *index, int *depth) {
    const cr_step *found = NULL;
    for (int s = 0; s < plan->n_steps; s++) {
        if ((*index)-- == 0)
            return &plan->steps[s];
        for (cr_body *body = plan->bodies; body && !found; body = cr_body_next(body))
            if (cr_body_node(body) == plan->steps[s].node && cr_body_plan(body, 0)) {
                ++*depth;
                found = find(cr_body_plan(body, 0), index, depth);
                *depth -= !found;
            }
        if (found)
            return found;
    }
    return NULL;
}

const cr_step *cr_profile_step(const cr_plan *plan, size_t index, int *depth) {
    *depth = 0;
    return find(plan, &index, depth);
}
