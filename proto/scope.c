#include "proto/scope.h"
#include "runtime/graph/names.h"

#include <string.h>

static cr_slot *slot_of(const cr_scope *scope, const char *name) {
    size_t i = cr_name_hash(name) & (scope->capacity - 1);
    while (scope->slots[i].name && strcmp(scope->slots[i].name, name) != 0)
        i = (i + 1) & (scope->capacity - 1);
    return &scope->slots[i];
}

crease_status cr_scope_open(cr_scope *scope, cr_scope *outer, const cr_call *call, cr_graph *graph,
                            size_t names) {
    *scope = (cr_scope){.outer = outer, .call = call, .graph = graph, .capacity = 16};
    while (scope->capacity < 2 * names)
        scope->capacity *= 2;
    void *block;
    CR_TRY(cr_alloc_zeroed(graph->model->heap, scope->capacity * sizeof *scope->slots, &block));
    scope->slots = block;
    return CREASE_OK;
}

void cr_scope_close(cr_scope *scope) {
    cr_free(scope->graph->model->heap, scope->slots);
}

bool cr_scope_has(const cr_scope *scope, const char *name, cr_value **value) {
    const cr_slot *slot = slot_of(scope, name);
    *value = slot->value;
    return slot->name != NULL;
}

bool cr_scope_find(const cr_scope *scope, const char *name, cr_value **value) {
    for (; scope; scope = scope->outer)
        if (cr_scope_has(scope, name, value))
            return true;
    *value = NULL;
    return false;
}

void cr_scope_bind(cr_scope *scope, const char *name, cr_value *value) {
    *slot_of(scope, name) = (cr_slot){name, value};
}

crease_status cr_scope_define(cr_scope *scope, const char *name, cr_value **value) {
    const char *full = name;
    if (cr_scope_has(scope, name, value))
        return *value ? CREASE_OK
                      : cr_fail(CREASE_ERROR_MODEL, "function '%s' writes to its input '%s'",
                                scope->call->function->name, name);
    if (scope->call)
        CR_TRY(cr_arena_format(&scope->graph->model->arena, &full, "%s/%.400s", scope->call->prefix, name));
    CR_TRY(cr_graph_add_value(scope->graph, full, scope->call != NULL, value));
    cr_scope_bind(scope, name, *value);
    return CREASE_OK;
}
