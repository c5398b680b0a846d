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

/* ---- bodies ---- */

static void add_branch(network *n, const char *attribute, cr_node *owner, cr_value *x) {
    cr_graph *body, **bodies;
    OK(cr_graph_create(n->base.model, owner, &body));
    OK(CR_ARENA_NEW(&n->base.model->arena, &bodies, 1));
    bodies[0] = body;
    OK(cr_node_set_attr(owner,
                        &(cr_attr){.name = attribute, .type = CR_ATTR_GRAPH, .n = 1, .graphs = bodies}));
    bool outside = net_chance(n, 30);
    int64_t c = net_dim(x, 1);
    cr_value *conv_out, *out, *w = pointwise_weight(n, x), *in[5];
    cr_node *node;
    OK(cr_graph_add_value(body, net_format(n, "body_%d", ++n->n_names), true, &conv_out));
    OK(cr_graph_add_value(body, net_format(n, "body_%d", ++n->n_names), true, &out));
    if (!outside)
        OK(cr_graph_add_node(body, NULL, x->shape.rank == 2 ? "Gemm" : "Conv", "", conv_out->name,
                             (cr_value *[]){x, w}, 2, &conv_out, 1, &node));
    in[0] = outside ? x : conv_out; /* what produces x stands outside of the body */
    for (int i = 1; i < 5; i++)
        in[i] = net_constant(n, 0.5, 1.5, DIMS(c));
    OK(cr_graph_add_node(body, NULL, "BatchNormalization", "", out->name, in, 5, &out, 1, &node));
    OK(cr_graph_add_output(body, out));
    if (outside)
        net_expect(n, out->name, "no-linear-neighbour|several-consumers|%s-bn-duplicated", leaf(n));
    else
        net_expect(n, out->name, "%s-bn", leaf(n));
}

void phrase_bodies(network *n) {
    cr_value *x = pointwise(n, n->end, pointwise_weight(n, n->end)),
             *yes = net_input(n, CREASE_BOOL, 0, NULL);
    net_settle(n);
    cr_value *y = net_node(n, "If", IN(yes));
    cr_node *owner = net_last(n);
    add_branch(n, "then_branch", owner, x);
    add_branch(n, "else_branch", owner, x);
    y->dtype = n->dtype;
    y->shape = x->shape;
    n->end = y;
    n->last = true;
}

static cr_value *body_value(network *n, cr_graph *body, crease_dtype dtype, const cr_shape *shape) {
    cr_value *v;
    OK(cr_graph_add_value(body, net_format(n, "body_%d", ++n->n_names), true, &v));
    v->dtype = dtype;
    v->shape = shape ? *shape : cr_shape_unknown();
    return v;
}

static cr_value *body_node(network *n, cr_graph *body, const char *op, int n_in, cr_value **in) {
    cr_value *y = body_value(n, body, 0, NULL);
    cr_node *node;
    OK(cr_graph_add_node(body, NULL, op, "", y->name, in, n_in, &y, 1, &node));
    return y;
}

static cr_value *body_bn(network *n, cr_graph *body, cr_value *x, int64_t channels, const char *outcome) {
    cr_value *in[5] = {x};
    for (int i = 1; i < 5; i++)
        in[i] = net_constant(n, 0.5, 1.5, DIMS(channels));
    cr_value *y = body_node(n, body, "BatchNormalization", 5, in);
    net_expect(n, y->name, "%s", outcome);
    return y;
}

/* Operator and normalisation, in either order, maybe with something between. */
static cr_value *loop_step(network *n, cr_graph *body, cr_value *x, cr_value *w, const char *op) {
    const char *code = w->shape.rank == 2 ? "gemm" : "conv",
               *between = net_chance(n, 40) ? net_chance(n, 50) ? "Relu" : "Identity" : NULL;
    int64_t c = w->shape.dims[0];
    bool ahead = net_chance(n, 40), cut = between && strcmp(between, "Relu") == 0;
    const char *outcome = ahead ? cut ? "pre-activation" : net_format(n, "bn-%s", code)
                          : cut ? "nonlinear-before"
                                : net_format(n, "%s-bn", code);
    cr_value *y = ahead ? body_bn(n, body, x, c, outcome) : body_node(n, body, op, IN(x, w));
    if (between)
        y = body_node(n, body, between, IN(y));
    return ahead ? body_node(n, body, op, IN(y, w)) : body_bn(n, body, y, c, outcome);
}

void phrase_loops(network *n) {
    const int64_t times = net_pick(n, 1, 3);
    cr_value *x = n->end, *none = NULL, *w = pointwise_weight(n, x);
    cr_graph **body;
    net_settle(n);
    n->end = net_node(n, "Loop", IN(net_ints(n, 1, &times), none, x));
    cr_node *owner = net_last(n);
    OK(CR_ARENA_NEW(&n->base.model->arena, &body, 1));
    OK(cr_graph_create(n->base.model, owner, body));
    OK(cr_node_set_attr(owner, &(cr_attr){.name = "body", .type = CR_ATTR_GRAPH, .n = 1, .graphs = body}));
    cr_shape scalar = cr_shape_of(0, NULL);
    cr_value *number = body_value(n, *body, CREASE_INT64, &scalar),
             *go = body_value(n, *body, CREASE_BOOL, &scalar),
             *carried = body_value(n, *body, n->dtype, &x->shape);
    OK(cr_graph_add_input(*body, number));
    OK(cr_graph_add_input(*body, go));
    OK(cr_graph_add_input(*body, carried));
    cr_value *on = body_node(n, *body, "Identity", IN(go));
    cr_value *y = loop_step(n, *body, carried, w, x->shape.rank == 2 ? "Gemm" : "Conv");
    on->dtype = CREASE_BOOL;
    OK(cr_graph_add_output(*body, on));
    OK(cr_graph_add_output(*body, y));
    y->dtype = n->end->dtype = n->dtype;
    n->end->shape = x->shape;
    n->last = true;
}
