#include "passes/activation.h"
#include "runtime/graph/attr.h"

#include <math.h>
#include <string.h>

/* ---- single nodes ---- */

/* Limits of Clip: attributes until opset 10, inputs from 11 on; no limit is the largest float. */
static crease_status read_clip(const cr_node *node, cr_activation *act, bool *fits) {
    float *limits[] = {&act->a, &act->b};
    static const char *const names[] = {"min", "max"};
    act->kind = CR_ACT_CLIP;
    *fits = true;
    for (int i = 0; i < 2; i++) {
        const float otherwise = i ? INFINITY : -INFINITY;
        if (cr_model_opset(node->graph->model, "") < 11) {
            CR_TRY(cr_attr_float(node, names[i], otherwise, limits[i]));
            continue;
        }
        const cr_tensor *limit = cr_node_constant(node, i + 1);
        *limits[i] = limit ? *(const float *)limit->data : otherwise;
        *fits &= !cr_node_input(node, i + 1) ||
                 (limit && limit->dtype == CREASE_FLOAT && cr_shape_n(&limit->shape) == 1);
    }
    *fits &= !(act->a > act->b);
    return CREASE_OK;
}

/* One slope for all; slopes by channel are for the blocked layout (choose_layout.c). */
static bool read_prelu(const cr_node *node, cr_activation *act) {
    const cr_tensor *slope = cr_node_constant(node, 1);
    if (!slope || slope->dtype != CREASE_FLOAT || cr_shape_n(&slope->shape) != 1 ||
        slope->shape.rank > node->inputs[0]->shape.rank)
        return false;
    act->kind = CR_ACT_LEAKY_RELU;
    act->a = *(const float *)slope->data;
    return true;
}

/* Attributes "alpha" and "beta" with these defaults. */
static const struct {
    const char *op;
    cr_act kind;
    float alpha, beta;
} simple[] = {
    {"Relu", CR_ACT_RELU, 0, 0},       {"LeakyRelu", CR_ACT_LEAKY_RELU, 0.01f, 0},
    {"Sigmoid", CR_ACT_SIGMOID, 0, 0}, {"HardSigmoid", CR_ACT_HARDSIGMOID, 0.2f, 0.5f},
    {"Tanh", CR_ACT_TANH, 0, 0},       {"HardSwish", CR_ACT_HARDSWISH, 0, 0},
    {"Elu", CR_ACT_ELU, 1, 0},         {"Mish", CR_ACT_MISH, 0, 0},
};

crease_status cr_read_activation(const cr_node *node, cr_activation *act, bool *fits) {
    const char *approximate;
    *act = (cr_activation){0};
    *fits = false;
    if (cr_node_is(node, "Clip"))
        return read_clip(node, act, fits);
    if (cr_node_is(node, "PRelu")) {
        *fits = read_prelu(node, act);
        return CREASE_OK;
    }
    if (cr_node_is(node, "Gelu")) {
        CR_TRY(cr_attr_string(node, "approximate", "none", &approximate));
        act->kind = strcmp(approximate, "tanh") == 0 ? CR_ACT_GELU_TANH : CR_ACT_GELU;
        *fits = true;
    }
    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
        if (cr_node_is(node, simple[i].op)) {
            act->kind = simple[i].kind;
            *fits = true;
            CR_TRY(cr_attr_float(node, "alpha", simple[i].alpha, &act->a));
            CR_TRY(cr_attr_float(node, "beta", simple[i].beta, &act->b));
        }
    return CREASE_OK;
}

/* ---- spelled out ---- */

static bool is_scalar(const cr_value *value, double expected) {
    const cr_tensor *t = value ? value->constant : NULL;
    return t && t->dtype == CREASE_FLOAT && cr_shape_n(&t->shape) == 1 && t->shape.rank <= 1 &&
           fabs((double)*(const float *)t->data - expected) <= 1e-6 * fabs(expected);
}

/* The other operand of a Mul or Add (both orders) or a Div (constant second) by this constant; NULL: not so.
 */
static cr_value *beside_constant(const cr_value *value, const char *op, double constant) {
    const cr_node *node = value ? value->producer : NULL;
    if (!node || !cr_node_is(node, op) || node->n_inputs != 2)
        return NULL;
    if (is_scalar(node->inputs[1], constant))
        return node->inputs[0];
    return strcmp(op, "Div") != 0 && is_scalar(node->inputs[0], constant) ? node->inputs[1] : NULL;
}

/* x of min(max(x + 3, 0), 6), where `value` is that. */
static crease_status relu6_of_sum(const cr_value *value, cr_value **x) {
    cr_activation act;
    bool fits = false;
    *x = NULL;
    if (value && value->producer && cr_node_is(value->producer, "Clip"))
        CR_TRY(cr_read_activation(value->producer, &act, &fits));
    if (fits && act.a == 0 && act.b == 6)
        *x = beside_constant(value->producer->inputs[0], "Add", 3);
    return CREASE_OK;
}

