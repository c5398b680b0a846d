#include "runtime/ops/tune.h"
#include "runtime/base/clock.h"
#include "runtime/kernels/conv/algorithms.h"
#include "runtime/kernels/conv/execute.h"
#include "runtime/ops/tune_cache.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_TRIALS = 8, LEAST_ROUNDS = 3 };
static const double SECONDS = 0.003; /* for each trial */
static const double HOPELESS = 4;    /* times the least cost: not tried */

struct cr_tuner {
    cr_heap *heap;
    cr_tune_cache *cache;
};

crease_status cr_tuner_create(cr_heap *heap, const char *path, cr_tuner **tuner) {
    void *block;
    *tuner = NULL;
    CR_TRY(cr_alloc_zeroed(heap, sizeof **tuner, &block));
    cr_tuner *t = block;
    t->heap = heap;
    crease_status status = cr_tune_cache_create(heap, path, &t->cache);
    if (status == CREASE_OK)
        *tuner = t;
    else
        cr_tuner_destroy(t);
    return status;
}

void cr_tuner_destroy(cr_tuner *tuner) {
    if (!tuner)
        return;
    cr_tune_cache_destroy(tuner->cache);
    cr_free(tuner->heap, tuner);
}

crease_status cr_tuner_save(cr_tuner *tuner) {
    return cr_tune_cache_save(tuner->cache);
}

/* ---- what a choice depends on ---- */

typedef struct signature {
    char text[CR_TUNE_TEXT];
    size_t length;
} signature;

static void add(signature *s, const char *word, int64_t value) {
    if (s->length < sizeof s->text)
        s->length += (size_t)snprintf(s->text + s->length, sizeof s->text - s->length, "%s%s%" PRId64,
                                      s->length ? " " : "", word, value);
}

static void add_extents(signature *s, const char *word, const int64_t *extents) {
    add(s, word, extents[CR_D]);
    add(s, "", extents[CR_H]);
    add(s, "", extents[CR_W]);
}

/* The convolution in words. Were extents so long that some are cut off, choices would be shared. */
static void describe(const cr_tune_case *t, signature *s) {
    const cr_conv_geometry *g = &t->conv->geometry;
    add(s, "n", g->n);
    add(s, "g", g->groups);
    add(s, "ic", g->ic);
    add(s, "oc", g->oc);
    add_extents(s, "in", g->in);
    add_extents(s, "out", g->out);
    add_extents(s, "k", g->kernel);
    add_extents(s, "s", g->stride);
    add_extents(s, "d", g->dilation);
    add_extents(s, "p", g->pad);
    add(s, "lanes", t->conv->lanes);
    add(s, "form",
        t->conv->transposed | t->conv->input_blocked << 1 | t->conv->output_blocked << 2 |
            t->conv->has_prologue << 3 | t->conv->has_residual << 4 | t->conv->has_border_bias << 5 |
            t->conv->exact << 6);
    add(s, "act", t->epilogue->act.kind);
    add(s, "", t->epilogue->act_after.kind);
    add(s, "", t->prologue->act.kind);
    add(s, "threads", t->conv->threads);
}

/* FNV-1a (Fowler, Noll and Vo). Two that collide share a choice, which then may be the slower one. */
static uint64_t hash(uint64_t h, const char *text) {
    do
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    while (*text++);
    return h;
}

static uint64_t key_of(const signature *s) {
    char machine[64];
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    snprintf(machine, sizeof machine, "%s %ld", cr_cpu_kernels_name(), cr_cpu_l2_bytes());
    h = hash(h, crease_version());
    h = hash(h, cr_cpu_model());
    h = hash(h, machine);
    return hash(h, s->text);
}

/* ---- trials ---- */

typedef struct trial {
    cr_conv_work work;
    cr_conv_args args;
    void *packed, *workspace;
    double best; /* seconds */
} trial;

/* Memory that all trials share: input, output, and rows of zeros for bias, slopes, scale and shift. */
typedef struct stage {
    cr_heap *heap;
    float *input, *output, *rows;
    cr_epilogue epilogue;
    cr_prologue prologue;
    trial trials[MOST_TRIALS];
    int n;
} stage;

static crease_status take(cr_heap *heap, int64_t a, int64_t b, float **floats) {
    size_t bytes;
    void *block;
    if (!cr_mul_size((size_t)a, (size_t)b, &bytes) || !cr_mul_size(bytes, sizeof(float), &bytes))
        return cr_fail(CREASE_ERROR_MEMORY, "the extents are too large to be tried");
    CR_TRY(cr_alloc_zeroed(heap, bytes, &block));
    *floats = block;
    return CREASE_OK;
}

static int64_t padded(int64_t channels, int lanes) {
    return (channels + lanes - 1) / lanes * lanes;
}

