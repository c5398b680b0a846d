#include "passes/sequences.h"
#include "runtime/graph/attr.h"

#include <stdio.h>

/* Bodies that are written out where they stand, since a sequence goes into them or comes out of them, or
 * since they need to be told which run it is: one branch of an If, the runs of a Loop, SequenceMap for each
 * element. What is written out is resolved at once, which may decide what comes next. */

static bool holds_sequence(const cr_sequences *s, const cr_value *value) {
    return value && cr_sequences_get(s, value).holding != CR_HOLDS_ITSELF;
}

static size_t count_nodes(const cr_graph *graph) {
    size_t n = (size_t)graph->n_nodes;
    CR_FOR_NODES(node, graph)
    for (int i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].type == CR_ATTR_GRAPH || node->attrs[i].type == CR_ATTR_GRAPHS)
            for (int64_t j = 0; j < node->attrs[i].n; j++)
                n += count_nodes(node->attrs[i].graphs[j]);
    return n;
}

/* A node that could not be resolved without knowing more. */
static bool has_obstacle(const cr_graph *graph) {
    CR_FOR_NODES(node, graph) {
        if (node->obstacle)
            return true;
        for (int i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].type == CR_ATTR_GRAPH && has_obstacle(node->attrs[i].graphs[0]))
                return true;
    }
    return false;
}

/* One run of a body, before `node`. *done is false where too much was written out already, and the node
 * refused. */
static crease_status write_out(cr_sequences *s, const cr_graph *body, cr_node *node, cr_value *const *inputs,
                               cr_value **outputs, bool *done) {
    const cr_node *last = node->previous;
    const size_t n = count_nodes(body) + 1;
    *done = s->n_written + n <= CR_MAX_WRITTEN;
    if (!*done)
        return cr_sequences_refuse(s, node, "on sequences, in a model whose bodies take more than %d nodes,",
                                   CR_MAX_WRITTEN);
    s->n_written += n;
    s->changed = true;
    CR_TRY(cr_graph_expand(body, node, &s->copies, inputs, outputs));
    return cr_sequences_nodes(s, last ? last->next : node->graph->first, node);
}

/* Output i of the node is what `value` is: an Identity of its own gives it. */
static crease_status give(cr_sequences *s, cr_node *node, int i, cr_value *value, cr_node **identity) {
    cr_value *own = node->outputs[i], *fresh;
    const char *name;
    CR_TRY(cr_arena_format(&s->arena, &name, "%.900s/%zu", own->name, s->copies.n));
    CR_TRY(cr_graph_add_value(node->graph, name, true, &fresh));
    CR_TRY(cr_node_set_output(node, i, fresh));
    return cr_sequences_add(s, node, "Identity", &value, 1, &own, 1, identity);
}

/* Every output of a node that was written out. Nobody needs it any more, and it does nothing until it goes.
 */
static crease_status give_all(cr_sequences *s, cr_node *node, cr_value *const *values) {
    cr_node *identity;
    for (int i = 0; i < node->n_outputs; i++) {
        if (!node->outputs[i])
            continue;
        CR_TRY(give(s, node, i, values[i], &identity));
        CR_TRY(cr_sequences_nodes(s, identity, node));
    }
    node->op = NULL;
    return cr_node_set_obstacle(node, NULL);
}

/* One bool that is known: *known tells. */
static bool read_flag(const cr_sequences *s, const cr_value *value, bool *known) {
    const cr_tensor *t = cr_sequences_info(s, value).known;
    *known = t && t->dtype == CREASE_BOOL && cr_shape_n(&t->shape) == 1;
    return *known && *(const uint8_t *)t->data != 0;
}

/* ---- If ---- */

