#include "runtime/api/unroll.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

#include <string.h>

enum { MAX_NODES = 1 << 14, MAX_VALUES = 1 << 22 };

/* ---- turns ---- */

static int attr_of(const cr_graph *body) {
    for (int i = 0; i < body->owner->n_attrs; i++) {
        const cr_attr *attr = &body->owner->attrs[i];
        if (attr->type == CR_ATTR_GRAPH && attr->graphs[0] == body)
            return i;
    }
    return -1;
}

static crease_status note(void *context, const cr_graph *body) {
    cr_turns *turns = context;
    CR_TRY(cr_grow(turns->heap, (void **)&turns->list, &turns->capacity, turns->n + 1, sizeof *turns->list));
    turns->list[turns->n++] = (cr_turn){body->owner->id, attr_of(body)};
    return CREASE_OK;
}

void cr_turns_watch(cr_turns *turns, crease_session *session) {
    cr_session_watch(session->exec, note, turns);
}

void cr_turns_free(cr_turns *turns) {
    if (turns->heap)
        cr_free(turns->heap, turns->list);
    *turns = (cr_turns){0};
}

bool cr_turns_equal(const cr_turns *a, const cr_turns *b) {
    bool equal = a->n == b->n;
    for (size_t i = 0; equal && i < a->n; i++)
        equal = a->list[i].owner == b->list[i].owner && a->list[i].attr == b->list[i].attr;
    return equal;
}

/* ---- the straight line in the making ---- */

typedef struct line {
    cr_model *model; /* a clone, whose main graph becomes the line */
    const cr_turns *turns;
    size_t next;     /* turn */
    size_t n_values; /* of the model with bodies */
    cr_arena *arena;
    cr_unrolled *unrolled;
    size_t room_values, room_nodes; /* of the lists of origins */
    cr_node *at;                    /* of the main graph: new nodes come before it */
} line;

/* A graph in one of its turns. */
typedef struct frame {
    const struct frame *outer; /* NULL: the main graph */
    const cr_graph *graph;
    int turn;
    cr_value **values; /* by id, of this graph: its copies */
} frame;

static bool is_control(const cr_node *node) {
    return cr_node_is(node, "If") || cr_node_is(node, "Loop") || cr_node_is(node, "Scan");
}

bool cr_has_bodies(const cr_model *model) {
    CR_FOR_NODES(node, model->graph)
    if (is_control(node))
        return true;
    return false;
}

static crease_status set_origin(line *l, cr_origin **list, size_t *room, int id, cr_origin origin) {
    if ((size_t)id >= *room) {
        cr_origin *longer;
        size_t n = 2 * (size_t)id + 1;
        CR_TRY(CR_ARENA_NEW(l->arena, &longer, n));
        for (size_t i = 0; i < n; i++)
            longer[i] = i < *room ? (*list)[i] : (cr_origin){-1, -1};
        *list = longer;
        *room = n;
    }
    (*list)[id] = origin;
    return CREASE_OK;
}

static crease_status refuse_length(void) {
    return cr_fail(CREASE_ERROR_UNSUPPORTED, "the bodies run too often to be written as one line");
}

/* Names may stand there several times: nobody looks values up by them. */
static crease_status add_value(line *l, const char *name, crease_dtype dtype, cr_origin origin,
                               cr_value **value) {
    if (l->model->n_values >= MAX_VALUES)
        return refuse_length();
    CR_TRY(cr_graph_add_value(l->model->graph, name, false, value));
    (*value)->dtype = dtype;
    return set_origin(l, &l->unrolled->values, &l->room_values, (*value)->id, origin);
}

static crease_status add_constant(line *l, const char *name, const cr_tensor *tensor, cr_origin origin,
                                  cr_value **value) {
    CR_TRY(add_value(l, name, tensor->dtype, origin, value));
    return cr_value_set_constant(*value, tensor);
}

