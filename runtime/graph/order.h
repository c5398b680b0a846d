#ifndef CREASE_RUNTIME_GRAPH_ORDER_H
#define CREASE_RUNTIME_GRAPH_ORDER_H

#include "runtime/graph/graph.h"

/* Put the nodes of every graph into an order in which producers come first; nodes that stand right stay (the
 * order is stable). A cycle is a MODEL failure that names a node on it. */
crease_status cr_model_order(cr_model *model) CREASE_MUST_TEST;

#endif
