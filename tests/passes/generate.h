#ifndef CREASE_TESTS_PASSES_GENERATE_H
#define CREASE_TESTS_PASSES_GENERATE_H

#include "tests/passes/net.h"

/* Random convolutional networks, from a seed: every operator that is lowered, in and next to every form that
 * is not, with values that several nodes share, parts of values, outputs in the middle, and whatever lets one
 * tensor take the memory of another. */

enum { GEN_VALUES = 64, GEN_FLOATS = 20000 };

typedef struct gen {
    net n;
    int64_t opset;
    cr_value *values[GEN_VALUES]; /* [N, C, spatial...] so far */
    int n_values;
} gen;

static inline int64_t gen_elements(const cr_value *v) {
    return cr_shape_n(&v->shape);
}

static inline int64_t gen_channels(const cr_value *v) {
    return v->shape.dims[1];
}

static inline int64_t gen_least(const cr_value *v) {
    int64_t least = v->shape.dims[2];
    for (int d = 3; d < v->shape.rank; d++)
        least = v->shape.dims[d] < least ? v->shape.dims[d] : least;
    return least;
}

static inline cr_value *gen_keep(gen *g, cr_value *v) {
    if (g->n_values < GEN_VALUES && v->shape.rank >= 3)
        g->values[g->n_values++] = v;
    return v;
}

/* An earlier value of this shape, `v` too; most often the newest. */
static inline cr_value *gen_alike(gen *g, cr_value *v) {
    cr_value *found = NULL;
    for (int i = 0; i < g->n_values; i++)
        if (cr_shape_equal(&g->values[i]->shape, &v->shape) && (!found || net_pick(&g->n, 0, 2)))
            found = g->values[i];
    return found ? found : v;
}

/* ---- convolutions ---- */

/* Whole blocks, parts of one, one alone. */
static inline int64_t gen_new_channels(net *n) {
    static const int64_t whole[] = {8, 16, 32};
    return net_pick(n, 0, 2) ? net_pick(n, 1, 40) : whole[net_pick(n, 0, 2)];
}

static inline int64_t gen_groups(net *n, int64_t channels) {
    const int kind = net_pick(n, 0, 5);
    if (kind == 0)
        return channels;
    for (int64_t g = 2; kind == 1 && g <= 4; g++)
        if (channels % g == 0)
            return g;
    return 1;
}

static inline void gen_window(net *n, cr_node *node, int axes, const int64_t *kernel, int64_t least) {
    int64_t stride[3], dilation[3], pads[6];
    const int padding = net_pick(n, 0, 5);
    for (int d = 0; d < axes; d++) {
        const bool far = net_pick(n, 0, 4) == 0 && least >= 2 * kernel[d];
        dilation[d] = far ? 2 : 1;
        stride[d] = net_pick(n, 0, 2) ? 1 : 2;
        pads[d] = padding == 5 ? net_pick(n, 0, 2) : kernel[d] / 2;
        pads[axes + d] = padding == 5 ? net_pick(n, 0, 2) : kernel[d] / 2;
    }
    OK(cr_node_set_ints(node, "strides", stride, axes));
    OK(cr_node_set_ints(node, "dilations", dilation, axes));
    if (padding == 0)
        OK(cr_node_set_string(node, "auto_pad", net_pick(n, 0, 1) ? "SAME_UPPER" : "SAME_LOWER"));
    else if (padding > 1)
        OK(cr_node_set_ints(node, "pads", pads, 2 * axes));
}