static crease_status add_number(line *l, const char *name, crease_dtype dtype, int rank, int64_t number,
                                cr_origin origin, cr_value **value) {
    cr_tensor tensor;
    const int64_t one = 1;
    const cr_shape shape = cr_shape_of(rank, &one);
    CR_TRY(cr_tensor_create(l->model->heap, dtype, &shape, &tensor));
    if (dtype == CREASE_INT64)
        *(int64_t *)tensor.data = number;
    else
        *(uint8_t *)tensor.data = (uint8_t)number;
    crease_status status = add_constant(l, name, &tensor, origin, value);
    cr_tensor_release(&tensor);
    return status;
}

static crease_status add_node(line *l, const cr_node *like, const char *op, const char *domain, int turn,
                              cr_value *const *inputs, int n_inputs, cr_value *const *outputs, int n_outputs,
                              cr_node **node) {
    if (l->model->n_nodes >= MAX_NODES)
        return refuse_length();
    CR_TRY(cr_graph_add_node(l->model->graph, l->at, op, domain, like->name, inputs, n_inputs, outputs,
                             n_outputs, node));
    return set_origin(l, &l->unrolled->nodes, &l->room_nodes, (*node)->id, (cr_origin){turn, like->id});
}

/* ---- values of graphs in their turns ---- */

/* What `value` is now, seen from the frame: NULL where a body uses what none gives. */
static crease_status look_up(line *l, const frame *f, cr_value *value, cr_value **found) {
    while (f->outer && f->graph != value->graph)
        f = f->outer;
    if (!f->outer) {
        *found = value;
        return CREASE_OK;
    }
    cr_value **copy = &f->values[value->id];
    if (!*copy && value->constant)
        CR_TRY(add_constant(l, value->name, value->constant, (cr_origin){f->turn, value->id}, copy));
    *found = *copy;
    return *copy
               ? CREASE_OK
               : cr_fail(CREASE_ERROR_UNSUPPORTED, "'%s' has no value in the turn of its body", value->name);
}

/* The value that an output of a node has in the line: that of the main graph itself, which `node` gives up.
 */
static crease_status output_of(line *l, const frame *f, cr_node *node, int i, cr_value **value) {
    cr_value *own = node->outputs[i], *fresh;
    if (f->outer) {
        CR_TRY(add_value(l, own->name, own->dtype, (cr_origin){f->turn, own->id}, value));
        f->values[own->id] = *value;
        return CREASE_OK;
    }
    if (is_control(node)) {
        CR_TRY(add_value(l, NULL, CREASE_UNDEFINED, (cr_origin){-1, -1}, &fresh));
        CR_TRY(cr_node_set_output(node, i, fresh));
    }
    *value = own;
    return CREASE_OK;
}

static crease_status copy_node(line *l, const frame *f, cr_node *node) {
    cr_value **in, **out;
    cr_node *copy;
    CR_TRY(CR_ARENA_NEW(l->arena, &in, (size_t)node->n_inputs + 1));
    CR_TRY(CR_ARENA_NEW(l->arena, &out, (size_t)node->n_outputs + 1));
    for (int i = 0; i < node->n_inputs; i++)
        if (node->inputs[i])
            CR_TRY(look_up(l, f, node->inputs[i], &in[i]));
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i])
            CR_TRY(output_of(l, f, node, i, &out[i]));
    CR_TRY(add_node(l, node, node->op_type, node->domain, f->turn, in, node->n_inputs, out, node->n_outputs,
                    &copy));
    for (int i = 0; i < node->n_attrs; i++)
        CR_TRY(cr_node_set_attr(copy, &node->attrs[i]));
    return CREASE_OK;
}

static crease_status unroll_graph(line *l, const frame *f);

/* Whether the next turn is one of this node. */
static bool has_turn(const line *l, const cr_node *node) {
    return l->next < l->turns->n && l->turns->list[l->next].owner == node->id;
}

/* The next turn of the node, whose inputs are the caller's to give. */
static crease_status begin_turn(line *l, const frame *f, const cr_node *node, frame *turn) {
    const int attr = has_turn(l, node) ? l->turns->list[l->next].attr : -1;
    if (attr < 0 || attr >= node->n_attrs || node->attrs[attr].type != CR_ATTR_GRAPH)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "no turn of its body was noted");
    *turn = (frame){.outer = f, .graph = node->attrs[attr].graphs[0], .turn = (int)++l->next};
    return CR_ARENA_NEW(l->arena, &turn->values, l->n_values);
}