/* Zeros: no product becomes subnormal, and speed does not depend on other values. */
static crease_status set_stage(stage *s, const cr_tune_case *t) {
    const cr_conv_geometry *g = &t->conv->geometry;
    const int64_t ic = padded(g->ic, t->conv->lanes), oc = padded(g->oc, t->conv->lanes);
    const int64_t n_rows = t->conv->has_border_bias ? cr_conv_border_rows(g) : 1;
    CR_TRY(take(s->heap, g->n * ic, g->in[CR_D] * g->in[CR_H] * g->in[CR_W], &s->input));
    CR_TRY(take(s->heap, g->n * oc, g->out[CR_D] * g->out[CR_H] * g->out[CR_W], &s->output));
    CR_TRY(take(s->heap, n_rows, ic > oc ? ic : oc, &s->rows));
    s->epilogue = *t->epilogue;
    s->epilogue.bias = s->epilogue.act.slope = s->epilogue.act_after.slope = s->rows;
    s->epilogue.residual = t->conv->has_residual ? s->output : NULL;
    s->prologue = *t->prologue;
    s->prologue.scale = s->prologue.shift = s->prologue.act.slope = s->rows;
    s->prologue.batch_stride = 0;
    return CREASE_OK;
}

static crease_status add_trial(stage *s, const cr_tune_case *t, const cr_conv_algorithm *algorithm) {
    trial *made = &s->trials[s->n++];
    *made = (trial){.best = INFINITY};
    CR_TRY(cr_alloc(s->heap, algorithm->packed_bytes(t->conv), &made->packed));
    algorithm->pack(t->conv, t->weights, made->packed);
    if (!cr_conv_plan_work(algorithm, t->conv, &made->work))
        return cr_fail(CREASE_ERROR_MEMORY, "the extents are too large to be tried");
    CR_TRY(cr_alloc(s->heap, made->work.workspace_bytes, &made->workspace));
    made->args = (cr_conv_args){.input = s->input,
                                .packed = made->packed,
                                .output = s->output,
                                .epilogue = &s->epilogue,
                                .prologue = t->conv->has_prologue ? &s->prologue : NULL,
                                .border_bias = t->conv->has_border_bias ? s->rows : NULL};
    return CREASE_OK;
}

static void clear(stage *s) {
    for (int i = 0; i < s->n; i++) {
        cr_free(s->heap, s->trials[i].packed);
        cr_free(s->heap, s->trials[i].workspace);
    }
    cr_free(s->heap, s->input);
    cr_free(s->heap, s->output);
    cr_free(s->heap, s->rows);
}

static void run_once(cr_pool *pool, trial *t) {
    const double start = cr_clock_seconds();
    cr_conv_execute(pool, &t->work, &t->args, t->workspace, t->work.workspace_bytes);
    t->best = fmin(t->best, cr_clock_seconds() - start);
}

/* In turn, so that what disturbs one disturbs all; the fastest run of each counts. */
static const cr_conv_algorithm *fastest(stage *s, cr_pool *pool) {
    const double begin = cr_clock_seconds();
    for (int round = 0; round < LEAST_ROUNDS || cr_clock_seconds() - begin < SECONDS * s->n; round++)
        for (int i = 0; i < s->n; i++)
            run_once(pool, &s->trials[i]);
    const trial *best = s->trials;
    for (int i = 1; i < s->n; i++)
        best = s->trials[i].best < best->best ? &s->trials[i] : best;
    return best->work.algorithm;
}

/* ---- choosing ---- */

/* Those worth a trial; returns how many. */
static int candidates(const cr_conv *conv, const cr_conv_algorithm *predicted,
                      const cr_conv_algorithm **list) {
    int n = 0;
    list[n++] = predicted;
    for (const cr_conv_algorithm *const *a = cr_conv_algorithms(cr_cpu_isa()); *a && n < MOST_TRIALS; a++)
        if (*a != predicted && !(*a)->refuses(conv) && (*a)->cost(conv) <= HOPELESS * predicted->cost(conv))
            list[n++] = *a;
    return n;
}

static crease_status try_all(cr_tuner *tuner, cr_pool *pool, const cr_tune_case *t,
                             const cr_conv_algorithm *const *list, int n,
                             const cr_conv_algorithm **algorithm) {
    stage s = {.heap = tuner->heap};
    crease_status status = set_stage(&s, t);
    for (int i = 0; status == CREASE_OK && i < n; i++)
        status = add_trial(&s, t, list[i]);
    if (status == CREASE_OK)
        *algorithm = fastest(&s, pool);
    clear(&s);
    return status;
}

crease_status cr_tune(cr_tuner *tuner, cr_pool *pool, const cr_tune_case *tuned,
                      const cr_conv_algorithm **algorithm) {
    const cr_conv_algorithm *list[MOST_TRIALS];
    const int n = candidates(tuned->conv, *algorithm, list);
    signature s = {0};
    if (n < 2)
        return CREASE_OK;
    describe(tuned, &s);
    const uint64_t key = key_of(&s);
    const char *kept = cr_tune_cache_find(tuner->cache, key);
    for (int i = 0; kept && i < n; i++)
        if (strcmp(list[i]->name, kept) == 0) {
            *algorithm = list[i];
            return CREASE_OK;
        }
    CR_TRY(try_all(tuner, pool, tuned, list, n, algorithm));
    return cr_tune_cache_put(tuner->cache, key, (*algorithm)->name, s.text);
}
