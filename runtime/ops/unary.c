#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* Element-wise operators of one input, in float32 and float64; Abs, Neg, Sign and Clip on integers too. */
enum {
    ABS,
    ACOS,
    ACOSH,
    ASIN,
    ASINH,
    ATAN,
    ATANH,
    COS,
    COSH,
    SIN,
    SINH,
    TAN,
    GELU,
    GELU_TANH,
    ROUND,
    CEIL,
    CELU,
    CLIP,
    ELU,
    ERF,
    EXP,
    FLOOR,
    HARDSIGMOID,
    HARDSWISH,
    LEAKYRELU,
    LOG,
    MISH,
    NEG,
    RECIPROCAL,
    RELU,
    SELU,
    SHRINK,
    SIGMOID,
    SIGN,
    SOFTPLUS,
    SOFTSIGN,
    SQRT,
    SWISH,
    TANH,
    THRESHOLDED
};

typedef struct unary_state {
    float a, b;
    int op; /* the variant, or what an attribute makes of it */
} unary_state;

static crease_status unary_prepare(cr_prepare *p) {
    unary_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    s->op = p->op->variant;
    switch (p->op->variant) {
    case CELU:
    case ELU:
    case SWISH:
    case THRESHOLDED:
        return cr_attr_float(p->node, "alpha", 1, &s->a);
    case LEAKYRELU:
        return cr_attr_float(p->node, "alpha", 0.01f, &s->a);
    case HARDSIGMOID:
        CR_TRY(cr_attr_float(p->node, "alpha", 0.2f, &s->a));
        return cr_attr_float(p->node, "beta", 0.5f, &s->b);
    case SELU:
        CR_TRY(cr_attr_float(p->node, "alpha", 1.67326319217681884765625f, &s->a));
        return cr_attr_float(p->node, "gamma", 1.05070102214813232421875f, &s->b);
    case SHRINK:
        CR_TRY(cr_attr_float(p->node, "lambd", 0.5f, &s->a));
        return cr_attr_float(p->node, "bias", 0, &s->b);
    case CLIP:
        CR_TRY(cr_attr_float(p->node, "min", -INFINITY, &s->a));
        return cr_attr_float(p->node, "max", INFINITY, &s->b);
    default:
        return CREASE_OK;
    }
}

typedef struct unary_job {
    int op;
    unary_state s;
    const void *x;
    void *y;
} unary_job;

#define EACH(expression)                                                                                     \
    for (int64_t i = begin; i < end; i++) {                                                                  \
        const T u = x[i];                                                                                    \
        y[i] = (T)(expression);                                                                              \
    }                                                                                                        \
    break

