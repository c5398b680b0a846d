#include "tests/passes/generated/network.h"

/* Where weights and parameters come from, other than from an initializer of their own. */

/* The same contents behind nodes that are computed before anything is folded. */
static cr_value *constant_node(network *n, const cr_value *from) {
    cr_attr value = {.name = "value", .type = CR_ATTR_TENSOR, .n = 1};
    OK(CR_ARENA_NEW(&n->base.model->arena, &value.tensors, 1));
    value.tensors[0] = *from->constant;
    cr_value *v = net_node(n, "Constant", 0, NULL);
    OK(cr_node_set_attr(net_last(n), &value));
    return v;
}

static cr_value *cast(network *n, const cr_value *from) {
    const cr_shape *s = &from->constant->shape;
    cr_value *wide = net_typed(n, CREASE_DOUBLE, 0, 0, s->rank, s->dims);
    for (int64_t i = 0; i < cr_shape_n(s); i++)
        net_set(wide, i, net_get(from, i));
    cr_value *v = net_node(n, "Cast", IN(wide));
    OK(cr_node_set_int(net_last(n), "to", n->dtype));
    return v;
}

static cr_value *computed(network *n, cr_value *from) {
    switch (net_pick(n, 0, 4)) {
    case 0:
        return net_node(n, "Identity", IN(from));
    case 1:
        return constant_node(n, from);
    case 2:
        return cast(n, from);
    case 3: /* exact */
        return net_node(n, "Mul", IN(from, net_constant(n, 0.5, 0.5, 0, NULL)));
    default:
        return net_node(n, "Identity", IN(constant_node(n, from)));
    }
}

static cr_value *pointwise(network *n, cr_value *x, cr_value *w) {
    return net_node(n, w->shape.rank == 2 ? "Gemm" : "Conv", IN(x, w));
}

static cr_value *pointwise_weight(network *n, const cr_value *x) {
    int64_t c = net_dim(x, 1);
    return net_weight(n, c, x->shape.rank, (int64_t[]){c, c, 1, 1, 1});
}

static const char *leaf(const network *n) {
    return n->end->shape.rank == 2 ? "gemm" : "conv";
}

static void all_computed(network *n) {
    cr_value *x = n->end, *in[5], *w = computed(n, pointwise_weight(n, x));
    int64_t c = net_dim(x, 1);
    net_settle(n);
    in[0] = pointwise(n, x, w);
    for (int i = 1; i < 5; i++)
        in[i] = computed(n, net_constant(n, 0.5, 1.5, DIMS(c)));
    cr_value *y = net_node(n, "BatchNormalization", 5, in);
    net_expect(n, net_last_name(n), "%s-bn", leaf(n));
    n->end = y;
}

/* The second operator keeps the weights that the first had, and the second BatchNormalization its own. */
static void all_shared(network *n) {
    cr_value *x = n->end, *w = pointwise_weight(n, x), *a = pointwise(n, x, w), *b = pointwise(n, x, w);
    cr_value *first = net_bn(n, a, net_dim(x, 1)), *in[5] = {net_chance(n, 50) ? b : pointwise(n, b, w)};
    net_expect(n, first->producer->name, "%s-bn", leaf(n));
    for (int i = 1; i < 5; i++)
        in[i] = first->producer->inputs[i];
    cr_value *second = net_node(n, "BatchNormalization", 5, in);
    net_expect(n, net_last_name(n), "%s-bn", leaf(n));
    net_output(n, pointwise(n, x, w));
    n->end = net_node(n, "Max", IN(first, second));
}

/* BatchNormalizations of constants, and one that nobody needs. */
static void no_work(network *n) {
    n->roundings = 3; /* the operator itself computes the constant: scale, shift and sum */
    cr_value *x = n->end;
    int64_t c = net_dim(x, 1), dims[CR_MAX_RANK] = {1, c, 1, 1, 1};
    net_expect(n, net_bn(n, x, c)->producer->name, "unused");
    cr_value *fixed = net_bn(n, net_constant(n, -1, 1, x->shape.rank, dims), c);
    net_expect(n, net_last_name(n), "constant");
    n->end = net_node(n, "Max", IN(x, fixed));
}

void phrase_constants(network *n) {
    switch (net_pick(n, 0, 4)) {
    case 0:
    case 1:
        all_computed(n);
        break;
    case 2:
    case 3:
        all_shared(n);
        break;
    default:
        no_work(n);
    }
    net_barrier(n);
}
