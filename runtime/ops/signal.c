#include "runtime/kernels/fourier.h"
#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* DFT (ONNX 17: axis is an attribute, 20: an input), STFT (17), HannWindow, HammingWindow, BlackmanWindow and
 * MelWeightMatrix (17). */

/* ---- numbers that are inputs ---- */

static crease_status check_number(const cr_infer *infer, int i) {
    int64_t n;
    const cr_info *info = i < infer->n_in ? infer->in[i] : NULL;
    if (info &&
        ((info->dtype && info->dtype != CREASE_INT64 && info->dtype != CREASE_INT32) ||
         (info->shape.rank >= 0 && cr_shape_product(&info->shape, 0, info->shape.rank, &n) && n != 1)))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is not one integer", i);
    return CREASE_OK;
}

/* The number at input i, `otherwise` when it is left out; false: not known yet. */
static bool find_number(const cr_info *const *in, int n_in, int i, int64_t otherwise, int64_t *value) {
    *value = otherwise;
    if (i >= n_in || !in[i])
        return true;
    if (in[i]->known)
        *value = cr_tensor_int(in[i]->known, 0);
    return in[i]->known != NULL;
}

/* ---- DFT ---- */

typedef struct dft {
    int axis;
    int64_t length, bins; /* of the transform; of its result that are kept */
    bool known;
} dft;

static crease_status check_complex(const cr_node *node, const cr_shape *x, int least) {
    if (x->rank < least ||
        (x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != 1 && x->dims[x->rank - 1] != 2))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "the signal has no last axis of 1 or 2");
    return CREASE_OK;
}

static crease_status read_dft(const cr_node *node, int64_t opset, const cr_info *const *in, int n_in,
                              dft *d) {
    int64_t axis, onesided, inverse;
    const cr_shape *x = &in[0]->shape;
    *d = (dft){0};
    CR_TRY(cr_attr_int(node, "axis", 1, &axis));
    CR_TRY(cr_attr_int(node, "onesided", 0, &onesided));
    CR_TRY(cr_attr_int(node, "inverse", 0, &inverse));
    if (onesided && inverse)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "a one-sided inverse transform");
    CR_TRY(check_complex(node, x, 2));
    if (opset >= 20 && !find_number(in, n_in, 2, -2, &axis))
        return CREASE_OK;
    CR_TRY(cr_node_axis(node, axis, x->rank, &d->axis));
    if (d->axis == x->rank - 1)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "axis %lld holds real and imaginary parts",
                            (long long)axis);
    if (!find_number(in, n_in, 1, x->dims[d->axis], &d->length))
        return CREASE_OK;
    d->known = d->length >= 0;
    d->bins = onesided ? d->length / 2 + 1 : d->length;
    if (d->known && d->length < 1)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "a transform of length %lld", (long long)d->length);
    return CREASE_OK;
}

static crease_status dft_infer(cr_infer *infer) {
    dft d;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(check_number(infer, 1));
    CR_TRY(check_number(infer, 2));
    infer->out[0].dtype = infer->in[0]->dtype;
    if (infer->in[0]->shape.rank < 0)
        return CREASE_OK;
    CR_TRY(read_dft(infer->node, infer->opset, infer->in, infer->n_in, &d));
    if (!d.known)
        return CREASE_OK;
    cr_shape *y = &infer->out[0].shape;
    *y = infer->in[0]->shape;
    y->dims[d.axis] = d.bins;
    y->dims[y->rank - 1] = 2;
    return CREASE_OK;
}

/* Lines that are transformed: [outer][length][inner][parts] in memory. */
typedef struct transform_state {
    dft d;
    int64_t inverse, outer, available, inner, parts;
    double *table;
    size_t line_doubles; /* of a line and the workspace, for each thread */
} transform_state;

