#include "tests/passes/small.h"

/* x [2, in, 5, 4] -> Conv 1x1 to 6 channels */
static cr_value *conv(small *s, int64_t in) {
    *s = small_begin(17, DIMS(2, in, 5, 4));
    return small_node(
        s, "Conv", "conv",
        IN(s->x, small_constant(s, "w", -1, 1, DIMS(6, in, 1, 1)), small_constant(s, "b", -1, 1, DIMS(6))));
}

static void two_bns(small *s, int64_t in) {
    cr_value *y = conv(s, in);
    small_output(s, small_node(s, "Relu", "relu1", IN(small_bn(s, "bn1", y, 6))));
    small_output(s, small_node(s, "Relu", "relu2", IN(small_bn(s, "bn2", y, 6))));
}

Test(fold_copy, a_cheap_convolution_is_computed_twice) {
    small s;
    two_bns(&s, 4);
    small_fold_with(&s, NULL);
    cr_assert_eq(small_count(&s, "BatchNormalization"), 0);
    cr_assert_eq(small_count(&s, "Conv"), 2);
    cr_assert_str_eq(small_entry(&s, "bn1").pattern, "conv-bn-duplicated");
    cr_assert_str_eq(small_entry(&s, "bn1").into, "conv.bn1");
    cr_assert_str_eq(small_entry(&s, "bn2").pattern, "conv-bn");
    cr_assert_str_eq(small_entry(&s, "bn2").into, "conv");
    small_end(&s);
    two_bns(&s, 4);
    small_expect(&s, "bn2", "conv-bn");
}

Test(fold_copy, a_dear_one_is_not_and_the_price_is_said) {
    small s;
    two_bns(&s, 200);
    small_fold_with(&s, NULL);
    crease_fold_entry e = small_entry(&s, "bn1");
    cr_assert_eq(small_count(&s, "Conv"), 1);
    cr_assert_str_eq(e.reason, "several-consumers");
    cr_assert(strstr(e.detail, "would cost 200 multiplications"), "%s", e.detail);
    small_end(&s);
}

/* One more consumer that is no normalisation needs the convolution as it is: a copy saves one pass alone. */
Test(fold_copy, other_consumers_count) {
    small s;
    cr_value *y = conv(&s, 8);
    small_output(&s, small_node(&s, "Relu", "relu", IN(small_bn(&s, "bn", y, 6))));
    small_output(&s, small_node(&s, "Sigmoid", "sigmoid", IN(y)));
    small_expect(&s, "bn", "several-consumers");
    y = conv(&s, 1);
    small_output(&s, small_node(&s, "Relu", "relu", IN(small_bn(&s, "bn", y, 6))));
    small_output(&s, small_node(&s, "Sigmoid", "sigmoid", IN(y)));
    small_expect(&s, "bn", "conv-bn-duplicated");
    y = conv(&s, 1);
    small_output(&s, small_bn(&s, "bn", y, 6));
    small_output(&s, y);
    small_expect(&s, "bn", "conv-bn-duplicated");
}

Test(fold_copy, nothing_is_copied_in_vain) {
    small s;
    cr_value *y = conv(&s, 1);
    small_output(&s, small_bn(&s, "bn", y, 6));
    small_output(&s, small_bn(&s, "bad", y, 6));
    cr_value *gamma = small_find(&s, "bad")->inputs[1];
    ((double *)gamma->constant->data)[1] = NAN;
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bad").reason, "non-finite");
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-bn-duplicated");
    cr_assert_eq(small_count(&s, "Conv"), 2);
    small_end(&s);
    y = conv(&s, 1); /* the weights would overflow: the copy goes again */
    small_output(&s, small_bn(&s, "bn", y, 6));
    small_output(&s, small_node(&s, "Relu", "relu", IN(y)));
    ((double *)small_find(&s, "conv")->inputs[1]->constant->data)[0] = 1e308;
    ((double *)small_find(&s, "bn")->inputs[1]->constant->data)[0] = 1e5;
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").reason, "several-consumers");
    cr_assert_eq(small_count(&s, "Conv"), 1);
    small_end(&s);
}

Test(fold_copy, products) {
    for (int64_t k = 3; k <= 300; k *= 100) {
        small s = small_begin(13, DIMS(64, k));
        cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(k, 8))));
        small_output(&s, small_bn(&s, "bn", y, 8));
        small_output(&s, small_bn(&s, "bn2", y, 8));
        small_expect(&s, "bn", k == 3 ? "matmul-bn-duplicated" : "several-consumers");
    }
}

