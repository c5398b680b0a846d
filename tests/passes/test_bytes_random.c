#include "tests/passes/quantized.h"

/* Random networks in which every scale is a power of two and every sum short: all arithmetic is exact, in
 * float32 as in integers, so that bytes have to give the bits of the plain layout, ties included. A failure
 * names its seed; CREASE_TEST_SEED=N runs N alone, CREASE_TEST_GRAPHS=N the first N. */

enum { GRAPHS = 80, STEPS = 8 };

static int choose(net *n, int a, int b) {
    return net_pick(n, 0, 1) ? a : b;
}

/* In steps of 1/16 above a zero point of any kind. */
static cr_value *steps(net *n, cr_value *x) {
    const bool is_signed = net_pick(n, 0, 1);
    const int zero = net_pick(n, 0, 3) ? (is_signed ? net_pick(n, -128, 127) : net_pick(n, 0, 255))
                     : is_signed       ? -128
                                       : 0;
    return rounded(n, x, 0.0625 * choose(n, 1, 2), is_signed ? CREASE_INT8 : CREASE_UINT8, zero);
}

/* Sums of at most 9 x 64 products below 8 x 256, in 1/64 of the input's steps. */
static cr_value *exact_conv(net *n, cr_value *x, int64_t oc, int64_t kernel, int64_t stride, int64_t groups) {
    const int64_t ic = x->shape.dims[1], pad = net_pick(n, 0, (int)kernel / 2);
    cr_value *q = integers(n, CREASE_INT8, -7, 7, DIMS(oc, ic / groups, kernel, kernel)), *w, *y;
    cr_value *bias = net_floats(n, 0, 1, DIMS(oc)), *scales = net_floats(n, 0, 1, DIMS(oc));
    for (int64_t o = 0; o < oc; o++) {
        ((float *)scales->constant->data)[o] = (float)choose(n, 1, 2) / 64;
        ((float *)bias->constant->data)[o] = (float)net_pick(n, -64, 64) / 64;
    }
    OK(cr_node_set_int(net_add(n, "DequantizeLinear", IN(q, scales), 1, &w), "axis", 0));
    net_infer(n);
    cr_node *node = net_add(n, "Conv", IN(x, w, bias), 1, &y);
    OK(cr_node_set_ints(node, "pads", (int64_t[]){pad, pad, pad, pad}, 4));
    OK(cr_node_set_ints(node, "strides", (int64_t[]){stride, stride}, 2));
    OK(cr_node_set_int(node, "group", groups));
    net_infer(n);
    return y;
}

static cr_value *any_conv(net *n, cr_value *x) {
    static const int64_t channels[] = {5, 16, 24, 32, 48};
    const int64_t ic = x->shape.dims[1],
                  kernel = x->shape.dims[2] >= 3 && x->shape.dims[3] >= 3 ? choose(n, 1, 3) : 1;
    const int64_t stride = kernel == 3 ? choose(n, 1, 2) : 1;
    if (net_pick(n, 0, 3) == 0)
        return exact_conv(n, x, ic, kernel, stride, ic);
    return exact_conv(n, x, channels[net_pick(n, 0, 4)], kernel, stride, 1);
}

static cr_value *clamped(net *n, cr_value *x) {
    switch (net_pick(n, 0, 3)) {
    case 0:
        return net_node(n, "Relu", IN(x));
    case 1:
        return net_node(n, "Clip", IN(x, net_scalar(n, -1), net_scalar(n, 3)));
    default:
        return x;
    }
}

static cr_value *pooled(net *n, cr_value *x) {
    cr_value *y;
    if (x->shape.dims[2] < 3 || x->shape.dims[3] < 3)
        return x;
    cr_node *node = net_add(n, "MaxPool", IN(x), 1, &y);
    OK(cr_node_set_ints(node, "kernel_shape", (int64_t[]){3, 3}, 2));
    OK(cr_node_set_ints(node, "strides", (int64_t[]){2, 2}, 2));
    OK(cr_node_set_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    net_infer(n);
    return y;
}

/* x times a gate of it, both in steps. */
static cr_value *gated(net *n, cr_value *x) {
    cr_value *gate = net_node(n, "Clip", IN(x, net_scalar(n, 0), net_scalar(n, 1)));
    return net_node(n, "Mul", IN(x, rounded(n, gate, 1.0 / 128, CREASE_UINT8, 0)));
}

static cr_value *step(net *n, cr_value *x) {
    const int64_t c = x->shape.dims[1];
    switch (net_pick(n, 0, 6)) {
    case 0:
        return pooled(n, x);
    case 1:
        return steps(n, gated(n, x));
    case 2:
        return steps(n, clamped(n, net_node(n, "Add", IN(x, steps(n, exact_conv(n, x, c, 1, 1, 1))))));
    case 3:
        return steps(n, net_node_int(n, "Concat", IN(x, steps(n, exact_conv(n, x, 16, 1, 1, 1))), "axis", 1));
    default:
        return steps(n, clamped(n, any_conv(n, x)));
    }
}

static crease_model *generate(unsigned seed, cr_shape *shape) {
    net n = net_begin(13, DIMS(seed % 5 == 0 ? 2 : 1, seed % 3 == 0 ? 3 : 16, 7 + seed % 6, 5 + seed % 8));
    n.seed = seed * 7919U + 1;
    *shape = n.x->shape;
    cr_value *x = steps(&n, n.x);
    for (int i = 0; i < STEPS; i++) {
        x = step(&n, x);
        if (net_pick(&n, 0, 7) == 0)
            net_output(&n, net_node(&n, "Neg", IN(x)));
    }
    net_output(&n, net_node(&n, "Neg", IN(x)));
    return net_publish(&n);
}

static net_result run(crease_model *model, const crease_options *o, const cr_shape *shape, unsigned seed) {
    crease_session *s;
    cr_assert_eq(crease_session_create(model, o, &s), CREASE_OK, "seed %u: %s", seed, crease_error_message());
    net_result r = net_run(s, model, shape, seed);
    crease_session_free(s);
    return r;
}

static void check(unsigned seed) {
    cr_shape shape;
    crease_options o = net_options();
    const crease_options plain = net_plain();
    o.exact = true; /* Winograd's factors are no powers of two */
    crease_model *model = generate(seed, &shape);
    net_result want = run(model, &plain, &shape, seed);
    for (o.threads = 1; o.threads <= 3; o.threads++) {
        net_result got = run(model, &o, &shape, seed);
        cr_assert_eq(got.n, want.n);
        for (int64_t i = 0; i < got.n; i++)
            cr_assert_eq(got.values[i], want.values[i],
                         "seed %u, %d threads, element %lld: %.9g, expected %.9g", seed, o.threads,
                         (long long)i, got.values[i], want.values[i]);
        free(got.values);
    }
    free(want.values);
    crease_model_free(model);
}

static void check_all(void) {
    const char *one = getenv("CREASE_TEST_SEED"), *some = getenv("CREASE_TEST_GRAPHS");
    const unsigned graphs = some ? (unsigned)strtoul(some, NULL, 10) : GRAPHS;
    if (one) {
        check((unsigned)strtoul(one, NULL, 10));
        return;
    }
    for (unsigned seed = 0; seed < graphs; seed++)
        check(seed);
}

Test(bytes_random, the_best_kernels) {
    check_all();
}

static void vectors_of_four(void) {
    cr_assert_eq(setenv("CREASE_CPU", "vector", 1), 0);
}

/* No bytes, but activations that round. */
Test(bytes_random, portable_kernels, .init = vectors_of_four) {
    check_all();
}