static inline cr_value *gen_any_conv(gen *g, cr_value *x) {
    net *n = &g->n;
    const int axes = x->shape.rank - 2;
    const int64_t groups = gen_groups(n, gen_channels(x)), each = net_pick(n, 1, 3);
    const int64_t oc = groups > 1 ? groups * each : gen_new_channels(n), least = gen_least(x);
    int64_t dims[5] = {oc, gen_channels(x) / groups}, taps = dims[1];
    for (int d = 0; d < axes; d++) {
        dims[d + 2] = net_pick(n, 1, least < 3 ? (int)least : net_pick(n, 0, 4) ? 3 : least < 5 ? 3 : 5);
        taps *= dims[d + 2];
    }
    const double range = sqrt(3.0 / (double)taps);
    cr_value *out, *inputs[3] = {x, net_floats(n, -range, range, axes + 2, dims)};
    const int n_in = net_pick(n, 0, 1) ? 3 : 2;
    if (n_in == 3)
        inputs[2] = net_floats(n, -0.5, 0.5, DIMS(oc));
    cr_node *node = net_add(n, "Conv", n_in, inputs, 1, &out);
    OK(cr_node_set_int(node, "group", groups));
    gen_window(n, node, axes, dims + 2, least);
    net_infer(n);
    return out;
}

/* As large as x, and with as many channels where oc says so. */
static inline cr_value *gen_same_conv(gen *g, cr_value *x, int64_t oc) {
    const int64_t pad = net_pick(&g->n, 0, 1);
    return net_conv(&g->n, x, oc, 2 * pad + 1, pad);
}

/* ---- activations ---- */

static inline cr_value *gen_prelu(gen *g, cr_value *x) {
    net *n = &g->n;
    int64_t dims[5] = {gen_channels(x), 1, 1, 1}, all[5];
    for (int d = 0; d < x->shape.rank; d++)
        all[d] = x->shape.dims[d];
    switch (net_pick(n, 0, 5)) {
    case 0:
        return net_node(n, "PRelu", IN(x, net_floats(n, -1, 1, DIMS(1))));
    case 1: /* one for each element */
        return net_node(n, "PRelu", IN(x, net_floats(n, -1, 1, x->shape.rank - 1, all + 1)));
    default:
        return net_node(n, "PRelu", IN(x, net_floats(n, -1, 1, x->shape.rank - 1, dims)));
    }
}

static inline cr_value *gen_clip(gen *g, cr_value *x) {
    net *n = &g->n;
    switch (net_pick(n, 0, 3)) {
    case 0:
        return net_node(n, "Clip", IN(x, net_scalar(n, 0), net_scalar(n, 6)));
    case 1:
        return net_node(n, "Clip", IN(x, NULL, net_scalar(n, 0.5)));
    case 2:
        return net_node(n, "Clip", IN(x, net_scalar(n, -0.3)));
    default: /* a limit that is computed */
        return net_node(n, "Clip", IN(x, net_node(n, "ReduceMin", IN(net_node(n, "Abs", IN(x))))));
    }
}

static inline cr_value *gen_hardswish(gen *g, cr_value *x) {
    net *n = &g->n;
    cr_value *sum = net_pick(n, 0, 1) ? net_node(n, "Add", IN(x, net_scalar(n, 3)))
                                      : net_node(n, "Add", IN(net_scalar(n, 3), x));
    cr_value *clip = net_node(n, "Clip", IN(sum, net_scalar(n, 0), net_scalar(n, 6)));
    switch (net_pick(n, 0, 3)) {
    case 0:
        return net_node(n, "Mul", IN(x, net_node(n, "Div", IN(clip, net_scalar(n, 6)))));
    case 1:
        return net_node(n, "Mul", IN(net_node(n, "Mul", IN(clip, net_scalar(n, 1.0 / 6))), x));
    case 2:
        return net_node(n, "Div", IN(net_node(n, "Mul", IN(x, clip)), net_scalar(n, 6)));
    default: /* not it: another divisor */
        return net_node(n, "Mul", IN(x, net_node(n, "Div", IN(clip, net_scalar(n, 5)))));
    }
}

