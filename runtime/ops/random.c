#include "runtime/ops/op.h"

#include <math.h>
#include <string.h>

/* Random numbers: RandomNormal, RandomUniform and their Like forms (ONNX 1), Multinomial (7), Bernoulli (15).
 *
 * Number i of a node is SplitMix64 (Steele, Lea and Flood 2014) of the node's stream after i + 1 steps: a
 * function of stream and i alone, so that threads and layouts do not show. The stream follows from the
 * attribute "seed", else from the node's name. Nothing is remembered: every run of a session, and every turn
 * of a body, draws the same numbers again. */

enum { NORMAL, UNIFORM };

static uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t bits_at(uint64_t stream, int64_t i) {
    return mix(stream + ((uint64_t)i + 1) * 0x9e3779b97f4a7c15);
}

/* In [0, 1), of 24 bits: a float32 holds it as it is, and a float64 twin draws the same. */
static double uniform_at(uint64_t stream, int64_t i) {
    return (double)(bits_at(stream, i) >> 40) * 0x1p-24;
}

/* Box and Muller 1958, one of the pair. */
static double normal_at(uint64_t stream, int64_t i) {
    const double pi = 3.14159265358979323846;
    const double radius = sqrt(-2 * log(1 - uniform_at(stream, 2 * i)));
    return radius * cos(2 * pi * uniform_at(stream, 2 * i + 1));
}

static crease_status read_stream(const cr_node *node, uint64_t *stream) {
    float seed;
    uint32_t number;
    *stream = 0xcbf29ce484222325; /* FNV-1a */
    for (const char *c = node->name; *c; c++)
        *stream = (*stream ^ (unsigned char)*c) * 0x100000001b3;
    if (cr_attr_find(node, "seed")) {
        CR_TRY(cr_attr_float(node, "seed", 0, &seed));
        memcpy(&number, &seed, sizeof number);
        *stream = number;
    }
    *stream = mix(*stream);
    return CREASE_OK;
}

typedef struct draw_state {
    uint64_t stream;
    double base, width; /* of RandomNormal and RandomUniform */
} draw_state;

static crease_status draw_prepare(cr_prepare *p) {
    draw_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    return read_stream(p->node, &s->stream);
}

/* Attribute "dtype" among the types that are possible. */
static crease_status read_type(const cr_infer *infer, crease_dtype otherwise, cr_types possible) {
    int64_t dtype;
    CR_TRY(cr_attr_int(infer->node, "dtype", otherwise, &dtype));
    if (dtype && (!cr_dtype_valid((int)dtype) || dtype != (int)dtype || !(possible & CR_T(dtype))))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "element type %lld is not supported",
                            (long long)dtype);
    infer->out[0].dtype = (crease_dtype)dtype;
    return CREASE_OK;
}

/* ---- RandomNormal, RandomUniform ---- */

static crease_status shaped_infer(cr_infer *infer) {
    const int64_t *shape;
    int n;
    CR_TRY(read_type(infer, CREASE_FLOAT, CR_T_FLOATS));
    if (!cr_attr_find(infer->node, "shape"))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "attribute 'shape' is missing");
    CR_TRY(cr_attr_ints(infer->node, "shape", &shape, &n));
    if (n > CR_MAX_RANK)
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "rank %d, at most %d is supported", n,
                            CR_MAX_RANK);
    for (int d = 0; d < n; d++)
        if (shape[d] < 0)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "dimension %d is %lld", d,
                                (long long)shape[d]);
    infer->out[0].shape = cr_shape_of(n, shape);
    return CREASE_OK;
}

static crease_status like_infer(cr_infer *infer) {
    if (infer->n_in < 1 || !infer->in[0])
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input 0 is missing");
    infer->out[0].shape = infer->in[0]->shape;
    return read_type(infer, infer->in[0]->dtype, CR_T_FLOATS);
}

static crease_status tensor_prepare(cr_prepare *p) {
    const bool normal = p->op->variant == NORMAL;
    float base, scale;
    CR_TRY(draw_prepare(p));
    CR_TRY(cr_attr_float(p->node, normal ? "mean" : "low", 0, &base));
    CR_TRY(cr_attr_float(p->node, normal ? "scale" : "high", 1, &scale));
    draw_state *s = p->state;
    s->base = (double)base;
    s->width = normal ? (double)scale : (double)scale - (double)base;
    return CREASE_OK;
}

static crease_status tensor_run(cr_run *r) {
    const draw_state *s = r->state;
    const bool normal = r->op->variant == NORMAL;
    for (int64_t i = 0, n = cr_shape_n(&r->out[0]->shape); i < n; i++)
        cr_store_float(r->out[0]->dtype, r->out[0]->data, i,
                       s->base + s->width * (normal ? normal_at(s->stream, i) : uniform_at(s->stream, i)));
    return CREASE_OK;
}

/* ---- Bernoulli: 1 with the probability that the input says ---- */

