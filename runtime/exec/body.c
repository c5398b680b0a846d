#include "runtime/exec/body.h"

#include <string.h>

enum { MAX_PLANS = 8 };

struct cr_body {
    cr_body *next;
    const cr_graph *graph;
    int *captures; /* ids of the values around it that it or its own bodies use */
    int n_captures;
    cr_plan *plans[MAX_PLANS]; /* most recently used first */
    int n_plans;
};

/* ---- what a body uses of the graphs around it ---- */

static bool is_within(const cr_graph *graph, const cr_graph *outer) {
    while (graph && graph != outer)
        graph = graph->owner ? graph->owner->graph : NULL;
    return graph == outer;
}

static void mark_value(const cr_graph *body, const cr_value *value, unsigned char *marks) {
    if (value && !value->constant && !is_within(value->graph, body))
        marks[value->id] = 1;
}

static void mark_captures(const cr_graph *body, const cr_graph *graph, unsigned char *marks) {
    for (int i = 0; i < graph->n_outputs; i++)
        mark_value(body, graph->outputs[i], marks);
    CR_FOR_NODES(node, graph) {
        for (int i = 0; i < node->n_inputs; i++)
            mark_value(body, node->inputs[i], marks);
        for (int a = 0; a < node->n_attrs; a++)
            if (node->attrs[a].type == CR_ATTR_GRAPH || node->attrs[a].type == CR_ATTR_GRAPHS)
                for (int64_t g = 0; g < node->attrs[a].n; g++)
                    mark_captures(body, node->attrs[a].graphs[g], marks);
    }
}

static crease_status list_captures(cr_plan *outer, cr_body *body) {
    void *marks;
    int n_values = outer->model->n_values, n = 0;
    CR_TRY(cr_alloc_zeroed(outer->heap, (size_t)n_values, &marks));
    mark_captures(body->graph, body->graph, marks);
    for (int id = 0; id < n_values; id++)
        n += ((unsigned char *)marks)[id];
    crease_status status = CR_ARENA_NEW(&outer->arena, &body->captures, (size_t)n);
    for (int id = 0; status == CREASE_OK && id < n_values; id++)
        if (((unsigned char *)marks)[id])
            body->captures[body->n_captures++] = id;
    cr_free(outer->heap, marks);
    return status;
}

static crease_status find_body(cr_plan *outer, const cr_graph *graph, cr_body **found) {
    for (*found = outer->bodies; *found; *found = (*found)->next)
        if ((*found)->graph == graph)
            return CREASE_OK;
    cr_body *body;
    CR_TRY(CR_ARENA_NEW(&outer->arena, &body, 1));
    body->graph = graph;
    CR_TRY(list_captures(outer, body));
    body->next = outer->bodies;
    *found = outer->bodies = body;
    return CREASE_OK;
}

cr_body *cr_body_next(const cr_body *body) {
    return body->next;
}

const cr_node *cr_body_node(const cr_body *body) {
    return body->graph->owner;
}

cr_plan *cr_body_plan(const cr_body *body, int i) {
    return i < body->n_plans ? body->plans[i] : NULL;
}

void cr_bodies_destroy(cr_body *bodies) {
    for (; bodies; bodies = bodies->next)
        for (int i = 0; i < bodies->n_plans; i++)
            cr_plan_destroy(bodies->plans[i]);
}

/* ---- plans ---- */

void cr_body_set_infos(cr_plan *plan) {
    const cr_plan *outer = plan->outer;
    for (int id = 0; id < plan->model->n_values; id++) {
        cr_info *info = &plan->walk.infos[id];
        if (is_within(plan->model->values[id]->graph, plan->graph))
            continue;
        *info = outer->walk.infos[id];
        if (cr_shape_is_static(&info->shape) || !outer->tensors[id].data)
            continue;
        info->dtype = outer->tensors[id].dtype;
        info->shape = outer->tensors[id].shape;
    }
}

static bool fits(const cr_body *body, const cr_plan *outer, const cr_plan *plan, const cr_tensor *inputs) {
    for (int i = 0; i < body->graph->n_inputs; i++)
        if (plan->input_types[i] != inputs[i].dtype ||
            !cr_shape_equal(&plan->input_shapes[i], &inputs[i].shape))
            return false;
    for (int i = 0; i < body->n_captures; i++) {
        const cr_tensor *now = &outer->tensors[body->captures[i]];
        const cr_tensor *then = &plan->tensors[body->captures[i]];
        if (now->dtype != then->dtype || !cr_shape_equal(&now->shape, &then->shape))
            return false;
    }
    return true;
}

