#ifndef CREASE_TESTS_PASSES_QUANTIZED_H
#define CREASE_TESTS_PASSES_QUANTIZED_H

#include "tests/passes/net.h"

/* Quantised networks on bytes beside the plain layout, which rounds floats. The steps are such that no sum
 * here is as near to two of them. */

static inline bool sums_bytes(void) {
    if (!cr_cpu_sums_bytes())
        fputs("skipped: this processor has no kernels that are faster on bytes\n", stderr);
    return cr_cpu_sums_bytes();
}

static inline cr_value *integers(net *n, crease_dtype dtype, int low, int high, int rank,
                                 const int64_t *dims) {
    const cr_shape shape = cr_shape_of(rank, dims);
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->ir->graph, "q", dtype, &shape, &value, &t));
    for (int64_t i = 0; i < cr_shape_n(&shape); i++)
        ((uint8_t *)t->data)[i] = (uint8_t)net_pick(n, low, high);
    return value;
}

static inline cr_value *rounded(net *n, cr_value *x, double step, crease_dtype dtype, int zero) {
    cr_value *s = net_scalar(n, step), *z = integers(n, dtype, zero, zero, 0, NULL);
    return net_node(n, "DequantizeLinear", IN(net_node(n, "QuantizeLinear", IN(x, s, z)), s, z));
}

typedef struct layer {
    int64_t oc, kernel, stride, groups;
    int weight_zero;
} layer;

/* Weights with a scale for each output channel. */
static inline cr_value *conv(net *n, cr_value *x, layer l) {
    const int64_t ic = x->shape.dims[1], pad = l.kernel / 2, k = l.kernel;
    cr_value *q = integers(n, CREASE_INT8, -127, 127, DIMS(l.oc, ic / l.groups, k, k)), *w, *y;
    const double size = sqrt((double)(ic / l.groups * k * k)) * 64;
    cr_value *scales = net_floats(n, 1 / size, 2 / size, DIMS(l.oc));
    cr_value *zeros = integers(n, CREASE_INT8, l.weight_zero, l.weight_zero, DIMS(l.oc));
    OK(cr_node_set_int(net_add(n, "DequantizeLinear", IN(q, scales, zeros), 1, &w), "axis", 0));
    net_infer(n);
    cr_node *node = net_add(n, "Conv", IN(x, w, net_floats(n, -0.5, 0.5, DIMS(l.oc))), 1, &y);
    OK(cr_node_set_ints(node, "pads", (int64_t[]){pad, pad, pad, pad}, 4));
    OK(cr_node_set_ints(node, "strides", (int64_t[]){l.stride, l.stride}, 2));
    OK(cr_node_set_int(node, "group", l.groups));
    net_infer(n);
    return y;
}

static inline net quantized_begin(int64_t channels) {
    return net_begin(13, DIMS(1, channels, 9, 11));
}

/* Nodes of ours on bytes. */
typedef struct counts {
    int convs, to, from, maps, concats;
} counts;

static inline void expect(net *n, counts want) {
    const crease_options o = net_options();
    crease_model *model = net_publish(n);
    crease_session *s = net_lower(model, &o);
    OK(cr_model_verify(s->optimized->ir));
    const counts got = {net_ours(s, "ConvBytes"), net_ours(s, "ToBytes"), net_ours(s, "FromBytes"),
                        net_ours(s, "MapBytes"), net_ours(s, "ConcatBytes")};
    cr_assert(memcmp(&got, &want, sizeof got) == 0,
              "%d convolutions, %d to bytes, %d from bytes, %d maps, %d concatenations", got.convs, got.to,
              got.from, got.maps, got.concats);
    crease_session_free(s);
    crease_model_free(model);
}

static inline cr_value *input(net *n) {
    return rounded(n, n->x, 2.0 / 128, CREASE_UINT8, 128);
}

#endif
