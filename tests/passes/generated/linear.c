#include "tests/passes/generated/network.h"

/* Random linear operators with random attributes. */

static bool maybe_ints(network *n, const char *name, int count, int low, int high, int64_t *values) {
    bool set = net_chance(n, 50), differs = false;
    for (int i = 0; i < count; i++) {
        values[i] = set ? net_pick(n, low, high) : low;
        differs |= values[i] != low;
    }
    if (set)
        OK(cr_node_set_ints(net_last(n), name, values, count));
    return differs;
}

/* ---- Conv ---- */

/* Padding by pads or auto_pad; true: zeros are added. The kernel must fit in the smallest axis. */
static bool pad_conv(network *n, int spatial, const int64_t *kernel) {
    int64_t pads[6];
    bool one = true;
    for (int d = 0; d < spatial; d++)
        one &= kernel[d] == 1;
    switch (net_pick(n, 0, 5)) {
    case 0:
    case 1:
        return maybe_ints(n, "pads", 2 * spatial, 0, 2, pads);
    case 2:
        OK(cr_node_set_string(net_last(n), "auto_pad", net_chance(n, 50) ? "SAME_UPPER" : "SAME_LOWER"));
        return !one;
    case 3:
        OK(cr_node_set_string(net_last(n), "auto_pad", "VALID"));
        return false;
    default:
        return false;
    }
}

static cr_value *maybe_bias(network *n, int64_t channels) {
    return net_chance(n, 50) ? net_constant(n, -1, 1, DIMS(channels)) : NULL;
}

linear net_conv(network *n, int64_t out) {
    cr_value *x = n->end;
    int64_t in = net_dim(x, 1), group = 1, dims[5], strides[3], dilations[3], terms = 1;
    int spatial = x->shape.rank - 2;
    bool depthwise = net_chance(n, 15);
    if (depthwise)
        group = in, out = in * net_pick(n, 1, 2);
    else if (in % 2 == 0 && out % 2 == 0 && net_chance(n, 30))
        group = 2;
    dims[0] = out;
    dims[1] = in / group;
    for (int d = 0; d < spatial; d++) {
        int64_t most = net_dim(x, d + 2) < 3 ? net_dim(x, d + 2) : 3;
        terms *= dims[d + 2] = net_chance(n, 30) ? 1 : net_pick(n, 1, (int)most);
    }
    n->end =
        net_node(n, "Conv", IN(x, net_weight(n, dims[1] * terms, spatial + 2, dims), maybe_bias(n, out)));
    linear l = {.code = "conv", .node = net_last(n), .in_axis = 1, .out_axis = 1, .biased = true};
    if (group > 1 || net_chance(n, 10))
        OK(cr_node_set_int(l.node, "group", group));
    if (net_chance(n, 30))
        OK(cr_node_set_ints(l.node, "kernel_shape", dims + 2, spatial));
    maybe_ints(n, "strides", spatial, 1, 2, strides);
    bool roomy = true;
    for (int d = 0; d < spatial; d++)
        roomy &= net_dim(x, d + 2) >= 2 * (dims[d + 2] - 1) + 1;
    l.has_border = pad_conv(n, spatial, dims + 2);
    if (roomy)
        maybe_ints(n, "dilations", spatial, 1, 2, dilations);
    return l;
}

linear net_conv_transpose(network *n) {
    cr_value *x = n->end;
    int64_t in = net_dim(x, 1), group = in % 2 == 0 && net_chance(n, 50) ? 2 : 1, per = net_pick(n, 1, 3),
            dims[5] = {in, per}, strides[3] = {1, 1, 1}, pads[6], extra[3], terms = in / group;
    int spatial = x->shape.rank - 2;
    bool one = true, border;
    for (int d = 0; d < spatial; d++) {
        terms *= dims[d + 2] = net_chance(n, 40) ? 1 : net_pick(n, 1, 3);
        one &= dims[d + 2] == 1;
    }
    n->end = net_node(n, "ConvTranspose",
                      IN(x, net_weight(n, terms, spatial + 2, dims), maybe_bias(n, per * group)));
    linear l = {.code = "conv-transpose", .node = net_last(n), .in_axis = 1, .out_axis = 1, .biased = true};
    OK(cr_node_set_int(l.node, "group", group));
    border = maybe_ints(n, "strides", spatial, 1, 2, strides);
    if (border) /* less than the stride */
        for (int d = 0; d < spatial; d++)
            extra[d] = net_pick(n, 0, (int)strides[d] - 1);
    if (border && net_chance(n, 50))
        OK(cr_node_set_ints(l.node, "output_padding", extra, spatial));
    bool large = true; /* so that cropping leaves something */
    for (int d = 0; d < spatial; d++)
        large &= net_dim(x, d + 2) > 2;
    if (large && !cr_attr_find(l.node, "output_padding") && net_chance(n, 15)) {
        for (int d = 0; d < spatial; d++) /* as it comes, or one less */
            extra[d] = (net_dim(x, d + 2) - 1) * strides[d] + dims[d + 2] - net_pick(n, 0, 1);
        OK(cr_node_set_ints(l.node, "output_shape", extra, spatial));
        border = true;
    } else {
        border |= large && net_chance(n, 40) && maybe_ints(n, "pads", 2 * spatial, 0, 1, pads);
    }
    l.has_border = border || !one;
    return l;
}

