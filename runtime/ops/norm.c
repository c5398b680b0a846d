#include "runtime/ops/norm.h"

#include <math.h>
#include <string.h>

/* InstanceNormalization (ONNX 1 to 22), GroupNormalization (18, 21; Wu and He 2018), LRN (1, 13),
 * LpNormalization (1, 22) and MeanVarianceNormalization (9, 13). */

crease_status cr_norm_parameter(const cr_infer *infer, int i, const cr_shape *x, int begin, int end) {
    CR_TRY(cr_infer_need(infer, i));
    const cr_info *p = infer->in[i];
    if (p->dtype && !cr_dtype_is_float(p->dtype))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is %s, expected a float type", i,
                            crease_dtype_name(p->dtype));
    if (x->rank < 0 || p->shape.rank < 0)
        return CREASE_OK;
    bool fits = p->shape.rank == end - begin;
    for (int d = 0; fits && d < end - begin; d++)
        fits = p->shape.dims[d] < 0 || x->dims[begin + d] < 0 || p->shape.dims[d] == x->dims[begin + d];
    if (!fits) {
        char found[128], wanted[128];
        cr_shape part = cr_shape_of(end - begin, x->dims + begin);
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is %s, expected %s", i,
                            cr_shape_print(&p->shape, found, sizeof found),
                            cr_shape_print(&part, wanted, sizeof wanted));
    }
    return CREASE_OK;
}

crease_status cr_norm_outputs(const cr_infer *infer, int most) {
    if (infer->n_out > most)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%d outputs, expected at most %d", infer->n_out,
                            most);
    return CREASE_OK;
}

/* ---- InstanceNormalization, GroupNormalization: statistics of each image's groups of channels ---- */

enum { INSTANCE, GROUP };

typedef struct group_state {
    double epsilon;
    int64_t groups, per_group, area; /* per_group: channels */
    bool by_group; /* one scale and bias for each group (opset 18 to 20), not each channel */
} group_state;

static crease_status group_infer(cr_infer *infer) {
    int64_t groups = 1;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_rank(infer, 0, 2, CR_MAX_RANK));
    cr_shape x = infer->in[0]->shape;
    int64_t channels = x.rank > 1 ? x.dims[1] : -1;
    if (infer->op->variant == GROUP)
        CR_TRY(cr_attr_int(infer->node, "num_groups", 0, &groups));
    if (groups < 1 || (channels >= 0 && channels % groups))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                            "%lld channels are not divisible into %lld groups", (long long)channels,
                            (long long)groups);
    if (x.rank > 1 && infer->op->variant == GROUP && infer->opset < 21)
        x.dims[1] = groups;
    CR_TRY(cr_norm_parameter(infer, 1, &x, 1, 2));
    return cr_norm_parameter(infer, 2, &x, 1, 2);
}

static crease_status group_prepare(cr_prepare *p) {
    group_state *s;
    float epsilon;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_float(p->node, "epsilon", 1e-5f, &epsilon));
    CR_TRY(cr_attr_int(p->node, "num_groups", x->dims[1], &s->groups));
    if (p->op->variant == INSTANCE)
        s->groups = x->dims[1];
    s->epsilon = (double)epsilon;
    s->per_group = s->groups ? x->dims[1] / s->groups : 0;
    s->by_group = p->op->variant == GROUP && p->opset < 21;
    s->area = cr_shape_extent(x, 2, x->rank);
    return CREASE_OK;
}

