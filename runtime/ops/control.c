#include "runtime/ops/control.h"

#include <string.h>

/* If and Loop (ONNX 1 to 25). A body runs through cr_run.subgraph, which plans it once for each set of
 * shapes; what is passed between iterations is counted, never copied. */

void cr_control_give(cr_run *r, int i, cr_tensor *tensor) {
    if (i < r->n_out && r->out[i]) {
        cr_tensor_release(r->out[i]);
        *r->out[i] = *tensor;
        *tensor = (cr_tensor){0};
    } else {
        cr_tensor_release(tensor);
    }
}

crease_status cr_control_own(cr_run *r, cr_tensor *tensor) {
    cr_tensor copy;
    size_t bytes;
    if (tensor->buffer)
        return CREASE_OK;
    CR_TRY(cr_tensor_create(r->heap, tensor->dtype, &tensor->shape, &copy));
    if (cr_tensor_bytes(tensor->dtype, 0, &tensor->shape, &bytes) && bytes)
        memcpy(copy.data, tensor->data, bytes);
    *tensor = copy;
    return CREASE_OK;
}

crease_status cr_control_body(const cr_node *node, const char *name, int n_inputs, int least_outputs,
                              cr_graph **body) {
    CR_TRY(cr_attr_graph(node, name, body));
    if (!*body)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "attribute '%s' is missing", name);
    if ((*body)->n_inputs != n_inputs || (*body)->n_outputs < least_outputs)
        return cr_node_fail(node, CREASE_ERROR_MODEL,
                            "'%s' has %d inputs and %d outputs, expected %d and at least %d", name,
                            (*body)->n_inputs, (*body)->n_outputs, n_inputs, least_outputs);
    return CREASE_OK;
}

void cr_control_agree(cr_info *one, const cr_info *other) {
    one->known = NULL;
    one->lanes = 0;
    if (one->dtype != other->dtype)
        one->dtype = CREASE_UNDEFINED;
    if (!cr_shape_is_static(&one->shape) || !cr_shape_equal(&one->shape, &other->shape))
        one->shape = cr_shape_unknown();
}

crease_status cr_control_infos(const cr_graph *body, cr_arena *arena, cr_info **inputs, cr_info **outputs) {
    CR_TRY(CR_ARENA_NEW(arena, inputs, (size_t)body->n_inputs + 1));
    CR_TRY(CR_ARENA_NEW(arena, outputs, (size_t)body->n_outputs + 1));
    for (int i = 0; i < body->n_inputs; i++)
        (*inputs)[i] = (cr_info){.dtype = body->inputs[i]->dtype, .shape = cr_shape_unknown()};
    return CREASE_OK;
}

/* Forgets of `in` what `out` contradicts. Returns whether there was anything. */
static bool generalise(cr_shape *in, const cr_shape *out) {
    bool changed = in->rank >= 0 && in->rank != out->rank;
    if (changed)
        *in = cr_shape_unknown();
    for (int d = 0; d < in->rank; d++)
        if (in->dims[d] != CR_DIM_UNKNOWN && in->dims[d] != out->dims[d]) {
            in->dims[d] = CR_DIM_UNKNOWN;
            changed = true;
        }
    return changed;
}

/* Each round forgets something, and most bodies keep everything; but bodies in bodies multiply rounds. */
enum { MAX_ROUNDS = 64 };

crease_status cr_control_settle(cr_infer *infer, const cr_graph *body, cr_info *inputs, int first_in,
                                cr_info *outputs, int first_out, int carried, bool *settled) {
    bool typed = true;
    do {
        CR_TRY(infer->body(infer, body, inputs, outputs));
        *settled = true;
        for (int i = 0; i < carried; i++)
            *settled &= !generalise(&inputs[first_in + i].shape, &outputs[first_out + i].shape);
    } while (!*settled && infer->walk->rounds++ < MAX_ROUNDS);
    for (int i = 0; i < carried; i++)
        typed &= inputs[first_in + i].dtype != CREASE_UNDEFINED;
    if (!*settled || !typed)
        cr_infer_walk_note(infer->walk, body, false);
    return CREASE_OK;
}