static inline cr_value *gen_gelu(gen *g, cr_value *x) {
    net *n = &g->n;
    cr_value *inner = net_pick(n, 0, 1) ? net_node(n, "Div", IN(x, net_scalar(n, sqrt(2))))
                                        : net_node(n, "Mul", IN(x, net_scalar(n, sqrt(0.5))));
    cr_value *one = net_node(n, "Add", IN(net_node(n, "Erf", IN(inner)), net_scalar(n, 1)));
    switch (net_pick(n, 0, 2)) {
    case 0:
        return net_node(n, "Mul", IN(net_node(n, "Mul", IN(x, one)), net_scalar(n, 0.5)));
    case 1:
        return net_node(n, "Mul", IN(net_node(n, "Mul", IN(net_scalar(n, 0.5), x)), one));
    default:
        return net_node(n, "Mul", IN(x, net_node(n, "Mul", IN(one, net_scalar(n, 0.5)))));
    }
}

static inline cr_value *gen_spelled(gen *g, cr_value *x) {
    net *n = &g->n;
    switch (net_pick(n, 0, 5)) {
    case 0:
        return gen_hardswish(g, x);
    case 1:
        return gen_gelu(g, x);
    case 2:
        return net_node(n, "Mul", IN(x, net_node(n, "Tanh", IN(net_node(n, "Softplus", IN(x))))));
    case 3: /* the gate is used once more */
        return net_node(n, "Mul", IN(x, gen_keep(g, net_node(n, "Sigmoid", IN(x)))));
    case 4: /* not it: another operand */
        return net_node(n, "Mul", IN(gen_alike(g, x), net_node(n, "Sigmoid", IN(x))));
    default:
        return net_node(n, "Mul", IN(net_node(n, "Sigmoid", IN(x)), x));
    }
}

static inline cr_value *gen_activation(gen *g, cr_value *x) {
    static const char *const ops[] = {"Relu", "Relu", "LeakyRelu", "Sigmoid",   "HardSigmoid", "Tanh",
                                      "Elu",  "Selu", "Softplus",  "HardSwish", "Mish",        "Gelu"};
    const int kind = net_pick(&g->n, 0, 5);
    if (kind == 0)
        return gen_prelu(g, x);
    if (kind == 1)
        return gen_clip(g, x);
    if (kind == 2)
        return gen_spelled(g, x);
    return net_node(&g->n, ops[net_pick(&g->n, 0, g->opset >= 20 ? 11 : 8)], IN(x));
}

/* ---- sums, products ---- */

static inline cr_value *gen_binary(gen *g, cr_value *a, cr_value *b) {
    static const char *const ops[] = {"Add", "Add", "Add", "Sub", "Mul", "Max", "Min", "Sum"};
    const char *op = ops[net_pick(&g->n, 0, 7)];
    return net_pick(&g->n, 0, 1) ? net_node(&g->n, op, IN(a, b)) : net_node(&g->n, op, IN(b, a));
}

static inline cr_value *gen_residual(gen *g, cr_value *x) {
    net *n = &g->n;
    cr_value *y;
    switch (net_pick(n, 0, 6)) {
    case 0: /* with its own input */
        return gen_binary(g, x, gen_same_conv(g, x, gen_channels(x)));
    case 1: /* of two convolutions of one value */
        y = gen_same_conv(g, x, gen_channels(x));
        return gen_binary(g, y, gen_same_conv(g, x, gen_channels(x)));
    case 2: /* with what is used again afterwards */
        y = gen_keep(g, gen_same_conv(g, x, gen_channels(x)));
        return gen_binary(g, y, gen_keep(g, gen_activation(g, y)));
    case 3: /* twice the same */
        return gen_binary(g, x, x);
    case 4: /* behind an activation, before another */
        y = gen_activation(g, gen_same_conv(g, x, gen_channels(x)));
        return gen_activation(g, net_node(n, "Add", IN(y, gen_alike(g, x))));
    case 5: /* one value is residual and input of the next */
        y = net_node(n, "Add", IN(gen_same_conv(g, x, gen_channels(x)), x));
        return net_node(n, "Add", IN(gen_same_conv(g, y, gen_channels(x)), y));
    default:
        return gen_binary(g, x, gen_alike(g, x));
    }
}