crease_status cr_sequences_if(cr_sequences *s, cr_node *node) {
    cr_graph *branches[2], *branch;
    cr_value **outputs;
    bool gives = false, stuck = false, known, done;
    CR_TRY(cr_attr_graph(node, "else_branch", &branches[0]));
    CR_TRY(cr_attr_graph(node, "then_branch", &branches[1]));
    if (!cr_node_input(node, 0) || !branches[0] || !branches[1])
        return CREASE_OK; /* inference has the sentence */
    for (int b = 0; b < 2; b++) {
        if (branches[b]->n_inputs || branches[b]->n_outputs < node->n_outputs)
            return CREASE_OK;
        for (int i = 0; i < node->n_outputs; i++)
            gives |= holds_sequence(s, branches[b]->outputs[i]);
        stuck |= has_obstacle(branches[b]);
    }
    if (!gives && !stuck)
        return CREASE_OK;
    branch = branches[read_flag(s, node->inputs[0], &known)];
    if (!known)
        return gives ? cr_sequences_refuse(s, node, "on sequences, with a condition that only a run decides,")
                     : CREASE_OK;
    CR_TRY(CR_ARENA_NEW(&s->arena, &outputs, (size_t)branch->n_outputs + 1));
    CR_TRY(write_out(s, branch, node, NULL, outputs, &done));
    return done ? give_all(s, node, outputs) : CREASE_OK;
}

/* ---- Loop ---- */

typedef struct loop {
    cr_node *node;
    cr_graph *body;
    int carried, stacked;
    int64_t trips;
    bool go_on;
    cr_value **in, **out; /* of the next run, of the last one */
    cr_value **stack;     /* [n][stacked] */
    size_t n, capacity;   /* runs; elements of stack */
} loop;

static crease_status make_constant(cr_sequences *s, const loop *l, crease_dtype dtype, const cr_value *like,
                                   int64_t number, cr_value **value) {
    const cr_shape shape = {.rank = like->shape.rank == 1, .dims = {1}};
    const char *name;
    cr_tensor *t;
    CR_TRY(cr_arena_format(&s->arena, &name, "%.900s/%zu", like->name, s->copies.n));
    CR_TRY(cr_graph_new_constant(l->node->graph, name, dtype, &shape, value, &t));
    if (dtype == CREASE_BOOL)
        *(uint8_t *)t->data = number != 0;
    else
        *(int64_t *)t->data = number;
    return cr_infer_walk_extend(&s->walk, s->model);
}

/* How often it runs at most and whether at all; *known is false where only a run decides. */
static crease_status read_limits(cr_sequences *s, loop *l, bool *known) {
    const cr_value *trips = cr_node_input(l->node, 0);
    cr_value *condition = cr_node_input(l->node, 1);
    const cr_tensor *t = trips ? cr_sequences_info(s, trips).known : NULL;
    *known = !trips || (t && t->dtype == CREASE_INT64 && cr_shape_n(&t->shape) == 1);
    if (!*known)
        return CREASE_OK;
    l->trips = t ? cr_tensor_int(t, 0) : INT64_MAX;
    if (condition)
        l->go_on = read_flag(s, condition, known);
    else
        CR_TRY(make_constant(s, l, CREASE_BOOL, l->body->inputs[1], true, &condition));
    l->go_on |= !cr_node_input(l->node, 1);
    l->in[1] = condition;
    return CREASE_OK;
}

static crease_status push_results(cr_sequences *s, loop *l) {
    CR_TRY(cr_grow(s->model->heap, (void **)&l->stack, &l->capacity, (l->n + 1) * (size_t)(l->stacked + 1),
                   sizeof *l->stack));
    for (int i = 0; i < l->stacked; i++)
        l->stack[l->n * (size_t)l->stacked + (size_t)i] = l->out[1 + l->carried + i];
    l->n++;
    return CREASE_OK;
}

