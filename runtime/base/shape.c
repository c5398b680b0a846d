#include "runtime/base/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

cr_shape cr_shape_unknown(void) {
    return (cr_shape){.rank = -1};
}

cr_shape cr_shape_of(int rank, const int64_t *dims) {
    cr_shape shape = {.rank = rank};
    if (rank > 0)
        memcpy(shape.dims, dims, (size_t)rank * sizeof *dims);
    return shape;
}

bool cr_shape_is_static(const cr_shape *shape) {
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i] < 0)
            return false;
    return shape->rank >= 0;
}

bool cr_shape_equal(const cr_shape *a, const cr_shape *b) {
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

bool cr_shape_fits(const cr_shape *a, const cr_shape *b) {
    if (a->rank < 0 || b->rank < 0)
        return true;
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] >= 0 && b->dims[i] >= 0 && a->dims[i] != b->dims[i])
            return false;
    return true;
}

bool cr_shape_product(const cr_shape *shape, int begin, int end, int64_t *product) {
    int64_t p = 1;
    bool zero = false;
    for (int i = begin; i < end; i++) {
        if (shape->dims[i] < 0)
            return false;
        zero |= shape->dims[i] == 0;
        if (shape->dims[i] && __builtin_mul_overflow(p, shape->dims[i], &p))
            return false;
    }
    *product = zero ? 0 : p;
    return true;
}

int64_t cr_shape_n(const cr_shape *shape) {
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++)
        n *= shape->dims[i];
    return n;
}

int64_t cr_shape_extent(const cr_shape *shape, int begin, int end) {
    int64_t extent = 1;
    for (int d = begin; d < end; d++)
        extent *= shape->dims[d];
    return extent;
}

void cr_dense_strides(const cr_shape *shape, int64_t *strides) {
    int64_t stride = 1;
    for (int d = shape->rank - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= shape->dims[d];
    }
}

static crease_status not_possible(const cr_shape *shape, crease_status status, const char *who) {
    char text[256];
    return cr_fail(status, "%s: a tensor of shape %s is not possible", who,
                   cr_shape_print(shape, text, sizeof text));
}

crease_status cr_shape_check(const cr_shape *shape, crease_status status, const char *who) {
    return cr_shape_is_static(shape) ? cr_shape_check_known(shape, status, who)
                                     : not_possible(shape, status, who);
}

crease_status cr_shape_check_known(const cr_shape *shape, crease_status status, const char *who) {
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i] > 0 && (__builtin_mul_overflow(n, shape->dims[i], &n) || n > INT64_MAX / 16))
            return not_possible(shape, status, who);
    return CREASE_OK;
}

crease_status cr_axis_resolve(int64_t axis, int rank, const char *who, int *resolved) {
    if (axis < -rank || axis >= rank)
        return cr_fail(CREASE_ERROR_MODEL, "%s: axis %" PRId64 " is outside [-%d, %d)", who, axis, rank,
                       rank);
    *resolved = (int)(axis < 0 ? axis + rank : axis);
    return CREASE_OK;
}

static bool broadcast_dim(int64_t a, int64_t b, int64_t *out) {
    if (a == b || b == 1)
        *out = a;
    else if (a == 1)
        *out = b;
    else if (a < 0 && b < 0)
        *out = CR_DIM_UNKNOWN;
    else if (a < 0)
        *out = b;
    else if (b < 0)
        *out = a;
    else
        return false;
    return true;
}

crease_status cr_shape_broadcast(const cr_shape *a, const cr_shape *b, const char *who, cr_shape *out) {
    if (a->rank < 0 || b->rank < 0) {
        *out = cr_shape_unknown();
        return CREASE_OK;
    }
    cr_shape result = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 1; i <= result.rank; i++) {
        int64_t da = i <= a->rank ? a->dims[a->rank - i] : 1, db = i <= b->rank ? b->dims[b->rank - i] : 1;
        if (!broadcast_dim(da, db, &result.dims[result.rank - i])) {
            char ta[256], tb[256];
            return cr_fail(CREASE_ERROR_MODEL, "%s: shapes %s and %s do not broadcast", who,
                           cr_shape_print(a, ta, sizeof ta), cr_shape_print(b, tb, sizeof tb));
        }
    }
    *out = result;
    return CREASE_OK;
}

const char *cr_shape_print(const cr_shape *shape, char *text, size_t bytes) {
    if (shape->rank < 0) {
        snprintf(text, bytes, "[unknown rank]");
        return text;
    }
    size_t at = (size_t)snprintf(text, bytes, "[");
    for (int i = 0; i < shape->rank && at < bytes; i++) {
        const char *comma = i ? ", " : "";
        int n = shape->dims[i] < 0 ? snprintf(text + at, bytes - at, "%s?", comma)
                                   : snprintf(text + at, bytes - at, "%s%" PRId64, comma, shape->dims[i]);
        at += (size_t)n;
    }
    if (at < bytes)
        snprintf(text + at, bytes - at, "]");
    return text;
}
