#include "runtime/api/twins.h"
#include "runtime/api/compare.h"
#include "runtime/api/judge.h"
#include "runtime/api/walk.h"
#include "runtime/kernels/gemm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Below this relative difference two values mean the same; folding changes a meaning by far more. Rounding of
 * folded weights to a narrow type moves values further. */
static double meaning_limit(crease_dtype dtype) {
    return dtype == CREASE_BFLOAT16 ? 0.25 : dtype == CREASE_FLOAT16 ? 0.03 : 1e-3;
}

/* ---- making ---- */

static crease_status widen_input(const crease_tensor *t, cr_heap *heap, cr_tensor *wide) {
    cr_shape shape = cr_shape_of(t->rank, t->dims);
    CR_TRY(cr_tensor_create(heap, CREASE_DOUBLE, &shape, wide));
    for (int64_t i = 0, n = cr_shape_n(&shape); i < n; i++)
        ((double *)wide->data)[i] = cr_load_float(t->dtype, t->data, i);
    return CREASE_OK;
}

crease_status cr_session_set_inputs(crease_session *session, const crease_tensor *inputs, size_t n,
                                    bool widen) {
    for (size_t i = 0; i < n; i++) {
        const crease_tensor *t = &inputs[i];
        cr_tensor wide = {0};
        bool widens = widen && cr_dtype_is_float(t->dtype);
        if (t->rank < 0 || t->rank > CR_MAX_RANK)
            return cr_fail(CREASE_ERROR_INPUT, "input '%s' has rank %d", t->name ? t->name : "", t->rank);
        if (widens)
            CR_TRY(widen_input(t, session->heap, &wide));
        crease_status status = crease_session_set_input(session, t->name, widens ? CREASE_DOUBLE : t->dtype,
                                                        t->rank, t->dims, widens ? wide.data : t->data);
        cr_tensor_release(&wide);
        CR_TRY(status);
    }
    return CREASE_OK;
}

/* turns NULL: they are not noted. */
static crease_status run_wide(const crease_model *model, const crease_options *options,
                              const crease_tensor *inputs, size_t n, cr_turns *turns,
                              crease_session **session) {
    crease_model *judge;
    CR_TRY(cr_judge_create(model, &judge));
    crease_status status = crease_session_create(judge, options, session);
    crease_model_free(judge); /* the session keeps it */
    CR_TRY(status);
    CR_TRY(cr_session_set_inputs(*session, inputs, n, true));
    if (turns)
        cr_turns_watch(turns, *session);
    return crease_session_run(*session);
}

const cr_tensor *cr_session_contents(const crease_session *session, int id) {
    const cr_model *ir = session->optimized->ir;
    const cr_tensor *t = id < ir->n_values ? cr_session_value(session->exec, ir->values[id]) : NULL;
    return t && !t->lanes ? t : NULL;
}

/* Of a value of `after`. */
static bool agrees(const cr_twins *t, int id) {
    const int same = t->same_before[id];
    const cr_tensor *a = same < 0 ? NULL : cr_session_contents(t->wide, same),
                    *b = cr_session_contents(t->wide_after, id);
    if (!a || !b)
        return false;
    cr_difference d = cr_compare(b, a);
    return cr_relative(&d) <= meaning_limit(t->before->values[same]->dtype);
}

/* ---- what is the same before and after ---- */

static bool same_origin(cr_origin a, cr_origin b) {
    return a.turn >= 0 && a.turn == b.turn && a.id == b.id;
}

static bool same_input(const cr_twins *t, const cr_value *a, const cr_value *b) {
    if (!a || !b)
        return a == b;
    if (a->constant && b->constant)
        return a->constant->data == b->constant->data; /* copies share buffers, folded weights are new */
    return t->same_before[b->id] == a->id;
}

typedef enum likeness { SAME, OTHER_WEIGHTS, OTHER } likeness;

static likeness compare_nodes(const cr_twins *t, const cr_node *a, const cr_node *b) {
    likeness result = SAME;
    if (!a || !same_origin(t->lines[0].nodes[a->id], t->lines[1].nodes[b->id]))
        return OTHER;
    for (int i = 0; i < a->n_inputs || i < b->n_inputs; i++) {
        const cr_value *x = cr_node_input(a, i), *y = cr_node_input(b, i);
        bool weight = (!x || x->constant) && (!y || y->constant);
        if (!same_input(t, x, y))
            result = !weight ? OTHER : result == SAME ? OTHER_WEIGHTS : result;
    }
    return result;
}

