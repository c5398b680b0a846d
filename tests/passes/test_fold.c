#include "tests/body.h"
#include "tests/passes/small.h"

#include "runtime/graph/attr.h"

/* The search for a place, whatever the operators: its limits, names that choose, what nodes say afterwards.
 */

static cr_value *conv(small *s, const char *name) {
    return small_node(s, "Conv", name, IN(s->x, small_constant(s, "w", -1, 1, DIMS(3, 3, 1, 1))));
}

/* ---- limits of the search ---- */

Test(fold, a_long_chain_is_folded_in_parts) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "add%d", i);
        y = small_node(&s, "Add", name, IN(y, small_constant(&s, "c", -1, 1, DIMS(3, 1, 1))));
    }
    small_output(&s, small_bn(&s, "bn", y, 3));
    small_expect(&s, "bn", "conv-bn");
}

Test(fold, a_path_without_end_is_given_up) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    for (int i = 0; i < 80; i++) {
        char name[16];
        snprintf(name, sizeof name, "turn%d", i);
        y = small_node(&s, "Transpose", name, IN(y));
        OK(cr_node_set_ints(small_find(&s, name), "perm", (int64_t[]){0, 1, 3, 2}, 4));
    }
    small_output(&s, small_bn(&s, "bn", y, 3));
    small_expect(&s, "bn", "no-linear-neighbour");
}

/* ---- names and notes ---- */

Test(fold, only_the_named_are_folded) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    for (int i = 0; i < 2; i++) {
        cr_value *y = small_node(&s, "Conv", i ? "conv1" : "conv0",
                                 IN(s.x, small_constant(&s, "w", -1, 1, DIMS(3, 3, 1, 1))));
        small_output(&s, small_bn(&s, i ? "right" : "left", y, 3));
    }
    small_fold_with(&s, &(cr_fold_settings){.only = "l*"});
    cr_assert(small_entry(&s, "left").folded);
    cr_assert_str_eq(small_entry(&s, "right").reason, "keep");
    small_end(&s);
}

/* A chain ends where a name says so: what is left behind it stays. */
Test(fold, a_chain_stops_at_a_kept_name) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    y = small_bn(&s, "bn", y, 3);
    small_output(&s, small_node(&s, "Mul", "scale", IN(y, small_constant(&s, "c", 1, 2, DIMS(3, 1, 1)))));
    small_fold_with(&s, &(cr_fold_settings){.keep = "scale"});
    cr_assert(small_entry(&s, "bn").folded);
    cr_assert_eq(small_count(&s, "Mul"), 1);
    small_end(&s);
}

Test(fold, what_a_node_says_already_is_kept) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    OK(cr_node_set_doc(small_find(&s, "conv"), "first layer"));
    small_output(&s, small_bn(&s, "bn", y, 3));
    small_fold_with(&s, NULL);
    cr_assert_eq(strncmp(small_find(&s, "conv")->doc, "first layer\n", 12), 0);
    cr_assert(strstr(small_find(&s, "conv")->doc, "'bn'"));
    cr_assert_str_eq(small_entry(&s, "bn").into, "conv");
    small_end(&s);
}

Test(fold, two_new_constants_are_one_note) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    small_output(&s, small_bn(&s, "bn", conv(&s, "conv"), 3));
    small_fold_with(&s, NULL);
    const char *doc = small_find(&s, "conv")->doc;
    cr_assert_not(strchr(doc, '\n'), "%s", doc);
    small_end(&s);
}

/* What keeps it from a linear operator tells more than the activation on its other side. */
Test(fold, the_reason_is_that_of_the_linear_operator) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = conv(&s, "conv");
    small_output(&s, y);
    small_output(&s, small_node(&s, "Relu", "relu", IN(small_bn(&s, "bn", y, 3))));
    small_expect(&s, "bn", "graph-output");
    s = small_begin(13, DIMS(1, 3, 2, 2));
    y = conv(&s, "conv");
    small_output(&s, small_node(&s, "Sigmoid", "other", IN(y)));
    small_output(&s, small_node(&s, "Relu", "relu", IN(small_bn(&s, "bn", y, 3))));
    small_expect(&s, "bn", "several-consumers");
}

/* What follows tells whether a session fuses the normalisation with its neighbours. */
static void expect_between(const char *op, int input, int weight, const char *reason) {
    small s = small_begin(13, DIMS(2, 3, 3, 3));
    cr_value *bn = small_bn(&s, "bn", small_node(&s, "Sigmoid", "before", IN(s.x)), 3), *in[2] = {bn, NULL};
    if (input)
        in[0] = s.x, in[1] = bn;
    cr_value *y = small_node(&s, op, "op", input + 1, in),
             *w = small_constant(&s, "w", -1, 1, DIMS(3, 3, 3, 3));
    small_output(&s, weight ? small_node(&s, "Conv", "conv", IN(s.x, y))
                            : small_node(&s, "Conv", "conv", IN(y, w)));
    small_expect(&s, "bn", reason);
}

