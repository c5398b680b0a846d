#include "runtime/kernels/norm.h"
#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* BatchNormalization (ONNX 1 to 15; Ioffe and Szegedy 2015), InstanceNormalization (1 to 22),
 * GroupNormalization (18, 21; Wu and He 2018), LayerNormalization (17), RMSNormalization (23), LRN (1, 13),
 * LpNormalization (1, 22) and MeanVarianceNormalization (9, 13). Statistics are computed in double, which is
 * at least what any stash_type asks for. */

static const cr_norm_kernels *kernels_for(crease_dtype dtype) {
    return dtype == CREASE_DOUBLE ? &cr_norm_f64 : &cr_norm_f32;
}

static size_t element_bytes(const cr_tensor *t) {
    return cr_element_bytes(t->dtype);
}

static double value_at(const cr_tensor *t, int64_t i) {
    return cr_load_float(t->dtype, t->data, i);
}

/* Input i must be of a float type with the dimensions [begin, end) of x, where these are known. */
static crease_status check_parameter(const cr_infer *infer, int i, const cr_shape *x, int begin, int end) {
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

static crease_status check_outputs(const cr_infer *infer, int most) {
    if (infer->n_out > most)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%d outputs, expected at most %d", infer->n_out,
                            most);
    return CREASE_OK;
}

/* ---- BatchNormalization ---- */

typedef struct batch_state {
    bool training, fixed; /* fixed: scale and shift were made at prepare */
    double epsilon, momentum;
    int64_t images, channels, area;
    void *scale, *shift; /* [channels] of x's type: y = scale x + shift */
} batch_state;

typedef struct batch_job {
    const cr_run *r;
    const batch_state *s;
} batch_job;

static bool output_is_used(const cr_node *node, int i) {
    const cr_value *v = cr_node_output(node, i);
    return v && (v->n_uses || v->n_outputs);
}

/* From opset 7 to 13 a node that has extra outputs trains, whether or not somebody reads them; before,
 * is_test says so, and what nobody reads is computed as at inference. */
static crease_status read_training(const cr_node *node, int64_t opset, bool *training) {
    int64_t flag = 0, is_test = 0;
    if (opset >= 14) {
        CR_TRY(cr_attr_int(node, "training_mode", 0, &flag));
        *training = flag != 0;
        return CREASE_OK;
    }
    if (opset < 7)
        CR_TRY(cr_attr_int(node, "is_test", 0, &is_test));
    for (int i = 1; i < node->n_outputs; i++)
        flag |= opset < 7 ? output_is_used(node, i) : cr_node_output(node, i) != NULL;
    *training = flag && !is_test;
    return CREASE_OK;
}

/* spatial 0 before opset 9: a parameter for every position, [C, D1, ...]; exporters also set it with [C],
 * which can only mean channels. */
static crease_status read_spatial(const cr_node *node, int64_t opset, const cr_shape *gamma, bool *spatial) {
    int64_t flag = 1;
    if (opset < 9)
        CR_TRY(cr_attr_int(node, "spatial", 1, &flag));
    *spatial = flag != 0 || gamma->rank == 1;
    return CREASE_OK;
}

static crease_status batch_infer(cr_infer *infer) {
    bool spatial;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(check_outputs(infer, 5));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(read_spatial(infer->node, infer->opset, &infer->in[1]->shape, &spatial));
    cr_shape x = infer->in[0]->shape;
    if (x.rank >= 0 && x.rank < 2) { /* one channel */
        x.dims[1] = 1;
        x.rank = 2;
    }
    for (int i = 1; i < 5; i++)
        CR_TRY(check_parameter(infer, i, &x, 1, spatial ? 2 : x.rank));
    for (int i = 1; i < infer->n_out; i++) { /* mean, variance, saved mean, saved variance */
        infer->out[i].dtype = infer->in[i % 2 ? 3 : 4]->dtype;
        infer->out[i].shape = infer->in[3]->shape;
    }
    return CREASE_OK;
}

