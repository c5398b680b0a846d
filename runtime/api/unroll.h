#ifndef CREASE_RUNTIME_API_UNROLL_H
#define CREASE_RUNTIME_API_UNROLL_H

#include "runtime/api/session.h"

/* A network with bodies as the straight line that one run makes of it: every run of a body of If, Loop or
 * Scan stands in the main graph, and what those nodes do in between (counting, cutting into slices, stacking)
 * is done by Gather, Unsqueeze, Concat and Identity. What looks at one value after another, in order, then
 * sees those of bodies, too. */

/* One run of a body: a graph attribute of the node `owner` (both by their places in the model). */
typedef struct cr_turn {
    int owner, attr;
} cr_turn;

/* The turns of a run in the order in which they begin. */
typedef struct cr_turns {
    cr_heap *heap; /* borrowed */
    cr_turn *list;
    size_t n, capacity;
} cr_turns;

/* Note the turns of the session's next runs; turns outlives them. */
void cr_turns_watch(cr_turns *turns, crease_session *session);
void cr_turns_free(cr_turns *turns);
bool cr_turns_equal(const cr_turns *a, const cr_turns *b);

/* What a node or value of the straight line is a copy of: its id in the model with bodies, and the turn that
 * it belongs to, counted from 1; 0: the main graph, whose ids are kept. Copies of the same have the same
 * origin in any two models. id below 0: something in between. turn -1: no copy, and not in the line. */
typedef struct cr_origin {
    int turn, id;
} cr_origin;

typedef struct cr_unrolled {
    crease_model *line; /* owned; NULL: the model as it is */
    cr_arena arena;
    cr_origin *values, *nodes; /* by id */
} cr_unrolled;

bool cr_has_bodies(const cr_model *model);
/* turns NULL: the model as it is, and so is one without bodies. Fails with UNSUPPORTED where the line would
 * be too long, and for forms that cannot be written as a line: Scan before operator set 9, and stacking the
 * results of no turn. Free it also after a failure. */
crease_status cr_unroll(const crease_model *model, const cr_turns *turns,
                        cr_unrolled *unrolled) CREASE_MUST_TEST;
void cr_unrolled_free(cr_unrolled *unrolled); /* of zeros, too */

#endif
