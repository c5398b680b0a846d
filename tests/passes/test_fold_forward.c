#include "tests/passes/small.h"

/* x [2, 4, 6, 7] -> BN -> op with weights w */
static small bn_conv(const char *op, int64_t group, int rank, const int64_t *w_dims, bool bias) {
    small s = small_begin(17, DIMS(2, 4, 6, 7));
    cr_value *y = small_bn(&s, "bn", small_node(&s, "Relu", "relu", IN(s.x)), 4);
    int64_t out = strcmp(op, "Conv") == 0 ? w_dims[0] : w_dims[1] * group;
    cr_value *w = small_constant(&s, "w", -1, 1, rank, w_dims);
    small_output(
        &s, small_node(&s, op, "conv", IN(y, w, bias ? small_constant(&s, "b", -1, 1, DIMS(out)) : NULL)));
    OK(cr_node_set_int(small_find(&s, "conv"), "group", group));
    return s;
}

Test(fold_forward, conv_without_padding) {
    for (int64_t group = 1; group <= 4; group *= 2) {
        small s = bn_conv("Conv", group, DIMS(8, 4 / group, 3, 2), group > 1);
        OK(cr_node_set_ints(small_find(&s, "conv"), "strides", (int64_t[]){2, 1}, 2));
        small_expect(&s, "bn", "bn-conv");
    }
}

Test(fold_forward, refuses_padding) {
    small s = bn_conv("Conv", 1, DIMS(3, 4, 3, 3), true);
    OK(cr_node_set_ints(small_find(&s, "conv"), "pads", (int64_t[]){0, 0, 0, 1}, 4));
    small_expect(&s, "bn", "padded-border");
    s = bn_conv("Conv", 1, DIMS(3, 4, 3, 3), true);
    OK(cr_node_set_string(small_find(&s, "conv"), "auto_pad", "SAME_UPPER"));
    small_expect(&s, "bn", "padded-border");
}

Test(fold_forward, padding_that_adds_nothing) {
    small s = bn_conv("Conv", 1, DIMS(3, 4, 1, 1), true);
    OK(cr_node_set_string(small_find(&s, "conv"), "auto_pad", "SAME_LOWER"));
    small_expect(&s, "bn", "bn-conv");
    s = bn_conv("Conv", 1, DIMS(3, 4, 3, 3), true);
    OK(cr_node_set_string(small_find(&s, "conv"), "auto_pad", "VALID"));
    small_expect(&s, "bn", "bn-conv");
}

Test(fold_forward, a_scale_alone_ignores_borders) {
    small s = small_begin(17, DIMS(2, 4, 6, 7));
    cr_value *y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", -2, 2, DIMS(4, 1, 1))));
    small_output(&s, small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(3, 4, 3, 3)))));
    OK(cr_node_set_ints(small_find(&s, "conv"), "pads", (int64_t[]){1, 1, 1, 1}, 4));
    small_expect(&s, "mul", "mul-conv");
}

Test(fold_forward, transposed) {
    small s = bn_conv("ConvTranspose", 2, DIMS(4, 3, 1, 1), true);
    small_expect(&s, "bn", "bn-conv-transpose");
    s = bn_conv("ConvTranspose", 1, DIMS(4, 3, 3, 3), true);
    small_expect(&s, "bn", "border-values");
    s = bn_conv("ConvTranspose", 1, DIMS(4, 3, 1, 1), true);
    OK(cr_node_set_ints(small_find(&s, "conv"), "strides", (int64_t[]){2, 2}, 2));
    small_expect(&s, "bn", "border-values");
}

Test(fold_forward, all_consumers_or_none) {
    for (int padded = 0; padded < 2; padded++) {
        small s = bn_conv("Conv", 1, DIMS(3, 4, 3, 3), true);
        cr_value *y = small_find(&s, "bn")->outputs[0];
        small_output(
            &s, small_node(&s, "Conv", "second", IN(y, small_constant(&s, "v", -1, 1, DIMS(2, 4, 1, 1)))));
        if (padded)
            OK(cr_node_set_ints(small_find(&s, "second"), "pads", (int64_t[]){1, 1, 1, 1}, 4));
        if (!padded) {
            small_fold_with(&s, NULL);
            cr_assert_str_eq(small_entry(&s, "bn").into, "conv,second");
            small_end(&s);
        } else
            small_expect(&s, "bn", "padded-border");
    }
}

Test(fold_forward, refuses_a_graph_output) {
    small s = bn_conv("Conv", 1, DIMS(3, 4, 3, 3), true);
    small_output(&s, small_find(&s, "bn")->outputs[0]);
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_not(small_entry(&s, "bn").folded);
    small_end(&s);
}

