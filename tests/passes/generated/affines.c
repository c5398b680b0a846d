#include "tests/passes/generated/network.h"

/* Random affines. */

affine net_affine_bn(network *n, bool negative, bool shifts) {
    net_settle(n);
    int64_t channels = net_dim(n->end, 1);
    n->end = net_bn(n, n->end, channels);
    cr_node *bn = net_last(n);
    affine a = {"bn", bn->name, 1, negative, shifts};
    for (int64_t c = 0; c < channels; c++) {
        if (!negative)
            net_set(bn->inputs[1], c, fabs(net_get(bn->inputs[1], c)));
        if (!shifts) {
            net_set(bn->inputs[2], c, 0);
            net_set(bn->inputs[3], c, 0);
        }
    }
    if (net_chance(n, 30))
        OK(cr_node_set_float(bn, "epsilon", 1e-3F));
    return a;
}

/* Values of one sign or both, none near 0; the first is negative where it may be. */
static cr_value *factors(network *n, bool negative, int rank, const int64_t *dims) {
    cr_value *c = net_constant(n, 0.5, 1.6, rank, dims);
    cr_shape shape = cr_shape_of(rank, dims);
    for (int64_t i = 0; negative && i < cr_shape_n(&shape); i++)
        if (i == 0 || net_chance(n, 40))
            net_set(c, i, -net_get(c, i));
    return c;
}

/* Dimensions of a constant whose one long axis, aligned at the right, is `axis`; some ones before it. */
static int aligned(network *n, int axis, int64_t *dims) {
    int rank = n->end->shape.rank, ones = axis < 0 ? 0 : net_pick(n, 0, axis), count = 0;
    if (axis < 0)
        return net_chance(n, 50) ? 0 : (dims[0] = 1);
    while (count < ones)
        dims[count++] = 1;
    dims[count++] = net_dim(n->end, axis);
    for (int d = axis + 1; d < rank; d++)
        dims[count++] = 1;
    return count;
}

affine net_affine_arithmetic(network *n, int axis, bool negative, bool shifts) {
    static const char *const ops[] = {"Mul", "Div", "Add", "Sub"}, *const codes[] = {"mul", "div", "add",
                                                                                     "sub"};
    int64_t dims[CR_MAX_RANK];
    net_settle(n);
    int rank = aligned(n, axis, dims), op = net_pick(n, 0, shifts ? 3 : 1);
    cr_value *x = n->end,
             *c = op < 2 ? factors(n, negative, rank, dims) : net_constant(n, 0.2, 1, rank, dims);
    bool first = op != 1 && (op != 3 || negative) && net_chance(n, 50); /* c - x is negative */
    n->end = first ? net_node(n, ops[op], IN(c, x)) : net_node(n, ops[op], IN(x, c));
    net_settle(n);
    return (affine){codes[op], net_last_name(n), axis, op < 2 ? negative : op == 3 && first, op >= 2};
}
