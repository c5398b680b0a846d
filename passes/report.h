#ifndef CREASE_PASSES_REPORT_H
#define CREASE_PASSES_REPORT_H

#include "runtime/graph/graph.h"

/* One entry for every BatchNormalization. Strings live in the report's own arena. */
struct crease_fold_report {
    cr_heap *heap;
    cr_arena arena;
    crease_fold_entry *entries;
    size_t n, capacity;
};

crease_status cr_report_create(cr_heap *heap, crease_fold_report **report) CREASE_MUST_TEST;
crease_status cr_report_folded(crease_fold_report *report, const cr_node *node, const cr_node *into,
                               const char *pattern, double bound) CREASE_MUST_TEST;
/* detail is copied; reason is a constant string. */
crease_status cr_report_kept(crease_fold_report *report, const cr_node *node, const char *reason,
                             const char *detail) CREASE_MUST_TEST;

#endif
