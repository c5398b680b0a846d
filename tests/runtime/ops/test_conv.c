#include "runtime/ops/infer.h"
#include "tests/runtime/ops/one.h"

static one conv(const char *op, int rank, const int64_t *x, const int64_t *w) {
    one o = one_begin(op, 11, 1);
    one_floats(&o, 1, rank, x);
    one_floats(&o, 1, rank, w);
    return o;
}

Test(conv, along_one_axis_with_a_step) {
    one o = conv("Conv", DIMS(1, 1, 5), (int64_t[]){1, 1, 2});
    OK(cr_node_set_ints(o.node, "strides", (int64_t[]){3}, 1));
    ONE_GIVES(&o, (DIMS(1, 1, 2)), 5, 14);
}

Test(conv, negative_pads_crop) {
    one o = conv("Conv", DIMS(1, 1, 4), (int64_t[]){1, 1, 1});
    OK(cr_node_set_ints(o.node, "pads", (int64_t[]){-1, -1}, 2));
    ONE_GIVES(&o, (DIMS(1, 1, 2)), 2, 3);
}

Test(conv, all_padding) {
    one o = conv("Conv", DIMS(1, 1, 1, 1), (int64_t[]){1, 1, 3, 3});
    OK(cr_node_set_ints(o.node, "pads", (int64_t[]){2, 2, 2, 2}, 4));
    ONE_GIVES(&o, (DIMS(1, 1, 3, 3)), 9, 8, 7, 6, 5, 4, 3, 2, 1);
}

Test(conv, no_pictures_no_result) {
    one o = conv("Conv", DIMS(0, 1, 4, 4), (int64_t[]){2, 1, 3, 3});
    ONE_GIVES_NOTHING(&o, (DIMS(0, 2, 2, 2)));
}

Test(conv, each_channel_by_itself_twice) {
    one o = conv("Conv", DIMS(1, 2, 1), (int64_t[]){4, 1, 1});
    OK(cr_node_set_int(o.node, "group", 2));
    ONE_GIVES(&o, (DIMS(1, 4, 1)), 1, 2, 6, 8);
}

Test(conv, groups_must_divide) {
    one o = conv("Conv", DIMS(1, 4, 2), (int64_t[]){3, 2, 1});
    OK(cr_node_set_int(o.node, "group", 2));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(conv, groups_beyond_all_extents_are_refused) {
    for (int transposed = 0; transposed < 2; transposed++) {
        one o = conv(transposed ? "ConvTranspose" : "Conv", DIMS(1, 4, 2), (int64_t[]){4, 2, 1});
        OK(cr_node_set_int(o.node, "group", INT64_MAX));
        ONE_FAILS(&o, CREASE_ERROR_MODEL, "group is");
    }
}

Test(conv, stated_extents_that_are_none_are_refused) {
    static const int64_t extents[] = {INT64_MIN, -1, 0, INT64_MAX};
    for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
        one o = conv("ConvTranspose", DIMS(1, 1, 3), (int64_t[]){1, 1, 2});
        OK(cr_node_set_ints(o.node, "output_shape", &extents[i], 1));
        ONE_FAILS(&o, CREASE_ERROR_MODEL, "output extent");
    }
}

Test(conv, output_padding_near_the_largest_integer_is_refused) {
    one o = conv("ConvTranspose", DIMS(1, 1, 3), (int64_t[]){1, 1, 2});
    OK(cr_node_set_ints(o.node, "output_padding", (int64_t[]){INT64_MAX - 4}, 1));
    OK(cr_node_set_ints(o.node, "pads", (int64_t[]){-9, -9}, 2));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "output_padding");
}

Test(conv, a_bias_of_another_size_is_refused) {
    one o = conv("Conv", DIMS(1, 1, 3), (int64_t[]){2, 1, 1});
    one_floats(&o, 0, DIMS(3));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(conv, dilation_beyond_the_input_is_refused) {
    one o = conv("Conv", DIMS(1, 1, 5), (int64_t[]){1, 1, 3});
    OK(cr_node_set_ints(o.node, "dilations", (int64_t[]){3}, 1));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "kernel");
}

/* What the weights tell of the result; the node has no values yet. */
static crease_status infer_from_weights(const char *op, const cr_shape *w, cr_info *y) {
    const cr_info x = {.dtype = CREASE_FLOAT, .shape = cr_shape_unknown()};
    const cr_info weights = {.dtype = CREASE_FLOAT, .shape = *w};
    one o = one_begin(op, 11, 1);
    one_floats(&o, 1, DIMS(1, 6, 8, 8));
    one_floats(&o, 1, w->rank, w->dims);
    OK(cr_node_set_int(o.node, "group", 2));
    OK(cr_model_resolve(o.model));
    crease_status status = cr_node_infer(o.node, (const cr_info *[]){&x, &weights}, y);
    one_end(&o);
    return status;
}

Test(conv, weights_tell_the_rank_and_the_channels) {
    const cr_shape w = cr_shape_of(4, (int64_t[]){6, 3, 3, 3}), flat = cr_shape_of(2, w.dims);
    const cr_shape odd = cr_shape_of(4, (int64_t[]){5, 3, 3, 3});
    cr_info y = {0};
    for (int transposed = 0; transposed < 2; transposed++) {
        OK(infer_from_weights(transposed ? "ConvTranspose" : "Conv", &w, &y));
        cr_assert_eq(y.shape.rank, 4);
        for (int d = 0; d < 4; d++)
            cr_assert_eq(y.shape.dims[d], d == 1 ? 6 : CR_DIM_UNKNOWN);
        OK(infer_from_weights(transposed ? "ConvTranspose" : "Conv", &flat, &y));
        cr_assert_lt(y.shape.rank, 0);
        OK(infer_from_weights(transposed ? "ConvTranspose" : "Conv", &odd, &y));
        cr_assert_lt(y.shape.rank, 0);
    }
}

Test(conv_transpose, gaps_and_an_extra_column) {
    one o = conv("ConvTranspose", DIMS(1, 1, 2), (int64_t[]){1, 1, 2});
    OK(cr_node_set_ints(o.node, "strides", (int64_t[]){3}, 1));
    OK(cr_node_set_ints(o.node, "output_padding", (int64_t[]){1}, 1));
    ONE_GIVES(&o, (DIMS(1, 1, 6)), 1, 2, 0, 2, 4, 0);
}

Test(conv_transpose, pads_that_eat_everything_are_refused) {
    one o = conv("ConvTranspose", DIMS(1, 1, 2), (int64_t[]){1, 1, 2});
    OK(cr_node_set_ints(o.node, "pads", (int64_t[]){2, 2}, 2));
    crease_status status = one_run(&o);
    cr_assert(status == CREASE_ERROR_MODEL || cr_shape_n(&o.out[0].shape) == 0, "%s", crease_error_message());
    one_end(&o);
}