static crease_status make_table(cr_prepare *p, int64_t length, double **table, size_t *line_doubles) {
    size_t doubles, workspace, bytes;
    if (!cr_fourier_sizes(length, &doubles, &workspace) || !cr_mul_size(doubles, sizeof(double), &bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "a transform of length %lld", (long long)length);
    CR_TRY(cr_arena_alloc(p->arena, bytes, (void **)table));
    cr_fourier_make(length, *table);
    *line_doubles = 2 * (size_t)length + workspace;
    if (!cr_mul_size(*line_doubles * sizeof(double), (size_t)cr_pool_threads(p->pool), &p->scratch_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "a transform of length %lld", (long long)length);
    return CREASE_OK;
}

static crease_status dft_prepare(cr_prepare *p) {
    transform_state *s;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_dft(p->node, p->opset, p->in, p->n_in, &s->d));
    CR_TRY(cr_attr_int(p->node, "inverse", 0, &s->inverse));
    s->parts = x->dims[x->rank - 1];
    s->outer = cr_shape_extent(x, 0, s->d.axis);
    s->available = x->dims[s->d.axis];
    s->inner = cr_shape_extent(x, s->d.axis + 1, x->rank - 1);
    return make_table(p, s->d.length, &s->table, &s->line_doubles);
}

/* n complex numbers from elements `at`, `at + stride`, ... of a tensor of floats. */
static void load_line(const cr_tensor *x, int64_t at, int64_t stride, int64_t parts, int64_t n,
                      double *line) {
    for (int64_t k = 0; k < n; k++) {
        line[2 * k] = cr_load_float(x->dtype, x->data, at + k * stride);
        line[2 * k + 1] = parts == 2 ? cr_load_float(x->dtype, x->data, at + k * stride + 1) : 0;
    }
}

static void store_line(cr_tensor *y, int64_t at, int64_t stride, int64_t n, const double *line) {
    for (int64_t k = 0; k < n; k++)
        for (int part = 0; part < 2; part++)
            cr_store_float(y->dtype, y->data, at + k * stride + part, line[2 * k + part]);
}

static void dft_lines(void *context, int64_t begin, int64_t end, int thread) {
    const cr_run *r = context;
    const transform_state *s = r->state;
    const int64_t n = s->available < s->d.length ? s->available : s->d.length;
    double *line = (double *)r->scratch + (size_t)thread * s->line_doubles;
    for (int64_t i = begin; i < end; i++) {
        const int64_t o = i / s->inner, k = i % s->inner;
        memset(line, 0, (size_t)s->d.length * 2 * sizeof *line);
        load_line(r->in[0], (o * s->available * s->inner + k) * s->parts, s->inner * s->parts, s->parts, n,
                  line);
        cr_fourier_run(s->d.length, s->table, s->inverse != 0, line, line + 2 * s->d.length);
        store_line(r->out[0], (o * s->d.bins * s->inner + k) * 2, s->inner * 2, s->d.bins, line);
    }
}

static crease_status dft_run(cr_run *r) {
    const transform_state *s = r->state;
    cr_parallel(r->pool, s->outer * s->inner, dft_lines, r);
    return CREASE_OK;
}

/* ---- STFT ---- */

/* The signal is [N, length, 1 or 2] or, as exporters write it and the standard does not, [N, length]. */

enum { IN_SIGNAL, IN_STEP, IN_WINDOW, IN_FRAME };

typedef struct frames {
    int64_t step, length, count, bins;
    bool known;
} frames;

static crease_status read_frames(const cr_node *node, const cr_info *const *in, int n_in, frames *f) {
    int64_t onesided, wide = CR_DIM_UNKNOWN;
    const cr_shape *x = &in[IN_SIGNAL]->shape;
    const cr_info *window = IN_WINDOW < n_in ? in[IN_WINDOW] : NULL;
    *f = (frames){0};
    CR_TRY(cr_attr_int(node, "onesided", 1, &onesided));
    if (x->rank != 2)
        CR_TRY(check_complex(node, x, 3));
    if (x->rank > 3)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "a signal of rank %d", x->rank);
    if (window && window->shape.rank >= 0) {
        if (window->shape.rank != 1)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "the window has rank %d", window->shape.rank);
        wide = window->shape.dims[0];
    }
    if (!find_number(in, n_in, IN_STEP, 0, &f->step) || !find_number(in, n_in, IN_FRAME, wide, &f->length) ||
        f->length == CR_DIM_UNKNOWN || x->dims[1] < 0)
        return window || (IN_FRAME < n_in && in[IN_FRAME])
                   ? CREASE_OK
                   : cr_node_fail(node, CREASE_ERROR_MODEL, "neither window nor frame_length is given");
    if (f->step < 1 || f->length < 1 || f->length > x->dims[1] || (wide >= 0 && wide != f->length))
        return cr_node_fail(node, CREASE_ERROR_MODEL,
                            "frames of %lld, %lld apart, in a signal of %lld with a window of %lld",
                            (long long)f->length, (long long)f->step, (long long)x->dims[1], (long long)wide);
    f->known = true;
    f->count = (x->dims[1] - f->length) / f->step + 1;
    f->bins = onesided ? f->length / 2 + 1 : f->length;
    return CREASE_OK;
}

