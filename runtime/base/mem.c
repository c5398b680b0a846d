#include "runtime/base/mem.h"
#include "runtime/base/pages.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cr_heap {
    crease_allocator allocator;
    size_t limit_bytes;
    atomic_size_t used, peak;
    atomic_int references;
};

/* In front of every block, so that freeing needs no size. One alignment unit keeps the block itself aligned.
 */
typedef struct block_head {
    size_t bytes; /* with the head */
    bool on_pages;
} block_head;
_Static_assert(sizeof(block_head) <= CR_ALIGNMENT, "the head fits in one alignment unit");

static void *system_allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    void *memory;
    if (bytes > SIZE_MAX - CR_ALIGNMENT || posix_memalign(&memory, alignment, bytes) != 0)
        return NULL;
    cr_pages_want_huge(memory, bytes);
    return memory;
}

static void system_release(void *user, void *memory) {
    (void)user;
    free(memory);
}

crease_status cr_heap_create(const crease_allocator *allocator, size_t limit_bytes, cr_heap **heap) {
    *heap = NULL;
    crease_allocator from = {system_allocate, system_release, NULL};
    if (allocator)
        from = *allocator;
    if (!from.allocate || !from.release)
        return cr_fail(CREASE_ERROR_ARGUMENT, "allocator: allocate and release must both be given");
    cr_heap *h = from.allocate(from.user, sizeof *h, CR_ALIGNMENT);
    if (!h)
        return cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu bytes", sizeof *h);
    memset(h, 0, sizeof *h);
    h->allocator = from;
    h->limit_bytes = limit_bytes;
    atomic_init(&h->references, 1);
    *heap = h;
    return CREASE_OK;
}

cr_heap *cr_heap_retain(cr_heap *heap) {
    atomic_fetch_add(&heap->references, 1);
    return heap;
}

void cr_heap_release(cr_heap *heap) {
    if (!heap || atomic_fetch_sub(&heap->references, 1) != 1)
        return;
    crease_allocator from = heap->allocator;
    from.release(from.user, heap);
}

size_t cr_heap_used(const cr_heap *heap) {
    return atomic_load(&heap->used);
}

size_t cr_heap_peak(const cr_heap *heap) {
    return atomic_load(&heap->peak);
}

/* Count `bytes` as used unless that passes the limit. */
static bool take(cr_heap *heap, size_t bytes) {
    size_t used = atomic_fetch_add(&heap->used, bytes) + bytes;
    if (heap->limit_bytes && used > heap->limit_bytes) {
        atomic_fetch_sub(&heap->used, bytes);
        return false;
    }
    size_t peak = atomic_load(&heap->peak);
    while (used > peak && !atomic_compare_exchange_weak(&heap->peak, &peak, used)) {
    }
    return true;
}

static void *obtain(const cr_heap *heap, size_t bytes, bool on_pages) {
    return on_pages ? cr_pages_take(bytes)
                    : heap->allocator.allocate(heap->allocator.user, bytes, CR_ALIGNMENT);
}

static crease_status allocate(cr_heap *heap, size_t bytes, bool lasting, void **block) {
    *block = NULL;
    size_t whole;
    if (!cr_add_size(bytes, CR_ALIGNMENT, &whole))
        return cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu bytes", bytes);
    if (!take(heap, whole))
        return cr_fail(CREASE_ERROR_MEMORY,
                       "memory limit of %zu bytes reached: %zu in use, %zu more asked for", heap->limit_bytes,
                       cr_heap_used(heap), bytes);
    const bool on_pages = lasting && heap->allocator.allocate == system_allocate && cr_pages_suit(whole);
    char *memory = obtain(heap, whole, on_pages);
    if (!memory) {
        atomic_fetch_sub(&heap->used, whole);
        return cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu bytes", bytes);
    }
    *(block_head *)(void *)memory = (block_head){whole, on_pages};
    *block = memory + CR_ALIGNMENT;
    return CREASE_OK;
}

crease_status cr_alloc(cr_heap *heap, size_t bytes, void **block) {
    return allocate(heap, bytes, false, block);
}

crease_status cr_alloc_lasting(cr_heap *heap, size_t bytes, void **block) {
    return allocate(heap, bytes, true, block);
}

crease_status cr_alloc_zeroed(cr_heap *heap, size_t bytes, void **block) {
    CR_TRY(cr_alloc(heap, bytes, block));
    memset(*block, 0, bytes);
    return CREASE_OK;
}

void cr_free(cr_heap *heap, void *block) {
    if (!block)
        return;
    char *memory = (char *)block - CR_ALIGNMENT;
    const block_head head = *(block_head *)(void *)memory;
    atomic_fetch_sub(&heap->used, head.bytes);
    if (head.on_pages)
        cr_pages_give_back(memory, head.bytes);
    else
        heap->allocator.release(heap->allocator.user, memory);
}

crease_status cr_grow(cr_heap *heap, void **array, size_t *capacity, size_t need, size_t element_bytes) {
    if (need <= *capacity)
        return CREASE_OK;
    size_t grown = *capacity < 8 ? 8 : *capacity, bytes;
    while (grown < need)
        if (!cr_mul_size(grown, 2, &grown))
            return cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu elements", need);
    if (!cr_mul_size(grown, element_bytes, &bytes))
        return cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu elements", need);
    void *larger;
    CR_TRY(cr_alloc(heap, bytes, &larger));
    if (*array)
        memcpy(larger, *array, *capacity * element_bytes);
    cr_free(heap, *array);
    *array = larger;
    *capacity = grown;
    return CREASE_OK;
}

