#include "runtime/ops/packs.h"
#include "runtime/graph/edit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Bytes made once for each node and kind. Entries that wait to be filled stand at the end. */
typedef struct pack {
    const cr_node *node;
    const char *kind;
    void *bytes;
    size_t n_bytes;
    void *block; /* that begins with bytes and may hold those of others; NULL: they stand in another's */
    cr_pack_fill *fill;
    const void *context;
    cr_value *source;    /* may be forgotten once it is packed; or NULL */
    const void **packed; /* where bytes go to when they come with the filling; or NULL */
} pack;

struct cr_packs {
    cr_heap *heap;
    pack *entries;
    size_t n, capacity;
    size_t n_filled;
};

crease_status cr_packs_create(cr_heap *heap, cr_packs **packs) {
    void *block;
    *packs = NULL;
    CR_TRY(cr_alloc_zeroed(heap, sizeof(cr_packs), &block));
    *packs = block;
    (*packs)->heap = heap;
    return CREASE_OK;
}

void cr_packs_destroy(cr_packs *packs) {
    if (!packs)
        return;
    for (size_t i = 0; i < packs->n; i++)
        cr_free(packs->heap, packs->entries[i].block);
    cr_free(packs->heap, packs->entries);
    cr_free(packs->heap, packs);
}

size_t cr_packs_bytes(const cr_packs *packs) {
    size_t sum = 0;
    for (size_t i = 0; i < packs->n; i++)
        sum += packs->entries[i].n_bytes;
    return sum;
}

static const pack *find(const cr_packs *packs, const cr_node *node, const char *kind) {
    for (size_t i = 0; i < packs->n; i++)
        if (packs->entries[i].node == node && strcmp(packs->entries[i].kind, kind) == 0)
            return &packs->entries[i];
    return NULL;
}

/* Memory for what takes a weight's place comes with the filling, when other weights have gone: even the first
 * byte of a large block can cost a huge page. */
static crease_status reserve(cr_packs *packs, pack *entry, const void **packed) {
    if (entry->source)
        entry->packed = packed;
    else
        CR_TRY(cr_alloc_lasting(packs->heap, entry->n_bytes, &entry->block));
    *packed = entry->bytes = entry->block;
    return CREASE_OK;
}

/* What is computed is known to this plan or in this run, and is something else in the next. */
static bool are_constants(const cr_node *node, unsigned reads) {
    for (int i = 0; i < node->n_inputs && i < 31; i++)
        if ((reads & CR_PACK_READS(i)) && node->inputs[i] && !node->inputs[i]->constant)
            return false;
    return true;
}

/* A promise of ours, but what would be read is no memory any more. */
static crease_status check_source(const cr_node *node, const cr_value *source) {
    const cr_tensor *constant = source ? source->constant : NULL;
    if (constant && !constant->data && cr_shape_n(&constant->shape) > 0)
        return cr_node_fail(node, CREASE_ERROR_RUN, "'%s' was given back once it was packed in another form",
                            source->name);
    return CREASE_OK;
}

static cr_value *source_of(const cr_node *node, unsigned reads) {
    return reads & CR_PACK_REPLACES ? cr_node_input(node, __builtin_ctz(reads)) : NULL;
}

crease_status cr_prepare_pack(cr_prepare *prepare, const char *kind, unsigned reads, size_t bytes,
                              cr_pack_fill *fill, const void *context, const void **packed) {
    cr_packs *packs = prepare->packs;
    void *block;
    if (!packs || !are_constants(prepare->node, reads)) { /* nothing to share or to wait for */
        CR_TRY(cr_arena_alloc(prepare->arena, bytes, &block));
        fill(context, block);
        *packed = block;
        return CREASE_OK;
    }
    const pack *made = find(packs, prepare->node, kind);
    if (made) {
        assert(made->bytes && "a node is prepared once for each plan");
        *packed = made->bytes;
        return CREASE_OK;
    }
    CR_TRY(check_source(prepare->node, source_of(prepare->node, reads)));
    CR_TRY(cr_grow(packs->heap, (void **)&packs->entries, &packs->capacity, packs->n + 1,
                   sizeof *packs->entries));
    packs->entries[packs->n] = (pack){.node = prepare->node,
                                      .kind = kind,
                                      .n_bytes = bytes,
                                      .fill = fill,
                                      .context = context,
                                      .source = source_of(prepare->node, reads)};
    CR_TRY(reserve(packs, &packs->entries[packs->n], packed));
    packs->n++;
    return CREASE_OK;
}

