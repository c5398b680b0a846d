#include "passes/lower.h"
#include "passes/pass.h"
#include "passes/turn.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/move.h"

/* before: Transpose to [N, pixels, C], elementwise operators, Pad, Concat, Resize, reductions, Transpose back
 * after:  these operators in the order of axes that was there before; the Transposes cancel
 * not:    where more elements would be transposed than now; operators whose other operand is computed in
 *         another order; constants whose elements would stand in another order
 * why:    what is exported from networks with the channels last keeps a Transpose before and behind each
 *         convolution. What they surround cannot run in the blocked layout, and they are passes over memory.
 */

typedef struct turning {
    cr_graph *graph;
    cr_arena arena;
    /* by the id of a value: how it is turned (NULL: not), and the straight one once it exists */
    const cr_turn **turns;
    cr_value **straight;
    int n_values;
    /* by the id of a node: operators that are to compute on straight data, and Transposes that take part */
    bool *moves;
    int n_nodes;
} turning;

static bool is_identity(const cr_turn *turn) {
    for (int i = 0; i < turn->rank; i++)
        if (turn->axis[i] != i)
            return false;
    return true;
}

static bool same_turn(const cr_turn *a, const cr_turn *b) {
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->axis[i] == b->axis[i];
    return same;
}

static const cr_turn *turn_of(const turning *t, const cr_value *value) {
    return value->id < t->n_values ? t->turns[value->id] : NULL;
}

static bool moves(const turning *t, const cr_node *node) {
    return node->id < t->n_nodes && t->moves[node->id];
}

static crease_status note_turn(turning *t, const cr_value *value, const cr_turn *turn) {
    cr_turn *kept;
    if (is_identity(turn))
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(&t->arena, &kept, 1));
    *kept = *turn;
    t->turns[value->id] = kept;
    return CREASE_OK;
}

/* ---- what could move ---- */

/* Behind what turned the input. */
static crease_status visit_transpose(turning *t, const cr_node *node) {
    const cr_value *x = cr_node_input(node, 0);
    const cr_turn *before = x ? turn_of(t, x) : NULL;
    if (!x || x->shape.rank < 1 || !cr_node_output(node, 0))
        return CREASE_OK;
    cr_turn turn = {.rank = x->shape.rank};
    CR_TRY(cr_transpose_axes(node, turn.rank, turn.axis));
    for (int i = 0; before && i < turn.rank; i++)
        turn.axis[i] = before->axis[turn.axis[i]];
    t->moves[node->id] = true;
    return note_turn(t, node->outputs[0], &turn);
}

/* A constant that broadcasts to `turn` keeps the order of its elements when it is straightened. */
static bool keeps_order(const cr_shape *shape, const cr_turn *turn) {
    int last = -1;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i] != 1) {
            const int straight = turn->axis[turn->rank - shape->rank + i];
            if (straight < last)
                return false;
            last = straight;
        }
    return true;
}

/* Of operators with several operands: each is turned in the same way, or a constant. */
static bool operands_agree(const turning *t, const cr_node *node, const cr_turn *turn) {
    for (int i = 0; i < node->n_inputs; i++) {
        const cr_value *x = node->inputs[i];
        const cr_turn *other = x ? turn_of(t, x) : NULL;
        if (!x || (other && !same_turn(turn, other)))
            return false;
        if (!other && (!x->constant || x->shape.rank > turn->rank || cr_node_is(node, "Concat") ||
                       !keeps_order(&x->shape, turn)))
            return false;
    }
    return true;
}

static const cr_turn *data_turn(const turning *t, const cr_node *node, const cr_turn_rule *rule) {
    const cr_turn *turn = NULL;
    for (int i = 0; !turn && i < (rule->broadcasts ? node->n_inputs : 1); i++)
        turn = cr_node_input(node, i) ? turn_of(t, node->inputs[i]) : NULL;
    return turn;
}

static crease_status visit_operator(turning *t, const cr_node *node) {
    const cr_turn_rule *rule = cr_turn_rule_of(node);
    const cr_turn *turn = rule ? data_turn(t, node, rule) : NULL;
    if (!turn || (rule->broadcasts && !operands_agree(t, node, turn)))
        return CREASE_OK;
    cr_turn outputs = *turn;
    CR_TRY(rule->check(node, turn, &outputs, &t->moves[node->id]));
    for (int i = 0; t->moves[node->id] && i < node->n_outputs; i++)
        if (node->outputs[i])
            CR_TRY(note_turn(t, node->outputs[i], &outputs));
    return CREASE_OK;
}

/* ---- whether it pays ---- */

static double count_elements(const cr_value *value) {
    double n = 1;
    for (int i = 0; i < value->shape.rank; i++)
        if (value->shape.dims[i] > 0)
            n *= (double)value->shape.dims[i];
    return n;
}

/* Whether somebody would read a turned value as it is. */
static bool is_wanted(const turning *t, const cr_value *value) {
    for (int i = 0; i < value->n_uses; i++)
        if (!moves(t, value->uses[i].node))
            return true;
    return value->n_outputs > 0;
}

