#include "tests/body.h"
#include "tests/passes/generated/network.h"

/* Operators and normalisations in the bodies of If, Loop and Scan, and of an If in a Loop. */

static cr_value *pointwise_weight(network *n, int rank, int64_t channels) {
    return net_weight(n, channels, rank, (int64_t[]){channels, channels, 1, 1, 1});
}

static const char *pointwise(const cr_value *w) {
    return w->shape.rank == 2 ? "Gemm" : "Conv";
}

static const char *leaf(const cr_value *w) {
    return w->shape.rank == 2 ? "gemm" : "conv";
}

/* ---- nodes of bodies ---- */

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
static cr_value *turn(network *n, cr_graph *body, cr_value *x, cr_value *w) {
    const char *code = leaf(w), *op = pointwise(w),
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

/* ---- If ---- */

static void add_branch(network *n, const char *attribute, cr_node *owner, cr_value *x) {
    cr_graph *body = body_of(owner, attribute);
    bool outside = net_chance(n, 30); /* what produces x stands outside of the body */
    cr_value *w = pointwise_weight(n, x->shape.rank, net_dim(x, 1));
    const char *outcome =
        outside ? net_format(n, "no-linear-neighbour|several-consumers|%s-bn-duplicated", leaf(w))
                : net_format(n, "%s-bn", leaf(w));
    cr_value *in = outside ? x : body_node(n, body, pointwise(w), IN(x, w));
    OK(cr_graph_add_output(body, body_bn(n, body, in, net_dim(x, 1), outcome)));
}

void phrase_bodies(network *n) {
    cr_value *w = pointwise_weight(n, n->end->shape.rank, net_dim(n->end, 1)),
             *x = net_node(n, pointwise(w), IN(n->end, w)), *yes = net_input(n, CREASE_BOOL, 0, NULL);
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

/* ---- Loop ---- */

/* A turn of its own in either branch. */
static cr_value *chosen_turn(network *n, cr_graph *body, cr_value *yes, cr_value *x) {
    cr_value *y = body_node(n, body, "If", IN(yes));
    cr_node *owner = y->producer;
    static const char *const branches[] = {"then_branch", "else_branch"};
    for (int i = 0; i < 2; i++) {
        cr_graph *branch = body_of(owner, branches[i]);
        cr_value *w = pointwise_weight(n, x->shape.rank, net_dim(x, 1)), *z = turn(n, branch, x, w);
        z->dtype = n->dtype;
        OK(cr_graph_add_output(branch, z));
    }
    return y;
}

void phrase_loops(network *n) {
    const int64_t times = net_pick(n, 1, 3);
    cr_value *x = n->end, *none = NULL, *yes = net_chance(n, 40) ? net_input(n, CREASE_BOOL, 0, NULL) : NULL;
    net_settle(n);
    n->end = net_node(n, "Loop", IN(net_ints(n, 1, &times), none, x));
    cr_graph *body = body_of(net_last(n), "body");
    cr_shape scalar = cr_shape_of(0, NULL);
    cr_value *number = body_value(n, body, CREASE_INT64, &scalar),
             *go = body_value(n, body, CREASE_BOOL, &scalar),
             *carried = body_value(n, body, n->dtype, &x->shape);
    OK(cr_graph_add_input(body, number));
    OK(cr_graph_add_input(body, go));
    OK(cr_graph_add_input(body, carried));
    cr_value *on = body_node(n, body, "Identity", IN(go));
    cr_value *y = yes ? chosen_turn(n, body, yes, carried)
                      : turn(n, body, carried, pointwise_weight(n, x->shape.rank, net_dim(x, 1)));
    on->dtype = CREASE_BOOL;
    OK(cr_graph_add_output(body, on));
    OK(cr_graph_add_output(body, y));
    y->dtype = n->end->dtype = n->dtype;
    n->end->shape = x->shape;
    n->last = true;
}

/* ---- Scan ---- */

/* x without one axis. */
static cr_shape slice_of(const cr_value *x, int axis) {
    cr_shape slice = cr_shape_of(0, NULL);
    for (int d = 0; d < x->shape.rank; d++)
        if (d != axis)
            slice.dims[slice.rank++] = net_dim(x, d);
    return slice;
}

static int64_t any_sign(network *n, int axis, int rank) {
    return n->opset >= 11 && net_chance(n, 50) ? axis - rank : axis;
}

/* Slices of x, once or twice, forward or backward, and maybe a state that each turn adds to them. */
void phrase_scans(network *n) {
    cr_value *x = n->end, *in[3], *out[2], *w;
    const int rank = x->shape.rank, axis = net_pick(n, 0, rank - 1), to = net_pick(n, 0, rank - 1);
    const cr_shape slice = slice_of(x, axis);
    cr_shape whole = slice;
    if (rank < 3)
        return;
    const int states = net_chance(n, 60), scanned = net_pick(n, 1, 2);
    net_settle(n);
    if (states)
        in[0] = net_constant(n, -1, 1, slice.rank, slice.dims);
    for (int i = 0; i < scanned; i++)
        in[states + i] = x;
    for (int i = 0; i <= states; i++)
        OK(cr_graph_add_value(n->base.model->graph, net_format(n, "scan_%d", ++n->n_names), true, &out[i]));
    cr_node *owner;
    OK(cr_graph_add_node(n->base.model->graph, NULL, "Scan", "", net_format(n, "Scan_%d", ++n->n_names), in,
                         states + scanned, out, states + 1, &owner));
    OK(cr_node_set_int(owner, "num_scan_inputs", scanned));
    OK(cr_node_set_ints(owner, "scan_input_axes",
                        (int64_t[]){any_sign(n, axis, rank), any_sign(n, axis, rank)}, scanned));
    OK(cr_node_set_ints(owner, "scan_input_directions", (int64_t[]){net_pick(n, 0, 1), net_pick(n, 0, 1)},
                        scanned));
    OK(cr_node_set_ints(owner, "scan_output_axes", (int64_t[]){any_sign(n, to, rank)}, 1));
    OK(cr_node_set_ints(owner, "scan_output_directions", (int64_t[]){net_pick(n, 0, 1)}, 1));
    cr_graph *body = body_of(owner, "body");
    cr_value *sum = NULL;
    for (int i = 0; i < states + scanned; i++) {
        cr_value *part = body_value(n, body, n->dtype, &slice);
        OK(cr_graph_add_input(body, part));
        sum = sum ? body_node(n, body, "Max", IN(sum, part)) : part;
    }
    w = pointwise_weight(n, slice.rank, slice.dims[1]);
    cr_value *y = turn(n, body, sum, w);
    y->dtype = n->dtype;
    if (states)
        OK(cr_graph_add_output(body, y));
    OK(cr_graph_add_output(body, states ? body_node(n, body, "Identity", IN(y)) : y));
    body->outputs[states]->dtype = n->dtype;
    for (int d = whole.rank++; d > to; d--)
        whole.dims[d] = whole.dims[d - 1];
    whole.dims[to] = net_dim(x, axis);
    out[states]->shape = whole;
    if (states)
        out[0]->shape = slice;
    for (int i = 0; i <= states; i++)
        out[i]->dtype = n->dtype;
    if (states)
        net_output(n, out[0]);
    n->end = out[states];
    n->last = true;
}
