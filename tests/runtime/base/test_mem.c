#include "runtime/base/mem.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <string.h>

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

static cr_heap *heap;

static void open_heap(void) {
    OK(cr_heap_create(NULL, 1 << 20, &heap));
}

static void close_heap(void) {
    cr_assert_eq(cr_heap_used(heap), 0, "%zu bytes are still in use", cr_heap_used(heap));
    cr_heap_release(heap);
}

TestSuite(mem, .init = open_heap, .fini = close_heap);

Test(mem, blocks_are_aligned_and_their_own) {
    void *blocks[100];
    for (size_t i = 0; i < 100; i++) {
        OK(cr_alloc(heap, i, &blocks[i]));
        cr_assert_eq((uintptr_t)blocks[i] % CR_ALIGNMENT, 0);
        memset(blocks[i], (int)i, i);
    }
    for (size_t i = 0; i < 100; i++) {
        for (size_t j = 0; j < i; j++)
            cr_assert_eq(((unsigned char *)blocks[i])[j], i);
        cr_free(heap, blocks[i]);
    }
    cr_free(heap, NULL);
}

/* Small ones come from the C library, large ones from the system. */
Test(mem, lasting_blocks_are_ordinary_to_their_user) {
    const size_t sizes[] = {1, 4096, (size_t)1 << 17, (size_t)1 << 20, ((size_t)5 << 20) + 3};
    cr_heap *large;
    OK(cr_heap_create(NULL, 0, &large));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block;
        OK(cr_alloc_lasting(large, sizes[i], &block));
        cr_assert_eq((uintptr_t)block % CR_ALIGNMENT, 0);
        memset(block, 1, sizes[i]);
        cr_assert_geq(cr_heap_used(large), sizes[i]);
        cr_free(large, block);
        cr_assert_eq(cr_heap_used(large), 0);
    }
    cr_heap_release(large);
}

Test(mem, a_limit_holds_and_leaves_room_again) {
    void *half, *more;
    OK(cr_alloc(heap, 1 << 19, &half));
    cr_assert_eq(cr_alloc(heap, 1 << 19, &more), CREASE_ERROR_MEMORY);
    cr_assert_null(more);
    cr_assert(strstr(crease_error_message(), "1048576"), "%s", crease_error_message());
    cr_free(heap, half);
    OK(cr_alloc(heap, 1 << 19, &more));
    cr_free(heap, more);
    cr_assert_geq(cr_heap_peak(heap), 1 << 19);
    cr_assert_lt(cr_heap_peak(heap), 1 << 20);
}

Test(mem, sizes_that_overflow_are_refused) {
    void *block, *array = NULL;
    size_t capacity = 0, out = 7;
    cr_assert_eq(cr_alloc(heap, SIZE_MAX, &block), CREASE_ERROR_MEMORY);
    cr_assert_eq(cr_grow(heap, &array, &capacity, SIZE_MAX, 1), CREASE_ERROR_MEMORY);
    cr_assert_eq(cr_grow(heap, &array, &capacity, SIZE_MAX / 4, 8), CREASE_ERROR_MEMORY);
    cr_assert(array == NULL && capacity == 0);
    cr_assert_not(cr_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    cr_assert_not(cr_add_size(SIZE_MAX, 1, &out));
    cr_assert_eq(out, 7);
    cr_assert(cr_mul_size(SIZE_MAX / 2, 2, &out) && out == SIZE_MAX - 1);
}

Test(mem, growing_keeps_what_is_there) {
    void *array = NULL;
    size_t capacity = 0;
    for (size_t n = 1; n <= 1000; n++) {
        OK(cr_grow(heap, &array, &capacity, n, sizeof(int)));
        cr_assert_geq(capacity, n);
        ((int *)array)[n - 1] = (int)n;
    }
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(((int *)array)[i], i + 1);
    cr_free(heap, array);
}

/* ---- arenas ---- */

Test(mem, an_arena_gives_zeroes_and_takes_all_back) {
    cr_arena arena;
    void *block;
    cr_arena_init(&arena, heap);
    for (size_t bytes = 0; bytes < 40000; bytes = 2 * bytes + 1) {
        OK(cr_arena_alloc(&arena, bytes, &block));
        cr_assert_eq((uintptr_t)block % 16, 0);
        for (size_t i = 0; i < bytes; i++)
            cr_assert_eq(((char *)block)[i], 0);
        memset(block, 0xff, bytes);
    }
    cr_assert_eq(cr_arena_alloc(&arena, SIZE_MAX, &block), CREASE_ERROR_MEMORY);
    cr_assert_eq(cr_arena_array(&arena, SIZE_MAX / 2, 4, &block), CREASE_ERROR_MEMORY);
    cr_arena_clear(&arena);
    cr_assert_eq(cr_heap_used(heap), 0);
    cr_arena_clear(&arena);
}

Test(mem, an_arena_copies_text) {
    cr_arena arena;
    const char *copy;
    cr_arena_init(&arena, heap);
    OK(cr_arena_string(&arena, NULL, &copy));
    cr_assert_str_empty(copy);
    OK(cr_arena_format(&arena, &copy, "%s-%d", "x", 3));
    cr_assert_str_eq(copy, "x-3");
    cr_arena_clear(&arena);
}

/* ---- buffers ---- */

static int n_released;

static void note_release(void *owner) {
    n_released += *(int *)owner;
}

Test(mem, a_buffer_goes_with_its_last_reference) {
    cr_buffer *buffer;
    int one = 1;
    char text[] = "mine";
    OK(cr_buffer_wrap(heap, text, sizeof text, note_release, &one, &buffer));
    cr_assert_eq(cr_buffer_retain(buffer), buffer);
    cr_assert_eq(cr_buffer_data(buffer), text);
    cr_assert_eq(cr_buffer_bytes(buffer), sizeof text);
    cr_buffer_release(buffer);
    cr_assert_eq(n_released, 0);
    cr_buffer_release(buffer);
    cr_assert_eq(n_released, 1);
    cr_assert_null(cr_buffer_retain(NULL));
    cr_buffer_release(NULL);
}

Test(mem, a_buffer_outlives_the_owner_of_its_heap) {
    cr_heap *other;
    cr_buffer *buffer;
    OK(cr_heap_create(NULL, 0, &other));
    OK(cr_buffer_create(other, 100, &buffer));
    cr_heap_release(other);
    memset(cr_buffer_data(buffer), 1, 100);
    cr_buffer_release(buffer);
}

Test(mem, adopting_takes_the_block_over) {
    cr_buffer *buffer;
    void *block;
    OK(cr_alloc(heap, 64, &block));
    OK(cr_buffer_adopt(heap, block, 64, &buffer));
    cr_assert_eq(cr_buffer_data(buffer), block);
    cr_buffer_release(buffer);
}
