#include "passes/sequences.h"
#include "passes/pass.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/verify.h"

#include <stdarg.h>
#include <stdio.h>

/* before: sequences and optionals: lists that SequenceConstruct, SequenceInsert, SplitToSequence ... make and
 *         SequenceAt, ConcatFromSequence ... take apart
 * after:  the tensors they hold: Split, Concat, Identity and constants; a Loop that carries one is written
 *         out run by run, an If that gives one as its branch, a SequenceMap element by element
 * not:    the inputs and outputs of the model; positions, sizes, numbers of runs and conditions that only a
 *         run decides; more than CR_MAX_SEQUENCE elements. Such nodes stay, with an obstacle that says so
 * why:    a sequence is only a list of tensors; where it is the same list in every run, a position is a name.
 *
 * One walk in the order of the nodes, so that what a rewrite makes is known where the next one needs it.
 * Shapes that a body declares of its inputs are taken for what they will be. */

/* ---- what values hold ---- */

cr_contents cr_sequences_get(const cr_sequences *s, const cr_value *value) {
    cr_contents contents = {0};
    if ((size_t)value->id < s->capacity)
        contents = s->contents[value->id];
    if (contents.holding == CR_HOLDS_ITSELF && value->kind != CR_KIND_TENSOR)
        contents.holding = CR_HOLDS_UNKNOWN;
    return contents;
}

crease_status cr_sequences_set(cr_sequences *s, const cr_value *value, cr_contents contents) {
    const size_t had = s->capacity;
    if (!value)
        return CREASE_OK;
    CR_TRY(cr_grow(s->model->heap, (void **)&s->contents, &s->capacity, (size_t)value->id + 1,
                   sizeof *s->contents));
    for (size_t i = had; i < s->capacity; i++)
        s->contents[i] = (cr_contents){0};
    s->contents[value->id] = contents;
    s->changed |= contents.holding != CR_HOLDS_UNKNOWN;
    return CREASE_OK;
}

crease_status cr_sequences_list(cr_sequences *s, cr_node *node, size_t n, cr_value ***list) {
    *list = NULL;
    if (n > CR_MAX_SEQUENCE)
        return cr_sequences_refuse(s, node, "on a sequence of %zu elements, more than %d,", n,
                                   CR_MAX_SEQUENCE);
    if (s->n_listed + n > CR_MAX_LISTED)
        return cr_sequences_refuse(s, node, "in a model whose sequences have more than %d elements",
                                   CR_MAX_LISTED);
    s->n_listed += n;
    return CR_ARENA_NEW(&s->arena, list, n + 1);
}

cr_info cr_sequences_info(const cr_sequences *s, const cr_value *value) {
    if (value->id < s->walk.n && cr_sequences_get(s, value).holding == CR_HOLDS_ITSELF)
        return s->walk.infos[value->id];
    return (cr_info){.shape = cr_shape_unknown()};
}

crease_status cr_sequences_ints(cr_sequences *s, cr_node *node, int i, const char *what,
                                const cr_tensor **list) {
    const cr_info info = cr_sequences_info(s, node->inputs[i]);
    *list = NULL;
    if (info.dtype && info.dtype != CREASE_INT64 && info.dtype != CREASE_INT32)
        return cr_sequences_wrong(s, node, "with %s of type %s", what, crease_dtype_name(info.dtype));
    if (info.shape.rank > 1)
        return cr_sequences_wrong(s, node, "with %s of rank %d", what, info.shape.rank);
    if (!info.known)
        return cr_sequences_refuse(s, node, "with %s that %s", what,
                                   node->inputs[i]->initial
                                       ? "the caller may override unless assume_const is set"
                                       : "only a run decides");
    *list = info.known;
    return CREASE_OK;
}

/* ---- refusals ---- */

/* The obstacle of a node that another one's keeps from being resolved. */
#define CONSEQUENCE "%s", ""

