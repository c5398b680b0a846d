#include "passes/pass.h"
#include "runtime/api/compare.h"
#include "runtime/api/noise.h"
#include "runtime/api/twins.h"
#include "runtime/base/structs.h"
#include "runtime/graph/edit.h"

#include <math.h>
#include <string.h>

/* Four runs on the same inputs (unfolded and folded, each as the engine runs it and in float64) and what they
 * differ by. */

struct crease_verify_report {
    cr_heap *heap;
    cr_arena arena;
    crease_verify_entry *outputs, *layers;
    size_t n_outputs, n_layers;
    bool pass;
};

void crease_verify_options_init_sized(crease_verify_options *options, size_t bytes) {
    const crease_verify_options full = {.rtol = 1e-4, .judge = true};
    cr_struct_init(options, bytes, &full, sizeof full);
}

void(crease_verify_options_init)(crease_verify_options *options) {
    crease_verify_options_init(options);
}

typedef struct runs {
    crease_session *a, *b; /* as they run: outputs are theirs */
    /* Every value kept, nothing fused: layers are theirs; NULL without layers. */
    crease_session *kept_a, *kept_b;
    crease_model *before, *after; /* what they were made from, folded or not: standard operators */
    crease_fold_report *folds;    /* of after; NULL: a file that came as it is */
    cr_twins twins;               /* those in float64; wide NULL: no judge */
    double *bounds, *fold_bounds; /* by value id of the first twin; NULL: none stated */
    int *subjects;                /* by layer: id of the node in `before` that it speaks of */
    bool related;                 /* b is a, folded */
    const crease_verify_options *options;
    crease_verify_report *report;
} runs;

/* ---- one tensor ---- */

/* The four computations of one value. */
typedef struct views {
    const cr_tensor *a, *b, *judge, *judge_b; /* the last two may be NULL */
    double bound, fold_bound;
} views;

static double error_between(const cr_tensor *a, const cr_tensor *b) {
    if (!a || !b)
        return -1;
    cr_difference d = cr_compare(a, b);
    return cr_relative(&d);
}

/* b - a is the sum of three parts: the rounding of b's kernels, what folding did, the rounding of a's. */
static const char *cause_of(const views *v, const crease_verify_entry *entry) {
    double kernels = fmax(entry->unfolded_error, error_between(v->b, v->judge_b));
    if (entry->fold_error < 0 || entry->max_abs == 0)
        return NULL;
    return entry->fold_error > kernels ? "folding" : "kernels";
}

static void judge(const views *v, crease_verify_entry *entry) {
    entry->unfolded_error = error_between(v->a, v->judge);
    entry->folded_error = error_between(v->b, v->judge);
    entry->fold_error = error_between(v->judge_b, v->judge);
    entry->bound = v->bound;
    entry->fold_bound = v->fold_bound;
    entry->cause = cause_of(v, entry);
}

static crease_status compare(const runs *r, const char *name, const views *v, crease_verify_entry *entry) {
    cr_difference d = cr_compare(v->b, v->a);
    bool floats = cr_dtype_is_float(v->a->dtype), same_type = v->a->dtype == v->b->dtype;
    *entry = (crease_verify_entry){.struct_size = sizeof *entry,
                                   .n = cr_shape_n(&v->a->shape),
                                   .max_abs = same_type ? d.max_abs : INFINITY,
                                   .max_rel = same_type ? cr_relative(&d) : INFINITY,
                                   .unfolded_error = -1,
                                   .folded_error = -1,
                                   .fold_error = -1,
                                   .top1 = cr_same_top1(v->a, v->b)};
    CR_TRY(cr_arena_string(&r->report->arena, name, &entry->name));
    if (floats && same_type)
        judge(v, entry);
    const double least = cr_dtype_is_half(v->a->dtype) ? 2 * cr_dtype_unit(v->a->dtype) : 0;
    const double allowed = floats ? r->options->atol + fmax(r->options->rtol, least) * d.magnitude : 0;
    entry->pass = entry->max_abs <= allowed;
    return CREASE_OK;
}

static bool is_bounded(const crease_verify_entry *e) {
    return e->bound > 0;
}

static bool in_bounds(const crease_verify_entry *e) {
    return !is_bounded(e) ||
           (e->max_rel <= e->bound && (e->fold_bound == 0 || e->fold_error <= e->fold_bound));
}

/* Values of the two sessions, and ids of the same in the models that those were made from; false: one of
 * them is not kept. */
static bool view(const runs *r, const cr_tensor *x, const cr_tensor *y, int a, int b, views *v) {
    bool judged = r->twins.wide && r->twins.wide_after;
    *v = (views){.a = x,
                 .b = y,
                 .judge = judged ? cr_session_contents(r->twins.wide, a) : NULL,
                 .judge_b = judged ? cr_session_contents(r->twins.wide_after, b) : NULL,
                 .bound = r->bounds ? r->bounds[a] : 0,
                 .fold_bound = r->bounds ? r->fold_bounds[a] : 0};
    return v->a && v->b;
}

