#include "runtime/ops/norm.h"

#include <math.h>

/* BatchNormalization (ONNX 1 to 15; Ioffe and Szegedy 2015), with stored statistics and with the batch's. */

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
    CR_TRY(cr_norm_outputs(infer, 5));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(read_spatial(infer->node, infer->opset, &infer->in[1]->shape, &spatial));
    cr_shape x = infer->in[0]->shape;
    if (x.rank >= 0 && x.rank < 2) { /* one channel */
        x.dims[1] = 1;
        x.rank = 2;
    }
    for (int i = 1; i < 5; i++)
        CR_TRY(cr_norm_parameter(infer, i, &x, 1, spatial ? 2 : x.rank));
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
            p[i] = cr_tensor_float(parameters[i], c);
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
    const cr_norm_kernels *k = cr_norm_kernels_of(r->in[0]->dtype);
    size_t element = cr_element_bytes(r->in[0]->dtype);
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
                    (double[]){cr_tensor_float(r->in[1], c), cr_tensor_float(r->in[2], c), mean, variance});
        double m = s->momentum;
        double results[] = {cr_tensor_float(r->in[3], c) * m + mean * (1 - m),
                            cr_tensor_float(r->in[4], c) * m + variance * (1 - m), mean, variance};
        for (int i = 1; i < r->n_out && i < 5; i++)
            if (r->out[i])
                cr_store_float(r->out[i]->dtype, r->out[i]->data, c, results[i - 1]);
    }
}

static void affine_rows(void *context, int64_t begin, int64_t end, int thread) {
    const batch_job *j = context;
    const batch_state *s = j->s;
    const cr_tensor *x = j->r->in[0];
    size_t bytes = (size_t)s->area * cr_element_bytes(x->dtype);
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        int64_t c = row % s->channels;
        cr_norm_kernels_of(x->dtype)->affine(
            (const char *)x->data + (size_t)row * bytes, (char *)j->r->out[0]->data + (size_t)row * bytes,
            s->area, cr_load_float(x->dtype, s->scale, c), cr_load_float(x->dtype, s->shift, c));
    }
}

/* One value for each channel and image: the channels are what is contiguous. */
static void affine_images(void *context, int64_t begin, int64_t end, int thread) {
    const batch_job *j = context;
    const batch_state *s = j->s;
    const cr_tensor *x = j->r->in[0];
    size_t bytes = (size_t)s->channels * cr_element_bytes(x->dtype);
    (void)thread;
    for (int64_t n = begin; n < end; n++)
        cr_norm_kernels_of(x->dtype)->normalize((const char *)x->data + (size_t)n * bytes,
                                                (char *)j->r->out[0]->data + (size_t)n * bytes, s->channels,
                                                0, 1, s->scale, s->shift);
}

/* Stored statistics go to extra outputs as they are. */
static void hand_stored_on(const cr_run *r) {
    for (int i = 1; i < r->n_out; i++)
        for (int64_t c = 0; r->out[i] && c < cr_shape_n(&r->out[i]->shape); c++)
            cr_store_float(r->out[i]->dtype, r->out[i]->data, c, cr_tensor_float(r->in[i % 2 ? 3 : 4], c));
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

const cr_op cr_ops_batch_norm[] = {
    {"BatchNormalization", 1, 0, CR_T_FLOATS, batch_infer, batch_prepare, batch_run, 0, CR_OP_INPLACE, 0,
     NULL},
    {0},
};
