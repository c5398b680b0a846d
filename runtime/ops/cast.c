#include "runtime/kernels/narrow.h"
#include "runtime/ops/infer.h"

#include <string.h>

/* Cast (ONNX 1 to 24) and CastLike (15 to 24) among floats, integers, bool and the narrow types. Floats are
 * rounded to nearest even, cut toward zero to integers. */
enum { TYPES = CR_T_NUMBERS | CR_T_BOOL | CR_T_NARROW };

enum { CAST, CAST_NAMED, CAST_LIKE };

/* Before operator set 6 the target was a string: the name in TensorProto.DataType. */
static crease_status read_named_target(const cr_node *node, int64_t *to) {
    static const char *const names[] = {
        "UNDEFINED", "FLOAT",  "UINT8", "INT8",    "UINT16", "INT16",  "INT32",
        "INT64",     "STRING", "BOOL",  "FLOAT16", "DOUBLE", "UINT32", "UINT64",
    };
    const char *name;
    CR_TRY(cr_attr_string(node, "to", "", &name));
    for (size_t i = 1; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *to = (int64_t)i;
            return CREASE_OK;
        }
    return cr_node_fail(node, CREASE_ERROR_MODEL, "attribute 'to' is '%s', which names no element type",
                        name);
}

static crease_status read_target(const cr_infer *infer, int64_t *to) {
    if (infer->op->variant == CAST_NAMED)
        return read_named_target(infer->node, to);
    return cr_attr_int(infer->node, "to", 0, to);
}

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
        CR_TRY(read_target(infer, &to));
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

typedef struct cast_state {
    int64_t saturate;
    cr_rounding rounding; /* of float8e8m0 */
} cast_state;

static crease_status cast_prepare(cr_prepare *p) {
    cast_state *s;
    const char *mode;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_int(p->node, "saturate", 1, &s->saturate));
    CR_TRY(cr_attr_string(p->node, "round_mode", "up", &mode));
    s->rounding = strcmp(mode, "down") == 0      ? CR_ROUND_DOWN
                  : strcmp(mode, "nearest") == 0 ? CR_ROUND_NEAREST
                                                 : CR_ROUND_UP;
    if (s->rounding == CR_ROUND_UP && strcmp(mode, "up") != 0)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "round_mode '%s' is not known", mode);
    return CREASE_OK;
}

static void store_number(const cast_state *s, cr_tensor *y, int64_t i, double value) {
    if (CR_T(y->dtype) & (cr_types)CR_T_NARROW)
        cr_narrow_store(y->dtype, y->data, i, value, s->saturate != 0, s->rounding);
    else if (cr_dtype_is_float(y->dtype))
        cr_store_float(y->dtype, y->data, i, value);
    else if (y->dtype == CREASE_BOOL)
        store_int(y, i, value != 0);
    else
        store_int(y, i, cut(value));
}

#define FLOATS_OF(T)                                                                                         \
    for (int64_t i = 0; i < n; i++)                                                                          \
        y[i] = (float)(double)((const T *)x->data)[i];                                                       \
    return true

/* To float32 from the types whose large tensors networks cast, with the values of store_number(). */
static bool cast_to_float(const cr_tensor *x, float *y, int64_t n) {
    switch (x->dtype) {
    case CREASE_DOUBLE:
        FLOATS_OF(double);
    case CREASE_INT64:
        FLOATS_OF(int64_t);
    case CREASE_INT32:
        FLOATS_OF(int32_t);
    case CREASE_UINT8:
        FLOATS_OF(uint8_t);
    case CREASE_INT8:
        FLOATS_OF(int8_t);
    case CREASE_BOOL:
        FLOATS_OF(uint8_t);
    case CREASE_FLOAT16:
    case CREASE_BFLOAT16:
        cr_halves_to_floats(x->dtype, x->data, y, n);
        return true;
    default:
        return false;
    }
}

/* Whole tensors at a time; false: the pair of types has no such way. */
static bool cast_all(const cr_tensor *x, cr_tensor *y, int64_t n) {
    if (x->dtype == CREASE_FLOAT && cr_dtype_is_half(y->dtype)) {
        cr_floats_to_halves(y->dtype, x->data, y->data, n);
        return true;
    }
    if (x->dtype != y->dtype || !((cr_types)CR_T_NUMBERS & CR_T(x->dtype)))
        return y->dtype == CREASE_FLOAT && cast_to_float(x, y->data, n);
    if (n)
        memcpy(y->data, x->data, (size_t)n * cr_element_bytes(x->dtype));
    return true;
}

static crease_status cast_run(cr_run *r) {
    const cr_tensor *x = r->in[0];
    cr_tensor *y = r->out[0];
    if (cast_all(x, y, cr_shape_n(&x->shape)))
        return CREASE_OK;
    bool ints = CR_T(x->dtype) & ((cr_types)CR_T_INTS | CR_T_BOOL) &&
                CR_T(y->dtype) & ((cr_types)CR_T_INTS | CR_T_BOOL);
    size_t bytes;
    if (crease_dtype_bits(y->dtype) < 8 && cr_tensor_bytes(y->dtype, 0, &y->shape, &bytes))
        memset(y->data, 0, bytes); /* the bits after the last element */
    for (int64_t i = 0, n = cr_shape_n(&x->shape); i < n; i++)
        if (ints) /* without rounding in between */
            store_int(y, i, cr_tensor_int(x, i));
        else
            store_number(r->state, y, i, cr_number_load(x->dtype, x->data, i));
    return CREASE_OK;
}

const cr_op cr_ops_cast[] = {
    {"Cast", 1, 5, TYPES, cast_infer, cast_prepare, cast_run, CAST_NAMED, CR_OP_HALF, 0, NULL},
    {"Cast", 6, 0, TYPES, cast_infer, cast_prepare, cast_run, CAST, CR_OP_HALF, 0, NULL},
    {"CastLike", 15, 0, TYPES, cast_infer, cast_prepare, cast_run, CAST_LIKE, CR_OP_HALF, 0, NULL},
    {0},
};
