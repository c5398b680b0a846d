#ifndef CREASE_RUNTIME_BASE_MEM_H
#define CREASE_RUNTIME_BASE_MEM_H

#include "runtime/base/status.h"

#include <stdatomic.h>

enum { CR_ALIGNMENT = 64 };

/* Where the memory of one model or session comes from: the caller's allocator or the C library's, under a
 * limit. Counters are atomic: blocks may be allocated and freed from any thread. Reference-counted, because a
 * buffer can outlive the model or session that made it. */
typedef struct cr_heap cr_heap;

/* allocator NULL: malloc. limit 0: none. On failure *heap is NULL. */
crease_status cr_heap_create(const crease_allocator *allocator, size_t limit_bytes, cr_heap **heap);
cr_heap *cr_heap_retain(cr_heap *heap);
void cr_heap_release(cr_heap *heap); /* NULL is fine */
size_t cr_heap_used(const cr_heap *heap);
size_t cr_heap_peak(const cr_heap *heap);

/* Blocks are aligned to CR_ALIGNMENT; bytes 0 gives a valid unique block. *block is NULL on failure. */
crease_status cr_alloc(cr_heap *heap, size_t bytes, void **block) CREASE_MUST_TEST;
/* For what lives as long as a model or session: freeing a large block gives it back to the system, which
 * costs the next one its first touch anew. */
crease_status cr_alloc_lasting(cr_heap *heap, size_t bytes, void **block) CREASE_MUST_TEST;
crease_status cr_alloc_zeroed(cr_heap *heap, size_t bytes, void **block) CREASE_MUST_TEST;
void cr_free(cr_heap *heap, void *block); /* NULL is fine */

/* Grow an array so that it holds at least `need` elements; doubles. Contents are kept. */
crease_status cr_grow(cr_heap *heap, void **array, size_t *capacity, size_t need,
                      size_t element_bytes) CREASE_MUST_TEST;

/* Sizes that come from a model: false on overflow, *out untouched. */
bool cr_mul_size(size_t a, size_t b, size_t *out);
bool cr_add_size(size_t a, size_t b, size_t *out);

/* Many small blocks with one lifetime. Not thread-safe. */
typedef struct cr_arena {
    cr_heap *heap; /* borrowed */
    struct cr_arena_chunk *chunks;
} cr_arena;

void cr_arena_init(cr_arena *arena, cr_heap *heap);
void cr_arena_clear(cr_arena *arena); /* frees all */
/* Zeroed, aligned to 16 bytes. */
crease_status cr_arena_alloc(cr_arena *arena, size_t bytes, void **block) CREASE_MUST_TEST;
/* A copy of text; NULL text gives "". */
crease_status cr_arena_string(cr_arena *arena, const char *text, const char **copy) CREASE_MUST_TEST;
crease_status cr_arena_format(cr_arena *arena, const char **copy, const char *format, ...)
    __attribute__((format(printf, 3, 4), warn_unused_result));

/* Allocate n zeroed elements of *pointer's type from an arena. */
#define CR_ARENA_NEW(arena, pointer, n) cr_arena_array((arena), (n), sizeof **(pointer), (void **)(pointer))
crease_status cr_arena_array(cr_arena *arena, size_t n, size_t element_bytes, void **block) CREASE_MUST_TEST;

/* A reference-counted block of tensor bytes: owned, the caller's, or part of a mapped file. Thread-safe
 * counting. */
typedef struct cr_buffer cr_buffer;
crease_status cr_buffer_create(cr_heap *heap, size_t bytes, cr_buffer **buffer) CREASE_MUST_TEST;
/* Wraps memory that `release(owner)` gives back when the last reference goes; release may be NULL. */
crease_status cr_buffer_wrap(cr_heap *heap, void *data, size_t bytes, void (*release)(void *owner),
                             void *owner, cr_buffer **buffer) CREASE_MUST_TEST;
/* Takes over a block of cr_alloc on the same heap, unless it fails. */
CREASE_MUST_TEST crease_status cr_buffer_adopt(cr_heap *heap, void *block, size_t bytes, cr_buffer **buffer);
cr_buffer *cr_buffer_retain(cr_buffer *buffer); /* NULL is fine */
void cr_buffer_release(cr_buffer *buffer);      /* NULL is fine */
void *cr_buffer_data(const cr_buffer *buffer);
size_t cr_buffer_bytes(const cr_buffer *buffer);

#endif
