#include "runtime/base/shape.h"

#include <criterion/criterion.h>
#include <string.h>

#define SHAPE(...)                                                                                           \
    cr_shape_of((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

Test(shape, what_fits) {
    const cr_shape unknown = cr_shape_unknown(), a = SHAPE(2, 3), b = SHAPE(2, CR_DIM_UNKNOWN),
                   symbolic = SHAPE(CR_DIM_FIRST_SYMBOL, 3), other = SHAPE(2, 4), deeper = SHAPE(1, 2, 3);
    cr_assert(cr_shape_fits(&unknown, &a) && cr_shape_fits(&a, &unknown));
    cr_assert(cr_shape_fits(&b, &a) && cr_shape_fits(&symbolic, &a));
    cr_assert(!cr_shape_fits(&a, &other) && !cr_shape_fits(&a, &deeper));
    cr_assert(cr_shape_is_static(&a) && !cr_shape_is_static(&b) && !cr_shape_is_static(&unknown));
    cr_assert(cr_shape_equal(&a, &a) && !cr_shape_equal(&a, &b));
}

Test(shape, products_know_overflow_and_zero) {
    const int64_t huge = (int64_t)1 << 40;
    const cr_shape a = SHAPE(huge, huge, 0), b = SHAPE(huge, 2), c = SHAPE(2, CR_DIM_UNKNOWN),
                   none = cr_shape_of(0, NULL);
    int64_t n = 7;
    cr_assert_not(cr_shape_product(&a, 0, 2, &n));
    cr_assert_not(cr_shape_product(&a, 0, 3, &n), "an overflow stays one, whatever comes behind");
    cr_assert_not(cr_shape_product(&c, 0, 2, &n));
    cr_assert_eq(n, 7);
    cr_assert(cr_shape_product(&b, 0, 2, &n) && n == 2 * huge);
    cr_assert(cr_shape_product(&a, 2, 3, &n) && n == 0);
    cr_assert(cr_shape_product(&none, 0, 0, &n) && n == 1);
    cr_assert_eq(cr_shape_n(&none), 1);
}

Test(shape, impossible_ones_are_refused_with_a_name) {
    const cr_shape huge = SHAPE(INT64_MAX, INT64_MAX), edge = SHAPE(INT64_MAX / 16 + 1),
                   fine = SHAPE(INT64_MAX / 16);
    cr_assert_eq(cr_shape_check(&huge, CREASE_ERROR_INPUT, "who"), CREASE_ERROR_INPUT);
    cr_assert(strstr(crease_error_message(), "who"));
    cr_assert_eq(cr_shape_check(&edge, CREASE_ERROR_MODEL, "who"), CREASE_ERROR_MODEL);
    cr_assert_eq(cr_shape_check(&fine, CREASE_ERROR_MODEL, "who"), CREASE_OK);
}

Test(shape, extents_beside_nothing_and_beside_the_unknown_are_checked) {
    const cr_shape empty = SHAPE(0, INT64_MAX), some = SHAPE(CR_DIM_UNKNOWN, INT64_MAX),
                   fine = SHAPE(CR_DIM_UNKNOWN, INT64_MAX / 16, 0), unknown = cr_shape_unknown();
    cr_assert_eq(cr_shape_check(&empty, CREASE_ERROR_INPUT, "who"), CREASE_ERROR_INPUT);
    cr_assert_eq(cr_shape_check_known(&some, CREASE_ERROR_MODEL, "who"), CREASE_ERROR_MODEL);
    cr_assert_eq(cr_shape_check_known(&fine, CREASE_ERROR_MODEL, "who"), CREASE_OK);
    cr_assert_eq(cr_shape_check_known(&unknown, CREASE_ERROR_MODEL, "who"), CREASE_OK);
    cr_assert_eq(cr_shape_check(&fine, CREASE_ERROR_MODEL, "who"), CREASE_ERROR_MODEL);
    cr_assert_eq(cr_shape_check(&unknown, CREASE_ERROR_MODEL, "who"), CREASE_ERROR_MODEL);
}

Test(shape, axes_count_from_both_ends) {
    int axis;
    cr_assert(cr_axis_resolve(-3, 3, "n", &axis) == CREASE_OK && axis == 0);
    cr_assert(cr_axis_resolve(2, 3, "n", &axis) == CREASE_OK && axis == 2);
    cr_assert_eq(cr_axis_resolve(3, 3, "n", &axis), CREASE_ERROR_MODEL);
    cr_assert_eq(cr_axis_resolve(INT64_MIN, 3, "n", &axis), CREASE_ERROR_MODEL);
    cr_assert_eq(cr_axis_resolve(0, 0, "n", &axis), CREASE_ERROR_MODEL);
}

static void broadcasts(cr_shape a, cr_shape b, cr_shape want) {
    cr_shape got;
    char x[64], y[64];
    cr_assert_eq(cr_shape_broadcast(&a, &b, "n", &got), CREASE_OK, "%s", crease_error_message());
    cr_assert(cr_shape_equal(&got, &want), "%s, expected %s", cr_shape_print(&got, x, sizeof x),
              cr_shape_print(&want, y, sizeof y));
    cr_assert_eq(cr_shape_broadcast(&b, &a, "n", &got), CREASE_OK);
    cr_assert(cr_shape_equal(&got, &want), "the other way round");
}

Test(shape, broadcasting) {
    cr_shape out;
    const cr_shape a = SHAPE(2, 3), b = SHAPE(2);
    broadcasts(SHAPE(2, 1), SHAPE(3), SHAPE(2, 3));
    broadcasts(SHAPE(1), SHAPE(0, 2), SHAPE(0, 2));
    broadcasts(SHAPE(0, 1), SHAPE(1, 3), SHAPE(0, 3));
    broadcasts(cr_shape_of(0, NULL), SHAPE(4, 5), SHAPE(4, 5));
    broadcasts(SHAPE(CR_DIM_UNKNOWN, 3), SHAPE(4, 1), SHAPE(4, 3)); /* 4 decides: the other is 4 or 1 */
    broadcasts(SHAPE(CR_DIM_FIRST_SYMBOL), SHAPE(CR_DIM_FIRST_SYMBOL), SHAPE(CR_DIM_FIRST_SYMBOL));
    cr_assert_eq(cr_shape_broadcast(&a, &b, "who", &out), CREASE_ERROR_MODEL);
    cr_assert(strstr(crease_error_message(), "who"));
}

Test(shape, printing_never_leaves_the_buffer) {
    int64_t dims[CR_MAX_RANK];
    char text[24], guard = 42;
    for (int i = 0; i < CR_MAX_RANK; i++)
        dims[i] = INT64_MAX;
    const cr_shape deep = cr_shape_of(CR_MAX_RANK, dims), some = SHAPE(1, CR_DIM_UNKNOWN);
    cr_assert_lt(strlen(cr_shape_print(&deep, text, sizeof text)), sizeof text);
    cr_assert_eq(guard, 42);
    cr_assert_str_eq(cr_shape_print(&some, text, sizeof text), "[1, ?]");
}
