#include "tests/passes/small.h"

/* x [2, 3, 4, 5] -> Conv 1x1 to 6 channels */
static cr_value *conv(small *s) {
    *s = small_begin(17, DIMS(2, 3, 4, 5));
    return small_node(
        s, "Conv", "conv",
        IN(s->x, small_constant(s, "w", -1, 1, DIMS(6, 3, 1, 1)), small_constant(s, "b", -1, 1, DIMS(6))));
}

static void expect_arithmetic(const char *op, bool constant_first, int rank, const int64_t *dims,
                              const char *outcome) {
    small s;
    cr_value *y = conv(&s), *c = small_constant(&s, "c", 0.5, 2, rank, dims);
    small_output(&s, constant_first ? small_node(&s, op, "a", IN(c, y)) : small_node(&s, op, "a", IN(y, c)));
    small_expect(&s, "a", outcome);
}

Test(fold_affine, constants_on_either_side) {
    static const struct {
        const char *op, *behind, *ahead;
    } ops[] = {{"Mul", "conv-mul", "conv-mul"},
               {"Add", "conv-add", "conv-add"},
               {"Sub", "conv-sub", "conv-sub"},
               {"Div", "conv-div", "no entry"}}; /* c / x is not affine */
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        expect_arithmetic(ops[i].op, false, DIMS(6, 1, 1), ops[i].behind);
        expect_arithmetic(ops[i].op, false, DIMS(1, 6, 1, 1), ops[i].behind);
        expect_arithmetic(ops[i].op, true, DIMS(1, 6, 1, 1), ops[i].ahead);
        expect_arithmetic(ops[i].op, false, 0, NULL, ops[i].behind);
        expect_arithmetic(ops[i].op, true, DIMS(1), ops[i].ahead);
    }
}

Test(fold_affine, refuses_other_forms) {
    expect_arithmetic("Mul", false, DIMS(5), "no entry");             /* along the width */
    expect_arithmetic("Add", false, DIMS(1, 6, 4, 5), "no entry");    /* a map */
    expect_arithmetic("Mul", false, DIMS(1, 1, 6, 1, 1), "no entry"); /* a rank more */
    expect_arithmetic("Mul", false, DIMS(2, 1, 1, 1), "no entry");    /* along the batch */
}

Test(fold_affine, refuses_division_by_zero) {
    small s;
    cr_value *y = conv(&s), *c = small_constant(&s, "c", 0, 0, DIMS(6, 1, 1));
    small_output(&s, small_node(&s, "Div", "a", IN(y, c)));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_eq(small_count(&s, "Div"), 1);
    small_end(&s);
}

Test(fold_affine, one_channel_does_not_broadcast_to_many) {
    small s = small_begin(17, DIMS(2, 3, 4, 5));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(1, 3, 1, 1))));
    small_output(&s, small_node(&s, "Mul", "a", IN(y, small_constant(&s, "c", 1, 2, DIMS(6, 1, 1)))));
    small_expect(&s, "a", "no entry");
}

/* Batch normalisation in pieces, as some exporters write it: one fold, rounded once. */
Test(fold_affine, decomposed) {
    small s;
    cr_value *y = conv(&s);
    y = small_node(&s, "Sub", "sub", IN(y, small_constant(&s, "m", -1, 1, DIMS(6, 1, 1))));
    y = small_node(&s, "Div", "div", IN(y, small_constant(&s, "d", 0.5, 2, DIMS(6, 1, 1))));
    y = small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "g", -2, 2, DIMS(6, 1, 1))));
    small_output(&s, small_node(&s, "Add", "add", IN(small_constant(&s, "t", -1, 1, DIMS(6, 1, 1)), y)));
    small_expect(&s, "add", "conv-add");
}

/* The deviation as an expression of the variance. */
Test(fold_affine, decomposed_with_a_square_root) {
    small s;
    cr_value *y = conv(&s);
    y = small_node(&s, "Sub", "sub", IN(y, small_constant(&s, "m", -1, 1, DIMS(6, 1, 1))));
    cr_value *d = small_node(
        &s, "Add", "variance",
        IN(small_constant(&s, "v", 0.5, 2, DIMS(6, 1, 1)), small_constant(&s, "e", 1e-5, 1e-5, 0, NULL)));
    y = small_node(&s, "Div", "div", IN(y, small_node(&s, "Sqrt", "deviation", IN(d))));
    y = small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "g", -2, 2, DIMS(6, 1, 1))));
    small_output(&s, small_node(&s, "Add", "add", IN(small_constant(&s, "t", -1, 1, DIMS(6, 1, 1)), y)));
    small_expect(&s, "sub", "conv-sub");
}

Test(fold_affine, bn_chain_and_scale) {
    small s;
    cr_value *y = small_bn(&s, "bn1", conv(&s), 6);
    y = small_bn(&s, "bn2", y, 6);
    y = small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", -1, 1, DIMS(6, 1, 1))));
    small_output(&s, y);
    small_expect(&s, "bn2", "conv-bn");
}

Test(fold_affine, into_a_bn_without_a_linear_producer) {
    small s;
    cr_value *y = small_bn(&s, "bn1", small_node(&s, "Relu", "relu", IN(conv(&s))), 6);
    small_output(&s, small_bn(&s, "bn2", y, 6));
    small_expect(&s, "bn2", "bn-bn");
    y = small_bn(&s, "bn1", small_node(&s, "Relu", "relu", IN(conv(&s))), 6);
    small_output(&s, small_node(&s, "Sub", "sub", IN(small_constant(&s, "c", -1, 1, DIMS(6, 1, 1)), y)));
    small_expect(&s, "sub", "bn-sub");
    y = small_node(&s, "Relu", "relu", IN(conv(&s)));
    y = small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", -1, 1, DIMS(6, 1, 1))));
    small_output(&s, small_bn(&s, "bn", y, 6));
    small_expect(&s, "mul", "mul-bn");
}

Test(fold_affine, a_kept_bn_takes_nothing) {
    small s;
    cr_value *y = small_bn(&s, "bn1", small_node(&s, "Relu", "relu", IN(conv(&s))), 6);
    small_output(&s, small_bn(&s, "bn2", y, 6));
    small_fold_with(&s, &(cr_fold_settings){.keep = "bn1"});
    cr_assert_eq(small_count(&s, "BatchNormalization"), 2);
    cr_assert_str_eq(small_entry(&s, "bn2").reason, "keep");
    small_end(&s);
}

/* b near the mean: (b - mean) s + beta keeps the digits that b s + (beta - mean s) loses. */
Test(fold_affine, does_not_cancel) {
    small s = small_begin(17, DIMS(1, 1, 1, 1));
    cr_value *y = small_node(&s, "Conv", "conv",
                             IN(s.x, small_constant(&s, "w", 1, 1, DIMS(1, 1, 1, 1)),
                                small_constant(&s, "b", 1e15, 1e15, DIMS(1))));
    y = small_bn(&s, "bn", y, 1);
    small_output(&s, y);
    cr_node *bn = small_find(&s, "bn");
    *(double *)bn->inputs[1]->constant->data = 1.0 / 3;
    *(double *)bn->inputs[2]->constant->data = 0.125;
    *(double *)bn->inputs[3]->constant->data = 1e15 - 0.5;
    *(double *)bn->inputs[4]->constant->data = 1;
    OK(cr_node_set_float(bn, "epsilon", 0));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    double bias = *(double *)small_find(&s, "conv")->inputs[2]->constant->data;
    cr_assert(fabs(bias - (0.5 / 3 + 0.125)) < 1e-15, "%.17g", bias);
    small_end(&s);
}
