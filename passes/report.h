#ifndef CREASE_PASSES_REPORT_H
#define CREASE_PASSES_REPORT_H

#include "runtime/graph/graph.h"

/* One entry for every BatchNormalization and one for every other affine that was folded, in the order of the
 * file. Strings are copied into the report's own arena, so that it outlives the model. Not thread-safe while
 * it is written. */
typedef struct crease_fold_report cr_report;

struct crease_fold_report {
    cr_heap *heap; /* one reference */
    cr_arena arena;
    crease_fold_entry *entries; /* sorted by node id */
    int *nodes;                 /* [n] id of the node that an entry speaks of */
    size_t n, capacity, capacity_nodes;
    crease_fold_finding *findings;
    size_t n_findings, capacity_findings;
};

crease_status cr_report_create(cr_heap *heap, cr_report **report) CREASE_MUST_TEST;

/* crease_fold_entry.bound and .layer_bound */
typedef struct cr_fold_bound {
    double fold, layer;
} cr_fold_bound;

/* What became of `node`; said again, the last word counts. into: names of the nodes that took it in,
 * comma-separated. */
crease_status cr_report_folded(cr_report *report, const cr_node *node, const char *into, const char *pattern,
                               cr_fold_bound bound) CREASE_MUST_TEST;
/* reason must be a constant string; detail is a sentence. */
crease_status cr_report_kept(cr_report *report, const cr_node *node, const char *reason,
                             const char *detail) CREASE_MUST_TEST;

/* node NULL: the model. code must be a constant string. */
crease_status cr_report_find(cr_report *report, const cr_node *node, const char *code,
                             const char *detail) CREASE_MUST_TEST;

bool cr_report_has(const cr_report *report, const cr_node *node);
size_t cr_report_n_folded(const cr_report *report);

#endif