static bool inputs_clean(const cr_twins *t, const cr_node *node) {
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] && !t->clean[node->inputs[i]->id])
            return false;
    return true;
}

/* A node with new weights that reads and writes what it did gives something else than before; one that reads
 * or writes another value has taken a fold in, and the numbers tell. */
static bool is_clean(const cr_twins *t, const cr_node *node, const cr_value *output) {
    const int same = t->same_before[output->id];
    if (same < 0)
        return false;
    switch (compare_nodes(t, t->before->values[same]->producer, node)) {
    case SAME:
        return inputs_clean(t, node) || agrees(t, output->id);
    case OTHER_WEIGHTS:
        return false;
    default:
        return agrees(t, output->id);
    }
}

static crease_status find_clean(cr_twins *t) {
    void *block;
    CR_TRY(cr_alloc_zeroed(t->heap, (size_t)t->after->n_values + 1, &block));
    t->clean = block;
    for (int i = 0; i < t->after->n_values; i++)
        t->clean[i] = !t->after->values[i]->producer;
    CR_FOR_NODES(node, t->after->graph)
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i])
            t->clean[node->outputs[i]->id] = is_clean(t, node, node->outputs[i]);
    return CREASE_OK;
}

/* ---- lines ---- */

/* Both as lines where they go the same way, or else both as they are. */
static crease_status make_lines(cr_twins *t, const crease_model *before, const crease_model *after,
                                cr_turns *turns, bool related) {
    const crease_model *models[] = {before, after};
    bool differ = related && !cr_turns_equal(&turns[0], &turns[1]);
    crease_status status = CREASE_OK;
    for (int i = 0; i < 2 && status == CREASE_OK && !differ; i++)
        status = cr_unroll(models[i], &turns[i], &t->lines[i]);
    if (status != CREASE_ERROR_UNSUPPORTED && !differ)
        return status;
    for (int i = 0; i < 2; i++) {
        cr_unrolled_free(&t->lines[i]);
        CR_TRY(cr_unroll(models[i], NULL, &t->lines[i]));
    }
    return CREASE_OK;
}

/* The turns show when a network runs; one without bodies has none. */
static crease_status find_turns(const crease_model *model, const crease_options *options,
                                const crease_tensor *inputs, size_t n, cr_turns *turns) {
    crease_session *session = NULL;
    *turns = (cr_turns){.heap = model->ir->heap};
    if (!cr_has_bodies(model->ir))
        return CREASE_OK;
    crease_options o = *options;
    o.keep_all = false;
    crease_status status = run_wide(model, &o, inputs, n, turns, &session);
    crease_session_free(session);
    return status;
}

static crease_status find_lines(cr_twins *t, const crease_model *before, const crease_model *after,
                                const crease_options *options, const crease_tensor *inputs, size_t n,
                                bool related) {
    cr_turns turns[2] = {{0}};
    crease_status status = find_turns(before, options, inputs, n, &turns[0]);
    if (status == CREASE_OK)
        status = find_turns(after, options, inputs, n, &turns[1]);
    if (status == CREASE_OK)
        status = make_lines(t, before, after, turns, related);
    for (int i = 0; i < 2; i++)
        cr_turns_free(&turns[i]);
    return status;
}

/* ---- which value is which ---- */

typedef struct place {
    cr_origin origin;
    int id;
} place;

static int compare_places(const void *x, const void *y) {
    const cr_origin a = ((const place *)x)->origin, b = ((const place *)y)->origin;
    return a.turn != b.turn ? (a.turn > b.turn) - (a.turn < b.turn) : (a.id > b.id) - (a.id < b.id);
}

static void match(cr_twins *t, place *places) {
    for (int i = 0; i < t->before->n_values; i++) {
        places[i] = (place){t->lines[0].values[i], i};
        t->same_after[i] = -1;
    }
    qsort(places, (size_t)t->before->n_values, sizeof *places, compare_places);
    for (int i = 0; i < t->after->n_values; i++) {
        const place key = {t->lines[1].values[i], i};
        const place *found = key.origin.turn < 0 ? NULL
                                                 : bsearch(&key, places, (size_t)t->before->n_values,
                                                           sizeof *places, compare_places);
        t->same_before[i] = found ? found->id : -1;
        if (found)
            t->same_after[found->id] = i;
    }
}

