#include "runtime/kernels/select.h"
#include "runtime/ops/infer.h"

#include <string.h>

/* Operators whose result is chosen by value: Compress (ONNX 9, 11), NonZero (9, 13), TopK (1: k is an
 * attribute, 10: an input, 11: largest and sorted). Shapes of the first two follow from contents: infer knows
 * them where the contents are known, which they are by the time the node runs. */

/* ---- Compress: keep the slices of an axis, or the elements, whose condition is true ---- */

static crease_status compress_extent(const cr_infer *infer, const cr_tensor *condition, int64_t available,
                                     int64_t *extent) {
    if (condition->dtype != CREASE_BOOL || condition->shape.rank != 1)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the condition is not a list of bool");
    int64_t n = cr_shape_n(&condition->shape);
    *extent = cr_count_nonzero(CREASE_BOOL, condition->data, n < available ? n : available);
    return CREASE_OK;
}

static crease_status compress_infer(cr_infer *infer) {
    int axis = 0;
    int64_t available = CR_DIM_UNKNOWN;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    const cr_shape *x = &infer->in[0]->shape;
    cr_shape *y = &infer->out[0].shape;
    infer->out[0].dtype = infer->in[0]->dtype;
    if (x->rank < 0)
        return CREASE_OK;
    if (cr_attr_find(infer->node, "axis")) {
        CR_TRY(cr_axis_attr(infer->node, 0, x->rank, &axis));
        *y = *x;
        available = x->dims[axis];
    } else {
        y->rank = 1;
        if (!cr_shape_product(x, 0, x->rank, &available))
            available = CR_DIM_UNKNOWN;
    }
    y->dims[axis] = CR_DIM_UNKNOWN;
    if (infer->in[1]->known && available >= 0)
        return compress_extent(infer, infer->in[1]->known, available, &y->dims[axis]);
    return CREASE_OK;
}

/* [outer][extent] slices of row_bytes; without an axis they are elements. */
typedef struct compress_state {
    int64_t outer, extent;
    size_t row_bytes;
} compress_state;

static crease_status compress_prepare(cr_prepare *p) {
    const cr_shape *x = &p->in[0]->shape;
    const bool flat = !cr_attr_find(p->node, "axis");
    compress_state *s;
    int axis = 0;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    if (!flat)
        CR_TRY(cr_axis_attr(p->node, 0, x->rank, &axis));
    s->outer = flat ? 1 : cr_shape_extent(x, 0, axis);
    s->extent = flat ? cr_shape_n(x) : x->dims[axis];
    s->row_bytes =
        (size_t)(flat ? 1 : cr_shape_extent(x, axis + 1, x->rank)) * cr_element_bytes(p->in[0]->dtype);
    return CREASE_OK;
}

static crease_status compress_run(cr_run *r) {
    const compress_state *s = r->state;
    const int64_t n = cr_shape_n(&r->in[1]->shape);
    const size_t row = s->row_bytes;
    const char *from = r->in[0]->data;
    char *to = r->out[0]->data;
    for (int64_t o = 0; o < s->outer; o++, from += (size_t)s->extent * row)
        for (int64_t i = 0; row && i < n && i < s->extent; i++)
            if (cr_is_nonzero(CREASE_BOOL, r->in[1]->data, i)) {
                memcpy(to, from + (size_t)i * row, row);
                to += row;
            }
    return CREASE_OK;
}

/* ---- NonZero: coordinates [rank, count] in row-major order; a scalar has none ---- */

static crease_status nonzero_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, 0));
    const cr_info *x = infer->in[0];
    infer->out[0].dtype = CREASE_INT64;
    if (x->shape.rank < 0)
        return CREASE_OK;
    int64_t n = x->known ? cr_count_nonzero(x->dtype, x->known->data, cr_shape_n(&x->shape)) : CR_DIM_UNKNOWN;
    infer->out[0].shape = (cr_shape){.rank = 2, .dims = {x->shape.rank, n}};
    return CREASE_OK;
}

