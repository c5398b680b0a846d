#include "runtime/ops/move.h"

#include <math.h>
#include <string.h>

/* Values made from attributes and shapes: Constant (ONNX 1: value, 11: sparse_value, 12: numbers, strings and
 * lists), ConstantOfShape (9), EyeLike (9), Range (11) and OneHot (9, 11). */

/* An element of a number type or bool from an integer; the types' ranges are the caller's business. */
static void store_number(crease_dtype dtype, void *to, int64_t value) {
    if (cr_dtype_is_float(dtype))
        cr_store_float(dtype, to, 0, (double)value);
    else
        memcpy(to, &value, cr_element_bytes(dtype)); /* little-endian */
}

/* ---- Constant ---- */

/* NULL: there is none. */
static const cr_attr *find_value(const cr_node *node) {
    static const char *const names[] = {"value",     "sparse_value", "value_float",  "value_floats",
                                        "value_int", "value_ints",   "value_string", "value_strings"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cr_attr *attr = cr_attr_find(node, names[i]);
        if (attr)
            return attr;
    }
    return NULL;
}

static crease_status constant_infer(cr_infer *infer) {
    const cr_attr *a = find_value(infer->node);
    cr_info *y = &infer->out[0];
    switch (a ? a->type : CR_ATTR_UNDEFINED) {
    case CR_ATTR_TENSOR:
        y->shape = a->tensors[0].shape;
        y->dtype = a->tensors[0].dtype;
        return CREASE_OK;
    case CR_ATTR_SPARSE_TENSOR:
        y->shape = a->sparse[0].shape;
        y->dtype = a->sparse[0].values.dtype;
        if (!(CR_T_BYTES & CR_T(y->dtype)))
            return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "a sparse tensor of %s",
                                crease_dtype_name(y->dtype));
        return CREASE_OK;
    case CR_ATTR_FLOAT:
    case CR_ATTR_FLOATS:
        y->dtype = CREASE_FLOAT;
        break;
    case CR_ATTR_INT:
    case CR_ATTR_INTS:
        y->dtype = CREASE_INT64;
        break;
    case CR_ATTR_STRING:
    case CR_ATTR_STRINGS:
        y->dtype = CREASE_STRING;
        break;
    default:
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "there is no value");
    }
    bool list = a->type == CR_ATTR_FLOATS || a->type == CR_ATTR_INTS || a->type == CR_ATTR_STRINGS;
    y->shape = list ? (cr_shape){.rank = 1, .dims = {a->n}} : (cr_shape){.rank = 0};
    return CREASE_OK;
}

/* Element that sparse index i speaks of; false: outside the shape. indices: [nnz] counts elements, [nnz,
 * rank] is a coordinate. */
static bool sparse_position(const cr_sparse *sparse, int64_t i, int64_t *at) {
    const int64_t *indices = sparse->indices.data;
    const cr_shape *shape = &sparse->shape;
    if (sparse->indices.shape.rank == 1) {
        *at = indices[i];
        return *at >= 0 && *at < cr_shape_n(shape);
    }
    *at = 0;
    for (int d = 0; d < shape->rank; d++) {
        int64_t index = indices[i * shape->rank + d];
        if (index < 0 || index >= shape->dims[d])
            return false;
        *at = *at * shape->dims[d] + index;
    }
    return true;
}

static crease_status check_sparse(const cr_node *node, const cr_sparse *sparse) {
    const cr_shape *of = &sparse->indices.shape;
    int64_t n = cr_shape_n(&sparse->values.shape), at;
    bool flat = of->rank == 1 && of->dims[0] == n;
    bool tuples = of->rank == 2 && of->dims[0] == n && of->dims[1] == sparse->shape.rank;
    if (sparse->indices.dtype != CREASE_INT64 || (!flat && !tuples))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "the indices do not go with the %lld sparse values",
                            (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!sparse_position(sparse, i, &at))
            return cr_node_fail(node, CREASE_ERROR_MODEL, "sparse index %lld is outside the tensor",
                                (long long)i);
    return CREASE_OK;
}

