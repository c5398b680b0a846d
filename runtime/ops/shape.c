#include "runtime/ops/infer.h"

#include "runtime/base/whole.h"

#include <string.h>

/* Operators that keep the bytes and change the shape (Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout
 * at inference), Shape and Size. */

static crease_status view_run(cr_run *r) {
    size_t bytes;
    if (r->out[0]->data != r->in[0]->data &&
        cr_tensor_bytes(r->in[0]->dtype, r->in[0]->lanes, &r->in[0]->shape, &bytes) && bytes)
        memcpy(r->out[0]->data, r->in[0]->data, bytes);
    return CREASE_OK;
}

/* ---- Reshape (ONNX 1: an attribute, 5: an input, 14: allowzero) ---- */

/* Elements of x, but for the dimensions that are copied; CR_DIM_UNKNOWN when they are not known. */
static int64_t elements_left(const cr_shape *x, const int64_t *target, int n, bool allow_zero) {
    int64_t left = 1;
    for (int i = 0; i < x->rank; i++)
        if ((i >= n || target[i] != 0 || allow_zero) &&
            (x->dims[i] < 0 || __builtin_mul_overflow(left, x->dims[i], &left)))
            return CR_DIM_UNKNOWN;
    return x->rank < 0 ? CR_DIM_UNKNOWN : left;
}

/* The target: 0 copies the input's dimension unless allow_zero, one -1 takes what is left. Dimensions that
 * are copied need not be known for that. */
static crease_status reshape(cr_infer *infer, const int64_t *target, int n, bool allow_zero) {
    const cr_shape *x = &infer->in[0]->shape;
    int64_t given = 1; /* product of what is neither copied nor left */
    int hole = -1;
    cr_shape y = {.rank = n};
    for (int i = 0; i < n; i++) {
        const bool copied = target[i] == 0 && !allow_zero;
        y.dims[i] = copied ? (x->rank > i ? x->dims[i] : CR_DIM_UNKNOWN) : target[i];
        if (target[i] < -1 || (target[i] == -1 && hole >= 0) || (copied && x->rank >= 0 && i >= x->rank))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "entry %d of the target shape is %lld", i,
                                (long long)target[i]);
        if (target[i] == -1)
            hole = i;
        else if (!copied && __builtin_mul_overflow(given, target[i], &given))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the target shape overflows");
    }
    const int64_t left = elements_left(x, target, n, allow_zero);
    const bool empty = hole < 0 && cr_shape_is_static(x) && cr_shape_n(x) == 0 && cr_shape_n(&y) == 0;
    if (left >= 0 && !empty) {
        if (hole < 0 ? left != given : given ? left % given != 0 : left != 0)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%lld elements do not fit the target shape",
                                (long long)left);
        if (hole >= 0)
            y.dims[hole] = given ? left / given : 0;
    }
    infer->out[0].shape = y;
    return CREASE_OK;
}

static crease_status reshape_infer(cr_infer *infer) {
    int64_t target[CR_MAX_RANK], allow_zero = 0;
    const int64_t *attr;
    int n;
    bool known;
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    if (infer->opset < 5) {
        CR_TRY(cr_attr_ints(infer->node, "shape", &attr, &n));
        if (n > CR_MAX_RANK)
            return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "a shape of rank %d", n);
        return reshape(infer, attr, n, false);
    }
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_attr_int(infer->node, "allowzero", 0, &allow_zero));
    CR_TRY(cr_infer_ints(infer, 1, target, &n, &known));
    if (known)
        return reshape(infer, target, n, allow_zero != 0);
    const cr_shape *list = &infer->in[1]->shape;
    if (list->rank == 1 && list->dims[0] >= 0 && list->dims[0] <= CR_MAX_RANK) { /* only the rank */
        infer->out[0].shape.rank = (int)list->dims[0];
        for (int d = 0; d < infer->out[0].shape.rank; d++)
            infer->out[0].shape.dims[d] = CR_DIM_UNKNOWN;
    }
    return CREASE_OK;
}

/* ---- Flatten (ONNX 1, 9, 11: negative axes, 13) ---- */