static void group_rows(void *context, int64_t begin, int64_t end, int thread) {
    const cr_run *r = context;
    const group_state *s = r->state;
    const cr_norm_kernels *k = cr_norm_kernels_of(r->in[0]->dtype);
    size_t bytes = (size_t)s->area * cr_element_bytes(r->in[0]->dtype);
    int64_t n = s->per_group * s->area;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        size_t offset = (size_t)(row * s->per_group) * bytes;
        const char *x = (const char *)r->in[0]->data + offset;
        double mean = k->sum(x, n) / (double)n, variance = k->squares(x, n, mean) / (double)n;
        for (int64_t i = 0; i < s->per_group; i++) {
            int64_t group = row % s->groups, p = s->by_group ? group : group * s->per_group + i;
            double scale = cr_tensor_float(r->in[1], p) / sqrt(variance + s->epsilon);
            k->affine(x + (size_t)i * bytes, (char *)r->out[0]->data + offset + (size_t)i * bytes, s->area,
                      scale, cr_tensor_float(r->in[2], p) - mean * scale);
        }
    }
}

static crease_status group_run(cr_run *r) {
    const group_state *s = r->state;
    int64_t n = s->per_group * s->area;
    if (n)
        cr_parallel_grain(r->pool, r->in[0]->shape.dims[0] * s->groups, 16384 / n + 1, group_rows, r);
    return CREASE_OK;
}

/* ---- LRN ---- */

static crease_status lrn_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    return cr_infer_rank(infer, 0, 2, CR_MAX_RANK);
}

static crease_status lrn_prepare(cr_prepare *p) {
    cr_lrn *s;
    float alpha, beta, bias;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_float(p->node, "alpha", 1e-4f, &alpha));
    CR_TRY(cr_attr_float(p->node, "beta", 0.75f, &beta));
    CR_TRY(cr_attr_float(p->node, "bias", 1, &bias));
    CR_TRY(cr_attr_int(p->node, "size", 0, &s->size));
    if (s->size < 1)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "size is %lld, expected a positive number",
                            (long long)s->size);
    s->alpha = (double)alpha;
    s->beta = (double)beta;
    s->bias = (double)bias;
    return CREASE_OK;
}

static void lrn_rows(void *context, int64_t begin, int64_t end, int thread) {
    const cr_run *r = context;
    const cr_tensor *x = r->in[0];
    int64_t channels = x->shape.dims[1], area = cr_shape_n(&x->shape) / (x->shape.dims[0] * channels);
    size_t bytes = (size_t)area * cr_element_bytes(x->dtype);
    (void)thread;
    for (int64_t row = begin; row < end; row++)
        cr_lrn_channel(x->dtype, (const char *)x->data + (size_t)(row - row % channels) * bytes,
                       (char *)r->out[0]->data + (size_t)row * bytes, channels, area, row % channels,
                       r->state);
}

static crease_status lrn_run(cr_run *r) {
    const cr_shape *x = &r->in[0]->shape;
    int64_t n = cr_shape_n(x), rows = x->dims[0] * x->dims[1];
    if (n)
        cr_parallel_grain(r->pool, rows, 4096 / (n / rows) + 1, lrn_rows, r);
    return CREASE_OK;
}

/* ---- LpNormalization: x divided by its norm along one axis; 0 where the norm is 0 ---- */

typedef struct lp_state {
    int64_t p, outer, extent, inner;
} lp_state;

static crease_status lp_prepare(cr_prepare *p) {
    lp_state *s;
    int axis;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_axis_attr(p->node, -1, x->rank, &axis));
    CR_TRY(cr_attr_int(p->node, "p", 2, &s->p));
    if (s->p != 1 && s->p != 2)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "p is %lld, expected 1 or 2", (long long)s->p);
    s->outer = cr_shape_extent(x, 0, axis);
    s->extent = x->dims[axis];
    s->inner = cr_shape_extent(x, axis + 1, x->rank);
    return CREASE_OK;
}