static crease_status check_flag(const cr_infer *infer, int i) {
    int64_t n;
    const cr_info *info = i < infer->n_in ? infer->in[i] : NULL;
    if (!info)
        return CREASE_OK;
    if (info->dtype && info->dtype != CREASE_BOOL)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the condition is %s, expected bool",
                            crease_dtype_name(info->dtype));
    if (info->shape.rank >= 0 && cr_shape_product(&info->shape, 0, info->shape.rank, &n) && n != 1)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the condition is not one value");
    return CREASE_OK;
}

static bool flag_of(const cr_tensor *tensor) {
    return *(const uint8_t *)tensor->data != 0;
}

/* ---- If ---- */

static const char *const branches[] = {"else_branch", "then_branch"};

static crease_status infer_branches(cr_infer *infer, cr_graph *const *bodies, cr_arena *arena) {
    cr_info *in, *out[2];
    const cr_tensor *known = infer->in[0]->known;
    for (int b = 0; b < 2; b++) {
        CR_TRY(cr_control_infos(bodies[b], arena, &in, &out[b]));
        if (!known || flag_of(known) == (b == 1))
            CR_TRY(infer->body(infer, bodies[b], in, out[b]));
    }
    for (int i = 0; i < infer->n_out; i++) {
        infer->out[i] = out[known ? flag_of(known) : 0][i];
        if (!known)
            cr_control_agree(&infer->out[i], &out[1][i]);
    }
    return CREASE_OK;
}

static crease_status if_infer(cr_infer *infer) {
    cr_graph *bodies[2];
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(check_flag(infer, 0));
    for (int b = 0; b < 2; b++)
        CR_TRY(cr_control_body(infer->node, branches[b], 0, infer->n_out, &bodies[b]));
    if (!infer->body)
        return CREASE_OK;
    cr_arena arena;
    cr_arena_init(&arena, infer->node->graph->model->heap);
    crease_status status = infer_branches(infer, bodies, &arena);
    cr_arena_clear(&arena);
    return status;
}

typedef struct if_state {
    cr_graph *body;
    cr_tensor *outputs; /* of the body */
} if_state;

static crease_status if_prepare(cr_prepare *p) {
    if_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_control_body(p->node, branches[flag_of(p->in[0]->known)], 0, p->n_out, &s->body));
    return CR_ARENA_NEW(p->arena, &s->outputs, (size_t)s->body->n_outputs + 1);
}

static crease_status if_run(cr_run *r) {
    const if_state *s = r->state;
    CR_TRY(r->subgraph(r, s->body, NULL, s->outputs));
    for (int i = 0; i < s->body->n_outputs; i++)
        cr_control_give(r, i, &s->outputs[i]);
    return CREASE_OK;
}

/* ---- what iterations give, one after another ---- */

crease_status cr_stack_push(cr_run *r, cr_stack *stack, const cr_tensor *tensor) {
    size_t bytes, need;
    if (stack->count == 0) {
        stack->dtype = tensor->dtype;
        stack->shape = tensor->shape;
    } else if (stack->dtype != tensor->dtype || !cr_shape_equal(&stack->shape, &tensor->shape)) {
        return cr_node_fail(r->node, CREASE_ERROR_RUN,
                            "iterations give tensors of different types or shapes");
    }
    if (crease_dtype_bits(tensor->dtype) < 8 || tensor->shape.rank == CR_MAX_RANK)
        return cr_node_fail(r->node, CREASE_ERROR_UNSUPPORTED, "stacked tensors of %s with rank %d",
                            crease_dtype_name(tensor->dtype), tensor->shape.rank);
    if (!cr_tensor_bytes(tensor->dtype, 0, &tensor->shape, &bytes) || !cr_add_size(stack->used, bytes, &need))
        return cr_node_fail(r->node, CREASE_ERROR_MEMORY, "an output is too large");
    CR_TRY(cr_grow(r->heap, &stack->bytes, &stack->capacity, need, 1));
    if (bytes)
        memcpy((char *)stack->bytes + stack->used, tensor->data, bytes);
    stack->used = need;
    stack->count++;
    return CREASE_OK;
}

cr_shape cr_control_empty(const cr_graph *body, int output) {
    cr_shape shape = body->empty ? body->empty[output] : body->outputs[output]->shape;
    shape.rank = shape.rank < 0 ? 0 : shape.rank;
    for (int d = 0; d < shape.rank; d++)
        shape.dims[d] = shape.dims[d] < 0 ? 0 : shape.dims[d];
    return shape;
}

