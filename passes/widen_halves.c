#include "passes/lower.h"
#include "passes/pass.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"
#include "runtime/graph/verify.h"
#include "runtime/ops/infer.h"

/* before: nodes of float16 or bfloat16
 * after:  the same nodes of float32, weights widened once, Cast where halves come in and go out
 * not:    Cast and other nodes that name a type, which keep theirs; halves that bodies of control
 *         flow use
 * why:    operators compute halves in float32 anyway and round each result. Without those roundings
 *         in between the result is nearer to the exact one; a Cast to a half that the model itself
 *         asks for still rounds. */

typedef struct widening {
    cr_graph *graph;
    cr_value **wide; /* by id of a value of halves: the same values in float32, or NULL */
    size_t n_wide;   /* values that existed when the pass began */
} widening;

static bool is_half(const cr_value *value) {
    return value && value->kind == CR_KIND_TENSOR && cr_dtype_is_half(value->dtype);
}

static bool used_by_body(const cr_value *value) {
    for (int i = 0; i < value->n_uses; i++)
        if (value->uses[i].node->graph != value->graph)
            return true;
    return false;
}

/* ---- which nodes ---- */

static bool names_a_type(const cr_node *node) {
    for (int i = 0; i < node->n_attrs; i++) {
        const cr_attr *attr = &node->attrs[i];
        if (attr->type == CR_ATTR_TENSOR || attr->type == CR_ATTR_GRAPH || attr->type == CR_ATTR_GRAPHS)
            return true;
    }
    return cr_attr_find(node, "to") || cr_attr_find(node, "dtype") || cr_attr_find(node, "stash_type") ||
           cr_attr_find(node, "output_dtype") || cr_node_is(node, "CastLike");
}

static bool has_half(cr_value *const *values, int n) {
    for (int i = 0; i < n; i++)
        if (is_half(values[i]))
            return true;
    return false;
}

static bool is_widened(const cr_node *node) {
    const bool halves = has_half(node->inputs, node->n_inputs) || has_half(node->outputs, node->n_outputs);
    return halves && node->op && !(node->op->types && !(node->op->types & CR_T(CREASE_FLOAT))) &&
           !names_a_type(node);
}

/* Some node that does not compute halves itself, and no body that would see the values change. */
static bool is_worth_it(const cr_graph *graph) {
    bool worth = false;
    CR_FOR_NODES(node, graph) {
        worth |= is_widened(node) && !(node->op->flags & CR_OP_HALF);
        for (int i = 0; i < node->n_outputs; i++)
            if (is_half(node->outputs[i]) && used_by_body(node->outputs[i]))
                return false;
    }
    return worth;
}

/* ---- values ---- */

static crease_status add_value(widening *w, const cr_value *value, cr_value **wide) {
    CR_TRY(cr_value_like(w->graph, value, wide));
    w->wide[value->id] = *wide;
    return CREASE_OK;
}

static crease_status add_cast(widening *w, cr_node *before, cr_value *from, cr_value *to) {
    cr_node *cast;
    CR_TRY(cr_graph_add_node(w->graph, before, "Cast", "", to->name, &from, 1, &to, 1, &cast));
    return cr_node_set_int(cast, "to", to->dtype);
}

static crease_status widen_constant(widening *w, const cr_value *value, cr_value **wide) {
    const cr_tensor *from = value->constant;
    cr_tensor *to;
    CR_TRY(cr_graph_new_constant(w->graph, value->name, CREASE_FLOAT, &from->shape, wide, &to));
    cr_halves_to_floats(from->dtype, from->data, to->data, cr_shape_n(&from->shape));
    w->wide[value->id] = *wide;
    return CREASE_OK;
}

static crease_status widen_input(widening *w, cr_node *node, int i) {
    cr_value *value = node->inputs[i], *wide = w->wide[value->id];
    if (!wide && value->constant) {
        CR_TRY(widen_constant(w, value, &wide));
    } else if (!wide) {
        CR_TRY(add_value(w, value, &wide));
        CR_TRY(add_cast(w, node, value, wide));
    }
    return cr_node_set_input(node, i, wide);
}

static crease_status widen_node(widening *w, cr_node *node) {
    cr_value *wide;
    for (int i = 0; i < node->n_inputs; i++)
        if (is_half(node->inputs[i]))
            CR_TRY(widen_input(w, node, i));
    for (int i = 0; i < node->n_outputs; i++)
        if (is_half(node->outputs[i])) {
            CR_TRY(add_value(w, node->outputs[i], &wide));
            CR_TRY(cr_node_set_output(node, i, wide));
        }
    return CREASE_OK;
}

/* Halves that lost their producer and are still wanted: graph outputs, inputs of a Cast. */
static crease_status restore_halves(widening *w) {
    for (size_t id = 0; id < w->n_wide; id++) {
        cr_value *value = w->graph->model->values[id], *wide = w->wide[id];
        if (wide && wide->producer && !value->producer && !value->is_input && !value->constant &&
            (value->n_uses || value->n_outputs))
            CR_TRY(add_cast(w, wide->producer->next, wide, value));
    }
    return CREASE_OK;
}

static crease_status widen(widening *w, cr_arena *arena) {
    w->n_wide = (size_t)w->graph->model->n_values;
    CR_TRY(CR_ARENA_NEW(arena, &w->wide, w->n_wide));
    CR_FOR_NODES_SAFE(node, w->graph)
    if (is_widened(node))
        CR_TRY(widen_node(w, node));
    return restore_halves(w);
}

crease_status cr_pass_widen_halves(cr_graph *graph) {
    widening w = {.graph = graph};
    cr_arena arena;
    if (!is_worth_it(graph))
        return CREASE_OK;
    cr_arena_init(&arena, graph->model->heap);
    crease_status status = widen(&w, &arena);
    cr_arena_clear(&arena);
    return status;
}

/* Whether a half goes in or stands in the file: others are made of these, or by a Cast that rounds anyway. */
static bool has_halves(const cr_model *model) {
    for (int i = 0; i < model->n_values; i++)
        if (is_half(model->values[i]) && (model->values[i]->constant || model->values[i]->is_input))
            return true;
    return false;
}

crease_status cr_optimize_widen(cr_model *model) {
    if (!has_halves(model))
        return CREASE_OK;
    CR_TRY(cr_model_resolve(model));
    CR_TRY(cr_graph_infer(model->graph));
    return cr_model_verify_after(model, cr_pass_widen_halves(model->graph));
}
