#include "passes/turn.h"
#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

#include <string.h>

/* ---- axes and lists of them ---- */

/* The straight axis of a turned one; false: it is out of range. */
static bool straighten(const cr_turn *turn, int64_t axis, int64_t *straight) {
    axis += axis < 0 ? turn->rank : 0;
    if (axis < 0 || axis >= turn->rank)
        return false;
    *straight = turn->axis[axis];
    return true;
}

static bool is_list(const cr_tensor *t, crease_dtype dtype, int64_t n) {
    return t && t->dtype == dtype && cr_shape_n(&t->shape) == n;
}

static int64_t count(const cr_tensor *t) {
    return t && t->dtype == CREASE_INT64 && t->shape.rank == 1 ? t->shape.dims[0] : 0;
}

static crease_status set_ints(cr_node *node, int input, const int64_t *list, int64_t n) {
    cr_value *value;
    CR_TRY(cr_graph_add_ints(node->graph, node->name, list, n, &value));
    return cr_node_set_input(node, input, value);
}

/* A list of an entry for each axis, in the order of the straight axes: input i, of elements of `size` bytes.
 */
static crease_status turn_list(cr_node *node, int input, const cr_turn *turn, size_t size) {
    const cr_tensor *from = cr_node_constant(node, input);
    cr_value *value;
    cr_tensor *to;
    if (!from || cr_shape_n(&from->shape) == 0)
        return CREASE_OK;
    CR_TRY(cr_graph_new_constant(node->graph, node->name, from->dtype, &from->shape, &value, &to));
    for (int64_t at = 0; at < cr_shape_n(&from->shape); at += turn->rank) /* of Pad: begins, then ends */
        for (int i = 0; i < turn->rank; i++)
            memcpy((char *)to->data + (size_t)(at + turn->axis[i]) * size,
                   (const char *)from->data + (size_t)(at + i) * size, size);
    return cr_node_set_input(node, input, value);
}

/* ---- elementwise ---- */

/* Other inputs than the first, such as bounds, must be single numbers. */
static crease_status check_single(const cr_node *node, const cr_turn *turn, cr_turn *outputs, bool *can) {
    (void)turn, (void)outputs;
    *can = true;
    for (int i = 1; i < node->n_inputs; i++)
        if (node->inputs[i])
            *can = *can && node->inputs[i]->shape.rank == 0;
    return CREASE_OK;
}

static crease_status check_several(const cr_node *node, const cr_turn *turn, cr_turn *outputs, bool *can) {
    (void)turn, (void)outputs;
    *can = cr_model_opset(node->graph->model, "") >= 7; /* others broadcast along "axis" */
    return CREASE_OK;
}

static crease_status change_nothing(cr_node *node, const cr_turn *turn) {
    (void)node, (void)turn;
    return CREASE_OK;
}

/* ---- an axis ---- */

/* Concat must have one; Split begins with 0, Softmax ends with the last since operator set 13. */
static crease_status read_axis(const cr_node *node, const cr_turn *turn, bool *known, int64_t *axis) {
    CR_TRY(cr_attr_int(node, "axis", cr_node_is(node, "Split") ? 0 : -1, axis));
    *known = straighten(turn, *axis, axis);
    return CREASE_OK;
}

static crease_status check_axis(const cr_node *node, const cr_turn *turn, cr_turn *outputs, bool *can) {
    int64_t axis;
    (void)outputs;
    CR_TRY(read_axis(node, turn, can, &axis));
    return CREASE_OK;
}

static crease_status check_softmax(const cr_node *node, const cr_turn *turn, cr_turn *outputs, bool *can) {
    CR_TRY(check_axis(node, turn, outputs, can));
    *can = *can && cr_model_opset(node->graph->model, "") >= 13; /* it flattened before */
    return CREASE_OK;
}

static crease_status change_axis(cr_node *node, const cr_turn *turn) {
    bool known;
    int64_t axis;
    CR_TRY(read_axis(node, turn, &known, &axis));
    return cr_node_set_int(node, "axis", axis);
}

/* ---- Pad, Resize, Slice ---- */

static crease_status check_pad(const cr_node *node, const cr_turn *turn, cr_turn *outputs, bool *can) {
    (void)outputs;
    *can = is_list(cr_node_constant(node, 1), CREASE_INT64, 2 * turn->rank) && !cr_node_input(node, 3);
    return CREASE_OK;
}

static crease_status change_pad(cr_node *node, const cr_turn *turn) {
    return turn_list(node, 1, turn, sizeof(int64_t));
}

static bool is_empty(const cr_node *node, int input) {
    const cr_tensor *t = cr_node_constant(node, input);
    return !cr_node_input(node, input) || (t && cr_shape_n(&t->shape) == 0);
}

static crease_status check_resize(const cr_node *node, const cr_turn *turn, cr_turn *outputs, bool *can) {
    (void)outputs;
    *can = cr_model_opset(node->graph->model, "") >= 11 && !cr_attr_find(node, "axes") && is_empty(node, 1) &&
           (is_empty(node, 2) || is_list(cr_node_constant(node, 2), CREASE_FLOAT, turn->rank)) &&
           (is_empty(node, 3) || is_list(cr_node_constant(node, 3), CREASE_INT64, turn->rank));
    return CREASE_OK;
}

static crease_status change_resize(cr_node *node, const cr_turn *turn) {
    CR_TRY(turn_list(node, 2, turn, sizeof(float)));
    return turn_list(node, 3, turn, sizeof(int64_t));
}