static inline cr_value *gen_gate(gen *g, cr_value *x) {
    net *n = &g->n;
    cr_value *pooled = net_node(n, net_pick(n, 0, 3) ? "GlobalAveragePool" : "GlobalMaxPool", IN(x));
    cr_value *squeezed = net_node(n, "Relu", IN(net_conv(n, pooled, net_pick(n, 1, 8), 1, 0)));
    cr_value *gate = net_node(n, net_pick(n, 0, 1) ? "Sigmoid" : "HardSigmoid",
                              IN(net_conv(n, squeezed, net_pick(n, 0, 5) ? gen_channels(x) : 1, 1, 0)));
    cr_value *y = net_pick(n, 0, 1) ? net_node(n, "Mul", IN(x, gate)) : net_node(n, "Mul", IN(gate, x));
    if (net_pick(n, 0, 4) == 0)
        gen_keep(g, gate);
    return net_pick(n, 0, 2) ? net_conv(n, y, gen_new_channels(n), 1, 0) : y;
}

static inline cr_value *gen_constant(gen *g, cr_value *x) {
    static const char *const ops[] = {"Mul", "Add", "Sub", "Max", "Min"};
    net *n = &g->n;
    int64_t dims[5] = {1, gen_channels(x), 1, 1, 1};
    const int rank = x->shape.rank, leading = net_pick(n, 0, 1);
    cr_value *c = net_scalar(n, 0.7);
    switch (net_pick(n, 0, 3)) {
    case 0:
        break;
    case 1: /* along the last axis */
        c = net_floats(n, 0.5, 1.5, DIMS(x->shape.dims[rank - 1]));
        break;
    default:
        c = net_floats(n, 0.5, 1.5, rank - leading, dims + leading);
    }
    const char *op = ops[net_pick(n, 0, 4)];
    return net_pick(n, 0, 1) ? net_node(n, op, IN(x, c)) : net_node(n, op, IN(c, x));
}

/* ---- batch normalisation ---- */

static inline cr_value *gen_norm(gen *g, cr_value *x) {
    net *n = &g->n;
    cr_value *y = net_bn(n, x);
    switch (net_pick(n, 0, 5)) {
    case 0: /* before a padded convolution */
        return net_conv(n, y, gen_new_channels(n), 3, 1);
    case 1: /* before an activation and a convolution */
        return gen_same_conv(g, net_node(n, "Relu", IN(y)), gen_new_channels(n));
    case 2: /* before an activation and two of them */
        y = net_node(n, "Relu", IN(y));
        gen_keep(g, net_conv(n, y, gen_new_channels(n), 1, 0));
        return net_conv(n, y, gen_new_channels(n), 1, 0);
    case 3: /* before any convolution, and used elsewhere now and then */
        return gen_any_conv(g, net_pick(n, 0, 1) ? y : gen_keep(g, y));
    default:
        return net_pick(n, 0, 2) ? y : gen_activation(g, y);
    }
}

/* ---- channels ---- */

static inline cr_value *gen_join(net *n, int count, cr_value **parts, int64_t axis) {
    return net_node_int(n, "Concat", count, parts, "axis", axis);
}

/* Each layer reads all before it. */
static inline cr_value *gen_dense(gen *g, cr_value *x) {
    net *n = &g->n;
    cr_value *parts[5] = {x}, *all = x;
    const int layers = net_pick(n, 2, 3);
    const int64_t growth = net_pick(n, 0, 1) ? 16 : net_pick(n, 1, 20);
    for (int i = 1; i <= layers; i++) {
        cr_value *y = net_pick(n, 0, 1) ? net_node(n, "Relu", IN(net_bn(n, all))) : all;
        parts[i] = net_conv(n, y, growth, 3, 1);
        all = gen_join(n, i + 1, parts, 1);
    }
    if (net_pick(n, 0, 3) == 0)
        gen_keep(g, parts[1]);
    return all;
}

