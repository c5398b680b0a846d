#include "tests/passes/bodies.h"

/* 3x3, padded, of 6 channels. */
static cr_value *add_conv(net *n, cr_graph *body, cr_value *x) {
    cr_value *y = net_body_node(body, "Conv", IN(x, net_floats(n, -0.3, 0.3, DIMS(6, 6, 3, 3))));
    OK(cr_node_set_ints(y->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    return y;
}

/* An If by an input that is one byte of a random number, or by its opposite. */
static cr_value *add_if(net *n, bool opposite) {
    cr_value *yes = net_input(n, "yes", 0, NULL), *y;
    yes->dtype = CREASE_BOOL;
    if (opposite)
        yes = net_node(n, "Not", IN(yes));
    net_add(n, "If", IN(yes), 1, &y);
    return y;
}

/* How many nodes of this type in the domain "crease" there are outside of the main graph. */
static int count_in_bodies(const crease_session *session, const char *op) {
    const cr_model *ir = session->optimized->ir;
    int n = 0;
    for (int i = 0; i < ir->n_nodes; i++) {
        const cr_node *node = ir->nodes[i];
        bool linked = node->graph->owner && (node->previous || node->graph->first == node);
        n += linked && strcmp(node->domain, "crease") == 0 && strcmp(node->op_type, op) == 0;
    }
    return n;
}

/* The finished network, whose last result is y. */
static crease_session *lower(net *n, cr_value *y, const crease_options *o, crease_model **model) {
    net_infer(n);
    net_output(n, y);
    *model = net_publish(n);
    return net_lower(*model, o);
}

static void end(crease_session *session, crease_model *model) {
    crease_session_free(session);
    crease_model_free(model);
}

/* ---- If ---- */

/* Both branches add a map of the main graph to a convolution of it. */
static void check_branches(bool opposite) {
    const crease_options o = net_options();
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    cr_value *x = net_conv(&n, n.x, 6, 3, 1), *y = add_if(&n, opposite);
    for (int b = 0; b < 2; b++) {
        cr_graph *branch = body_of(net_last(&n), b ? "then_branch" : "else_branch");
        cr_value *sum = net_body_node(branch, "Add", IN(add_conv(&n, branch, x), x));
        OK(cr_graph_add_output(branch, net_body_node(branch, b ? "Relu" : "Sigmoid", IN(sum))));
    }
    crease_model *model;
    crease_session *session = lower(&n, y, &o, &model);
    cr_assert_eq(count_in_bodies(session, "Conv"), 2);
    cr_assert_eq(count_in_bodies(session, "Activation"), 0, "are part of the convolutions");
    cr_assert_eq(count_in_bodies(session, "Add"), 0, "likewise");
    cr_assert_eq(count_in_bodies(session, "Outside"), 0);
    OK(cr_model_verify(session->optimized->ir));
    end(session, model);
}

Test(lower_bodies, branches_use_the_blocked_layout, .init = net_needs_lanes) {
    check_branches(false);
    check_branches(true);
}

/* What a branch uses of the main graph must not be taken into it: it serves others. */
Test(lower_bodies, what_is_outside_stays_there, .init = net_needs_lanes) {
    const crease_options o = net_options();
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    cr_value *x = net_conv(&n, n.x, 6, 3, 1), *y = add_if(&n, false);
    for (int b = 0; b < 2; b++) {
        cr_graph *branch = body_of(net_last(&n), b ? "then_branch" : "else_branch");
        OK(cr_graph_add_output(branch, net_body_node(branch, b ? "Relu" : "Tanh", IN(x))));
    }
    crease_model *model;
    crease_session *session = lower(&n, y, &o, &model);
    cr_assert_eq(count_in_bodies(session, "Activation"), 2);
    cr_assert_eq(net_ours(session, "Conv"), 1);
    end(session, model);
}

/* ---- branches that nobody takes ---- */

static cr_value *conv_of_no_group(net *n, cr_graph *branch) {
    cr_value *y = add_conv(n, branch, n->x);
    OK(cr_node_set_int(y->producer, "group", 0));
    return y;
}

static cr_value *concat_of_many(net *n, cr_graph *branch) {
    enum { OPERANDS = 100 };
    const cr_shape shape = cr_shape_of(0, NULL);
    cr_value *inputs[2 + 3 * OPERANDS], *step = net_scalar(n, 1), *zero;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->ir->graph, "zero", CREASE_UINT8, &shape, &zero, &t));
    for (int i = 0; i < 2 + 3 * OPERANDS; i++)
        inputs[i] = i % 3 == 0 ? step : zero; /* the data, too */
    cr_value *y = net_body_node(branch, "QLinearConcat", 2 + 3 * OPERANDS, inputs);
    OK(cr_node_set_op(y->producer, "QLinearConcat", "com.microsoft"));
    OK(cr_node_set_int(y->producer, "axis", 1));
    return y;
}

