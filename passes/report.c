#include "passes/report.h"

crease_status cr_report_create(cr_heap *heap, crease_fold_report **report) {
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
    cr_arena_clear(&report->arena);
    cr_free(heap, report);
    cr_heap_release(heap);
}

static crease_status add(crease_fold_report *report, const cr_node *node, crease_fold_entry **entry) {
    CR_TRY(cr_grow(report->heap, (void **)&report->entries, &report->capacity, report->n + 1,
                   sizeof *report->entries));
    *entry = &report->entries[report->n];
    **entry = (crease_fold_entry){.struct_size = sizeof **entry};
    CR_TRY(cr_arena_string(&report->arena, node->name, &(*entry)->name));
    CR_TRY(cr_arena_string(&report->arena, node->op_type, &(*entry)->op));
    report->n++;
    return CREASE_OK;
}

crease_status cr_report_folded(crease_fold_report *report, const cr_node *node, const cr_node *into,
                               const char *pattern, double bound) {
    crease_fold_entry *entry;
    CR_TRY(add(report, node, &entry));
    entry->folded = true;
    entry->pattern = pattern;
    entry->bound = bound;
    return cr_arena_string(&report->arena, into->name, &entry->into);
}

crease_status cr_report_kept(crease_fold_report *report, const cr_node *node, const char *reason,
                             const char *detail) {
    crease_fold_entry *entry;
    CR_TRY(add(report, node, &entry));
    entry->reason = reason;
    return cr_arena_string(&report->arena, detail, &entry->detail);
}

size_t crease_fold_report_n_entries(const crease_fold_report *report) {
    return report ? report->n : 0;
}

bool crease_fold_report_entry_at(const crease_fold_report *report, size_t index, crease_fold_entry *entry) {
    if (!report || index >= report->n)
        return false;
    *entry = report->entries[index];
    return true;
}
