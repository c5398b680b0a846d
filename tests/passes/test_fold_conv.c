#include "tests/passes/small.h"

/* x [2, 4, 7, 6] -> Conv 3x3 with pads, stride 2, groups -> BN */
static small conv_bn(int64_t group, bool bias, const char *bn_input) {
    small s = small_begin(17, DIMS(2, 4, 7, 6));
    cr_value *w = small_constant(&s, "w", -1, 1, DIMS(8, 4 / group, 3, 3));
    cr_value *y =
        small_node(&s, "Conv", "conv", IN(s.x, w, bias ? small_constant(&s, "b", -1, 1, DIMS(8)) : NULL));
    OK(cr_node_set_int(small_find(&s, "conv"), "group", group));
    OK(cr_node_set_ints(small_find(&s, "conv"), "pads", (int64_t[]){1, 0, 1, 2}, 4));
    OK(cr_node_set_ints(small_find(&s, "conv"), "strides", (int64_t[]){2, 1}, 2));
    if (bn_input)
        y = small_node(&s, bn_input, "between", IN(y));
    small_output(&s, small_bn(&s, "bn", y, 8));
    return s;
}

Test(fold_conv, plain_grouped_depthwise_with_and_without_bias) {
    for (int bias = 0; bias < 2; bias++)
        for (int64_t group = 1; group <= 4; group *= 2) {
            small s = conv_bn(group, bias, NULL);
            small_expect(&s, "bn", "conv-bn");
        }
}

Test(fold_conv, keeps_the_node_name_and_says_so) {
    small s = conv_bn(1, true, NULL);
    small_fold_with(&s, NULL);
    cr_assert_eq(small_count(&s, "BatchNormalization"), 0);
    cr_assert_str_eq(small_entry(&s, "bn").into, "conv");
    cr_assert(strstr(small_find(&s, "conv")->doc, "'bn'"));
    small_end(&s);
}

Test(fold_conv, one_and_three_dimensions) {
    small s = small_begin(9, DIMS(1, 3, 9));
    small_output(
        &s, small_bn(&s, "bn",
                     small_node(&s, "Conv", "c", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 3, 4)))), 5));
    small_expect(&s, "bn", "conv-bn");
    s = small_begin(15, DIMS(1, 2, 4, 5, 6));
    small_output(&s, small_bn(&s, "bn",
                              small_node(&s, "Conv", "c",
                                         IN(s.x, small_constant(&s, "w", -1, 1, DIMS(3, 2, 2, 2, 3)))),
                              3));
    small_expect(&s, "bn", "conv-bn");
}

Test(fold_conv, transposed_with_groups) {
    for (int64_t group = 1; group <= 4; group *= 2) {
        small s = small_begin(17, DIMS(1, 4, 5, 4));
        cr_value *y =
            small_node(&s, "ConvTranspose", "up", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(4, 3, 3, 2))));
        OK(cr_node_set_int(small_find(&s, "up"), "group", group));
        OK(cr_node_set_ints(small_find(&s, "up"), "strides", (int64_t[]){2, 2}, 2));
        small_output(&s, small_bn(&s, "bn", y, 3 * group));
        small_expect(&s, "bn", "conv-transpose-bn");
    }
}

Test(fold_conv, shared_weights_are_copied) {
    small s = small_begin(17, DIMS(1, 3, 5, 5));
    cr_value *w = small_constant(&s, "w", -1, 1, DIMS(3, 3, 1, 1));
    cr_value *a = small_node(&s, "Conv", "a", IN(s.x, w));
    double first = *(double *)w->constant->data;
    small_output(&s, small_bn(&s, "bn", a, 3));
    small_output(&s, small_node(&s, "Conv", "b", IN(s.x, w)));
    small_fold_with(&s, NULL);
    cr_assert_eq(small_find(&s, "b")->inputs[1], w);
    cr_assert_eq(*(double *)w->constant->data, first);
    cr_assert_neq(small_find(&s, "a")->inputs[1], w);
    small_end(&s);
}

Test(fold_conv, refuses_several_consumers) {
    small s = conv_bn(1, true, NULL);
    small_output(&s, small_node(&s, "Relu", "other", IN(small_find(&s, "conv")->outputs[0])));
    small_expect(&s, "bn", "several-consumers");
}

Test(fold_conv, refuses_a_graph_output) {
    small s = conv_bn(1, true, NULL);
    small_output(&s, small_find(&s, "conv")->outputs[0]);
    small_expect(&s, "bn", "graph-output");
}

