#include "runtime/api/compare.h"
#include "runtime/base/dtype.h"

#include <math.h>
#include <string.h>

static double distance(double x, double y) {
    if (x == y || (isnan(x) && isnan(y)))
        return 0;
    double d = fabs(x - y);
    return isnan(d) ? INFINITY : d;
}

static bool strings_equal(const cr_tensor *a, const cr_tensor *b) {
    const cr_string *x = a->data, *y = b->data;
    for (int64_t i = 0, n = cr_shape_n(&a->shape); i < n; i++)
        if (x[i].bytes != y[i].bytes || (x[i].bytes && memcmp(x[i].data, y[i].data, x[i].bytes) != 0))
            return false;
    return true;
}

static bool bytes_equal(const cr_tensor *a, const cr_tensor *b) {
    size_t bytes;
    if (a->dtype != b->dtype)
        return false;
    if (a->dtype == CREASE_STRING)
        return strings_equal(a, b);
    return cr_tensor_bytes(a->dtype, 0, &a->shape, &bytes) &&
           (bytes == 0 || memcmp(a->data, b->data, bytes) == 0);
}

cr_difference cr_compare(const cr_tensor *a, const cr_tensor *b) {
    cr_difference d = {0, 0};
    if (!cr_shape_equal(&a->shape, &b->shape))
        return (cr_difference){INFINITY, 0};
    if (!cr_dtype_is_float(a->dtype) || !cr_dtype_is_float(b->dtype))
        return (cr_difference){bytes_equal(a, b) ? 0 : 1, 1};
    for (int64_t i = 0, n = cr_shape_n(&a->shape); i < n; i++) {
        double x = cr_load_float(a->dtype, a->data, i), y = cr_load_float(b->dtype, b->data, i);
        d.max_abs = fmax(d.max_abs, distance(x, y));
        if (isfinite(y))
            d.magnitude = fmax(d.magnitude, fabs(y));
    }
    return d;
}

double cr_relative(const cr_difference *difference) {
    return difference->magnitude > 0 ? difference->max_abs / difference->magnitude : difference->max_abs;
}

static int64_t arg_max(const cr_tensor *t, int64_t row, int64_t classes) {
    int64_t best = 0;
    double largest = -INFINITY;
    for (int64_t c = 0; c < classes; c++) {
        double value = cr_load_float(t->dtype, t->data, row * classes + c);
        if (value > largest) {
            largest = value;
            best = c;
        }
    }
    return best;
}

int cr_same_top1(const cr_tensor *a, const cr_tensor *b) {
    if (a->shape.rank != 2 || a->shape.dims[1] < 2 || !cr_dtype_is_float(a->dtype) ||
        !cr_dtype_is_float(b->dtype) || !cr_shape_equal(&a->shape, &b->shape))
        return -1;
    for (int64_t row = 0; row < a->shape.dims[0]; row++)
        if (arg_max(a, row, a->shape.dims[1]) != arg_max(b, row, a->shape.dims[1]))
            return 0;
    return 1;
}