Test(fold_forward, gemm_and_flatten) {
    small s = small_begin(13, DIMS(3, 5));
    cr_value *y = small_bn(&s, "bn", small_node(&s, "Relu", "relu", IN(s.x)), 5);
    small_output(&s, small_node(&s, "Gemm", "gemm",
                                IN(y, small_constant(&s, "w", -1, 1, DIMS(4, 5)),
                                   small_constant(&s, "c", -1, 1, DIMS(3, 1)))));
    OK(cr_node_set_int(small_find(&s, "gemm"), "transB", 1));
    OK(cr_node_set_float(small_find(&s, "gemm"), "alpha", 0.5F));
    OK(cr_node_set_float(small_find(&s, "gemm"), "beta", 2));
    small_expect(&s, "bn", "bn-gemm");
    s = small_begin(13, DIMS(2, 3, 2, 4));
    y = small_bn(&s, "bn", small_node(&s, "Relu", "relu", IN(s.x)), 3);
    y = small_node(&s, "Flatten", "flat", IN(y));
    small_output(&s, small_node(&s, "Gemm", "gemm", IN(y, small_constant(&s, "w", -1, 1, DIMS(24, 5)))));
    small_expect(&s, "bn", "bn-flatten-gemm");
}

Test(fold_forward, refuses_a_gemm_that_transposes_its_input) {
    small s = small_begin(13, DIMS(5, 5));
    cr_value *y = small_bn(&s, "bn", small_node(&s, "Relu", "relu", IN(s.x)), 5);
    small_output(&s, small_node(&s, "Gemm", "gemm", IN(y, small_constant(&s, "w", -1, 1, DIMS(5, 4)))));
    OK(cr_node_set_int(small_find(&s, "gemm"), "transA", 1));
    small_expect(&s, "bn", "axis-mismatch");
}

Test(fold_forward, matmul_of_any_rank) {
    small s = small_begin(13, DIMS(2, 3, 5));
    cr_value *y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "g", -1, 1, DIMS(5))));
    y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "t", -1, 1, DIMS(5))));
    y = small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    small_output(&s, small_node(&s, "Add", "bias", IN(y, small_constant(&s, "c", -1, 1, DIMS(4)))));
    small_expect(&s, "mul", "mul-matmul-add");
}

/* x -> BN -> activation -> Conv */
static small preactivation(const char *activation) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *y = small_node(&s, activation, "act", IN(small_bn(&s, "bn", s.x, 3)));
    small_output(&s, small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(2, 3, 1, 1)))));
    return s;
}

Test(fold_forward, preactivation_stays) {
    small s = preactivation("Relu");
    small_fold_with(&s, NULL);
    crease_fold_entry e = small_entry(&s, "bn");
    cr_assert_str_eq(e.reason, "pre-activation");
    cr_assert(strstr(e.detail, "run it fused"));
    small_end(&s);
    s = preactivation("Sigmoid");
    small_expect(&s, "bn", "pre-activation");
    s = preactivation("Softmax"); /* not element by element */
    small_expect(&s, "bn", "nonlinear-after");
    s = small_begin(13, DIMS(1, 3, 4, 4)); /* nothing linear behind */
    small_output(&s, small_node(&s, "Relu", "relu", IN(small_bn(&s, "bn", s.x, 3))));
    small_expect(&s, "bn", "nonlinear-after");
}

/* A session fuses what only such consumers see: another one gives the reason, wherever it stands. */
Test(fold_forward, what_is_fused_gives_way_to_other_reasons) {
    for (int first = 0; first < 2; first++) {
        small s = small_begin(13, DIMS(1, 3, 4, 4));
        cr_value *y = small_bn(&s, "bn", s.x, 3);
        if (first)
            small_output(&s, small_node(&s, "LRN", "lrn", IN(y)));
        cr_value *z = small_node(&s, "Relu", "relu", IN(y));
        small_output(&s,
                     small_node(&s, "Conv", "conv", IN(z, small_constant(&s, "w", -1, 1, DIMS(2, 3, 1, 1)))));
        if (!first)
            small_output(&s, small_node(&s, "LRN", "lrn", IN(y)));
        CR_FOR_NODES(node, s.model->graph)
        if (cr_node_is(node, "LRN"))
            OK(cr_node_set_int(node, "size", 3));
        small_expect(&s, "bn", "no-linear-neighbour");
    }
}