static crease_status constant_prepare(cr_prepare *p) {
    const cr_attr **a;
    CR_TRY(CR_PREPARE_STATE(p, &a));
    *a = find_value(p->node);
    return (*a)->type == CR_ATTR_SPARSE_TENSOR ? check_sparse(p->node, &(*a)->sparse[0]) : CREASE_OK;
}

static void fill_sparse(cr_tensor *y, size_t bytes, const cr_sparse *sparse) {
    const size_t element = cr_element_bytes(sparse->values.dtype);
    memset(y->data, 0, bytes);
    for (int64_t i = 0, n = cr_shape_n(&sparse->values.shape), at; i < n; i++)
        if (sparse_position(sparse, i, &at))
            memcpy((char *)y->data + (size_t)at * element,
                   (const char *)sparse->values.data + (size_t)i * element, element);
}

static crease_status constant_run(cr_run *r) {
    const cr_attr *a = *(const cr_attr *const *)r->state;
    cr_tensor *y = r->out[0];
    size_t bytes;
    if (!cr_tensor_bytes(y->dtype, 0, &y->shape, &bytes) || bytes == 0)
        return CREASE_OK;
    if (a->type == CR_ATTR_SPARSE_TENSOR)
        fill_sparse(y, bytes, &a->sparse[0]);
    else
        memcpy(y->data, a->type == CR_ATTR_TENSOR ? a->tensors[0].data : (const void *)a->ints, bytes);
    return CREASE_OK;
}

/* ---- ConstantOfShape ---- */

static crease_status filled_infer(cr_infer *infer) {
    const cr_tensor *value;
    int n;
    bool known;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_attr_tensor(infer->node, "value", &value));
    cr_info *y = &infer->out[0];
    y->dtype = value ? value->dtype : CREASE_FLOAT;
    if (value && (cr_shape_n(&value->shape) != 1 || !(CR_T_BYTES & CR_T(value->dtype))))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the value is not one number");
    CR_TRY(cr_infer_ints(infer, 0, y->shape.dims, &n, &known));
    y->shape.rank = known ? n : -1;
    for (int d = 0; d < y->shape.rank; d++)
        if (y->shape.dims[d] < 0)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "dimension %d is %lld", d,
                                (long long)y->shape.dims[d]);
    return CREASE_OK;
}

static crease_status filled_prepare(cr_prepare *p) {
    const cr_tensor **value;
    CR_TRY(CR_PREPARE_STATE(p, &value));
    return cr_attr_tensor(p->node, "value", value);
}

static crease_status filled_run(cr_run *r) {
    const cr_tensor *value = *(const cr_tensor *const *)r->state;
    char zero[16] = {0};
    cr_fill(cr_element_bytes(r->out[0]->dtype), value ? value->data : zero, r->out[0]->data,
            cr_shape_n(&r->out[0]->shape));
    return CREASE_OK;
}

/* ---- EyeLike ---- */

static crease_status eye_infer(cr_infer *infer) {
    int64_t dtype;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_rank(infer, 0, 2, 2));
    CR_TRY(cr_attr_int(infer->node, "dtype", infer->in[0]->dtype, &dtype));
    if (dtype && (!cr_dtype_valid(dtype) || !((CR_T_NUMBERS | CR_T_BOOL) & CR_T(dtype))))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "element type %lld is not supported",
                            (long long)dtype);
    infer->out[0].dtype = (crease_dtype)dtype;
    return CREASE_OK;
}

static crease_status eye_prepare(cr_prepare *p) {
    int64_t *k;
    CR_TRY(CR_PREPARE_STATE(p, &k));
    return cr_attr_int(p->node, "k", 0, k);
}

static crease_status eye_run(cr_run *r) {
    const int64_t k = *(const int64_t *)r->state, rows = r->out[0]->shape.dims[0],
                  columns = r->out[0]->shape.dims[1];
    size_t element = cr_element_bytes(r->out[0]->dtype);
    char zero[16] = {0}, one[16] = {0};
    store_number(r->out[0]->dtype, one, 1);
    cr_fill(element, zero, r->out[0]->data, rows * columns);
    if (k <= -rows || k >= columns)
        return CREASE_OK;
    for (int64_t row = k < 0 ? -k : 0; row < rows && row + k < columns; row++)
        memcpy((char *)r->out[0]->data + (size_t)(row * columns + row + k) * element, one, element);
    return CREASE_OK;
}

