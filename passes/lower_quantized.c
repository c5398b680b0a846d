#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

#include <math.h>

/* before: QuantizeLinear of float32 to 8 or 16 bits, then DequantizeLinear by the same scale and zero point,
 *         one of each for the tensor; between them may stand what only moves elements or takes maxima
 * after:  crease.Activation that rounds to the same steps, and the movers on float32 behind it
 * not:    computed scales or zero points, one for each channel or block; another type than float32
 * why:    (q - zero) scale is the scale times an integer that float32 holds, whether q is stored or not.
 *         What moves elements moves either, and a maximum is the same since the scale is positive. */

/* The values that a tensor may have: step times integers of [low, high]. */
typedef struct steps {
    float step;
    double zero;
    crease_dtype dtype; /* that stores them */
} steps;

static const cr_tensor *one_number(const cr_node *node, int input) {
    const cr_tensor *t = cr_node_constant(node, input);
    return t && t->data && t->shape.rank <= 1 && cr_shape_n(&t->shape) == 1 ? t : NULL;
}

static bool is_stored(crease_dtype dtype) {
    return dtype == CREASE_UINT8 || dtype == CREASE_INT8 || dtype == CREASE_UINT16 || dtype == CREASE_INT16;
}

/* Of QuantizeLinear or DequantizeLinear. */
static bool read_steps(const cr_node *node, crease_dtype dtype, steps *s) {
    const cr_tensor *scale = one_number(node, 1), *zero = one_number(node, 2);
    const bool plain = !cr_attr_find(node, "block_size") && !cr_attr_find(node, "precision");
    if (!plain || !scale || scale->dtype != CREASE_FLOAT || !is_stored(dtype) ||
        (cr_node_input(node, 2) && !zero))
        return false;
    *s = (steps){*(const float *)scale->data, zero ? (double)cr_tensor_int(zero, 0) : 0, dtype};
    return s->step > 0 && isfinite(s->step);
}

/* One operand and one result, which may not be left out. */
static bool is_whole(const cr_node *node, const char *op) {
    return cr_node_is(node, op) && cr_node_input(node, 0) && node->n_outputs == 1 && node->outputs[0];
}

static bool quantizes(const cr_node *node, steps *s) {
    return is_whole(node, "QuantizeLinear") && node->inputs[0]->dtype == CREASE_FLOAT &&
           read_steps(node, node->outputs[0]->dtype, s);
}

static bool dequantizes(const cr_node *node, steps *s) {
    return is_whole(node, "DequantizeLinear") && node->outputs[0]->dtype == CREASE_FLOAT &&
           read_steps(node, node->inputs[0]->dtype, s);
}

static bool same_steps(const steps *a, const steps *b) {
    return a->step == b->step && a->zero == b->zero && a->dtype == b->dtype;
}

static cr_activation rounding(const steps *s) {
    const double size = ldexp(1, (int)crease_dtype_bits(s->dtype));
    const bool is_signed = s->dtype == CREASE_INT8 || s->dtype == CREASE_INT16;
    const double low = (is_signed ? -size / 2 : 0) - s->zero;
    return (cr_activation){
        .kind = CR_ACT_QUANTIZE, .a = s->step, .b = (float)low, .c = (float)(low + size - 1)};
}

/* ---- what stands between ---- */

/* Its elements are elements of input 0. */
static bool moves_elements(const cr_node *node) {
    static const char *const movers[] = {"MaxPool", "Reshape", "Flatten",  "Transpose",
                                         "Squeeze", "Slice",   "Unsqueeze"};
    for (size_t i = 0; node && i < sizeof movers / sizeof *movers; i++)
        if (cr_node_is(node, movers[i]))
            return node->n_outputs == 1;
    return false;
}

/* The mover, whose only user the DequantizeLinear was, stands behind it and gives what it gave. */
static crease_status move_behind(cr_node *mover, cr_node *dequantize) {
    cr_value *x, *unused, *result = dequantize->outputs[0];
    cr_value *inputs[] = {mover->inputs[0], dequantize->inputs[1], cr_node_input(dequantize, 2)};
    cr_node *earlier;
    CR_TRY(cr_value_like(mover->graph, mover->inputs[0], &x));
    CR_TRY(cr_value_like(mover->graph, result, &unused));
    CR_TRY(cr_graph_add_node(mover->graph, mover, "DequantizeLinear", "", dequantize->name, inputs, 3, &x, 1,
                             &earlier));
    CR_TRY(cr_node_set_output(dequantize, 0, unused));
    CR_TRY(cr_node_remove(dequantize));
    CR_TRY(cr_node_set_input(mover, 0, x));
    return cr_node_set_output(mover, 0, result);
}

