#include "tests/runtime/ops/one.h"

static one pool(const char *op, int64_t opset, int rank, const int64_t *dims, int n, const int64_t *kernel) {
    one o = one_begin(op, opset, 1);
    OK(cr_node_set_ints(o.node, "kernel_shape", kernel, n));
    one_floats(&o, 1, rank, dims);
    return o;
}

Test(pool, along_one_axis) {
    one o = pool("MaxPool", 12, DIMS(1, 1, 5), 1, (int64_t[]){3});
    OK(cr_node_set_ints(o.node, "strides", (int64_t[]){2}, 1));
    ONE_GIVES(&o, (DIMS(1, 1, 2)), 3, 5);
}

Test(pool, a_last_window_over_the_edge) {
    one o = pool("MaxPool", 12, DIMS(1, 1, 4), 1, (int64_t[]){3});
    OK(cr_node_set_ints(o.node, "strides", (int64_t[]){2}, 1));
    OK(cr_node_set_int(o.node, "ceil_mode", 1));
    ONE_GIVES(&o, (DIMS(1, 1, 2)), 3, 4);
}

Test(pool, averages_with_and_without_the_padding) {
    one without = pool("AveragePool", 11, DIMS(1, 1, 2), 1, (int64_t[]){2});
    OK(cr_node_set_ints(without.node, "pads", (int64_t[]){1, 0}, 2));
    ONE_GIVES(&without, (DIMS(1, 1, 2)), 1, 1.5);
    one with = pool("AveragePool", 11, DIMS(1, 1, 2), 1, (int64_t[]){2});
    OK(cr_node_set_ints(with.node, "pads", (int64_t[]){1, 0}, 2));
    OK(cr_node_set_int(with.node, "count_include_pad", 1));
    ONE_GIVES(&with, (DIMS(1, 1, 2)), 0.5, 1.5);
}

/* A signal as an image of one column, or of one row and column. */
Test(pool, axes_of_one_at_the_end) {
    one column = pool("MaxPool", 12, DIMS(1, 2, 4, 1), 2, (int64_t[]){2, 1});
    OK(cr_node_set_ints(column.node, "strides", (int64_t[]){2, 1}, 2));
    ONE_GIVES(&column, (DIMS(1, 2, 2, 1)), 2, 4, 6, 8);
    one padded = pool("AveragePool", 11, DIMS(1, 1, 3, 1, 1), 3, (int64_t[]){3, 1, 1});
    OK(cr_node_set_ints(padded.node, "pads", (int64_t[]){1, 0, 0, 1, 0, 0}, 6));
    ONE_GIVES(&padded, (DIMS(1, 1, 3, 1, 1)), 1.5, 2, 2.5);
    one wide = pool("MaxPool", 12, DIMS(1, 1, 2, 1), 2, (int64_t[]){1, 2});
    OK(cr_node_set_ints(wide.node, "pads", (int64_t[]){0, 0, 0, 1}, 4));
    ONE_GIVES(&wide, (DIMS(1, 1, 2, 1)), 1, 2);
}

Test(pool, positions_in_an_image_of_one_column) {
    for (int64_t order = 0; order < 2; order++) {
        one o = one_begin("MaxPool", 12, 2);
        OK(cr_node_set_ints(o.node, "kernel_shape", (int64_t[]){2, 1}, 2));
        OK(cr_node_set_int(o.node, "storage_order", order));
        one_floats(&o, 1, DIMS(1, 2, 3, 1));
        OK(one_run(&o));
        one_values(&o, 1, 4, (double[]){1, 2, 4, 5});
        one_end(&o);
    }
}

Test(pool, no_pictures_no_result) {
    one o = pool("MaxPool", 12, DIMS(0, 2, 4, 4), 2, (int64_t[]){2, 2});
    ONE_GIVES_NOTHING(&o, (DIMS(0, 2, 3, 3)));
}

Test(pool, larger_than_the_input_is_refused) {
    one o = pool("MaxPool", 12, DIMS(1, 1, 2, 2), 2, (int64_t[]){3, 3});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "kernel");
}

Test(pool, a_kernel_of_another_rank_is_refused) {
    one o = pool("AveragePool", 11, DIMS(1, 1, 4, 4), 1, (int64_t[]){2});
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "kernel_shape");
}

Test(pool, globally_over_one_pixel_and_over_three_axes) {
    one pixel = one_begin("GlobalAveragePool", 1, 1);
    one_floats(&pixel, 4, DIMS(1, 2, 1, 1));
    ONE_GIVES(&pixel, (DIMS(1, 2, 1, 1)), 4, 5);
    one volume = one_begin("GlobalMaxPool", 1, 1);
    one_floats(&volume, 1, DIMS(1, 1, 2, 1, 3));
    ONE_GIVES(&volume, (DIMS(1, 1, 1, 1, 1)), 6);
}
