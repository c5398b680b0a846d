#include "runtime/exec/session.h"
#include "runtime/base/clock.h"
#include "runtime/exec/batch.h"
#include "runtime/exec/body.h"
#include "runtime/exec/profile.h"
#include "runtime/kernels/gemm.h"

#include <string.h>

enum { MAX_PLANS = 8, PART_BYTES = 1 << 20 };

typedef struct input {
    bool set;
    cr_tensor tensor; /* owned copy (buffer) or borrowed */
} input;

struct cr_session {
    cr_heap *heap;
    const cr_model *model;
    cr_pool *pool;
    cr_packs *packs;
    cr_tuner *tuner; /* NULL: algorithms are not tried */
    cr_arena arena;
    cr_plan_settings settings;
    cr_plan *plans[MAX_PLANS]; /* most recently used first */
    int n_plans;
    input *inputs;    /* by graph input */
    cr_shape *shapes; /* by graph input: of the run at hand */
    atomic_bool cancelled;
    bool profiling;
    cr_body_watch *watch; /* or NULL */
    void *watch_context;
};

/* ---- plans ---- */

static bool plan_fits(const cr_plan *plan, const cr_shape *shapes) {
    for (int i = 0; i < plan->model->graph->n_inputs; i++)
        if (!cr_shape_equal(&plan->input_shapes[i], &shapes[i]))
            return false;
    return true;
}

static void to_front(cr_session *session, int i) {
    cr_plan *plan = session->plans[i];
    memmove(&session->plans[1], &session->plans[0], (size_t)i * sizeof *session->plans);
    session->plans[0] = plan;
}

/* Symbolic dimensions of the same name must agree, within an input too. */
static crease_status check_symbols(const cr_session *session) {
    const cr_graph *graph = session->model->graph;
    for (int i = 0; i < graph->n_inputs; i++)
        for (int d = 0; d < graph->inputs[i]->shape.rank; d++)
            for (int j = 0; j <= i; j++)
                for (int e = 0; e < (j < i ? graph->inputs[j]->shape.rank : d); e++) {
                    int64_t symbol = graph->inputs[i]->shape.dims[d];
                    int64_t a = session->shapes[i].dims[d], b = session->shapes[j].dims[e];
                    if (symbol <= CR_DIM_FIRST_SYMBOL && symbol == graph->inputs[j]->shape.dims[e] && a != b)
                        return cr_fail(CREASE_ERROR_INPUT,
                                       "inputs '%s' and '%s' disagree about dimension '%s': %lld and %lld",
                                       graph->inputs[j]->name, graph->inputs[i]->name,
                                       session->model->symbols[CR_DIM_FIRST_SYMBOL - symbol], (long long)b,
                                       (long long)a);
                }
    return CREASE_OK;
}

/* Make the plan for session->shapes the first. */
static crease_status use_plan(cr_session *session) {
    for (int i = 0; i < session->n_plans; i++)
        if (plan_fits(session->plans[i], session->shapes)) {
            to_front(session, i);
            return CREASE_OK;
        }
    cr_plan *plan;
    CR_TRY(check_symbols(session));
    CR_TRY(cr_plan_create(session->model->graph, &session->settings,
                          &(cr_plan_inputs){.shapes = session->shapes}, &plan));
    if (session->n_plans == MAX_PLANS)
        cr_plan_destroy(session->plans[--session->n_plans]);
    session->plans[session->n_plans] = plan;
    to_front(session, session->n_plans++);
    return session->tuner ? cr_tuner_save(session->tuner) : CREASE_OK;
}

/* Where inputs have static shapes, but for initial values of another one, no other plan of the graph is to be
 * made. Bodies are planned again and again, so that nothing of theirs may be forgotten. */
