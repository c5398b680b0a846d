#ifndef CREASE_PASSES_EXTENTS_H
#define CREASE_PASSES_EXTENTS_H

#include "runtime/graph/graph.h"

/* Which extents of a graph's values are the same, whatever input shapes the model is run with, though
 * they are not known: those that equal formulas of the inputs' symbols give. What is said holds for every run
 * in which the model's own shapes agree and no tensor is empty. Operators of the domain "crease" count as
 * those of ONNX. */
typedef struct cr_extents cr_extents;

/* Of the graph as it is now: values that are added later are the same as none. The model must be resolved and
 * inferred, but for nodes of the domain "crease". */
crease_status cr_extents_create(const cr_graph *graph, cr_extents **extents) CREASE_MUST_TEST;
void cr_extents_free(cr_extents *extents); /* NULL is fine */

bool cr_extents_same(const cr_extents *extents, const cr_value *a, const cr_value *b);
/* Extent da of a and extent db of b. */
bool cr_extents_same_at(const cr_extents *extents, const cr_value *a, int da, const cr_value *b, int db);

/* How many integers a list (or one integer, of no axis) has if every one of them is known: written to numbers
 * [CR_MAX_RANK]; else -1. */
int cr_extents_numbers(const cr_extents *extents, const cr_value *list, int64_t *numbers);

/* State the extents that were found as numbers, and ranks, in the shapes of the values that lack them. */
void cr_extents_record(const cr_extents *extents);

#endif
