#include "tests/passes/small.h"

/* x [3, 5] -> Gemm to 4 columns -> BN; C of any broadcast form */
static small gemm_bn(bool trans_b, int c_rank, const int64_t *c_dims) {
    small s = small_begin(17, DIMS(3, 5));
    cr_value *w =
        trans_b ? small_constant(&s, "w", -1, 1, DIMS(4, 5)) : small_constant(&s, "w", -1, 1, DIMS(5, 4));
    cr_value *y = small_node(&s, "Gemm", "gemm",
                             IN(s.x, w, c_rank < 0 ? NULL : small_constant(&s, "c", -1, 1, c_rank, c_dims)));
    OK(cr_node_set_int(small_find(&s, "gemm"), "transB", trans_b));
    OK(cr_node_set_float(small_find(&s, "gemm"), "alpha", 0.5F));
    OK(cr_node_set_float(small_find(&s, "gemm"), "beta", 0.25F));
    small_output(&s, small_bn(&s, "bn", y, 4));
    return s;
}

Test(fold_gemm, every_form_of_c) {
    static const struct {
        int rank;
        int64_t dims[2];
    } forms[] = {{-1, {0}}, {0, {0}}, {1, {1}}, {1, {4}}, {2, {1, 4}}, {2, {3, 1}}, {2, {3, 4}}, {2, {1, 1}}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        for (int trans_b = 0; trans_b < 2; trans_b++) {
            small s = gemm_bn(trans_b, forms[i].rank, forms[i].dims);
            small_expect(&s, "bn", "gemm-bn");
        }
}

Test(fold_gemm, transposed_input) {
    small s = small_begin(13, DIMS(5, 3));
    cr_value *y = small_node(&s, "Gemm", "gemm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    OK(cr_node_set_int(small_find(&s, "gemm"), "transA", 1));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "gemm-bn");
}

Test(fold_gemm, a_computed_c_stays) {
    small s = small_begin(13, DIMS(3, 4));
    cr_value *c = small_node(&s, "Relu", "c", IN(s.x));
    cr_value *y = small_node(&s, "Gemm", "gemm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(4, 4)), c));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "not-constant");
}

Test(fold_gemm, matmul_becomes_gemm_under_its_name) {
    small s = small_begin(13, DIMS(3, 5));
    small_output(
        &s, small_bn(&s, "bn",
                     small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)))), 4));
    small_fold_with(&s, NULL);
    cr_assert(cr_node_is(small_find(&s, "mm"), "Gemm"));
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "matmul-bn");
    small_end(&s);
}

Test(fold_gemm, matmul_add_bn) {
    for (int side = 0; side < 2; side++) {
        small s = small_begin(13, DIMS(3, 5));
        cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
        cr_value *c = small_constant(&s, "c", -1, 1, DIMS(4));
        y = side ? small_node(&s, "Add", "add", IN(c, y)) : small_node(&s, "Add", "add", IN(y, c));
        small_output(&s, small_bn(&s, "bn", y, 4));
        small_expect(&s, "bn", "matmul-bn");
    }
}

/* [N, L, K] MatMul -> [N, L, C]: BN's channels are axis 1, the product's axis 2, even where the sizes agree.
 */
Test(fold_gemm, refuses_another_axis) {
    small s = small_begin(13, DIMS(2, 4, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "axis-mismatch");
}

Test(fold_gemm, a_transpose_between_matches_the_axes) {
    small s = small_begin(13, DIMS(2, 6, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(4))));
    y = small_node(&s, "Transpose", "turn", IN(y));
    OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){0, 2, 1}, 3));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "matmul-add-permute-bn");
}

Test(fold_gemm, columns_of_a_higher_rank) {
    small s = small_begin(13, DIMS(2, 6, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", -1, 1, DIMS(4)))));
    small_expect(&s, "mul", "matmul-mul");
    s = small_begin(13, DIMS(2, 6, 5)); /* no place for a shift: an Add alone stays */
    y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    small_output(&s, small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(4)))));
    small_expect(&s, "add", "no entry");
}