/* One run; *done is false where the node was refused. */
static crease_status run_once(cr_sequences *s, loop *l, bool *done) {
    bool known;
    CR_TRY(make_constant(s, l, CREASE_INT64, l->body->inputs[0], (int64_t)l->n, &l->in[0]));
    CR_TRY(write_out(s, l->body, l->node, l->in, l->out, done));
    if (!*done)
        return CREASE_OK;
    for (int i = 0; i <= l->carried; i++)
        l->in[1 + i] = l->out[i];
    CR_TRY(push_results(s, l));
    l->go_on = read_flag(s, l->in[1], &known);
    *done = known || (int64_t)l->n >= l->trips;
    return *done ? CREASE_OK
                 : cr_sequences_refuse(s, l->node, "on sequences, with a condition that only a run decides,");
}

static crease_status give_stack(cr_sequences *s, const loop *l, int i) {
    cr_node *node;
    cr_value **list;
    if (!l->node->outputs[l->carried + i])
        return CREASE_OK;
    CR_TRY(cr_sequences_list(s, l->node, l->n, &list));
    if (!list)
        return CREASE_OK;
    for (size_t j = 0; j < l->n; j++)
        list[j] = l->stack[j * (size_t)l->stacked + (size_t)i];
    CR_TRY(give(s, l->node, l->carried + i, list[0], &node));
    CR_TRY(cr_sequences_join(s, node, list, l->n, 0, true));
    return cr_sequences_infer(s, node);
}

/* Results of no run have no shape that a pass could know. */
static crease_status give_results(cr_sequences *s, const loop *l) {
    cr_node *identity;
    if (l->n == 0 && l->node->n_outputs > l->carried)
        return cr_sequences_refuse(s, l->node, "on sequences, with results of no run,");
    for (int i = 0; i < l->carried && i < l->node->n_outputs; i++) {
        if (!l->node->outputs[i])
            continue;
        CR_TRY(give(s, l->node, i, l->in[2 + i], &identity));
        CR_TRY(cr_sequences_nodes(s, identity, l->node));
    }
    for (int i = 0; l->carried + i < l->node->n_outputs; i++)
        CR_TRY(give_stack(s, l, i));
    l->node->op = NULL;
    return CREASE_OK;
}

static crease_status write_runs(cr_sequences *s, loop *l) {
    bool known, done = true;
    CR_TRY(CR_ARENA_NEW(&s->arena, &l->in, (size_t)l->body->n_inputs));
    CR_TRY(CR_ARENA_NEW(&s->arena, &l->out, (size_t)l->body->n_outputs));
    for (int i = 0; i < l->carried; i++)
        l->in[2 + i] = l->node->inputs[2 + i];
    CR_TRY(read_limits(s, l, &known));
    if (!known)
        return cr_sequences_refuse(s, l->node, "on sequences, as often as only a run decides,");
    while (done && l->go_on && (int64_t)l->n < l->trips)
        CR_TRY(run_once(s, l, &done));
    return done ? give_results(s, l) : CREASE_OK;
}

/* Whether a sequence is carried that is not known. */
static const cr_value *find_unknown(const cr_sequences *s, const cr_node *node) {
    for (int i = 2; i < node->n_inputs; i++)
        if (cr_sequences_get(s, node->inputs[i]).holding == CR_HOLDS_UNKNOWN)
            return node->inputs[i];
    return NULL;
}

static bool is_sound(const loop *l) {
    for (int i = 2; i < l->node->n_inputs; i++)
        if (!l->node->inputs[i])
            return false;
    return l->body && l->body->n_inputs == 2 + l->carried && l->stacked >= 0 &&
           l->node->n_outputs <= l->body->n_outputs - 1;
}

crease_status cr_sequences_loop(cr_sequences *s, cr_node *node) {
    loop l = {.node = node, .carried = node->n_inputs > 2 ? node->n_inputs - 2 : 0};
    bool carries = false, known = true;
    CR_TRY(cr_attr_graph(node, "body", &l.body));
    l.stacked = l.body ? l.body->n_outputs - 1 - l.carried : -1;
    if (!is_sound(&l))
        return CREASE_OK; /* inference has the sentence */
    for (int i = 0; i < l.carried; i++)
        carries |= holds_sequence(s, node->inputs[2 + i]);
    if (!carries && !has_obstacle(l.body))
        return CREASE_OK;
    if (!carries && cr_node_input(node, 0))
        known = cr_sequences_info(s, node->inputs[0]).known != NULL;
    if (!known)
        return CREASE_OK; /* the body says what it needs */
    if (find_unknown(s, node))
        return cr_sequences_refuse_value(s, node, find_unknown(s, node));
    const crease_status status = write_runs(s, &l);
    cr_free(s->model->heap, l.stack);
    return status;
}