Test(fold, an_activation_behind_it) {
    expect_between("Relu", 0, 0, "pre-activation");
    expect_between("Relu", 0, 1, "nonlinear-after");  /* makes the weights */
    expect_between("PRelu", 1, 0, "nonlinear-after"); /* as its slopes */
    expect_between("Softmax", 0, 0, "nonlinear-after");
    expect_between("LogSoftmax", 0, 0, "nonlinear-after");
    small s = small_begin(13, DIMS(2, 3, 3, 3));
    small_output(&s, small_node(&s, "Relu", "relu",
                                IN(small_bn(&s, "bn", small_node(&s, "Sigmoid", "before", IN(s.x)), 3))));
    small_expect(&s, "bn", "nonlinear-after");
}

Test(fold, a_quantizer_behind_it) {
    small s = small_begin(13, DIMS(2, 3, 3, 3));
    cr_value *scale = small_constant(&s, "s", 0.1, 0.2, 0, NULL), *bn = small_bn(&s, "bn", s.x, 3);
    small_output(&s, small_node(&s, "QuantizeLinear", "q", IN(bn, scale)));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").reason, "quantized-between");
    small_end(&s);
}

static cr_value *single(small *s, double value) {
    cr_value *v;
    cr_tensor *t;
    cr_shape shape = cr_shape_of(0, NULL);
    OK(cr_graph_new_constant(s->model->graph, "c", CREASE_FLOAT, &shape, &v, &t));
    cr_store_float(CREASE_FLOAT, t->data, 0, value);
    return v;
}

/* x clip(x + 3, 0, 6) / 6 is one activation: its division stays, whatever follows. */
Test(fold, an_activation_spelled_out_is_left_whole) {
    for (int product = 0; product < 2; product++) {
        small s = small_begin(13, DIMS(1, 3, 2, 2));
        s.x->dtype = CREASE_FLOAT;
        cr_value *sum = small_node(&s, "Add", "add", IN(s.x, single(&s, 3))),
                 *clip = small_node(&s, "Clip", "clip", IN(sum, single(&s, 0), single(&s, 6))),
                 *y = small_node(&s, "Mul", "mul", IN(s.x, clip));
        y = product ? small_node(&s, "Mul", "end", IN(y, single(&s, 1.0 / 6)))
                    : small_node(&s, "Div", "end", IN(y, single(&s, 6)));
        cr_value *w;
        cr_tensor *t;
        cr_shape shape = cr_shape_of(DIMS(2, 3, 1, 1));
        OK(cr_graph_new_constant(s.model->graph, "w", CREASE_FLOAT, &shape, &w, &t));
        for (int i = 0; i < 6; i++)
            ((float *)t->data)[i] = (float)i;
        small_output(&s, small_node(&s, "Conv", "next", IN(y, w)));
        small_expect(&s, "end", "no entry");
    }
}

Test(fold, the_held_are_left) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    for (int i = 0; i < 2; i++)
        small_output(&s, small_bn(&s, i ? "right" : "left", conv(&s, i ? "conv1" : "conv0"), 3));
    int id = small_find(&s, "left")->id;
    bool held[64] = {false};
    cr_assert(id < 63 && small_find(&s, "right")->id > id);
    held[id] = true;
    small_fold_with(&s, &(cr_fold_settings){.held = held, .n_held = id + 1});
    cr_assert_str_eq(small_entry(&s, "left").reason, "keep");
    cr_assert(small_entry(&s, "right").folded);
    small_end(&s);
}

Test(fold, a_path_ahead_without_end_is_given_up) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = small_bn(&s, "bn", s.x, 3);
    for (int i = 0; i < 80; i++) {
        char name[16];
        snprintf(name, sizeof name, "turn%d", i);
        y = small_node(&s, "Transpose", name, IN(y));
        OK(cr_node_set_ints(small_find(&s, name), "perm", (int64_t[]){0, 1, 3, 2}, 4));
    }
    small_output(&s, small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(2, 3, 1, 1)))));
    small_expect(&s, "bn", "no-linear-neighbour");
}

