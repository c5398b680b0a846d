#include "tests/runtime/ops/one.h"

/* Values that a few lines of arithmetic give; networks are compared in tests/passes. */

static one begin(const char *op) {
    one o = one_begin(op, 13, 1);
    OK(cr_model_set_opset(o.model, "com.microsoft", 1));
    OK(cr_node_set_op(o.node, op, "com.microsoft"));
    return o;
}

static void bytes(one *o, crease_dtype dtype, int n, const int *values) {
    uint8_t *data = one_input(o, dtype, 1, (int64_t[]){n});
    for (int i = 0; i < n; i++)
        data[i] = (uint8_t)values[i];
}

static void scale(one *o, float value) {
    *(float *)one_input(o, CREASE_FLOAT, 0, NULL) = value;
}

static void zero(one *o, crease_dtype dtype, int value) {
    *(uint8_t *)one_input(o, dtype, 0, NULL) = (uint8_t)value;
}

/* A scale and a zero point for uint8. */
static void grid(one *o, float step, int zero_point) {
    scale(o, step);
    zero(o, CREASE_UINT8, zero_point);
}

#define BYTES(...)                                                                                           \
    (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (const int[]) {                                       \
        __VA_ARGS__                                                                                          \
    }

/* 0.5 (a - 10) + 0.25 (b - 20) in steps of 0.5 above 5, at most 255. */
Test(qlinear, sums) {
    one o = begin("QLinearAdd");
    bytes(&o, CREASE_UINT8, BYTES(10, 12, 22, 250));
    grid(&o, 0.5f, 10);
    bytes(&o, CREASE_UINT8, BYTES(20, 21, 11, 255));
    grid(&o, 0.25f, 20);
    grid(&o, 0.5f, 5);
    ONE_GIVES(&o, (DIMS(4)), 5, 7, 13, 255); /* 2.5 and 7.5 steps: ties go to even */
}

Test(qlinear, signed_products) {
    one o = begin("QLinearMul");
    bytes(&o, CREASE_INT8, BYTES(-8, 4, 127));
    scale(&o, 0.5f);
    zero(&o, CREASE_INT8, 0);
    bytes(&o, CREASE_INT8, BYTES(3));
    scale(&o, 2);
    zero(&o, CREASE_INT8, 1);
    scale(&o, 1);
    zero(&o, CREASE_INT8, -4);
    ONE_GIVES(&o, (DIMS(3)), -20, 4, 127);
}

Test(qlinear, zero_points_that_are_left_out_are_zero) {
    one o = begin("QLinearLeakyRelu");
    OK(cr_node_set_float(o.node, "alpha", 0.5f));
    bytes(&o, CREASE_INT8, BYTES(-100, 7));
    scale(&o, 1);
    one_skip(&o);
    scale(&o, 1);
    ONE_GIVES(&o, (DIMS(2)), -50, 7);
}

Test(qlinear, operands_of_a_concatenation_have_steps_of_their_own) {
    one o = begin("QLinearConcat");
    OK(cr_node_set_int(o.node, "axis", 0));
    grid(&o, 1, 100);
    bytes(&o, CREASE_UINT8, BYTES(1, 2));
    grid(&o, 3, 0);
    bytes(&o, CREASE_UINT8, BYTES(40));
    grid(&o, 0.5f, 0);
    ONE_GIVES(&o, (DIMS(3)), 103, 106, 120);
}

/* [1, 2] times the transposed [[1, 1], [2, -1]], columns scaled by 1 and 10, plus a bias in such steps. */
Test(qlinear, a_product_scales_columns) {
    one o = begin("QGemm");
    OK(cr_node_set_int(o.node, "transB", 1));
    memcpy(one_input(&o, CREASE_UINT8, DIMS(1, 2)), (uint8_t[]){11, 12}, 2);
    grid(&o, 2, 10);
    memcpy(one_input(&o, CREASE_INT8, DIMS(2, 2)), (int8_t[]){1, 1, 2, -1}, 4);
    memcpy(one_input(&o, CREASE_FLOAT, DIMS(2)), (float[]){1, 10}, 8);
    memset(one_input(&o, CREASE_INT8, DIMS(2)), 0, 2);
    memcpy(one_input(&o, CREASE_INT32, DIMS(2)), (int32_t[]){5, -3}, 8);
    ONE_GIVES(&o, (DIMS(1, 2)), 2 * (3 + 5), 20 * (0 - 3));
}

/* ---- refusals ---- */

static one two_operands(void) {
    one o = begin("QLinearAdd");
    bytes(&o, CREASE_UINT8, BYTES(1, 2, 3));
    grid(&o, 1, 0);
    bytes(&o, CREASE_UINT8, BYTES(1, 2, 3));
    return o;
}

Test(qlinear, the_scale_of_the_result_is_missing) {
    one o = two_operands();
    grid(&o, 1, 0);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "scale of the result");
}

Test(qlinear, the_scale_of_an_operand_is_missing) {
    one o = two_operands();
    one_skip(&o);
    one_skip(&o);
    grid(&o, 1, 0);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "operand 1 or its scale is missing");
}

Test(qlinear, no_operand_at_all) {
    one o = begin("QLinearConcat");
    grid(&o, 1, 0);
    ONE_FAILS(&o, CREASE_ERROR_UNSUPPORTED, "0 operands");
}

Test(qlinear, a_scale_for_each_element) {
    one o = two_operands();
    one_floats(&o, 1, DIMS(3));
    zero(&o, CREASE_UINT8, 0);
    grid(&o, 1, 0);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "3 values");
}

Test(qlinear, a_scale_of_bytes) {
    one o = two_operands();
    zero(&o, CREASE_UINT8, 1);
    zero(&o, CREASE_UINT8, 0);
    grid(&o, 1, 0);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "expected float32");
}

Test(qlinear, a_zero_point_of_another_type) {
    one o = two_operands();
    scale(&o, 1);
    zero(&o, CREASE_INT8, 0);
    grid(&o, 1, 0);
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(qlinear, channels_last) {
    one o = begin("QLinearGlobalAveragePool");
    OK(cr_node_set_int(o.node, "channels_last", 1));
    one_input(&o, CREASE_UINT8, DIMS(1, 2, 2, 2));
    grid(&o, 1, 0);
    grid(&o, 1, 0);
    ONE_FAILS(&o, CREASE_ERROR_UNSUPPORTED, "channels_last");
}
