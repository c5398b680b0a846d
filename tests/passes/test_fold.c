#include "tests/passes/small.h"

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
