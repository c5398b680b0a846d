#include "runtime/ops/infer.h"

#include <math.h>

/* BatchNormalization at inference (ONNX 1 to 15; Ioffe and Szegedy 2015) as one affine pass,
 * InstanceNormalization (1, 6, 22) and LRN (1, 13). */

static crease_status batch_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    for (int i = 1; i < 5; i++) {
        CR_TRY(cr_infer_need(infer, i));
        const cr_shape *p = &infer->in[i]->shape, *x = &infer->in[0]->shape;
        int64_t c = x->rank > 1 ? x->dims[1] : 1;
        if (x->rank >= 0 && p->rank >= 0 && (p->rank != 1 || (c >= 0 && p->dims[0] >= 0 && p->dims[0] != c)))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                                "input %d does not have one value for each of %lld channels", i,
                                (long long)c);
    }
    return CREASE_OK;
}

static crease_status batch_prepare(cr_prepare *p) {
    float *epsilon;
    int64_t training = 0, is_test = 1, spatial = 1;
    CR_TRY(CR_PREPARE_STATE(p, &epsilon));
    CR_TRY(cr_attr_int(p->node, "training_mode", 0, &training));
    if (p->opset < 7)
        CR_TRY(cr_attr_int(p->node, "is_test", 0, &is_test));
    if (p->opset < 9)
        CR_TRY(cr_attr_int(p->node, "spatial", 1, &spatial));
    bool extra = p->n_out > 1 && cr_node_output(p->node, 1);
    if (training || extra || !spatial)
        return cr_node_fail(p->node, CREASE_ERROR_UNSUPPORTED,
                            "training mode, extra outputs and spatial = 0 are not supported");
    return cr_attr_float(p->node, "epsilon", 1e-5f, epsilon);
}

typedef struct affine_job {
    const cr_run *r;
    double epsilon;
    int64_t channels, area;
} affine_job;

/* s = gamma / sqrt(var + eps), t = beta - mean s in double, then one pass. */
static void affine_rows(void *context, int64_t begin, int64_t end, int thread) {
    const affine_job *j = context;
    const cr_tensor *x = j->r->in[0];
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        int64_t c = row % j->channels;
        double p[4];
        for (int i = 0; i < 4; i++)
            p[i] = cr_load_float(j->r->in[i + 1]->dtype, j->r->in[i + 1]->data, c);
        double s = p[0] / sqrt(p[3] + j->epsilon), t = p[1] - p[2] * s;
        if (x->dtype == CREASE_DOUBLE) {
            const double *from = (const double *)x->data + row * j->area;
            double *to = (double *)j->r->out[0]->data + row * j->area;
            for (int64_t i = 0; i < j->area; i++)
                to[i] = s * from[i] + t;
        } else {
            const float *from = (const float *)x->data + row * j->area, fs = (float)s, ft = (float)t;
            float *to = (float *)j->r->out[0]->data + row * j->area;
            for (int64_t i = 0; i < j->area; i++)
                to[i] = fs * from[i] + ft;
        }
    }
}

static crease_status batch_run(cr_run *r) {
    const cr_shape *x = &r->in[0]->shape;
    affine_job job = {r, (double)*(const float *)r->state, x->rank > 1 ? x->dims[1] : 1, 1};
    for (int d = 2; d < x->rank; d++)
        job.area *= x->dims[d];
    int64_t rows = (x->rank ? x->dims[0] : 1) * job.channels;
    cr_parallel_grain(r->pool, rows, 16384 / (job.area + 1) + 1, affine_rows, &job);
    return CREASE_OK;
}

static crease_status instance_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_need(infer, 2));
    for (int i = 1; i < 3; i++)
        if (infer->in[0]->shape.rank > 1 && infer->in[i]->shape.rank == 1 &&
            infer->in[0]->shape.dims[1] >= 0 && infer->in[i]->shape.dims[0] != infer->in[0]->shape.dims[1])
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                                "input %d does not have one value for each channel", i);
    return cr_infer_rank(infer, 0, 2, CR_MAX_RANK);
}

static crease_status epsilon_prepare(cr_prepare *p) {
    float *epsilon;
    CR_TRY(CR_PREPARE_STATE(p, &epsilon));
    return cr_attr_float(p->node, "epsilon", 1e-5f, epsilon);
}

static crease_status instance_run(cr_run *r) {
    const cr_tensor *x = r->in[0];
    int64_t channels = x->shape.dims[1], rows = x->shape.dims[0] * channels,
            area = rows ? cr_shape_n(&x->shape) / rows : 0;
    double epsilon = (double)*(const float *)r->state;
    for (int64_t row = 0; row < rows; row++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < area; i++)
            mean += cr_load_float(x->dtype, x->data, row * area + i) / (double)area;
        for (int64_t i = 0; i < area; i++) {
            double d = cr_load_float(x->dtype, x->data, row * area + i) - mean;
            variance += d * d / (double)area;
        }
        double s = cr_load_float(x->dtype, r->in[1]->data, row % channels) / sqrt(variance + epsilon);
        double t = cr_load_float(x->dtype, r->in[2]->data, row % channels) - mean * s;
        for (int64_t i = row * area; i < (row + 1) * area; i++)
            cr_store_float(x->dtype, r->out[0]->data, i, s * cr_load_float(x->dtype, x->data, i) + t);
    }
    return CREASE_OK;
}

