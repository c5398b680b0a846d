#include "runtime/kernels/gather.h"
#include "runtime/ops/infer.h"

#include <string.h>

/* Gather (ONNX 1, 11, 13), GatherElements (11, 13), GatherND (11, 12: batch_dims, 13), Scatter (9, 10),
 * ScatterElements (11, 13, 16: add, mul, 18: max, min) and ScatterND (the same). Indices may be negative; one
 * that is out of range is a failure of the run. */

enum { GATHER, SCATTER }; /* variants */

static crease_status need_indices(const cr_infer *infer, int i, bool any_int) {
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, i));
    crease_dtype dtype = infer->in[i]->dtype;
    if (dtype && dtype != CREASE_INT64 && (dtype != CREASE_INT32 || !any_int))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "indices are %s, expected %sint64",
                            crease_dtype_name(dtype), any_int ? "int32 or " : "");
    return CREASE_OK;
}

static bool is_wide(const cr_tensor *indices) {
    return indices->dtype == CREASE_INT64;
}

static crease_status check_indices(const cr_run *r, const cr_tensor *indices, int64_t extent) {
    int64_t n = cr_shape_n(&indices->shape),
            bad = cr_check_indices(indices->data, is_wide(indices), n, extent);
    if (bad == n)
        return CREASE_OK;
    return cr_node_fail(r->node, CREASE_ERROR_RUN, "index %lld is outside [-%lld, %lld)",
                        (long long)cr_tensor_int(indices, bad), (long long)extent, (long long)extent);
}

static crease_status too_many_dimensions(const cr_node *node) {
    return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "the result has more than %d dimensions",
                        CR_MAX_RANK);
}

/* ---- Gather ---- */

static crease_status gather_infer(cr_infer *infer) {
    int axis;
    CR_TRY(need_indices(infer, 1, true));
    infer->out[0].dtype = infer->in[0]->dtype;
    const cr_shape *x = &infer->in[0]->shape, *indices = &infer->in[1]->shape;
    if (x->rank < 0)
        return CREASE_OK;
    CR_TRY(cr_axis_attr(infer->node, 0, x->rank, &axis));
    if (indices->rank < 0)
        return CREASE_OK;
    if (x->rank - 1 + indices->rank > CR_MAX_RANK)
        return too_many_dimensions(infer->node);
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

typedef struct gather_state {
    int64_t outer, extent, n;
    size_t row_bytes;
} gather_state;

static crease_status gather_prepare(cr_prepare *p) {
    int axis;
    gather_state *s;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_axis_attr(p->node, 0, x->rank, &axis));
    s->outer = cr_shape_extent(x, 0, axis);
    s->extent = x->dims[axis];
    s->n = cr_shape_n(&p->in[1]->shape);
    s->row_bytes = (size_t)cr_shape_extent(x, axis + 1, x->rank) * cr_element_bytes(p->in[0]->dtype);
    return CREASE_OK;
}

typedef struct gather_job {
    const gather_state *s;
    const void *x, *indices;
    bool wide;
    void *y;
} gather_job;

static void gather_task(void *context, int64_t begin, int64_t end, int thread) {
    const gather_job *j = context;
    const gather_state *s = j->s;
    (void)thread;
    cr_gather_rows(j->x, j->indices, j->wide, j->y, s->extent, s->n, s->row_bytes, begin, end);
}

enum { THREAD_BYTES = 1 << 15 }; /* what is worth waking a thread for */

static crease_status gather_run(cr_run *r) {
    const gather_state *s = r->state;
    gather_job job = {s, r->in[0]->data, r->in[1]->data, is_wide(r->in[1]), r->out[0]->data};
    if (cr_shape_n(&r->out[0]->shape) == 0)
        return CREASE_OK;
    CR_TRY(check_indices(r, r->in[1], s->extent));
    cr_parallel_grain(r->pool, s->outer * s->n, (int64_t)(THREAD_BYTES / s->row_bytes) + 1, gather_task,
                      &job);
    return CREASE_OK;
}

/* ---- GatherElements, ScatterElements, Scatter ---- */

