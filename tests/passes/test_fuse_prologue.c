#include "tests/passes/net.h"

static void needs_lanes(void) {
    cr_assert_eq(setenv("CREASE_CPU", "vector", 1), 0);
}

static void expect(net *n, bool fold, const char *op, int left) {
    crease_options o = net_options();
    crease_model *model = net_publish(n);
    o.fold = fold;
    crease_session *s = net_lower(model, &o);
    OK(cr_model_verify(s->optimized->ir));
    cr_assert_eq(net_ours(s, op), left, "%d %s", net_ours(s, op), op);
    crease_session_free(s);
    crease_model_free(model);
}

/* A value that no normalisation can be folded into. */
static net begin(cr_value **y) {
    net n = net_begin(13, DIMS(2, 6, 6, 6));
    cr_value *c = net_node(&n, "Relu", IN(net_conv(&n, n.x, 6, 3, 1)));
    *y = net_node(&n, "Add", IN(c, net_node(&n, "Tanh", IN(c))));
    return n;
}

static cr_value *strided(net *n, cr_value *x, int64_t kernel, int64_t pad) {
    cr_value *y = net_conv(n, x, 7, kernel, pad);
    OK(cr_node_set_ints(net_last(n), "strides", (int64_t[]){2, 2}, 2));
    y->shape = cr_shape_unknown();
    net_infer(n);
    return y;
}

Test(fuse_prologue, an_affine_before_padding_goes_into_the_weights, .init = needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, strided(&n, net_bn(&n, y), 3, 1));
    expect(&n, true, "Affine", 0);
}

Test(fuse_prologue, an_affine_and_its_activation, .init = needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, strided(&n, net_node(&n, "Relu", IN(net_bn(&n, y))), 1, 0));
    expect(&n, true, "Affine", 0);
}

Test(fuse_prologue, a_mean_takes_the_affine_before_it, .init = needs_lanes) {
    for (int activated = 0; activated < 2; activated++) {
        cr_value *y;
        net n = begin(&y);
        y = net_bn(&n, y);
        y = activated ? net_node(&n, "Relu", IN(y)) : y;
        net_output(&n, net_node(&n, "GlobalAveragePool", IN(y)));
        expect(&n, true, "Affine", 0);
    }
}

Test(fuse_prologue, unfolded_it_is_a_pass_of_its_own, .init = needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, strided(&n, net_node(&n, "Relu", IN(net_bn(&n, y))), 1, 0));
    expect(&n, false, "Affine", 1);
}

Test(fuse_prologue, another_use_keeps_it, .init = needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *z = net_node(&n, "Relu", IN(net_bn(&n, y)));
    net_output(&n, strided(&n, z, 1, 0));
    net_output(&n, z);
    expect(&n, true, "Affine", 1);
}

Test(fuse_prologue, winograd_keeps_it, .init = needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, net_conv(&n, net_node(&n, "Relu", IN(net_bn(&n, y))), 6, 3, 1));
    expect(&n, true, "Affine", 1);
}

Test(fuse_prologue, a_computed_gate, .init = needs_lanes) {
    for (int order = 0; order < 2; order++) {
        cr_value *y;
        net n = begin(&y);
        cr_value *g =
            net_node(&n, "Sigmoid", IN(net_conv(&n, net_node(&n, "GlobalAveragePool", IN(y)), 6, 1, 0)));
        net_output(
            &n, net_conv(&n, order ? net_node(&n, "Mul", IN(y, g)) : net_node(&n, "Mul", IN(g, y)), 5, 1, 0));
        expect(&n, true, "Mul", 0);
    }
}