static crease_status give(line *l, const frame *f, cr_node *node, int i, cr_value *from) {
    cr_value *out;
    cr_node *identity;
    if (i >= node->n_outputs || !node->outputs[i])
        return CREASE_OK;
    CR_TRY(output_of(l, f, node, i, &out));
    return add_node(l, node, "Identity", "", f->turn, &from, 1, &out, 1, &identity);
}

/* ---- If ---- */

static crease_status unroll_if(line *l, const frame *f, cr_node *node) {
    frame turn;
    CR_TRY(begin_turn(l, f, node, &turn));
    CR_TRY(unroll_graph(l, &turn));
    for (int i = 0; i < turn.graph->n_outputs; i++) {
        cr_value *from;
        CR_TRY(look_up(l, &turn, turn.graph->outputs[i], &from));
        CR_TRY(give(l, f, node, i, from));
    }
    return CREASE_OK;
}

/* ---- what turns give, one after another ---- */

typedef struct stack {
    cr_value **slices;
    size_t n, room;
} stack;

static crease_status set_axes(line *l, cr_node *node, int64_t axis) {
    cr_value *axes;
    if (cr_model_opset(l->model, "") < 13)
        return cr_node_set_ints(node, "axes", &axis, 1);
    CR_TRY(add_number(l, node->name, CREASE_INT64, 1, axis, (cr_origin){-1, -1}, &axes));
    return cr_node_set_input(node, 1, axes);
}

static crease_status push(line *l, const frame *turn, const cr_node *node, int i, cr_value *from,
                          int64_t axis, stack *s) {
    cr_value *slice;
    cr_node *unsqueeze;
    if (s->n == s->room) {
        cr_value **longer;
        s->room = 2 * s->room + 8;
        CR_TRY(CR_ARENA_NEW(l->arena, &longer, s->room));
        if (s->n)
            memcpy(longer, s->slices, s->n * sizeof *longer);
        s->slices = longer;
    }
    CR_TRY(add_value(l, node->name, from->dtype, (cr_origin){turn->turn, -2 - i}, &slice));
    CR_TRY(add_node(l, node, "Unsqueeze", "", turn->turn, &from, 1, &slice, 1, &unsqueeze));
    s->slices[s->n++] = slice;
    return set_axes(l, unsqueeze, axis);
}

static crease_status give_stack(line *l, const frame *f, cr_node *node, int i, stack *s, int64_t axis,
                                bool back) {
    cr_value *out;
    cr_node *concat;
    if (i >= node->n_outputs || !node->outputs[i])
        return CREASE_OK;
    if (s->n == 0)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "it stacks the results of no turn");
    for (size_t a = 0, b = s->n - 1; back && a < b; a++, b--) {
        cr_value *first = s->slices[a];
        s->slices[a] = s->slices[b];
        s->slices[b] = first;
    }
    CR_TRY(output_of(l, f, node, i, &out));
    CR_TRY(add_node(l, node, "Concat", "", f->turn, s->slices, (int)s->n, &out, 1, &concat));
    return cr_node_set_int(concat, "axis", axis);
}

/* ---- Loop and Scan ---- */

/* How a node's body is fed: carried values come from input `first` on and stand from `body_in` and `body_out`
 * on in the body; what follows them is cut into slices, and stacked. */
typedef struct cycle {
    cr_node *node;
    int first, carried, body_in, body_out;
    int scanned, stacked;
    const int64_t *in_axes, *in_back, *out_axes, *out_back; /* NULL: zeros */
    cr_value **now;                                         /* [carried] */
    stack *stacks;                                          /* [stacked] */
} cycle;

static int64_t item(const int64_t *list, int i) {
    return list ? list[i] : 0;
}

static crease_status read_loop(cr_node *node, const cr_graph *body, cycle *c) {
    *c = (cycle){.node = node, .first = 2, .body_in = 2, .body_out = 1};
    c->carried = node->n_inputs > 2 ? node->n_inputs - 2 : 0;
    c->stacked = body->n_outputs - 1 - c->carried;
    return CREASE_OK;
}

