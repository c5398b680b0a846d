#include "runtime/api/compare.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <math.h>

static cr_tensor floats(float *data, int rank, int64_t rows, int64_t columns) {
    int64_t dims[] = {rows, columns};
    return (cr_tensor){.dtype = CREASE_FLOAT, .shape = cr_shape_of(rank, dims), .data = data};
}

Test(compare, largest_difference_and_magnitude) {
    float x[] = {1, -2, 3}, y[] = {1, -8, 3.5f};
    cr_tensor a = floats(x, 1, 3, 0), b = floats(y, 1, 3, 0);
    cr_difference d = cr_compare(&a, &b);
    cr_assert_float_eq(d.max_abs, 6, 0);
    cr_assert_float_eq(d.magnitude, 8, 0);
    cr_assert_float_eq(cr_relative(&d), 0.75, 0);
}

Test(compare, what_is_not_finite) {
    float x[] = {NAN, INFINITY, 1}, same[] = {NAN, INFINITY, 1}, other[] = {1, INFINITY, 1},
          opposite[] = {NAN, -INFINITY, 1};
    cr_tensor a = floats(x, 1, 3, 0), b = floats(same, 1, 3, 0), c = floats(other, 1, 3, 0),
              d = floats(opposite, 1, 3, 0);
    cr_assert_float_eq(cr_compare(&a, &b).max_abs, 0, 0);
    cr_assert_float_eq(cr_compare(&a, &b).magnitude, 1, 0);
    cr_assert(isinf(cr_compare(&a, &c).max_abs));
    cr_assert(isinf(cr_compare(&a, &d).max_abs));
}

Test(compare, shapes_types_and_zeros) {
    float x[] = {0, 0}, y[] = {1e-9f, 0};
    double wide[] = {0, 1};
    cr_tensor a = floats(x, 1, 2, 0), b = floats(x, 1, 1, 0), c = floats(y, 1, 2, 0);
    cr_tensor d = {.dtype = CREASE_DOUBLE, .shape = a.shape, .data = wide};
    cr_assert(isinf(cr_compare(&a, &b).max_abs));
    cr_difference zero = cr_compare(&c, &a);
    cr_assert_float_eq(cr_relative(&zero), (double)1e-9f, 0); /* nothing to be relative to */
    cr_assert_float_eq(cr_compare(&a, &d).max_abs, 1, 0);
}

Test(compare, integers_and_strings) {
    int64_t x[] = {1, 2}, y[] = {1, 3};
    cr_string s[] = {{"ab", 2}, {"c", 1}}, copy[] = {{"abx", 2}, {"c", 1}}, other[] = {{"ab", 2}, {"d", 1}};
    cr_shape two = cr_shape_of(1, (int64_t[]){2});
    cr_tensor a = {.dtype = CREASE_INT64, .shape = two, .data = x}, b = a, t = a, u = a, v = a;
    b.data = y;
    cr_assert_float_eq(cr_compare(&a, &a).max_abs, 0, 0);
    cr_assert_float_eq(cr_compare(&a, &b).max_abs, 1, 0);
    t.dtype = u.dtype = v.dtype = CREASE_STRING;
    t.data = s, u.data = copy, v.data = other;
    cr_assert_float_eq(cr_compare(&t, &u).max_abs, 0, 0, "contents count, not pointers");
    cr_assert_float_eq(cr_compare(&t, &v).max_abs, 1, 0);
    cr_assert_float_eq(cr_compare(&a, &t).max_abs, 1, 0);
}

Test(compare, top1) {
    float x[] = {1, 3, 2, 9, 8, 7}, y[] = {0, 5, 4, 2, 1, 0}, z[] = {0, 5, 4, 1, 2, 0},
          ties[] = {3, 3, 0, 9, 9, 0};
    cr_tensor a = floats(x, 2, 2, 3), b = floats(y, 2, 2, 3), c = floats(z, 2, 2, 3), d = floats(x, 1, 6, 0),
              e = floats(ties, 2, 2, 3);
    cr_assert_eq(cr_same_top1(&a, &b), 1);
    cr_assert_eq(cr_same_top1(&a, &c), 0);
    cr_assert_eq(cr_same_top1(&d, &d), -1);
    cr_assert_eq(cr_same_top1(&e, &e), 1);
    cr_assert_eq(cr_same_top1(&e, &a), 0, "of equals the first counts");
}