static cr_value *divided_by_six(const cr_value *value) {
    cr_value *x = beside_constant(value, "Div", 6);
    return x ? x : beside_constant(value, "Mul", 1.0 / 6);
}

/* What the gate g(x) of a product x g(x) makes of it. */
static crease_status read_gate(const cr_value *gate, cr_value **x, cr_act *kind) {
    const cr_node *node = gate ? gate->producer : NULL;
    cr_activation act;
    bool fits;
    *kind = CR_ACT_NONE;
    if (!node)
        return CREASE_OK;
    CR_TRY(cr_read_activation(node, &act, &fits));
    *x = cr_node_input(node, 0);
    if (fits && act.kind == CR_ACT_SIGMOID)
        *kind = CR_ACT_SILU;
    else if (fits && act.kind == CR_ACT_HARDSIGMOID && fabsf(act.a - 1.0f / 6) < 1e-6f && act.b == 0.5f)
        *kind = CR_ACT_HARDSWISH;
    else if (fits && act.kind == CR_ACT_TANH && (*x)->producer && cr_node_is((*x)->producer, "Softplus")) {
        *kind = CR_ACT_MISH;
        *x = (*x)->producer->inputs[0];
    }
    if (*kind == CR_ACT_NONE && divided_by_six(gate)) {
        CR_TRY(relu6_of_sum(divided_by_six(gate), x));
        *kind = *x ? CR_ACT_HARDSWISH : CR_ACT_NONE;
    }
    return CREASE_OK;
}

/* x g(x) in either order. */
static crease_status read_product(const cr_node *node, cr_value **x, cr_act *kind) {
    *kind = CR_ACT_NONE;
    for (int i = 0; i < 2 && *kind == CR_ACT_NONE; i++) {
        CR_TRY(read_gate(node->inputs[i], x, kind));
        if (*kind != CR_ACT_NONE && *x != node->inputs[!i])
            *kind = CR_ACT_NONE;
    }
    return CREASE_OK;
}

/* (x clip(x + 3, 0, 6)) / 6. */
static crease_status read_hardswish(const cr_node *node, cr_value **x, cr_act *kind) {
    const cr_value *whole = divided_by_six(node->outputs[0]);
    const cr_node *product = whole ? whole->producer : NULL;
    cr_value *inner;
    *kind = CR_ACT_NONE;
    if (!product || !cr_node_is(product, "Mul"))
        return CREASE_OK;
    for (int i = 0; i < 2 && *kind == CR_ACT_NONE; i++) {
        CR_TRY(relu6_of_sum(product->inputs[i], &inner));
        *x = product->inputs[!i];
        *kind = inner && inner == *x ? CR_ACT_HARDSWISH : CR_ACT_NONE;
    }
    return CREASE_OK;
}

/* x of 1 + erf(x / sqrt 2). */
static cr_value *erf_of(const cr_value *value) {
    const cr_value *erf = beside_constant(value, "Add", 1);
    if (!erf || !erf->producer || !cr_node_is(erf->producer, "Erf"))
        return NULL;
    cr_value *x = beside_constant(erf->producer->inputs[0], "Div", sqrt(2.0));
    return x ? x : beside_constant(erf->producer->inputs[0], "Mul", sqrt(0.5));
}

/* x, 1/2 and 1 + erf(x / sqrt 2) multiplied in any order: the two products, and which factor stands alone. */
static cr_value *read_gelu(const cr_node *node) {
    for (int i = 0; i < 2; i++) {
        cr_value *one = node->inputs[i], *halved = beside_constant(node->inputs[!i], "Mul", 0.5), *x;
        if ((x = erf_of(one)) && x == halved) /* (x / 2) (1 + erf) */
            return x;
        if (halved && (x = erf_of(halved)) && x == one) /* x ((1 + erf) / 2) */
            return x;
    }
    const cr_value *whole = beside_constant(node->outputs[0], "Mul", 0.5);
    const cr_node *product = whole ? whole->producer : NULL;
    for (int i = 0; product && cr_node_is(product, "Mul") && i < 2; i++)
        if (erf_of(product->inputs[i]) && erf_of(product->inputs[i]) == product->inputs[!i])
            return product->inputs[!i];
    return NULL;
}

crease_status cr_read_spelled_activation(const cr_node *node, cr_value **x, cr_act *kind) {
    const bool product = cr_node_is(node, "Mul") && node->n_inputs == 2;
    *kind = CR_ACT_NONE;
    if (product)
        CR_TRY(read_product(node, x, kind));
    if (*kind == CR_ACT_NONE && (product || cr_node_is(node, "Div")) && node->n_inputs == 2)
        CR_TRY(read_hardswish(node, x, kind));
    if (*kind == CR_ACT_NONE && product && (*x = read_gelu(node)))
        *kind = CR_ACT_GELU;
    return CREASE_OK;
}