Test(fold_conv, refuses_across_an_activation) {
    small s = conv_bn(1, true, "Relu");
    small_expect(&s, "bn", "nonlinear-before");
}

Test(fold_conv, refuses_training_mode) {
    small s = conv_bn(1, true, NULL);
    OK(cr_node_set_int(small_find(&s, "bn"), "training_mode", 1));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").reason, "training-mode");
    small_end(&s);
}

/* One parameter of channel 2 becomes `value`. */
static small spoiled(int parameter, double value) {
    small s = conv_bn(1, true, NULL);
    ((double *)small_find(&s, "bn")->inputs[parameter]->constant->data)[2] = value;
    return s;
}

static void expect_kept(small s, const char *reason) {
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_not(small_entry(&s, "bn").folded);
    cr_assert_str_eq(small_entry(&s, "bn").reason, reason);
    cr_assert_eq(small_count(&s, "BatchNormalization"), 1);
    small_end(&s);
}

Test(fold_conv, refuses_parameters_without_a_result) {
    expect_kept(spoiled(1, NAN), "non-finite");
    expect_kept(spoiled(2, INFINITY), "non-finite");
    expect_kept(spoiled(3, -INFINITY), "non-finite");
    expect_kept(spoiled(4, NAN), "non-finite");
    expect_kept(spoiled(4, -1), "variance-not-positive");
    small s = spoiled(4, 0);
    OK(cr_node_set_float(small_find(&s, "bn"), "epsilon", 0));
    expect_kept(s, "variance-not-positive");
}

Test(fold_conv, gamma_zero_and_tiny_variance_fold) {
    small s = spoiled(1, 0);
    small_expect(&s, "bn", "conv-bn");
    s = spoiled(4, 5.6e-45);
    small_expect(&s, "bn", "conv-bn");
}

/* x -> Conv by the one weight -> BN with this gamma and beta, mean 0, variance 1; all float16 */
static small halves(double weight, double gamma, double beta) {
    small s = small_begin(17, DIMS(1, 1, 2, 2));
    cr_shape w_shape = cr_shape_of(4, (int64_t[]){1, 1, 1, 1});
    cr_value *w;
    cr_tensor *t;
    s.x->dtype = CREASE_FLOAT16;
    OK(cr_graph_new_constant(s.model->graph, "w", CREASE_FLOAT16, &w_shape, &w, &t));
    cr_store_float(CREASE_FLOAT16, t->data, 0, weight);
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, w)), *p[4];
    for (int i = 0; i < 4; i++) {
        cr_shape one = cr_shape_of(1, (int64_t[]){1});
        OK(cr_graph_new_constant(s.model->graph, "p", CREASE_FLOAT16, &one, &p[i], &t));
        cr_store_float(CREASE_FLOAT16, t->data, 0, i == 0 ? gamma : i == 1 ? beta : i == 3 ? 1 : 0);
    }
    small_output(&s, small_node(&s, "BatchNormalization", "bn", IN(y, p[0], p[1], p[2], p[3])));
    return s;
}

Test(fold_conv, refuses_overflow_of_the_storage_type) {
    expect_kept(halves(60000, 2, 0), "overflow");
    small s = halves(20000, 1, 0);
    small_expect(&s, "bn", "conv-bn");
}

/* Below 6e-5 float16 has steps of 6e-8. Beside a larger bias they do not matter. */
Test(fold_conv, refuses_underflow_of_the_storage_type) {
    expect_kept(halves(1e-3, 1e-3, 0), "underflow");
    small s = halves(1e-3, 1e-3, 0.5);
    small_expect(&s, "bn", "conv-bn");
    s = halves(1e-3, 1, 0);
    small_expect(&s, "bn", "conv-bn");
}

Test(fold_conv, refuses_weights_and_parameters_that_callers_may_set) {
    small s = conv_bn(1, true, NULL);
    cr_value *gamma = small_find(&s, "bn")->inputs[1];
    gamma->initial = gamma->constant;
    gamma->constant = NULL;
    OK(cr_graph_add_input(s.model->graph, gamma));
    expect_kept(s, "overridable-initializer");
    s = conv_bn(1, true, NULL);
    cr_value *w = small_find(&s, "conv")->inputs[1];
    w->constant = NULL;
    OK(cr_graph_add_input(s.model->graph, w));
    expect_kept(s, "not-constant");
}

