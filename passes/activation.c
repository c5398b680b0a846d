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

/* A constant of one element that leaves the shape of what it is combined with. */
static bool is_single(const cr_value *value, const cr_value *with) {
    const cr_tensor *t = value ? value->constant : NULL;
    return t && t->dtype == CREASE_FLOAT && cr_shape_n(&t->shape) == 1 &&
           (t->shape.rank <= 1 || t->shape.rank <= with->shape.rank);
}

static bool is_scalar(const cr_value *value, const cr_value *with, double expected) {
    return with && is_single(value, with) &&
           fabs((double)*(const float *)value->constant->data - expected) <= 1e-6 * fabs(expected);
}

/* The other operand of a Mul or Add (both orders) or a Div (constant second) by this constant; NULL: not so.
 */
static cr_value *beside_constant(const cr_value *value, const char *op, double constant) {
    const cr_node *node = value ? value->producer : NULL;
    if (!node || !cr_node_is(node, op) || node->n_inputs != 2)
        return NULL;
    if (is_scalar(node->inputs[1], node->inputs[0], constant))
        return node->inputs[0];
    return strcmp(op, "Div") != 0 && is_scalar(node->inputs[0], node->inputs[1], constant) ? node->inputs[1]
                                                                                           : NULL;
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

/* ---- Gelu, spelled out ---- */

enum { CUBIC = 4, MAX_DEPTH = 8 };

/* p = p q, up to the third power; false: there are higher ones. */
static bool multiply_cubics(double p[CUBIC], const double q[CUBIC]) {
    double product[2 * CUBIC - 1] = {0};
    for (int i = 0; i < CUBIC; i++)
        for (int j = 0; j < CUBIC; j++)
            product[i + j] += p[i] * q[j];
    memcpy(p, product, CUBIC * sizeof *p);
    return product[4] == 0 && product[5] == 0 && product[6] == 0;
}

/* p = p to the power of 2 or 3; false for others, and where there are higher powers. */
static bool raise_cubic(double p[CUBIC], int exponent) {
    double base[CUBIC];
    bool fits = exponent > 0;
    memcpy(base, p, sizeof base);
    for (int i = 1; fits && i < exponent; i++)
        fits = multiply_cubics(p, base);
    return fits;
}

/* The coefficients of a polynomial in x that is computed by Add, Mul and Pow; false: it is none. */
static bool read_cubic(const cr_value *value, const cr_value *x, int depth, double c[CUBIC]) {
    const cr_node *node = value ? value->producer : NULL;
    const cr_tensor *t = value ? value->constant : NULL;
    double other[CUBIC];
    memset(c, 0, CUBIC * sizeof *c);
    if (value == x) {
        c[1] = 1;
        return true;
    }
    if (t) {
        c[0] = is_single(value, x) ? (double)*(const float *)t->data : 0;
        return is_single(value, x);
    }
    if (!node || node->n_inputs != 2 || depth == 0 || !read_cubic(node->inputs[0], x, depth - 1, c))
        return false;
    if (cr_node_is(node, "Pow"))
        return raise_cubic(c, is_scalar(node->inputs[1], x, 2)   ? 2
                              : is_scalar(node->inputs[1], x, 3) ? 3
                                                                 : 0);
    if (!read_cubic(node->inputs[1], x, depth - 1, other))
        return false;
    for (int i = 0; cr_node_is(node, "Add") && i < CUBIC; i++)
        c[i] += other[i];
    return cr_node_is(node, "Add") || (cr_node_is(node, "Mul") && multiply_cubics(c, other));
}

/* sqrt(2 / pi) (x + 0.044715 x^3) */
static bool is_tanh_argument(const cr_value *value, const cr_value *x) {
    const double k = sqrt(0.5) * 2 / sqrt(3.14159265358979323846);
    double c[CUBIC];
    return read_cubic(value, x, MAX_DEPTH, c) && c[0] == 0 && c[2] == 0 && fabs(c[1] - k) <= 1e-6 * k &&
           fabs(c[3] - 0.044715 * k) <= 1e-6 * k;
}

/* What x times half of this value is: of 1 + erf(x / sqrt 2), or of the tanh that is nearly that erf. */
static cr_act read_gelu_factor(const cr_value *value, const cr_value *x) {
    const cr_value *sigmoid = beside_constant(value, "Add", 1);
    const cr_node *node = sigmoid && x ? sigmoid->producer : NULL;
    if (node && cr_node_is(node, "Erf"))
        return x == beside_constant(node->inputs[0], "Div", sqrt(2.0)) ||
                       x == beside_constant(node->inputs[0], "Mul", sqrt(0.5))
                   ? CR_ACT_GELU
                   : CR_ACT_NONE;
    return node && cr_node_is(node, "Tanh") && is_tanh_argument(node->inputs[0], x) ? CR_ACT_GELU_TANH
                                                                                    : CR_ACT_NONE;
}

/* x, 1/2 and the factor multiplied in any order: the two products, and which of the three stands alone. */
static cr_act read_gelu(const cr_node *node, cr_value **x) {
    cr_act kind = CR_ACT_NONE;
    for (int i = 0; i < 2 && kind == CR_ACT_NONE; i++) {
        cr_value *one = node->inputs[i], *halved = beside_constant(node->inputs[!i], "Mul", 0.5);
        if ((kind = read_gelu_factor(one, halved)) != CR_ACT_NONE) /* (x / 2) factor */
            *x = halved;
        else if (halved && (kind = read_gelu_factor(halved, one)) != CR_ACT_NONE) /* x (factor / 2) */
            *x = one;
    }
    const cr_value *whole = beside_constant(node->outputs[0], "Mul", 0.5);
    const cr_node *product = whole ? whole->producer : NULL;
    for (int i = 0; product && cr_node_is(product, "Mul") && i < 2 && kind == CR_ACT_NONE; i++) {
        *x = product->inputs[!i];
        kind = read_gelu_factor(product->inputs[i], *x);
    }
    return kind;
}

crease_status cr_read_spelled_activation(const cr_node *node, cr_value **x, cr_act *kind) {
    const bool product = cr_node_is(node, "Mul") && node->n_inputs == 2;
    *kind = CR_ACT_NONE;
    if (product)
        CR_TRY(read_product(node, x, kind));
    if (*kind == CR_ACT_NONE && (product || cr_node_is(node, "Div")) && node->n_inputs == 2)
        CR_TRY(read_hardswish(node, x, kind));
    if (*kind == CR_ACT_NONE && product)
        *kind = read_gelu(node, x);
    return CREASE_OK;
}