/* Nothing ran. */
static crease_status be_empty(cr_run *r, cr_stack *stack, const cr_graph *body, int output) {
    const cr_value *value = body->outputs[output];
    stack->dtype = value->dtype;
    stack->shape = cr_control_empty(body, output);
    if (crease_dtype_bits(stack->dtype) < 8 || stack->shape.rank == CR_MAX_RANK)
        return cr_node_fail(r->node, CREASE_ERROR_UNSUPPORTED, "no iteration gives '%s' a type", value->name);
    return CREASE_OK;
}

crease_status cr_stack_take(cr_run *r, cr_stack *stack, const cr_graph *body, int output, cr_tensor *tensor) {
    if (stack->count == 0)
        CR_TRY(be_empty(r, stack, body, output));
    cr_shape shape = stack->shape;
    memmove(shape.dims + 1, shape.dims, (size_t)shape.rank++ * sizeof *shape.dims);
    shape.dims[0] = stack->count;
    CR_TRY(cr_shape_check(&shape, CREASE_ERROR_RUN, r->node->name));
    if (!stack->bytes)
        return cr_tensor_create(r->heap, stack->dtype, &shape, tensor);
    *tensor = (cr_tensor){.dtype = stack->dtype, .shape = shape, .data = stack->bytes};
    CR_TRY(cr_buffer_adopt(r->heap, stack->bytes, stack->used, &tensor->buffer));
    stack->bytes = NULL;
    return CREASE_OK;
}

/* ---- Loop ---- */

static int n_carried(int n_in) {
    return n_in > 2 ? n_in - 2 : 0;
}

/* Number and condition are scalars unless the body declares one element. */
static cr_shape one_shape(const cr_value *input) {
    return input->shape.rank == 1 ? (cr_shape){.rank = 1, .dims = {1}} : (cr_shape){.rank = 0};
}

static crease_status infer_loop(cr_infer *infer, const cr_graph *body, cr_arena *arena) {
    cr_info *in, *out;
    int carried = n_carried(infer->n_in);
    CR_TRY(cr_control_infos(body, arena, &in, &out));
    in[0] = (cr_info){.dtype = CREASE_INT64, .shape = one_shape(body->inputs[0])};
    in[1] = (cr_info){.dtype = CREASE_BOOL, .shape = one_shape(body->inputs[1])};
    for (int i = 0; i < carried; i++) {
        in[2 + i] = *infer->in[2 + i];
        in[2 + i].known = NULL;
    }
    bool settled;
    CR_TRY(cr_control_settle(infer, body, in, 2, out, 1, carried, &settled));
    for (int i = 0; i < infer->n_out; i++) {
        infer->out[i].dtype = i < carried ? in[2 + i].dtype : out[1 + i].dtype;
        if (settled && i < carried)
            infer->out[i].shape = in[2 + i].shape;
    }
    return CREASE_OK;
}

static crease_status loop_infer(cr_infer *infer) {
    int64_t n;
    int carried = n_carried(infer->n_in);
    cr_graph *body;
    const cr_info *count = infer->n_in > 0 ? infer->in[0] : NULL;
    if (count && ((count->dtype && count->dtype != CREASE_INT64) ||
                  (cr_shape_product(&count->shape, 0, count->shape.rank, &n) && n != 1)))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the trip count is not one int64");
    CR_TRY(check_flag(infer, 1));
    for (int i = 0; i < carried; i++)
        CR_TRY(cr_infer_need(infer, 2 + i));
    CR_TRY(cr_control_body(infer->node, "body", 2 + carried, 1 + carried, &body));
    if (infer->n_out > body->n_outputs - 1)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%d outputs, but the body gives %d",
                            infer->n_out, body->n_outputs - 1);
    if (!infer->body)
        return CREASE_OK;
    cr_arena arena;
    cr_arena_init(&arena, infer->node->graph->model->heap);
    crease_status status = infer_loop(infer, body, &arena);
    cr_arena_clear(&arena);
    return status;
}

typedef struct loop_state {
    cr_graph *body;
    int carried, stacked;
    int64_t number;
    uint8_t go_on;
    cr_tensor *inputs, *outputs; /* of the body; inputs hold a reference to what is carried */
    cr_stack *stacks;
} loop_state;