Test(fold_conv, refuses_used_statistics) {
    small s = small_begin(7, DIMS(1, 2, 3, 3));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(2, 2, 1, 1)))),
             *out[2];
    OK(cr_graph_add_value(s.model->graph, "out", true, &out[0]));
    OK(cr_graph_add_value(s.model->graph, "running", true, &out[1]));
    cr_node *bn;
    OK(cr_graph_add_node(
        s.model->graph, NULL, "BatchNormalization", "", "bn",
        (cr_value *[]){y, small_constant(&s, "g", 1, 2, DIMS(2)), small_constant(&s, "b", 1, 2, DIMS(2)),
                       small_constant(&s, "m", 1, 2, DIMS(2)), small_constant(&s, "v", 1, 2, DIMS(2))},
        5, out, 2, &bn));
    small_output(&s, out[0]);
    small_output(&s, out[1]);
    expect_kept(s, "extra-outputs");
}

/* Statistics that nobody reads ask for training all the same before operator set 14. */
Test(fold_conv, unused_statistics_by_operator_set) {
    static const struct {
        int64_t opset;
        int is_test;
        const char *outcome;
    } cases[] = {{6, 1, "conv-bn"}, {6, 0, "training-mode"}, {9, 0, "extra-outputs"}, {15, 0, "conv-bn"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small s = small_begin(cases[i].opset, DIMS(1, 2, 3, 3));
        cr_value *y =
            small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(2, 2, 1, 1))));
        cr_value *in[5] = {y}, *out[2];
        for (int p = 1; p < 5; p++)
            in[p] = small_constant(&s, "p", 0.5, 1, DIMS(2));
        for (int o = 0; o < 2; o++)
            OK(cr_graph_add_value(s.model->graph, NULL, true, &out[o]));
        cr_node *bn;
        OK(cr_graph_add_node(s.model->graph, NULL, "BatchNormalization", "", "bn", in, 5, out, 2, &bn));
        if (cases[i].is_test)
            OK(cr_node_set_int(bn, "is_test", 1));
        OK(cr_node_set_float(bn, "momentum", 0.5F)); /* of no account at inference */
        small_output(&s, out[0]);
        OK(cr_model_resolve(s.model));
        OK(cr_optimize_fold(s.model, NULL, s.report));
        crease_fold_entry e = small_entry(&s, "bn");
        cr_assert_str_eq(e.folded ? e.pattern : e.reason, cases[i].outcome);
        small_end(&s);
    }
}

/* MXNet writes spatial 0 with one parameter a channel; with one a position nothing folds. */
Test(fold_conv, spatial_0) {
    for (int map = 0; map < 2; map++) {
        small s = small_begin(8, DIMS(1, 2, 3, 3));
        cr_value *y =
            small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(2, 2, 1, 1))));
        cr_value *in[5] = {y};
        for (int p = 1; p < 5; p++)
            in[p] = small_constant(&s, "p", 0.5, 1, map ? 3 : 1, (int64_t[]){2, 3, 3});
        small_output(&s, small_node(&s, "BatchNormalization", "bn", 5, in));
        OK(cr_node_set_int(small_find(&s, "bn"), "spatial", 0));
        small_expect(&s, "bn", map ? "spatial-0" : "conv-bn");
    }
}

/* x, w in one type, the BN's parameters in another (opset 15): W' is W s rounded once to the type of W. */
Test(fold_conv, types_and_mixed_types) {
    static const crease_dtype types[] = {CREASE_FLOAT16, CREASE_BFLOAT16, CREASE_FLOAT, CREASE_DOUBLE};
    for (int i = 0; i < 16; i++) {
        crease_dtype data = types[i / 4], parameters = types[i % 4];
        small s = small_begin(15, DIMS(1, 1, 2, 2));
        const double values[6] = {0.7, -1.3, 0.4, 0.3, 0.9, 0.1};
        cr_value *v[6];
        cr_tensor *t;
        s.x->dtype = data;
        for (int j = 0; j < 6; j++) {
            cr_shape shape = cr_shape_of(j ? 1 : 4, (int64_t[]){1, 1, 1, 1});
            OK(cr_graph_new_constant(s.model->graph, "c", j == 0 || j == 5 ? data : parameters, &shape, &v[j],
                                     &t));
            cr_store_float(t->dtype, t->data, 0, values[j]);
        }
        cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, v[0], v[5]));
        small_output(&s, small_node(&s, "BatchNormalization", "bn", IN(y, v[1], v[2], v[3], v[4])));
        double p[6];
        for (int j = 0; j < 6; j++)
            p[j] = cr_load_float(v[j]->dtype, v[j]->constant->data, 0);
        double scale = p[1] / sqrt(p[4] + (double)1e-5F),
               exact[2] = {p[0] * scale, fma(p[5] - p[3], scale, p[2])};
        OK(cr_model_resolve(s.model));
        OK(cr_graph_infer(s.model->graph));
        OK(cr_optimize_fold(s.model, NULL, s.report));
        cr_assert(small_entry(&s, "bn").folded, "%s", small_entry(&s, "bn").detail);
        for (int j = 0; j < 2; j++) {
            const cr_tensor *w = cr_node_constant(small_find(&s, "conv"), 1 + j);
            double rounded;
            cr_store_float(data, &rounded, 0, exact[j]);
            cr_assert_eq(w->dtype, data);
            cr_assert_eq(cr_load_float(data, w->data, 0), cr_load_float(data, &rounded, 0));
        }
        small_end(&s);
    }
}

