#include "tests/runtime/ops/one.h"

static crease_status cross_entropy(const char *reduction, int64_t label, double *y) {
    one o = one_begin("SoftmaxCrossEntropyLoss", 13, 2);
    OK(cr_node_set_string(o.node, "reduction", reduction));
    OK(cr_node_set_int(o.node, "ignore_index", -7));
    one_put(&o, 0, CREASE_DOUBLE, 2, (int64_t[]){2, 2}, (double[]){0, 1, 5, 3});
    one_put(&o, 1, CREASE_INT64, 1, (int64_t[]){2}, (int64_t[]){1, label});
    one_put(&o, 2, CREASE_DOUBLE, 1, (int64_t[]){2}, (double[]){2, 0.5});
    crease_status status = one_run(&o);
    if (status == CREASE_OK)
        *y = *(const double *)o.out[0].data;
    one_end(&o);
    return status;
}

Test(loss, classes_weigh_and_one_may_not_count) {
    const double a = 0.5 * log(1 + exp(-1.0)), b = 2 * log(1 + exp(-2.0));
    double y;
    OK(cross_entropy("sum", 0, &y));
    cr_assert_float_eq(y, a + b, 1e-12);
    OK(cross_entropy("mean", 0, &y));
    cr_assert_float_eq(y, (a + b) / 2.5, 1e-12);
    OK(cross_entropy("mean", -7, &y));
    cr_assert_float_eq(y, a / 0.5, 1e-12);
    cr_assert_eq(cross_entropy("sum", 2, &y), CREASE_ERROR_RUN);
    cr_assert_eq(cross_entropy("most", 0, &y), CREASE_ERROR_MODEL);
}

Test(loss, determinants_of_singular_and_swapped_matrices) {
    one o = one_begin("Det", 11, 1);
    one_put(&o, 0, CREASE_DOUBLE, 3, (int64_t[]){2, 2, 2}, (double[]){0, 2, 3, 1, 1, 2, 2, 4});
    OK(one_run(&o));
    cr_assert_arr_eq(o.out[0].data, ((double[]){-6, 0}), 16);
    one_end(&o);
}