static crease_status loop_prepare(cr_prepare *p) {
    loop_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    s->carried = n_carried(p->n_in);
    CR_TRY(cr_control_body(p->node, "body", 2 + s->carried, 1 + s->carried, &s->body));
    s->stacked = s->body->n_outputs - 1 - s->carried;
    CR_TRY(CR_ARENA_NEW(p->arena, &s->inputs, (size_t)s->body->n_inputs));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->outputs, (size_t)s->body->n_outputs));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->stacks, (size_t)s->stacked + 1));
    s->inputs[0] =
        (cr_tensor){.dtype = CREASE_INT64, .shape = one_shape(s->body->inputs[0]), .data = &s->number};
    s->inputs[1] =
        (cr_tensor){.dtype = CREASE_BOOL, .shape = one_shape(s->body->inputs[1]), .data = &s->go_on};
    return CREASE_OK;
}

/* The outputs of an iteration become the inputs of the next. */
static crease_status loop_advance(cr_run *r, loop_state *s) {
    const cr_tensor *go_on = &s->outputs[0];
    if (go_on->dtype != CREASE_BOOL || cr_shape_n(&go_on->shape) != 1)
        return cr_node_fail(r->node, CREASE_ERROR_RUN, "the body's condition is not one bool");
    s->go_on = flag_of(go_on);
    for (int i = 0; i < s->carried; i++) {
        if (s->outputs[1 + i].dtype != s->inputs[2 + i].dtype)
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "carried value %d changes its type", i);
        cr_tensor_release(&s->inputs[2 + i]);
        s->inputs[2 + i] = s->outputs[1 + i];
        s->outputs[1 + i] = (cr_tensor){0};
    }
    for (int i = 0; i < s->stacked; i++)
        if (s->carried + i < r->n_out && r->out[s->carried + i])
            CR_TRY(cr_stack_push(r, &s->stacks[i], &s->outputs[1 + s->carried + i]));
    return CREASE_OK;
}

static crease_status loop_iterate(cr_run *r, loop_state *s) {
    CR_TRY(r->subgraph(r, s->body, s->inputs, s->outputs));
    crease_status status = loop_advance(r, s);
    for (int i = 0; i < s->body->n_outputs; i++)
        cr_tensor_release(&s->outputs[i]);
    return status;
}

static crease_status loop_finish(cr_run *r, loop_state *s) {
    for (int i = 0; i < s->carried; i++) {
        CR_TRY(cr_control_own(r, &s->inputs[2 + i]));
        cr_control_give(r, i, &s->inputs[2 + i]);
    }
    for (int i = 0; i < s->stacked; i++) {
        cr_tensor stacked = {0};
        if (s->carried + i >= r->n_out || !r->out[s->carried + i])
            continue;
        CR_TRY(cr_stack_take(r, &s->stacks[i], s->body, 1 + s->carried + i, &stacked));
        cr_control_give(r, s->carried + i, &stacked);
    }
    return CREASE_OK;
}

static crease_status loop_run(cr_run *r) {
    loop_state *s = r->state;
    int64_t trips = r->n_in > 0 && r->in[0] ? cr_tensor_int(r->in[0], 0) : INT64_MAX;
    crease_status status = CREASE_OK;
    s->go_on = r->n_in > 1 && r->in[1] ? flag_of(r->in[1]) : 1;
    for (int i = 0; i < s->carried; i++)
        s->inputs[2 + i] = cr_tensor_retain(r->in[2 + i]);
    for (s->number = 0; status == CREASE_OK && s->go_on && s->number < trips; s->number++)
        status = loop_iterate(r, s);
    if (status == CREASE_OK)
        status = loop_finish(r, s);
    for (int i = 0; i < s->carried; i++)
        cr_tensor_release(&s->inputs[2 + i]);
    for (int i = 0; i < s->stacked; i++)
        cr_free(r->heap, s->stacks[i].bytes);
    return status;
}

const cr_op cr_ops_control[] = {
    {"If", 1, 0, CR_T_BOOL, if_infer, if_prepare, if_run, 0, CR_OP_BODY, 0, NULL},
    {"Loop", 1, 0, 0, loop_infer, loop_prepare, loop_run, 0, CR_OP_BODY, 0, NULL},
    {"Scan", 8, 8, 0, cr_scan_infer, cr_scan_prepare, cr_scan_run, CR_SCAN_BATCHED, CR_OP_BODY, 0, NULL},
    {"Scan", 9, 0, 0, cr_scan_infer, cr_scan_prepare, cr_scan_run, CR_SCAN_PLAIN, CR_OP_BODY, 0, NULL},
    {0},
};