static cr_value *scan_of_less_than_nothing(net *n, cr_graph *branch) {
    cr_value *y = net_body_node(branch, "Scan", IN(n->x));
    cr_graph *body = body_of(y->producer, "body");
    OK(cr_node_set_int(y->producer, "num_scan_inputs", INT64_MIN));
    OK(cr_graph_add_output(body, net_body_input(body, "slice", CREASE_FLOAT, &n->x->shape)));
    return y;
}

/* What inference would refuse in the main graph, it leaves alone in a branch; so must the passes. */
Test(lower_bodies, branches_that_do_not_fit_are_left_alone, .init = net_needs_lanes) {
    static cr_value *(*const makers[])(net *, cr_graph *) = {conv_of_no_group, concat_of_many,
                                                             scan_of_less_than_nothing};
    const crease_options o = net_options();
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        net n = net_begin(13, DIMS(1, 6, 5, 7));
        cr_value *s = net_input(&n, "s", 0, NULL), *y;
        OK(cr_model_set_opset(n.ir, "com.microsoft", 1));
        net_add(&n, "If", IN(net_node(&n, "Equal", IN(s, s))), 1, &y);
        cr_graph *taken = body_of(net_last(&n), "then_branch"), *other = body_of(net_last(&n), "else_branch");
        cr_value *bad = makers[i](&n, other);
        bad->dtype = CREASE_FLOAT;
        bad->shape = n.x->shape;
        OK(cr_graph_add_output(other, net_body_node(other, "Relu", IN(bad))));
        OK(cr_graph_add_output(taken, net_body_node(taken, "Relu", IN(add_conv(&n, taken, n.x)))));
        net_infer(&n);
        cr_assert(taken->steady);
        cr_assert_not(other->steady);
        crease_model *model;
        crease_session *session = lower(&n, y, &o, &model);
        cr_assert_eq(count_in_bodies(session, "Conv"), 1);
        end(session, model);
    }
}

/* ---- Loop ---- */

static crease_session *end_loop(net *n, net_loop *t, cr_value *next, crease_model **model) {
    const crease_options o = net_options();
    OK(cr_graph_add_output(t->body, next));
    t->y->dtype = CREASE_FLOAT;
    return lower(n, t->y, &o, model);
}

Test(lower_bodies, loops_that_keep_their_shapes, .init = net_needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    net_loop t = net_begin_loop(&n, n.x, &n.x->shape);
    cr_value *y = net_body_node(t.body, "Tanh", IN(add_conv(&n, t.body, t.carried)));
    crease_session *session = end_loop(&n, &t, y, &model);
    cr_assert_eq(count_in_bodies(session, "Conv"), 1);
    cr_assert_eq(count_in_bodies(session, "Activation"), 0);
    end(session, model);
}

/* Without folding, too: weights are constant where the body only hands them on. */
Test(lower_bodies, loops_that_carry_their_weights, .init = net_needs_lanes) {
    crease_options o = net_options();
    cr_value *weights_out;
    o.fold = false;
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    net_loop t = net_begin_loop(&n, n.x, &n.x->shape);
    cr_value *weights = net_floats(&n, -0.3, 0.3, DIMS(6, 6, 1, 1));
    OK(cr_node_set_input(t.y->producer, 3, weights));
    OK(cr_graph_add_value(n.ir->graph, "weights_out", true, &weights_out));
    OK(cr_node_add_output(t.y->producer, weights_out));
    cr_value *carried = net_body_input(t.body, "weights", CREASE_FLOAT, &weights->shape);
    OK(cr_graph_add_output(t.body, net_body_node(t.body, "Conv", IN(t.carried, carried))));
    OK(cr_graph_add_output(t.body, carried));
    crease_model *model;
    crease_session *session = lower(&n, t.y, &o, &model);
    cr_assert_eq(count_in_bodies(session, "Conv"), 1);
    end(session, model);
}

/* Each iteration makes the map wider, while the file states the first width for all. */
Test(lower_bodies, loops_whose_shapes_grow, .init = net_needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    net_loop t = net_begin_loop(&n, n.x, &n.x->shape);
    cr_value *wider = net_body_node(t.body, "Concat", IN(t.carried, add_conv(&n, t.body, t.carried)));
    OK(cr_node_set_int(wider->producer, "axis", 3));
    crease_session *session = end_loop(&n, &t, wider, &model);
    cr_assert_eq(count_in_bodies(session, "Conv"), 1);
    end(session, model);
}

/* What the file states of a body's output is not believed where the body reads it: twice its shapes,
 * stacked, are three. */