/* That others use it, too, is no obstacle where it could not be changed anyway. */
Test(fold, an_activation_before_it_that_others_use) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = small_node(&s, "Relu", "relu", IN(conv(&s, "conv")));
    small_output(&s, small_bn(&s, "bn", y, 3));
    small_output(&s, small_node(&s, "Neg", "other", IN(y)));
    small_expect(&s, "bn", "nonlinear-before");
}

/* ---- who is looked at ---- */

Test(fold, a_name_of_no_affine_is_an_error) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    small_output(&s, small_bn(&s, "bn", conv(&s, "conv"), 3));
    cr_assert_eq(cr_optimize_fold(s.model, &(cr_fold_settings){.only = "conv"}, s.report),
                 CREASE_ERROR_ARGUMENT);
    small_end(&s);
}

Test(fold, the_held_end_where_their_number_says) {
    static const bool held[64] = {[1 ... 63] = true};
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    small_output(&s, small_bn(&s, "bn", conv(&s, "conv"), 3));
    small_fold_with(&s, &(cr_fold_settings){.held = held, .n_held = 1});
    cr_assert(small_entry(&s, "bn").folded);
    small_end(&s);
}

/* Far more than one attempt takes at once. */
Test(fold, a_very_long_chain) {
    small s = small_begin(13, DIMS(1, 3, 1, 1));
    cr_value *y = small_node(&s, "Sigmoid", "before", IN(s.x));
    for (int i = 0; i < 200; i++)
        y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(3, 1, 1))));
    small_output(&s, y);
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_eq(cr_report_n_folded(s.report), 0);
    small_end(&s);
}

/* ---- which reason is told ---- */

/* conv, used by others as well -> BN -> op -> padded conv */
static void expect_shared(const char *op, const char *reason) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(3, 3, 3, 3))));
    small_output(&s, small_node(&s, "Sigmoid", "other", IN(y)));
    y = small_bn(&s, "bn", y, 3);
    y = op ? small_node(&s, op, "op", IN(y)) : y;
    small_output(&s, small_node(&s, "Conv", "last", IN(y, small_constant(&s, "w", -1, 1, DIMS(3, 3, 3, 3)))));
    OK(cr_node_set_ints(small_find(&s, "last"), "pads", (int64_t[]){1, 1, 1, 1}, 4));
    small_expect(&s, "bn", reason);
}

Test(fold, what_a_session_fuses_tells_most) {
    expect_shared(NULL, "padded-border");
    expect_shared("Relu", "pre-activation");
}

Test(fold, an_activation_before_a_pool) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *y = small_bn(&s, "bn", small_node(&s, "Sigmoid", "before", IN(s.x)), 3);
    y = small_node(&s, "GlobalMaxPool", "pool", IN(small_node(&s, "Relu", "relu", IN(y))));
    small_output(&s, y);
    small_expect(&s, "bn", "nonlinear-after");
}

static cr_value *computed(small *s, const char *name) {
    cr_value *v;
    OK(cr_graph_add_value(s->model->graph, name, true, &v));
    v->dtype = CREASE_DOUBLE;
    v->shape = cr_shape_of(DIMS(3, 3, 1, 1));
    OK(cr_graph_add_input(s->model->graph, v));
    return v;
}

static void expect_reason(small *s, const char *reason) {
    OK(cr_optimize_fold(s->model, NULL, s->report));
    crease_fold_entry e = small_entry(s, "bn");
    cr_assert_str_eq(e.reason, reason, "%s (%s), expected %s", e.reason, e.detail, reason);
    small_end(s);
}

/* The two together have a positive scale and reach the convolution, the first alone does not; it cannot take
 * the second in, since its shift would be infinite. */
Test(fold, the_longest_chain_may_tell_more) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, computed(&s, "w")));
    y = small_bn(&s, "bn", small_node(&s, "GlobalMaxPool", "pool", IN(y)), 3);
    for (int c = 0; c < 3; c++)
        for (int i = 1; i < 3; i++)
            ((double *)small_find(&s, "bn")->inputs[i]->constant->data)[c] = i == 1 ? -1 : 10;
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", -1e308, -1e308, 0, NULL))));
    expect_reason(&s, "not-constant");
}

/* Of reasons that tell as much, that of the normalisation alone: a shift asks one branch after the other. The
 * normalisation cannot take the multiplication in, since its own shift would be infinite. */
