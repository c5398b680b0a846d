#include "models/builder.h"
#include "runtime/graph/edit.h"

#include <math.h>
#include <stdio.h>

/* ---- random numbers: splitmix64 (Steele, Lea, Flood 2014) and Box-Muller ---- */

static double uniform(builder *b) {
    uint64_t z = b->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static float normal(builder *b) {
    double u = uniform(b), v = uniform(b);
    return (float)(sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v));
}

/* ---- pieces ---- */

static bool failed(builder *b, crease_status status) {
    if (b->status == CREASE_OK)
        b->status = status;
    return b->status != CREASE_OK;
}

/* A constant [dims] of values around mean with a normal spread. */
static cr_value *weights(builder *b, const char *name, int rank, const int64_t *dims, float mean,
                         float spread) {
    cr_value *value;
    cr_tensor *tensor;
    cr_shape shape = cr_shape_of(rank, dims);
    if (b->status != CREASE_OK ||
        failed(b, cr_graph_new_constant(b->graph, name, CREASE_FLOAT, &shape, &value, &tensor)))
        return NULL;
    for (int64_t i = 0, n = cr_shape_n(&shape); i < n; i++)
        ((float *)tensor->data)[i] = mean + spread * normal(b);
    return value;
}

static cr_value *positive(builder *b, const char *name, int64_t n, float middle) {
    cr_value *value = weights(b, name, 1, &n, 0, 0.1f);
    for (int64_t i = 0; value && i < n; i++) {
        float *x = &((float *)value->constant->data)[i];
        *x = middle * expf(*x);
    }
    return value;
}

/* A node with one output; the value is named as PyTorch's exporter names it. */
static cr_node *node(builder *b, const char *op, cr_value *const *inputs, int n, cr_value **out) {
    char name[64], value_name[80];
    cr_node *made;
    *out = NULL;
    if (b->status != CREASE_OK)
        return NULL;
    snprintf(name, sizeof name, "/%s_%d", op, b->n_nodes++);
    snprintf(value_name, sizeof value_name, "%s_output_0", name);
    if (failed(b, cr_graph_add_value(b->graph, value_name, true, out)) ||
        failed(b, cr_graph_add_node(b->graph, NULL, op, "", name, inputs, n, out, 1, &made)))
        return NULL;
    (*out)->dtype = CREASE_FLOAT;
    return made;
}

static void ints(builder *b, cr_node *n, const char *name, int count, const int64_t *values) {
    if (n)
        failed(b, cr_node_set_ints(n, name, values, count));
}

static void same_ints(builder *b, cr_node *n, const char *name, int count, int64_t value) {
    ints(b, n, name, count, (int64_t[]){value, value, value, value});
}

static cr_value *with_channels(cr_value *out, int64_t c) {
    if (out)
        out->shape = (cr_shape){.rank = 4, .dims = {1, c, -1, -1}};
    return out;
}

int64_t channels(const cr_value *x) {
    return x ? x->shape.dims[1] : 1;
}

/* ---- ends ---- */

cr_value *input(builder *b, int n_channels, int size) {
    cr_value *x;
    if (failed(b, cr_graph_add_value(b->graph, "input", false, &x)) ||
        failed(b, cr_graph_add_input(b->graph, x)))
        return NULL;
    x->dtype = CREASE_FLOAT;
    x->shape = (cr_shape){.rank = 4, .dims = {1, n_channels, size, size}};
    return x;
}

void output(builder *b, cr_value *x) {
    cr_value *out;
    cr_node *n;
    if (!x || failed(b, cr_graph_add_value(b->graph, "output", false, &out)))
        return;
    /* the last node gives the output itself: Identity would be no part of an export */
    n = x->producer;
    n->outputs[x->producer_output] = out;
    out->producer = n;
    out->producer_output = x->producer_output;
    x->producer = NULL;
    out->dtype = CREASE_FLOAT;
    failed(b, cr_graph_add_output(b->graph, out));
}

/* ---- layers ---- */

cr_value *conv(builder *b, cr_value *x, conv_spec spec) {
    int groups = spec.groups ? spec.groups : 1;
    int64_t dims[4] = {spec.out, channels(x) / groups, spec.kernel, spec.kernel}, n = spec.out;
    /* He et al. 2015: the variance of a sum of fan-in terms */
    float spread = sqrtf((spec.gain > 0 ? spec.gain : 2) / (float)(dims[1] * dims[2] * dims[3]));
    cr_value *in[3] = {x, weights(b, "conv.weight", 4, dims, 0, spread),
                       spec.bias ? weights(b, "conv.bias", 1, &n, 0, 0.05f) : NULL};
    cr_value *out;
    cr_node *made = node(b, "Conv", in, spec.bias ? 3 : 2, &out);
    same_ints(b, made, "dilations", 2, 1);
    if (made)
        failed(b, cr_node_set_int(made, "group", groups));
    same_ints(b, made, "kernel_shape", 2, spec.kernel);
    same_ints(b, made, "pads", 4, spec.pad);
    same_ints(b, made, "strides", 2, spec.stride ? spec.stride : 1);
    return with_channels(out, spec.out);
}