static crease_status elements_infer(cr_infer *infer) {
    int axis;
    bool scatter = infer->op->variant == SCATTER;
    CR_TRY(need_indices(infer, 1, true));
    const cr_shape *x = &infer->in[0]->shape, *indices = &infer->in[1]->shape;
    infer->out[0] = *infer->in[scatter ? 0 : 1];
    infer->out[0].dtype = infer->in[0]->dtype;
    infer->out[0].known = NULL;
    if (scatter) {
        CR_TRY(cr_infer_need(infer, 2));
        CR_TRY(cr_infer_same_type(infer, 0, 2));
        if (!cr_shape_fits(indices, &infer->in[2]->shape))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "indices and updates differ in shape");
    }
    if (x->rank < 0 || indices->rank < 0)
        return CREASE_OK;
    if (x->rank != indices->rank)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the data have rank %d, the indices %d", x->rank,
                            indices->rank);
    CR_TRY(cr_axis_attr(infer->node, 0, x->rank, &axis));
    for (int d = 0; d < x->rank; d++)
        if (d != axis && x->dims[d] >= 0 && indices->dims[d] > x->dims[d])
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                                "the indices have extent %lld at axis %d, the data %lld",
                                (long long)indices->dims[d], d, (long long)x->dims[d]);
    return CREASE_OK;
}

typedef struct elements_state {
    cr_elements elements;
    cr_reduction reduction;
} elements_state;

static crease_status read_reduction(const cr_node *node, cr_reduction *reduction) {
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    const char *name;
    CR_TRY(cr_attr_string(node, "reduction", names[CR_REDUCE_NONE], &name));
    for (int i = CR_REDUCE_NONE; i <= CR_REDUCE_MIN; i++)
        if (strcmp(name, names[i]) == 0) {
            *reduction = (cr_reduction)i;
            return CREASE_OK;
        }
    return cr_node_fail(node, CREASE_ERROR_MODEL, "reduction '%s' is not known", name);
}

/* Combining, not moving, needs numbers. */
static crease_status check_reduction(const cr_node *node, cr_reduction reduction, crease_dtype dtype) {
    if (reduction != CR_REDUCE_NONE && !(CR_T(dtype) & (CR_T_NUMBERS | CR_T_BOOL)))
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "reduction of %s", crease_dtype_name(dtype));
    return CREASE_OK;
}

static crease_status elements_prepare(cr_prepare *p) {
    elements_state *s;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_axis_attr(p->node, 0, x->rank, &s->elements.axis));
    CR_TRY(read_reduction(p->node, &s->reduction));
    CR_TRY(check_reduction(p->node, s->reduction, p->in[0]->dtype));
    s->elements.rank = x->rank;
    s->elements.extent = x->dims[s->elements.axis];
    memcpy(s->elements.n, p->in[1]->shape.dims, (size_t)x->rank * sizeof *s->elements.n);
    cr_dense_strides(x, s->elements.stride);
    return CREASE_OK;
}

typedef struct elements_job {
    const cr_elements *elements;
    size_t element;
    const void *x, *indices;
    bool wide;
    void *y;
} elements_job;

static void elements_task(void *context, int64_t begin, int64_t end, int thread) {
    const elements_job *j = context;
    (void)thread;
    cr_gather_elements(j->elements, j->element, j->x, j->indices, j->wide, j->y, begin, end);
}

static crease_status gather_elements_run(cr_run *r) {
    const elements_state *s = r->state;
    elements_job job = {&s->elements,      cr_element_bytes(r->in[0]->dtype),
                        r->in[0]->data,    r->in[1]->data,
                        is_wide(r->in[1]), r->out[0]->data};
    CR_TRY(check_indices(r, r->in[1], s->elements.extent));
    cr_parallel_grain(r->pool, cr_shape_n(&r->out[0]->shape), 4096, elements_task, &job);
    return CREASE_OK;
}