static crease_status flatten_infer(cr_infer *infer) {
    int64_t axis, rows = 1, columns = 1;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_attr_int(infer->node, "axis", 1, &axis));
    const cr_shape *x = &infer->in[0]->shape;
    infer->out[0].dtype = infer->in[0]->dtype;
    if (x->rank < 0)
        return CREASE_OK;
    axis += axis < 0 ? x->rank : 0;
    if (axis < 0 || axis > x->rank)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "axis %lld is out of range", (long long)axis);
    rows = cr_shape_product(x, 0, (int)axis, &rows) ? rows : CR_DIM_UNKNOWN;
    columns = cr_shape_product(x, (int)axis, x->rank, &columns) ? columns : CR_DIM_UNKNOWN;
    infer->out[0].shape = (cr_shape){.rank = 2, .dims = {rows, columns}};
    return CREASE_OK;
}

/* ---- Squeeze, Unsqueeze ---- */

/* axes: attribute until 12, input from 13 on. *n is -1 when there are none. */
static crease_status read_axes(cr_infer *infer, int64_t axes[CR_MAX_RANK], int *n, bool *known) {
    const int64_t *attr;
    *known = true;
    if (infer->opset >= 13)
        return cr_infer_ints(infer, 1, axes, n, known);
    CR_TRY(cr_attr_ints(infer->node, "axes", &attr, n));
    if (*n > CR_MAX_RANK)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "too many axes");
    if (*n)
        memcpy(axes, attr, (size_t)*n * sizeof *axes);
    else
        *n = -1;
    return CREASE_OK;
}

static crease_status squeeze_infer(cr_infer *infer) {
    int64_t axes[CR_MAX_RANK];
    int n, axis;
    bool known, drop[CR_MAX_RANK] = {false};
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    CR_TRY(read_axes(infer, axes, &n, &known));
    const cr_shape *x = &infer->in[0]->shape;
    if (!known || x->rank < 0 || (n < 0 && !cr_shape_is_static(x)))
        return CREASE_OK;
    for (int d = 0; n < 0 && d < x->rank; d++)
        drop[d] = x->dims[d] == 1;
    for (int i = 0; i < n; i++) {
        CR_TRY(cr_node_axis(infer->node, axes[i], x->rank, &axis));
        if (x->dims[axis] >= 0 && x->dims[axis] != 1)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "axis %d has extent %lld, not 1", axis,
                                (long long)x->dims[axis]);
        drop[axis] = true;
    }
    cr_shape y = {.rank = 0};
    for (int d = 0; d < x->rank; d++)
        if (!drop[d])
            y.dims[y.rank++] = x->dims[d];
    infer->out[0].shape = y;
    return CREASE_OK;
}

static crease_status unsqueeze_infer(cr_infer *infer) {
    int64_t axes[CR_MAX_RANK];
    int n, axis;
    bool known, fresh[CR_MAX_RANK] = {false};
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    CR_TRY(read_axes(infer, axes, &n, &known));
    const cr_shape *x = &infer->in[0]->shape;
    if (!known || x->rank < 0)
        return CREASE_OK;
    if (n < 0 || x->rank + n > CR_MAX_RANK)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "axes are missing or too many");
    for (int i = 0; i < n; i++) {
        CR_TRY(cr_node_axis(infer->node, axes[i], x->rank + n, &axis));
        if (fresh[axis])
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "axis %d is given twice", axis);
        fresh[axis] = true;
    }
    cr_shape y = {.rank = x->rank + n};
    for (int d = 0, from = 0; d < y.rank; d++)
        y.dims[d] = fresh[d] ? 1 : x->dims[from++];
    infer->out[0].shape = y;
    return CREASE_OK;
}

/* ---- Dropout at inference is the identity; the mask is all true ---- */

static crease_status dropout_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    if (infer->n_out > 1) {
        infer->out[1] = infer->out[0];
        infer->out[1].dtype = infer->opset >= 10 ? CREASE_BOOL : infer->out[0].dtype;
    }
    return CREASE_OK;
}

