#include "tests/passes/generated/network.h"

/* A linear operator whose BatchNormalization must stay, each time for one reason, and the same with the
 * obstacle taken away. Where others need the operator's result, a copy may take the BatchNormalization in;
 * tests/passes/test_fold_copy.c says when that pays. */

static const char *name_of(const cr_value *v) {
    return v->producer->name;
}

/* Fold of the linear operator l with nothing between. */
static const char *folded(network *n, const linear *l) {
    return l->other ? net_format(n, "%s-bn|%s-bn", l->code, l->other) : net_format(n, "%s-bn", l->code);
}

static const char *copied(network *n, const linear *l) {
    return l->other ? net_format(n, "%s-bn-duplicated|%s-bn-duplicated", l->code, l->other)
                    : net_format(n, "%s-bn-duplicated", l->code);
}

/* ---- what stands between ---- */

/* The last of twins takes the original itself. */
static void shared(network *n, cr_value *y, const linear *l) {
    bool twins = net_chance(n, 50);
    cr_value *bn = net_bn(n, y, net_dim(y, 1));
    net_expect(n, name_of(bn), "several-consumers|%s", copied(n, l));
    cr_value *other = twins ? net_bn(n, y, net_dim(y, 1)) : net_node(n, "Relu", IN(y));
    if (twins)
        net_expect(n, name_of(other), "several-consumers|%s", folded(n, l));
    net_output(n, other);
    n->end = bn;
}

static void seen(network *n, cr_value *y, const linear *l) {
    net_output(n, y);
    n->end = net_bn(n, y, net_dim(y, 1));
    net_expect(n, name_of(n->end), "graph-output|%s", copied(n, l));
}

static void cut_off(network *n, cr_value *y) {
    static const char *const ops[] = {"Relu", "Sigmoid", "Tanh"};
    bool activation = net_chance(n, 60);
    y = activation ? net_node(n, ops[net_pick(n, 0, 2)], IN(y))
                   : net_node(n, "Max", IN(y, net_constant(n, 0, 0, 0, NULL)));
    n->end = net_bn(n, y, net_dim(n->end, 1));
    net_expect(n, name_of(n->end), activation ? "nonlinear-before" : "no-linear-neighbour");
}

/* ---- what the normalisation itself says ---- */

static cr_value *bn_with(network *n, cr_value *y, int n_more, cr_value **more) {
    cr_node *plain, *bn;
    net_bn(n, y, net_dim(y, 1));
    plain = net_last(n);
    more[0] = plain->outputs[0];
    cr_value *in[5];
    for (int i = 0; i < 5; i++)
        in[i] = plain->inputs[i];
    OK(cr_node_remove(plain));
    for (int i = 0; i <= n_more; i++)
        OK(cr_graph_add_value(n->base.model->graph, net_format(n, "bn_out_%d", ++n->n_names), true,
                              &more[i]));
    OK(cr_graph_add_node(n->base.model->graph, NULL, "BatchNormalization", "",
                         net_format(n, "BatchNormalization_%d", ++n->n_names), in, 5, more, n_more + 1, &bn));
    return more[0];
}

/* Batch statistics; their outputs may be used as well. */
static void training(network *n, cr_value *y) {
    cr_value *out[3];
    bool used = net_chance(n, 50), on = net_chance(n, 70) || used;
    n->end = bn_with(n, y, n->opset >= 14 && on ? 2 : 0, out);
    if (n->opset >= 14 && on)
        OK(cr_node_set_int(net_last(n), "training_mode", 1));
    if (n->opset >= 14 && used)
        net_output(n, out[net_pick(n, 1, 2)]);
    net_expect(n, name_of(n->end), n->opset < 14 || !on ? "*" : used ? "extra-outputs" : "training-mode");
}

/* Before opset 14 a node with outputs for statistics trains, whether or not anybody uses them. */
static void unused_outputs(network *n, cr_value *y, const linear *l) {
    cr_value *out[5];
    int more = net_pick(n, 0, n->opset < 14 ? 4 : 2);
    n->end = bn_with(n, y, more, out);
    net_expect(n, name_of(n->end), "%s", more && n->opset < 14 ? "extra-outputs" : folded(n, l));
}

