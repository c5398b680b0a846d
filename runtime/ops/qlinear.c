#include "runtime/ops/qlinear.h"
#include "runtime/kernels/quantize.h"
#include "runtime/ops/inside.h"

#include <assert.h>
#include <string.h>

/* QLinearAdd and others of com.microsoft 1: dequantise, run the operator inside in float32, quantise. */

enum { BYTES = CR_T(CREASE_UINT8) | CR_T(CREASE_INT8) };
#define MICROSOFT "com.microsoft"

static const cr_qlinear_form forms[] = {
    {"QLinearConv", "", "Conv", 11, 0, 2, 6, 8},
    {"QLinearMatMul", "", "MatMul", 13, 0, 2, 6, -1},
    {"QGemm", MICROSOFT, "Gemm", 13, 0, 2, 7, 6},
    {"QLinearAdd", MICROSOFT, "Add", 14, 0, 2, 6, -1},
    {"QLinearMul", MICROSOFT, "Mul", 14, 0, 2, 6, -1},
    {"QLinearSigmoid", MICROSOFT, "Sigmoid", 13, 0, 1, 3, -1},
    {"QLinearLeakyRelu", MICROSOFT, "LeakyRelu", 16, 0, 1, 3, -1},
    {"QLinearSoftmax", MICROSOFT, "Softmax", 13, 0, 1, 3, -1},
    {"QLinearAveragePool", MICROSOFT, "AveragePool", 11, 0, 1, 3, -1},
    {"QLinearGlobalAveragePool", MICROSOFT, "GlobalAveragePool", 1, 0, 1, 3, -1},
    {"QLinearConcat", MICROSOFT, "Concat", 13, 2, 0, 0, -1},
};

const cr_qlinear_form *cr_qlinear_form_of(const cr_node *node) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(node->op_type, forms[i].name) == 0 && strcmp(node->domain, forms[i].domain) == 0)
            return &forms[i];
    return NULL;
}

int cr_qlinear_operands(const cr_qlinear_form *form, int n_inputs) {
    const int up_to_last = (n_inputs - form->operand + 2) / 3;
    return form->n_operands ? form->n_operands : up_to_last < 0 ? 0 : up_to_last;
}

crease_status cr_qlinear_axis(const cr_qlinear_form *form, const cr_node *node, int operand, int rank,
                              int *axis) {
    int64_t transposed = 0;
    const bool gemm = strcmp(form->inside, "Gemm") == 0;
    *axis = -1;
    if (operand != 1)
        return CREASE_OK;
    if (gemm)
        CR_TRY(cr_attr_int(node, "transB", 0, &transposed));
    if (strcmp(form->inside, "Conv") == 0 || transposed)
        *axis = 0;
    else if (gemm || strcmp(form->inside, "MatMul") == 0)
        *axis = rank - 1;
    return CREASE_OK;
}

void cr_qlinear_bias(const cr_tensor *bias, float a_scale, const cr_tensor *b_scale, float *to) {
    const float *b = b_scale->data;
    const int64_t scales = cr_shape_n(&b_scale->shape);
    for (int64_t i = 0, n = cr_shape_n(&bias->shape); i < n; i++)
        to[i] = (float)((double)cr_tensor_int(bias, i) * (double)a_scale * (double)b[i % scales]);
}

/* ---- the operator inside ---- */

static_assert(CR_QLINEAR_OPERANDS + 1 <= CR_INSIDE_OPERANDS, "operands and a bias");

static const cr_info *info_at(const cr_info *const *in, int n_in, int i) {
    return i >= 0 && i < n_in ? in[i] : NULL;
}

/* Operands and bias in float32. */
static crease_status look_inside(const cr_node *node, const cr_info *const *in, int n_in,
                                 cr_inside_view *view) {
    const cr_qlinear_form *form = cr_qlinear_form_of(node);
    const int operands = cr_qlinear_operands(form, n_in);
    const cr_info *bias = info_at(in, n_in, form->bias);
    int64_t version;
    CR_TRY(cr_attr_int(node, "opset", form->version, &version)); /* of Softmax */
    version = version < form->version ? version : form->version;
    CR_TRY(cr_inside_look(node, form->inside, version, CREASE_FLOAT, view));
    if (operands < 1 || operands > CR_QLINEAR_OPERANDS)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "%d operands, at most %d are supported", operands,
                            CR_QLINEAR_OPERANDS);
    for (int i = 0; i < operands + (bias != NULL); i++) {
        const cr_info *from = i < operands ? info_at(in, n_in, form->operand + 3 * i) : bias;
        if (!from || !info_at(in, n_in, i < operands ? form->operand + 3 * i + 1 : form->bias))
            return cr_node_fail(node, CREASE_ERROR_MODEL, "operand %d or its scale is missing", i);
        cr_inside_add(view, &from->shape);
    }
    return CREASE_OK;
}