Test(fold_conv, refuses_no_channels) {
    small s = small_begin(17, DIMS(1, 2, 3, 3));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(0, 2, 1, 1))));
    small_output(&s, small_bn(&s, "bn", y, 0));
    small_expect(&s, "bn", "no-channels");
}

/* Nothing changes, but the report names the node all the same. */
Test(fold_conv, identity) {
    small s = conv_bn(1, true, NULL);
    cr_node *bn = small_find(&s, "bn");
    for (int i = 1; i < 5; i++)
        for (int c = 0; c < 8; c++)
            ((double *)bn->inputs[i]->constant->data)[c] = i == 1 || i == 4;
    OK(cr_node_set_float(bn, "epsilon", 0));
    const cr_value *w = small_find(&s, "conv")->inputs[1];
    small_fold_with(&s, NULL);
    cr_assert_str_eq(small_entry(&s, "bn").into, "conv");
    cr_assert_eq(small_entry(&s, "bn").bound, 0);
    cr_assert_eq(small_find(&s, "conv")->inputs[1], w);
    small_end(&s);
}

Test(fold_conv, bounds_are_those_of_type_and_length) {
    small s = conv_bn(2, true, NULL);
    small_fold_with(&s, NULL);
    crease_fold_entry e = small_entry(&s, "bn");
    cr_assert_eq(e.bound, 0x1p-53);
    cr_assert(fabs(e.layer_bound - 0x1p-53 * (3 * sqrt(2 * 9) + 2)) < 1e-25); /* 2 channels of 3x3 taps */
    small_end(&s);
}

Test(fold_conv, names_choose) {
    small s = conv_bn(1, true, NULL);
    small_fold_with(&s, &(cr_fold_settings){.keep = "b*"});
    cr_assert_str_eq(small_entry(&s, "bn").reason, "keep");
    small_end(&s);
    s = conv_bn(1, true, NULL);
    small_fold_with(&s, &(cr_fold_settings){.only = "bn"});
    cr_assert(small_entry(&s, "bn").folded);
    small_end(&s);
    s = conv_bn(1, true, NULL);
    cr_assert_eq(cr_optimize_fold(s.model, &(cr_fold_settings){.keep = "nb"}, s.report),
                 CREASE_ERROR_ARGUMENT);
    small_end(&s);
}

/* The node fails when it runs; folding must neither hide that nor read past the parameters. */
Test(fold_conv, refuses_parameters_of_another_length) {
    for (int64_t channels = 5; channels <= 9; channels += 4) {
        small s = conv_bn(1, true, NULL);
        for (int i = 1; i < 5; i++)
            OK(cr_node_set_input(small_find(&s, "bn"), i, small_constant(&s, "p", 0.5, 1, DIMS(channels))));
        OK(cr_model_resolve(s.model));
        cr_assert(cr_optimize_fold(s.model, NULL, s.report) != CREASE_OK || !small_entry(&s, "bn").folded);
        cr_assert_eq(small_count(&s, "BatchNormalization"), 1);
        small_end(&s);
    }
}

/* A scale alone makes no bias, and a bias is called after the weights. */
Test(fold_conv, a_bias_only_where_there_is_a_shift) {
    for (int shift = 0; shift < 2; shift++) {
        small s = small_begin(13, DIMS(1, 3, 2, 2));
        cr_value *y =
            small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(3, 3, 1, 1))));
        small_output(&s, small_node(&s, shift ? "Add" : "Mul", "op",
                                    IN(y, small_constant(&s, "c", 1, 2, DIMS(3, 1, 1)))));
        small_fold_with(&s, NULL);
        const cr_node *conv = small_find(&s, "conv");
        cr_assert_eq(conv->n_inputs, 2 + shift);
        if (shift)
            cr_assert_str_eq(conv->inputs[2]->name, "w.bias");
        small_end(&s);
    }
}