static crease_status stft_infer(cr_infer *infer) {
    frames f;
    CR_TRY(cr_infer_need(infer, IN_SIGNAL));
    CR_TRY(cr_infer_need(infer, IN_STEP));
    CR_TRY(check_number(infer, IN_STEP));
    CR_TRY(check_number(infer, IN_FRAME));
    CR_TRY(cr_infer_same_type(infer, IN_SIGNAL, IN_WINDOW));
    infer->out[0].dtype = infer->in[IN_SIGNAL]->dtype;
    if (infer->in[IN_SIGNAL]->shape.rank < 0)
        return CREASE_OK;
    CR_TRY(read_frames(infer->node, infer->in, infer->n_in, &f));
    if (f.known)
        infer->out[0].shape =
            (cr_shape){.rank = 4, .dims = {infer->in[IN_SIGNAL]->shape.dims[0], f.count, f.bins, 2}};
    return CREASE_OK;
}

typedef struct stft_state {
    frames f;
    double *table;
    size_t line_doubles;
} stft_state;

static crease_status stft_prepare(cr_prepare *p) {
    stft_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_frames(p->node, p->in, p->n_in, &s->f));
    return make_table(p, s->f.length, &s->table, &s->line_doubles);
}

static void stft_frames(void *context, int64_t begin, int64_t end, int thread) {
    const cr_run *r = context;
    const stft_state *s = r->state;
    const cr_tensor *x = r->in[IN_SIGNAL], *window = r->n_in > IN_WINDOW ? r->in[IN_WINDOW] : NULL;
    const int64_t parts = x->shape.rank == 2 ? 1 : x->shape.dims[2];
    double *line = (double *)r->scratch + (size_t)thread * s->line_doubles;
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = i / s->f.count * x->shape.dims[1] + i % s->f.count * s->f.step;
        load_line(x, at * parts, parts, parts, s->f.length, line);
        for (int64_t k = 0; window && k < 2 * s->f.length; k++)
            line[k] *= cr_load_float(window->dtype, window->data, k / 2);
        cr_fourier_run(s->f.length, s->table, false, line, line + 2 * s->f.length);
        store_line(r->out[0], i * s->f.bins * 2, 2, s->f.bins, line);
    }
}

static crease_status stft_run(cr_run *r) {
    const stft_state *s = r->state;
    cr_parallel(r->pool, r->in[IN_SIGNAL]->shape.dims[0] * s->f.count, stft_frames, r);
    return CREASE_OK;
}

/* ---- windows ---- */

enum { HANN, HAMMING, BLACKMAN };

static crease_status output_type(cr_infer *infer) {
    int64_t type;
    CR_TRY(cr_attr_int(infer->node, "output_datatype", CREASE_FLOAT, &type));
    infer->out[0].dtype = (crease_dtype)type;
    if (!cr_dtype_valid(type) || !cr_dtype_is_float((crease_dtype)type))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "output_datatype %lld", (long long)type);
    return CREASE_OK;
}

static crease_status window_infer(cr_infer *infer) {
    int64_t n, periodic;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(check_number(infer, 0));
    CR_TRY(output_type(infer));
    CR_TRY(cr_attr_int(infer->node, "periodic", 1, &periodic));
    infer->out[0].shape = (cr_shape){.rank = 1, .dims = {CR_DIM_UNKNOWN}};
    if (!find_number(infer->in, infer->n_in, 0, 0, &n))
        return CREASE_OK;
    if (n < 0)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "a window of %lld", (long long)n);
    infer->out[0].shape.dims[0] = n;
    return CREASE_OK;
}

static crease_status window_prepare(cr_prepare *p) {
    int64_t *periodic;
    CR_TRY(CR_PREPARE_STATE(p, &periodic));
    return cr_attr_int(p->node, "periodic", 1, periodic);
}

/* a[0] - a[1] cos(x) + a[2] cos(2 x); Hamming's are 25/46 and 21/46. */
static crease_status window_run(cr_run *r) {
    static const double terms[][3] = {
        [HANN] = {0.5, 0.5, 0}, [HAMMING] = {25.0 / 46, 21.0 / 46, 0}, [BLACKMAN] = {0.42, 0.5, 0.08}};
    const double *a = terms[r->op->variant];
    const int64_t n = r->out[0]->shape.dims[0], periodic = *(const int64_t *)r->state;
    const double turn = 2 * 3.14159265358979323846 / (double)(periodic || n < 2 ? n : n - 1);
    for (int64_t i = 0; i < n; i++) {
        const double x = turn * (double)i;
        cr_store_float(r->out[0]->dtype, r->out[0]->data, i, a[0] - a[1] * cos(x) + a[2] * cos(2 * x));
    }
    return CREASE_OK;
}