Test(fold_forward, padding_is_absorbed_only_directly_behind) {
    small s = bn_conv("Conv", 1, DIMS(3, 4, 3, 3), true);
    OK(cr_node_set_ints(small_find(&s, "conv"), "pads", (int64_t[]){1, 1, 1, 1}, 4));
    small_fold_with(&s, NULL);
    cr_assert(strstr(small_entry(&s, "bn").detail, "sessions absorb it exactly"));
    small_end(&s);
    s = small_begin(17, DIMS(2, 4, 6, 7));
    cr_value *y = small_bn(&s, "bn", small_node(&s, "Relu", "relu", IN(s.x)), 4);
    y = small_node(&s, "AveragePool", "pool", IN(y));
    OK(cr_node_set_ints(small_find(&s, "pool"), "kernel_shape", (int64_t[]){2, 2}, 2));
    small_output(&s, small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(2, 4, 3, 3)))));
    OK(cr_node_set_ints(small_find(&s, "conv"), "pads", (int64_t[]){1, 1, 1, 1}, 4));
    small_expect(&s, "bn", "border-values");
}

/* An unknown number of channels may be 1, which the Mul widens: the convolution must not see it. */
Test(fold_forward, refuses_what_may_broadcast) {
    for (int known = 0; known < 2; known++) {
        small s = small_begin(17, DIMS(2, 4, 6, 7));
        s.x->shape.dims[1] = known ? 4 : -1;
        cr_value *y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(4, 1, 1))));
        small_output(&s,
                     small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(3, 4, 1, 1)))));
        OK(cr_model_resolve(s.model));
        OK(cr_graph_infer(s.model->graph));
        OK(cr_optimize_fold(s.model, NULL, s.report));
        cr_assert_eq(small_entry(&s, "mul").folded, known);
        small_end(&s);
    }
}

/* A size asked for may be more than the input makes. */
Test(fold_forward, transposed_to_a_given_size) {
    small s = bn_conv("ConvTranspose", 1, DIMS(4, 3, 1, 1), true);
    OK(cr_node_set_ints(small_find(&s, "conv"), "output_shape", (int64_t[]){6, 7}, 2));
    small_expect(&s, "bn", "border-values");
}

/* Weights that are computed, and weights that are what is normalised. */
Test(fold_forward, refuses_weights_that_are_not_constant) {
    for (int normalised = 0; normalised < 2; normalised++) {
        small s = bn_conv("Conv", 1, DIMS(3, 4, 1, 1), false);
        cr_node *node = small_find(&s, "conv");
        cr_value *other;
        OK(cr_graph_add_value(s.model->graph, "other", true, &other));
        other->dtype = CREASE_DOUBLE;
        other->shape = cr_shape_of(DIMS(3, 4, 1, 1));
        OK(cr_graph_add_input(s.model->graph, other));
        if (normalised) { /* [2, 4, 6, 7] as weights */
            other->shape = cr_shape_of(DIMS(1, 4, 8, 8));
            OK(cr_node_set_input(node, 1, node->inputs[0]));
            OK(cr_node_set_input(node, 0, other));
        } else
            OK(cr_node_set_input(node, 1, other));
        OK(cr_optimize_fold(s.model, NULL, s.report));
        cr_assert_str_eq(small_entry(&s, "bn").reason, normalised ? "nonlinear-before" : "not-constant");
        small_end(&s);
    }
}

Test(fold_forward, a_bias_is_called_after_the_weights) {
    for (int gemm = 0; gemm < 2; gemm++) {
        small s = gemm ? small_begin(13, DIMS(2, 3)) : small_begin(13, DIMS(1, 3, 2, 2));
        cr_value *w = gemm ? small_constant(&s, "w", -1, 1, DIMS(3, 4))
                           : small_constant(&s, "w", -1, 1, DIMS(4, 3, 1, 1));
        small_output(&s, small_node(&s, gemm ? "Gemm" : "Conv", "last", IN(small_bn(&s, "bn", s.x, 3), w)));
        small_fold_with(&s, NULL);
        cr_assert_str_eq(small_find(&s, "last")->inputs[2]->name, "w.bias");
        small_end(&s);
    }
}

/* Around a kernel of 1 with a stride of 1 there is nothing to pad. */
Test(fold_forward, a_transposed_convolution_that_pads_nothing) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *y =
        small_node(&s, "ConvTranspose", "last",
                   IN(small_bn(&s, "bn", s.x, 3), small_constant(&s, "w", -1, 1, DIMS(3, 2, 1, 1))));
    OK(cr_node_set_string(small_find(&s, "last"), "auto_pad", "SAME_UPPER"));
    small_output(&s, y);
    small_expect(&s, "bn", "bn-conv-transpose");
}
