#ifndef CREASE_RUNTIME_GRAPH_VERIFY_H
#define CREASE_RUNTIME_GRAPH_VERIFY_H

#include "runtime/graph/graph.h"

/* Check every invariant of the graph: links, uses, order, one producer for each value, constants whose bytes
 * match their shape, outputs that are produced. Run after loading and after each pass. Fails with MODEL and a
 * sentence. */
crease_status cr_model_verify(const cr_model *model) CREASE_MUST_TEST;
/* What a pass has ended with; and where that is well, whether it has left a whole graph. */
crease_status cr_model_verify_after(const cr_model *model, crease_status pass) CREASE_MUST_TEST;

#endif