/* scale = gamma / sqrt(variance + epsilon), shift = beta - mean scale: in double, rounded once. */
static void set_channel(const batch_state *s, crease_dtype dtype, int64_t c, const double p[4]) {
    double scale = p[0] / sqrt(p[3] + s->epsilon);
    cr_store_float(dtype, s->scale, c, scale);
    cr_store_float(dtype, s->shift, c, p[1] - p[2] * scale);
}

static void set_stored(const batch_state *s, crease_dtype dtype, const cr_tensor *const parameters[4]) {
    for (int64_t c = 0; c < s->channels; c++) {
        double p[4];
        for (int i = 0; i < 4; i++)
            p[i] = value_at(parameters[i], c);
        set_channel(s, dtype, c, p);
    }
}

static crease_status batch_prepare(cr_prepare *p) {
    batch_state *s;
    bool spatial;
    float epsilon, momentum;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_training(p->node, p->opset, &s->training));
    CR_TRY(read_spatial(p->node, p->opset, &p->in[1]->shape, &spatial));
    CR_TRY(cr_attr_float(p->node, "epsilon", 1e-5f, &epsilon));
    CR_TRY(cr_attr_float(p->node, "momentum", 0.9f, &momentum));
    s->epsilon = (double)epsilon;
    s->momentum = (double)momentum;
    s->images = x->rank ? x->dims[0] : 1;
    s->channels = x->rank > 1 ? x->dims[1] : 1;
    s->area = 1;
    for (int d = 2; d < x->rank; d++)
        *(spatial ? &s->area : &s->channels) *= x->dims[d];
    CR_TRY(cr_arena_array(p->arena, (size_t)s->channels + 1, sizeof(double), &s->scale));
    CR_TRY(cr_arena_array(p->arena, (size_t)s->channels + 1, sizeof(double), &s->shift));
    const cr_tensor *known[4];
    s->fixed = !s->training;
    for (int i = 0; i < 4; i++) {
        known[i] = p->in[i + 1]->known;
        s->fixed &= known[i] != NULL;
    }
    if (s->fixed)
        set_stored(s, p->in[0]->dtype, known);
    return CREASE_OK;
}

/* Mean and variance of the batch for channels [begin, end), and the running ones derived from them. */
static void train_channels(void *context, int64_t begin, int64_t end, int thread) {
    const batch_job *j = context;
    const batch_state *s = j->s;
    const cr_run *r = j->r;
    const cr_norm_kernels *k = kernels_for(r->in[0]->dtype);
    size_t element = element_bytes(r->in[0]);
    double count = (double)s->images * (double)s->area;
    (void)thread;
    for (int64_t c = begin; c < end; c++) {
        double mean = 0, variance = 0;
        const char *x = (const char *)r->in[0]->data + (size_t)(c * s->area) * element;
        size_t image = (size_t)(s->channels * s->area) * element;
        for (int64_t n = 0; n < s->images; n++)
            mean += k->sum(x + (size_t)n * image, s->area) / count;
        for (int64_t n = 0; n < s->images; n++)
            variance += k->squares(x + (size_t)n * image, s->area, mean) / count;
        set_channel(s, r->in[0]->dtype, c,
                    (double[]){value_at(r->in[1], c), value_at(r->in[2], c), mean, variance});
        double m = s->momentum;
        double results[] = {value_at(r->in[3], c) * m + mean * (1 - m),
                            value_at(r->in[4], c) * m + variance * (1 - m), mean, variance};
        for (int i = 1; i < r->n_out && i < 5; i++)
            if (r->out[i])
                cr_store_float(r->out[i]->dtype, r->out[i]->data, c, results[i - 1]);
    }
}

static void affine_rows(void *context, int64_t begin, int64_t end, int thread) {
    const batch_job *j = context;
    const batch_state *s = j->s;
    const cr_tensor *x = j->r->in[0];
    size_t bytes = (size_t)s->area * element_bytes(x);
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        int64_t c = row % s->channels;
        kernels_for(x->dtype)->affine(
            (const char *)x->data + (size_t)row * bytes, (char *)j->r->out[0]->data + (size_t)row * bytes,
            s->area, cr_load_float(x->dtype, s->scale, c), cr_load_float(x->dtype, s->shift, c));
    }
}