/* ---- where the numbers come from ---- */

/* The bias of a MatMul whose weights change is an affine like others. */
static void free_bias(network *n, const linear *l, const cr_value *y) {
    if (l->other)
        net_expect(n, y->producer->name, "*");
}

/* A parameter or the weights come from an input. */
static void computed(network *n, cr_value *y, const linear *l) {
    n->end = net_bn(n, y, net_dim(y, 1));
    const char *name = name_of(n->end);
    cr_node *node = net_chance(n, 50) ? l->node : net_last(n);
    int which = node == l->node ? 1 : net_pick(n, 1, 4);
    const cr_tensor *old = node->inputs[which]->constant;
    cr_value *in = net_input(n, old->dtype, old->shape.rank, old->shape.dims);
    if (which == 4) /* a variance must be positive */
        in = net_node(n, "Sigmoid", IN(in));
    if (which == 4)
        cr_node_move_before(net_last(n), node);
    OK(cr_node_set_input(node, which, in));
    if (node == l->node)
        free_bias(n, l, y);
    net_expect(n, name, "not-constant");
}

/* A default that a caller may replace, unless the user rules that out. */
static void overridable(network *n, cr_value *y, const linear *l) {
    n->end = net_bn(n, y, net_dim(y, 1));
    const char *name = name_of(n->end);
    cr_node *node = net_chance(n, 50) ? l->node : net_last(n);
    bool weight = node == l->node;
    cr_value *v = node->inputs[weight ? 1 : net_pick(n, 1, 4)];
    v->initial = v->constant;
    v->constant = NULL;
    v->is_initializer = true;
    OK(cr_graph_add_input(n->base.model->graph, v));
    n->assume_const = net_chance(n, 40);
    if (weight && !n->assume_const)
        free_bias(n, l, y);
    net_expect(n, name, "%s", n->assume_const ? folded(n, l) : "overridable-initializer");
    n->last = true;
}

/* Left by name. */
static void kept(network *n, cr_value *y) {
    n->end = net_bn(n, y, net_dim(y, 1));
    n->keep = net_format(n, "%.*s*%s", net_pick(n, 1, 5), name_of(n->end), strrchr(name_of(n->end), '_'));
    net_expect(n, name_of(n->end), "keep");
    n->last = true;
}

/* Chosen by name, and nothing else. */
static void chosen(network *n, cr_value *y, const linear *l) {
    cr_value *bn = net_bn(n, y, net_dim(y, 1));
    n->only = net_format(n, "%.*s*%s", net_pick(n, 1, 5), name_of(bn), strrchr(name_of(bn), '_'));
    net_expect(n, name_of(bn), "%s", folded(n, l));
    n->end = bn;
    net_barrier(n);
    net_settle(n);
    n->end = net_bn(n, n->end, net_dim(y, 1));
    net_expect(n, name_of(n->end), "keep");
    n->last = true;
}

void phrase_refused(network *n) {
    linear l = net_linear(n);
    cr_value *y = n->end;
    if (l.out_axis != 1) { /* of a MatMul over another axis than the channels */
        n->end = net_bn(n, y, net_dim(y, 1));
        net_expect(n, name_of(n->end), net_dim(y, 1) == 1 ? "*" : "axis-mismatch");
        net_barrier(n);
        return;
    }
    switch (net_pick(n, 0, 7)) {
    case 0:
        shared(n, y, &l);
        break;
    case 1:
        seen(n, y, &l);
        break;
    case 2:
        cut_off(n, y);
        break;
    case 3:
        training(n, y);
        break;
    case 4:
        unused_outputs(n, y, &l);
        break;
    case 5:
        computed(n, y, &l);
        break;
    case 6:
        overridable(n, y, &l);
        break;
    default: /* a choice speaks of what came before, too */
        if (n->n_expected == 0 && net_chance(n, 50))
            chosen(n, y, &l);
        else
            kept(n, y);
    }
    net_barrier(n);
}