static crease_status nonzero_run(cr_run *r) {
    const cr_shape *x = &r->in[0]->shape;
    int64_t *to = r->out[0]->data, count = r->out[0]->shape.dims[1], found = 0;
    for (int64_t i = 0, n = cr_shape_n(x); i < n && found < count; i++) {
        if (!cr_is_nonzero(r->in[0]->dtype, r->in[0]->data, i))
            continue;
        int64_t rest = i;
        for (int d = x->rank - 1; d >= 0; d--) {
            to[d * count + found] = rest % x->dims[d];
            rest /= x->dims[d];
        }
        found++;
    }
    return CREASE_OK;
}

/* ---- TopK ---- */

static crease_status read_k(const cr_node *node, int64_t opset, const cr_tensor *given, int64_t *k) {
    if (opset < 10)
        return cr_attr_int(node, "k", -1, k);
    if (cr_shape_n(&given->shape) != 1)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "K is not one number");
    *k = cr_tensor_int(given, 0);
    return CREASE_OK;
}

static crease_status top_infer(cr_infer *infer) {
    const cr_tensor *given = NULL;
    bool left_out;
    int axis;
    int64_t k = CR_DIM_UNKNOWN;
    CR_TRY(cr_infer_same(infer));
    if (infer->opset >= 10) {
        CR_TRY(cr_infer_need(infer, 1));
        CR_TRY(cr_infer_list(infer, 1, &given, &left_out));
    }
    cr_shape *y = &infer->out[0].shape;
    if (y->rank >= 0) {
        CR_TRY(cr_axis_attr(infer->node, -1, y->rank, &axis));
        if (given || infer->opset < 10) {
            CR_TRY(read_k(infer->node, infer->opset, given, &k));
            if (k < 0 || (y->dims[axis] >= 0 && k > y->dims[axis]))
                return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the %lld best of %lld are not possible",
                                    (long long)k, (long long)y->dims[axis]);
        }
        y->dims[axis] = k;
    }
    if (infer->n_out > 1) {
        infer->out[1] = infer->out[0];
        infer->out[1].dtype = CREASE_INT64;
    }
    return CREASE_OK;
}

typedef struct top_state {
    int64_t n, k, outer, inner, largest;
} top_state;

static crease_status top_prepare(cr_prepare *p) {
    int axis;
    top_state *s;
    size_t workspace;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_axis_attr(p->node, -1, x->rank, &axis));
    CR_TRY(cr_attr_int(p->node, "largest", 1, &s->largest));
    CR_TRY(read_k(p->node, p->opset, p->opset < 10 ? NULL : p->in[1]->known, &s->k));
    s->n = x->dims[axis];
    s->outer = cr_shape_extent(x, 0, axis);
    s->inner = cr_shape_extent(x, axis + 1, x->rank);
    if (!cr_mul_size((size_t)s->k, sizeof(cr_candidate), &workspace) ||
        !cr_mul_size(workspace, (size_t)cr_pool_threads(p->pool), &p->scratch_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "K is too large");
    return CREASE_OK;
}

typedef struct top_job {
    const top_state *s;
    const cr_tensor *x;
    void *values;
    int64_t *indices;
    cr_candidate *workspace;
} top_job;

static void top_task(void *context, int64_t begin, int64_t end, int thread) {
    const top_job *j = context;
    const top_state *s = j->s;
    cr_top_k(j->x->dtype, s->largest != 0, j->x->data, j->values, j->indices, s->n, s->k, s->inner,
             j->workspace + thread * s->k, begin, end);
}

static crease_status top_run(cr_run *r) {
    const top_state *s = r->state;
    top_job job = {s, r->in[0], r->out[0] ? r->out[0]->data : NULL,
                   r->n_out > 1 && r->out[1] ? r->out[1]->data : NULL, r->scratch};
    if (s->k)
        cr_parallel_grain(r->pool, s->outer * s->inner, 4096 / s->n + 1, top_task, &job);
    return CREASE_OK;
}

const cr_op cr_ops_select[] = {
    {"Compress", 9, 0, CR_T_BYTES, compress_infer, compress_prepare, compress_run, 0, CR_OP_HALF, 0, NULL},
    {"NonZero", 9, 0, CR_T_NUMBERS | CR_T_BOOL, nonzero_infer, NULL, nonzero_run, 0, CR_OP_HALF, 0, NULL},
    {"TopK", 1, 0, CR_T_NUMBERS, top_infer, top_prepare, top_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