static crease_status read_scan(cr_node *node, const cr_graph *body, cycle *c) {
    int64_t scanned;
    int n;
    *c = (cycle){.node = node};
    CR_TRY(cr_attr_int(node, "num_scan_inputs", 0, &scanned));
    c->scanned = (int)scanned;
    c->carried = node->n_inputs - c->scanned;
    c->stacked = body->n_outputs - c->carried;
    CR_TRY(cr_attr_ints(node, "scan_input_axes", &c->in_axes, &n));
    CR_TRY(cr_attr_ints(node, "scan_input_directions", &c->in_back, &n));
    CR_TRY(cr_attr_ints(node, "scan_output_axes", &c->out_axes, &n));
    return cr_attr_ints(node, "scan_output_directions", &c->out_back, &n);
}

/* Number and condition of an iteration, which a body may want as one element. */
static crease_status give_count(line *l, const frame *turn, int64_t n) {
    static const crease_dtype types[] = {CREASE_INT64, CREASE_BOOL};
    for (int i = 0; i < 2; i++) {
        const cr_value *input = turn->graph->inputs[i];
        CR_TRY(add_number(l, input->name, types[i], input->shape.rank == 1, i == 0 ? n : 1,
                          (cr_origin){turn->turn, input->id}, &turn->values[input->id]));
    }
    return CREASE_OK;
}

/* Slice `at` of scanned input i, counted from the end where it is scanned backwards. */
static crease_status cut(line *l, const cycle *c, const frame *turn, int i, int64_t at) {
    const cr_value *input = turn->graph->inputs[c->body_in + c->carried + i];
    cr_value *ports[2], *slice;
    cr_node *gather;
    CR_TRY(look_up(l, turn->outer, c->node->inputs[c->first + c->carried + i], &ports[0]));
    CR_TRY(add_number(l, input->name, CREASE_INT64, 0, item(c->in_back, i) ? -1 - at : at,
                      (cr_origin){-1, -1}, &ports[1]));
    CR_TRY(add_value(l, input->name, ports[0]->dtype, (cr_origin){turn->turn, input->id}, &slice));
    turn->values[input->id] = slice;
    CR_TRY(add_node(l, c->node, "Gather", "", turn->turn, ports, 2, &slice, 1, &gather));
    return cr_node_set_int(gather, "axis", item(c->in_axes, i));
}

static crease_status take_results(line *l, const cycle *c, const frame *turn) {
    cr_value *from;
    for (int i = 0; i < c->carried; i++)
        CR_TRY(look_up(l, turn, turn->graph->outputs[c->body_out + i], &c->now[i]));
    for (int i = 0; i < c->stacked; i++) {
        CR_TRY(look_up(l, turn, turn->graph->outputs[c->body_out + c->carried + i], &from));
        CR_TRY(push(l, turn, c->node, i, from, item(c->out_axes, i), &c->stacks[i]));
    }
    return CREASE_OK;
}

static crease_status run_turn(line *l, const cycle *c, const frame *f, int64_t n) {
    frame turn;
    CR_TRY(begin_turn(l, f, c->node, &turn));
    if (c->body_in == 2)
        CR_TRY(give_count(l, &turn, n));
    for (int i = 0; i < c->carried; i++)
        turn.values[turn.graph->inputs[c->body_in + i]->id] = c->now[i];
    for (int i = 0; i < c->scanned; i++)
        CR_TRY(cut(l, c, &turn, i, n));
    CR_TRY(unroll_graph(l, &turn));
    return take_results(l, c, &turn);
}

