#include "tests/passes/generated/network.h"

/* Parameters that are no good numbers: the BatchNormalization stays with its reason, and the network runs all
 * the same where ONNX defines what it computes. */

/* The type's own least positive number. */
static double least(crease_dtype dtype) {
    return dtype == CREASE_DOUBLE ? 0x1p-1074 : dtype == CREASE_FLOAT16 ? 0x1p-24 : 0x1p-133;
}

static void spoil(network *n, cr_node *bn, const char *pattern) {
    int64_t c = net_pick(n, 0, (int)net_dim(bn->inputs[1], 0) - 1);
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    const char *outcome = pattern;
    switch (net_pick(n, 0, 6)) {
    case 0:
    case 1:
        net_set(bn->inputs[net_pick(n, 1, 4)], c, bad[net_pick(n, 0, 2)]);
        outcome = "non-finite";
        break;
    case 2:
        net_set(bn->inputs[4], c, -net_pick(n, 1, 9));
        outcome = "variance-not-positive";
        break;
    case 3: /* exactly cancelled by epsilon, or not positive without it */
        OK(cr_node_set_float(bn, "epsilon", net_chance(n, 50) ? 0.5F : 0));
        net_set(bn->inputs[4], c, cr_attr_find(bn, "epsilon")->floats[0] != 0 ? -0.5 : 0);
        outcome = "variance-not-positive";
        n->undefined = true;
        break;
    case 4: /* denormal: epsilon makes it an ordinary number */
        net_set(bn->inputs[4], c, least(n->dtype));
        break;
    case 5: /* negative, but not with epsilon */
        net_set(bn->inputs[4], c, -least(n->dtype));
        break;
    default: /* a dead channel */
        net_set(bn->inputs[1], c, 0);
    }
    net_expect(n, bn->name, "%s", outcome);
}

/* The folded weights do not fit the type. What the network itself gives is beyond it as well. */
static void overflow(network *n, const linear *l, cr_node *bn) {
    double most = n->dtype == CREASE_FLOAT16 ? 60000 : 3e38;
    for (int64_t i = 0; i < cr_shape_n(&l->node->inputs[1]->shape); i++)
        net_set(l->node->inputs[1], i, most);
    for (int64_t c = 0; c < net_dim(bn->inputs[1], 0); c++)
        net_set(bn->inputs[1], c, 4);
    n->undefined = true;
    net_expect(n, bn->name, n->dtype == CREASE_DOUBLE ? "*" : "overflow");
}

/* The folded weights lie below the least number of the type, and no shift hides that. */
static void underflow(network *n, const linear *l, cr_node *bn) {
    double tiny = n->dtype == CREASE_DOUBLE ? 1e-300 : n->dtype == CREASE_FLOAT16 ? 1e-4 : 1e-30;
    for (int64_t i = 0; i < cr_shape_n(&l->node->inputs[1]->shape); i++)
        net_set(l->node->inputs[1], i, tiny);
    for (int64_t c = 0; c < net_dim(bn->inputs[1], 0); c++) {
        net_set(bn->inputs[1], c, n->dtype == CREASE_FLOAT16 ? 1e-4 : 1e-25);
        net_set(bn->inputs[2], c, 0);
        net_set(bn->inputs[3], c, 0);
    }
    if (l->node->n_inputs > 2)
        OK(cr_node_keep_inputs(l->node, 2));
    /* what is computed in the widest type loses nothing on being stored in it */
    net_expect(n, bn->name, n->dtype == CREASE_DOUBLE ? "*" : "underflow");
}

/* Weights that hold no number themselves. */
static void bad_weight(network *n, const linear *l, const cr_node *bn) {
    net_set(l->node->inputs[1], 0, net_chance(n, 50) ? NAN : INFINITY);
    net_expect(n, bn->name, "non-finite");
    n->undefined = true;
}