static crease_status match_values(cr_twins *t) {
    void *block;
    const size_t before = (size_t)t->before->n_values, after = (size_t)t->after->n_values;
    CR_TRY(cr_alloc_zeroed(t->heap, (before + 1) * sizeof *t->same_after, &block));
    t->same_after = block;
    CR_TRY(cr_alloc_zeroed(t->heap, (after + 1) * sizeof *t->same_before, &block));
    t->same_before = block;
    CR_TRY(cr_alloc_zeroed(t->heap, (before + 1) * sizeof(place), &block));
    match(t, block);
    cr_free(t->heap, block);
    return CREASE_OK;
}

crease_status cr_twins_run(cr_twins *twins, const crease_model *before, const crease_model *after,
                           const crease_options *options, const crease_tensor *inputs, size_t n_inputs,
                           bool related) {
    crease_options o = cr_options_of(options);
    *twins = (cr_twins){.heap = before->ir->heap, .threads = o.threads};
    o.fold = false;
    o.plain_layout = true; /* the models as they are: values keep their ids */
    CR_TRY(find_lines(twins, before, after, &o, inputs, n_inputs, related));
    before = twins->lines[0].line ? twins->lines[0].line : before;
    after = twins->lines[1].line ? twins->lines[1].line : after;
    twins->before = before->ir;
    twins->after = after->ir;
    CR_TRY(run_wide(before, &o, inputs, n_inputs, NULL, &twins->wide));
    CR_TRY(run_wide(after, &o, inputs, n_inputs, NULL, &twins->wide_after));
    CR_TRY(match_values(twins));
    return related && o.keep_all ? find_clean(twins) : CREASE_OK;
}

void cr_twins_free(cr_twins *twins) {
    crease_session_free(twins->wide);
    crease_session_free(twins->wide_after);
    if (twins->heap) {
        cr_free(twins->heap, twins->clean);
        cr_free(twins->heap, twins->same_before);
        cr_free(twins->heap, twins->same_after);
    }
    for (int i = 0; i < 2; i++)
        cr_unrolled_free(&twins->lines[i]);
}

/* ---- checkpoints ---- */

const cr_node *cr_twins_next(const cr_twins *t, int node, const cr_node *previous) {
    for (int i = previous ? previous->id + 1 : 0; i < t->before->n_nodes; i++)
        if (t->lines[0].nodes[i].turn >= 0 && t->lines[0].nodes[i].id == node)
            return t->before->nodes[i];
    return NULL;
}

static const cr_node *node_called(const cr_twins *t, const char *name, size_t length, int turn) {
    CR_FOR_NODES(node, t->after->graph)
    if (t->lines[1].nodes[node->id].turn == turn && strlen(node->name) == length &&
        memcmp(node->name, name, length) == 0)
        return node;
    return NULL;
}

/* The folded node's output where something still makes it, else the output of what took it in. */
static const cr_value *first_value(const cr_twins *t, const crease_fold_entry *entry, const cr_node *folded) {
    const cr_value *out = cr_node_output(folded, 0);
    const int same = out ? t->same_after[out->id] : -1;
    if (same >= 0 && t->after->values[same]->producer)
        return t->after->values[same];
    const cr_node *taker = entry->into ? node_called(t, entry->into, strcspn(entry->into, ","),
                                                     t->lines[0].nodes[folded->id].turn)
                                       : NULL;
    return taker ? cr_node_output(taker, 0) : NULL;
}

static bool any_marked(const bool *marked, cr_value *const *values, int n) {
    for (int i = 0; i < n; i++)
        if (values[i] && marked[values[i]->id])
            return true;
    return false;
}

/* Marks what depends on `first`, until something that agrees. */
static const cr_value *walk_down(const cr_twins *t, const cr_value *first, bool *reached) {
    reached[first->id] = true;
    if (agrees(t, first->id))
        return first;
    for (const cr_node *node = first->producer->next; node; node = node->next) {
        if (!any_marked(reached, node->inputs, node->n_inputs))
            continue;
        for (int i = 0; i < node->n_outputs; i++) {
            if (!node->outputs[i])
                continue;
            reached[node->outputs[i]->id] = true;
            if (agrees(t, node->outputs[i]->id))
                return node->outputs[i];
        }
    }
    return first;
}

