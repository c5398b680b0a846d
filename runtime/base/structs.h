#ifndef CREASE_RUNTIME_BASE_STRUCTS_H
#define CREASE_RUNTIME_BASE_STRUCTS_H

#include <stddef.h>
#include <string.h>

/* Structs of the public header begin with struct_size. That of a program compiled against an older header is
 * shorter than ours, whose newer members stand behind those it knows. `bytes` is the size of ours. */

static inline size_t cr_struct_shared(const void *callers, size_t bytes) {
    size_t own;
    memcpy(&own, callers, sizeof own);
    return own < bytes ? own : bytes;
}

/* Defaults, in a struct of own bytes that nothing is said in yet. */
static inline void cr_struct_init(void *callers, size_t own, const void *full, size_t bytes) {
    memset(callers, 0, own);
    memcpy(callers, full, own < bytes ? own : bytes);
    memcpy(callers, &own, sizeof own);
}

/* Over the defaults in *full what the caller says; callers may be NULL. */
static inline void cr_struct_take(void *full, const void *callers, size_t bytes) {
    if (callers)
        memcpy(full, callers, cr_struct_shared(callers, bytes));
}

/* As much of *full as the caller has room for; its struct_size stays. */
static inline void cr_struct_give(void *callers, const void *full, size_t bytes) {
    const size_t shared = cr_struct_shared(callers, bytes), head = sizeof(size_t);
    if (shared > head)
        memcpy((char *)callers + head, (const char *)full + head, shared - head);
}

#endif