static crease_status plan_static_inputs(cr_session *session, bool own_model) {
    const cr_graph *graph = session->model->graph;
    bool only = true;
    for (int i = 0; i < graph->n_inputs; i++) {
        const cr_value *value = graph->inputs[i];
        session->shapes[i] = value->initial ? value->initial->shape : value->shape;
        if (!cr_shape_is_static(&session->shapes[i]))
            return CREASE_OK;
        only &= cr_shape_equal(&session->shapes[i], &value->shape);
    }
    session->settings.forget = own_model && only;
    const crease_status status = use_plan(session);
    session->settings.forget = false;
    return status;
}

static crease_status build(cr_session *session, const cr_session_settings *settings) {
    CR_TRY(cr_pool_create(session->heap, settings->threads, &session->pool));
    CR_TRY(cr_packs_create(session->heap, &session->packs));
    CR_TRY(CR_ARENA_NEW(&session->arena, &session->inputs, (size_t)session->model->graph->n_inputs));
    CR_TRY(CR_ARENA_NEW(&session->arena, &session->shapes, (size_t)session->model->graph->n_inputs));
    if (settings->tune)
        CR_TRY(cr_tuner_create(session->heap, settings->tune_cache, &session->tuner));
    session->settings =
        (cr_plan_settings){.heap = session->heap,
                           .pool = session->pool,
                           .packs = session->packs,
                           .exact = settings->exact,
                           .keep_all = settings->keep_all,
                           .tuner = session->tuner,
                           .weight_limit_bytes = settings->weight_limit_bytes,
                           .part_bytes = settings->part_bytes ? settings->part_bytes : PART_BYTES};
    if (settings->convolution)
        CR_TRY(cr_arena_string(&session->arena, settings->convolution, &session->settings.convolution));
    return plan_static_inputs(session, settings->own_model);
}

crease_status cr_session_create(const cr_model *model, const cr_session_settings *settings,
                                cr_session **session) {
    void *block;
    *session = NULL;
    CR_TRY(cr_alloc_zeroed(settings->heap, sizeof(cr_session), &block));
    cr_session *s = block;
    s->heap = cr_heap_retain(settings->heap);
    s->model = model;
    cr_arena_init(&s->arena, s->heap);
    crease_status status = build(s, settings);
    if (status == CREASE_OK)
        *session = s;
    else
        cr_session_destroy(s);
    return status;
}

void cr_session_destroy(cr_session *session) {
    if (!session)
        return;
    for (int i = 0; i < session->n_plans; i++)
        cr_plan_destroy(session->plans[i]);
    for (int i = 0; session->inputs && i < session->model->graph->n_inputs; i++)
        cr_tensor_release(&session->inputs[i].tensor);
    cr_packs_destroy(session->packs);
    cr_tuner_destroy(session->tuner);
    cr_pool_destroy(session->pool);
    cr_heap *heap = session->heap;
    cr_arena_clear(&session->arena);
    cr_free(heap, session);
    cr_heap_release(heap);
}

/* ---- inputs ---- */

static crease_status check_input(const cr_value *value, crease_dtype dtype, const cr_shape *shape) {
    char want[256], got[256];
    if (value->dtype && dtype != value->dtype)
        return cr_fail(CREASE_ERROR_INPUT, "input '%s' is %s, expected %s", value->name,
                       crease_dtype_name(dtype), crease_dtype_name(value->dtype));
    if (!cr_shape_fits(&value->shape, shape))
        return cr_fail(CREASE_ERROR_INPUT, "input '%s' has shape %s, expected %s", value->name,
                       cr_shape_print(shape, got, sizeof got),
                       cr_shape_print(&value->shape, want, sizeof want));
    return cr_shape_check(shape, CREASE_ERROR_INPUT, value->name);
}