/* One value for each channel and image: the channels are what is contiguous. */
static void affine_images(void *context, int64_t begin, int64_t end, int thread) {
    const batch_job *j = context;
    const batch_state *s = j->s;
    const cr_tensor *x = j->r->in[0];
    size_t bytes = (size_t)s->channels * element_bytes(x);
    (void)thread;
    for (int64_t n = begin; n < end; n++)
        kernels_for(x->dtype)->normalize((const char *)x->data + (size_t)n * bytes,
                                         (char *)j->r->out[0]->data + (size_t)n * bytes, s->channels, 0, 1,
                                         s->scale, s->shift);
}

/* Stored statistics go to extra outputs as they are. */
static void hand_stored_on(const cr_run *r) {
    for (int i = 1; i < r->n_out; i++)
        for (int64_t c = 0; r->out[i] && c < cr_shape_n(&r->out[i]->shape); c++)
            cr_store_float(r->out[i]->dtype, r->out[i]->data, c, value_at(r->in[i % 2 ? 3 : 4], c));
}

static crease_status batch_run(cr_run *r) {
    const batch_state *s = r->state;
    batch_job job = {r, s};
    if (s->training) {
        cr_parallel(r->pool, s->channels, train_channels, &job);
    } else {
        if (!s->fixed)
            set_stored(s, r->in[0]->dtype, r->in + 1);
        hand_stored_on(r);
    }
    if (!r->out[0])
        return CREASE_OK;
    if (s->area == 1)
        cr_parallel_grain(r->pool, s->images, 16384 / (s->channels + 1) + 1, affine_images, &job);
    else
        cr_parallel_grain(r->pool, s->images * s->channels, 16384 / (s->area + 1) + 1, affine_rows, &job);
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
    CR_TRY(check_parameter(infer, 1, &x, 1, 2));
    return check_parameter(infer, 2, &x, 1, 2);
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
    s->area = 1;
    for (int d = 2; d < x->rank; d++)
        s->area *= x->dims[d];
    return CREASE_OK;
}

