#include "runtime/ops/infer.h"

#include <string.h>

/* Operators that keep the bytes and change the shape (Reshape, Flatten, Squeeze, Unsqueeze, Identity,
 * Dropout), and Shape. */

static crease_status view_run(cr_run *r) {
    size_t bytes;
    if (r->out[0]->data != r->in[0]->data &&
        cr_tensor_bytes(r->in[0]->dtype, r->in[0]->lanes, &r->in[0]->shape, &bytes) && bytes)
        memcpy(r->out[0]->data, r->in[0]->data, bytes);
    return CREASE_OK;
}

/* ---- Reshape: 1 has an attribute, 5 an input, 14 allowzero ---- */

static crease_status reshape_infer(cr_infer *infer) {
    int64_t target[CR_MAX_RANK], allow_zero = 0, known = 1, total;
    int n, hole = -1;
    bool have;
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    if (infer->opset < 5) {
        const int64_t *attr;
        CR_TRY(cr_attr_ints(infer->node, "shape", &attr, &n));
        if (n > CR_MAX_RANK)
            return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "rank %d", n);
        memcpy(target, attr ? attr : target, (size_t)n * sizeof *target);
    } else {
        CR_TRY(cr_infer_need(infer, 1));
        CR_TRY(cr_infer_ints(infer, 1, target, &n, &have));
        if (!have)
            return CREASE_OK;
    }
    CR_TRY(cr_attr_int(infer->node, "allowzero", 0, &allow_zero));
    const cr_shape *x = &infer->in[0]->shape;
    cr_shape y = {.rank = n};
    for (int i = 0; i < n; i++) {
        y.dims[i] = target[i];
        if (target[i] == 0 && !allow_zero)
            y.dims[i] = x->rank > i ? x->dims[i] : CR_DIM_UNKNOWN;
        if (target[i] < -1 || (target[i] == -1 && hole >= 0))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the target shape is not possible");
        if (target[i] == -1)
            hole = i;
        else if (y.dims[i] < 0)
            known = -1;
        else if (known >= 0 && __builtin_mul_overflow(known, y.dims[i], &known))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the target shape overflows");
    }
    if (x->rank >= 0 && cr_shape_product(x, 0, x->rank, &total) && known >= 0) {
        if (hole >= 0 && known > 0 && total % known == 0)
            y.dims[hole] = total / known;
        else if (hole >= 0 && known == 0 && total == 0)
            y.dims[hole] = 0;
        else if (hole >= 0 || total != known)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%lld elements do not fit the target shape",
                                (long long)total);
    }
    infer->out[0].shape = y;
    return CREASE_OK;
}

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
        CR_TRY(cr_axis_resolve(axes[i], x->rank, infer->node->name, &axis));
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
        CR_TRY(cr_axis_resolve(axes[i], x->rank + n, infer->node->name, &axis));
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

static crease_status dropout_run(cr_run *r) {
    bool training = r->n_in > 2 && r->in[2] && *(const unsigned char *)r->in[2]->data;
    if (training && !(r->n_in > 1 && r->in[1] && cr_load_float(r->in[1]->dtype, r->in[1]->data, 0) == 0))
        return cr_node_fail(r->node, CREASE_ERROR_UNSUPPORTED, "training mode is not supported");
    if (r->n_out > 1 && r->out[1]) {
        if (r->out[1]->dtype == CREASE_BOOL)
            memset(r->out[1]->data, 1, (size_t)cr_shape_n(&r->out[1]->shape));
        else
            for (int64_t i = 0, n = cr_shape_n(&r->out[1]->shape); i < n; i++)
                cr_store_float(r->out[1]->dtype, r->out[1]->data, i, 1);
    }
    return view_run(r);
}

/* ---- Shape, Size ---- */

static void shape_range(const cr_node *node, int rank, int64_t *start, int64_t *end) {
    const cr_attr *a = cr_attr_find(node, "start"), *b = cr_attr_find(node, "end");
    *start = a && a->type == CR_ATTR_INT ? a->ints[0] : 0;
    *end = b && b->type == CR_ATTR_INT ? b->ints[0] : rank;
    *start += *start < 0 ? rank : 0;
    *end += *end < 0 ? rank : 0;
    *start = *start < 0 ? 0 : *start > rank ? rank : *start;
    *end = *end < *start ? *start : *end > rank ? rank : *end;
}

static crease_status shape_infer(cr_infer *infer) {
    int64_t start, end;
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = CREASE_INT64;
    if (infer->in[0]->shape.rank < 0)
        return CREASE_OK;
    shape_range(infer->node, infer->in[0]->shape.rank, &start, &end);
    infer->out[0].shape = (cr_shape){.rank = 1, .dims = {end - start}};
    return CREASE_OK;
}

static crease_status shape_run(cr_run *r) {
    int64_t start, end;
    shape_range(r->node, r->in[0]->shape.rank, &start, &end);
    memcpy(r->out[0]->data, r->in[0]->shape.dims + start, (size_t)(end - start) * sizeof(int64_t));
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

#define VIEW(name, infer, run)                                                                               \
    { name, 1, 0, CR_T_BYTES, infer, NULL, run, 0, CR_OP_VIEW | CR_OP_HALF, 0, NULL }

const cr_op cr_ops_shape[] = {
    VIEW("Reshape", reshape_infer, view_run),
    VIEW("Flatten", flatten_infer, view_run),
    VIEW("Squeeze", squeeze_infer, view_run),
    VIEW("Unsqueeze", unsqueeze_infer, view_run),
    VIEW("Identity", cr_infer_same, view_run),
    VIEW("Dropout", dropout_infer, dropout_run),
    {"Shape", 1, 0, CR_T_BYTES, shape_infer, NULL, shape_run, 0, CR_OP_HALF, 0, NULL},
    {"Size", 1, 0, CR_T_BYTES, size_infer, NULL, size_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