/* ---- infer ---- */

static crease_status check_type(const cr_infer *infer, int i, cr_types types, const char *expected) {
    const cr_info *info = info_at(infer->in, infer->n_in, i);
    if (info && info->dtype && !(CR_T(info->dtype) & types))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is %s, expected %s", i,
                            crease_dtype_name(info->dtype), expected);
    return CREASE_OK;
}

/* An operand at input i, its scale and its zero point. */
static crease_status check_operand(const cr_infer *infer, int i) {
    CR_TRY(check_type(infer, i, BYTES, "int8 or uint8"));
    CR_TRY(check_type(infer, i + 1, CR_T(CREASE_FLOAT), "float32"));
    return cr_infer_same_type(infer, i, i + 2 < infer->n_in ? i + 2 : i);
}

static crease_status check_attributes(const cr_node *node) {
    int64_t channels_last;
    CR_TRY(cr_attr_int(node, "channels_last", 0, &channels_last));
    if (channels_last)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "channels_last is not supported");
    return CREASE_OK;
}

static crease_status qlinear_infer(cr_infer *infer) {
    const cr_qlinear_form *form = cr_qlinear_form_of(infer->node);
    const cr_info *scale = info_at(infer->in, infer->n_in, form->result),
                  *zero = info_at(infer->in, infer->n_in, form->result + 1);
    cr_inside_view view;
    if (!scale && form->bias < 0)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the scale of the result is missing");
    CR_TRY(check_attributes(infer->node));
    CR_TRY(look_inside(infer->node, infer->in, infer->n_in, &view));
    for (int i = 0; i < cr_qlinear_operands(form, infer->n_in); i++)
        CR_TRY(check_operand(infer, form->operand + 3 * i));
    CR_TRY(check_type(infer, form->bias, CR_T(CREASE_INT32), "int32"));
    CR_TRY(check_type(infer, form->result, CR_T(CREASE_FLOAT), "float32"));
    CR_TRY(check_type(infer, form->result + 1, BYTES, "int8 or uint8"));
    CR_TRY(cr_inside_infer(infer, &view, &infer->out[0].shape));
    infer->out[0].dtype = !scale ? CREASE_FLOAT : zero ? zero->dtype : infer->in[form->operand]->dtype;
    return CREASE_OK;
}

/* ---- prepare ---- */

typedef struct lines { /* of an operand: [outer][extent][length], with a scale for each index of extent or one
                        */
    int64_t extent, length;
} lines;

typedef struct qlinear_state {
    const cr_qlinear_form *form;
    cr_inside product;
    int n_operands;
    lines lines[CR_QLINEAR_OPERANDS];
} qlinear_state;

/* Scale and zero point at input i: one each, or one for each index of the axis. */
static crease_status check_counts(const cr_prepare *p, int i, int64_t extent) {
    for (int k = i; k < i + 2; k++) {
        const cr_info *info = info_at(p->in, p->n_in, k);
        const int64_t n = info ? cr_shape_n(&info->shape) : 1;
        if (n != 1 && n != extent)
            return cr_node_fail(p->node, CREASE_ERROR_MODEL, "input %d has %lld values, expected 1", k,
                                (long long)n);
    }
    return CREASE_OK;
}

static crease_status plan_operand(const cr_prepare *p, qlinear_state *s, int i) {
    const int input = s->form->operand + 3 * i;
    const cr_shape *shape = &p->in[input]->shape;
    int axis;
    CR_TRY(cr_qlinear_axis(s->form, p->node, i, shape->rank, &axis));
    s->lines[i] = (lines){1, cr_shape_n(shape)};
    if (axis >= 0 && axis < shape->rank)
        s->lines[i] = (lines){shape->dims[axis], cr_shape_extent(shape, axis + 1, shape->rank)};
    return check_counts(p, input + 1, s->lines[i].extent);
}