void phrase_spoiled(network *n) {
    linear l = n->end->shape.rank > 2 ? net_conv(n, net_pick(n, 2, 4)) : net_product(n);
    net_settle(n);
    n->end = net_bn(n, n->end, net_dim(n->end, 1));
    cr_node *bn = net_last(n);
    net_settle(n);
    int kind = net_pick(n, 0, 6);
    if (kind == 0)
        overflow(n, &l, bn);
    else if (kind == 1)
        bad_weight(n, &l, bn);
    else if (kind == 2 && n->end->shape.rank > 2)
        underflow(n, &l, bn);
    else
        spoil(n, bn,
              l.other ? net_format(n, "%s-bn|%s-bn", l.code, l.other) : net_format(n, "%s-bn", l.code));
    n->last = true;
}

/* ---- operator sets before 9 ---- */

/* is_test before 7, spatial before 9, arithmetic with axis and broadcast before 7. */
void phrase_old(network *n) {
    int64_t in = net_dim(n->end, 1), c = net_pick(n, 2, 4), dims[CR_MAX_RANK] = {c, in, 1, 1, 1};
    int rank = n->end->shape.rank;
    if (rank < 3)
        return;
    cr_value *y = net_node(n, "Conv", IN(n->end, net_weight(n, in, rank, dims)));
    net_settle(n);
    const char *pattern = "conv-bn";
    if (n->opset < 7 && net_chance(n, 50)) {
        y = net_node(n, net_chance(n, 50) ? "Mul" : "Sub", IN(y, net_constant(n, 0.5, 1, DIMS(c))));
        OK(cr_node_set_int(net_last(n), "broadcast", 1));
        OK(cr_node_set_int(net_last(n), "axis", net_chance(n, 50) ? 1 : 1 - rank));
        net_expect(n, net_last_name(n), cr_node_is(net_last(n), "Mul") ? "conv-mul" : "conv-sub");
        net_settle(n);
    }
    n->end = net_bn(n, y, c);
    cr_node *bn = net_last(n);
    if (n->opset < 7 && net_chance(n, 70))
        OK(cr_node_set_int(bn, "is_test", 1));
    else if (n->opset < 7)
        pattern = "training-mode";
    if (n->opset >= 7 && net_chance(n, 40)) {
        const cr_shape *s = &y->shape;
        OK(cr_node_set_int(bn, "spatial", 0));
        for (int i = 1; i < 5; i++)
            OK(cr_node_set_input(bn, i, net_constant(n, 0.5, 1.5, rank - 1, s->dims + 1)));
        pattern = "spatial-0";
    }
    net_expect(n, bn->name, "%s", pattern);
    n->end = net_node(n, "Relu", IN(n->end));
    net_settle(n);
}

/* ---- nothing to fold into, or nothing to fold ---- */

/* Steps of whole numbers; only float32 has had them in all versions. */
static void behind_steps(network *n) {
    cr_value *q = net_input(n, CREASE_INT8, n->end->shape.rank, n->end->shape.dims);
    cr_value *x = net_node(n, "DequantizeLinear", IN(q, net_typed(n, CREASE_FLOAT, 0.1, 0.5, 0, NULL)));
    n->end = net_bn(n, x, net_dim(q, 1));
    net_expect(n, net_last_name(n), "quantized-between");
}

static void of_nothing(network *n) {
    cr_value *none = net_input(n, n->dtype, 3, (int64_t[]){2, 0, 3});
    cr_value *in[5] = {none};
    for (int i = 1; i < 5; i++)
        in[i] = net_constant(n, 1, 1, DIMS(0));
    net_output(n, net_node(n, "BatchNormalization", 5, in));
    net_expect(n, net_last_name(n), "no-channels");
}

void phrase_idle(network *n) {
    if (n->dtype == CREASE_FLOAT && n->opset >= 10 && net_chance(n, 80))
        behind_steps(n);
    else
        of_nothing(n);
    net_barrier(n);
    n->last = true;
}
