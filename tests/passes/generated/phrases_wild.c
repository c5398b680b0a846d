#include "tests/passes/generated/network.h"

/* Networks in which everything stands next to everything. What becomes of a single affine follows from its
 * surroundings and is not said; all else is required of them, too. */

static cr_value *arithmetic(network *n, cr_value *x) {
    static const char *const ops[] = {"Mul", "Add", "Sub", "Div"};
    int rank = x->shape.rank, op = net_pick(n, 0, 3),
        axis = net_chance(n, 75) ? (rank > 1 ? 1 : 0) : net_pick(n, 0, rank - 1);
    int64_t dims[CR_MAX_RANK], count = net_chance(n, 80) ? rank - axis : 0;
    for (int i = 0; i < count; i++)
        dims[i] = i == 0 ? net_dim(x, axis) : 1;
    cr_value *c = net_constant(n, 0.5, 2, (int)count, dims);
    return net_chance(n, 66) || op == 3 ? net_node(n, ops[op], IN(x, c)) : net_node(n, ops[op], IN(c, x));
}

/* Two branches of one value, one of them maybe the value itself. */
static void branch_off(network *n) {
    cr_value *x = n->end, *a = x, *b;
    if (net_chance(n, 75)) {
        net_conv(n, net_pick(n, 1, 2) * 2);
        a = n->end;
    }
    n->end = x;
    net_conv(n, net_pick(n, 1, 2) * 2);
    b = n->end;
    net_settle(n);
    if (cr_shape_equal(&a->shape, &b->shape) && net_chance(n, 50)) {
        n->end = net_node(n, net_chance(n, 50) ? "Add" : "Sub", IN(a, b));
        return;
    }
    for (int d = 2; d < x->shape.rank; d++)
        if (net_dim(a, d) != net_dim(b, d))
            return;
    n->end = net_node(n, "Concat", IN(a, b));
    OK(cr_node_set_int(net_last(n), "axis", 1));
}

static void forget(network *n) { /* the expectations of net_product() hold for phrases only */
    n->n_expected = 0;
}

void phrase_wild(network *n) {
    route r;
    cr_value *x = n->end;
    int rank = x->shape.rank, kind = net_pick(n, 0, 11);
    bool image = rank >= 3 && rank <= 5;
    n->roundings = 12;
    if (kind <= 2)
        n->end = net_bn(n, x, net_dim(x, 1));
    else if (kind <= 4)
        net_linear(n);
    else if (kind <= 6)
        n->end = arithmetic(n, x);
    else if (kind == 7)
        n->end = net_node(n, "Relu", IN(x));
    else if (kind == 8 && image)
        branch_off(n);
    else {
        route_begin(&r, n, -1);
        route_step(&r, n);
        route_end(&r);
    }
    net_settle(n);
    forget(n);
    if (net_chance(n, 3) && n->end->producer && n->end->n_outputs == 0)
        net_output(n, n->end);
}