/* With every value kept, sessions run the twins, or without a judge the models, as they are. */
static bool view_kept(const runs *r, int a, int b, views *v) {
    return view(r, cr_session_contents(r->kept_a, a), cr_session_contents(r->kept_b, b), a, b, v);
}

/* ---- outputs and layers ---- */

static crease_status compare_outputs(const runs *r) {
    crease_verify_report *report = r->report;
    const cr_graph *a = r->a->optimized->ir->graph, *b = r->b->optimized->ir->graph;
    if (a->n_outputs != b->n_outputs)
        return cr_fail(CREASE_ERROR_INPUT, "the models have %d and %d outputs: they cannot be compared",
                       a->n_outputs, b->n_outputs);
    CR_TRY(CR_ARENA_NEW(&report->arena, &report->outputs, (size_t)a->n_outputs));
    for (int i = 0; i < a->n_outputs; i++) {
        views v;
        if (!view(r, cr_session_contents(r->a, a->outputs[i]->id),
                  cr_session_contents(r->b, b->outputs[i]->id), r->before->ir->graph->outputs[i]->id,
                  r->after->ir->graph->outputs[i]->id, &v))
            return cr_fail(CREASE_ERROR_UNSUPPORTED, "output '%s' has no contents that can be compared",
                           a->outputs[i]->name);
        CR_TRY(compare(r, a->outputs[i]->name, &v, &report->outputs[i]));
        report->outputs[i].pass &= in_bounds(&report->outputs[i]);
        report->pass &= report->outputs[i].pass;
        report->n_outputs++;
    }
    return CREASE_OK;
}

/* A body may run often: what is said of its folds is the worst of all turns. */
static void merge(crease_verify_entry *into, const crease_verify_entry *turn) {
    into->pass &= turn->pass;
    into->n += turn->n;
    into->max_abs = fmax(into->max_abs, turn->max_abs);
    into->unfolded_error = fmax(into->unfolded_error, turn->unfolded_error);
    into->folded_error = fmax(into->folded_error, turn->folded_error);
    into->fold_error = fmax(into->fold_error, turn->fold_error);
    into->bound = fmax(into->bound, turn->bound);
    into->fold_bound = fmax(into->fold_bound, turn->fold_bound);
    into->top1 = turn->top1 < into->top1 ? turn->top1 : into->top1;
    if (turn->max_rel >= into->max_rel) {
        into->cause = turn->cause;
        into->max_rel = turn->max_rel;
    }
}

/* The layer that speaks of this node already, or a new one. */
static crease_status put_layer(const runs *r, int subject, const crease_verify_entry *entry) {
    crease_verify_report *report = r->report;
    size_t i = 0;
    while (i < report->n_layers && r->subjects[i] != subject)
        i++;
    if (i < report->n_layers) {
        merge(&report->layers[i], entry);
    } else {
        report->layers[report->n_layers] = *entry;
        r->subjects[report->n_layers++] = subject;
    }
    if (r->related)
        report->pass &= entry->pass;
    return CREASE_OK;
}

static crease_status add_layer(const runs *r, int subject, const char *node, const cr_value *value,
                               const views *v) {
    crease_verify_entry entry;
    CR_TRY(compare(r, value->name, v, &entry));
    CR_TRY(cr_arena_string(&r->report->arena, node, &entry.node));
    if (is_bounded(&entry)) /* a tolerance is for results; within the network the bound says what to expect */
        entry.pass = in_bounds(&entry);
    return put_layer(r, subject, &entry);
}

static crease_status make_room(runs *r, size_t n) {
    CR_TRY(CR_ARENA_NEW(&r->report->arena, &r->report->layers, n));
    return CR_ARENA_NEW(&r->report->arena, &r->subjects, n);
}

/* Every fold at its checkpoint. */
static crease_status compare_folds(runs *r) {
    const cr_report *folds = r->folds;
    const cr_twins *t = &r->twins;
    CR_TRY(make_room(r, folds->n));
    for (size_t i = 0; i < folds->n && t->clean; i++) {
        const int id = folds->nodes[i];
        for (const cr_node *n = cr_twins_next(t, id, NULL); n; n = cr_twins_next(t, id, n)) {
            views v;
            const cr_value *value;
            CR_TRY(cr_twins_checkpoint(t, &folds->entries[i], n, &value));
            if (value && view_kept(r, t->same_before[value->id], value->id, &v))
                CR_TRY(add_layer(r, id, folds->entries[i].name, value, &v));
        }
    }
    return CREASE_OK;
}