/* ---- SequenceMap ---- */

/* The inputs of the body for element i. */
static void pick(const cr_sequences *s, const cr_node *node, size_t i, cr_value **in) {
    for (int j = 0; j < node->n_inputs; j++) {
        const cr_contents c = cr_sequences_get(s, node->inputs[j]);
        in[j] = c.holding == CR_HOLDS_LIST ? c.elements[i] : node->inputs[j];
    }
}

/* How many elements the sequences have; *known is false where the node was refused. */
static crease_status count_elements(cr_sequences *s, cr_node *node, size_t *n, bool *known) {
    *known = false;
    for (int j = 0; j < node->n_inputs; j++) {
        if (!node->inputs[j])
            return cr_sequences_wrong(s, node, "without its input %d", j);
        const cr_contents c = cr_sequences_get(s, node->inputs[j]);
        const bool is_tensor = j > 0 && cr_sequences_info(s, node->inputs[j]).dtype;
        if (c.holding != CR_HOLDS_LIST && !is_tensor)
            return cr_sequences_refuse_value(s, node, node->inputs[j]);
        if (c.holding == CR_HOLDS_LIST && j > 0 && c.n != *n)
            return cr_sequences_wrong(s, node, "on sequences of %zu and %zu elements", *n, c.n);
        *n = j ? *n : c.n;
    }
    *known = true;
    return CREASE_OK;
}

/* Lists for what the body gives; *lists is NULL where the node was refused. */
static crease_status make_lists(cr_sequences *s, cr_node *node, size_t n, cr_value ****lists) {
    cr_value ***made;
    *lists = NULL;
    CR_TRY(CR_ARENA_NEW(&s->arena, &made, (size_t)node->n_outputs));
    for (int j = 0; j < node->n_outputs; j++) {
        CR_TRY(cr_sequences_list(s, node, n, &made[j]));
        if (!made[j])
            return CREASE_OK;
    }
    *lists = made;
    return CREASE_OK;
}

static crease_status map_elements(cr_sequences *s, cr_node *node, const cr_graph *body, size_t n) {
    cr_value **in, **out, ***lists;
    bool done = true;
    CR_TRY(make_lists(s, node, n, &lists));
    CR_TRY(CR_ARENA_NEW(&s->arena, &in, (size_t)node->n_inputs));
    CR_TRY(CR_ARENA_NEW(&s->arena, &out, (size_t)body->n_outputs));
    for (size_t i = 0; lists && i < n; i++) {
        pick(s, node, i, in);
        CR_TRY(write_out(s, body, node, in, out, &done));
        if (!done)
            return CREASE_OK;
        for (int j = 0; j < node->n_outputs; j++)
            lists[j][i] = out[j];
    }
    for (int j = 0; lists && j < node->n_outputs; j++)
        CR_TRY(cr_sequences_set(s, node->outputs[j],
                                (cr_contents){.holding = CR_HOLDS_LIST, .elements = lists[j], .n = n}));
    return CREASE_OK;
}

crease_status cr_sequences_map(cr_sequences *s, cr_node *node) {
    cr_graph *body;
    size_t n = 0;
    bool known;
    CR_TRY(cr_attr_graph(node, "body", &body));
    if (!body || node->n_inputs < 1 || body->n_inputs != node->n_inputs || body->n_outputs != node->n_outputs)
        return cr_sequences_wrong(s, node, "with a body of other inputs or outputs");
    CR_TRY(count_elements(s, node, &n, &known));
    return known ? map_elements(s, node, body, n) : CREASE_OK;
}