bool cr_mul_size(size_t a, size_t b, size_t *out) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

bool cr_add_size(size_t a, size_t b, size_t *out) {
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

/* ---- arena ---- */

enum { CHUNK_BYTES = 16 * 1024, ARENA_ALIGNMENT = 16 };

struct cr_arena_chunk {
    struct cr_arena_chunk *next;
    size_t used, bytes; /* of the bytes behind this head */
};
_Static_assert(sizeof(struct cr_arena_chunk) <= 2 * ARENA_ALIGNMENT,
               "the head is two alignment units at most");

void cr_arena_init(cr_arena *arena, cr_heap *heap) {
    arena->heap = heap;
    arena->chunks = NULL;
}

void cr_arena_clear(cr_arena *arena) {
    while (arena->chunks) {
        struct cr_arena_chunk *next = arena->chunks->next;
        cr_free(arena->heap, arena->chunks);
        arena->chunks = next;
    }
}

crease_status cr_arena_alloc(cr_arena *arena, size_t bytes, void **block) {
    *block = NULL;
    size_t rounded, whole;
    if (!cr_add_size(bytes, ARENA_ALIGNMENT - 1, &rounded))
        return cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu bytes", bytes);
    rounded &= ~(size_t)(ARENA_ALIGNMENT - 1);
    struct cr_arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->bytes - chunk->used < rounded) {
        size_t room = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;
        if (!cr_add_size(room, 2 * ARENA_ALIGNMENT, &whole))
            return cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu bytes", bytes);
        void *memory;
        CR_TRY(cr_alloc(arena->heap, whole, &memory));
        chunk = memory;
        *chunk = (struct cr_arena_chunk){arena->chunks, 0, room};
        arena->chunks = chunk;
    }
    *block = (char *)chunk + 2 * ARENA_ALIGNMENT + chunk->used;
    chunk->used += rounded;
    memset(*block, 0, rounded);
    return CREASE_OK;
}

crease_status cr_arena_array(cr_arena *arena, size_t n, size_t element_bytes, void **block) {
    size_t bytes;
    *block = NULL;
    if (!cr_mul_size(n, element_bytes, &bytes))
        return cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu elements", n);
    return cr_arena_alloc(arena, bytes, block);
}

crease_status cr_arena_string(cr_arena *arena, const char *text, const char **copy) {
    size_t length = text ? strlen(text) : 0;
    void *block;
    *copy = "";
    CR_TRY(cr_arena_alloc(arena, length + 1, &block));
    if (length)
        memcpy(block, text, length);
    *copy = block;
    return CREASE_OK;
}

crease_status cr_arena_format(cr_arena *arena, const char **copy, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return cr_arena_string(arena, text, copy);
}

/* ---- buffers ---- */

struct cr_buffer {
    cr_heap *heap;
    void *data;
    size_t bytes;
    void (*release)(void *owner);
    void *owner;
    bool owned; /* data came from heap */
    atomic_int references;
};

crease_status cr_buffer_wrap(cr_heap *heap, void *data, size_t bytes, void (*release)(void *owner),
                             void *owner, cr_buffer **buffer) {
    void *block;
    *buffer = NULL;
    CR_TRY(cr_alloc_zeroed(heap, sizeof(cr_buffer), &block));
    cr_buffer *b = block;
    b->heap = cr_heap_retain(heap);
    b->data = data;
    b->bytes = bytes;
    b->release = release;
    b->owner = owner;
    atomic_init(&b->references, 1);
    *buffer = b;
    return CREASE_OK;
}

crease_status cr_buffer_create(cr_heap *heap, size_t bytes, cr_buffer **buffer) {
    void *data;
    *buffer = NULL;
    CR_TRY(cr_alloc(heap, bytes, &data));
    crease_status status = cr_buffer_wrap(heap, data, bytes, NULL, NULL, buffer);
    if (status == CREASE_OK)
        (*buffer)->owned = true;
    else
        cr_free(heap, data);
    return status;
}

crease_status cr_buffer_adopt(cr_heap *heap, void *block, size_t bytes, cr_buffer **buffer) {
    CR_TRY(cr_buffer_wrap(heap, block, bytes, NULL, NULL, buffer));
    (*buffer)->owned = true;
    return CREASE_OK;
}

cr_buffer *cr_buffer_retain(cr_buffer *buffer) {
    if (buffer)
        atomic_fetch_add(&buffer->references, 1);
    return buffer;
}

void cr_buffer_release(cr_buffer *buffer) {
    if (!buffer || atomic_fetch_sub(&buffer->references, 1) != 1)
        return;
    cr_heap *heap = buffer->heap;
    if (buffer->owned)
        cr_free(heap, buffer->data);
    if (buffer->release)
        buffer->release(buffer->owner);
    cr_free(heap, buffer);
    cr_heap_release(heap);
}

void *cr_buffer_data(const cr_buffer *buffer) {
    return buffer->data;
}

size_t cr_buffer_bytes(const cr_buffer *buffer) {
    return buffer->bytes;
}