/* ---- Gemm, MatMul ---- */

static cr_value *gemm_bias(network *n, int64_t rows, int64_t columns) {
    switch (net_pick(n, 0, 6)) {
    case 0:
        return NULL;
    case 1:
        return net_constant(n, -1, 1, 0, NULL);
    case 2:
        return net_constant(n, -1, 1, DIMS(1));
    case 3:
        return net_constant(n, -1, 1, DIMS(1, columns));
    case 4:
        return net_constant(n, -1, 1, DIMS(rows, 1));
    case 5:
        return net_constant(n, -1, 1, DIMS(rows, columns));
    default:
        return net_constant(n, -1, 1, DIMS(columns));
    }
}

static linear gemm(network *n) {
    cr_value *x = n->end;
    bool trans_a = net_chance(n, 15), trans_b = net_chance(n, 50);
    int64_t rows = net_dim(x, trans_a), k = net_dim(x, !trans_a), out = net_pick(n, 2, 6);
    cr_value *w = trans_b ? net_weight(n, k, DIMS(out, k)) : net_weight(n, k, DIMS(k, out));
    n->end = net_node(n, "Gemm", IN(x, w, gemm_bias(n, rows, out)));
    linear l = {.code = "gemm", .node = net_last(n), .in_axis = !trans_a, .out_axis = 1, .biased = true};
    if (trans_a)
        OK(cr_node_set_int(l.node, "transA", 1));
    if (trans_b)
        OK(cr_node_set_int(l.node, "transB", 1));
    if (net_chance(n, 50))
        OK(cr_node_set_float(l.node, "alpha", 0.5F * (float)net_pick(n, -3, 3)));
    if (net_chance(n, 50))
        OK(cr_node_set_float(l.node, "beta", 0.3F * (float)net_pick(n, -3, 3)));
    return l;
}

/* With the Add of a constant on either side, or without. */
static linear matmul(network *n) {
    cr_value *x = n->end;
    int rank = x->shape.rank;
    int64_t k = net_dim(x, -1), out = net_pick(n, 2, 6), dims[CR_MAX_RANK];
    cr_value *y = net_node(n, "MatMul", IN(x, net_weight(n, k, DIMS(k, out))));
    linear l = {.code = "matmul",
                .node = net_last(n),
                .in_axis = rank - 1,
                .out_axis = rank - 1,
                .biased = rank == 2};
    if (net_chance(n, 60)) {
        int leading = net_pick(n, 0, rank - 1);
        for (int d = 0; d <= leading; d++)
            dims[d] = d == leading ? out : 1;
        cr_value *c = net_constant(n, -1, 1, leading + 1, dims);
        y = net_chance(n, 50) ? net_node(n, "Add", IN(y, c)) : net_node(n, "Add", IN(c, y));
        l.biased = true;
        l.ahead = "matmul-add";
        if (rank > 2)
            l.code = "matmul-add";
        else
            l.other = "gemm"; /* which it is once it has taken the Add in */
        net_expect(n, net_last_name(n), rank > 2 ? "-" : "matmul-add");
    }
    n->end = y;
    return l;
}

linear net_product(network *n) {
    return n->end->shape.rank == 2 && net_chance(n, 60) ? gemm(n) : matmul(n);
}

linear net_linear(network *n) {
    int rank = n->end->shape.rank;
    linear l = rank < 3 || rank > 5 || net_chance(n, 15) ? net_product(n)
               : net_chance(n, 30)                       ? net_conv_transpose(n)
                                                         : net_conv(n, net_pick(n, 2, 6));
    net_settle(n);
    return l;
}