/* The turn that a value of the first or second network belongs to. */
static int turn_of(const runs *r, int which, const cr_value *value) {
    return r->twins.wide_after ? r->twins.lines[which].values[value->id].turn : 0;
}

static const cr_value *value_called(const runs *r, const char *name, int turn) {
    const cr_model *model = r->kept_b->optimized->ir;
    for (int i = 0; i < model->n_values; i++)
        if (model->values[i]->producer && model->values[i]->graph == model->graph &&
            strcmp(model->values[i]->name, name) == 0 && turn_of(r, 1, model->values[i]) == turn)
            return model->values[i];
    return NULL;
}

/* Two files: the batch normalisations of the first whose output the second has under the same name. What such
 * a tensor means is the second file's business, so that these lines inform and do not decide. */
static crease_status compare_names(runs *r) {
    const cr_graph *graph = r->kept_a->optimized->ir->graph;
    CR_TRY(make_room(r, (size_t)graph->n_nodes));
    CR_FOR_NODES(node, graph) {
        views v;
        const cr_value *out = cr_node_is(node, "BatchNormalization") ? cr_node_output(node, 0) : NULL;
        const cr_value *other = out ? value_called(r, out->name, turn_of(r, 0, out)) : NULL;
        const int id = r->twins.wide_after ? r->twins.lines[0].nodes[node->id].id : node->id;
        if (other && view_kept(r, out->id, other->id, &v))
            CR_TRY(add_layer(r, id, node->name, out, &v));
    }
    return CREASE_OK;
}

/* ---- running ---- */

static crease_status run_narrow(crease_model *model, const crease_options *options,
                                const crease_tensor *inputs, size_t n, crease_session **session) {
    CR_TRY(crease_session_create(model, options, session));
    CR_TRY(cr_session_set_inputs(*session, inputs, n, false));
    return crease_session_run(*session);
}

/* The one of two models that only b is for: the caller cannot tell which of them failed. */
static crease_status run_second(crease_model *model, const crease_options *options,
                                const crease_tensor *inputs, size_t n, crease_session **session) {
    const crease_status status = run_narrow(model, options, inputs, n, session);
    return status == CREASE_OK ? status : cr_fail(status, "the second model: %s", crease_error_message());
}

/* Bounds are for a network against its folded self, from a session or a file that crease folded; any other
 * file may have been rounded anywhere. */
static bool has_bounds(const runs *r) {
    const cr_model *b = r->after->ir;
    for (int i = 0; !r->related && i < b->n_properties; i++)
        if (strcmp(b->properties[i].key, "crease.fold") == 0)
            return true;
    return r->related;
}

static crease_status find_bounds(runs *r, const crease_options *o) {
    const cr_model *wide = r->twins.wide->optimized->ir;
    const cr_tensor **inputs;
    cr_noise noise = {.heap = r->report->heap, .threads = r->twins.threads, .exact = o->exact};
    CR_TRY(CR_ARENA_NEW(&r->report->arena, &inputs, (size_t)wide->graph->n_inputs));
    CR_TRY(CR_ARENA_NEW(&r->report->arena, &r->bounds, (size_t)wide->n_values));
    CR_TRY(CR_ARENA_NEW(&r->report->arena, &r->fold_bounds, (size_t)wide->n_values));
    for (int i = 0; i < wide->graph->n_inputs; i++)
        inputs[i] = cr_session_contents(r->twins.wide, wide->graph->inputs[i]->id);
    crease_status status = cr_noise_bounds(&noise, wide, r->twins.before, inputs, r->bounds, r->fold_bounds);
    if (status == CREASE_ERROR_UNSUPPORTED)
        r->bounds = NULL;
    return status == CREASE_ERROR_UNSUPPORTED ? CREASE_OK : status;
}

/* An operator without a float64 form: no judge, said by errors of -1. */
static crease_status run_judges(runs *r, const crease_options *o, const crease_tensor *inputs, size_t n) {
    crease_status status = cr_twins_run(&r->twins, r->before, r->after, o, inputs, n, r->related);
    if (status == CREASE_OK && has_bounds(r))
        return find_bounds(r, o);
    return status == CREASE_ERROR_UNSUPPORTED || status == CREASE_ERROR_MODEL ? CREASE_OK : status;
}

/* As sessions fold it. */
static crease_status widen(const crease_model *model, crease_model **wide) {
    cr_model *ir;
    CR_TRY(cr_model_clone(model->ir, model->ir->heap, &ir));
    crease_status status = cr_optimize_widen(ir);
    if (status == CREASE_OK)
        return cr_model_publish(ir, wide);
    cr_model_destroy(ir);
    return status;
}

