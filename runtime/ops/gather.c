#include "runtime/ops/infer.h"

#include <string.h>

/* Gather (ONNX 1, 11, 13). */

static crease_status gather_infer(cr_infer *infer) {
    int64_t value;
    int axis;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_attr_int(infer->node, "axis", 0, &value));
    infer->out[0].dtype = infer->in[0]->dtype;
    const cr_shape *x = &infer->in[0]->shape, *indices = &infer->in[1]->shape;
    crease_dtype type = infer->in[1]->dtype;
    if (type && type != CREASE_INT32 && type != CREASE_INT64)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "indices are %s, expected int32 or int64",
                            crease_dtype_name(type));
    if (x->rank < 0 || indices->rank < 0)
        return CREASE_OK;
    CR_TRY(cr_axis_resolve(value, x->rank, infer->node->name, &axis));
    if (x->rank - 1 + indices->rank > CR_MAX_RANK)
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "the result has more than %d dimensions",
                            CR_MAX_RANK);
    cr_shape y = {.rank = 0};
    for (int d = 0; d < axis; d++)
        y.dims[y.rank++] = x->dims[d];
    for (int d = 0; d < indices->rank; d++)
        y.dims[y.rank++] = indices->dims[d];
    for (int d = axis + 1; d < x->rank; d++)
        y.dims[y.rank++] = x->dims[d];
    infer->out[0].shape = y;
    return CREASE_OK;
}

static crease_status gather_run(cr_run *r) {
    const cr_tensor *x = r->in[0];
    int64_t value, outer = 1, inner = 1, n = cr_shape_n(&r->in[1]->shape);
    int axis;
    CR_TRY(cr_attr_int(r->node, "axis", 0, &value));
    CR_TRY(cr_axis_resolve(value, x->shape.rank, r->node->name, &axis));
    for (int d = 0; d < x->shape.rank; d++)
        *(d < axis ? &outer : &inner) *= d == axis ? 1 : x->shape.dims[d];
    int64_t extent = x->shape.dims[axis];
    size_t row = (size_t)inner * (crease_dtype_bits(x->dtype) / 8);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++) {
            int64_t index = cr_tensor_int(r->in[1], i);
            if (index < -extent || index >= extent)
                return cr_node_fail(r->node, CREASE_ERROR_RUN, "index %lld is outside [-%lld, %lld)",
                                    (long long)index, (long long)extent, (long long)extent);
            index += index < 0 ? extent : 0;
            memcpy((char *)r->out[0]->data + (size_t)(o * n + i) * row,
                   (const char *)x->data + (size_t)(o * extent + index) * row, row);
        }
    return CREASE_OK;
}

const cr_op cr_ops_gather[] = {
    {"Gather", 1, 0, CR_T_BYTES, gather_infer, NULL, gather_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