static crease_status lp_run(cr_run *r) {
    const lp_state *s = r->state;
    const cr_tensor *x = r->in[0];
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t i = 0; i < s->inner; i++) {
            int64_t base = o * s->extent * s->inner + i;
            double norm = 0;
            for (int64_t k = 0; k < s->extent; k++) {
                double v = cr_tensor_float(x, base + k * s->inner);
                norm += s->p == 1 ? fabs(v) : v * v;
            }
            norm = s->p == 1 ? norm : sqrt(norm);
            for (int64_t k = 0; k < s->extent; k++)
                cr_store_float(x->dtype, r->out[0]->data, base + k * s->inner,
                               norm == 0 ? 0 : cr_tensor_float(x, base + k * s->inner) / norm);
        }
    return CREASE_OK;
}

/* ---- MeanVarianceNormalization: (x - mean) / (standard deviation + 1e-9) over any axes ---- */

typedef struct variance_state {
    int64_t stride[CR_MAX_RANK]; /* of the statistics; 0 along normalized axes */
    int64_t groups, count;       /* count: elements of a group */
} variance_state;

static crease_status variance_prepare(cr_prepare *p) {
    static const int64_t usual[] = {0, 2, 3};
    variance_state *s;
    const int64_t *axes;
    const cr_shape *x = &p->in[0]->shape;
    int n, axis;
    bool normalized[CR_MAX_RANK] = {false};
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_ints(p->node, "axes", &axes, &n));
    if (!cr_attr_find(p->node, "axes")) {
        axes = usual;
        n = 3;
    }
    for (int i = 0; i < n; i++) {
        CR_TRY(cr_node_axis(p->node, axes[i], x->rank, &axis));
        normalized[axis] = true;
    }
    s->groups = s->count = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        s->stride[d] = normalized[d] ? 0 : s->groups;
        *(normalized[d] ? &s->count : &s->groups) *= x->dims[d];
    }
    p->scratch_bytes = 2 * (size_t)s->groups * sizeof(double);
    return CREASE_OK;
}

static int64_t group_of(const variance_state *s, const cr_shape *x, int64_t i) {
    int64_t at = 0;
    for (int d = x->rank - 1; d >= 0; d--) {
        at += i % x->dims[d] * s->stride[d];
        i /= x->dims[d];
    }
    return at;
}

static crease_status variance_run(cr_run *r) {
    const variance_state *s = r->state;
    const cr_tensor *x = r->in[0];
    double *mean = r->scratch, *variance = mean + s->groups;
    int64_t n = cr_shape_n(&x->shape);
    memset(mean, 0, 2 * (size_t)s->groups * sizeof *mean);
    for (int64_t i = 0; i < n; i++)
        mean[group_of(s, &x->shape, i)] += cr_tensor_float(x, i) / (double)s->count;
    for (int64_t i = 0; i < n; i++) {
        int64_t g = group_of(s, &x->shape, i);
        variance[g] +=
            (cr_tensor_float(x, i) - mean[g]) * (cr_tensor_float(x, i) - mean[g]) / (double)s->count;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t g = group_of(s, &x->shape, i);
        cr_store_float(x->dtype, r->out[0]->data, i,
                       (cr_tensor_float(x, i) - mean[g]) / (sqrt(variance[g]) + 1e-9));
    }
    return CREASE_OK;
}

const cr_op cr_ops_norm[] = {
    {"InstanceNormalization", 1, 0, CR_T_FLOATS, group_infer, group_prepare, group_run, INSTANCE,
     CR_OP_INPLACE, 0, NULL},
    {"GroupNormalization", 18, 0, CR_T_FLOATS, group_infer, group_prepare, group_run, GROUP, CR_OP_INPLACE, 0,
     NULL},
    {"LRN", 1, 0, CR_T_FLOATS, lrn_infer, lrn_prepare, lrn_run, 0, 0, 0, NULL},
    {"LpNormalization", 1, 0, CR_T_FLOATS, cr_infer_same, lp_prepare, lp_run, 0, 0, 0, NULL},
    {"MeanVarianceNormalization", 9, 0, CR_T_FLOATS, cr_infer_same, variance_prepare, variance_run, 0, 0, 0,
     NULL},
    {0},
};
