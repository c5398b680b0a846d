#include "tests/passes/generated/network.h"

/* Several linear operators before one affine, or behind one. */

/* Convolution with kernel 1, or Gemm: shapes of all branches fit together. */
static cr_value *branch(network *n, cr_value *x, int64_t out) {
    int64_t in = net_dim(x, 1), dims[CR_MAX_RANK] = {out, in, 1, 1, 1};
    cr_value *bias = net_chance(n, 50) ? net_constant(n, -1, 1, DIMS(out)) : NULL;
    if (x->shape.rank == 2)
        return net_node(n, "Gemm", IN(x, net_weight(n, in, DIMS(in, out)), bias));
    return net_node(n, "Conv", IN(x, net_weight(n, in, x->shape.rank, dims), bias));
}

/* What makes a branch unfit, and why it is refused then. */
typedef struct blemish {
    int kind; /* 0: none */
    const char *reason;
} blemish;

/* Only sums have branches that are broadcast. */
static blemish any_blemish(network *n, bool sums) {
    static const char *const reasons[] = {"",
                                          "nonlinear-before",
                                          "graph-output",
                                          "several-consumers",
                                          "no-linear-neighbour|several-consumers",
                                          "axis-mismatch"};
    int kind = net_chance(n, 50) ? 0 : net_pick(n, 1, sums ? 5 : 4);
    return (blemish){kind, reasons[kind]};
}

static cr_value *blemished(network *n, cr_value *x, int64_t out, blemish b) {
    cr_value *y = b.kind == 4 ? x : branch(n, x, b.kind == 5 ? 1 : out);
    if (b.kind == 1)
        y = net_node(n, "Relu", IN(y));
    if (b.kind == 2)
        net_output(n, y);
    if (b.kind == 3)
        net_output(n, net_node(n, "Relu", IN(y)));
    return y;
}

/* A pure shift goes into the first branch that can take it; a Sub has its second one negated. */
static bool takes_shift(const char *op, int n_branches, int bad) {
    int last = strcmp(op, "Sub") == 0 ? 1 : n_branches;
    for (int i = 0; i < last; i++)
        if (i != bad)
            return true;
    return false;
}

static void expect_joined(network *n, const affine *a, const char *through, blemish b, bool shift_fits) {
    const char *leaf = n->end->shape.rank == 2 ? "gemm" : "conv";
    bool is_bn = strcmp(a->code, "bn") == 0, is_shift = a->shifts && !is_bn && !a->negative;
    bool fits = b.kind == 0 || (is_shift && shift_fits && b.kind != 5);
    if (fits)
        net_expect(n, a->name, "%s-%s-%s", leaf, through, a->code);
    else
        net_expect(n, a->name, "%s", is_bn ? b.reason : "-");
}

void phrase_joined(network *n) {
    static const char *const ops[] = {"Concat", "Add", "Sub", "Sum"};
    int op = net_pick(n, 0, 3), count = op == 0 || op == 3 ? net_pick(n, 2, 3) : 2,
        bad = net_pick(n, 0, count - 1);
    cr_value *x = n->end, *in[3];
    int64_t axis = op > 0 || net_chance(n, 70) ? 1 : x->shape.rank - 1, same = 2 * net_pick(n, 1, 2);
    blemish b = any_blemish(n, op > 0);
    if (b.kind == 4)
        same = net_dim(x, 1);
    for (int i = 0; i < count; i++) {
        int64_t out = op > 0 || axis != 1 ? same : net_pick(n, 2, 4);
        in[i] = i == bad ? blemished(n, x, out, b) : branch(n, x, out);
    }
    n->end = net_node(n, ops[op], count, in);
    if (op == 0)
        OK(cr_node_set_int(net_last(n), "axis", net_chance(n, 50) ? axis : axis - x->shape.rank));
    net_settle(n);
    affine a = net_chance(n, 60) ? net_affine_bn(n, true, true)
                                 : net_affine_arithmetic(n, 1, net_chance(n, 50), true);
    net_settle(n);
    expect_joined(n, &a, op ? "add" : "concat", b, op > 0 && takes_shift(ops[op], count, b.kind ? bad : -1));
    net_barrier(n);
}

void phrase_fed(network *n) {
    affine a = net_affine_bn(n, true, true);
    cr_value *y = n->end, *in[3];
    int count = net_pick(n, 2, 3), bad = net_chance(n, 50) ? net_pick(n, 1, 3) : 0;
    net_settle(n);
    for (int i = 0; i < count; i++)
        in[i] = branch(n, y, 3);
    if (bad == 1)
        net_output(n, y);
    else if (bad == 2)
        net_output(n, net_node(n, "Relu", IN(y)));
    else if (bad == 3)
        net_output(n, net_node(n, "Max", IN(y, net_constant(n, 0, 0, 0, NULL))));
    n->end = net_node(n, "Max", count, in);
    net_settle(n);
    if (bad == 0)
        net_expect(n, a.name, "bn-%s", y->shape.rank == 2 ? "gemm" : "conv");
    else
        net_expect(n, a.name, bad == 2 ? "nonlinear-after" : "graph-output|no-linear-neighbour");
}
