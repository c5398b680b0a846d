#include "runtime/ops/infer.h"

#include <string.h>

/* Constant (every attribute form but strings), ConstantOfShape, and Gather, Cast between numbers, Pad with a
 * constant. */

static const cr_attr *only_value(const cr_node *node) {
    return node->n_attrs ? &node->attrs[0] : NULL;
}

static crease_status constant_infer(cr_infer *infer) {
    const cr_attr *a = only_value(infer->node);
    cr_info *y = &infer->out[0];
    if (!a || a->type == CR_ATTR_STRING || a->type == CR_ATTR_STRINGS)
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "a constant without numbers");
    bool list = a->type == CR_ATTR_FLOATS || a->type == CR_ATTR_INTS;
    y->shape = list ? (cr_shape){.rank = 1, .dims = {a->n}} : (cr_shape){.rank = 0};
    y->dtype = a->type == CR_ATTR_FLOAT || a->type == CR_ATTR_FLOATS ? CREASE_FLOAT : CREASE_INT64;
    if (a->type == CR_ATTR_TENSOR) {
        y->shape = a->tensors[0].shape;
        y->dtype = a->tensors[0].dtype;
    }
    return CREASE_OK;
}

static crease_status constant_run(cr_run *r) {
    const cr_attr *a = only_value(r->node);
    size_t bytes;
    if (cr_tensor_bytes(r->out[0]->dtype, 0, &r->out[0]->shape, &bytes) && bytes)
        memcpy(r->out[0]->data, a->type == CR_ATTR_TENSOR ? a->tensors[0].data : (const void *)a->ints,
               bytes);
    return CREASE_OK;
}

static crease_status filled_infer(cr_infer *infer) {
    const cr_tensor *value;
    int n;
    bool known;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_attr_tensor(infer->node, "value", &value));
    infer->out[0].dtype = value ? value->dtype : CREASE_FLOAT;
    CR_TRY(cr_infer_ints(infer, 0, infer->out[0].shape.dims, &n, &known));
    infer->out[0].shape.rank = known ? n : -1;
    for (int d = 0; known && d < n; d++)
        if (infer->out[0].shape.dims[d] < 0)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "a dimension is negative");
    return CREASE_OK;
}

static crease_status filled_run(cr_run *r) {
    const cr_tensor *value;
    CR_TRY(cr_attr_tensor(r->node, "value", &value));
    size_t element = crease_dtype_bits(r->out[0]->dtype) / 8;
    char zero[16] = {0};
    for (int64_t i = 0, n = cr_shape_n(&r->out[0]->shape); i < n; i++)
        memcpy((char *)r->out[0]->data + (size_t)i * element, value ? value->data : zero, element);
    return CREASE_OK;
}

const cr_op cr_ops_constant[] = {
    {"Constant", 1, 0, 0, constant_infer, NULL, constant_run, 0, CR_OP_HALF, 0, NULL},
    {"ConstantOfShape", 9, 0, 0, filled_infer, NULL, filled_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