cr_value *conv_transpose(builder *b, cr_value *x, int out_channels, int kernel, int stride) {
    int64_t dims[4] = {channels(x), out_channels, kernel, kernel}, n = out_channels;
    float spread = sqrtf(2.0f / (float)channels(x));
    cr_value *out,
        *in[3] = {x, weights(b, "up.weight", 4, dims, 0, spread), weights(b, "up.bias", 1, &n, 0, 0.05f)};
    cr_node *made = node(b, "ConvTranspose", in, 3, &out);
    same_ints(b, made, "kernel_shape", 2, kernel);
    same_ints(b, made, "pads", 4, 0);
    same_ints(b, made, "strides", 2, stride);
    return with_channels(out, out_channels);
}

cr_value *batch_norm(builder *b, cr_value *x, float gamma) {
    int64_t c = channels(x);
    cr_value *out,
        *in[5] = {x, positive(b, "bn.weight", c, gamma), weights(b, "bn.bias", 1, &c, 0, 0.1f),
                  weights(b, "bn.running_mean", 1, &c, 0, 0.1f), positive(b, "bn.running_var", c, 1)};
    cr_node *made = node(b, "BatchNormalization", in, 5, &out);
    if (made)
        failed(b, cr_node_set_float(made, "epsilon", 1e-5f));
    return with_channels(out, c);
}

static cr_value *unary(builder *b, const char *op, cr_value *x) {
    cr_value *out;
    node(b, op, &x, 1, &out);
    return with_channels(out, channels(x));
}

static cr_value *binary(builder *b, const char *op, cr_value *x, cr_value *y) {
    cr_value *out, *in[2] = {x, y};
    node(b, op, in, 2, &out);
    return with_channels(out, channels(x));
}

cr_value *relu(builder *b, cr_value *x) {
    return unary(b, "Relu", x);
}

static cr_value *scalar(builder *b, const char *name, float value) {
    cr_value *made = weights(b, name, 0, NULL, 0, 0);
    if (made)
        ((float *)made->constant->data)[0] = value;
    return made;
}

cr_value *relu6(builder *b, cr_value *x) {
    cr_value *out, *in[3] = {x, scalar(b, "min", 0), scalar(b, "max", 6)};
    node(b, "Clip", in, 3, &out);
    return with_channels(out, channels(x));
}

cr_value *sigmoid(builder *b, cr_value *x) {
    return unary(b, "Sigmoid", x);
}

cr_value *silu(builder *b, cr_value *x) {
    return binary(b, "Mul", x, sigmoid(b, x));
}

cr_value *hard_sigmoid(builder *b, cr_value *x) {
    cr_value *out;
    cr_node *made = node(b, "HardSigmoid", &x, 1, &out);
    if (made)
        failed(b, cr_node_set_float(made, "alpha", 1.0f / 6));
    return with_channels(out, channels(x));
}

cr_value *hard_swish(builder *b, cr_value *x) {
    return unary(b, "HardSwish", x);
}

cr_value *add(builder *b, cr_value *x, cr_value *y) {
    return binary(b, "Add", x, y);
}

cr_value *mul(builder *b, cr_value *x, cr_value *y) {
    return binary(b, "Mul", x, y);
}

cr_value *concat(builder *b, cr_value *const *parts, int n) {
    cr_value *out;
    int64_t c = 0;
    for (int i = 0; i < n; i++)
        c += channels(parts[i]);
    cr_node *made = node(b, "Concat", parts, n, &out);
    if (made)
        failed(b, cr_node_set_int(made, "axis", 1));
    return with_channels(out, c);
}

static cr_value *pool(builder *b, const char *op, cr_value *x, int kernel, int stride, int pad,
                      int ceil_mode) {
    cr_value *out;
    cr_node *made = node(b, op, &x, 1, &out);
    if (made)
        failed(b, cr_node_set_int(made, "ceil_mode", ceil_mode));
    same_ints(b, made, "kernel_shape", 2, kernel);
    same_ints(b, made, "pads", 4, pad);
    same_ints(b, made, "strides", 2, stride);
    return with_channels(out, channels(x));
}

cr_value *max_pool(builder *b, cr_value *x, int kernel, int stride, int pad) {
    return pool(b, "MaxPool", x, kernel, stride, pad, 0);
}

cr_value *max_pool_ceil(builder *b, cr_value *x, int kernel, int stride) {
    return pool(b, "MaxPool", x, kernel, stride, 0, 1);
}

cr_value *average_pool(builder *b, cr_value *x, int kernel, int stride) {
    return pool(b, "AveragePool", x, kernel, stride, 0, 0);
}

cr_value *global_average_pool(builder *b, cr_value *x) {
    return unary(b, "GlobalAveragePool", x);
}

cr_value *flatten(builder *b, cr_value *x) {
    cr_value *out;
    cr_node *made = node(b, "Flatten", &x, 1, &out);
    if (made)
        failed(b, cr_node_set_int(made, "axis", 1));
    if (out)
        out->shape = (cr_shape){.rank = 2, .dims = {1, -1}};
    return out;
}

cr_value *gemm(builder *b, cr_value *x, int64_t in_features, int64_t out_features, float gain) {
    int64_t dims[2] = {out_features, in_features};
    cr_value *out, *in[3] = {x, weights(b, "fc.weight", 2, dims, 0, sqrtf(gain / (float)in_features)),
                             weights(b, "fc.bias", 1, &out_features, 0, 0.05f)};
    cr_node *made = node(b, "Gemm", in, 3, &out);
    if (made) {
        failed(b, cr_node_set_float(made, "alpha", 1));
        failed(b, cr_node_set_float(made, "beta", 1));
        failed(b, cr_node_set_int(made, "transB", 1));
    }
    if (out)
        out->shape = (cr_shape){.rank = 2, .dims = {1, out_features}};
    return out;
}