static int by_size(const void *a, const void *b) {
    const pack *x = a, *y = b;
    return x->n_bytes < y->n_bytes ? 1 : x->n_bytes > y->n_bytes ? -1 : 0;
}

typedef struct fill_job {
    const pack *entries;
    size_t n, stride;
} fill_job;

/* Every stride-th entry, so that each thread gets large and small ones. */
static void fill_some(void *context, int64_t begin, int64_t end, int thread) {
    const fill_job *job = context;
    (void)thread;
    for (int64_t first = begin; first < end; first++)
        for (size_t i = (size_t)first; i < job->n; i += job->stride)
            job->entries[i].fill(job->entries[i].context, job->entries[i].bytes);
}

static void forget_sources(const pack *entries, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (entries[i].source && cr_value_has_one_use(entries[i].source))
            cr_value_forget(entries[i].source);
}

/* Entries of a few megabytes together, but one for each thread: the barrier between waves costs little then,
 * and no more than a wave stands in memory both plain and packed. */
static size_t wave_of(const pack *entries, size_t n, size_t threads) {
    const size_t enough = (size_t)4 << 20;
    size_t some = 0;
    for (size_t bytes = 0; some < n && (some < threads || bytes < enough); some++)
        bytes += entries[some].n_bytes;
    return some;
}

/* What an entry takes of a block that it shares; never nothing, so that no two stand at one address. */
static size_t share_of(const pack *entry) {
    return (entry->n_bytes / CR_ALIGNMENT + 1) * CR_ALIGNMENT;
}

static crease_status count_bytes(const pack *entries, size_t n, size_t *bytes) {
    *bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].bytes)
            continue;
        if (entries[i].n_bytes > SIZE_MAX / 2 || !cr_add_size(*bytes, share_of(&entries[i]), bytes))
            return cr_fail(CREASE_ERROR_MEMORY, "packed weights are too large");
    }
    return CREASE_OK;
}

/* One block for all that have none: a run reads every weight once, and the processor's table of pages is too
 * small for the weights of a network unless they stand in huge ones, for which single weights are too small.
 */
static crease_status take_memory(cr_heap *heap, pack *entries, size_t n) {
    size_t bytes;
    void *block = NULL;
    CR_TRY(count_bytes(entries, n, &bytes));
    if (bytes > 0)
        CR_TRY(cr_alloc_lasting(heap, bytes, &block));
    char *next = block;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].bytes)
            continue;
        entries[i].block = next == block ? block : NULL;
        *entries[i].packed = entries[i].bytes = next;
        next += share_of(&entries[i]);
    }
    return CREASE_OK;
}

crease_status cr_packs_fill(cr_packs *packs, cr_pool *pool, bool forget) {
    const size_t threads = (size_t)cr_pool_threads(pool);
    if (packs->n == packs->n_filled)
        return CREASE_OK;
    qsort(packs->entries + packs->n_filled, packs->n - packs->n_filled, sizeof *packs->entries, by_size);
    while (packs->n_filled < packs->n) {
        pack *entries = packs->entries + packs->n_filled;
        const size_t n = wave_of(entries, packs->n - packs->n_filled, threads);
        CR_TRY(take_memory(packs->heap, entries, n));
        fill_job job = {entries, n, threads};
        cr_parallel(pool, (int64_t)threads, fill_some, &job);
        if (forget)
            forget_sources(entries, n);
        packs->n_filled += n;
    }
    return CREASE_OK;
}

void cr_packs_drop_unfilled(cr_packs *packs) {
    while (packs->n > packs->n_filled)
        cr_free(packs->heap, packs->entries[--packs->n].block);
}

crease_status cr_prepare_state(cr_prepare *prepare, size_t bytes, void **state) {
    CR_TRY(cr_arena_alloc(prepare->arena, bytes, state));
    prepare->state = *state;
    return CREASE_OK;
}

crease_status cr_prepare_reserve(cr_prepare *prepare, crease_dtype dtype, const cr_shape *shape,
                                 const char *what, size_t *at) {
    size_t bytes;
    *at = prepare->scratch_bytes;
    if (!cr_tensor_bytes(dtype, 0, shape, &bytes) || bytes > SIZE_MAX / 2 - prepare->scratch_bytes)
        return cr_node_fail(prepare->node, CREASE_ERROR_MEMORY, "%s are too large", what);
    prepare->scratch_bytes += (bytes + CR_ALIGNMENT - 1) / CR_ALIGNMENT * CR_ALIGNMENT;
    return CREASE_OK;
}