/* ---- Range: start, start + delta, ... before limit ---- */

static bool is_range_type(crease_dtype dtype) {
    return cr_dtype_is_float(dtype) || dtype == CREASE_INT16 || dtype == CREASE_INT32 ||
           dtype == CREASE_INT64;
}

/* ceil((limit - start) / delta) without overflow; negative: not possible. */
static int64_t range_length(const cr_tensor *start, const cr_tensor *limit, const cr_tensor *delta) {
    if (cr_dtype_is_float(start->dtype)) {
        double step = cr_load_float(delta->dtype, delta->data, 0),
               span =
                   cr_load_float(limit->dtype, limit->data, 0) - cr_load_float(start->dtype, start->data, 0),
               n = ceil(span / step);
        return n <= 0 ? 0 : n < 0x1p62 ? (int64_t)n : -1; /* the last also for NaN */
    }
    int64_t from = cr_tensor_int(start, 0), to = cr_tensor_int(limit, 0), step = cr_tensor_int(delta, 0);
    if (step == 0)
        return -1;
    if (step > 0 ? from >= to : from <= to)
        return 0;
    uint64_t span = step > 0 ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to,
             stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step, n = (span - 1) / stride + 1;
    return n > INT64_MAX ? -1 : (int64_t)n;
}

static crease_status range_infer(cr_infer *infer) {
    const cr_tensor *t[3];
    for (int i = 0; i < 3; i++) {
        CR_TRY(cr_infer_need(infer, i));
        CR_TRY(cr_infer_same_type(infer, 0, i));
        t[i] = infer->in[i]->known;
        if (t[i] && (cr_shape_n(&t[i]->shape) != 1 || !is_range_type(t[i]->dtype)))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is not one number", i);
    }
    infer->out[0].dtype = infer->in[0]->dtype;
    infer->out[0].shape = (cr_shape){.rank = 1, .dims = {CR_DIM_UNKNOWN}};
    if (!t[0] || !t[1] || !t[2])
        return CREASE_OK;
    infer->out[0].shape.dims[0] = range_length(t[0], t[1], t[2]);
    if (infer->out[0].shape.dims[0] < 0)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "start, limit and delta give no finite range");
    return CREASE_OK;
}

static crease_status range_run(cr_run *r) {
    crease_dtype dtype = r->out[0]->dtype;
    size_t element = cr_element_bytes(dtype);
    int64_t n = cr_shape_n(&r->out[0]->shape);
    if (cr_dtype_is_float(dtype)) {
        double start = cr_load_float(dtype, r->in[0]->data, 0),
               step = cr_load_float(dtype, r->in[2]->data, 0);
        for (int64_t i = 0; i < n; i++)
            cr_store_float(dtype, r->out[0]->data, i, start + (double)i * step);
        return CREASE_OK;
    }
    uint64_t value = (uint64_t)cr_tensor_int(r->in[0], 0), step = (uint64_t)cr_tensor_int(r->in[2], 0);
    for (int64_t i = 0; i < n; i++, value += step)
        memcpy((char *)r->out[0]->data + (size_t)i * element, &value, element); /* little-endian */
    return CREASE_OK;
}

/* ---- OneHot: indices, depth, values {off, on} ---- */

/* An index as ONNX counts it; numbers that are no int64 are outside every depth. */
static int64_t index_of(const cr_tensor *t, int64_t i) {
    int64_t value = 0;
    if (cr_dtype_is_float(t->dtype)) {
        double number = cr_load_float(t->dtype, t->data, i);
        return number > -0x1p62 && number < 0x1p62 ? (int64_t)number : INT64_MAX;
    }
    size_t bytes = cr_element_bytes(t->dtype);
    memcpy(&value, (const char *)t->data + (size_t)i * bytes, bytes); /* little-endian */
    int unused = 64 - (int)(8 * bytes);
    if (CR_T_SIGNED & CR_T(t->dtype))
        return (int64_t)((uint64_t)value << unused) >> unused;
    return value < 0 ? INT64_MAX : value; /* uint64 beyond int64 */
}

