#include "runtime/api/session.h"
#include "passes/lower.h"
#include "passes/pass.h"
#include "runtime/base/structs.h"
#include "runtime/exec/profile.h"
#include "runtime/graph/edit.h"
#include "runtime/kernels/conv/algorithms.h"
#include "runtime/ops/conv.h"
#include "runtime/ops/infer.h"

#include <stdio.h>
#include <string.h>

/* ---- making ---- */

/* Whether every intermediate must stay what it is in the file. */
static bool is_literal(const crease_options *o) {
    return o->plain_layout || o->keep_all;
}

/* For this machine. */
static crease_status lower(cr_model *ir, const crease_options *o) {
    const cr_lower_settings settings = {.lanes = cr_conv_lanes(cr_cpu_isa()),
                                        .bytes = cr_cpu_sums_bytes() && !o->convolution,
                                        .fold = o->fold,
                                        .exact = o->exact,
                                        .convolution = o->convolution};
    if (is_literal(o) || !settings.lanes)
        return CREASE_OK;
    CR_TRY(cr_model_resolve(ir));
    CR_TRY(cr_graph_infer(ir->graph));
    return cr_optimize_lower(ir, &settings);
}

/* Only an initializer that may be overridden asks for the model again. */
static void let_go_of_model(crease_session *s) {
    if (s->options.assume_const || s->model->n_inputs == (size_t)s->model->ir->graph->n_inputs) {
        crease_model_free(s->model);
        s->model = NULL;
    }
}

/* A copy of the model to work on; the model itself goes before anything is done that replaces weights. */
static crease_status copy_model(crease_session *s, cr_model **ir) {
    CR_TRY(cr_model_clone(s->model->ir, s->heap, ir));
    let_go_of_model(s);
    return s->assumes ? cr_model_assume_constant(*ir) : CREASE_OK;
}

static crease_status fold(cr_model *ir, const crease_options *o, crease_fold_report **report) {
    CR_TRY(cr_report_create(ir->heap, report));
    if (!is_literal(o))
        CR_TRY(cr_optimize_widen(ir));
    return cr_optimize_fold(ir, NULL, *report);
}

/* Weights that folding and lowering replaced: held here, they would outlive the caller's model. */
static void forget_unused(cr_model *ir) {
    for (int i = 0; i < ir->n_values; i++)
        if (ir->values[i]->n_uses == 0 && ir->values[i]->n_outputs == 0)
            cr_value_forget(ir->values[i]);
}

/* What the session runs: folded when asked for, without dead nodes, for this machine. */
static crease_status optimize(crease_session *s, crease_fold_report **report, crease_model **optimized) {
    cr_model *ir = NULL;
    crease_status status = copy_model(s, &ir);
    if (status == CREASE_OK && s->options.fold)
        status = fold(ir, &s->options, report);
    if (status == CREASE_OK)
        status = cr_model_drop_dead(ir);
    if (status == CREASE_OK)
        status = lower(ir, &s->options);
    if (status != CREASE_OK) {
        cr_model_destroy(ir);
        return status;
    }
    forget_unused(ir);
    return cr_model_publish(ir, optimized);
}

static crease_status make_executor(crease_session *s, crease_model *optimized, cr_session **exec) {
    const crease_options *o = &s->options;
    const cr_session_settings settings = {.heap = s->heap,
                                          .threads = o->threads,
                                          .exact = o->exact,
                                          .keep_all = o->keep_all,
                                          .own_model = true,
                                          .convolution = o->convolution,
                                          .tune = o->tune,
                                          .tune_cache = o->tune_cache,
                                          .weight_limit_bytes = o->weight_limit_bytes};
    CR_TRY(crease_model_check(optimized));
    return cr_session_create(optimized->ir, &settings, exec);
}