/* Moves all of them, the last first. */
static crease_status move_dequantize(cr_node *node) {
    steps s;
    while (dequantizes(node, &s)) {
        cr_node *mover = node->inputs[0]->producer;
        if (!moves_elements(mover) || mover->graph != node->graph || cr_node_only_user(mover) != node)
            break;
        CR_TRY(move_behind(mover, node)); /* removes `node` */
        node = mover->previous;
    }
    return CREASE_OK;
}

/* ---- pairs ---- */

static crease_status become_activation(cr_node *node, cr_value *x, const steps *s) {
    const cr_activation act = rounding(s);
    CR_TRY(cr_node_set_input(node, 0, x));
    CR_TRY(cr_node_keep_inputs(node, 1));
    CR_TRY(cr_node_set_op(node, "Activation", "crease"));
    return cr_node_set_activation(node, "act", &act);
}

/* The DequantizeLinear among the users that undoes a QuantizeLinear by the same steps; NULL: none. */
static cr_node *undone_by(const cr_node *quantize, const steps *s) {
    const cr_value *q = quantize->outputs[0];
    steps other;
    for (int i = 0; i < q->n_uses; i++) {
        cr_node *user = q->uses[i].node;
        if (user->graph == quantize->graph && q->uses[i].input == 0 && dequantizes(user, &other) &&
            same_steps(s, &other))
            return user;
    }
    return NULL;
}

/* Later ones use what the first gives, but for graph outputs, which have names of their own. */
static crease_status join(cr_node *quantize, const steps *s) {
    cr_value *rounded = NULL;
    for (cr_node *undo; (undo = undone_by(quantize, s));) {
        if (rounded && undo->outputs[0]->n_outputs == 0) {
            CR_TRY(cr_value_replace(undo->outputs[0], rounded));
            CR_TRY(cr_node_remove(undo));
            continue;
        }
        cr_node_move_before(undo, quantize->next);
        CR_TRY(become_activation(undo, quantize->inputs[0], s));
        rounded = undo->outputs[0];
    }
    return CREASE_OK;
}

crease_status cr_pass_lower_quantized(cr_graph *graph) {
    steps s;
    CR_FOR_NODES_SAFE(node, graph)
    CR_TRY(move_dequantize(node));
    CR_FOR_NODES(node, graph)
    if (quantizes(node, &s))
        CR_TRY(join(node, &s));
    return cr_model_drop_dead(graph->model);
}

/* ---- what the steps make superfluous ----
 *
 * before: crease.Activation that rounds, of one that clamps or, perhaps through movers, of one that rounds
 * after:  the first with narrower limits; the values that were rounded before
 * not:    a clamp that others use or that keeps 0 out; other steps, or wider limits before
 * why:    rounding is monotonic; and it leaves what it gave. */

static crease_status read_rounding(const cr_node *node, cr_activation *act, bool *rounds) {
    *rounds = false;
    if (!node || !cr_is_ours(node, "Activation"))
        return CREASE_OK;
    CR_TRY(cr_blocked_activation(node, "act", act));
    *rounds = act->kind == CR_ACT_QUANTIZE;
    return CREASE_OK;
}

/* A limit of the clamp in steps, no further out than that of the steps. */
static float narrowed(float limit, const cr_activation *act) {
    return fminf(fmaxf(nearbyintf(limit / act->a), act->b), act->c);
}

static crease_status take_clamp(cr_node *node, cr_activation *act) {
    cr_node *before = node->inputs[0]->producer;
    cr_activation clamp;
    float low, high;
    if (!before || !cr_is_ours(before, "Activation") || cr_node_only_user(before) != node)
        return CREASE_OK;
    CR_TRY(cr_blocked_activation(before, "act", &clamp));
    if (!cr_activation_is_clamp(&clamp, &low, &high) || low > 0 || high < 0)
        return CREASE_OK;
    act->b = narrowed(low, act);
    act->c = narrowed(high, act);
    CR_TRY(cr_node_set_input(node, 0, before->inputs[0]));
    return cr_node_set_activation(node, "act", act);
}

static crease_status drop_repeated(cr_node *node, const cr_activation *act) {
    const cr_node *before = node->inputs[0]->producer;
    cr_activation earlier;
    bool rounds;
    while (moves_elements(before))
        before = before->inputs[0]->producer;
    CR_TRY(read_rounding(before, &earlier, &rounds));
    if (!rounds || earlier.a != act->a || earlier.b < act->b || earlier.c > act->c ||
        node->outputs[0]->n_outputs != 0)
        return CREASE_OK;
    CR_TRY(cr_value_replace(node->outputs[0], node->inputs[0]));
    return cr_node_remove(node);
}

crease_status cr_pass_merge_quantized(cr_graph *graph) {
    cr_activation act;
    bool rounds;
    CR_FOR_NODES_SAFE(node, graph) {
        CR_TRY(read_rounding(node, &act, &rounds));
        if (!rounds)
            continue;
        CR_TRY(take_clamp(node, &act));
        CR_TRY(drop_repeated(node, &act));
    }
    return cr_model_drop_dead(graph->model);
}