crease_status cr_session_input(cr_session *session, int index, crease_dtype dtype, int rank,
                               const int64_t *dims, const void *data, bool bind) {
    const cr_value *value = session->model->graph->inputs[index];
    if (rank < 0 || rank > CR_MAX_RANK)
        return cr_fail(CREASE_ERROR_INPUT, "input '%s' has rank %d, at most %d is supported", value->name,
                       rank, CR_MAX_RANK);
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0)
            return cr_fail(CREASE_ERROR_INPUT, "input '%s' has the negative dimension %lld", value->name,
                           (long long)dims[i]);
    cr_shape shape = cr_shape_of(rank, dims);
    CR_TRY(check_input(value, dtype, &shape));
    size_t bytes;
    if (!crease_dtype_bits(dtype) || !cr_tensor_bytes(dtype, 0, &shape, &bytes))
        return cr_fail(CREASE_ERROR_INPUT, "input '%s': type %s cannot be set", value->name,
                       crease_dtype_name(dtype));
    if (!data && bytes)
        return cr_fail(CREASE_ERROR_ARGUMENT, "input '%s': data must not be NULL", value->name);
    cr_tensor tensor = {.dtype = dtype, .shape = shape, .data = (void *)(uintptr_t)data};
    if (!bind) {
        CR_TRY(cr_tensor_create(session->heap, dtype, &shape, &tensor));
        if (bytes)
            memcpy(tensor.data, data, bytes);
    }
    cr_tensor_release(&session->inputs[index].tensor);
    session->inputs[index] = (input){true, tensor};
    return CREASE_OK;
}

static void move_input(cr_session *to, cr_session *from, int i) {
    const char *name = from->model->graph->inputs[i]->name;
    for (int j = 0; from->inputs[i].set && j < to->model->graph->n_inputs; j++)
        if (strcmp(to->model->graph->inputs[j]->name, name) == 0) {
            cr_tensor_release(&to->inputs[j].tensor);
            to->inputs[j] = from->inputs[i];
            from->inputs[i] = (input){0};
        }
}

void cr_session_move_inputs(cr_session *to, cr_session *from) {
    for (int i = 0; from && i < from->model->graph->n_inputs; i++)
        move_input(to, from, i);
}

/* ---- running ---- */

static const cr_tensor *input_tensor(const cr_session *session, int i) {
    return session->inputs[i].set ? &session->inputs[i].tensor : session->model->graph->inputs[i]->initial;
}

static crease_status choose_plan(cr_session *session) {
    const cr_graph *graph = session->model->graph;
    for (int i = 0; i < graph->n_inputs; i++) {
        const cr_tensor *tensor = input_tensor(session, i);
        if (!tensor)
            return cr_fail(CREASE_ERROR_INPUT, "input '%s' is not set", graph->inputs[i]->name);
        session->shapes[i] = tensor->shape;
    }
    return use_plan(session);
}

/* A late step and where it runs, for the callbacks. */
typedef struct place {
    cr_session *session;
    cr_plan *plan;
    cr_step *step;
} place;

static crease_status run_steps(cr_session *session, cr_plan *plan);

static crease_status check_cancelled(cr_session *session) {
    return atomic_exchange(&session->cancelled, false)
               ? cr_fail(CREASE_ERROR_CANCELLED, "the run was cancelled")
               : CREASE_OK;
}

/* A body may have no step to be cancelled at, and run for ever. */
static crease_status run_body_steps(void *context, cr_plan *plan) {
    CR_TRY(check_cancelled(context));
    return run_steps(context, plan);
}

static crease_status run_body(cr_run *run, cr_graph *graph, const cr_tensor *inputs, cr_tensor *outputs) {
    const place *at = run->executor;
    if (at->session->watch)
        CR_TRY(at->session->watch(at->session->watch_context, graph));
    return cr_body_run(at->plan, &at->session->settings, graph, inputs, outputs, run_body_steps, at->session);
}

/* Steps after this one rely on the shapes that were inferred. */
static crease_status check_result(const cr_plan *plan, const cr_step *step, int i, const cr_tensor *result) {
    const cr_info *info = &plan->walk.infos[step->node->outputs[i]->id];
    if ((info->dtype && info->dtype != result->dtype) || !cr_shape_fits(&info->shape, &result->shape))
        return cr_node_fail(step->node, CREASE_ERROR_RUN, "output %d has another type or shape than inferred",
                            i);
    return CREASE_OK;
}

