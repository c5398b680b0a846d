#include "tests/passes/through.h"

/* Batch-norm folding through operators in between: Concat and sums. */

Test(fold_through_branches, concat) {
    small s = through_begin();
    cr_value *y = small_node(&s, "Concat", "join", IN(through_conv(&s, "a"), through_conv(&s, "b")));
    OK(cr_node_set_int(small_find(&s, "join"), "axis", 1));
    small_output(&s, small_bn(&s, "bn", y, 8));
    small_fold_with(&s, NULL);
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-concat-bn");
    cr_assert_str_eq(small_entry(&s, "bn").into, "a,b");
    small_end(&s);
    s = through_begin(); /* along the width every input takes the whole */
    y = small_node(&s, "Concat", "join", IN(through_conv(&s, "a"), through_conv(&s, "b")));
    OK(cr_node_set_int(small_find(&s, "join"), "axis", -1));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "conv-concat-bn");
}

Test(fold_through_branches, concat_whole_or_not_at_all) {
    small s = through_begin();
    cr_value *a = through_conv(&s, "a");
    cr_value *y =
        small_node(&s, "Concat", "join", IN(a, small_node(&s, "Relu", "relu", IN(through_conv(&s, "b")))));
    OK(cr_node_set_int(small_find(&s, "join"), "axis", 1));
    cr_value *w = small_find(&s, "a")->inputs[1];
    small_output(&s, small_bn(&s, "bn", y, 8));
    small_fold_with(&s, NULL);
    cr_assert_str_eq(small_entry(&s, "bn").reason, "nonlinear-before");
    cr_assert_eq(small_find(&s, "a")->inputs[1], w);
    small_end(&s);
}

Test(fold_through_branches, sum_of_branches) {
    const char *const ops[] = {"Add", "Sub", "Sum"};
    for (size_t i = 0; i < 3; i++) {
        small s = through_begin();
        small_output(
            &s, small_bn(&s, "bn",
                         small_node(&s, ops[i], "sum", IN(through_conv(&s, "a"), through_conv(&s, "b"))), 4));
        small_expect(&s, "bn", "conv-add-bn");
    }
    small s = through_begin(); /* a branch that others need */
    cr_value *a = through_conv(&s, "a");
    small_output(&s, small_bn(&s, "bn", small_node(&s, "Add", "sum", IN(a, through_conv(&s, "b"))), 4));
    small_output(&s, small_node(&s, "Relu", "relu", IN(a)));
    small_expect(&s, "bn", "several-consumers");
}

Test(fold_through_branches, a_branch_that_broadcasts_its_channels) {
    small s = through_begin();
    cr_value *one = small_node(&s, "Conv", "one", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(1, 3, 1, 1))));
    small_output(&s, small_bn(&s, "bn", small_node(&s, "Add", "sum", IN(through_conv(&s, "a"), one)), 4));
    small_expect(&s, "bn", "axis-mismatch");
}

/* A shift goes into the one branch that can take it, and only there. */
Test(fold_through_branches, shift_of_a_sum) {
    small s = through_begin();
    cr_value *relu = small_node(&s, "Relu", "relu", IN(through_conv(&s, "b")));
    cr_value *y = small_node(&s, "Add", "sum", IN(relu, through_conv(&s, "a")));
    small_output(&s, small_node(&s, "Add", "shift", IN(y, small_constant(&s, "t", -1, 1, DIMS(4, 1, 1)))));
    small_fold_with(&s, NULL);
    cr_assert_str_eq(small_entry(&s, "shift").pattern, "conv-add-add");
    cr_assert_str_eq(small_entry(&s, "shift").into, "a");
    small_end(&s);
}

/* Products of rank 3: only the branch with an Add of its own has a place for the shift. */
Test(fold_through_branches, shift_of_a_scaled_sum) {
    for (int biased = 0; biased < 2; biased++) {
        small s = small_begin(13, DIMS(2, 6, 5));
        cr_value *a = small_node(&s, "MatMul", "a", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)))),
                 *b = small_node(&s, "MatMul", "b", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
        if (biased)
            b = small_node(&s, "Add", "bias", IN(b, small_constant(&s, "c", -1, 1, DIMS(4))));
        cr_value *y = small_node(&s, "Transpose", "turn", IN(small_node(&s, "Add", "sum", IN(a, b))));
        OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){0, 2, 1}, 3));
        small_output(&s, small_bn(&s, "bn", y, 4));
        small_expect(&s, "bn", biased ? "matmul-permute-bn" : "no-bias");
    }
}

/* Joined along the width, the sizes there are no matter. */
Test(fold_through_branches, concat_of_unknown_widths) {
    small s = through_begin();
    s.x->shape.dims[3] = CR_DIM_UNKNOWN;
    cr_value *y = small_node(&s, "Concat", "join", IN(through_conv(&s, "a"), through_conv(&s, "b")));
    OK(cr_node_set_int(small_find(&s, "join"), "axis", 3));
    small_output(&s, small_bn(&s, "bn", y, 4));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-concat-bn");
    small_end(&s);
}

/* A matrix beside an image: its axis 1 is the width. */
Test(fold_through_branches, a_branch_of_another_rank) {
    small s = small_begin(13, DIMS(4, 4, 4, 4));
    cr_value *image = small_node(&s, "Conv", "a", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(4, 4, 1, 1)))),
             *mean = small_node(&s, "ReduceMean", "mean", IN(s.x));
    OK(cr_node_set_ints(small_find(&s, "mean"), "axes", (int64_t[]){2, 3}, 2));
    OK(cr_node_set_int(small_find(&s, "mean"), "keepdims", 0));
    cr_value *matrix = small_node(&s, "Gemm", "b", IN(mean, small_constant(&s, "v", -1, 1, DIMS(4, 4))));
    small_output(&s, small_bn(&s, "bn", small_node(&s, "Add", "sum", IN(image, matrix)), 4));
    small_expect(&s, "bn", "axis-mismatch");
}

/* The second branch of a difference is taken away: a shift given to it would have the other sign. */
Test(fold_through_branches, shift_of_a_difference) {
    small s = small_begin(13, DIMS(2, 6, 5));
    cr_value *a = small_node(&s, "MatMul", "a", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)))),
             *b = small_node(&s, "MatMul", "b", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    b = small_node(&s, "Add", "bias", IN(b, small_constant(&s, "c", -1, 1, DIMS(4))));
    cr_value *y = small_node(&s, "Transpose", "turn", IN(small_node(&s, "Sub", "sum", IN(a, b))));
    OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){0, 2, 1}, 3));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "no-bias");
}

/* Between convolutions of one pair for all, whatever the shapes. */
Test(fold_through_branches, a_scalar_behind_a_sum) {
    small s = through_begin();
    cr_value *y = small_node(&s, "Add", "sum", IN(through_conv(&s, "a"), through_conv(&s, "b")));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, 0, NULL))));
    small_expect(&s, "mul", "conv-add-mul");
}