static inline cr_value *gen_concat(gen *g, cr_value *x) {
    net *n = &g->n;
    cr_value *parts[4] = {x, gen_alike(g, x), gen_same_conv(g, x, gen_new_channels(n))};
    parts[3] = net_pick(n, 0, 1) ? gen_activation(g, parts[2]) : gen_alike(g, x);
    const int first = net_pick(n, 0, 2), count = net_pick(n, 1, 4 - first), axis = net_pick(n, 0, 9);
    if (axis == 0)
        return gen_join(n, 2, parts, x->shape.rank - 1);
    return gen_join(n, count, parts + first, axis == 1 ? 1 - x->shape.rank : 1);
}

static inline cr_value *gen_split(gen *g, cr_value *x) {
    net *n = &g->n;
    const int64_t c = gen_channels(x), block = c > 16 && net_pick(n, 0, 1) ? 16 : 1;
    int64_t first = net_pick(n, 1, (int)c - 1);
    first = block < c && block > 1 ? block : first;
    const int64_t sizes[] = {first, c - first};
    cr_value *parts[2], *inputs[] = {x, net_ints(n, 2, sizes)};
    OK(cr_node_set_int(net_add(n, "Split", 2, inputs, 2, parts), "axis",
                       net_pick(n, 0, 1) ? 1 : 1 - x->shape.rank));
    net_infer(n);
    gen_keep(g, parts[1]);
    switch (net_pick(n, 0, 4)) {
    case 0: /* the other way about */
        return gen_join(n, 2, (cr_value *[]){parts[1], parts[0]}, 1);
    case 1: /* one part changed, then together again */
        return gen_join(n, 2, (cr_value *[]){gen_activation(g, parts[0]), parts[1]}, 1);
    case 2: /* a part with the whole */
        return first == 1 ? gen_binary(g, x, parts[0]) : gen_join(n, 2, (cr_value *[]){parts[0], x}, 1);
    case 3:
        return gen_join(n, 2, (cr_value *[]){parts[0], gen_same_conv(g, parts[0], gen_new_channels(n))}, 1);
    default:
        return parts[0];
    }
}

static inline cr_value *gen_slice(gen *g, cr_value *x) {
    net *n = &g->n;
    const int64_t c = gen_channels(x), start = net_pick(n, 0, (int)c - 1);
    const int64_t step = net_pick(n, 1, 3), end = net_pick(n, 0, 1) ? c : INT64_MAX;
    const int kind = net_pick(n, 0, 4);
    const int64_t axis = kind == 0 ? x->shape.rank - 1 : kind == 1 ? 1 - x->shape.rank : 1;
    if (kind == 0)
        return net_node(n, "Slice",
                        IN(x, net_ints(n, 1, (int64_t[]){0}), net_ints(n, 1, (int64_t[]){gen_least(x)}),
                           net_ints(n, 1, &axis)));
    if (kind == 2) /* backwards */
        return net_node(n, "Slice",
                        IN(x, net_ints(n, 1, (int64_t[]){-1}), net_ints(n, 1, (int64_t[]){INT64_MIN}),
                           net_ints(n, 1, &axis), net_ints(n, 1, (int64_t[]){-1})));
    return net_node(n, "Slice",
                    IN(x, net_ints(n, 1, (int64_t[]){kind == 3 ? start - c : start}), net_ints(n, 1, &end),
                       net_ints(n, 1, &axis), net_ints(n, 1, &step)));
}

/* Extents [from, to) of x: computed, now and then, so that they go with x whatever it is. */
static inline cr_value *gen_extents(gen *g, cr_value *x, int64_t from, int64_t to) {
    net *n = &g->n;
    if (net_pick(n, 0, 2) == 0)
        return net_ints(n, (int)(to - from), x->shape.dims + from);
    cr_value *shape = net_node(n, "Shape", IN(x));
    return net_node(n, "Slice", IN(shape, net_ints(n, 1, &from), net_ints(n, 1, &to)));
}