#define BODY(f)                                                                                              \
    const unary_job *j = context;                                                                            \
    const T *x = j->x, a = (T)j->s.a, b = (T)j->s.b;                                                         \
    T *y = j->y;                                                                                             \
    (void)thread;                                                                                            \
    switch (j->op) {                                                                                         \
    case ABS:                                                                                                \
        EACH(f(fabs)(u));                                                                                    \
    case ACOS:                                                                                               \
        EACH(f(acos)(u));                                                                                    \
    case ACOSH:                                                                                              \
        EACH(f(acosh)(u));                                                                                   \
    case ASIN:                                                                                               \
        EACH(f(asin)(u));                                                                                    \
    case ASINH:                                                                                              \
        EACH(f(asinh)(u));                                                                                   \
    case ATAN:                                                                                               \
        EACH(f(atan)(u));                                                                                    \
    case ATANH:                                                                                              \
        EACH(f(atanh)(u));                                                                                   \
    case COS:                                                                                                \
        EACH(f(cos)(u));                                                                                     \
    case COSH:                                                                                               \
        EACH(f(cosh)(u));                                                                                    \
    case SIN:                                                                                                \
        EACH(f(sin)(u));                                                                                     \
    case SINH:                                                                                               \
        EACH(f(sinh)(u));                                                                                    \
    case TAN:                                                                                                \
        EACH(f(tan)(u));                                                                                     \
    case GELU:                                                                                               \
        EACH(u / 2 * (1 + f(erf)(u * (T)0.70710678118654752)));                                              \
    case GELU_TANH: /* sqrt(2 / pi) */                                                                       \
        EACH(u / 2 * (1 + f(tanh)((T)0.79788456080286536 * (u + (T)0.044715 * u * u * u))));                 \
    case ROUND: /* halves to even */                                                                         \
        EACH(f(rint)(u));                                                                                    \
    case CEIL:                                                                                               \
        EACH(f(ceil)(u));                                                                                    \
    case CELU:                                                                                               \
        EACH(u > 0 ? u : a * f(expm1)(u / a));                                                               \
    case CLIP:                                                                                               \
        EACH(u != u ? u : u < a ? (a > b ? b : a) : u > b ? b : u);                                          \
    case ELU:                                                                                                \
        EACH(u < 0 ? a * f(expm1)(u) : u);                                                                   \
    case ERF:                                                                                                \
        EACH(f(erf)(u));                                                                                     \
    case EXP:                                                                                                \
        EACH(f(exp)(u));                                                                                     \
    case FLOOR:                                                                                              \
        EACH(f(floor)(u));                                                                                   \
    case HARDSIGMOID:                                                                                        \
        EACH(a *u + b < 0 ? 0 : a * u + b > 1 ? 1 : a * u + b);                                              \
    case HARDSWISH:                                                                                          \
        EACH(u *(u / 6 + (T)0.5 < 0 ? 0 : u / 6 + (T)0.5 > 1 ? 1 : u / 6 + (T)0.5));                         \
    case LEAKYRELU:                                                                                          \
        EACH(u < 0 ? a * u : u);                                                                             \
    case LOG:                                                                                                \
        EACH(f(log)(u));                                                                                     \
    case MISH:                                                                                               \
        EACH(u *f(tanh)(u > 0 ? u + f(log1p)(f(exp)(-u)) : f(log1p)(f(exp)(u))));                            \
    case NEG:                                                                                                \
        EACH(-u);                                                                                            \
    case RECIPROCAL:                                                                                         \
        EACH(1 / u);                                                                                         \
    case RELU:                                                                                               \
        EACH(u < 0 ? 0 : u);                                                                                 \
    case SELU:                                                                                               \
        EACH(u > 0 ? b * u : b * a * f(expm1)(u));                                                           \
    case SHRINK:                                                                                             \
        EACH(u<-a ? u + b : u> a ? u - b : 0);                                                               \
    case SIGMOID:                                                                                            \
        EACH(1 / (1 + f(exp)(-u)));                                                                          \
    case SIGN:                                                                                               \
        EACH((u > 0) - (u < 0));                                                                             \
    case SOFTPLUS:                                                                                           \
        EACH(u > 0 ? u + f(log1p)(f(exp)(-u)) : f(log1p)(f(exp)(u)));                                        \
    case SOFTSIGN:                                                                                           \
        EACH(u / (1 + f(fabs)(u)));                                                                          \
    case SQRT:                                                                                               \
        EACH(f(sqrt)(u));                                                                                    \
    case SWISH:                                                                                              \
        EACH(u / (1 + f(exp)(-a * u)));                                                                      \
    case TANH:                                                                                               \
        EACH(f(tanh)(u));                                                                                    \
    default:                                                                                                 \
        EACH(u > a ? u : 0);                                                                                 \
    }

#define IN_FLOAT(name)  name##f
#define IN_DOUBLE(name) name
#define T               float
static void range_f32(void *context, int64_t begin, int64_t end, int thread) {
    BODY(IN_FLOAT)
}
#undef T
#define T double
static void range_f64(void *context, int64_t begin, int64_t end, int thread) {
    BODY(IN_DOUBLE)
}
#undef T

/* ---- integers: few and rare, so through int64 ---- */

static bool is_unsigned(crease_dtype dtype) {
    return (CR_T(dtype) & CR_T_UNSIGNED) != 0;
}

static bool less(crease_dtype dtype, int64_t u, int64_t v) {
    return is_unsigned(dtype) ? (uint64_t)u < (uint64_t)v : u < v;
}

