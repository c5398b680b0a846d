#include "runtime/ops/infer.h"

/* Cast (ONNX 6 to 24) and CastLike (15 to 24) among floats, integers and bool. Floats are rounded to nearest
 * even, cut toward zero to integers. */
enum { TYPES = CR_T_NUMBERS | CR_T_BOOL };

enum { CAST, CAST_LIKE };

static crease_status cast_infer(cr_infer *infer) {
    int64_t to;
    CR_TRY(cr_infer_same(infer));
    if (infer->op->variant == CAST_LIKE) {
        CR_TRY(cr_infer_need(infer, 1));
        to = infer->in[1]->dtype;
        if (to == CREASE_UNDEFINED) { /* not known yet */
            infer->out[0].dtype = CREASE_UNDEFINED;
            return CREASE_OK;
        }
    } else {
        CR_TRY(cr_attr_int(infer->node, "to", 0, &to));
    }
    if (!cr_dtype_valid(to) || !((cr_types)TYPES & CR_T(to)))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "a cast to type %lld is not supported",
                            (long long)to);
    infer->out[0].dtype = (crease_dtype)to;
    return CREASE_OK;
}

static void store_int(cr_tensor *t, int64_t i, int64_t v) {
    switch (t->dtype) {
    case CREASE_INT16:
    case CREASE_UINT16:
        ((uint16_t *)t->data)[i] = (uint16_t)v;
        break;
    case CREASE_INT32:
    case CREASE_UINT32:
        ((uint32_t *)t->data)[i] = (uint32_t)v;
        break;
    case CREASE_INT64:
    case CREASE_UINT64:
        ((int64_t *)t->data)[i] = v;
        break;
    case CREASE_BOOL:
        ((uint8_t *)t->data)[i] = v != 0;
        break;
    default:
        ((uint8_t *)t->data)[i] = (uint8_t)v;
    }
}

static int64_t cut(double v) {
    return v != v ? 0 : v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
}

static crease_status cast_run(cr_run *r) {
    const cr_tensor *x = r->in[0];
    cr_tensor *y = r->out[0];
    bool from = cr_dtype_is_float(x->dtype), to = cr_dtype_is_float(y->dtype);
    for (int64_t i = 0, n = cr_shape_n(&x->shape); i < n; i++) {
        if (from && to)
            cr_store_float(y->dtype, y->data, i, cr_load_float(x->dtype, x->data, i));
        else if (from && y->dtype == CREASE_BOOL)
            store_int(y, i, cr_load_float(x->dtype, x->data, i) != 0);
        else if (from)
            store_int(y, i, cut(cr_load_float(x->dtype, x->data, i)));
        else if (to)
            cr_store_float(y->dtype, y->data, i,
                           x->dtype == CREASE_UINT64 ? (double)(uint64_t)cr_tensor_int(x, i)
                                                     : (double)cr_tensor_int(x, i));
        else
            store_int(y, i, cr_tensor_int(x, i));
    }
    return CREASE_OK;
}

const cr_op cr_ops_cast[] = {
    {"Cast", 6, 0, TYPES, cast_infer, NULL, cast_run, CAST, CR_OP_HALF, 0, NULL},
    {"CastLike", 15, 0, TYPES, cast_infer, NULL, cast_run, CAST_LIKE, CR_OP_HALF, 0, NULL},
    {0},
};
