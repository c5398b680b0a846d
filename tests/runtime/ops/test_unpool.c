#include "tests/runtime/ops/one.h"

static crease_status unpool(int64_t index, const float *expected) {
    one o = one_begin("MaxUnpool", 11, 1);
    OK(cr_node_set_ints(o.node, "kernel_shape", (int64_t[]){2}, 1));
    OK(cr_node_set_ints(o.node, "strides", (int64_t[]){2}, 1));
    one_put(&o, 0, CREASE_FLOAT, 3, (int64_t[]){1, 1, 2}, (float[]){7, 8});
    one_put(&o, 1, CREASE_INT64, 3, (int64_t[]){1, 1, 2}, (int64_t[]){1, index});
    crease_status status = one_run(&o);
    if (expected)
        cr_assert_arr_eq(o.out[0].data, expected, 16);
    one_end(&o);
    return status;
}

Test(unpool, maxima_go_back_and_nowhere_else) {
    OK(unpool(2, (float[]){0, 7, 8, 0}));
    cr_assert_eq(unpool(4, NULL), CREASE_ERROR_RUN);
    cr_assert_eq(unpool(-1, NULL), CREASE_ERROR_RUN);
    cr_assert_eq(unpool(INT64_MAX, NULL), CREASE_ERROR_RUN);
}

static crease_status fold(int64_t columns, int64_t image, const float *expected) {
    one o = one_begin("Col2Im", 18, 1);
    OK(cr_node_set_ints(o.node, "pads", (int64_t[]){1, 0}, 2));
    void *x = one_input_at(&o, 0, CREASE_FLOAT, 3, (int64_t[]){1, 2, columns});
    for (int64_t i = 0; i < 2 * columns; i++)
        ((float *)x)[i] = (float)(i + 1);
    one_put(&o, 1, CREASE_INT64, 1, (int64_t[]){1}, &image);
    one_put(&o, 2, CREASE_INT64, 1, (int64_t[]){1}, (int64_t[]){2});
    crease_status status = one_run(&o);
    if (expected)
        cr_assert_arr_eq(o.out[0].data, expected, 12);
    one_end(&o);
    return status;
}

Test(unpool, columns_are_added_where_they_overlap) {
    OK(fold(3, 3, (float[]){2 + 4, 3 + 5, 6}));
    cr_assert_eq(fold(4, 3, NULL), CREASE_ERROR_MODEL);
    cr_assert_eq(fold(3, 0, NULL), CREASE_ERROR_MODEL);
    cr_assert_eq(fold(3, INT64_MAX, NULL), CREASE_ERROR_MODEL);
}