Test(lower_bodies, loops_whose_output_states_its_first_shape, .init = net_needs_lanes) {
    crease_model *model;
    cr_value *stacked;
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    net_loop t = net_begin_loop(&n, n.x, &n.x->shape);
    cr_value *wider = net_body_node(t.body, "Concat", IN(t.carried, t.carried));
    OK(cr_node_set_int(wider->producer, "axis", 3));
    wider->dtype = CREASE_FLOAT;
    wider->shape = cr_shape_of(4, (int64_t[]){1, 6, 5, 14});
    OK(cr_graph_add_value(n.ir->graph, "shapes", true, &stacked));
    OK(cr_node_add_output(t.y->producer, stacked));
    stacked->dtype = CREASE_INT64;
    net_output(&n, stacked);
    OK(cr_graph_add_output(t.body, wider));
    cr_value *shape = net_body_node(t.body, "Shape", IN(wider)),
             *twice = net_body_node(t.body, "Add", IN(shape, shape));
    crease_session *session = end_loop(&n, &t, twice, &model);
    end(session, model);
}

/* Nor where the output alone says how many channels there are: one more each time. */
Test(lower_bodies, loops_whose_output_states_its_first_channels, .init = net_needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    net_loop t = net_begin_loop(&n, n.x, &n.x->shape);
    cr_value *one = net_ints(&n, 1, (int64_t[]){1}), *begin = net_ints(&n, 1, (int64_t[]){0});
    cr_value *ends = net_body_node(t.body, "Add", IN(t.body->inputs[0], one));
    cr_value *y = net_body_node(t.body, "Slice", IN(add_conv(&n, t.body, n.x), begin, ends, one));
    y->dtype = CREASE_FLOAT;
    y->shape = cr_shape_of(4, (int64_t[]){1, 1, 5, 7});
    crease_session *session = end_loop(&n, &t, y, &model);
    end(session, model);
}

/* Their rank, too: nothing is known of what is carried. */
Test(lower_bodies, loops_whose_ranks_grow, .init = net_needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(2, 3));
    net_loop t = net_begin_loop(&n, n.x, &n.x->shape);
    cr_value *y = net_body_node(t.body, "Unsqueeze", IN(t.carried, net_ints(&n, 1, (int64_t[]){0})));
    crease_session *session = end_loop(&n, &t, net_body_node(t.body, "Tanh", IN(y)), &model);
    end(session, model);
}

/* ---- inference ---- */

Test(lower_bodies, shapes_hold_for_every_iteration) {
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    net_loop t = net_begin_loop(&n, n.x, &n.x->shape);
    cr_value *wider = net_body_node(t.body, "Concat", IN(t.carried, t.carried));
    OK(cr_node_set_int(wider->producer, "axis", 3));
    OK(cr_graph_add_output(t.body, wider));
    net_infer(&n);
    cr_assert(t.body->steady);
    const cr_shape want = cr_shape_of(4, (int64_t[]){1, 6, 5, CR_DIM_UNKNOWN});
    cr_assert(cr_shape_equal(&t.carried->shape, &want));
    cr_assert(cr_shape_equal(&t.y->shape, &want));
    cr_model_destroy(n.ir);
    cr_heap_release(n.heap);
}

/* Each level would be inferred twice for each time that the level around it is. */
Test(lower_bodies, bodies_in_bodies_take_no_time, .timeout = 20) {
    enum { LEVELS = 40 };
    net n = net_begin(13, DIMS(1, 2));
    const cr_shape scalar = cr_shape_of(0, NULL);
    cr_value *trips = net_ints(&n, 1, (int64_t[]){1}), *none = NULL, *x = n.x, *results[LEVELS];
    cr_graph *graph = n.ir->graph, *bodies[LEVELS];
    for (int level = 0; level < LEVELS; level++) {
        results[level] = net_body_node(graph, "Loop", IN(trips, none, x));
        graph = bodies[level] = body_of(results[level]->producer, "body");
        net_body_input(graph, "number", CREASE_INT64, &scalar);
        net_body_input(graph, "go", CREASE_BOOL, &scalar);
        x = net_body_input(graph, "carried", CREASE_FLOAT, &n.x->shape);
    }
    for (int level = LEVELS; level-- > 0;) {
        cr_value *inner = level + 1 < LEVELS ? results[level + 1] : bodies[level]->inputs[2];
        cr_value *wider = net_body_node(bodies[level], "Concat", IN(inner, inner));
        OK(cr_node_set_int(wider->producer, "axis", 1));
        OK(cr_graph_add_output(bodies[level],
                               net_body_node(bodies[level], "Identity", IN(bodies[level]->inputs[1]))));
        OK(cr_graph_add_output(bodies[level], wider));
    }
    net_infer(&n);
    cr_model_destroy(n.ir);
    cr_heap_release(n.heap);
}