static crease_status unroll_cycle(line *l, const frame *f, cycle *c) {
    CR_TRY(CR_ARENA_NEW(l->arena, &c->now, (size_t)c->carried + 1));
    CR_TRY(CR_ARENA_NEW(l->arena, &c->stacks, (size_t)c->stacked + 1));
    for (int i = 0; i < c->carried; i++)
        CR_TRY(look_up(l, f, c->node->inputs[c->first + i], &c->now[i]));
    for (int64_t n = 0; has_turn(l, c->node); n++)
        CR_TRY(run_turn(l, c, f, n));
    for (int i = 0; i < c->carried; i++)
        CR_TRY(give(l, f, c->node, i, c->now[i]));
    for (int i = 0; i < c->stacked; i++)
        CR_TRY(give_stack(l, f, c->node, c->carried + i, &c->stacks[i], item(c->out_axes, i),
                          item(c->out_back, i) != 0));
    return CREASE_OK;
}

static crease_status unroll_node(line *l, const frame *f, cr_node *node) {
    cr_graph *body;
    cycle c;
    if (cr_node_is(node, "If"))
        return unroll_if(l, f, node);
    const bool loop = cr_node_is(node, "Loop");
    if (!loop && cr_model_opset(l->model, "") < 9)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "this form of Scan cannot be written as a line");
    CR_TRY(cr_attr_graph(node, "body", &body));
    CR_TRY(loop ? read_loop(node, body, &c) : read_scan(node, body, &c));
    return unroll_cycle(l, f, &c);
}

/* ---- graphs ---- */

/* The main graph keeps its other nodes; those of bodies are copied. */
static crease_status unroll_graph(line *l, const frame *f) {
    CR_FOR_NODES_SAFE(node, f->graph) {
        if (!f->outer)
            l->at = node;
        if (!is_control(node)) {
            if (f->outer)
                CR_TRY(copy_node(l, f, node));
            continue;
        }
        CR_TRY(unroll_node(l, f, node));
        if (!f->outer)
            CR_TRY(cr_node_remove(node));
    }
    return CREASE_OK;
}

/* Ids of the main graph stay; what stands in bodies has no place in the line. */
static crease_status begin_origins(line *l) {
    const cr_model *model = l->model;
    CR_TRY(CR_ARENA_NEW(l->arena, &l->unrolled->values, (size_t)model->n_values));
    CR_TRY(CR_ARENA_NEW(l->arena, &l->unrolled->nodes, (size_t)model->n_nodes));
    l->room_values = l->n_values = (size_t)model->n_values;
    l->room_nodes = (size_t)model->n_nodes;
    for (int i = 0; i < model->n_values; i++)
        l->unrolled->values[i] =
            model->values[i]->graph == model->graph ? (cr_origin){0, i} : (cr_origin){-1, -1};
    for (int i = 0; i < model->n_nodes; i++)
        l->unrolled->nodes[i] =
            model->nodes[i]->graph == model->graph ? (cr_origin){0, i} : (cr_origin){-1, -1};
    return CREASE_OK;
}

static crease_status make_line(line *l) {
    const frame whole = {.graph = l->model->graph};
    if (l->turns->n > MAX_NODES)
        return refuse_length();
    CR_TRY(cr_model_drop_dead(l->model)); /* as the session did that noted the turns */
    CR_TRY(begin_origins(l));
    CR_TRY(unroll_graph(l, &whole));
    return l->next == l->turns->n
               ? CREASE_OK
               : cr_fail(CREASE_ERROR_UNSUPPORTED, "the turns noted are not those of this network");
}

crease_status cr_unroll(const crease_model *model, const cr_turns *turns, cr_unrolled *unrolled) {
    line l = {.turns = turns, .unrolled = unrolled, .arena = &unrolled->arena};
    *unrolled = (cr_unrolled){0};
    cr_arena_init(&unrolled->arena, model->ir->heap);
    if (!turns || !cr_has_bodies(model->ir)) {
        l.model = model->ir;
        return begin_origins(&l);
    }
    CR_TRY(cr_model_clone(model->ir, model->ir->heap, &l.model));
    crease_status status = make_line(&l);
    if (status == CREASE_OK)
        return cr_model_publish(l.model, &unrolled->line);
    cr_model_destroy(l.model);
    return status;
}

void cr_unrolled_free(cr_unrolled *unrolled) {
    cr_arena_clear(&unrolled->arena);
    crease_model_free(unrolled->line);
    *unrolled = (cr_unrolled){0};
}