/* Elements that are transposed now less those that would be. */
static double count_savings(const turning *t) {
    double saved = 0;
    CR_FOR_NODES(node, t->graph) {
        if (!moves(t, node))
            continue;
        if (cr_node_is(node, "Transpose"))
            saved += count_elements(node->outputs[0]);
        for (int i = 0; i < node->n_outputs; i++)
            if (node->outputs[i] && turn_of(t, node->outputs[i]) && is_wanted(t, node->outputs[i]))
                saved -= count_elements(node->outputs[i]);
    }
    return saved;
}

/* ---- moving ---- */

static cr_value *straight_of(const turning *t, cr_value *value) {
    return turn_of(t, value) ? t->straight[value->id] : value;
}

static crease_status set_perm(cr_node *transpose, const cr_turn *turn) {
    int64_t perm[CR_MAX_RANK];
    for (int i = 0; i < turn->rank; i++)
        perm[i] = turn->axis[i];
    return cr_node_set_ints(transpose, "perm", perm, turn->rank);
}

/* Either it turns what its input was made of, or nothing is left to turn. */
static crease_status move_transpose(turning *t, cr_node *node) {
    cr_value *x = straight_of(t, node->inputs[0]), *y = node->outputs[0];
    const cr_turn *turn = turn_of(t, y);
    CR_TRY(cr_node_set_input(node, 0, x));
    if (turn) {
        t->straight[y->id] = x;
        return set_perm(node, turn);
    }
    cr_node_remove_attr(node, "perm");
    return cr_node_set_op(node, "Identity", "");
}

static crease_status straighten_constant(cr_node *node, int i, const cr_turn *turn) {
    const cr_value *value = node->inputs[i];
    cr_tensor tensor = *value->constant;
    cr_value *made;
    if (value->shape.rank == 0)
        return CREASE_OK;
    tensor.shape.rank = turn->rank;
    for (int d = 0; d < turn->rank; d++) {
        const int own = d - (turn->rank - value->shape.rank);
        tensor.shape.dims[turn->axis[d]] = own < 0 ? 1 : value->shape.dims[own];
    }
    CR_TRY(cr_graph_add_constant(node->graph, value->name, &tensor, &made));
    return cr_node_set_input(node, i, made);
}

/* The node gives a straight value now, of which a Transpose makes the turned one. */
static crease_status straighten_output(turning *t, cr_node *node, int i) {
    cr_value *turned = node->outputs[i], *straight;
    const cr_turn *turn = turn_of(t, turned);
    cr_node *transpose;
    CR_TRY(cr_graph_add_value(node->graph, turned->name, true, &straight));
    straight->dtype = turned->dtype;
    straight->shape = turned->shape;
    for (int d = 0; d < turn->rank && turned->shape.rank == turn->rank; d++)
        straight->shape.dims[turn->axis[d]] = turned->shape.dims[d];
    CR_TRY(cr_node_set_output(node, i, straight));
    CR_TRY(cr_graph_add_node(node->graph, node->next, "Transpose", "", turned->name, &straight, 1, &turned, 1,
                             &transpose));
    t->straight[turned->id] = straight;
    return set_perm(transpose, turn);
}

static crease_status move_operator(turning *t, cr_node *node) {
    const cr_turn_rule *rule = cr_turn_rule_of(node);
    const cr_turn *turn = data_turn(t, node, rule);
    for (int i = 0; i < (rule->broadcasts ? node->n_inputs : 1); i++)
        if (turn_of(t, node->inputs[i]))
            CR_TRY(cr_node_set_input(node, i, straight_of(t, node->inputs[i])));
        else
            CR_TRY(straighten_constant(node, i, turn));
    CR_TRY(rule->change(node, turn));
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && turn_of(t, node->outputs[i]))
            CR_TRY(straighten_output(t, node, i));
    return CREASE_OK;
}

/* ---- the pass ---- */

static crease_status cancel(turning *t) {
    CR_TRY(CR_ARENA_NEW(&t->arena, &t->turns, (size_t)t->n_values));
    CR_TRY(CR_ARENA_NEW(&t->arena, &t->straight, (size_t)t->n_values));
    CR_TRY(CR_ARENA_NEW(&t->arena, &t->moves, (size_t)t->n_nodes));
    CR_FOR_NODES(node, t->graph)
    CR_TRY(cr_node_is(node, "Transpose") ? visit_transpose(t, node) : visit_operator(t, node));
    if (count_savings(t) <= 0)
        return CREASE_OK;
    CR_FOR_NODES_SAFE(node, t->graph)
    if (moves(t, node))
        CR_TRY(cr_node_is(node, "Transpose") ? move_transpose(t, node) : move_operator(t, node));
    CR_TRY(cr_pass_drop_noops(t->graph->model));
    return cr_model_drop_dead(t->graph->model);
}

crease_status cr_pass_cancel_transposes(cr_graph *graph) {
    turning t = {.graph = graph, .n_values = graph->model->n_values, .n_nodes = graph->model->n_nodes};
    cr_arena_init(&t.arena, graph->model->heap);
    crease_status status = cancel(&t);
    cr_arena_clear(&t.arena);
    return status;
}