/* A tensor stays one, of which nothing else is known. */
static crease_status set_unknown(cr_sequences *s, const cr_node *node) {
    for (int i = 0; i < node->n_outputs && !cr_sequences_gives_tensor(node); i++)
        CR_TRY(cr_sequences_set(s, node->outputs[i], (cr_contents){.holding = CR_HOLDS_UNKNOWN}));
    return CREASE_OK;
}

crease_status cr_sequences_refuse(cr_sequences *s, cr_node *node, const char *format, ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CR_TRY(cr_node_set_obstacle(node, text));
    return set_unknown(s, node);
}

crease_status cr_sequences_refuse_value(cr_sequences *s, cr_node *node, const cr_value *value) {
    const bool is_input = value->is_input && !value->graph->owner;
    if (value->producer && value->producer->obstacle)
        return cr_sequences_refuse(s, node, CONSEQUENCE);
    return cr_sequences_refuse(s, node, "on '%.200s', %s,", value->name,
                               is_input ? "an input of the model" : "which only a run decides");
}

crease_status cr_sequences_wrong(cr_sequences *s, cr_node *node, const char *format, ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!node->graph->owner)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "impossible %s", text);
    return cr_sequences_refuse(s, node, "%s", text);
}

/* ---- nodes in place of others ---- */

crease_status cr_sequences_become(cr_sequences *s, cr_node *node, const char *op_type,
                                  cr_value *const *inputs, int n_inputs) {
    while (node->n_attrs)
        cr_node_remove_attr(node, node->attrs[0].name);
    for (int i = 0; i < n_inputs; i++)
        CR_TRY(cr_node_set_input(node, i, inputs[i]));
    CR_TRY(cr_node_keep_inputs(node, n_inputs));
    CR_TRY(cr_node_set_op(node, op_type, ""));
    cr_node_resolve(node);
    s->changed = true;
    return CREASE_OK;
}

crease_status cr_sequences_add(cr_sequences *s, cr_node *before, const char *op_type, cr_value *const *inputs,
                               int n_inputs, cr_value *const *outputs, int n_outputs, cr_node **node) {
    CR_TRY(cr_graph_add_node(before->graph, before, op_type, "", outputs[0]->name, inputs, n_inputs, outputs,
                             n_outputs, node));
    cr_node_resolve(*node);
    s->changed = true;
    return CREASE_OK;
}

/* A body that does not fit may never be taken, or take what fits when it runs. */
crease_status cr_sequences_infer(cr_sequences *s, const cr_node *node) {
    const crease_status status = cr_infer_walk_node(&s->walk, node);
    return node->graph->owner && status != CREASE_ERROR_MEMORY ? CREASE_OK : status;
}

crease_status cr_sequences_axis(cr_sequences *s, cr_node *before, const char *op_type, cr_value *x,
                                int64_t axis, const char *name, cr_value **y) {
    const bool is_input = cr_model_opset(s->model, "") >= 13;
    const char *axes;
    cr_value *in[2] = {x, NULL};
    cr_node *node;
    if (is_input) {
        CR_TRY(cr_arena_format(&s->arena, &axes, "%s/axes", name));
        CR_TRY(cr_graph_add_ints(before->graph, axes, &axis, 1, &in[1]));
    }
    CR_TRY(cr_graph_add_value(before->graph, name, true, y));
    CR_TRY(cr_sequences_add(s, before, op_type, in, is_input ? 2 : 1, y, 1, &node));
    if (!is_input)
        CR_TRY(cr_node_set_ints(node, "axes", &axis, 1));
    return cr_sequences_infer(s, node);
}

crease_status cr_sequences_join(cr_sequences *s, cr_node *node, cr_value *const *elements, size_t n,
                                int64_t axis, bool new_axis) {
    cr_value **inputs;
    const char *name;
    CR_TRY(CR_ARENA_NEW(&s->arena, &inputs, n));
    for (size_t i = 0; i < n; i++) {
        inputs[i] = elements[i];
        if (!new_axis)
            continue;
        CR_TRY(cr_arena_format(&s->arena, &name, "%.900s/%zu", node->outputs[0]->name, i));
        CR_TRY(cr_sequences_axis(s, node, "Unsqueeze", elements[i], axis, name, &inputs[i]));
    }
    CR_TRY(cr_sequences_become(s, node, "Concat", inputs, (int)n));
    return cr_node_set_int(node, "axis", axis);
}

