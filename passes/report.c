#include "passes/report.h"
#include "runtime/base/structs.h"

#include <string.h>

crease_status cr_report_create(cr_heap *heap, cr_report **report) {
    void *block;
    *report = NULL;
    CR_TRY(cr_alloc_zeroed(heap, sizeof **report, &block));
    *report = block;
    (*report)->heap = cr_heap_retain(heap);
    cr_arena_init(&(*report)->arena, heap);
    return CREASE_OK;
}

void crease_fold_report_free(crease_fold_report *report) {
    if (!report)
        return;
    cr_heap *heap = report->heap;
    cr_free(heap, report->entries);
    cr_free(heap, report->nodes);
    cr_free(heap, report->findings);
    cr_arena_clear(&report->arena);
    cr_free(heap, report);
    cr_heap_release(heap);
}

/* Index of the first entry whose node comes no earlier. */
static size_t position(const cr_report *report, int node) {
    size_t low = 0, high = report->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (report->nodes[middle] < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool cr_report_has(const cr_report *report, const cr_node *node) {
    size_t at = position(report, node->id);
    return at < report->n && report->nodes[at] == node->id;
}

static crease_status make_room(cr_report *report, size_t at, int node) {
    CR_TRY(cr_grow(report->heap, (void **)&report->entries, &report->capacity, report->n + 1,
                   sizeof *report->entries));
    CR_TRY(cr_grow(report->heap, (void **)&report->nodes, &report->capacity_nodes, report->n + 1,
                   sizeof *report->nodes));
    memmove(report->entries + at + 1, report->entries + at, (report->n - at) * sizeof *report->entries);
    memmove(report->nodes + at + 1, report->nodes + at, (report->n - at) * sizeof *report->nodes);
    report->nodes[at] = node;
    report->n++;
    return CREASE_OK;
}

/* Every string is copied first, so that a failure leaves the report as it was. */
static crease_status put(cr_report *report, const cr_node *node, crease_fold_entry entry) {
    size_t at = position(report, node->id);
    entry.struct_size = sizeof entry;
    CR_TRY(cr_arena_string(&report->arena, node->name, &entry.name));
    CR_TRY(cr_arena_string(&report->arena, node->op_type, &entry.op));
    if (entry.into)
        CR_TRY(cr_arena_string(&report->arena, entry.into, &entry.into));
    if (entry.pattern)
        CR_TRY(cr_arena_string(&report->arena, entry.pattern, &entry.pattern));
    if (entry.detail)
        CR_TRY(cr_arena_string(&report->arena, entry.detail, &entry.detail));
    if (!cr_report_has(report, node))
        CR_TRY(make_room(report, at, node->id));
    report->entries[at] = entry;
    return CREASE_OK;
}

crease_status cr_report_folded(cr_report *report, const cr_node *node, const char *into, const char *pattern,
                               cr_fold_bound bound) {
    return put(report, node,
               (crease_fold_entry){.folded = true,
                                   .into = into,
                                   .pattern = pattern,
                                   .bound = bound.fold,
                                   .layer_bound = bound.layer,
                                   .measured = -1});
}

crease_status cr_report_kept(cr_report *report, const cr_node *node, const char *reason, const char *detail) {
    return put(report, node, (crease_fold_entry){.reason = reason, .detail = detail, .measured = -1});
}

crease_status cr_report_find(cr_report *report, const cr_node *node, const char *code, const char *detail) {
    crease_fold_finding finding = {.struct_size = sizeof finding, .code = code};
    if (node)
        CR_TRY(cr_arena_string(&report->arena, node->name, &finding.node));
    CR_TRY(cr_arena_string(&report->arena, detail, &finding.detail));
    CR_TRY(cr_grow(report->heap, (void **)&report->findings, &report->capacity_findings,
                   report->n_findings + 1, sizeof *report->findings));
    report->findings[report->n_findings++] = finding;
    return CREASE_OK;
}

size_t cr_report_n_folded(const cr_report *report) {
    size_t n = 0;
    for (size_t i = 0; i < report->n; i++)
        n += report->entries[i].folded;
    return n;
}

size_t crease_fold_report_n_entries(const crease_fold_report *report) {
    return report ? report->n : 0;
}

bool crease_fold_report_entry_at(const crease_fold_report *report, size_t index, crease_fold_entry *entry) {
    if (!report || index >= report->n)
        return false;
    cr_struct_give(entry, &report->entries[index], sizeof *entry);
    return true;
}

size_t crease_fold_report_n_findings(const crease_fold_report *report) {
    return report ? report->n_findings : 0;
}

bool crease_fold_report_finding_at(const crease_fold_report *report, size_t index,
                                   crease_fold_finding *finding) {
    if (!report || index >= report->n_findings)
        return false;
    cr_struct_give(finding, &report->findings[index], sizeof *finding);
    return true;
}
