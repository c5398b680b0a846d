#include "runtime/ops/packs.h"
#include "runtime/graph/edit.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <stdlib.h>
#include <string.h>

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

enum { N = 9 };

typedef struct meter {
    int calls, most; /* of allocate; it fails beyond */
} meter;

static void *allocate(void *user, size_t bytes, size_t alignment) {
    meter *m = user;
    void *memory;
    return m->calls++ < m->most && posix_memalign(&memory, alignment, bytes) == 0 ? memory : NULL;
}

static void release(void *user, void *memory) {
    (void)user;
    free(memory);
}

/* Nodes that each pack a constant into so many bytes, all of one value. */
typedef struct bench {
    meter meter;
    cr_heap *heap;
    cr_model *model;
    cr_pool *pool;
    cr_packs *packs;
    cr_value *w[N];
    struct form {
        size_t bytes;
        int value;
    } forms[N];
    const void *packed[N];
} bench;

static void fill(const void *context, void *packed) {
    const struct form *form = context;
    memset(packed, form->value, form->bytes);
}

static void ask(bench *b, int i, unsigned reads) {
    const cr_shape one = cr_shape_of(1, (int64_t[]){1});
    cr_tensor *tensor;
    cr_value *out;
    cr_prepare prepare = {.packs = b->packs};
    cr_node *node;
    OK(cr_graph_new_constant(b->model->graph, NULL, CREASE_FLOAT, &one, &b->w[i], &tensor));
    OK(cr_graph_add_value(b->model->graph, NULL, true, &out));
    OK(cr_graph_add_node(b->model->graph, NULL, "Relu", "", "n", &b->w[i], 1, &out, 1, &node));
    prepare.node = node;
    OK(cr_prepare_pack(&prepare, "kind", reads, b->forms[i].bytes, fill, &b->forms[i], &b->packed[i]));
}

static void begin(bench *b) {
    static const size_t bytes[N] = {0, 1, 63, 64, 65, 0, 4096, 70001, 3};
    const crease_allocator allocator = {allocate, release, &b->meter};
    *b = (bench){.meter.most = INT32_MAX};
    OK(cr_heap_create(&allocator, 0, &b->heap));
    OK(cr_model_create(b->heap, &b->model));
    OK(cr_pool_create(b->heap, 2, &b->pool));
    OK(cr_packs_create(b->heap, &b->packs));
    for (int i = 0; i < N; i++) {
        b->forms[i] = (struct form){bytes[i], i + 1};
        ask(b, i, CR_PACK_READS(0) | (i == N - 1 ? 0 : CR_PACK_REPLACES));
    }
}

static void end(bench *b) {
    cr_packs_destroy(b->packs);
    cr_pool_destroy(b->pool);
    cr_model_destroy(b->model);
    cr_assert_eq(cr_heap_used(b->heap), 0);
    cr_heap_release(b->heap);
}

static void check_bytes(const bench *b, int i) {
    cr_assert_eq((uintptr_t)b->packed[i] % CR_ALIGNMENT, 0);
    for (size_t at = 0; at < b->forms[i].bytes; at++)
        cr_assert_eq(((const unsigned char *)b->packed[i])[at], b->forms[i].value, "%d %zu", i, at);
    for (int other = 0; other < i; other++)
        cr_assert_neq(b->packed[i], b->packed[other], "%d %d", i, other);
}

Test(packs, of_small_weights_share_a_block) {
    bench b;
    begin(&b);
    cr_assert_not_null(b.packed[N - 1]); /* replaces nothing, and is there at once */
    const int before = b.meter.calls;
    OK(cr_packs_fill(b.packs, b.pool, true));
    cr_assert_eq(b.meter.calls, before + 1);
    for (int i = 0; i < N; i++) {
        check_bytes(&b, i);
        cr_assert_eq(b.w[i]->constant->data == NULL, i < N - 1, "%d", i);
    }
    end(&b);
}

Test(packs, that_find_no_memory_are_dropped) {
    bench b;
    begin(&b);
    b.meter.most = b.meter.calls;
    cr_assert_eq(cr_packs_fill(b.packs, b.pool, true), CREASE_ERROR_MEMORY);
    cr_packs_drop_unfilled(b.packs);
    cr_assert_eq(cr_packs_bytes(b.packs), 0);
    for (int i = 0; i < N; i++)
        cr_assert_not_null(b.w[i]->constant->data);
    end(&b);
}

Test(packs, too_large_to_count_are_refused) {
    bench b;
    begin(&b);
    OK(cr_packs_fill(b.packs, b.pool, false));
    for (int i = 0; i < 2; i++) {
        b.forms[i].bytes = SIZE_MAX / 2 - (size_t)i;
        ask(&b, i, CR_PACK_READS(0) | CR_PACK_REPLACES);
    }
    cr_assert_eq(cr_packs_fill(b.packs, b.pool, false), CREASE_ERROR_MEMORY);
    cr_packs_drop_unfilled(b.packs);
    end(&b);
}
