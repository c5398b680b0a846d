#include "runtime/ops/norm.h"
#include "runtime/kernels/reduce.h"

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

static void lp_column(const cr_run *r, int64_t base) {
    const lp_state *s = r->state;
    const cr_tensor *x = r->in[0];
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

enum { LP_COLUMNS = 128 };

/* What `count` columns are multiplied by; false: a float32 does not hold it. */
static bool lp_factors(const lp_state *s, const float *x, int64_t count, float *factors) {
    const cr_reduction op = s->p == 1 ? CR_REDUCE_SIZES : CR_REDUCE_SQUARES;
    double sums[LP_COLUMNS];
    bool holds = true;
    if (s->inner == 1)
        cr_reduce(cr_cpu_isa())->rows(op, x, s->extent, count, sums);
    else
        cr_reduce(cr_cpu_isa())->columns(op, x, s->extent, s->inner, count, sums);
    for (int64_t i = 0; i < count; i++) {
        const double norm = s->p == 1 ? sums[i] : sqrt(sums[i]);
        factors[i] = (float)(norm == 0 ? 0 : 1 / norm);
        holds &= !(norm != 0 && norm < 1e-37) && !(norm > 1e37);
    }
    return holds;
}

/* Rows are one column a task. */
static void lp_pieces(void *context, int64_t begin, int64_t end, int thread) {
    const cr_run *r = context;
    const lp_state *s = r->state;
    const cr_norm_kernels *kernels = cr_norm_kernels_of(CREASE_FLOAT);
    const int64_t pieces = (s->inner + LP_COLUMNS - 1) / LP_COLUMNS;
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        const int64_t first = task % pieces * LP_COLUMNS, rest = s->inner - first;
        const int64_t base = task / pieces * s->extent * s->inner + first;
        const int64_t count = rest < LP_COLUMNS ? rest : LP_COLUMNS;
        const float *x = (const float *)r->in[0]->data + base;
        float factors[LP_COLUMNS], *y = (float *)r->out[0]->data + base;
        if (!lp_factors(s, x, count, factors))
            for (int64_t i = 0; i < count; i++)
                lp_column(r, base + i);
        else if (s->inner == 1)
            kernels->affine(x, y, s->extent, (double)*factors, 0);
        else
            for (int64_t k = 0; k < s->extent; k++)
                kernels->normalize(x + k * s->inner, y + k * s->inner, count, 0, 1, factors, NULL);
    }
}

static crease_status lp_run(cr_run *r) {
    const lp_state *s = r->state;
    const int64_t pieces = (s->inner + LP_COLUMNS - 1) / LP_COLUMNS;
    if (r->in[0]->dtype == CREASE_FLOAT)
        cr_parallel_grain(r->pool, s->outer * pieces, 16384 / (s->extent + 1) + 1, lp_pieces, r);
    else
        for (int64_t o = 0; o < s->outer; o++)
            for (int64_t i = 0; i < s->inner; i++)
                lp_column(r, o * s->extent * s->inner + i);
    return CREASE_OK;
}

/* ---- MeanVarianceNormalization: (x - mean) / (standard deviation + 1e-9) over any axes ---- */

typedef struct variance_state {
    int64_t stride[CR_MAX_RANK]; /* of the statistics; 0 along normalized axes */
    int64_t groups, count;       /* count: elements of a group */
    int64_t extents[3];          /* normalized, kept and normalized axes are neighbours; else is_plain */
    bool is_plain;
} variance_state;

/* Extents of the axes, where they are no more than three runs: normalized, kept, normalized. */
static bool three_runs(const cr_shape *x, const bool *normalized, int64_t *extents) {
    int at = 0;
    extents[0] = extents[1] = extents[2] = 1;
    for (int d = 0; d < x->rank; d++) {
        if (x->dims[d] == 1)
            continue;
        while (at < 3 && normalized[d] != (at != 1))
            at++;
        if (at == 3)
            return false;
        extents[at] *= x->dims[d];
    }
    return true;
}

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
    s->is_plain = !three_runs(x, normalized, s->extents);
    p->scratch_bytes = s->is_plain ? 2 * (size_t)s->groups * sizeof(double) : 0;
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

static void variance_plain(const cr_run *r) {
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
}

static void variance_groups(void *context, int64_t begin, int64_t end, int thread) {
    const cr_run *r = context;
    const variance_state *s = r->state;
    const cr_norm_kernels *kernels = cr_norm_kernels_of(r->in[0]->dtype);
    const int64_t area = s->extents[2];
    const size_t bytes = (size_t)area * cr_element_bytes(r->in[0]->dtype), step = (size_t)s->groups * bytes;
    (void)thread;
    for (int64_t g = begin; g < end; g++) {
        const char *x = (const char *)r->in[0]->data + (size_t)g * bytes;
        char *y = (char *)r->out[0]->data + (size_t)g * bytes;
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < s->extents[0]; i++)
            mean += kernels->sum(x + (size_t)i * step, area) / (double)s->count;
        for (int64_t i = 0; i < s->extents[0]; i++)
            variance += kernels->squares(x + (size_t)i * step, area, mean) / (double)s->count;
        for (int64_t i = 0; i < s->extents[0]; i++)
            kernels->normalize(x + (size_t)i * step, y + (size_t)i * step, area, mean,
                               1 / (sqrt(variance) + 1e-9), NULL, NULL);
    }
}

static crease_status variance_run(cr_run *r) {
    const variance_state *s = r->state;
    if (s->is_plain)
        variance_plain(r);
    else if (s->count > 0)
        cr_parallel_grain(r->pool, s->groups, 16384 / s->count + 1, variance_groups, r);
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