/* The model as it is, or folded like a session does it. report may be NULL. */
static crease_status take_model(crease_model *model, const crease_options *o, bool fold, crease_model **taken,
                                crease_fold_report **report) {
    crease_fold_options options;
    if (!fold) {
        *taken = crease_model_retain(model);
        return CREASE_OK;
    }
    crease_fold_options_init(&options);
    options.assume_const = o->assume_const;
    return crease_fold(model, &options, taken, report);
}

/* Every value kept, of the same models that the judges run. */
static crease_status run_kept(runs *r, crease_options o, const crease_tensor *inputs, size_t n) {
    crease_model *before = r->twins.lines[0].line, *after = r->twins.lines[1].line;
    o.fold = false;
    CR_TRY(run_narrow(before ? before : r->before, &o, inputs, n, &r->kept_a));
    return run_narrow(after ? after : r->after, &o, inputs, n, &r->kept_b);
}

static crease_status verify(runs *r, crease_model *a, crease_model *b, const crease_tensor *inputs, size_t n,
                            crease_options o) {
    crease_options unfolded = o;
    crease_model *second = b ? b : a;
    r->related = !b;
    unfolded.fold = b != NULL && o.fold;
    CR_TRY(run_narrow(a, &unfolded, inputs, n, &r->a));
    CR_TRY((b ? run_second : run_narrow)(second, &o, inputs, n, &r->b));
    o.assume_const |= r->b->assumes; /* fold as the session did */
    o.keep_all = r->options->layers;
    CR_TRY(take_model(a, &o, unfolded.fold, &r->before, NULL));
    CR_TRY(take_model(second, &o, o.fold, &r->after, &r->folds));
    if (r->options->judge)
        CR_TRY(run_judges(r, &o, inputs, n));
    CR_TRY(compare_outputs(r));
    if (!r->options->layers)
        return CREASE_OK;
    CR_TRY(run_kept(r, o, inputs, n));
    return r->related ? compare_folds(r) : compare_names(r);
}

static crease_status create_report(crease_verify_report **report) {
    void *block;
    cr_heap *heap;
    CR_TRY(cr_heap_create(NULL, 0, &heap));
    const crease_status status = cr_alloc_zeroed(heap, sizeof **report, &block);
    if (status != CREASE_OK) {
        cr_heap_release(heap);
        return status;
    }
    *report = block;
    (*report)->heap = heap;
    (*report)->pass = true;
    cr_arena_init(&(*report)->arena, heap);
    return CREASE_OK;
}

static void free_runs(runs *r) {
    cr_twins_free(&r->twins);
    crease_model_free(r->before);
    crease_model_free(r->after);
    crease_fold_report_free(r->folds);
    crease_session_free(r->a);
    crease_session_free(r->b);
    crease_session_free(r->kept_a);
    crease_session_free(r->kept_b);
}

crease_status crease_verify(crease_model *a, crease_model *b, const crease_tensor *inputs, size_t n_inputs,
                            const crease_options *options, const crease_verify_options *verify_options,
                            crease_verify_report **report) {
    if (!a || !report || (n_inputs && !inputs))
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_verify: a, inputs and report must not be NULL");
    *report = NULL;
    crease_verify_options v;
    crease_verify_options_init(&v);
    cr_struct_take(&v, verify_options, sizeof v);
    runs r = {.options = &v};
    CR_TRY(create_report(&r.report));
    crease_options o = cr_options_of(options);
    crease_model *wide = NULL;
    crease_status status = CREASE_OK;
    if (!b) {
        o.fold = true;
        status = widen(a, &wide);
    }
    if (status == CREASE_OK)
        status = verify(&r, wide ? wide : a, b, inputs, n_inputs, o);
    crease_model_free(wide);
    free_runs(&r);
    if (status == CREASE_OK)
        *report = r.report;
    else
        crease_verify_report_free(r.report);
    return status;
}

bool crease_verify_report_pass(const crease_verify_report *report) {
    return report->pass;
}

size_t crease_verify_report_n_outputs(const crease_verify_report *report) {
    return report->n_outputs;
}

bool crease_verify_report_output_at(const crease_verify_report *report, size_t index,
                                    crease_verify_entry *entry) {
    if (index >= report->n_outputs)
        return false;
    cr_struct_give(entry, &report->outputs[index], sizeof *entry);
    return true;
}

size_t crease_verify_report_n_layers(const crease_verify_report *report) {
    return report->n_layers;
}

bool crease_verify_report_layer_at(const crease_verify_report *report, size_t index,
                                   crease_verify_entry *entry) {
    if (index >= report->n_layers)
        return false;
    cr_struct_give(entry, &report->layers[index], sizeof *entry);
    return true;
}

void crease_verify_report_free(crease_verify_report *report) {
    if (!report)
        return;
    cr_heap *heap = report->heap;
    cr_arena_clear(&report->arena);
    cr_free(heap, report);
    cr_heap_release(heap);
}