static bool is_one(const cr_run *r, int i, cr_types types) {
    return i < r->n_in && r->in[i] && (types & CR_T(r->in[i]->dtype)) && cr_shape_n(&r->in[i]->shape) == 1;
}

static crease_status dropout_run(cr_run *r) {
    bool training = is_one(r, 2, CR_T_BOOL) && *(const unsigned char *)r->in[2]->data;
    bool keeps_all = is_one(r, 1, CR_T_FLOATS) && cr_load_float(r->in[1]->dtype, r->in[1]->data, 0) == 0;
    if (training && !keeps_all)
        return cr_node_fail(r->node, CREASE_ERROR_UNSUPPORTED, "training mode is not supported");
    cr_tensor *mask = r->n_out > 1 ? r->out[1] : NULL;
    for (int64_t i = 0, n = mask ? cr_shape_n(&mask->shape) : 0; i < n; i++)
        if (mask->dtype == CREASE_BOOL)
            ((unsigned char *)mask->data)[i] = 1;
        else
            cr_store_float(mask->dtype, mask->data, i, 1);
    return view_run(r);
}

/* ---- Shape, Size ---- */

/* Axes [start, end) that Shape tells: attributes from version 15 on. */
typedef struct shape_range {
    int64_t start, end;
} shape_range;

/* Negative ones count from the end. */
static crease_status read_range(const cr_node *node, int rank, shape_range *range) {
    CR_TRY(cr_attr_int(node, "start", 0, &range->start));
    CR_TRY(cr_attr_int(node, "end", rank, &range->end));
    range->start = cr_within(range->start < 0 ? range->start + rank : range->start, 0, rank);
    range->end = cr_within(range->end < 0 ? range->end + rank : range->end, range->start, rank);
    return CREASE_OK;
}

static crease_status shape_infer(cr_infer *infer) {
    shape_range range;
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = CREASE_INT64;
    infer->out[0].shape = (cr_shape){.rank = 1, .dims = {CR_DIM_UNKNOWN}};
    if (infer->in[0]->shape.rank < 0)
        return CREASE_OK;
    CR_TRY(read_range(infer->node, infer->in[0]->shape.rank, &range));
    infer->out[0].shape.dims[0] = range.end - range.start;
    return CREASE_OK;
}

static crease_status shape_prepare(cr_prepare *p) {
    shape_range *range;
    CR_TRY(CR_PREPARE_STATE(p, &range));
    return read_range(p->node, p->in[0]->shape.rank, range);
}

static crease_status shape_run(cr_run *r) {
    const shape_range *range = r->state;
    memcpy(r->out[0]->data, r->in[0]->shape.dims + range->start,
           (size_t)(range->end - range->start) * sizeof(int64_t));
    return CREASE_OK;
}

static crease_status size_infer(cr_infer *infer) {
    infer->out[0].dtype = CREASE_INT64;
    infer->out[0].shape = (cr_shape){.rank = 0};
    return cr_infer_need(infer, 0);
}

static crease_status size_run(cr_run *r) {
    *(int64_t *)r->out[0]->data = cr_shape_n(&r->in[0]->shape);
    return CREASE_OK;
}

#define VIEW(name, types, infer, run)                                                                        \
    { name, 1, 0, types, infer, NULL, run, 0, CR_OP_VIEW | CR_OP_HALF, 0, NULL }

const cr_op cr_ops_shape[] = {
    VIEW("Reshape", CR_T_BYTES, reshape_infer, view_run),
    VIEW("Flatten", CR_T_BYTES, flatten_infer, view_run),
    VIEW("Squeeze", CR_T_BYTES, squeeze_infer, view_run),
    VIEW("Unsqueeze", CR_T_BYTES, unsqueeze_infer, view_run),
    VIEW("Identity", CR_T_BYTES, cr_infer_same, view_run),
    VIEW("Dropout", CR_T_FLOATS, dropout_infer, dropout_run),
    {"Shape", 1, 0, 0, shape_infer, shape_prepare, shape_run, 0, CR_OP_HALF, 0, NULL},
    {"Size", 1, 0, 0, size_infer, NULL, size_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