static void copy_data(const cr_run *r) {
    size_t bytes;
    if (r->out[0]->data != r->in[0]->data && cr_tensor_bytes(r->in[0]->dtype, 0, &r->in[0]->shape, &bytes) &&
        bytes)
        memcpy(r->out[0]->data, r->in[0]->data, bytes);
}

static crease_status scatter_elements_run(cr_run *r) {
    const elements_state *s = r->state;
    CR_TRY(check_indices(r, r->in[1], s->elements.extent));
    copy_data(r);
    cr_scatter_elements(&s->elements, s->reduction, r->in[0]->dtype, r->in[2]->data, r->in[1]->data,
                        is_wide(r->in[1]), r->out[0]->data, cr_shape_n(&r->in[1]->shape));
    return CREASE_OK;
}

/* ---- GatherND, ScatterND: the last axis of the indices is a tuple of coordinates ---- */

static crease_status check_tuple(const cr_infer *infer, int64_t batch) {
    const cr_shape *x = &infer->in[0]->shape, *indices = &infer->in[1]->shape;
    if (x->rank < 1 || indices->rank < 1 || batch < 0 || batch >= indices->rank || batch > x->rank ||
        indices->dims[indices->rank - 1] > x->rank - batch)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                            "indices of rank %d with %lld batch dimensions do not address data of rank %d",
                            indices->rank, (long long)batch, x->rank);
    for (int d = 0; d < batch; d++)
        if (x->dims[d] >= 0 && indices->dims[d] >= 0 && x->dims[d] != indices->dims[d])
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "batch dimension %d differs", d);
    return CREASE_OK;
}

/* The indices' shape without the tuple, then what a tuple addresses. */
static crease_status addressed(const cr_infer *infer, int64_t batch, cr_shape *y) {
    const cr_shape *x = &infer->in[0]->shape, *indices = &infer->in[1]->shape;
    int64_t tuple = indices->dims[indices->rank - 1];
    if (indices->rank - 1 + x->rank - batch - tuple > CR_MAX_RANK)
        return too_many_dimensions(infer->node);
    y->rank = 0;
    for (int d = 0; d < indices->rank - 1; d++)
        y->dims[y->rank++] = indices->dims[d];
    for (int d = (int)(batch + tuple); d < x->rank; d++)
        y->dims[y->rank++] = x->dims[d];
    return CREASE_OK;
}

static crease_status gather_nd_infer(cr_infer *infer) {
    int64_t batch;
    CR_TRY(need_indices(infer, 1, false));
    CR_TRY(cr_attr_int(infer->node, "batch_dims", 0, &batch));
    infer->out[0].dtype = infer->in[0]->dtype;
    if (infer->in[0]->shape.rank < 0 || infer->in[1]->shape.rank < 0)
        return CREASE_OK;
    CR_TRY(check_tuple(infer, batch));
    if (infer->in[1]->shape.dims[infer->in[1]->shape.rank - 1] < 0)
        return CREASE_OK;
    return addressed(infer, batch, &infer->out[0].shape);
}

static crease_status scatter_nd_infer(cr_infer *infer) {
    cr_shape updates;
    CR_TRY(need_indices(infer, 1, false));
    CR_TRY(cr_infer_need(infer, 2));
    CR_TRY(cr_infer_same_type(infer, 0, 2));
    CR_TRY(cr_infer_same(infer));
    if (infer->in[0]->shape.rank < 0 || infer->in[1]->shape.rank < 0)
        return CREASE_OK;
    CR_TRY(check_tuple(infer, 0));
    if (infer->in[1]->shape.dims[infer->in[1]->shape.rank - 1] < 0)
        return CREASE_OK;
    CR_TRY(addressed(infer, 0, &updates));
    if (!cr_shape_fits(&updates, &infer->in[2]->shape))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                            "the updates do not have the shape that the "
                            "indices address");
    return CREASE_OK;
}

typedef struct tuple_state {
    int tuple;
    int64_t batches, tuples, batch_elements,
        slice; /* tuples of one batch; elements of one batch, one slice */
    int64_t extent[CR_MAX_RANK], stride[CR_MAX_RANK];
    size_t element;
    cr_reduction reduction;
} tuple_state;

