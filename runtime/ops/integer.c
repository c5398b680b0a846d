#include "runtime/kernels/quantize.h"
#include "runtime/ops/infer.h"
#include "runtime/ops/inside.h"

#include <math.h>
#include <string.h>

/* ConvInteger, MatMulInteger, QLinearConv, QLinearMatMul (ONNX 10, 21): Conv and MatMul of 8-bit integers
 * less their zero points, exact in int32 or scaled to 8 bits again. The products are computed by Conv and
 * MatMul themselves in float64, which holds every sum of fewer than 2^37 such products exactly. */

enum { MATMUL, CONV };
enum { SCALED = 2 }; /* added to the variant: the QLinear forms */
enum { BYTES = CR_T(CREASE_UINT8) | CR_T(CREASE_INT8) };
enum { MOST_PORTS = 3 }; /* of the operator inside: a, b and Conv's bias */

/* Inputs of the node by what they mean; -1: this form has none. */
typedef struct ports {
    int a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, bias;
} ports;

static const ports scaled_ports = {0, 1, 2, 3, 4, 5, 6, 7, 8}, plain_ports = {0, -1, 2, 1, -1, 3, -1, -1, -1};

static const ports *ports_of(const cr_op *op) {
    return op->variant & SCALED ? &scaled_ports : &plain_ports;
}

static bool is_conv(const cr_op *op) {
    return (op->variant & ~SCALED) == CONV;
}

static const cr_info *info_at(const cr_info *const *in, int n_in, int i) {
    return i >= 0 && i < n_in ? in[i] : NULL;
}

static crease_status look_inside(const cr_node *node, const cr_op *op, const cr_info *const *in, int n_in,
                                 cr_inside_view *view) {
    const ports *p = ports_of(op);
    const cr_info *bias = is_conv(op) ? info_at(in, n_in, p->bias) : NULL;
    CR_TRY(cr_inside_look(node, is_conv(op) ? "Conv" : "MatMul", is_conv(op) ? 22 : 13, CREASE_DOUBLE, view));
    cr_inside_add(view, &in[p->a]->shape);
    cr_inside_add(view, &in[p->b]->shape);
    if (bias)
        cr_inside_add(view, &bias->shape);
    return CREASE_OK;
}

/* ---- infer ---- */

static crease_status check_bytes(const cr_infer *infer, int i) {
    const cr_info *info = info_at(infer->in, infer->n_in, i);
    if (info && info->dtype && !(CR_T(info->dtype) & (cr_types)BYTES))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "input %d is %s, expected int8 or uint8",
                            i, crease_dtype_name(info->dtype));
    return CREASE_OK;
}

/* A parameter is one value, or one for each of `extent` (unknown: below 0) rows or columns. */
static crease_status check_parameter(const cr_infer *infer, int i, int64_t extent) {
    int64_t n;
    const cr_info *info = info_at(infer->in, infer->n_in, i);
    if (!info || info->shape.rank < 0 || !cr_shape_product(&info->shape, 0, info->shape.rank, &n) || n == 1)
        return CREASE_OK;
    if (extent >= 0 && n != extent)
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED,
                            "input %d has %lld values, expected 1 or %lld", i, (long long)n,
                            (long long)extent);
    return CREASE_OK;
}

/* Rows of a, and columns of b or output channels. */
static int64_t rows_of(const cr_shape *a) {
    return a->rank >= 2 ? a->dims[a->rank - 2] : a->rank < 0 ? CR_DIM_UNKNOWN : 1;
}

static int64_t columns_of(bool conv, const cr_shape *b) {
    return b->rank < 0 ? CR_DIM_UNKNOWN : conv ? b->dims[0] : b->rank >= 2 ? b->dims[b->rank - 1] : 1;
}

