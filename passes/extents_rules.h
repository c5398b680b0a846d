#ifndef CREASE_PASSES_EXTENTS_RULES_H
#define CREASE_PASSES_EXTENTS_RULES_H

#include "passes/extents.h"
#include "passes/terms.h"

/* What operators do with extents: shared by the parts of the analysis. */

/* Terms for the axes of a value, or for the elements of a list of integers; n -1: nothing is known, a term
 * CR_NO_TERM: of this one. */
typedef struct cr_term_list {
    int n;
    int terms[CR_MAX_RANK];
} cr_term_list;

enum { CR_NO_TERM = -1 };

struct cr_extents {
    cr_heap *heap;
    cr_arena arena;
    const cr_graph *graph;
    cr_terms terms;
    const cr_term_list **shapes, **contents; /* by value id; NULL: not known */
    size_t n;
    int *symbols; /* by symbol: its term or CR_NO_TERM */
};

cr_term_list cr_term_list_of(int n); /* nothing is known of its terms */

/* Of input i of a node: its axes; its elements; the one number that it is. */
const cr_term_list *cr_extents_axes(const cr_extents *extents, const cr_node *node, int i);
const cr_term_list *cr_extents_list(const cr_extents *extents, const cr_node *node, int i);
bool cr_extents_number(const cr_extents *extents, const cr_node *node, int i, int64_t *number);

/* floor((m t + o) / s) of a term that may be CR_NO_TERM, as the result is then. */
crease_status cr_extents_formula(cr_extents *extents, int t, int64_t m, int64_t o, int64_t s,
                                 int *to) CREASE_MUST_TEST;
/* Where a Slice's bound lies in an extent n, counted from its end if negative. */
int64_t cr_extents_clip(int64_t at, int64_t n);
bool cr_extents_is(const cr_extents *extents, int t, int64_t number);

/* Output 0 (for Split: each output) in terms of the inputs; *y is preset to nothing. */
typedef crease_status cr_extents_rule(cr_extents *extents, const cr_node *node, cr_term_list *y);

/* passes/extents_shapes.c, passes/extents_lists.c: the rule for its axes, for its elements; NULL: none. */
cr_extents_rule *cr_extents_shape_rule(const cr_node *node);
cr_extents_rule *cr_extents_list_rule(const cr_node *node);

#endif