/* Optimise and plan; what was there before stays when that fails. Inputs that were set are kept. */
static crease_status build(crease_session *s) {
    crease_fold_report *report = NULL;
    crease_model *optimized = NULL;
    cr_session *exec = NULL;
    crease_status status = optimize(s, &report, &optimized);
    if (status == CREASE_OK)
        status = make_executor(s, optimized, &exec);
    if (status != CREASE_OK) {
        crease_fold_report_free(report);
        crease_model_free(optimized);
        return status;
    }
    cr_session_move_inputs(exec, s->exec);
    cr_session_destroy(s->exec);
    crease_fold_report_free(s->report);
    crease_model_free(s->optimized);
    s->exec = exec;
    s->report = report;
    s->optimized = optimized;
    return CREASE_OK;
}

/* The caller's string may be gone when the session is built again. */
static crease_status keep_name(crease_session *s, const char **name, char **owned) {
    void *copy;
    if (!*name)
        return CREASE_OK;
    const size_t bytes = strlen(*name) + 1;
    CR_TRY(cr_alloc(s->heap, bytes, &copy));
    memcpy(copy, *name, bytes);
    *name = *owned = copy;
    return CREASE_OK;
}

static bool is_among(const char *const *names, const char *name) {
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* What a name means does not depend on the processor. */
static crease_status check_convolution(const char *name) {
    const char *const *blocked = cr_conv_blocked_names(), *const *plain = cr_conv_plain_names();
    char known[384] = "";
    size_t at = 0;
    if (is_among(plain, name) || is_among(blocked, name))
        return CREASE_OK;
    for (size_t i = 0; plain[i]; i++)
        if (!is_among(blocked, plain[i]))
            at += (size_t)snprintf(known + at, sizeof known - at, "%s, ", plain[i]);
    for (size_t i = 0; blocked[i] && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", blocked[i]);
    return cr_fail(CREASE_ERROR_ARGUMENT, "there is no convolution algorithm '%s'; there are %s", name,
                   known);
}

static crease_status begin(crease_session *s) {
    void *block;
    if (s->options.convolution)
        CR_TRY(check_convolution(s->options.convolution));
    CR_TRY(keep_name(s, &s->options.convolution, &s->convolution));
    CR_TRY(keep_name(s, &s->options.tune_cache, &s->tune_cache));
    CR_TRY(crease_model_check(s->model));
    s->assumes = true;
    CR_TRY(build(s));
    CR_TRY(
        cr_alloc_zeroed(s->heap, (size_t)s->optimized->ir->graph->n_outputs * sizeof *s->bindings, &block));
    s->bindings = block;
    return CREASE_OK;
}

/* Takes over `model` only when it succeeds. */
static crease_status allocate(crease_model *model, const crease_options *o, crease_session **session) {
    cr_heap *heap;
    void *block;
    CR_TRY(cr_heap_create(o->allocator, o->memory_limit_bytes, &heap));
    crease_status status = cr_alloc_zeroed(heap, sizeof(crease_session), &block);
    if (status != CREASE_OK) {
        cr_heap_release(heap);
        return status;
    }
    *session = block;
    **session = (crease_session){.heap = heap, .options = *o, .model = model};
    return CREASE_OK;
}

crease_status crease_session_create(crease_model *model, const crease_options *options,
                                    crease_session **session) {
    const crease_options o = cr_options_of(options);
    if (session)
        *session = NULL;
    if (!model || !session) {
        if (o.take_model)
            crease_model_free(model);
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_session_create: model and session must not be NULL");
    }
    if (!o.take_model)
        crease_model_retain(model);
    crease_session *s;
    crease_status status = allocate(model, &o, &s);
    if (status != CREASE_OK) {
        crease_model_free(model);
        return status;
    }
    status = begin(s);
    if (status == CREASE_OK)
        *session = s;
    else
        crease_session_free(s);
    return status;
}

void crease_session_free(crease_session *session) {
    if (!session)
        return;
    cr_heap *heap = session->heap;
    cr_session_destroy(session->exec);
    crease_fold_report_free(session->report);
    crease_model_free(session->optimized);
    crease_model_free(session->model);
    cr_free(heap, session->convolution);
    cr_free(heap, session->tune_cache);
    cr_free(heap, session->bindings);
    cr_free(heap, session);
    cr_heap_release(heap);
}

/* ---- inputs and outputs ---- */

static int index_of(const cr_graph *graph, const char *name) {
    for (int i = 0; i < graph->n_inputs; i++)
        if (strcmp(graph->inputs[i]->name, name) == 0)
            return i;
    return -1;
}

/* An initializer that was taken for a constant, and which the caller overrides now: nothing is assumed from
 * here on. */
static crease_status find_overridable(crease_session *session, const char *name, int *index) {
    if (session->assumes && session->model && index_of(session->model->ir->graph, name) >= 0) {
        session->assumes = false;
        CR_TRY(build(session));
    }
    *index = index_of(session->optimized->ir->graph, name);
    return *index >= 0 ? CREASE_OK : cr_fail(CREASE_ERROR_ARGUMENT, "the model has no input '%s'", name);
}

static crease_status find_input(crease_session *session, const char *name, int *index) {
    if (!name && session->optimized->n_inputs == 1)
        name = session->optimized->inputs[0]->name;
    if (!name)
        return cr_fail(CREASE_ERROR_ARGUMENT, "the model has %zu inputs: one must be named",
                       session->optimized->n_inputs);
    *index = index_of(session->optimized->ir->graph, name);
    return *index >= 0 ? CREASE_OK : find_overridable(session, name, index);
}

static crease_status set_input(crease_session *session, const char *name, crease_dtype dtype, int rank,
                               const int64_t *dims, const void *data, bool bind) {
    int index;
    if (!session || (rank > 0 && !dims))
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_session_set_input: session and dims must not be NULL");
    CR_TRY(find_input(session, name, &index));
    return cr_session_input(session->exec, index, dtype, rank, dims, data, bind);
}

crease_status crease_session_set_input(crease_session *session, const char *name, crease_dtype dtype,
                                       int rank, const int64_t *dims, const void *data) {
    return set_input(session, name, dtype, rank, dims, data, false);
}

crease_status crease_session_bind_input(crease_session *session, const char *name, crease_dtype dtype,
                                        int rank, const int64_t *dims, const void *data) {
    return set_input(session, name, dtype, rank, dims, data, true);
}

crease_status crease_session_bind_output(crease_session *session, const char *name, void *data,
                                         size_t bytes) {
    if (!session)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_session_bind_output: session must not be NULL");
    const cr_graph *graph = session->optimized->ir->graph;
    if (!name && graph->n_outputs != 1)
        return cr_fail(CREASE_ERROR_ARGUMENT, "the model has %d outputs: one must be named",
                       graph->n_outputs);
    for (int i = 0; i < graph->n_outputs; i++)
        if (!name || strcmp(graph->outputs[i]->name, name) == 0) {
            session->bindings[i] = (struct cr_binding){data, bytes};
            return CREASE_OK;
        }
    return cr_fail(CREASE_ERROR_ARGUMENT, "the model has no output '%s'", name);
}

static crease_status copy_to_bindings(crease_session *session) {
    for (size_t i = 0; i < crease_session_n_outputs(session); i++) {
        crease_tensor tensor = {.struct_size = sizeof tensor};
        if (!session->bindings[i].data)
            continue;
        CR_TRY(crease_session_output(session, i, &tensor));
        if (tensor.bytes > session->bindings[i].bytes)
            return cr_fail(CREASE_ERROR_ARGUMENT, "output '%s' needs %zu bytes, the memory bound has %zu",
                           tensor.name, tensor.bytes, session->bindings[i].bytes);
        memcpy(session->bindings[i].data, tensor.data, tensor.bytes);
    }
    return CREASE_OK;
}

crease_status crease_session_run(crease_session *session) {
    if (!session)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_session_run: session must not be NULL");
    CR_TRY(cr_session_run(session->exec));
    return copy_to_bindings(session);
}

static crease_status view(const crease_session *session, const cr_value *value, crease_tensor *tensor) {
    const cr_tensor *t = cr_session_value(session->exec, value);
    size_t bytes;
    if (!t || t->lanes || !cr_tensor_bytes(t->dtype, 0, &t->shape, &bytes))
        return cr_fail(CREASE_ERROR_ARGUMENT,
                       "'%s' has no contents: the session has not run, or does not keep it", value->name);
    *tensor = (crease_tensor){tensor->struct_size, value->name, t->dtype, t->shape.rank,
                              t->shape.dims,       t->data,     bytes};
    return CREASE_OK;
}

size_t crease_session_n_outputs(const crease_session *session) {
    return crease_model_n_outputs(session->optimized);
}

crease_status crease_session_output(crease_session *session, size_t index, crease_tensor *tensor) {
    if (!session || !tensor || index >= crease_session_n_outputs(session))
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_session_output: there is no output %zu", index);
    return view(session, session->optimized->ir->graph->outputs[index], tensor);
}

crease_status crease_session_peek(crease_session *session, const char *name, crease_tensor *tensor) {
    if (!session || !name || !tensor)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_session_peek: nothing may be NULL");
    const cr_model *ir = session->optimized->ir;
    for (int i = 0; i < ir->n_values; i++)
        if (strcmp(ir->values[i]->name, name) == 0 &&
            (ir->values[i]->producer || ir->values[i]->constant || ir->values[i]->is_input))
            return view(session, ir->values[i], tensor);
    return cr_fail(CREASE_ERROR_ARGUMENT, "the model has no tensor '%s', or optimisation removed it", name);
}

void crease_session_cancel(crease_session *session) {
    if (session)
        cr_session_cancel(session->exec);
}

void crease_session_get_memory(const crease_session *session, crease_memory *memory) {
    const cr_plan *plan = cr_session_plan(session->exec);
    const crease_memory full = {.weight_bytes = cr_session_weight_bytes(session->exec),
                                .arena_bytes = plan ? plan->slab_bytes + plan->scratch_bytes : 0,
                                .peak_bytes = cr_heap_peak(session->heap)};
    cr_struct_give(memory, &full, sizeof full);
}

const crease_fold_report *crease_session_fold_report(const crease_session *session) {
    return session->report;
}

/* ---- profiles ---- */

void crease_session_profile(crease_session *session, bool on) {
    cr_session_profile(session->exec, on);
}

size_t crease_session_n_steps(const crease_session *session) {
    const cr_plan *plan = cr_session_plan(session->exec);
    return plan ? cr_profile_n_steps(plan) : 0;
}

static int64_t bytes_of(const cr_tensor *const *tensors, int n) {
    int64_t sum = 0;
    for (int i = 0; i < n; i++) {
        size_t bytes;
        if (tensors[i] && cr_shape_is_static(&tensors[i]->shape) &&
            cr_tensor_bytes(tensors[i]->dtype, tensors[i]->lanes, &tensors[i]->shape, &bytes))
            sum += (int64_t)bytes;
    }
    return sum;
}

static int64_t macs_of(const cr_step *step, int64_t turns) {
    int64_t macs;
    if (step->macs <= 0)
        return step->macs;
    return turns > 0 && !__builtin_mul_overflow(step->macs, turns, &macs) ? macs : -1;
}

bool crease_session_step_at(const crease_session *session, size_t index, crease_step *step) {
    int depth;
    const cr_plan *plan = cr_session_plan(session->exec);
    const cr_step *s = plan ? cr_profile_step(plan, index, &depth) : NULL;
    if (!s)
        return false;
    const int64_t turns = depth ? s->turns : 1; /* 0: nothing was measured */
    crease_step full = {.node = s->node->name,
                        .op_type = s->node->op_type,
                        .algorithm = s->algorithm,
                        .note = s->note,
                        .macs = macs_of(s, turns),
                        .n_runs = s->n_runs,
                        .seconds = s->seconds,
                        .best_seconds = s->best_seconds,
                        .refused = s->refused,
                        .input_bytes = turns * s->passes * bytes_of(s->in, s->node->n_inputs),
                        .output_bytes = turns * s->passes *
                                        bytes_of((const cr_tensor *const *)s->out, s->node->n_outputs),
                        .depth = depth};
    cr_struct_give(step, &full, sizeof full);
    return true;
}
