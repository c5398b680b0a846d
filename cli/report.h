#ifndef CREASE_CLI_REPORT_H
#define CREASE_CLI_REPORT_H

#include "cli/json.h"
#include "include/crease/crease.h"

/* What became of each batch normalisation. */

/* BatchNormalization nodes; affine nodes that went with them have entries but are not counted. */
typedef struct fold_counts {
    int64_t folded, kept;
} fold_counts;

fold_counts report_count(const crease_fold_report *report);

/* A table with a line for each entry, one of findings, and a sum. */
void report_print(const crease_fold_report *report);

/* "folded", "kept", "entries" and "findings" in the object that is open. */
void report_write(json *j, const crease_fold_report *report);

#endif