/* ---- GroupNormalization (ONNX 18: a scale for each group, 21: for each channel; Wu and He 2018) ---- */

static crease_status group_infer(cr_infer *infer) {
    int64_t groups;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_need(infer, 2));
    CR_TRY(cr_infer_rank(infer, 0, 2, CR_MAX_RANK));
    CR_TRY(cr_attr_int(infer->node, "num_groups", 0, &groups));
    int64_t c = infer->out[0].shape.rank > 1 ? infer->out[0].shape.dims[1] : -1;
    if (groups < 1 || (c >= 0 && c % groups))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                            "%lld channels are not divisible into %lld groups", (long long)c,
                            (long long)groups);
    for (int i = 1; i < 3; i++) {
        const cr_shape *p = &infer->in[i]->shape;
        int64_t wanted = infer->opset < 21 ? groups : c;
        if (p->rank >= 0 && (p->rank != 1 || (wanted >= 0 && p->dims[0] >= 0 && p->dims[0] != wanted)))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d does not have %lld values", i,
                                (long long)wanted);
    }
    return CREASE_OK;
}

static crease_status group_run(cr_run *r) {
    const cr_tensor *x = r->in[0];
    int64_t channels = x->shape.dims[1], all = cr_shape_n(&x->shape), groups;
    double epsilon = (double)*(const float *)r->state;
    CR_TRY(cr_attr_int(r->node, "num_groups", 1, &groups));
    if (all == 0)
        return CREASE_OK;
    int64_t rows = x->shape.dims[0] * groups, n = all / rows, per_channel = n / (channels / groups);
    bool by_group = r->in[1]->shape.dims[0] == groups;
    for (int64_t row = 0; row < rows; row++) {
        double mean = 0, variance = 0;
        for (int64_t i = row * n; i < (row + 1) * n; i++)
            mean += cr_load_float(x->dtype, x->data, i) / (double)n;
        for (int64_t i = row * n; i < (row + 1) * n; i++) {
            double d = cr_load_float(x->dtype, x->data, i) - mean;
            variance += d * d / (double)n;
        }
        for (int64_t i = row * n; i < (row + 1) * n; i++) {
            int64_t c = by_group ? row % groups : i / per_channel % channels;
            double s = cr_load_float(x->dtype, r->in[1]->data, c),
                   t = cr_load_float(x->dtype, r->in[2]->data, c);
            double v = (cr_load_float(x->dtype, x->data, i) - mean) / sqrt(variance + epsilon);
            cr_store_float(x->dtype, r->out[0]->data, i, s * v + t);
        }
    }
    return CREASE_OK;
}

typedef struct lrn_state {
    float alpha, beta, bias;
    int64_t size;
} lrn_state;

static crease_status lrn_prepare(cr_prepare *p) {
    lrn_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_float(p->node, "alpha", 1e-4f, &s->alpha));
    CR_TRY(cr_attr_float(p->node, "beta", 0.75f, &s->beta));
    CR_TRY(cr_attr_float(p->node, "bias", 1, &s->bias));
    CR_TRY(cr_attr_int(p->node, "size", 0, &s->size));
    if (s->size < 1 || p->in[0]->shape.rank < 2)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "size must be positive and the input [N, C, ...]");
    return CREASE_OK;
}

static crease_status lrn_run(cr_run *r) {
    const lrn_state *s = r->state;
    const cr_tensor *x = r->in[0];
    int64_t c = x->shape.dims[1], n = x->shape.dims[0],
            area = n > 0 && c > 0 ? cr_shape_n(&x->shape) / (n * c) : 0;
    for (int64_t row = 0; row < n * c; row++)
        for (int64_t i = 0; i < area; i++) {
            int64_t channel = row % c, low = channel - (s->size - 1) / 2, high = channel + s->size / 2;
            double sum = 0;
            for (int64_t k = low < 0 ? 0 : low; k <= high && k < c; k++) {
                double v = cr_load_float(x->dtype, x->data, (row - channel + k) * area + i);
                sum += v * v;
            }
            double scale = pow((double)s->bias + (double)s->alpha / (double)s->size * sum, (double)s->beta);
            cr_store_float(x->dtype, r->out[0]->data, row * area + i,
                           cr_load_float(x->dtype, x->data, row * area + i) / scale);
        }
    return CREASE_OK;
}

const cr_op cr_ops_norm[] = {
    {"BatchNormalization", 1, 0, CR_T_FLOATS, batch_infer, batch_prepare, batch_run, 0, 0, 0, NULL},
    {"InstanceNormalization", 1, 0, CR_T_FLOATS, instance_infer, epsilon_prepare, instance_run, 0, 0, 0,
     NULL},
    {"GroupNormalization", 18, 0, CR_T_FLOATS, group_infer, epsilon_prepare, group_run, 0, 0, 0, NULL},
    {"LRN", 1, 0, CR_T_FLOATS, cr_infer_same, lrn_prepare, lrn_run, 0, 0, 0, NULL},
    {0},
};
