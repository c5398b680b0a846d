#ifndef CREASE_RUNTIME_GRAPH_ATTR_H
#define CREASE_RUNTIME_GRAPH_ATTR_H

#include "runtime/graph/graph.h"

/* Reading attributes. A missing attribute gives the default; one of the wrong type is a MODEL failure that
 * names node and attribute. Strings and arrays belong to the model. */
const cr_attr *cr_attr_find(const cr_node *node, const char *name);
crease_status cr_attr_int(const cr_node *node, const char *name, int64_t otherwise,
                          int64_t *value) CREASE_MUST_TEST;
crease_status cr_attr_float(const cr_node *node, const char *name, float otherwise,
                            float *value) CREASE_MUST_TEST;
crease_status cr_attr_string(const cr_node *node, const char *name, const char *otherwise,
                             const char **value) CREASE_MUST_TEST;
/* *n is 0 and *values NULL when missing. */
crease_status cr_attr_ints(const cr_node *node, const char *name, const int64_t **values,
                           int *n) CREASE_MUST_TEST;
/* Whether every integer of the list is `expected`; of none, too. */
crease_status cr_attr_all(const cr_node *node, const char *name, int64_t expected,
                          bool *all) CREASE_MUST_TEST;
crease_status cr_attr_floats(const cr_node *node, const char *name, const float **values,
                             int *n) CREASE_MUST_TEST;
/* NULL when missing. */
crease_status cr_attr_tensor(const cr_node *node, const char *name, const cr_tensor **value) CREASE_MUST_TEST;
crease_status cr_attr_graph(const cr_node *node, const char *name, cr_graph **value) CREASE_MUST_TEST;

#endif