static crease_status bernoulli_infer(cr_infer *infer) {
    if (infer->n_in < 1 || !infer->in[0])
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input 0 is missing");
    infer->out[0].shape = infer->in[0]->shape;
    return read_type(infer, infer->in[0]->dtype, CR_T_NUMBERS | CR_T_BOOL);
}

static crease_status bernoulli_run(cr_run *r) {
    const cr_tensor *p = r->in[0];
    const crease_dtype dtype = r->out[0]->dtype;
    const size_t element = cr_element_bytes(dtype);
    const uint64_t stream = ((const draw_state *)r->state)->stream;
    for (int64_t i = 0, n = cr_shape_n(&p->shape); i < n; i++) {
        const int64_t one = uniform_at(stream, i) < cr_load_float(p->dtype, p->data, i);
        if (cr_dtype_is_float(dtype))
            cr_store_float(dtype, r->out[0]->data, i, (double)one);
        else
            memcpy((char *)r->out[0]->data + (size_t)i * element, &one, element); /* little-endian */
    }
    return CREASE_OK;
}

/* ---- Multinomial: classes, drawn by the exponentials of what the input says of each ---- */

static crease_status multinomial_infer(cr_infer *infer) {
    int64_t samples;
    if (infer->n_in < 1 || !infer->in[0])
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input 0 is missing");
    const cr_shape *x = &infer->in[0]->shape;
    CR_TRY(cr_attr_int(infer->node, "sample_size", 1, &samples));
    if ((x->rank >= 0 && x->rank != 2) || samples < 0)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%lld samples of a tensor of rank %d",
                            (long long)samples, x->rank);
    infer->out[0].shape =
        (cr_shape){.rank = 2, .dims = {x->rank == 2 ? x->dims[0] : CR_DIM_UNKNOWN, samples}};
    return read_type(infer, CREASE_INT32, CR_T(CREASE_INT32) | CR_T(CREASE_INT64));
}

static crease_status multinomial_prepare(cr_prepare *p) {
    p->scratch_bytes = (size_t)p->in[0]->shape.dims[1] * sizeof(double);
    return draw_prepare(p);
}

/* Sums of the first 1, 2, ... weights of a row, relative to the largest; false where they add up to nothing.
 */
static bool sum_weights(const cr_tensor *x, int64_t row, int64_t classes, double *sums) {
    double most = -INFINITY, sum = 0;
    for (int64_t c = 0; c < classes; c++)
        most = fmax(most, cr_load_float(x->dtype, x->data, row * classes + c));
    for (int64_t c = 0; c < classes; c++)
        sums[c] = sum += exp(cr_load_float(x->dtype, x->data, row * classes + c) - most);
    return sum > 0 && sum < INFINITY; /* no class, NaN, infinity */
}

/* The first class whose sum is beyond the mark, which is below the last sum. */
static int64_t find_class(const double *sums, int64_t classes, double mark) {
    int64_t low = 0, high = classes - 1;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sums[middle] > mark)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static crease_status multinomial_run(cr_run *r) {
    const int64_t rows = r->out[0]->shape.dims[0], samples = r->out[0]->shape.dims[1];
    const int64_t classes = r->in[0]->shape.dims[1];
    double *sums = r->scratch;
    const uint64_t stream = ((const draw_state *)r->state)->stream;
    for (int64_t row = 0; samples && row < rows; row++) {
        if (!sum_weights(r->in[0], row, classes, sums))
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "row %lld has no class to draw", (long long)row);
        for (int64_t i = row * samples; i < (row + 1) * samples; i++) {
            const int64_t found = find_class(sums, classes, uniform_at(stream, i) * sums[classes - 1]);
            if (r->out[0]->dtype == CREASE_INT64)
                ((int64_t *)r->out[0]->data)[i] = found;
            else
                ((int32_t *)r->out[0]->data)[i] = (int32_t)found;
        }
    }
    return CREASE_OK;
}

#define ROW(name, since, types, infer, prepare, run, variant)                                                \
    { name, since, 0, types, infer, prepare, run, variant, CR_OP_HALF | CR_OP_RANDOM, 0, NULL }

const cr_op cr_ops_random[] = {
    ROW("Bernoulli", 15, CR_T_FLOATS, bernoulli_infer, draw_prepare, bernoulli_run, 0),
    ROW("Multinomial", 7, CR_T_FLOATS, multinomial_infer, multinomial_prepare, multinomial_run, 0),
    ROW("RandomNormal", 1, 0, shaped_infer, tensor_prepare, tensor_run, NORMAL),
    ROW("RandomNormalLike", 1, 0, like_infer, tensor_prepare, tensor_run, NORMAL),
    ROW("RandomUniform", 1, 0, shaped_infer, tensor_prepare, tensor_run, UNIFORM),
    ROW("RandomUniformLike", 1, 0, like_infer, tensor_prepare, tensor_run, UNIFORM),
    {0},
};