Test(fold, the_shortest_chain_tells) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *w = small_constant(&s, "w", -1, 1, DIMS(3, 3, 1, 1));
    w->initial = w->constant;
    w->constant = NULL;
    OK(cr_graph_add_input(s.model->graph, w));
    cr_value *a = small_node(&s, "Conv", "a", IN(s.x, w)),
             *b = small_node(&s, "Conv", "b", IN(s.x, computed(&s, "v")));
    cr_value *y = small_bn(&s, "bn", small_node(&s, "Add", "sum", IN(a, b)), 3);
    cr_node *bn = small_find(&s, "bn");
    OK(cr_node_set_float(bn, "epsilon", 0));
    for (int c = 0; c < 3; c++)
        for (int i = 1; i < 5; i++)
            ((double *)bn->inputs[i]->constant->data)[c] = i == 2 ? 10 : 1;
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1e308, 1e308, 0, NULL))));
    expect_reason(&s, "not-constant");
}

/* Of two branches that cannot take it, the first tells. */
Test(fold, the_first_branch_tells) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *relu = small_node(&s, "Relu", "relu", IN(s.x));
    small_output(&s, small_bn(&s, "bn", small_node(&s, "Add", "sum", IN(relu, s.x)), 3));
    small_expect(&s, "bn", "nonlinear-before");
}

/* ---- what is left of the old weights ---- */

/* Their memory goes, unless they are an output of the graph or somebody else uses them. */
Test(fold, old_weights_are_given_back) {
    static const bool left[] = {false, true, true};
    for (int kind = 0; kind < 3; kind++) {
        small s = small_begin(13, DIMS(1, 3, 2, 2));
        cr_value *y = small_bn(&s, "bn", conv(&s, "conv"), 3), *w = small_find(&s, "conv")->inputs[1];
        small_output(&s, y);
        if (kind == 1)
            small_output(&s, w);
        if (kind == 2)
            small_output(&s, small_node(&s, "Conv", "other", IN(s.x, w)));
        OK(cr_optimize_fold(s.model, NULL, s.report));
        cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-bn");
        cr_assert_eq(w->constant->data != NULL, left[kind], "kind %d", kind);
        small_end(&s);
    }
}

/* ---- bodies ---- */

/* Node `op` of the outer value y and a constant or two in each branch of an If. */
static void add_branches(small *s, const char *op, cr_value *y, cr_value *c) {
    cr_value *yes, *out;
    cr_node *node;
    OK(cr_graph_add_value(s->model->graph, "yes", true, &yes));
    yes->dtype = CREASE_BOOL;
    yes->shape = cr_shape_of(0, NULL);
    OK(cr_graph_add_input(s->model->graph, yes));
    small_output(s, small_node(s, "If", "if", IN(yes)));
    for (int i = 0; i < 2; i++) {
        cr_graph *body = body_of(small_find(s, "if"), i ? "else_branch" : "then_branch");
        OK(cr_graph_add_value(body, "inner", true, &out));
        OK(cr_graph_add_node(body, NULL, i ? "Relu" : op, "", "inner", (cr_value *[]){i ? s->x : y, c},
                             i ? 1 : 2, &out, 1, &node));
        OK(cr_graph_add_output(body, out));
    }
}

static void expect_kept_in(small *s, const char *name) {
    OK(cr_optimize_fold(s->model, NULL, s->report));
    cr_assert_not(small_entry(s, name).folded, "%s", small_entry(s, name).pattern);
    cr_assert(small_find(s, name));
    small_end(s);
}

/* A chain does not reach into a body, and nothing is folded into what a body computes, or out of it. */
Test(fold, bodies_are_graphs_of_their_own) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    add_branches(&s, "Mul", small_bn(&s, "bn", s.x, 3), small_constant(&s, "c", 1, 2, DIMS(3, 1, 1)));
    expect_kept_in(&s, "bn");
    s = small_begin(13, DIMS(1, 3, 2, 2));
    add_branches(&s, "Conv", small_bn(&s, "bn", s.x, 3), small_constant(&s, "w", 1, 2, DIMS(3, 3, 1, 1)));
    expect_kept_in(&s, "bn");
    s = small_begin(13, DIMS(3, 3));
    cr_value *y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "d", 1, 2, DIMS(3))));
    y = small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", 1, 2, DIMS(3, 3))));
    add_branches(&s, "Add", y, small_constant(&s, "c", 1, 2, DIMS(3)));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "mul").pattern, "mul-matmul");
    small_end(&s);
}

/* Behind a convolution that takes the first of them in. */
Test(fold, a_chain_ends_where_a_body_begins) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = small_bn(&s, "bn", conv(&s, "conv"), 3);
    add_branches(&s, "Mul", y, small_constant(&s, "c", 1, 2, DIMS(3, 1, 1)));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-bn");
    cr_assert_not(small_entry(&s, "inner").folded);
    small_end(&s);
}