static void group_rows(void *context, int64_t begin, int64_t end, int thread) {
    const cr_run *r = context;
    const group_state *s = r->state;
    const cr_norm_kernels *k = kernels_for(r->in[0]->dtype);
    size_t bytes = (size_t)s->area * element_bytes(r->in[0]);
    int64_t n = s->per_group * s->area;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        size_t offset = (size_t)(row * s->per_group) * bytes;
        const char *x = (const char *)r->in[0]->data + offset;
        double mean = k->sum(x, n) / (double)n, variance = k->squares(x, n, mean) / (double)n;
        for (int64_t i = 0; i < s->per_group; i++) {
            int64_t group = row % s->groups, p = s->by_group ? group : group * s->per_group + i;
            double scale = value_at(r->in[1], p) / sqrt(variance + s->epsilon);
            k->affine(x + (size_t)i * bytes, (char *)r->out[0]->data + offset + (size_t)i * bytes, s->area,
                      scale, value_at(r->in[2], p) - mean * scale);
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

/* ---- LayerNormalization, RMSNormalization: statistics over the axes from `axis` on ---- */

enum { LAYER, RMS };

typedef struct layer_state {
    double epsilon;
    int64_t rows, n;     /* n: elements of a row */
    bool expanded[2];    /* scale and bias repeat along a row: written out in scratch first */
    cr_shape normalized; /* shape of a row */
} layer_state;

static crease_status layer_axis(const cr_node *node, int rank, int *axis) {
    int64_t value;
    CR_TRY(cr_attr_int(node, "axis", -1, &value));
    return cr_axis_resolve(value, rank, node->name, axis);
}

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
    CR_TRY(check_outputs(infer, infer->op->variant == LAYER ? 3 : 1));
    CR_TRY(layer_types(infer));
    cr_shape reduced = infer->in[0]->shape;
    if (reduced.rank < 0)
        return CREASE_OK;
    CR_TRY(layer_axis(infer->node, reduced.rank, &axis));
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
    CR_TRY(layer_axis(p->node, x->rank, &axis));
    s->epsilon = (double)epsilon;
    s->normalized = cr_shape_of(x->rank - axis, x->dims + axis);
    s->n = cr_shape_n(&s->normalized);
    s->rows = 1;
    for (int d = 0; d < axis; d++)
        s->rows *= x->dims[d];
    for (int i = 1; i < p->n_in && i < 3; i++)
        s->expanded[i - 1] = p->in[i] && cr_shape_n(&p->in[i]->shape) != s->n;
    size_t vector = (size_t)s->n * sizeof(double);
    p->scratch_bytes = vector * (size_t)(s->expanded[0] + s->expanded[1]);
    return CREASE_OK;
}

/* Repeat a scale or bias along the axes in which it has extent 1. */
static void expand_row(const cr_tensor *part, const cr_shape *row, char *out) {
    size_t element = element_bytes(part);
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
    const cr_norm_kernels *k = kernels_for(r->in[0]->dtype);
    size_t bytes = (size_t)s->n * element_bytes(r->in[0]);
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
    size_t bytes = (size_t)area * element_bytes(x);
    (void)thread;
    for (int64_t row = begin; row < end; row++)
        kernels_for(x->dtype)->lrn((const char *)x->data + (size_t)(row - row % channels) * bytes,
                                   (char *)r->out[0]->data + (size_t)row * bytes, channels, area,
                                   row % channels, r->state);
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
    int64_t value;
    int axis;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_int(p->node, "axis", -1, &value));
    CR_TRY(cr_attr_int(p->node, "p", 2, &s->p));
    CR_TRY(cr_axis_resolve(value, x->rank, p->node->name, &axis));
    if (s->p != 1 && s->p != 2)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "p is %lld, expected 1 or 2", (long long)s->p);
    s->outer = s->inner = 1;
    for (int d = 0; d < x->rank; d++)
        if (d != axis)
            *(d < axis ? &s->outer : &s->inner) *= x->dims[d];
    s->extent = x->dims[axis];
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
                double v = value_at(x, base + k * s->inner);
                norm += s->p == 1 ? fabs(v) : v * v;
            }
            norm = s->p == 1 ? norm : sqrt(norm);
            for (int64_t k = 0; k < s->extent; k++)
                cr_store_float(x->dtype, r->out[0]->data, base + k * s->inner,
                               norm == 0 ? 0 : value_at(x, base + k * s->inner) / norm);
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
        CR_TRY(cr_axis_resolve(axes[i], x->rank, p->node->name, &axis));
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
        mean[group_of(s, &x->shape, i)] += value_at(x, i) / (double)s->count;
    for (int64_t i = 0; i < n; i++) {
        int64_t g = group_of(s, &x->shape, i);
        variance[g] += (value_at(x, i) - mean[g]) * (value_at(x, i) - mean[g]) / (double)s->count;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t g = group_of(s, &x->shape, i);
        cr_store_float(x->dtype, r->out[0]->data, i, (value_at(x, i) - mean[g]) / (sqrt(variance[g]) + 1e-9));
    }
    return CREASE_OK;
}

#define ROW(name, since, infer, prepare, run, variant, flags)                                                \
    { name, since, 0, CR_T_FLOATS, infer, prepare, run, variant, flags, 0, NULL }

const cr_op cr_ops_norm[] = {
    ROW("BatchNormalization", 1, batch_infer, batch_prepare, batch_run, 0, CR_OP_INPLACE),
    ROW("InstanceNormalization", 1, group_infer, group_prepare, group_run, INSTANCE, CR_OP_INPLACE),
    ROW("GroupNormalization", 18, group_infer, group_prepare, group_run, GROUP, CR_OP_INPLACE),
    ROW("LayerNormalization", 17, layer_infer, layer_prepare, layer_run, LAYER, 0),
    ROW("RMSNormalization", 23, layer_infer, layer_prepare, layer_run, RMS, 0),
    ROW("LRN", 1, lrn_infer, lrn_prepare, lrn_run, 0, 0),
    ROW("LpNormalization", 1, cr_infer_same, lp_prepare, lp_run, 0, 0),
    ROW("MeanVarianceNormalization", 9, cr_infer_same, variance_prepare, variance_run, 0, 0),
    {0},
};