static crease_status check_parameters(const cr_infer *infer, const ports *p) {
    const bool conv = is_conv(infer->op);
    const int64_t rows = conv ? 1 : rows_of(&infer->in[p->a]->shape);
    const int64_t columns = columns_of(conv, &infer->in[p->b]->shape);
    const int a[] = {p->a_scale, p->a_zero}, b[] = {p->b_scale, p->b_zero}, y[] = {p->y_scale, p->y_zero};
    for (int i = 0; i < 2; i++) {
        CR_TRY(check_parameter(infer, a[i], rows));
        CR_TRY(check_parameter(infer, b[i], columns));
        CR_TRY(check_parameter(infer, y[i], rows));
    }
    const int scales[] = {p->a_scale, p->b_scale, p->y_scale};
    for (int i = 0; i < 3; i++) {
        const cr_info *info = info_at(infer->in, infer->n_in, scales[i]);
        if (info && info->dtype && !cr_dtype_is_float(info->dtype))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "scale %d is %s", scales[i],
                                crease_dtype_name(info->dtype));
    }
    CR_TRY(cr_infer_same_type(infer, p->a, p->a_zero < infer->n_in ? p->a_zero : p->a));
    return cr_infer_same_type(infer, p->b, p->b_zero < infer->n_in ? p->b_zero : p->b);
}

static crease_status check_bias(const cr_infer *infer, const ports *p) {
    const cr_info *bias = info_at(infer->in, infer->n_in, p->bias);
    if (bias && bias->dtype && bias->dtype != CREASE_INT32)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the bias is %s, expected int32",
                            crease_dtype_name(bias->dtype));
    return CREASE_OK;
}

static crease_status integer_infer(cr_infer *infer) {
    const ports *p = ports_of(infer->op);
    const int needed = infer->op->variant & SCALED ? 8 : 2;
    cr_inside_view view;
    for (int i = 0; i < needed; i++)
        CR_TRY(cr_infer_need(infer, i));
    CR_TRY(check_bytes(infer, p->a));
    CR_TRY(check_bytes(infer, p->b));
    CR_TRY(check_bytes(infer, p->y_zero));
    CR_TRY(check_bias(infer, p));
    CR_TRY(check_parameters(infer, p));
    CR_TRY(look_inside(infer->node, infer->op, infer->in, infer->n_in, &view));
    CR_TRY(cr_inside_infer(infer, &view, &infer->out[0].shape));
    infer->out[0].dtype = infer->op->variant & SCALED ? infer->in[p->y_zero]->dtype : CREASE_INT32;
    return CREASE_OK;
}

/* ---- prepare ---- */

typedef struct integer_state {
    cr_inside product;
    int64_t rows, columns, inner; /* of the result: [...][rows][columns][inner] */
} integer_state;

static crease_status integer_prepare(cr_prepare *p) {
    integer_state *s;
    cr_inside_view view;
    const cr_shape *y = &p->out[0].shape;
    CR_TRY(look_inside(p->node, p->op, p->in, p->n_in, &view));
    CR_TRY(CR_PREPARE_STATE(p, &s));
    const bool conv = is_conv(p->op);
    s->rows = conv ? 1 : rows_of(&p->in[ports_of(p->op)->a]->shape);
    s->columns = columns_of(conv, &p->in[ports_of(p->op)->b]->shape);
    s->inner = conv ? cr_shape_extent(y, 2, y->rank) : 1;
    return cr_inside_prepare(p, &view, &s->product);
}

/* ---- run ---- */

static const cr_tensor *tensor_at(const cr_run *r, int i) {
    return i >= 0 && i < r->n_in ? r->in[i] : NULL;
}

/* Value k of a parameter that may be one for all. */
static double parameter(const cr_tensor *t, int64_t k, double otherwise) {
    if (!t)
        return otherwise;
    const int64_t i = cr_shape_n(&t->shape) == 1 ? 0 : k;
    return cr_dtype_is_float(t->dtype) ? cr_load_float(t->dtype, t->data, i) : (double)cr_tensor_int(t, i);
}

/* x less its zero point, which may differ along `extent` of [...][extent][inner]. */
static void widen(const cr_tensor *x, const cr_tensor *zero, int64_t extent, int64_t length, double *to) {
    const int64_t n = cr_shape_n(&x->shape);
    for (int64_t line = 0; length && line * length < n; line++) {
        const double less = parameter(zero, line % extent, 0);
        for (int64_t i = line * length; i < (line + 1) * length; i++)
            to[i] = (x->dtype == CREASE_INT8    ? ((const int8_t *)x->data)[i]
                     : x->dtype == CREASE_UINT8 ? ((const uint8_t *)x->data)[i]
                                                : (double)cr_tensor_int(x, i)) -
                    less;
    }
}