static crease_status keep_results(const cr_plan *plan, const cr_step *step, cr_tensor *results) {
    for (int i = 0; i < step->node->n_outputs; i++)
        if (step->out[i]) {
            CR_TRY(check_result(plan, step, i, &results[i]));
            cr_tensor_release(step->out[i]);
            *step->out[i] = results[i];
            results[i] = (cr_tensor){0};
        }
    return CREASE_OK;
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

/* Mostly the same as in the run before. */
static crease_status keep_texts(cr_step *step, cr_heap *heap, const char *const texts[3]) {
    const char **const kept[] = {&step->algorithm, &step->note, &step->refused};
    size_t at[4] = {0};
    void *block;
    bool same = true;
    for (int i = 0; i < 3; i++) {
        same &= strcmp(*kept[i], texts[i]) == 0;
        at[i + 1] = at[i] + strlen(texts[i]) + 1;
    }
    if (same)
        return CREASE_OK;
    CR_TRY(cr_alloc(heap, at[3], &block));
    for (int i = 0; i < 3; i++)
        *kept[i] = memcpy((char *)block + at[i], texts[i], at[i + 1] - at[i]);
    cr_free(heap, step->said);
    step->said = block;
    return CREASE_OK;
}

/* For profiles, as of a step that was prepared with its plan. */
static crease_status keep_choice(void *executor, const cr_prepare *p) {
    const place *at = executor;
    at->step->macs = cr_node_macs(p->node, p->in, p->out);
    return keep_texts(at->step, at->session->heap,
                      (const char *[]){or_empty(p->algorithm), or_empty(p->note), or_empty(p->refused)});
}

static crease_status run_late(cr_session *session, cr_plan *plan, cr_step *step) {
    place at = {session, plan, step};
    cr_eval eval = {.heap = session->heap,
                    .pool = session->pool,
                    .exact = session->settings.exact,
                    .any_shape = step->ahead != NULL,
                    .convolution = step->ahead ? step->ahead : session->settings.convolution,
                    .packs = session->settings.weight_limit_bytes && !step->ahead ? NULL : session->packs,
                    .subgraph = run_body,
                    .prepared = keep_choice,
                    .executor = &at};
    cr_tensor *results;
    cr_arena arena;
    cr_arena_init(&arena, session->heap);
    crease_status status = CR_ARENA_NEW(&arena, &results, (size_t)step->node->n_outputs + 1);
    if (status == CREASE_OK)
        status = cr_eval_node(&eval, step->node, step->in, results);
    if (status == CREASE_OK)
        status = keep_results(plan, step, results);
    for (int i = 0; results && i < step->node->n_outputs; i++)
        cr_tensor_release(&results[i]);
    cr_arena_clear(&arena);
    return status;
}

static crease_status run_step(cr_session *session, cr_plan *plan, cr_step *step) {
    if (step->late)
        return run_late(session, plan, step);
    cr_run run = {.node = step->node,
                  .op = step->node->op,
                  .state = step->state,
                  .n_in = step->node->n_inputs,
                  .n_out = step->node->n_outputs,
                  .in = step->in,
                  .out = step->out,
                  .scratch = plan->scratch,
                  .scratch_bytes = plan->scratch_bytes,
                  .pool = session->pool,
                  .heap = session->heap};
    return cr_op_run(&run);
}

static crease_status run_pass(cr_session *session, cr_plan *plan, cr_step *step) {
    CR_TRY(check_cancelled(session));
    const double start = session->profiling ? cr_clock_seconds() : 0;
    CR_TRY(run_step(session, plan, step));
    if (session->profiling) {
        step->run_seconds += cr_clock_seconds() - start;
        step->run_passes++;
    }
    return CREASE_OK;
}

static crease_status run_loop(cr_session *session, cr_plan *plan, cr_loop *loop) {
    for (int64_t pass = 0; pass < loop->passes; pass++) {
        cr_loop_set_pass(plan, loop, pass);
        for (int s = loop->first; s < loop->end; s++)
            CR_TRY(run_pass(session, plan, &plan->steps[s]));
    }
    return CREASE_OK;
}

/* The result of a late step, whose memory is its own, once the steps before `end` have run. What a step's
 * bodies alone use of it stays until the next run. */
static void release_result(cr_plan *plan, const cr_value *value, int end) {
    cr_tensor *tensor = value ? &plan->tensors[value->id] : NULL;
    if (!tensor || !tensor->buffer || plan->slots[value->id].last >= end)
        return;
    cr_buffer_release(tensor->buffer);
    tensor->buffer = NULL;
    tensor->data = NULL;
}

static void release_results(cr_plan *plan, int first, int end) {
    for (int s = first; s < end; s++) {
        const cr_node *node = plan->steps[s].node;
        for (int i = 0; i < node->n_inputs; i++)
            release_result(plan, node->inputs[i], end);
        for (int i = 0; i < node->n_outputs; i++)
            release_result(plan, node->outputs[i], end);
    }
}

static crease_status run_steps(cr_session *session, cr_plan *plan) {
    int next = 0; /* loop */
    for (int s = 0, end; s < plan->n_steps; s = end) {
        cr_loop *loop = next < plan->n_loops && plan->loops[next].first == s ? &plan->loops[next++] : NULL;
        end = loop ? loop->end : s + 1;
        CR_TRY(loop ? run_loop(session, plan, loop) : run_pass(session, plan, &plan->steps[s]));
        if (plan->any_late) /* few are: to look would cost a cache miss for each value */
            release_results(plan, s, end);
    }
    return CREASE_OK;
}

static crease_status run_measured(cr_session *session, cr_plan *plan) {
    cr_profile_begin(plan);
    CR_TRY(run_steps(session, plan));
    cr_profile_end(plan);
    return CREASE_OK;
}

crease_status cr_session_run(cr_session *session) {
    CR_TRY(choose_plan(session));
    cr_plan *plan = session->plans[0];
    const cr_graph *graph = session->model->graph;
    for (int i = 0; i < graph->n_inputs; i++) {
        plan->tensors[graph->inputs[i]->id] = *input_tensor(session, i);
        plan->tensors[graph->inputs[i]->id].buffer = NULL; /* the session's */
    }
    cr_blas_enter();
    crease_status status = session->profiling ? run_measured(session, plan) : run_steps(session, plan);
    cr_blas_leave();
    return status;
}

const cr_tensor *cr_session_value(const cr_session *session, const cr_value *value) {
    if (!session->n_plans)
        return NULL;
    const cr_plan *plan = session->plans[0];
    const cr_tensor *tensor = &plan->tensors[value->id];
    bool kept =
        session->settings.keep_all || value->n_outputs || plan->slots[value->id].place != CR_PLACE_SLAB;
    return kept && cr_shape_is_static(&tensor->shape) && tensor->data ? tensor : NULL;
}

void cr_session_cancel(cr_session *session) {
    atomic_store(&session->cancelled, true);
}

void cr_session_watch(cr_session *session, cr_body_watch *watch, void *context) {
    session->watch = watch;
    session->watch_context = context;
}

void cr_session_profile(cr_session *session, bool on) {
    session->profiling = on;
    for (int p = 0; on && p < session->n_plans; p++)
        cr_profile_clear(session->plans[p]);
}

const cr_plan *cr_session_plan(const cr_session *session) {
    return session->n_plans ? session->plans[0] : NULL;
}

size_t cr_session_weight_bytes(const cr_session *session) {
    return cr_packs_bytes(session->packs);
}