static inline cr_value *gen_turned(net *n, cr_value *x, const int64_t *perm) {
    cr_value *turned;
    OK(cr_node_set_ints(net_add(n, "Transpose", 1, &x, 1, &turned), "perm", perm, x->shape.rank));
    net_infer(n);
    return turned;
}

static inline cr_value *gen_lists(net *n, int count, cr_value **lists) {
    return net_node_int(n, "Concat", count, lists, "axis", 0);
}

/* One of two halves: every other channel. */
static inline cr_value *gen_every(gen *g, cr_value *x) {
    net *n = &g->n;
    const int64_t *d = x->shape.dims, half[] = {d[1] / 2}, two[] = {2}, first[] = {-1, 2, d[2] * d[3]};
    cr_value *parts = net_node(n, "Reshape", IN(x, net_ints(n, 3, first)));
    cr_value *to = gen_lists(n, 4,
                             (cr_value *[]){net_ints(n, 1, two), gen_extents(g, x, 0, 1),
                                            net_ints(n, 1, half), gen_extents(g, x, 2, 4)});
    parts = net_node(n, "Reshape", IN(gen_turned(n, parts, (int64_t[]){1, 0, 2}), to));
    const int64_t at = net_pick(n, 0, 1);
    cr_value *index = net_node(n, "Squeeze", IN(net_ints(n, 1, &at)));
    return net_node(n, "Gather", IN(parts, index));
}

static inline cr_value *gen_shuffle(gen *g, cr_value *x) {
    net *n = &g->n;
    const int64_t *d = x->shape.dims, groups = d[1] % 2 == 0 ? 2 : d[1] % 3 == 0 ? 3 : 1;
    const int64_t split[] = {groups, net_pick(n, 0, 1) ? -1 : d[1] / groups};
    if (x->shape.rank != 4)
        return net_node(n, "Identity", IN(x));
    if (groups == 2 && net_pick(n, 0, 2) == 0)
        return gen_every(g, x);
    cr_value *to = gen_lists(
        n, 3, (cr_value *[]){gen_extents(g, x, 0, 1), net_ints(n, 2, split), gen_extents(g, x, 2, 4)});
    cr_value *parts = net_node(n, "Reshape", IN(x, to));
    cr_value *turned =
        gen_turned(n, parts, net_pick(n, 0, 4) ? (int64_t[]){0, 2, 1, 3, 4} : (int64_t[]){0, 1, 2, 4, 3});
    return net_node(n, "Reshape", IN(turned, gen_extents(g, x, 0, 4)));
}

/* ---- pixels ---- */

static inline cr_value *gen_pool(gen *g, cr_value *x) {
    net *n = &g->n;
    const int axes = x->shape.rank - 2;
    int64_t kernel[3], stride[3], pads[6];
    const bool max = net_pick(n, 0, 1);
    cr_value *out;
    const int padding = net_pick(n, 0, 3);
    for (int d = 0; d < axes; d++) {
        kernel[d] = gen_least(x) < 2 ? 1 : net_pick(n, 1, gen_least(x) < 3 ? 2 : 3);
        stride[d] = net_pick(n, 1, 2);
        pads[d] = net_pick(n, 0, (int)kernel[d] / 2);
        pads[axes + d] = net_pick(n, 0, (int)kernel[d] / 2);
    }
    cr_node *node = net_add(n, max ? "MaxPool" : "AveragePool", 1, &x, 1, &out);
    OK(cr_node_set_ints(node, "kernel_shape", kernel, axes));
    OK(cr_node_set_ints(node, "strides", stride, axes));
    OK(cr_node_set_int(node, "ceil_mode", padding && net_pick(n, 0, 1)));
    if (padding)
        OK(cr_node_set_ints(node, "pads", pads, 2 * axes));
    else
        OK(cr_node_set_string(node, "auto_pad", net_pick(n, 0, 1) ? "SAME_UPPER" : "SAME_LOWER"));
    if (!max)
        OK(cr_node_set_int(node, "count_include_pad", net_pick(n, 0, 1)));
    net_infer(n);
    return out;
}