/* Scaling the product would change what its other consumer sees, though the Add itself has only one. */
Test(fold_gemm, refuses_a_product_that_others_use) {
    small s = small_begin(13, DIMS(2, 6, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)))),
             *product = y;
    y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(4))));
    y = small_node(&s, "Transpose", "turn", IN(y));
    OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){0, 2, 1}, 3));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_output(&s, small_node(&s, "Relu", "relu", IN(product)));
    small_expect(&s, "bn", "several-consumers");
}

/* What is added to the product is a value for each row, so that no bias can take the scale of the columns. */
Test(fold_gemm, a_sum_with_a_map_takes_nothing) {
    small s = small_begin(13, DIMS(2, 3, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    y = small_node(&s, "Add", "sum", IN(y, small_constant(&s, "c", -1, 1, DIMS(3, 4))));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "d", 1, 2, DIMS(4)))));
    small_expect(&s, "mul", "no entry");
}

/* Before opset 7 a row is added to a matrix only where an attribute says so. */
Test(fold_gemm, old_broadcast) {
    for (int64_t opset = 6; opset <= 7; opset++) {
        small s = small_begin(opset, DIMS(3, 5));
        cr_value *y = small_node(
            &s, "Gemm", "gemm",
            IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)), small_constant(&s, "c", -1, 1, DIMS(3, 4))));
        small_output(&s, small_bn(&s, "bn", y, 4));
        OK(cr_node_set_int(small_find(&s, "bn"), "is_test", 1));
        small_fold_with(&s, NULL);
        cr_assert_null(cr_attr_find(small_find(&s, "gemm"), "broadcast"), "a matrix needs none");
        small_end(&s);
        s = small_begin(opset, DIMS(3, 5));
        y = small_node(&s, "MatMul", "gemm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
        small_output(&s, small_bn(&s, "bn", y, 4));
        OK(cr_node_set_int(small_find(&s, "bn"), "is_test", 1));
        small_fold_with(&s, NULL);
        cr_assert_eq(cr_attr_find(small_find(&s, "gemm"), "broadcast") != NULL, opset == 6);
        small_end(&s);
    }
}

/* The product without its bias is an output of its own. */
Test(fold_gemm, a_product_that_is_seen) {
    small s = small_begin(13, DIMS(3, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)))),
             *sum = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(4))));
    small_output(&s, small_node(&s, "Mul", "mul", IN(sum, small_constant(&s, "d", 1, 2, DIMS(4)))));
    small_output(&s, y);
    small_expect(&s, "mul", "no entry");
}

/* An Add that makes the rank one more is no bias. */
Test(fold_gemm, a_sum_of_a_higher_rank) {
    small s = small_begin(13, DIMS(2, 3, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(1, 1, 1, 4))));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "d", 1, 2, DIMS(4)))));
    small_expect(&s, "mul", "no entry");
}

/* With transA the rows are what is summed over. */
Test(fold_gemm, ahead_of_a_transposed_input) {
    for (int rows = 0; rows < 2; rows++) {
        small s = small_begin(13, DIMS(5, 5));
        cr_value *c = rows ? small_constant(&s, "c", 1, 2, DIMS(5, 1))
                           : small_constant(&s, "c", 1, 2, DIMS(5)),
                 *y = small_node(&s, "Mul", "mul", IN(s.x, c));
        small_output(&s, small_node(&s, "Gemm", "gemm", IN(y, small_constant(&s, "w", -1, 1, DIMS(5, 4)))));
        OK(cr_node_set_int(small_find(&s, "gemm"), "transA", 1));
        small_expect(&s, "mul", rows ? "mul-gemm" : "no entry");
    }
    small s = small_begin(13, DIMS(5, 3));
    cr_value *y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, 0, NULL)));
    small_output(&s, small_node(&s, "Gemm", "gemm", IN(y, small_constant(&s, "w", -1, 1, DIMS(5, 4)))));
    OK(cr_node_set_int(small_find(&s, "gemm"), "transA", 1));
    small_expect(&s, "mul", "mul-gemm");
}

