#include "passes/pass.h"
#include "proto/proto.h"
#include "runtime/api/twins.h"
#include "runtime/base/structs.h"
#include "runtime/graph/edit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void crease_fold_options_init_sized(crease_fold_options *options, size_t bytes) {
    const crease_fold_options full = {0};
    cr_struct_init(options, bytes, &full, sizeof full);
}

void(crease_fold_options_init)(crease_fold_options *options) {
    crease_fold_options_init(options);
}

static crease_fold_options options_of(const crease_fold_options *options) {
    crease_fold_options full;
    crease_fold_options_init(&full);
    cr_struct_take(&full, options, sizeof full);
    return full;
}

/* One folding: which nodes it must leave, and what came of it. */
typedef struct folding {
    const crease_model *model;
    const crease_fold_options *options;
    bool *held;       /* [n_nodes] by node id */
    double *measured; /* [n_nodes] of held nodes */
    crease_fold_report *report;
    crease_model *folded;
} folding;

static crease_status optimize(const folding *f, cr_model *ir) {
    const crease_fold_options *o = f->options;
    if (o->assume_const)
        CR_TRY(cr_model_assume_constant(ir));
    cr_fold_settings settings = {
        .only = o->only, .keep = o->keep, .held = f->held, .n_held = f->model->ir->n_nodes};
    CR_TRY(cr_optimize_fold(ir, &settings, f->report));
    bool store = o->original && (cr_report_n_folded(f->report) > 0 || !cr_proto_has_originals(ir));
    return store ? cr_proto_store_originals(ir, o->original, o->original_bytes) : CREASE_OK;
}

static void drop_results(folding *f) {
    crease_model_free(f->folded);
    crease_fold_report_free(f->report);
    f->folded = NULL;
    f->report = NULL;
}

static crease_status fold_once(folding *f) {
    cr_model *ir;
    drop_results(f);
    CR_TRY(cr_model_clone(f->model->ir, f->model->ir->heap, &ir));
    crease_status status = cr_report_create(f->model->ir->heap, &f->report);
    if (status == CREASE_OK)
        status = optimize(f, ir);
    if (status == CREASE_OK)
        return cr_model_publish(ir, &f->folded);
    cr_model_destroy(ir);
    return status;
}

/* ---- measuring ---- */

static crease_status measure_entries(folding *f, const cr_twins *twins) {
    for (size_t i = 0; i < f->report->n; i++) {
        double measured = NAN;
        if (f->report->entries[i].folded)
            CR_TRY(cr_twins_measure(twins, f->report, i, &measured));
        if (!isnan(measured))
            f->report->entries[i].measured = measured;
    }
    return CREASE_OK;
}

static crease_status measure(folding *f) {
    cr_twins twins;
    crease_options options;
    crease_options_init(&options);
    options.threads = f->options->threads;
    options.keep_all = true;
    crease_status status =
        cr_twins_run(&twins, f->model, f->folded, &options, f->options->inputs, f->options->n_inputs, true);
    if (status == CREASE_OK)
        status = measure_entries(f, &twins);
    cr_twins_free(&twins);
    return status;
}

/* Folds beyond the limit are to be left at the next attempt. */
static bool hold_worst(folding *f) {
    bool any = false;
    for (size_t i = 0; i < f->report->n; i++) {
        const crease_fold_entry *e = &f->report->entries[i];
        if (!e->folded || !(e->measured > f->options->max_error))
            continue;
        f->held[f->report->nodes[i]] = any = true;
        f->measured[f->report->nodes[i]] = e->measured;
    }
    return any;
}

static crease_status report_held(folding *f) {
    for (int id = 0; id < f->model->ir->n_nodes; id++) {
        char detail[160];
        if (!f->held[id])
            continue;
        snprintf(detail, sizeof detail,
                 "folding it moves its result by %.3g of the largest magnitude, allowed are %g",
                 f->measured[id], f->options->max_error);
        CR_TRY(cr_report_kept(f->report, f->model->ir->nodes[id], "max-error", detail));
        for (size_t i = 0; i < f->report->n; i++)
            if (f->report->nodes[i] == id)
                f->report->entries[i].measured = f->measured[id];
    }
    return CREASE_OK;
}

/* Leaving one fold may open another way for the next, so that it is measured again; each round holds at least
 * one node more. */
static crease_status fold_within(folding *f) {
    CR_TRY(fold_once(f));
    if (!f->options->inputs)
        return CREASE_OK;
    CR_TRY(measure(f));
    while (f->options->max_error > 0 && hold_worst(f)) {
        CR_TRY(fold_once(f));
        CR_TRY(measure(f));
    }
    return report_held(f);
}

/* What is stored must be a model that can be loaded from memory again. */
static crease_status check_file(const void *data, size_t bytes, cr_heap *heap) {
    cr_model *ir;
    crease_model *model;
    CR_TRY(cr_proto_load_memory(data, bytes, heap, false, &ir));
    CR_TRY(cr_model_publish(ir, &model));
    crease_model_free(model);
    return CREASE_OK;
}

static crease_status check(const crease_model *model, const crease_fold_options *o) {
    if (!model)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_fold: model must not be NULL");
    if (!(o->max_error >= 0) || (o->max_error > 0 && !o->inputs))
        return cr_fail(CREASE_ERROR_ARGUMENT,
                       "crease_fold: max_error must not be negative, and needs inputs to measure with");
    if (o->original)
        CR_TRY(check_file(o->original, o->original_bytes, model->ir->heap));
    return o->inputs ? crease_model_check(model) : CREASE_OK;
}

crease_status crease_fold(const crease_model *model, const crease_fold_options *options,
                          crease_model **folded, crease_fold_report **report) {
    crease_fold_options o = options_of(options);
    folding f = {.model = model, .options = &o};
    cr_arena arena;
    if (folded)
        *folded = NULL;
    if (report)
        *report = NULL;
    CR_TRY(check(model, &o));
    cr_arena_init(&arena, model->ir->heap);
    crease_status status = CR_ARENA_NEW(&arena, &f.held, (size_t)model->ir->n_nodes);
    if (status == CREASE_OK)
        status = CR_ARENA_NEW(&arena, &f.measured, (size_t)model->ir->n_nodes);
    if (status == CREASE_OK)
        status = fold_within(&f);
    if (status == CREASE_OK && folded) {
        *folded = f.folded;
        f.folded = NULL;
    }
    if (status == CREASE_OK && report) {
        *report = f.report;
        f.report = NULL;
    }
    drop_results(&f);
    cr_arena_clear(&arena);
    return status;
}

/* ---- back ---- */

crease_status crease_unfold(const crease_model *folded, void **data, size_t *bytes) {
    void *block;
    if (!folded || !data || !bytes)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_unfold: nothing may be NULL");
    *data = NULL;
    CR_TRY(cr_proto_restore_originals(folded->ir, folded->ir->heap, &block, bytes));
    crease_status status = check_file(block, *bytes, folded->ir->heap);
    if (status == CREASE_OK) {
        *data = malloc(*bytes ? *bytes : 1); /* outlives the model and its allocator */
        status = *data ? CREASE_OK : cr_fail(CREASE_ERROR_MEMORY, "out of memory: %zu bytes", *bytes);
    }
    if (status == CREASE_OK)
        memcpy(*data, block, *bytes);
    cr_free(folded->ir->heap, block);
    return status;
}