/* ---- the walk ---- */

static crease_status resolve_node(cr_sequences *s, cr_node *node) {
    cr_sequences_rule *rule = cr_sequences_rule_of(node);
    CR_TRY(cr_node_set_obstacle(node, NULL));
    for (int i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].type == CR_ATTR_GRAPH || node->attrs[i].type == CR_ATTR_GRAPHS)
            for (int64_t j = 0; j < node->attrs[i].n; j++)
                CR_TRY(cr_sequences_nodes(s, node->attrs[i].graphs[j]->first, NULL));
    if (rule && cr_node_output(node, 0))
        CR_TRY(rule(s, node));
    return node->op ? cr_sequences_infer(s, node) : CREASE_OK;
}

crease_status cr_sequences_nodes(cr_sequences *s, cr_node *first, const cr_node *stop) {
    for (cr_node *node = first, *next; node && node != stop; node = next) {
        next = node->next; /* rules add nodes before theirs only */
        CR_TRY(resolve_node(s, node));
    }
    return CREASE_OK;
}

/* ---- the model ---- */

/* An operator that is nothing but its rule. */
static bool needs_rule(const cr_node *node) {
    return !node->op && cr_sequences_rule_of(node);
}

static crease_status look_for_rules(cr_graph *graph, void *context) {
    CR_FOR_NODES(node, graph)
    *(bool *)context |= needs_rule(node);
    return CREASE_OK;
}

/* Who still needs a node that was resolved. */
static crease_status name_user(cr_sequences *s, cr_node *node) {
    const cr_value *out = cr_node_output(node, 0);
    if (!out)
        return CREASE_OK;
    if (out->n_outputs)
        return cr_sequences_refuse(s, node, "giving '%.200s', an output of %s,", out->name,
                                   node->graph->owner ? "a body" : "the model");
    if (!out->n_uses || needs_rule(out->uses[0].node) || out->uses[0].node->obstacle)
        return cr_sequences_refuse(s, node, CONSEQUENCE);
    return cr_sequences_refuse(s, node, "giving '%.150s', which node '%.150s' (%.50s) needs,", out->name,
                               out->uses[0].node->name, out->uses[0].node->op_type);
}

/* What the rules left. In a body whose own node is refused, that is the reason. */
static crease_status name_users(cr_graph *graph, void *context) {
    const bool refused = graph->owner && graph->owner->obstacle;
    CR_FOR_NODES(node, graph) {
        if (refused && (node->obstacle || needs_rule(node)))
            CR_TRY(cr_sequences_refuse(context, node, CONSEQUENCE));
        else if (needs_rule(node) && !node->obstacle)
            CR_TRY(name_user(context, node));
    }
    return CREASE_OK;
}

static crease_status resolve(cr_sequences *s) {
    CR_TRY(cr_infer_walk_begin(&s->walk, s->model, s->model->heap));
    CR_TRY(cr_sequences_nodes(s, s->model->graph->first, NULL));
    if (s->changed)
        CR_TRY(cr_model_drop_dead(s->model));
    return cr_model_each_graph(s->model, name_users, s);
}

crease_status cr_pass_resolve_sequences(cr_model *model) {
    cr_sequences s = {.model = model};
    bool any = false;
    CR_TRY(cr_model_each_graph(model, look_for_rules, &any));
    if (!any)
        return CREASE_OK;
    cr_arena_init(&s.arena, model->heap);
    crease_status status = resolve(&s);
    cr_infer_walk_end(&s.walk);
    cr_free(model->heap, s.contents);
    cr_free(model->heap, s.copies.list);
    cr_arena_clear(&s.arena);
    return status;
}
