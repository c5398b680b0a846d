#include "runtime/kernels/scan.h"
#include "runtime/ops/infer.h"

/* CumSum (ONNX 11, 14). The axis is an input and may be known only when the node runs. */

typedef struct scan_state {
    int64_t exclusive, reverse;
} scan_state;

static crease_status scan_infer(cr_infer *infer) {
    const cr_tensor *axis;
    bool left_out;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_need(infer, 1));
    return cr_infer_list(infer, 1, &axis, &left_out);
}

static crease_status scan_prepare(cr_prepare *p) {
    scan_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_int(p->node, "exclusive", 0, &s->exclusive));
    return cr_attr_int(p->node, "reverse", 0, &s->reverse);
}

typedef struct scan_job {
    const scan_state *s;
    crease_dtype dtype;
    const void *x;
    void *y;
    int64_t n, inner;
} scan_job;

static void scan_task(void *context, int64_t begin, int64_t end, int thread) {
    const scan_job *j = context;
    (void)thread;
    cr_cumulative_sum(j->dtype, j->s->exclusive != 0, j->s->reverse != 0, j->x, j->y, j->n, j->inner, begin,
                      end);
}

static crease_status scan_run(cr_run *r) {
    int axis;
    const cr_shape *x = &r->in[0]->shape;
    if (cr_shape_n(&r->in[1]->shape) != 1)
        return cr_node_fail(r->node, CREASE_ERROR_MODEL, "axis is not one number");
    CR_TRY(cr_node_axis(r->node, cr_tensor_int(r->in[1], 0), x->rank, &axis));
    scan_job job = {r->state,        r->in[0]->dtype, r->in[0]->data,
                    r->out[0]->data, x->dims[axis],   cr_shape_extent(x, axis + 1, x->rank)};
    if (cr_shape_n(x))
        cr_parallel_grain(r->pool, cr_shape_extent(x, 0, axis), 8192 / (job.n * job.inner) + 1, scan_task,
                          &job);
    return CREASE_OK;
}

const cr_op cr_ops_scan[] = {
    {"CumSum", 11, 0,
     CR_T_FLOATS | CR_T(CREASE_INT32) | CR_T(CREASE_INT64) | CR_T(CREASE_UINT32) | CR_T(CREASE_UINT64),
     scan_infer, scan_prepare, scan_run, 0, 0, 0, NULL},
    {0},
};