crease_status cr_twins_checkpoint(const cr_twins *t, const crease_fold_entry *entry, const cr_node *folded,
                                  const cr_value **checkpoint) {
    void *reached;
    const cr_value *first = entry->folded ? first_value(t, entry, folded) : NULL;
    *checkpoint = NULL;
    if (!first || !first->producer || t->same_before[first->id] < 0)
        return CREASE_OK;
    CR_TRY(cr_alloc_zeroed(t->heap, (size_t)t->after->n_values, &reached));
    *checkpoint = walk_down(t, first, reached);
    cr_free(t->heap, reached);
    return CREASE_OK;
}

/* ---- one fold by itself ---- */

typedef struct region {
    const cr_twins *twins;
    const cr_value *end;
    cr_arena arena;
    bool *needed; /* by value id */
    cr_walk walk;
    cr_eval eval;
} region;

/* Backwards from the end to values that are as they were. */
static void mark_region(const region *r) {
    r->needed[r->end->id] = true;
    for (const cr_node *node = r->end->producer; node; node = node->previous)
        if (any_marked(r->needed, node->outputs, node->n_outputs))
            for (int i = 0; i < node->n_inputs; i++)
                if (node->inputs[i] && !node->inputs[i]->constant && !r->twins->clean[node->inputs[i]->id])
                    r->needed[node->inputs[i]->id] = true;
}

static crease_status run_node(region *r, const cr_node *node) {
    const cr_tensor **in;
    CR_TRY(CR_ARENA_NEW(&r->arena, &in, (size_t)node->n_inputs + 1));
    for (int i = 0; i < node->n_inputs; i++) {
        const cr_value *v = node->inputs[i];
        const int same = v && v->id < r->twins->after->n_values ? r->twins->same_before[v->id] : -1;
        const cr_tensor *before = same >= 0 ? cr_session_contents(r->twins->wide, same) : NULL;
        if (v && !cr_walk_contents(&r->walk, v) && before)
            cr_walk_set(&r->walk, v, before);
    }
    CR_TRY(cr_walk_gather(&r->walk, node, in));
    return cr_walk_eval(&r->walk, &r->eval, node, in);
}

static crease_status run_region(region *r, double *measured) {
    const cr_model *wide = r->twins->wide_after->optimized->ir;
    CR_TRY(CR_ARENA_NEW(&r->arena, &r->needed, (size_t)wide->n_values));
    CR_TRY(cr_walk_begin(&r->walk, wide, r->twins->heap));
    mark_region(r);
    CR_FOR_NODES(node, wide->graph)
    if (any_marked(r->needed, node->outputs, node->n_outputs))
        CR_TRY(run_node(r, node));
    const cr_tensor *before = cr_session_contents(r->twins->wide, r->twins->same_before[r->end->id]),
                    *after = &r->walk.values[r->end->id];
    if (!before || !after->dtype)
        return CREASE_OK;
    cr_difference d = cr_compare(after, before);
    *measured = cr_relative(&d);
    return CREASE_OK;
}

/* One turn; *measured is left alone where nothing is known. */
static crease_status measure_turn(const cr_twins *twins, cr_pool *pool, const cr_value *end,
                                  double *measured) {
    region r = {.twins = twins, .end = end, .eval = {.heap = twins->heap, .pool = pool, .exact = true}};
    cr_arena_init(&r.arena, twins->heap);
    cr_blas_enter();
    crease_status status = run_region(&r, measured);
    cr_blas_leave();
    cr_walk_end(&r.walk);
    cr_arena_clear(&r.arena);
    return status == CREASE_ERROR_UNSUPPORTED ? CREASE_OK : status;
}

crease_status cr_twins_measure(const cr_twins *twins, const cr_report *report, size_t entry,
                               double *measured) {
    const int node = report->nodes[entry];
    cr_pool *pool;
    crease_status status = CREASE_OK;
    *measured = NAN;
    CR_TRY(cr_pool_create(twins->heap, twins->threads, &pool));
    for (const cr_node *n = cr_twins_next(twins, node, NULL); n; n = cr_twins_next(twins, node, n)) {
        double error = NAN;
        const cr_value *end = NULL;
        if (status == CREASE_OK)
            status = cr_twins_checkpoint(twins, &report->entries[entry], n, &end);
        if (end && status == CREASE_OK)
            status = measure_turn(twins, pool, end, &error);
        *measured = fmax(*measured, error);
    }
    cr_pool_destroy(pool);
    return status;
}
