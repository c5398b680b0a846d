#ifndef CREASE_RUNTIME_API_TWINS_H
#define CREASE_RUNTIME_API_TWINS_H

#include "passes/report.h"
#include "runtime/api/unroll.h"

/* A network before and after folding, both computed in float64 on the same inputs and with every value kept:
 * what a fold did to the numbers, apart from the rounding of the kernels that run it. What stands in bodies
 * is compared as well: both are the straight lines that their runs make of them (unroll.h). */
typedef struct cr_twins {
    cr_unrolled lines[2];              /* before and after, with the types of the file */
    const cr_model *before, *after;    /* the lines, or the models themselves; borrowed */
    crease_session *wide, *wide_after; /* in float64, owned */
    cr_heap *heap;                     /* borrowed */
    int threads;
    int *same_before; /* [after->n_values] id of the same value in before; -1: it has none */
    int *same_after;  /* [before->n_values] the other way round */
    bool *clean;      /* [after->n_values] the same number as before, but for rounding in earlier folds */
} cr_twins;

/* Make and run both. inputs are of the file's types. after is another model when `related` is false: then
 * only the sessions can be used. Free it also after a failure. */
crease_status cr_twins_run(cr_twins *twins, const crease_model *before, const crease_model *after,
                           const crease_options *options, const crease_tensor *inputs, size_t n_inputs,
                           bool related) CREASE_MUST_TEST;
void cr_twins_free(cr_twins *twins);

/* The copies of a node of the model before folding, one for each turn of its body: the one behind `previous`
 * (NULL: the first); NULL: no more. */
const cr_node *cr_twins_next(const cr_twins *twins, int node, const cr_node *previous);

/* Where the fold of this copy can be checked: the first value, from the folded node's output downwards, that
 * has the same meaning before and after. (A later fold may scale what an earlier one left behind.) When none
 * agrees, the folded node's output. NULL: the fold left nothing to compare. The result belongs to `after`. */
crease_status cr_twins_checkpoint(const cr_twins *twins, const crease_fold_entry *entry,
                                  const cr_node *folded, const cr_value **checkpoint) CREASE_MUST_TEST;

/* The relative error at its checkpoint that a fold causes by itself, computed in float64 from the values that
 * the unfolded network has before it; the worst of all turns. NAN: not known. */
crease_status cr_twins_measure(const cr_twins *twins, const cr_report *report, size_t entry,
                               double *measured) CREASE_MUST_TEST;

/* The contents that a session has for a value id; NULL when it does not keep them. */
const cr_tensor *cr_session_contents(const crease_session *session, int id);

/* Set all inputs, widened to float64 where they are floats and `widen`. */
crease_status cr_session_set_inputs(crease_session *session, const crease_tensor *inputs, size_t n,
                                    bool widen) CREASE_MUST_TEST;

#endif