static crease_status integers_run(cr_run *r) {
    const cr_tensor *x = r->in[0], *low = r->n_in > 1 ? r->in[1] : NULL,
                    *high = r->n_in > 2 ? r->in[2] : NULL;
    size_t element = cr_element_bytes(x->dtype);
    for (int64_t i = 0, n = cr_shape_n(&x->shape); i < n; i++) {
        int64_t u = cr_tensor_int(x, i), v = u;
        if (r->op->variant == ABS)
            v = is_unsigned(x->dtype) || u >= 0 ? u : (int64_t)(0 - (uint64_t)u);
        else if (r->op->variant == NEG)
            v = (int64_t)(0 - (uint64_t)u);
        else if (r->op->variant == SIGN)
            v = is_unsigned(x->dtype) ? u != 0 : (u > 0) - (u < 0);
        else if (r->op->variant == RELU)
            v = u < 0 && !is_unsigned(x->dtype) ? 0 : u;
        else if (r->op->variant == CLIP) {
            v = low && less(x->dtype, u, cr_tensor_int(low, 0)) ? cr_tensor_int(low, 0) : u;
            v = high && less(x->dtype, cr_tensor_int(high, 0), v) ? cr_tensor_int(high, 0) : v;
        }
        memcpy((char *)r->out[0]->data + (size_t)i * element, &v, element); /* little-endian */
    }
    return CREASE_OK;
}

static crease_status unary_run(cr_run *r) {
    const cr_tensor *x = r->in[0];
    if (!cr_dtype_is_float(x->dtype))
        return integers_run(r);
    unary_job job = {((const unary_state *)r->state)->op, *(const unary_state *)r->state, x->data,
                     r->out[0]->data};
    if (job.op == CLIP) {
        if (r->n_in > 1 && r->in[1])
            job.s.a = (float)cr_load_float(x->dtype, r->in[1]->data, 0);
        if (r->n_in > 2 && r->in[2])
            job.s.b = (float)cr_load_float(x->dtype, r->in[2]->data, 0);
    }
    cr_parallel_grain(r->pool, cr_shape_n(&x->shape), 8192, x->dtype == CREASE_DOUBLE ? range_f64 : range_f32,
                      &job);
    return CREASE_OK;
}

/* Limits are single values of x's type: attributes until opset 10, inputs from 11 on. */
static crease_status clip_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    for (int i = 1; i < infer->n_in; i++) {
        const cr_shape *limit = infer->in[i] ? &infer->in[i]->shape : NULL;
        CR_TRY(cr_infer_same_type(infer, 0, i));
        if (limit && cr_shape_is_static(limit) && cr_shape_n(limit) != 1)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d has %lld values, expected one", i,
                                (long long)cr_shape_n(limit));
    }
    return CREASE_OK;
}

/* ---- Gelu ---- */

static crease_status gelu_prepare(cr_prepare *p) {
    unary_state *s;
    const char *approximate;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_string(p->node, "approximate", "none", &approximate));
    s->op = strcmp(approximate, "tanh") == 0 ? GELU_TANH : GELU;
    if (s->op == GELU && strcmp(approximate, "none") != 0)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "approximate is '%s', expected none or tanh",
                            approximate);
    return CREASE_OK;
}

/* ---- IsNaN, IsInf, Not, BitwiseNot ---- */

enum { IS_NAN, IS_INF, NOT, BIT_NOT };

typedef struct test_state {
    bool negative, positive; /* which infinities count */
} test_state;

static crease_status test_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    infer->out[0].dtype = CREASE_BOOL;
    return CREASE_OK;
}

static crease_status test_prepare(cr_prepare *p) {
    test_state *s;
    int64_t negative, positive;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_int(p->node, "detect_negative", 1, &negative));
    CR_TRY(cr_attr_int(p->node, "detect_positive", 1, &positive));
    *s = (test_state){negative != 0, positive != 0};
    return CREASE_OK;
}

static crease_status test_run(cr_run *r) {
    const test_state *s = r->state;
    uint8_t *y = r->out[0]->data;
    for (int64_t i = 0, n = cr_shape_n(&r->in[0]->shape); i < n; i++) {
        double u = cr_load_float(r->in[0]->dtype, r->in[0]->data, i);
        y[i] = r->op->variant == IS_NAN ? isnan(u) != 0 : isinf(u) && (u < 0 ? s->negative : s->positive);
    }
    return CREASE_OK;
}

static crease_status not_run(cr_run *r) {
    const uint8_t *x = r->in[0]->data;
    uint8_t *y = r->out[0]->data;
    int64_t n = cr_shape_n(&r->in[0]->shape) * (int64_t)cr_element_bytes(r->in[0]->dtype);
    for (int64_t i = 0; i < n; i++)
        y[i] = r->op->variant == NOT ? !x[i] : (uint8_t)~x[i];
    return CREASE_OK;
}

