#include "tests/runtime/ops/one.h"

Test(matmul, vectors_on_either_side) {
    one o = one_begin("MatMul", 13, 1);
    one_floats(&o, 1, DIMS(2));
    one_floats(&o, 1, DIMS(2));
    ONE_GIVES(&o, (SCALAR), 5);
    one left = one_begin("MatMul", 13, 1);
    one_floats(&left, 1, DIMS(2));
    one_floats(&left, 1, DIMS(2, 3));
    ONE_GIVES(&left, (DIMS(3)), 9, 12, 15);
}

Test(matmul, batches_stretch) {
    one o = one_begin("MatMul", 13, 1);
    one_floats(&o, 1, DIMS(2, 1, 1, 1));
    one_floats(&o, 1, DIMS(3, 1, 1));
    ONE_GIVES(&o, (DIMS(2, 3, 1, 1)), 1, 2, 3, 2, 4, 6);
}

Test(matmul, a_sum_of_no_products_is_zero) {
    one o = one_begin("MatMul", 13, 1);
    one_floats(&o, 1, DIMS(2, 0));
    one_floats(&o, 1, DIMS(0, 2));
    ONE_GIVES(&o, (DIMS(2, 2)), 0, 0, 0, 0);
}

Test(matmul, no_rows) {
    one o = one_begin("MatMul", 13, 1);
    one_floats(&o, 1, DIMS(0, 3));
    one_floats(&o, 1, DIMS(3, 2));
    ONE_GIVES_NOTHING(&o, (DIMS(0, 2)));
}

Test(matmul, a_scalar_is_refused) {
    one o = one_begin("MatMul", 13, 1);
    one_floats(&o, 1, SCALAR);
    one_floats(&o, 1, DIMS(1));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(matmul, inner_extents_must_agree) {
    one o = one_begin("MatMul", 13, 1);
    one_floats(&o, 1, DIMS(2, 3));
    one_floats(&o, 1, DIMS(2, 3));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(gemm, a_bias_stretches_and_is_scaled) {
    one o = one_begin("Gemm", 13, 1);
    OK(cr_node_set_float(o.node, "beta", 2));
    OK(cr_node_set_int(o.node, "transA", 1));
    one_floats(&o, 1, DIMS(1, 2));
    one_floats(&o, 1, DIMS(1, 2));
    one_floats(&o, 10, DIMS(2, 1));
    ONE_GIVES(&o, (DIMS(2, 2)), 21, 22, 24, 26);
}

Test(gemm, of_no_products_is_the_bias) {
    one o = one_begin("Gemm", 13, 1);
    one_floats(&o, 1, DIMS(1, 0));
    one_floats(&o, 1, DIMS(0, 2));
    one_floats(&o, 7, DIMS(2));
    ONE_GIVES(&o, (DIMS(1, 2)), 7, 8);
}

Test(gemm, a_bias_that_does_not_stretch_is_refused) {
    one o = one_begin("Gemm", 13, 1);
    one_floats(&o, 1, DIMS(2, 2));
    one_floats(&o, 1, DIMS(2, 2));
    one_floats(&o, 1, DIMS(3));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}