static inline cr_value *gen_mean(gen *g, cr_value *x) {
    net *n = &g->n;
    const int64_t all[] = {2, 3, 4};
    const int axes = x->shape.rank - 2;
    cr_value *out, *inputs[2] = {x};
    const int n_in = g->opset >= 18 ? 2 : 1;
    if (n_in == 2)
        inputs[1] = net_ints(n, axes, all);
    cr_node *node = net_add(n, "ReduceMean", n_in, inputs, 1, &out);
    if (n_in == 1)
        OK(cr_node_set_ints(node, "axes", all, axes));
    net_infer(n);
    return gen_binary(g, x, out);
}

static inline cr_value *gen_resize(gen *g, cr_value *x) {
    static const char *const coordinates[] = {"half_pixel", "asymmetric", "align_corners",
                                              "pytorch_half_pixel"};
    net *n = &g->n;
    const int rank = x->shape.rank, how = net_pick(n, 0, 2);
    float scales[5] = {1, 1};
    int64_t sizes[5] = {x->shape.dims[0], gen_channels(x)};
    cr_value *out, *inputs[4] = {x, NULL, net_floats(n, 0, 1, DIMS(rank)), NULL};
    for (int d = 2; d < rank; d++) {
        scales[d] = net_pick(n, 0, 2) ? 2 : 1.5F;
        sizes[d] = net_pick(n, 1, 2 * (int)x->shape.dims[d]);
    }
    if (how == 2)
        inputs[2] = NULL, inputs[3] = net_ints(n, rank, sizes);
    else
        memcpy(inputs[2]->constant->data, scales, (size_t)rank * sizeof *scales);
    cr_node *node = net_add(n, "Resize", how == 2 ? 4 : 3, inputs, 1, &out);
    OK(cr_node_set_string(node, "mode", net_pick(n, 0, 1) ? "nearest" : "linear"));
    OK(cr_node_set_string(node, "coordinate_transformation_mode", coordinates[net_pick(n, 0, 3)]));
    OK(cr_node_set_string(node, "nearest_mode", net_pick(n, 0, 1) ? "floor" : "round_prefer_floor"));
    net_infer(n);
    return out;
}

/* To the size of an earlier one. */
static inline cr_value *gen_resize_like(gen *g, cr_value *x) {
    net *n = &g->n;
    cr_value *to = g->values[net_pick(n, 0, g->n_values - 1)], *out;
    if (gen_elements(to) / gen_channels(to) * gen_channels(x) > GEN_FLOATS)
        return gen_any_conv(g, x);
    cr_value *sizes =
        gen_lists(n, 2, (cr_value *[]){gen_extents(g, x, 0, 2), gen_extents(g, to, 2, to->shape.rank)});
    cr_value *in[] = {x, NULL, NULL, sizes};
    OK(cr_node_set_string(net_add(n, "Resize", 4, in, 1, &out), "mode",
                          net_pick(n, 0, 1) ? "nearest" : "linear"));
    net_infer(n);
    return net_pick(n, 0, 1) ? gen_join(n, 2, (cr_value *[]){out, to}, 1) : out;
}

/* Zeros around what a window reads, or around more than pixels. */
static inline cr_value *gen_pad(gen *g, cr_value *x) {
    net *n = &g->n;
    const int rank = x->shape.rank;
    int64_t pads[10] = {0};
    for (int d = 2; d < rank; d++) {
        pads[d] = net_pick(n, 0, 2);
        pads[d + rank] = net_pick(n, 0, 2);
    }
    pads[1] = net_pick(n, 0, 5) == 0;
    cr_value *y =
        net_node(n, "Pad", IN(x, net_ints(n, 2 * rank, pads), net_pick(n, 0, 4) ? NULL : net_scalar(n, 0.5)));
    if (net_pick(n, 0, 4) == 0)
        gen_keep(g, y);
    return net_pick(n, 0, 2) ? gen_any_conv(g, y) : gen_pool(g, y);
}

