#include "tests/runtime/ops/one.h"

/* x [1, 2, 1] = 1, 2; gamma, beta, mean, var constant over the channels. */
static one batch_norm_with(int64_t opset, float var, int n_out) {
    one o = one_begin("BatchNormalization", opset, n_out);
    one_floats(&o, 1, DIMS(1, 2, 1));
    for (int p = 0; p < 4; p++) {
        float *parameter = one_input(&o, CREASE_FLOAT, DIMS(2));
        parameter[0] = parameter[1] = p == 0 ? 3 : p == 1 ? 1 : p == 2 ? 1 : var;
    }
    OK(cr_node_set_float(o.node, "epsilon", 0));
    return o;
}

static one batch_norm(int64_t opset, float var) {
    return batch_norm_with(opset, var, 1);
}

Test(batch_norm, in_every_form_since_the_first) {
    for (int64_t opset = 1; opset <= 15; opset++) {
        one o = batch_norm(opset, 4);
        if (opset < 7)
            OK(cr_node_set_int(o.node, "is_test", 1));
        ONE_GIVES(&o, (DIMS(1, 2, 1)), 1, 2.5);
    }
}

/* Each channel is its own mean, so that training gives beta alone. */
Test(batch_norm, outputs_that_nobody_reads_mean_training_from_7_to_13) {
    for (int64_t opset = 1; opset <= 15; opset++) {
        one o = batch_norm_with(opset, 4, opset < 14 ? 5 : 3);
        OK(cr_node_set_float(o.node, "epsilon", 1e-5F));
        if (opset >= 7 && opset < 14)
            ONE_GIVES(&o, (DIMS(1, 2, 1)), 1, 1);
        else
            ONE_GIVES(&o, (DIMS(1, 2, 1)), 1, 1 + 3 / sqrt(4 + 1e-5));
    }
}

Test(batch_norm, parameters_of_another_size_are_refused) {
    one o = one_begin("BatchNormalization", 15, 1);
    one_floats(&o, 1, DIMS(1, 2, 1));
    for (int p = 0; p < 4; p++)
        one_floats(&o, 1, DIMS(3));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(batch_norm, no_pictures_no_result) {
    one o = one_begin("BatchNormalization", 15, 1);
    one_floats(&o, 1, DIMS(0, 2, 3));
    for (int p = 0; p < 4; p++)
        one_floats(&o, 1, DIMS(2));
    ONE_GIVES_NOTHING(&o, (DIMS(0, 2, 3)));
}

Test(instance_norm, two_pixels_are_one_deviation_from_their_mean) {
    one o = one_begin("InstanceNormalization", 6, 1);
    OK(cr_node_set_float(o.node, "epsilon", 0));
    float *x = one_input(&o, CREASE_FLOAT, DIMS(1, 1, 2));
    x[0] = 1, x[1] = 5;
    one_floats(&o, 3, DIMS(1));
    one_floats(&o, 10, DIMS(1));
    ONE_GIVES(&o, (DIMS(1, 1, 2)), 7, 13);
}

Test(group_norm, groups_must_divide) {
    one o = one_begin("GroupNormalization", 21, 1);
    OK(cr_node_set_int(o.node, "num_groups", 2));
    one_floats(&o, 1, DIMS(1, 3, 1));
    one_floats(&o, 1, DIMS(3));
    one_floats(&o, 1, DIMS(3));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(lrn, a_window_wider_than_the_channels) {
    one o = one_begin("LRN", 13, 1);
    OK(cr_node_set_int(o.node, "size", 9));
    OK(cr_node_set_float(o.node, "alpha", 9));
    OK(cr_node_set_float(o.node, "beta", 1));
    OK(cr_node_set_float(o.node, "bias", 0));
    one_floats(&o, 1, DIMS(1, 2, 1, 1));
    ONE_GIVES(&o, (DIMS(1, 2, 1, 1)), 1.0 / 5, 2.0 / 5);
}