static crease_status one_hot_infer(cr_infer *infer) {
    int axis;
    for (int i = 0; i < 3; i++)
        CR_TRY(cr_infer_need(infer, i));
    for (int i = 0; i < 2; i++)
        if (infer->in[i]->dtype && !(CR_T_NUMBERS & CR_T(infer->in[i]->dtype)))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is %s, expected numbers", i,
                                crease_dtype_name(infer->in[i]->dtype));
    if (!cr_shape_fits(&infer->in[2]->shape, &(cr_shape){.rank = 1, .dims = {2}}))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "values are not a list of two");
    const cr_shape *x = &infer->in[0]->shape;
    const cr_tensor *depth = infer->in[1]->known;
    infer->out[0].dtype = infer->in[2]->dtype;
    if (x->rank < 0)
        return CREASE_OK;
    if (x->rank == CR_MAX_RANK || (depth && cr_shape_n(&depth->shape) != 1))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "indices or depth have an impossible shape");
    CR_TRY(cr_axis_attr(infer->node, -1, x->rank + 1, &axis));
    cr_shape y = {.rank = x->rank + 1};
    for (int d = 0; d < y.rank; d++)
        y.dims[d] = d < axis ? x->dims[d] : d > axis ? x->dims[d - 1] : CR_DIM_UNKNOWN;
    if (depth)
        y.dims[axis] = index_of(depth, 0);
    if (depth && y.dims[axis] < 0)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "depth is %lld", (long long)y.dims[axis]);
    infer->out[0].shape = y;
    return CREASE_OK;
}

typedef struct one_hot_state {
    int64_t depth, inner;
} one_hot_state;

static crease_status one_hot_prepare(cr_prepare *p) {
    const cr_shape *y = &p->out[0].shape;
    one_hot_state *s;
    int axis;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_axis_attr(p->node, -1, y->rank, &axis));
    s->depth = y->dims[axis];
    s->inner = cr_shape_extent(y, axis + 1, y->rank);
    return CREASE_OK;
}

static crease_status one_hot_run(cr_run *r) {
    const one_hot_state *s = r->state;
    const int64_t depth = s->depth, inner = s->inner;
    const char *values = r->in[2]->data;
    char *to = r->out[0]->data;
    size_t element = cr_element_bytes(r->out[0]->dtype);
    cr_fill(element, values, to, cr_shape_n(&r->out[0]->shape));
    for (int64_t i = 0, n = cr_shape_n(&r->in[0]->shape); i < n; i++) {
        int64_t index = index_of(r->in[0], i);
        if (index < -depth || index >= depth)
            continue; /* all off */
        index += index < 0 ? depth : 0;
        memcpy(to + (size_t)((i / inner * depth + index) * inner + i % inner) * element, values + element,
               element);
    }
    return CREASE_OK;
}

enum { RANGE_TYPES = CR_T_FLOATS | CR_T(CREASE_INT16) | CR_T(CREASE_INT32) | CR_T(CREASE_INT64) };

const cr_op cr_ops_constant[] = {
    {"Constant", 1, 0, 0, constant_infer, constant_prepare, constant_run, 0, CR_OP_HALF, 0, NULL},
    {"ConstantOfShape", 9, 0, 0, filled_infer, filled_prepare, filled_run, 0, CR_OP_HALF, 0, NULL},
    {"EyeLike", 9, 0, CR_T_NUMBERS | CR_T_BOOL, eye_infer, eye_prepare, eye_run, 0, CR_OP_HALF, 0, NULL},
    {"Range", 11, 0, RANGE_TYPES, range_infer, NULL, range_run, 0, CR_OP_HALF, 0, NULL},
    {"OneHot", 9, 0, CR_T_BYTES, one_hot_infer, one_hot_prepare, one_hot_run, 0, CR_OP_HALF, 2, NULL},
    {0},
};