static inline cr_value *gen_turn(gen *g, cr_value *x) {
    net *n = &g->n;
    int64_t perm[5];
    cr_value *out;
    for (int d = 0; d < x->shape.rank; d++)
        perm[d] = d < 2 ? d : x->shape.rank + 1 - d;
    OK(cr_node_set_ints(net_add(n, "Transpose", 1, &x, 1, &out), "perm", perm, x->shape.rank));
    net_infer(n);
    return out;
}

/* ---- the graph ---- */

static inline cr_value *gen_grow(gen *g, cr_value *x) {
    static cr_value *(*const kinds[])(gen *, cr_value *) = {
        gen_any_conv, gen_any_conv, gen_any_conv, gen_activation,  gen_activation, gen_residual,
        gen_residual, gen_residual, gen_gate,     gen_constant,    gen_norm,       gen_norm,
        gen_norm,     gen_dense,    gen_concat,   gen_split,       gen_slice,      gen_shuffle,
        gen_pool,     gen_mean,     gen_resize,   gen_resize_like, gen_pad,        gen_turn};
    const int kind = net_pick(&g->n, 0, (int)(sizeof kinds / sizeof *kinds) - 1);
    if ((kinds[kind] == gen_split && gen_channels(x) < 2) ||
        (gen_elements(x) > GEN_FLOATS / 2 &&
         (kinds[kind] == gen_resize || kinds[kind] == gen_dense || kinds[kind] == gen_pad)))
        return gen_any_conv(g, x);
    return kinds[kind](g, x);
}

/* Few channels, every other pixel. */
static inline cr_value *gen_shrink(gen *g, cr_value *x) {
    static const int64_t two[] = {2, 2, 2};
    while (gen_elements(x) > GEN_FLOATS) {
        cr_value *out;
        x = net_conv(&g->n, x, 8, 1, 0);
        cr_node *node = net_add(&g->n, "MaxPool", 1, &x, 1, &out);
        OK(cr_node_set_ints(node, "kernel_shape", two, x->shape.rank - 2));
        OK(cr_node_set_ints(node, "strides", two, x->shape.rank - 2));
        OK(cr_node_set_string(node, "auto_pad", "SAME_UPPER"));
        net_infer(&g->n);
        x = gen_keep(g, out);
    }
    return x;
}

/* "x" is the input. One to three outputs. */
static inline net gen_network(unsigned seed, int steps) {
    net start = {.seed = seed * 2654435761U + 1};
    const int rank = net_pick(&start, 0, 3) ? 4 : net_pick(&start, 0, 1) ? 3 : 5;
    const int64_t opset = net_pick(&start, 0, 1) ? 13 : 20,
                  batch = net_pick(&start, 0, 1) ? 1 : net_pick(&start, 2, 3);
    const int most = rank == 3 ? 40 : rank == 4 ? 12 : 6;
    int64_t dims[5] = {batch, net_pick(&start, 0, 1) ? 3 : net_pick(&start, 1, 40)};
    for (int d = 2; d < rank; d++)
        dims[d] = net_pick(&start, 3, most);
    gen g = {.n = net_begin(opset, rank, dims), .opset = opset};
    g.n.seed = start.seed;
    cr_value *x = gen_keep(&g, g.n.x);
    for (int step = 0; step < steps && g.n_values < GEN_VALUES; step++) {
        cr_value *from = net_pick(&g.n, 0, 5) ? x : g.values[net_pick(&g.n, 0, g.n_values - 1)];
        x = gen_shrink(&g, gen_keep(&g, gen_grow(&g, from)));
    }
    net_output(&g.n, x == g.n.x ? net_node(&g.n, "Relu", IN(x)) : x);
    for (int i = 0; i < net_pick(&g.n, 0, 2); i++) {
        cr_value *other = g.values[net_pick(&g.n, 0, g.n_values - 1)];
        if (!other->n_outputs && other->producer)
            net_output(&g.n, other);
    }
    return g.n;
}

#endif
