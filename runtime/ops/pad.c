#include "runtime/ops/infer.h"

#include <string.h>

/* Pad (ONNX 1: "paddings", 2: attributes, 11: inputs, 18: axes, 19: wrap). Pads may be negative. */

static crease_status pads_of(const cr_node *node, int rank, const cr_tensor *given, const cr_tensor *axes,
                             int64_t *begin, int64_t *end) {
    const int64_t *attr;
    int n, axis;
    CR_TRY(cr_attr_ints(node, cr_attr_find(node, "paddings") ? "paddings" : "pads", &attr, &n));
    n = given ? (int)cr_shape_n(&given->shape) : n;
    int n_axes = axes ? (int)cr_shape_n(&axes->shape) : rank;
    if (n != 2 * n_axes || n_axes > CR_MAX_RANK)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "%d pads for %d axes", n, n_axes);
    for (int d = 0; d < rank; d++)
        begin[d] = end[d] = 0;
    for (int i = 0; i < n_axes; i++) {
        CR_TRY(cr_axis_resolve(axes ? cr_tensor_int(axes, i) : i, rank, node->name, &axis));
        begin[axis] = given ? cr_tensor_int(given, i) : attr[i];
        end[axis] = given ? cr_tensor_int(given, i + n_axes) : attr[i + n_axes];
    }
    return CREASE_OK;
}

static crease_status pad_infer(cr_infer *infer) {
    int64_t begin[CR_MAX_RANK], end[CR_MAX_RANK];
    CR_TRY(cr_infer_same(infer));
    const cr_info *pads = infer->n_in > 1 ? infer->in[1] : NULL,
                  *axes = infer->n_in > 3 ? infer->in[3] : NULL;
    cr_shape *y = &infer->out[0].shape;
    if (y->rank < 0 || (pads && !pads->known) || (axes && !axes->known)) {
        *y = cr_shape_unknown();
        return CREASE_OK;
    }
    CR_TRY(pads_of(infer->node, y->rank, pads ? pads->known : NULL, axes ? axes->known : NULL, begin, end));
    for (int d = 0; d < y->rank; d++)
        if (y->dims[d] >= 0) {
            if (__builtin_add_overflow(y->dims[d], begin[d], &y->dims[d]) ||
                __builtin_add_overflow(y->dims[d], end[d], &y->dims[d]) || y->dims[d] < 0)
                return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                                    "the padded extent of axis %d is not possible", d);
        }
    return CREASE_OK;
}

/* Where position i of an axis comes from; -1: padding. */
static int64_t source(int64_t i, int64_t extent, const char *mode) {
    if ((i >= 0 && i < extent) || extent == 0)
        return extent == 0 ? -1 : i;
    if (strcmp(mode, "edge") == 0)
        return i < 0 ? 0 : extent - 1;
    if (strcmp(mode, "wrap") == 0)
        return ((i % extent) + extent) % extent;
    if (strcmp(mode, "reflect") == 0) {
        int64_t period = extent > 1 ? 2 * (extent - 1) : 1, p = ((i % period) + period) % period;
        return p < extent ? p : period - p;
    }
    return -1;
}

static crease_status pad_run(cr_run *r) {
    int64_t begin[CR_MAX_RANK], end[CR_MAX_RANK];
    const cr_tensor *x = r->in[0], *value = r->n_in > 2 ? r->in[2] : NULL;
    const char *mode;
    float attr;
    char fill[16] = {0};
    size_t element = crease_dtype_bits(x->dtype) / 8;
    CR_TRY(pads_of(r->node, x->shape.rank, r->n_in > 1 ? r->in[1] : NULL, r->n_in > 3 ? r->in[3] : NULL,
                   begin, end));
    CR_TRY(cr_attr_string(r->node, "mode", "constant", &mode));
    CR_TRY(cr_attr_float(r->node, "value", 0, &attr));
    if (value)
        memcpy(fill, value->data, element);
    else if (cr_dtype_is_float(x->dtype))
        cr_store_float(x->dtype, fill, 0, (double)attr);
    const cr_shape *y = &r->out[0]->shape;
    for (int64_t i = 0, n = cr_shape_n(y); i < n; i++) {
        int64_t rest = i, at = 0, stride = 1;
        bool padding = false;
        for (int d = y->rank - 1; d >= 0; d--) {
            int64_t from = source(rest % y->dims[d] - begin[d], x->shape.dims[d], mode);
            padding |= from < 0;
            at += from * stride;
            stride *= x->shape.dims[d];
            rest /= y->dims[d];
        }
        memcpy((char *)r->out[0]->data + (size_t)i * element,
               padding ? fill : (const char *)x->data + (size_t)at * element, element);
    }
    return CREASE_OK;
}

const cr_op cr_ops_pad[] = {
    {"Pad", 1, 0, CR_T_BYTES, pad_infer, NULL, pad_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