static crease_status qlinear_prepare(cr_prepare *p) {
    qlinear_state *s;
    cr_inside_view view;
    CR_TRY(look_inside(p->node, p->in, p->n_in, &view));
    CR_TRY(CR_PREPARE_STATE(p, &s));
    s->form = cr_qlinear_form_of(p->node);
    s->n_operands = cr_qlinear_operands(s->form, p->n_in);
    for (int i = 0; i < s->n_operands; i++)
        CR_TRY(plan_operand(p, s, i));
    CR_TRY(check_counts(p, s->form->result, 1));
    return cr_inside_prepare(p, &view, &s->product);
}

/* ---- run ---- */

static const cr_tensor *tensor_at(const cr_run *r, int i) {
    return i >= 0 && i < r->n_in ? r->in[i] : NULL;
}

/* The scaling at input i, for index k where there are several. */
static cr_scaling scaling_at(const cr_run *r, int i, int64_t k) {
    const cr_tensor *scale = tensor_at(r, i), *zero = tensor_at(r, i + 1);
    return (cr_scaling){((const float *)scale->data)[cr_shape_n(&scale->shape) == 1 ? 0 : k],
                        zero ? (double)cr_tensor_int(zero, cr_shape_n(&zero->shape) == 1 ? 0 : k) : 0, true};
}

static void dequantize(const cr_run *r, const qlinear_state *s, int i, cr_tensor *to) {
    const int input = s->form->operand + 3 * i;
    const cr_tensor *x = r->in[input];
    const lines *l = &s->lines[i];
    const int64_t n = cr_shape_n(&x->shape);
    for (int64_t line = 0; n && line * l->length < n; line++) {
        const cr_scaling scaling = scaling_at(r, input + 1, line % l->extent);
        cr_dequantize(&scaling, x->dtype, x->data, CREASE_FLOAT, to->data, line * l->length, l->length);
    }
}

static crease_status run_inside(const cr_run *r, const qlinear_state *s, cr_tensor *y) {
    cr_tensor wide[CR_INSIDE_OPERANDS];
    for (int i = 0; i < s->product.n; i++) {
        const int input = i < s->n_operands ? s->form->operand + 3 * i : s->form->bias;
        wide[i] = cr_inside_operand(r, &s->product, i, &r->in[input]->shape);
        if (i < s->n_operands)
            dequantize(r, s, i, &wide[i]);
        else
            cr_qlinear_bias(r->in[input], scaling_at(r, s->form->operand + 1, 0).scale,
                            r->in[s->form->operand + 4], wide[i].data);
    }
    return cr_inside_run(r, &s->product, wide, y);
}

static crease_status qlinear_run(cr_run *r) {
    const qlinear_state *s = r->state;
    cr_tensor *to = r->out[0];
    const bool is_float = to->dtype == CREASE_FLOAT;
    cr_tensor y = cr_inside_result(r, &s->product);
    if (is_float)
        y.data = to->data;
    if (cr_shape_n(&to->shape) == 0)
        return CREASE_OK;
    CR_TRY(run_inside(r, s, &y));
    if (is_float)
        return CREASE_OK;
    const cr_scaling scaling = scaling_at(r, s->form->result, 0);
    cr_quantize(&scaling, CREASE_FLOAT, y.data, to->dtype, to->data, 0, cr_shape_n(&to->shape));
    return CREASE_OK;
}

#define QLINEAR(name, operand)                                                                               \
    { name, 1, 0, BYTES, qlinear_infer, qlinear_prepare, qlinear_run, 0, CR_OP_HALF, operand, MICROSOFT }

const cr_op cr_ops_qlinear[] = {
    QLINEAR("QGemm", 0),
    QLINEAR("QLinearAdd", 0),
    QLINEAR("QLinearAveragePool", 0),
    QLINEAR("QLinearConcat", 2),
    QLINEAR("QLinearGlobalAveragePool", 0),
    QLINEAR("QLinearLeakyRelu", 0),
    QLINEAR("QLinearMul", 0),
    QLINEAR("QLinearSigmoid", 0),
    QLINEAR("QLinearSoftmax", 0),
    {0},
};
