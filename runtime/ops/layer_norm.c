#include "runtime/ops/norm.h"

#include <math.h>
#include <string.h>

/* LayerNormalization (ONNX 17) and RMSNormalization (23): statistics over the axes from `axis` on. */

enum { LAYER, RMS };

typedef struct layer_state {
    double epsilon;
    int64_t rows, n;     /* n: elements of a row */
    bool expanded[2];    /* scale and bias repeat along a row: written out in scratch first */
    cr_shape normalized; /* shape of a row */
} layer_state;

/* Scale or bias must broadcast to a row. */
static crease_status check_row(const cr_infer *infer, int i, int axis) {
    const cr_shape *x = &infer->in[0]->shape, *p = &infer->in[i]->shape;
    for (int d = 1; d <= p->rank; d++) {
        int64_t extent = p->dims[p->rank - d], wanted = d <= x->rank - axis ? x->dims[x->rank - d] : 1;
        if (extent >= 0 && extent != 1 && wanted >= 0 && extent != wanted)
            return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED,
                                "input %d does not broadcast to the normalized axes", i);
    }
    return CREASE_OK;
}

static crease_status layer_types(cr_infer *infer) {
    crease_dtype x = infer->in[0]->dtype, scale = infer->in[1]->dtype;
    int64_t stash;
    if (scale && x && scale != x &&
        (infer->op->variant == LAYER || !cr_dtype_is_float(scale) || scale == CREASE_DOUBLE ||
         x == CREASE_DOUBLE))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "%s scaled by %s is not supported",
                            crease_dtype_name(x), crease_dtype_name(scale));
    infer->out[0].dtype = scale;
    CR_TRY(cr_attr_int(infer->node, "stash_type", CREASE_FLOAT, &stash));
    for (int i = 1; i < infer->n_out; i++)
        infer->out[i].dtype = x == CREASE_DOUBLE         ? x
                              : stash == CREASE_BFLOAT16 ? CREASE_BFLOAT16
                                                         : CREASE_FLOAT;
    return infer->n_in > 2 ? cr_infer_same_type(infer, 1, 2) : CREASE_OK;
}

static crease_status layer_infer(cr_infer *infer) {
    int axis;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_norm_outputs(infer, infer->op->variant == LAYER ? 3 : 1));
    CR_TRY(layer_types(infer));
    cr_shape reduced = infer->in[0]->shape;
    if (reduced.rank < 0)
        return CREASE_OK;
    CR_TRY(cr_axis_attr(infer->node, -1, reduced.rank, &axis));
    for (int i = 1; i < infer->n_in; i++)
        if (infer->in[i])
            CR_TRY(check_row(infer, i, axis));
    for (int d = axis; d < reduced.rank; d++)
        reduced.dims[d] = 1;
    for (int i = 1; i < infer->n_out; i++) /* mean, 1 / standard deviation */
        infer->out[i].shape = reduced;
    return CREASE_OK;
}

static crease_status layer_prepare(cr_prepare *p) {
    layer_state *s;
    float epsilon;
    int axis;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_float(p->node, "epsilon", 1e-5f, &epsilon));
    CR_TRY(cr_axis_attr(p->node, -1, x->rank, &axis));
    s->epsilon = (double)epsilon;
    s->normalized = cr_shape_of(x->rank - axis, x->dims + axis);
    s->n = cr_shape_n(&s->normalized);
    s->rows = cr_shape_extent(x, 0, axis);
    for (int i = 1; i < p->n_in && i < 3; i++)
        s->expanded[i - 1] = p->in[i] && cr_shape_n(&p->in[i]->shape) != s->n;
    size_t vector = (size_t)s->n * sizeof(double);
    p->scratch_bytes = vector * (size_t)(s->expanded[0] + s->expanded[1]);
    return CREASE_OK;
}

/* Repeat a scale or bias along the axes in which it has extent 1. */
static void expand_row(const cr_tensor *part, const cr_shape *row, char *out) {
    size_t element = cr_element_bytes(part->dtype);
    for (int64_t i = 0, n = cr_shape_n(row); i < n; i++) {
        int64_t rest = i, at = 0, stride = 1;
        for (int d = 1; d <= row->rank && d <= part->shape.rank; d++) {
            int64_t extent = part->shape.dims[part->shape.rank - d];
            at += extent == 1 ? 0 : rest % row->dims[row->rank - d] * stride;
            stride *= extent;
            rest /= row->dims[row->rank - d];
        }
        memcpy(out + (size_t)i * element, (const char *)part->data + (size_t)at * element, element);
    }
}

typedef struct layer_job {
    const cr_run *r;
    const void *scale, *shift;
} layer_job;

static void layer_rows(void *context, int64_t begin, int64_t end, int thread) {
    const layer_job *j = context;
    const cr_run *r = j->r;
    const layer_state *s = r->state;
    const cr_norm_kernels *k = cr_norm_kernels_of(r->in[0]->dtype);
    size_t bytes = (size_t)s->n * cr_element_bytes(r->in[0]->dtype);
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const char *x = (const char *)r->in[0]->data + (size_t)row * bytes;
        double mean = r->op->variant == RMS ? 0 : k->sum(x, s->n) / (double)s->n;
        double factor = 1 / sqrt(k->squares(x, s->n, mean) / (double)s->n + s->epsilon);
        if (r->n_out > 1 && r->out[1])
            cr_store_float(r->out[1]->dtype, r->out[1]->data, row, mean);
        if (r->n_out > 2 && r->out[2])
            cr_store_float(r->out[2]->dtype, r->out[2]->data, row, factor);
        if (r->out[0])
            k->normalize(x, (char *)r->out[0]->data + (size_t)row * bytes, s->n, mean, factor, j->scale,
                         j->shift);
    }
}

static crease_status layer_run(cr_run *r) {
    const layer_state *s = r->state;
    char *scratch = r->scratch;
    const void *vectors[2] = {NULL, NULL};
    for (int i = 0; i < 2 && i + 1 < r->n_in; i++) {
        if (!r->in[i + 1])
            continue;
        vectors[i] = r->in[i + 1]->data;
        if (!s->expanded[i])
            continue;
        expand_row(r->in[i + 1], &s->normalized, scratch);
        vectors[i] = scratch;
        scratch += (size_t)s->n * sizeof(double);
    }
    layer_job job = {r, vectors[0], vectors[1]};
    cr_parallel_grain(r->pool, s->rows, 16384 / (s->n + 1) + 1, layer_rows, &job);
    return CREASE_OK;
}

const cr_op cr_ops_layer_norm[] = {
    {"LayerNormalization", 17, 0, CR_T_FLOATS, layer_infer, layer_prepare, layer_run, LAYER, 0, 0, NULL},
    {"RMSNormalization", 23, 0, CR_T_FLOATS, layer_infer, layer_prepare, layer_run, RMS, 0, 0, NULL},
    {0},
};