/* The sum in the body cannot be given to the product outside, but to what follows it there. */
Test(fold, a_sum_in_a_body_is_no_bias_of_a_product_outside) {
    small s = small_begin(13, DIMS(3, 3));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", 1, 2, DIMS(3, 3)))), *out;
    cr_node *node;
    add_branches(&s, "Add", y, small_constant(&s, "c", 1, 2, DIMS(3)));
    cr_graph *body = cr_attr_find(small_find(&s, "if"), "then_branch")->graphs[0];
    OK(cr_graph_add_value(body, "product", true, &out));
    OK(cr_graph_add_node(body, NULL, "MatMul", "", "last",
                         (cr_value *[]){body->first->outputs[0], small_constant(&s, "v", 1, 2, DIMS(3, 3))},
                         2, &out, 1, &node));
    OK(cr_graph_set_output(body, 0, out));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "inner").pattern, "add-matmul");
    small_end(&s);
}

/* An output of the graph that a convolution reads as well: without the output it would go into that. */
Test(fold, an_output_ahead_of_a_convolution) {
    for (int read = 0; read < 2; read++) {
        small s = small_begin(13, DIMS(1, 3, 4, 4));
        cr_value *y = small_bn(&s, "bn", s.x, 3);
        small_output(&s, y);
        if (read)
            small_output(
                &s, small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(2, 3, 1, 1)))));
        small_expect(&s, "bn", read ? "graph-output" : "no-linear-neighbour");
    }
}

/* Behind the pooling stands a convolution: that the pooled values are an output keeps it from there. */
Test(fold, an_output_before_it_tells_more_than_a_border_behind_it) {
    small s = small_begin(13, DIMS(1, 3, 2, 2));
    cr_value *y = small_node(&s, "GlobalAveragePool", "pool", IN(conv(&s, "conv")));
    small_output(&s, y);
    y = small_node(
        &s, "Pad", "pad",
        IN(small_bn(&s, "bn", y, 3), small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 0, 0, 0, 1, 0})));
    small_output(&s, small_node(&s, "Relu", "relu", IN(y)));
    small_expect(&s, "bn", "graph-output");
}

/* x sigmoid(x), or x clip(x + 3, 0, 6) / 6, of a float value. */
static cr_value *spelled_out(small *s, cr_value *x, bool swish, cr_value *gated) {
    if (swish)
        return small_node(s, "Mul", "end", IN(gated, small_node(s, "Sigmoid", "gate", IN(x))));
    cr_value *sum = small_node(s, "Add", "gate", IN(x, single(s, 3)));
    cr_value *clip = small_node(s, "Clip", "clip", IN(sum, single(s, 0), single(s, 6)));
    return small_node(s, "Div", "end", IN(small_node(s, "Mul", "mul", IN(gated, clip)), single(s, 6)));
}

/* Several nodes that are an activation together stand behind it like one. */
Test(fold, before_an_activation_spelled_out) {
    for (int i = 0; i < 8; i++) {
        const bool swish = i & 1, read = i & 2, other = i & 4; /* gates another value: no activation */
        small s = small_begin(13, DIMS(1, 3, 2, 2));
        s.x->dtype = CREASE_FLOAT;
        cr_value *in[5] = {s.x}, *w, *y;
        cr_tensor *t;
        const cr_shape shape = cr_shape_of(DIMS(3)), square = cr_shape_of(DIMS(2, 3, 1, 1));
        for (int p = 1; p < 5; p++) {
            OK(cr_graph_new_constant(s.model->graph, "p", CREASE_FLOAT, &shape, &in[p], &t));
            for (int c = 0; c < 3; c++)
                ((float *)t->data)[c] = 0.5F + 0.1F * (float)(c + p);
        }
        cr_value *bn = small_node(&s, "BatchNormalization", "bn", 5, in);
        y = spelled_out(&s, bn, swish, other ? s.x : bn);
        OK(cr_graph_new_constant(s.model->graph, "w", CREASE_FLOAT, &square, &w, &t));
        for (int k = 0; k < 6; k++)
            ((float *)t->data)[k] = (float)k;
        small_output(&s, read ? small_node(&s, "Conv", "next", IN(y, w)) : y);
        const char *alone = swish ? "nonlinear-after" : "bn-add";
        if (other && !swish) { /* the sum goes into the normalisation */
            OK(cr_optimize_fold(s.model, NULL, s.report));
            cr_assert_str_eq(small_entry(&s, "gate").pattern, alone);
            small_end(&s);
        } else {
            small_expect(&s, "bn", read && !other ? "pre-activation" : "nonlinear-after");
        }
    }
}