#define ROW(name, since, types, variant)                                                                     \
    { name, since, 0, types, cr_infer_same, unary_prepare, unary_run, variant, CR_OP_INPLACE, 0, NULL }

const cr_op cr_ops_unary[] = {
    ROW("Abs", 1, CR_T_NUMBERS, ABS),
    ROW("Ceil", 1, CR_T_FLOATS, CEIL),
    ROW("Celu", 12, CR_T_FLOATS, CELU),
    {"Clip", 1, 0, CR_T_NUMBERS, clip_infer, unary_prepare, unary_run, CLIP, 0, 0, NULL},
    ROW("Elu", 1, CR_T_FLOATS, ELU),
    ROW("Erf", 9, CR_T_FLOATS, ERF),
    ROW("Exp", 1, CR_T_FLOATS, EXP),
    ROW("Floor", 1, CR_T_FLOATS, FLOOR),
    ROW("HardSigmoid", 1, CR_T_FLOATS, HARDSIGMOID),
    ROW("HardSwish", 14, CR_T_FLOATS, HARDSWISH),
    ROW("LeakyRelu", 1, CR_T_FLOATS, LEAKYRELU),
    ROW("Log", 1, CR_T_FLOATS, LOG),
    ROW("Mish", 18, CR_T_FLOATS, MISH),
    ROW("Neg", 1, CR_T_NUMBERS, NEG),
    ROW("Reciprocal", 1, CR_T_FLOATS, RECIPROCAL),
    ROW("Relu", 1, CR_T_NUMBERS, RELU),
    ROW("Selu", 1, CR_T_FLOATS, SELU),
    ROW("Shrink", 9, CR_T_FLOATS, SHRINK),
    ROW("Sigmoid", 1, CR_T_FLOATS, SIGMOID),
    ROW("Sign", 9, CR_T_NUMBERS, SIGN),
    ROW("Softplus", 1, CR_T_FLOATS, SOFTPLUS),
    ROW("Softsign", 1, CR_T_FLOATS, SOFTSIGN),
    ROW("Sqrt", 1, CR_T_FLOATS, SQRT),
    ROW("Swish", 24, CR_T_FLOATS, SWISH),
    ROW("Tanh", 1, CR_T_FLOATS, TANH),
    ROW("ThresholdedRelu", 10, CR_T_FLOATS, THRESHOLDED),
    ROW("Acos", 7, CR_T_FLOATS, ACOS),
    ROW("Acosh", 9, CR_T_FLOATS, ACOSH),
    ROW("Asin", 7, CR_T_FLOATS, ASIN),
    ROW("Asinh", 9, CR_T_FLOATS, ASINH),
    ROW("Atan", 7, CR_T_FLOATS, ATAN),
    ROW("Atanh", 9, CR_T_FLOATS, ATANH),
    ROW("Cos", 7, CR_T_FLOATS, COS),
    ROW("Cosh", 9, CR_T_FLOATS, COSH),
    ROW("Sin", 7, CR_T_FLOATS, SIN),
    ROW("Sinh", 9, CR_T_FLOATS, SINH),
    ROW("Tan", 7, CR_T_FLOATS, TAN),
    ROW("Round", 11, CR_T_FLOATS, ROUND),
    {"Gelu", 20, 0, CR_T_FLOATS, cr_infer_same, gelu_prepare, unary_run, GELU, CR_OP_INPLACE, 0, NULL},
    {"IsNaN", 9, 0, CR_T_FLOATS, test_infer, NULL, test_run, IS_NAN, CR_OP_HALF, 0, NULL},
    {"IsInf", 10, 0, CR_T_FLOATS, test_infer, test_prepare, test_run, IS_INF, CR_OP_HALF, 0, NULL},
    {"Not", 1, 0, CR_T_BOOL, cr_infer_same, NULL, not_run, NOT, CR_OP_INPLACE, 0, NULL},
    {"BitwiseNot", 18, 0, CR_T_INTS, cr_infer_same, NULL, not_run, BIT_NOT, CR_OP_INPLACE, 0, NULL},
    {0},
};