static void to_front(cr_body *body, int i) {
    cr_plan *plan = body->plans[i];
    memmove(&body->plans[1], &body->plans[0], (size_t)i * sizeof *body->plans);
    body->plans[0] = plan;
}

static crease_status make_plan(cr_body *body, cr_plan *outer, const cr_plan_settings *settings,
                               const cr_tensor *inputs, cr_plan **plan) {
    cr_shape *shapes;
    crease_dtype *types;
    cr_arena arena;
    size_t n = (size_t)body->graph->n_inputs;
    cr_arena_init(&arena, outer->heap);
    crease_status status = CR_ARENA_NEW(&arena, &shapes, n);
    if (status == CREASE_OK)
        status = CR_ARENA_NEW(&arena, &types, n);
    for (size_t i = 0; status == CREASE_OK && i < n; i++) {
        shapes[i] = inputs[i].shape;
        types[i] = inputs[i].dtype;
    }
    if (status == CREASE_OK)
        status = cr_plan_create(body->graph, settings, &(cr_plan_inputs){shapes, types, outer}, plan);
    cr_arena_clear(&arena);
    return status;
}

/* Make the plan for these inputs the first. */
static crease_status use_plan(cr_body *body, cr_plan *outer, const cr_plan_settings *settings,
                              const cr_tensor *inputs) {
    for (int i = 0; i < body->n_plans; i++)
        if (fits(body, outer, body->plans[i], inputs)) {
            to_front(body, i);
            return CREASE_OK;
        }
    cr_plan *plan;
    CR_TRY(make_plan(body, outer, settings, inputs, &plan));
    if (body->n_plans == MAX_PLANS)
        cr_plan_destroy(body->plans[--body->n_plans]);
    body->plans[body->n_plans] = plan;
    to_front(body, body->n_plans++);
    return CREASE_OK;
}

/* ---- running ---- */

static void borrow(cr_plan *plan, int id, const cr_tensor *tensor) {
    plan->tensors[id] = *tensor;
    plan->tensors[id].buffer = NULL;
}

/* A plan's memory is overwritten by the next iteration: what has no buffer of its own is copied. */
static crease_status give_output(const cr_plan *plan, const cr_value *value, const cr_tensor *inputs,
                                 cr_tensor *output) {
    const cr_tensor *from = &plan->tensors[value->id];
    size_t bytes;
    for (int i = 0; i < plan->graph->n_inputs; i++)
        if (plan->graph->inputs[i] == value)
            from = &inputs[i];
    if (!from->data || !cr_shape_is_static(&from->shape))
        return cr_fail(CREASE_ERROR_RUN, "output '%s' of a body has no contents", value->name);
    if (from->buffer) {
        *output = cr_tensor_retain(from);
        return CREASE_OK;
    }
    CR_TRY(cr_tensor_create(plan->heap, from->dtype, &from->shape, output));
    if (cr_tensor_bytes(from->dtype, 0, &from->shape, &bytes) && bytes)
        memcpy(output->data, from->data, bytes);
    return CREASE_OK;
}

static crease_status give_outputs(const cr_plan *plan, const cr_tensor *inputs, cr_tensor *outputs) {
    crease_status status = CREASE_OK;
    int n = plan->graph->n_outputs;
    for (int i = 0; status == CREASE_OK && i < n; i++)
        status = give_output(plan, plan->graph->outputs[i], inputs, &outputs[i]);
    for (int i = 0; status != CREASE_OK && i < n; i++)
        cr_tensor_release(&outputs[i]);
    return status;
}

crease_status cr_body_run(cr_plan *outer, const cr_plan_settings *settings, const cr_graph *graph,
                          const cr_tensor *inputs, cr_tensor *outputs, cr_run_steps *steps, void *context) {
    cr_body *body;
    for (int i = 0; i < graph->n_outputs; i++)
        outputs[i] = (cr_tensor){0};
    CR_TRY(find_body(outer, graph, &body));
    CR_TRY(use_plan(body, outer, settings, inputs));
    cr_plan *plan = body->plans[0];
    for (int i = 0; i < graph->n_inputs; i++)
        borrow(plan, graph->inputs[i]->id, &inputs[i]);
    for (int i = 0; i < body->n_captures; i++)
        borrow(plan, body->captures[i], &outer->tensors[body->captures[i]]);
    CR_TRY(steps(context, plan));
    return give_outputs(plan, inputs, outputs);
}