static crease_status tuple_prepare(cr_prepare *p) {
    int64_t batch = 0, dense[CR_MAX_RANK];
    tuple_state *s;
    const cr_shape *x = &p->in[0]->shape, *indices = &p->in[1]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    if (p->op->variant == GATHER)
        CR_TRY(cr_attr_int(p->node, "batch_dims", 0, &batch));
    CR_TRY(read_reduction(p->node, &s->reduction));
    CR_TRY(check_reduction(p->node, s->reduction, p->in[0]->dtype));
    s->tuple = (int)indices->dims[indices->rank - 1];
    s->batches = cr_shape_extent(indices, 0, (int)batch);
    s->tuples = cr_shape_extent(indices, (int)batch, indices->rank - 1);
    s->batch_elements = cr_shape_extent(x, (int)batch, x->rank);
    s->slice = cr_shape_extent(x, (int)batch + s->tuple, x->rank);
    s->element = cr_element_bytes(p->in[0]->dtype);
    cr_dense_strides(x, dense);
    memcpy(s->extent, x->dims + batch, (size_t)s->tuple * sizeof *s->extent);
    memcpy(s->stride, dense + batch, (size_t)s->tuple * sizeof *s->stride);
    return CREASE_OK;
}

/* First element of the data that tuple i addresses. */
static crease_status address(const cr_run *r, const tuple_state *s, int64_t i, int64_t *at) {
    const int64_t *tuple = (const int64_t *)r->in[1]->data + i * s->tuple;
    *at = i / s->tuples * s->batch_elements;
    for (int d = 0; d < s->tuple; d++) {
        if (tuple[d] < -s->extent[d] || tuple[d] >= s->extent[d])
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "index %lld is outside [-%lld, %lld)",
                                (long long)tuple[d], (long long)s->extent[d], (long long)s->extent[d]);
        *at += (tuple[d] + (tuple[d] < 0 ? s->extent[d] : 0)) * s->stride[d];
    }
    return CREASE_OK;
}

static crease_status gather_nd_run(cr_run *r) {
    const tuple_state *s = r->state;
    size_t bytes = (size_t)s->slice * s->element;
    int64_t at;
    for (int64_t i = 0; i < s->batches * s->tuples; i++) {
        CR_TRY(address(r, s, i, &at));
        memcpy((char *)r->out[0]->data + (size_t)i * bytes,
               (const char *)r->in[0]->data + (size_t)at * s->element, bytes);
    }
    return CREASE_OK;
}

static crease_status scatter_nd_run(cr_run *r) {
    const tuple_state *s = r->state;
    size_t bytes = (size_t)s->slice * s->element;
    int64_t at;
    copy_data(r);
    for (int64_t i = 0; i < s->tuples; i++) {
        CR_TRY(address(r, s, i, &at));
        cr_combine(s->reduction, r->in[0]->dtype, (const char *)r->in[2]->data + (size_t)i * bytes,
                   (char *)r->out[0]->data + (size_t)at * s->element, s->slice);
    }
    return CREASE_OK;
}

#define GATHERS(name, since, until, infer, prepare, run, variant)                                            \
    { name, since, until, CR_T_BYTES, infer, prepare, run, variant, CR_OP_HALF, 0, NULL }

const cr_op cr_ops_gather[] = {
    GATHERS("Gather", 1, 0, gather_infer, gather_prepare, gather_run, GATHER),
    GATHERS("GatherElements", 11, 0, elements_infer, elements_prepare, gather_elements_run, GATHER),
    GATHERS("GatherND", 11, 0, gather_nd_infer, tuple_prepare, gather_nd_run, GATHER),
    GATHERS("Scatter", 9, 10, elements_infer, elements_prepare, scatter_elements_run, SCATTER),
    GATHERS("ScatterElements", 11, 0, elements_infer, elements_prepare, scatter_elements_run, SCATTER),
    GATHERS("ScatterND", 11, 0, scatter_nd_infer, tuple_prepare, scatter_nd_run, SCATTER),
    {0},
};