Test(fold_copy, transposed) {
    for (int64_t in = 2; in <= 400; in += 398) {
        small s = small_begin(13, DIMS(1, in, 4, 4));
        cr_value *y = small_node(&s, "ConvTranspose", "conv",
                                 IN(s.x, small_constant(&s, "w", -1, 1, DIMS(in, 8, 2, 2))));
        OK(cr_node_set_ints(small_find(&s, "conv"), "strides", (int64_t[]){2, 2}, 2));
        small_output(&s, small_bn(&s, "bn", y, 8));
        small_output(&s, small_bn(&s, "bn2", y, 8));
        small_expect(&s, "bn", in == 2 ? "conv-transpose-bn-duplicated" : "several-consumers");
    }
}

/* Only a linear operator is worth a copy, and only one whose weights are known. */
Test(fold_copy, others_are_not_copied) {
    small s;
    cr_value *y = conv(&s, 1);
    y = small_node(&s, "MaxPool", "pool", IN(y));
    OK(cr_node_set_ints(small_find(&s, "pool"), "kernel_shape", (int64_t[]){2, 2}, 2));
    small_output(&s, small_bn(&s, "bn", y, 6));
    small_output(&s, small_node(&s, "Relu", "relu", IN(y)));
    small_expect(&s, "bn", "several-consumers");
    s = small_begin(13, DIMS(1, 1, 4, 4));
    y = small_node(&s, "Conv", "conv", IN(s.x, small_node(&s, "Relu", "w", IN(s.x))));
    small_output(&s, small_bn(&s, "bn", y, 1));
    small_output(&s, small_node(&s, "Relu", "relu", IN(y)));
    small_expect(&s, "bn", "several-consumers");
}

/* What is left by name or could not be folded saves nothing. */
Test(fold_copy, only_what_would_fold_is_counted) {
    for (int kept = 0; kept < 2; kept++) {
        small s;
        cr_value *y = conv(&s, 8); /* dear for one, worth it for two */
        small_output(&s, small_bn(&s, "bn", y, 6));
        small_output(&s, small_bn(&s, "other", y, 6));
        if (!kept)
            ((double *)small_find(&s, "other")->inputs[1]->constant->data)[1] = NAN;
        OK(cr_optimize_fold(s.model, kept ? &(cr_fold_settings){.keep = "other"} : NULL, s.report));
        cr_assert_str_eq(small_entry(&s, "bn").reason, "several-consumers");
        small_end(&s);
    }
    small s;
    cr_value *y = conv(&s, 8);
    small_output(&s, small_bn(&s, "bn", y, 6));
    small_output(&s, small_bn(&s, "other", y, 6));
    small_expect(&s, "bn", "conv-bn-duplicated");
}

/* 3 x 3 for each of 64 channels costs 9 multiplications, not 64. */
Test(fold_copy, a_transposed_one_is_priced_by_its_taps) {
    small s = small_begin(13, DIMS(1, 64, 8, 8));
    cr_value *y =
        small_node(&s, "ConvTranspose", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(64, 1, 3, 3))));
    OK(cr_node_set_int(small_find(&s, "conv"), "group", 64));
    small_output(&s, small_bn(&s, "bn1", y, 64));
    small_output(&s, small_bn(&s, "bn2", y, 64));
    small_expect(&s, "bn1", "conv-transpose-bn-duplicated");
}

/* A multiplication is no normalisation, for which a copy would be made. */
Test(fold_copy, other_affines_count_as_other_consumers) {
    small s;
    cr_value *y = conv(&s, 8);
    small_output(&s, small_bn(&s, "bn", y, 6));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(6, 1, 1)))));
    small_expect(&s, "bn", "several-consumers");
}

/* Several consumers of something else than an operator's result. */
Test(fold_copy, an_input_is_not_copied) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *y = small_bn(&s, "bn", s.x, 3), *out[2];
    cr_node *pool;
    for (int i = 0; i < 2; i++)
        OK(cr_graph_add_value(s.model->graph, NULL, true, &out[i]));
    OK(cr_graph_add_node(s.model->graph, NULL, "MaxPool", "", "pool", &y, 1, out, 2, &pool));
    OK(cr_node_set_ints(pool, "kernel_shape", (int64_t[]){2, 2}, 2));
    for (int i = 0; i < 2; i++)
        small_output(&s, out[i]);
    small_output(&s, small_node(&s, "Relu", "relu", IN(s.x)));
    OK(cr_model_resolve(s.model));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").reason, "several-consumers");
    small_end(&s);
}