/* The product's inputs in double, in scratch. */
static void widen_inputs(const cr_run *r, const integer_state *s, cr_tensor wide[MOST_PORTS]) {
    const ports *p = ports_of(r->op);
    const bool conv = is_conv(r->op);
    const int from[MOST_PORTS] = {p->a, p->b, p->bias};
    for (int i = 0; i < s->product.n; i++)
        wide[i] = cr_inside_operand(r, &s->product, i, &r->in[from[i]]->shape);
    const cr_tensor *a = r->in[p->a], *b = r->in[p->b];
    const int64_t length = a->shape.rank ? a->shape.dims[a->shape.rank - 1] : 1;
    widen(a, tensor_at(r, p->a_zero), conv ? 1 : s->rows, conv ? cr_shape_n(&a->shape) : length,
          wide[0].data);
    widen(b, tensor_at(r, p->b_zero), s->columns,
          conv                ? cr_shape_extent(&b->shape, 1, b->shape.rank)
          : b->shape.rank < 2 ? cr_shape_n(&b->shape)
                              : 1,
          wide[1].data);
    if (s->product.n > 2)
        widen(r->in[p->bias], NULL, 1, cr_shape_n(&r->in[p->bias]->shape), wide[2].data);
}

/* An accumulator wraps around like an int32. */
static void store_ints(const double *y, int64_t n, int32_t *to) {
    for (int64_t i = 0; i < n; i++)
        to[i] = (int32_t)(uint32_t)(int64_t)y[i];
}

static void rescale(const cr_run *r, const integer_state *s, const double *y) {
    const ports *p = ports_of(r->op);
    cr_tensor *to = r->out[0];
    const int64_t n = cr_shape_n(&to->shape);
    for (int64_t line = 0; s->inner && line * s->inner < n; line++) {
        const int64_t column = line % s->columns, row = line / s->columns % s->rows;
        const float scale = (float)parameter(tensor_at(r, p->a_scale), row, 1) *
                            (float)parameter(tensor_at(r, p->b_scale), column, 1) /
                            (float)parameter(tensor_at(r, p->y_scale), row, 1);
        const double zero = parameter(tensor_at(r, p->y_zero), row, 0);
        const double low = to->dtype == CREASE_INT8 ? -128 : 0, high = low + 255;
        for (int64_t i = line * s->inner; i < (line + 1) * s->inner; i++) {
            const double value = (double)nearbyintf((float)y[i] * scale) + zero;
            const double inside_range = value < low      ? low
                                        : value > high   ? high
                                        : value == value ? value
                                                         : zero;
            ((uint8_t *)to->data)[i] = (uint8_t)(int32_t)inside_range;
        }
    }
}

static crease_status integer_run(cr_run *r) {
    const integer_state *s = r->state;
    cr_tensor wide[MOST_PORTS], y = cr_inside_result(r, &s->product);
    const int64_t n = cr_shape_n(&y.shape);
    if (n == 0)
        return CREASE_OK;
    widen_inputs(r, s, wide);
    CR_TRY(cr_inside_run(r, &s->product, wide, &y));
    if (r->op->variant & SCALED)
        rescale(r, s, y.data);
    else
        store_ints(y.data, n, r->out[0]->data);
    return CREASE_OK;
}

#define INTEGER(name, variant)                                                                               \
    { name, 10, 0, BYTES, integer_infer, integer_prepare, integer_run, variant, CR_OP_HALF, 0, NULL }

const cr_op cr_ops_integer[] = {
    INTEGER("ConvInteger", CONV),
    INTEGER("MatMulInteger", MATMUL),
    INTEGER("QLinearConv", CONV | SCALED),
    INTEGER("QLinearMatMul", MATMUL | SCALED),
    {0},
};
