#include "runtime/ops/move.h"

/* Slice (ONNX 1: attributes, 10, 11, 13: inputs with steps). */

typedef struct slice_axis {
    int64_t start, step, n;
} slice_axis;

/* Starts and ends count from the end where negative, then are clamped: a forward slice lies in [0, extent], a
 * backward one runs from extent - 1 at most down to before 0. */
static slice_axis cut(int64_t extent, int64_t start, int64_t end, int64_t step) {
    int64_t first = step > 0 ? 0 : -1, last = step > 0 ? extent : extent - 1;
    start += start < 0 ? extent : 0;
    end += end < 0 ? extent : 0;
    start = start < 0 ? 0 : start > last ? last : start;
    end = end < first ? first : end > last ? last : end;
    int64_t span = step > 0 ? end - start : start - end;
    int64_t stride = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    slice_axis axis = {start, step, span > 0 ? (span - 1) / stride + 1 : 0};
    if (axis.n < 2) /* so that no stride can overflow */
        axis.step = 1;
    return axis;
}

enum { STARTS, ENDS, AXES, STEPS, N_LISTS };

typedef struct slice_lists {
    int64_t values[N_LISTS][CR_MAX_RANK];
    int n[N_LISTS]; /* -1: left out */
} slice_lists;

static crease_status attr_lists(const cr_node *node, slice_lists *lists) {
    static const char *const names[] = {"starts", "ends", "axes"};
    lists->n[STEPS] = -1;
    for (int i = 0; i < STEPS; i++) {
        const int64_t *values;
        CR_TRY(cr_attr_ints(node, names[i], &values, &lists->n[i]));
        if (lists->n[i] > CR_MAX_RANK)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "attribute '%s' has %d values", names[i],
                                lists->n[i]);
        for (int k = 0; k < lists->n[i]; k++)
            lists->values[i][k] = values[k];
        if (i == AXES && lists->n[i] == 0)
            lists->n[i] = -1;
    }
    return CREASE_OK;
}

static crease_status plan_slice(const cr_node *node, const cr_shape *x, const slice_lists *lists,
                                slice_axis *axes) {
    int n = lists->n[STARTS];
    if (n < 0 || n != lists->n[ENDS] || (lists->n[AXES] >= 0 && lists->n[AXES] != n) ||
        (lists->n[STEPS] >= 0 && lists->n[STEPS] != n))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "starts, ends, axes and steps differ in length");
    for (int d = 0; d < x->rank; d++)
        axes[d] = (slice_axis){0, 1, x->dims[d]};
    for (int i = 0; i < n; i++) {
        int axis;
        CR_TRY(cr_node_axis(node, lists->n[AXES] >= 0 ? lists->values[AXES][i] : i, x->rank, &axis));
        int64_t step = lists->n[STEPS] >= 0 ? lists->values[STEPS][i] : 1;
        if (step == 0)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "the step of axis %d is 0", axis);
        if (x->dims[axis] < 0)
            axes[axis].n = CR_DIM_UNKNOWN;
        else
            axes[axis] = cut(x->dims[axis], lists->values[STARTS][i], lists->values[ENDS][i], step);
    }
    return CREASE_OK;
}

static crease_status slice_infer(cr_infer *infer) {
    slice_lists lists;
    slice_axis axes[CR_MAX_RANK];
    bool known, all = true;
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    if (infer->opset < 10)
        CR_TRY(attr_lists(infer->node, &lists));
    for (int i = 0; infer->opset >= 10 && i < N_LISTS; i++) {
        CR_TRY(cr_infer_ints(infer, i + 1, lists.values[i], &lists.n[i], &known));
        all &= known;
    }
    const cr_shape *x = &infer->in[0]->shape;
    if (x->rank < 0)
        return CREASE_OK;
    if (all)
        CR_TRY(plan_slice(infer->node, x, &lists, axes));
    infer->out[0].shape.rank = x->rank;
    for (int d = 0; d < x->rank; d++)
        infer->out[0].shape.dims[d] = all ? axes[d].n : CR_DIM_UNKNOWN;
    return CREASE_OK;
}

static crease_status slice_prepare(cr_prepare *p) {
    slice_lists lists;
    slice_axis axes[CR_MAX_RANK];
    int64_t strides[CR_MAX_RANK], dense[CR_MAX_RANK];
    cr_move_state *s;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(cr_move_begin(p, &s));
    if (p->opset < 10)
        CR_TRY(attr_lists(p->node, &lists));
    for (int i = 0; p->opset >= 10 && i < N_LISTS; i++) {
        const cr_tensor *list = i + 1 < p->n_in && p->in[i + 1] ? p->in[i + 1]->known : NULL;
        lists.n[i] = list ? (int)cr_shape_n(&list->shape) : -1;
        for (int k = 0; k < lists.n[i]; k++)
            lists.values[i][k] = cr_tensor_int(list, k);
    }
    CR_TRY(plan_slice(p->node, x, &lists, axes));
    cr_dense_strides(x, strides);
    cr_dense_strides(&p->out[0].shape, dense);
    for (int d = 0; d < x->rank; d++) {
        s->offset += axes[d].n ? axes[d].start * strides[d] : 0;
        cr_nest_add(&s->nest, axes[d].n, axes[d].step * strides[d], dense[d]);
    }
    s->rows = cr_nest_finish(&s->nest);
    s->offset = s->rows ? s->offset : 0;
    return CREASE_OK;
}

const cr_op cr_ops_slice[] = {
    {"Slice", 1, 0, CR_T_BYTES, slice_infer, slice_prepare, cr_move_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
