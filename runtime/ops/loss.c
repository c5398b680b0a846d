#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* NegativeLogLikelihoodLoss (ONNX 12, 13, 22) and SoftmaxCrossEntropyLoss (12, 13): scores [N, classes, ...],
 * one class for each [N, ...], weights for classes, one class that does not count. */

enum { LIKELIHOOD, CROSS_ENTROPY };
enum { IN_SCORES, IN_LABELS, IN_WEIGHTS };
enum { NONE, MEAN, SUM };

typedef struct loss {
    int64_t n, classes, inner; /* scores [n][classes][inner] */
    int64_t ignored;
    bool ignores;
    int reduction;
} loss;

static crease_status read_loss(const cr_node *node, loss *l) {
    const char *text;
    CR_TRY(cr_attr_string(node, "reduction", "mean", &text));
    CR_TRY(cr_attr_int(node, "ignore_index", 0, &l->ignored));
    l->ignores = cr_attr_find(node, "ignore_index") != NULL;
    l->reduction = strcmp(text, "none") == 0 ? NONE : strcmp(text, "sum") == 0 ? SUM : MEAN;
    if (l->reduction == MEAN && strcmp(text, "mean") != 0)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "reduction '%.40s' is not known", text);
    return CREASE_OK;
}

static crease_status check_inputs(const cr_infer *infer) {
    const cr_info *x = infer->in[IN_SCORES], *labels = infer->in[IN_LABELS];
    const cr_info *weights = infer->n_in > IN_WEIGHTS ? infer->in[IN_WEIGHTS] : NULL;
    if (labels->dtype && labels->dtype != CREASE_INT32 && labels->dtype != CREASE_INT64)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "labels of %s",
                            crease_dtype_name(labels->dtype));
    if (x->shape.rank < 0)
        return CREASE_OK;
    cr_shape wanted = x->shape;
    bool fits = x->shape.rank >= 2;
    if (fits) {
        memmove(wanted.dims + 1, wanted.dims + 2, (size_t)(wanted.rank - 2) * sizeof *wanted.dims);
        wanted.rank--;
        fits =
            cr_shape_fits(&wanted, &labels->shape) &&
            (!weights || cr_shape_fits(&(cr_shape){.rank = 1, .dims = {x->shape.dims[1]}}, &weights->shape));
    }
    return fits ? CREASE_OK
                : cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                               "scores, labels and weights do not fit together");
}

static crease_status loss_infer(cr_infer *infer) {
    loss l;
    CR_TRY(cr_infer_need(infer, IN_SCORES));
    CR_TRY(cr_infer_need(infer, IN_LABELS));
    CR_TRY(cr_infer_same_type(infer, IN_SCORES, IN_WEIGHTS));
    CR_TRY(check_inputs(infer));
    CR_TRY(read_loss(infer->node, &l));
    for (int i = 0; i < infer->n_out; i++)
        infer->out[i].dtype = infer->in[IN_SCORES]->dtype;
    infer->out[0].shape = l.reduction == NONE ? infer->in[IN_LABELS]->shape : (cr_shape){.rank = 0};
    if (infer->n_out > 1)
        infer->out[1].shape = infer->in[IN_SCORES]->shape;
    return CREASE_OK;
}

static crease_status loss_prepare(cr_prepare *p) {
    const cr_shape *x = &p->in[IN_SCORES]->shape;
    loss *l;
    CR_TRY(CR_PREPARE_STATE(p, &l));
    l->n = x->dims[0];
    l->classes = x->dims[1];
    l->inner = cr_shape_extent(x, 2, x->rank);
    return read_loss(p->node, l);
}

/* Logarithm of the sum of exponentials of one pixel's scores. */
static double log_sum(const cr_tensor *x, const loss *l, int64_t base) {
    double high = -INFINITY, sum = 0;
    for (int64_t c = 0; c < l->classes; c++)
        high = fmax(high, cr_load_float(x->dtype, x->data, base + c * l->inner));
    for (int64_t c = 0; c < l->classes; c++)
        sum += exp(cr_load_float(x->dtype, x->data, base + c * l->inner) - high);
    return sum == 0 ? high : high + log(sum); /* 0: there are no classes */
}

/* Loss of pixel i and what it weighs in the mean. */
static crease_status one_loss(const cr_run *r, int64_t i, double *value, double *weight) {
    const loss *l = r->state;
    const cr_tensor *x = r->in[IN_SCORES], *weights = r->n_in > IN_WEIGHTS ? r->in[IN_WEIGHTS] : NULL;
    const int64_t base = i / l->inner * l->classes * l->inner + i % l->inner;
    const int64_t label = cr_tensor_int(r->in[IN_LABELS], i);
    const double less = r->op->variant == CROSS_ENTROPY ? log_sum(x, l, base) : 0;
    cr_tensor *logs = r->n_out > 1 ? r->out[1] : NULL;
    for (int64_t c = 0; logs && c < l->classes; c++) {
        const int64_t at = base + c * l->inner;
        cr_store_float(logs->dtype, logs->data, at, cr_load_float(x->dtype, x->data, at) - less);
    }
    *value = *weight = 0;
    if (l->ignores && label == l->ignored)
        return CREASE_OK;
    if (label < 0 || label >= l->classes)
        return cr_node_fail(r->node, CREASE_ERROR_RUN, "label %lld is outside [0, %lld)", (long long)label,
                            (long long)l->classes);
    *weight = weights ? cr_load_float(weights->dtype, weights->data, label) : 1;
    *value = *weight * (less - cr_load_float(x->dtype, x->data, base + label * l->inner));
    return CREASE_OK;
}

static crease_status loss_run(cr_run *r) {
    const loss *l = r->state;
    double sum = 0, weights = 0, value, weight;
    for (int64_t i = 0; i < l->n * l->inner; i++) {
        CR_TRY(one_loss(r, i, &value, &weight));
        sum += value;
        weights += weight;
        if (l->reduction == NONE && r->out[0])
            cr_store_float(r->out[0]->dtype, r->out[0]->data, i, value);
    }
    if (l->reduction != NONE && r->out[0])
        cr_store_float(r->out[0]->dtype, r->out[0]->data, 0, l->reduction == MEAN ? sum / weights : sum);
    return CREASE_OK;
}

const cr_op cr_ops_loss[] = {
    {"NegativeLogLikelihoodLoss", 12, 0, CR_T_FLOATS, loss_infer, loss_prepare, loss_run, LIKELIHOOD,
     CR_OP_HALF, 0, NULL},
    {"SoftmaxCrossEntropyLoss", 12, 0, CR_T_FLOATS, loss_infer, loss_prepare, loss_run, CROSS_ENTROPY,
     CR_OP_HALF, 0, NULL},
    {0},
};
