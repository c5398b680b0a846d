#include "tests/passes/generated/network.h"

/* Linear operators whose weights are DequantizeLinear of integers, then a BatchNormalization. Its scale goes
 * into that of the weights; where it is negative they are mirrored at their zero point, if their type holds
 * that. */

typedef struct weights {
    int rank, axis;     /* of the output channels */
    int64_t dims[5], n; /* n: channels */
    crease_dtype dtype;
    bool by_channel, has_zero;
    cr_value *q, *scale, *zero;
} weights;

static cr_value *integers(network *n, crease_dtype dtype, int rank, const int64_t *dims, int low, int high) {
    cr_shape shape = cr_shape_of(rank, dims);
    cr_value *v;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->base.model->graph, "q", dtype, &shape, &v, &t));
    for (int64_t i = 0; i < cr_shape_n(&shape); i++) {
        int q = net_pick(n, low, high);
        if (dtype == CREASE_INT32)
            ((int32_t *)t->data)[i] = q;
        else if (dtype == CREASE_INT16 || dtype == CREASE_UINT16)
            ((int16_t *)t->data)[i] = (int16_t)q;
        else
            ((int8_t *)t->data)[i] = (int8_t)q;
    }
    return v;
}

/* Ranges around the zero point such that most mirrors fit: 8 bits hold all but the last few. */
static void make(network *n, weights *w) {
    bool is_signed = w->dtype == CREASE_INT8 || w->dtype == CREASE_INT16;
    int middle = is_signed ? 0 : 127, most = net_chance(n, 40) ? 128 : 120;
    int64_t terms = 1;
    for (int d = 0; d < w->rank; d++)
        terms *= w->dims[d];
    double size = 1.5 / (most * sqrt((double)terms / (double)w->n));
    int rank = w->by_channel || net_chance(n, 30) ? 1 : 0;
    int64_t count = w->by_channel ? w->n : 1;
    w->q = integers(n, w->dtype, w->rank, w->dims, is_signed ? -most : middle - most + 1, middle + most - 1);
    if (most == 128 && is_signed == (w->dtype == CREASE_INT8)) /* the end of 8 bits without a mirror */
        ((uint8_t *)w->q->constant->data)[0] = is_signed ? 0x80 : 0xfe;
    w->scale = net_constant(n, size / 2, size, rank, &count);
    w->zero = w->has_zero || !is_signed ? integers(n, w->dtype, rank, &count, middle - 2, middle) : NULL;
}

static int64_t channel_of(const weights *w, int64_t i) {
    for (int d = w->rank - 1; d > w->axis; d--)
        i /= w->dims[d];
    return i % w->dims[w->axis];
}

/* Whether the type holds every number that a negative scale mirrors. */
static bool mirrors_fit(const weights *w, const cr_value *gamma) {
    int64_t low = w->dtype == CREASE_INT8    ? INT8_MIN
                  : w->dtype == CREASE_INT16 ? INT16_MIN
                                             : 0,
            high = w->dtype == CREASE_INT8    ? INT8_MAX
                   : w->dtype == CREASE_INT16 ? INT16_MAX
                   : w->dtype == CREASE_UINT8 ? UINT8_MAX
                                              : UINT16_MAX;
    for (int64_t i = 0; i < cr_shape_n(&w->q->shape); i++) {
        int64_t c = channel_of(w, i),
                zero = w->zero ? cr_tensor_int(w->zero->constant, w->by_channel ? c : 0) : 0,
                mirrored = 2 * zero - cr_tensor_int(w->q->constant, i);
        if (net_get(gamma, c) < 0 && (mirrored < low || mirrored > high))
            return false;
    }
    return true;
}

static cr_value *dequantize(network *n, cr_value *q, cr_value *scale, cr_value *zero, int64_t axis) {
    cr_value *y = net_node(n, "DequantizeLinear", IN(q, scale, zero));
    OK(cr_node_set_int(net_last(n), "axis", axis));
    return y;
}

static cr_value *any_bias(network *n, int64_t channels) {
    int kind = net_pick(n, 0, 2);
    if (kind < 2)
        return kind ? net_constant(n, -1, 1, DIMS(channels)) : NULL;
    return dequantize(n, integers(n, CREASE_INT32, DIMS(channels), -900, 900),
                      net_constant(n, 0.0005, 0.001, DIMS(channels)), NULL, 0);
}

/* Conv and ConvTranspose with kernel 1 or 2, Gemm and MatMul; the axes of the weights' channels. */
static const char *shape_of(network *n, weights *w) {
    const cr_value *x = n->end;
    int64_t in = net_dim(x, 1), out = net_pick(n, 2, 4);
    bool transposed = net_chance(n, 30);
    *w = (weights){.rank = x->shape.rank, .axis = transposed || x->shape.rank == 2, .n = out};
    w->dims[0] = w->axis ? in : out;
    w->dims[1] = w->axis ? out : in;
    for (int d = 2; d < w->rank; d++)
        w->dims[d] = net_pick(n, 1, net_dim(x, d) > 1 ? 2 : 1);
    return x->shape.rank == 2 ? (transposed ? "Gemm" : "MatMul") : transposed ? "ConvTranspose" : "Conv";
}

static bool has_scales_of_type(const network *n) {
    return n->opset >= 13 && n->dtype != CREASE_DOUBLE && (n->dtype == CREASE_FLOAT || n->opset >= 19);
}

void phrase_quantized(network *n) {
    static const crease_dtype types[] = {CREASE_INT8, CREASE_UINT8, CREASE_INT16, CREASE_UINT16};
    weights w;
    if (!has_scales_of_type(n) || n->end->shape.rank < 2) {
        net_barrier(n);
        return;
    }
    const char *op = shape_of(n, &w);
    bool product = n->end->shape.rank == 2, is_matmul = strcmp(op, "MatMul") == 0;
    w.dtype = types[net_pick(n, 0, n->opset >= 21 ? 3 : 1)];
    w.by_channel = net_chance(n, 60);
    w.has_zero = net_chance(n, 60);
    make(n, &w);
    cr_value *b = is_matmul ? NULL : any_bias(n, w.n), *y = dequantize(n, w.q, w.scale, w.zero, w.axis);
    y = net_node(n, op, IN(n->end, y, b));
    n->end = net_bn(n, y, w.n);
    cr_node *bn = net_last(n);
    if (net_chance(n, 20))
        net_set(bn->inputs[1], 1, 0);
    const char *code = is_matmul ? "gemm-bn|matmul-bn"
                       : product ? "gemm-bn"
                       : w.axis  ? "conv-transpose-bn"
                                 : "conv-bn";
    net_expect(n, bn->name, "%s", mirrors_fit(&w, bn->inputs[1]) ? code : "quantized");
    net_barrier(n);
}