static crease_status check_slice(const cr_node *node, const cr_turn *turn, cr_turn *outputs, bool *can) {
    const cr_tensor *axes = cr_node_constant(node, 3);
    int64_t straight;
    (void)outputs;
    *can = count(axes) > 0 && count(axes) <= turn->rank;
    for (int64_t i = 0; i < count(axes); i++)
        *can = *can && straighten(turn, cr_tensor_int(axes, i), &straight);
    return CREASE_OK;
}

static crease_status change_slice(cr_node *node, const cr_turn *turn) {
    const cr_tensor *axes = cr_node_constant(node, 3);
    int64_t list[CR_MAX_RANK];
    const int64_t n = count(axes);
    for (int64_t i = 0; i < n; i++)
        straighten(turn, cr_tensor_int(axes, i), &list[i]);
    return set_ints(node, 3, list, n);
}

/* ---- reductions ---- */

/* The axes, straight: from the attribute or, since some operator set, from input 1. */
static crease_status read_axes(const cr_node *node, const cr_turn *turn, int64_t list[CR_MAX_RANK], int *n) {
    const cr_tensor *input = cr_node_constant(node, 1);
    const int64_t *attr;
    bool known = true;
    CR_TRY(cr_attr_ints(node, "axes", &attr, n));
    if (*n == 0 && count(input) <= turn->rank)
        *n = (int)count(input);
    else
        input = NULL;
    if (*n > turn->rank)
        *n = 0;
    for (int i = 0; i < *n; i++)
        known = known && straighten(turn, input ? cr_tensor_int(input, i) : attr[i], &list[i]);
    *n = known ? *n : 0;
    return CREASE_OK;
}

/* What is left of a turn when straight axes disappear. */
static void drop_axes(const cr_turn *turn, const int64_t *axes, int n, cr_turn *left) {
    int place[CR_MAX_RANK] = {0}, rank = 0;
    for (int a = 0; a < n; a++)
        place[axes[a]] = -1;
    for (int a = 0; a < turn->rank; a++)
        if (place[a] == 0)
            place[a] = rank++;
    left->rank = 0;
    for (int i = 0; i < turn->rank; i++)
        if (place[turn->axis[i]] >= 0)
            left->axis[left->rank++] = place[turn->axis[i]];
}

static crease_status check_reduce(const cr_node *node, const cr_turn *turn, cr_turn *outputs, bool *can) {
    int64_t axes[CR_MAX_RANK], keep;
    int n;
    CR_TRY(cr_attr_int(node, "keepdims", 1, &keep));
    CR_TRY(read_axes(node, turn, axes, &n));
    *can = n > 0;
    if (!keep)
        drop_axes(turn, axes, n, outputs);
    return CREASE_OK;
}

static crease_status change_reduce(cr_node *node, const cr_turn *turn) {
    int64_t axes[CR_MAX_RANK];
    int n;
    CR_TRY(read_axes(node, turn, axes, &n));
    if (cr_node_input(node, 1))
        return set_ints(node, 1, axes, n);
    return cr_node_set_ints(node, "axes", axes, n);
}

/* ---- the table ---- */

#define SINGLE(op)                                                                                           \
    { op, false, check_single, change_nothing }
#define SEVERAL(op)                                                                                          \
    { op, true, check_several, change_nothing }
#define REDUCES(op)                                                                                          \
    { op, false, check_reduce, change_reduce }

static const cr_turn_rule rules[] = {
    SINGLE("Abs"),
    SINGLE("Cast"),
    SINGLE("Ceil"),
    SINGLE("Celu"),
    SINGLE("Clip"),
    SINGLE("Elu"),
    SINGLE("Erf"),
    SINGLE("Exp"),
    SINGLE("Floor"),
    SINGLE("Gelu"),
    SINGLE("HardSigmoid"),
    SINGLE("HardSwish"),
    SINGLE("LeakyRelu"),
    SINGLE("Log"),
    SINGLE("Mish"),
    SINGLE("Neg"),
    SINGLE("Reciprocal"),
    SINGLE("Relu"),
    SINGLE("Round"),
    SINGLE("Selu"),
    SINGLE("Sigmoid"),
    SINGLE("Softplus"),
    SINGLE("Softsign"),
    SINGLE("Sqrt"),
    SINGLE("Tanh"),
    SEVERAL("Add"),
    SEVERAL("Div"),
    SEVERAL("Max"),
    SEVERAL("Min"),
    SEVERAL("Mul"),
    SEVERAL("PRelu"),
    SEVERAL("Pow"),
    SEVERAL("Sub"),
    SEVERAL("Sum"),
    REDUCES("ReduceMax"),
    REDUCES("ReduceMean"),
    REDUCES("ReduceMin"),
    REDUCES("ReduceSum"),
    {"Concat", true, check_axis, change_axis},
    {"Pad", false, check_pad, change_pad},
    {"Resize", false, check_resize, change_resize},
    {"Slice", false, check_slice, change_slice},
    {"Softmax", false, check_softmax, change_axis},
    {"Split", false, check_axis, change_axis},
};

const cr_turn_rule *cr_turn_rule_of(const cr_node *node) {
    static const cr_turn_rule activation = SINGLE("Activation");
    if (cr_is_ours(node, "Activation"))
        return &activation;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (cr_node_is(node, rules[i].op_type))
            return &rules[i];
    return NULL;
}