/* Behind a product of rank 3 only an Add is a place for a shift. */
Test(fold_gemm, what_is_no_sum_takes_no_shift) {
    static const char *const ops[] = {"Sub", "Max", "Add"};
    for (int i = 0; i < 3; i++) {
        small s = small_begin(13, DIMS(2, 6, 5));
        cr_value *y = small_node(&s, "Add", "shift", IN(s.x, small_constant(&s, "t", 1, 2, DIMS(5))));
        y = small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
        small_output(&s, small_node(&s, ops[i], "op", IN(y, small_constant(&s, "c", -1, 1, DIMS(4)))));
        small_expect(&s, "shift", i == 2 ? "add-matmul-add" : "no entry");
    }
}

/* Before opset 7 a sum without the attribute broadcasts nothing: its operands have one shape. */
Test(fold_gemm, old_sum_of_one_shape) {
    small s = small_begin(6, DIMS(1, 1, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(1, 1, 4))));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "d", 1, 2, DIMS(1, 1, 4)))));
    small_fold_with(&s, NULL);
    cr_assert_eq(small_count(&s, "Mul"), 0);
    cr_assert_eq(small_find(&s, "add")->inputs[1]->shape.rank, 3);
    small_end(&s);
}

/* Before opset 7 an attribute may add the constant to the rows. */
Test(fold_gemm, old_sum_of_rows) {
    small s = small_begin(6, DIMS(4, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(4))));
    OK(cr_node_set_int(small_find(&s, "add"), "broadcast", 1));
    OK(cr_node_set_int(small_find(&s, "add"), "axis", 0));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "d", 1, 2, DIMS(4)))));
    OK(cr_node_set_int(small_find(&s, "mul"), "broadcast", 1));
    small_expect(&s, "mul", "no entry");
}

/* As many rows as columns: one value a row is no bias of the columns, and a row of a higher rank makes other
 * axes. */
Test(fold_gemm, sums_that_only_look_like_a_bias) {
    small s = small_begin(13, DIMS(4, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(4, 1))));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "several-consumers");
    s = small_begin(13, DIMS(4, 5));
    y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(1, 1, 4))));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "several-consumers");
}

Test(fold_gemm, weights_of_three_axes) {
    small s = small_begin(13, DIMS(2, 3, 5));
    cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(2, 5, 4))));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, 0, NULL))));
    small_expect(&s, "mul", "no entry");
}

Test(fold_gemm, one_row_becomes_a_list) {
    small s = small_begin(13, DIMS(3, 5));
    cr_value *y = small_node(
        &s, "Gemm", "gemm",
        IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)), small_constant(&s, "c", -1, 1, DIMS(1, 4))));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_fold_with(&s, NULL);
    cr_assert_eq(small_find(&s, "gemm")->inputs[2]->shape.rank, 1);
    small_end(&s);
}

/* What cannot be folded back may still go ahead. */
Test(fold_gemm, ahead_where_the_product_before_cannot) {
    small s = small_begin(13, DIMS(4, 4));
    cr_value *y = small_node(&s, "MatMul", "first", IN(s.x, small_node(&s, "Transpose", "turn", IN(s.x))));
    y = small_node(&s, "Add", "add", IN(y, small_constant(&s, "c", -1, 1, DIMS(4))));
    small_output(&s, small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(4, 3)))));
    small_expect(&s, "add", "add-matmul");
    s = small_begin(13, DIMS(4, 5));
    y = small_node(&s, "MatMul", "first", IN(s.x, small_constant(&s, "v", -1, 1, DIMS(5, 4))));
    small_output(&s, y);
    y = small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4))));
    small_output(&s, small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(4, 3)))));
    small_expect(&s, "mul", "mul-matmul");
}

Test(fold_gemm, ahead_of_the_second_operand) {
    small s = small_begin(13, DIMS(4, 4));
    small_output(&s, small_node(&s, "MatMul", "mm", IN(s.x, small_bn(&s, "bn", s.x, 4))));
    small_expect(&s, "bn", "no-linear-neighbour");
}

Test(fold_gemm, ahead_of_weights_that_would_be_infinite) {
    small s = small_begin(13, DIMS(4, 4));
    cr_value *y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1e200, 2e200, 0, NULL)));
    small_output(&s,
                 small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", 1e200, 2e200, DIMS(4, 3)))));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_eq(cr_report_n_folded(s.report), 0);
    small_end(&s);
}