/* ---- MelWeightMatrix ---- */

enum { IN_BINS, IN_LENGTH, IN_RATE, IN_LOW, IN_HIGH, MEL_INPUTS };

static crease_status mel_infer(cr_infer *infer) {
    int64_t bins, length;
    for (int i = 0; i < MEL_INPUTS; i++)
        CR_TRY(cr_infer_need(infer, i));
    for (int i = IN_BINS; i <= IN_RATE; i++)
        CR_TRY(check_number(infer, i));
    for (int i = IN_LOW; i <= IN_HIGH; i++)
        if (infer->in[i]->dtype && !cr_dtype_is_float(infer->in[i]->dtype))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is not a float", i);
    CR_TRY(output_type(infer));
    infer->out[0].shape = (cr_shape){.rank = 2, .dims = {CR_DIM_UNKNOWN, CR_DIM_UNKNOWN}};
    if (!find_number(infer->in, infer->n_in, IN_BINS, 0, &bins) ||
        !find_number(infer->in, infer->n_in, IN_LENGTH, 0, &length))
        return CREASE_OK;
    if (bins < 0 || length < 0)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%lld bins of a transform of %lld",
                            (long long)bins, (long long)length);
    infer->out[0].shape = (cr_shape){.rank = 2, .dims = {length / 2 + 1, bins}};
    return CREASE_OK;
}

static double mel_of(double hertz) {
    return 2595 * log10(1 + hertz / 700);
}

/* Spectrum bin at step i of the mel scale. */
static double bin_at(double low, double step, int64_t i, double length, double rate) {
    return floor((length + 1) * (700 * (pow(10, (low + (double)i * step) / 2595) - 1)) / rate);
}

/* Column i: a triangle over spectrum bins from `a` by its top `b` down to `c`. */
static void draw_triangle(cr_tensor *y, int64_t i, double a, double b, double c) {
    const int64_t rows = y->shape.dims[0], columns = y->shape.dims[1];
    for (int64_t j = 0; j < rows; j++) {
        const double at = (double)j;
        double weight = 0;
        if (at >= a && at <= b)
            weight = b > a ? (at - a) / (b - a) : 1;
        else if (at > b && at < c)
            weight = (c - at) / (c - b);
        cr_store_float(y->dtype, y->data, j * columns + i, weight);
    }
}

static crease_status mel_run(cr_run *r) {
    cr_tensor *y = r->out[0];
    const double length = (double)cr_tensor_int(r->in[IN_LENGTH], 0),
                 rate = (double)cr_tensor_int(r->in[IN_RATE], 0);
    if (cr_shape_n(&r->in[IN_LOW]->shape) != 1 || cr_shape_n(&r->in[IN_HIGH]->shape) != 1 || rate <= 0)
        return cr_node_fail(r->node, CREASE_ERROR_MODEL, "the edges or the sample rate make no sense");
    const double low = mel_of(cr_load_float(r->in[IN_LOW]->dtype, r->in[IN_LOW]->data, 0));
    const double high = mel_of(cr_load_float(r->in[IN_HIGH]->dtype, r->in[IN_HIGH]->data, 0));
    const double step = (high - low) / (double)(y->shape.dims[1] + 2);
    for (int64_t i = 0; i < y->shape.dims[1]; i++)
        draw_triangle(y, i, bin_at(low, step, i, length, rate), bin_at(low, step, i + 1, length, rate),
                      bin_at(low, step, i + 2, length, rate));
    return CREASE_OK;
}

#define WINDOW(name, variant)                                                                                \
    {                                                                                                        \
        name, 17, 0, CR_T(CREASE_INT32) | CR_T(CREASE_INT64), window_infer, window_prepare, window_run,      \
            variant, CR_OP_HALF, 0, NULL                                                                     \
    }

const cr_op cr_ops_signal[] = {
    {"DFT", 17, 0, CR_T_FLOATS, dft_infer, dft_prepare, dft_run, 0, CR_OP_HALF, 0, NULL},
    {"STFT", 17, 0, CR_T_FLOATS, stft_infer, stft_prepare, stft_run, 0, CR_OP_HALF, 0, NULL},
    WINDOW("HannWindow", HANN),
    WINDOW("HammingWindow", HAMMING),
    WINDOW("BlackmanWindow", BLACKMAN),
    {"MelWeightMatrix", 17, 0, CR_T(CREASE_INT32) | CR_T(CREASE_INT64), mel_infer, NULL, mel_run, 0,
     CR_OP_HALF, 0, NULL},
    {0},
};
