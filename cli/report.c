#include "cli/report.h"
#include "cli/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

fold_counts report_count(const crease_fold_report *report) {
    fold_counts counts = {0, 0};
    crease_fold_entry e = {.struct_size = sizeof e};
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &e); i++)
        if (strcmp(e.op, "BatchNormalization") == 0)
            *(e.folded ? &counts.folded : &counts.kept) += 1;
    return counts;
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

static void print_entries(const crease_fold_report *report) {
    static const char *const headers[] = {"name", "status", "into", "pattern or reason", "detail", NULL};
    crease_fold_entry e = {.struct_size = sizeof e};
    table out;
    table_begin(&out, headers);
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &e); i++) {
        table_cell(&out, "%s", e.name);
        table_cell(&out, "%s", e.folded ? "folded" : "kept");
        table_cell(&out, "%s", or_empty(e.into));
        table_cell(&out, "%s", or_empty(e.folded ? e.pattern : e.reason));
        table_cell(&out, "%s", or_empty(e.detail));
    }
    table_print(&out, 0);
}

static void print_findings(const crease_fold_report *report) {
    static const char *const headers[] = {"name", "finding", "detail", NULL};
    crease_fold_finding f = {.struct_size = sizeof f};
    table out;
    table_begin(&out, headers);
    for (size_t i = 0; crease_fold_report_finding_at(report, i, &f); i++)
        if (f.node) {
            table_cell(&out, "%s", f.node);
            table_cell(&out, "%s", f.code);
            table_cell(&out, "%s", f.detail);
        }
    putchar('\n');
    table_print(&out, 0);
    putchar('\n');
}

/* Sentences about the model as a whole; false when there are findings about nodes. */
static bool print_sentences(const crease_fold_report *report) {
    crease_fold_finding f = {.struct_size = sizeof f};
    bool only = true;
    for (size_t i = 0; crease_fold_report_finding_at(report, i, &f); i++) {
        only &= !f.node;
        if (!f.node)
            puts(f.detail);
    }
    return only;
}

void report_print(const crease_fold_report *report) {
    fold_counts counts = report_count(report);
    if (crease_fold_report_n_entries(report))
        print_entries(report);
    if (!print_sentences(report))
        print_findings(report);
    if (counts.folded + counts.kept > 0)
        printf("%" PRId64 " of %" PRId64 " BatchNormalization nodes folded\n", counts.folded,
               counts.folded + counts.kept);
}

static void write_findings(json *j, const crease_fold_report *report) {
    crease_fold_finding f = {.struct_size = sizeof f};
    json_begin_array(j, "findings");
    for (size_t i = 0; crease_fold_report_finding_at(report, i, &f); i++) {
        json_begin_object(j, NULL);
        json_text(j, "node", f.node);
        json_text(j, "code", f.code);
        json_text(j, "detail", f.detail);
        json_end_object(j);
    }
    json_end_array(j);
}

void report_write(json *j, const crease_fold_report *report) {
    fold_counts counts = report_count(report);
    crease_fold_entry e = {.struct_size = sizeof e};
    json_integer(j, "folded", counts.folded);
    json_integer(j, "kept", counts.kept);
    json_begin_array(j, "entries");
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &e); i++) {
        json_begin_object(j, NULL);
        json_text(j, "name", e.name);
        json_text(j, "op", e.op);
        json_text(j, "status", e.folded ? "folded" : "kept");
        json_text(j, "into", e.into);
        json_text(j, "pattern", e.pattern);
        json_text(j, "reason", e.reason);
        json_text(j, "detail", e.detail);
        json_number(j, "bound", e.folded ? e.bound : NAN);
        json_number(j, "measured", e.measured < 0 ? NAN : e.measured);
        json_end_object(j);
    }
    json_end_array(j);
    write_findings(j, report);
}
