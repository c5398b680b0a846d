#include "tests/passes/generated/network.h"

/* Affines among themselves, and arithmetic that is no affine of the channels. */

static affine scale_or_shift(network *n) {
    return net_affine_arithmetic(n, net_chance(n, 70) ? 1 : -1, true, true);
}

/* All go into the first BatchNormalization, from both sides, one side after the other; it stays. */
void phrase_affines(network *n) {
    n->roundings = 2;
    affine before[3], after[3];
    int n_before = net_pick(n, 0, 2), n_after = net_pick(n, 0, 3);
    for (int i = 0; i < n_before; i++)
        before[i] = scale_or_shift(n);
    affine bn = net_affine_bn(n, true, true);
    for (int i = 0; i < n_after; i++)
        after[i] = net_chance(n, 30) ? net_affine_bn(n, true, true) : scale_or_shift(n);
    for (int i = 0; i < n_before; i++)
        net_expect(n, before[i].name, "%s-bn", before[i].code);
    for (int i = 0; i < n_after; i++)
        net_expect(n, after[i].name, "bn-%s", after[i].code);
    net_expect(n, bn.name, "no-linear-neighbour");
    net_barrier(n);
}

/* A constant that has other dimensions than an affine's. */
static cr_value *near_miss(network *n, const cr_value *y) {
    int rank = y->shape.rank;
    int64_t dims[CR_MAX_RANK], count = 0;
    switch (net_pick(n, 0, 2)) {
    case 0: /* a map over two axes */
        dims[0] = net_dim(y, -2);
        dims[1] = net_dim(y, -1);
        return dims[0] > 1 && dims[1] > 1 ? net_constant(n, 0.5, 2, 2, dims) : NULL;
    case 1: /* a rank more */
        dims[count++] = 1;
        for (int d = 0; d < rank; d++)
            dims[count++] = d == 1 ? net_dim(y, 1) : 1;
        return rank < 5 ? net_constant(n, 0.5, 2, rank + 1, dims) : NULL;
    default: /* along the batch */
        for (int d = 0; d < rank; d++)
            dims[d] = d == 0 ? net_dim(y, 0) : 1;
        return dims[0] > 1 ? net_constant(n, 0.5, 2, rank, dims) : NULL;
    }
}

/* One channel repeated along a longer constant. */
static bool widen(network *n, const cr_value *x, const char *op) {
    int64_t in = net_dim(x, 1), dims[CR_MAX_RANK] = {1, in, 1, 1, 1}, wide[CR_MAX_RANK] = {3, 1, 1, 1};
    if (x->shape.rank < 3)
        return false;
    cr_value *y = net_node(n, "Conv", IN(n->end, net_weight(n, in, x->shape.rank, dims)));
    n->end = net_node(n, op, IN(y, net_constant(n, 0.5, 2, x->shape.rank - 1, wide)));
    net_expect(n, net_last_name(n), "-");
    return true;
}

void phrase_lookalikes(network *n) {
    static const char *const ops[] = {"Mul", "Div", "Add", "Sub"};
    const char *op = ops[net_pick(n, 0, 3)];
    if (net_chance(n, 20) && widen(n, n->end, op)) {
        net_barrier(n);
        return;
    }
    if (n->end->shape.rank > 2)
        net_conv(n, net_pick(n, 2, 5));
    else
        net_product(n);
    net_settle(n);
    cr_value *y = n->end, *c = near_miss(n, y);
    if (net_chance(n, 20)) { /* c / y */
        c = net_constant(n, 0.5, 2, 0, NULL);
        y = net_node(n, "Sigmoid", IN(y)); /* away from 0 */
        y = net_node(n, "BatchNormalization",
                     IN(y, net_constant(n, 1, 1.5, DIMS(net_dim(n->end, 1))),
                        net_constant(n, 1, 2, DIMS(net_dim(n->end, 1))),
                        net_constant(n, 0, 0, DIMS(net_dim(n->end, 1))),
                        net_constant(n, 1, 2, DIMS(net_dim(n->end, 1)))));
        net_expect(n, net_last_name(n), "nonlinear-before");
        n->end = net_node(n, "Div", IN(c, y));
    } else if (c)
        n->end = net_chance(n, 50) || op == ops[1] ? net_node(n, op, IN(y, c)) : net_node(n, op, IN(c, y));
    if (n->end != y)
        net_expect(n, net_last_name(n), "-");
    net_barrier(n);
}
