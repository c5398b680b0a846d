#include "runtime/graph/names.h"

#include <string.h>

struct cr_names {
    cr_heap *heap;
    const char **slots; /* open addressing, capacity a power of two, at most half full */
    size_t n, capacity;
};

size_t cr_name_hash(const char *name) {
    uint64_t h = 14695981039346656037u;
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        h = (h ^ *c) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

static const char **find_slot(const char **slots, size_t capacity, const char *name) {
    size_t i = cr_name_hash(name) & (capacity - 1);
    while (slots[i] && strcmp(slots[i], name) != 0)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

crease_status cr_names_create(cr_heap *heap, cr_names **names) {
    void *block;
    *names = NULL;
    CR_TRY(cr_alloc_zeroed(heap, sizeof(cr_names), &block));
    *names = block;
    (*names)->heap = heap;
    return CREASE_OK;
}

void cr_names_destroy(cr_names *names) {
    if (!names)
        return;
    cr_free(names->heap, names->slots);
    cr_free(names->heap, names);
}

bool cr_names_has(const cr_names *names, const char *name) {
    return names->capacity && *find_slot(names->slots, names->capacity, name);
}

static crease_status grow(cr_names *names) {
    size_t capacity = names->capacity ? 2 * names->capacity : 256;
    void *block;
    CR_TRY(cr_alloc_zeroed(names->heap, capacity * sizeof *names->slots, &block));
    const char **slots = block;
    for (size_t i = 0; i < names->capacity; i++)
        if (names->slots[i])
            *find_slot(slots, capacity, names->slots[i]) = names->slots[i];
    cr_free(names->heap, names->slots);
    names->slots = slots;
    names->capacity = capacity;
    return CREASE_OK;
}

crease_status cr_names_add(cr_names *names, const char *name) {
    if (2 * (names->n + 1) > names->capacity)
        CR_TRY(grow(names));
    const char **slot = find_slot(names->slots, names->capacity, name);
    names->n += *slot == NULL;
    *slot = name;
    return CREASE_OK;
}
