#include "tests/passes/net.h"

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

Test(fuse_prologue, an_affine_before_padding_goes_into_the_weights, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, strided(&n, net_bn(&n, y), 3, 1));
    expect(&n, true, "Affine", 0);
}

Test(fuse_prologue, an_affine_and_its_activation, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, strided(&n, net_node(&n, "Relu", IN(net_bn(&n, y))), 1, 0));
    expect(&n, true, "Affine", 0);
}

Test(fuse_prologue, a_mean_takes_the_affine_before_it, .init = net_needs_lanes) {
    for (int activated = 0; activated < 2; activated++) {
        cr_value *y;
        net n = begin(&y);
        y = net_bn(&n, y);
        y = activated ? net_node(&n, "Relu", IN(y)) : y;
        net_output(&n, net_node(&n, "GlobalAveragePool", IN(y)));
        expect(&n, true, "Affine", 0);
    }
}

Test(fuse_prologue, unfolded_it_is_a_pass_of_its_own, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, strided(&n, net_node(&n, "Relu", IN(net_bn(&n, y))), 1, 0));
    expect(&n, false, "Affine", 1);
}

Test(fuse_prologue, another_use_keeps_it, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *z = net_node(&n, "Relu", IN(net_bn(&n, y)));
    net_output(&n, strided(&n, z, 1, 0));
    net_output(&n, z);
    expect(&n, true, "Affine", 1);
}

static cr_value *affine(net *n, cr_value *x, bool activated) {
    cr_value *y = net_bn(n, x);
    return activated ? net_node(n, "Relu", IN(y)) : y;
}

Test(fuse_prologue, three_users_keep_it, .init = net_needs_lanes) {
    for (int users = 2; users <= 3; users++) {
        cr_value *y;
        net n = begin(&y);
        y = affine(&n, y, true);
        for (int i = 0; i < users; i++)
            net_output(&n, net_conv(&n, y, 6 + i, 1, 0));
        expect(&n, true, "Affine", users == 3);
    }
}

Test(fuse_prologue, winograd_takes_it, .init = net_needs_lanes) {
    for (int activated = 0; activated < 2; activated++) {
        cr_value *y;
        net n = begin(&y);
        net_output(&n, net_conv(&n, affine(&n, y, activated), 6, 3, 1));
        expect(&n, true, "Affine", 0);
    }
}

/* With 3 x 3 kernels. */
static cr_value *grouped(net *n, cr_value *x, int64_t oc, int64_t groups) {
    cr_value *y;
    cr_value *inputs[] = {x, net_floats(n, -0.5, 0.5, DIMS(oc, x->shape.dims[1] / groups, 3, 3))};
    cr_node *conv = net_add(n, "Conv", 2, inputs, 1, &y);
    OK(cr_node_set_int(conv, "group", groups));
    OK(cr_node_set_ints(conv, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    net_infer(n);
    return y;
}

Test(fuse_prologue, groups_take_it, .init = net_needs_lanes) {
    static const int64_t cases[][2] = {{6, 6}, {12, 6}, {6, 2}}; /* channels out, groups */
    for (int i = 0; i < 6; i++) {
        cr_value *y;
        net n = begin(&y);
        net_output(&n, grouped(&n, affine(&n, y, i % 2), cases[i / 2][0], cases[i / 2][1]));
        expect(&n, true, "Affine", 0);
    }
}

Test(fuse_prologue, a_transposed_convolution_takes_it, .init = net_needs_lanes) {
    for (int activated = 0; activated < 2; activated++) {
        cr_value *y;
        net n = begin(&y);
        cr_value *inputs[] = {affine(&n, y, activated), net_floats(&n, -0.5, 0.5, DIMS(6, 5, 3, 3))};
        cr_node *conv = net_add(&n, "ConvTranspose", 2, inputs, 1, &y);
        OK(cr_node_set_ints(conv, "strides", (int64_t[]){2, 2}, 2));
        OK(cr_node_set_ints(conv, "pads", (int64_t[]){1, 1, 1, 1}, 4));
        net_infer(&n);
        net_output(&n, y);
        expect(&n, true, "Affine", 0);
    }
}

Test(fuse_prologue, slopes_by_channel, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *slopes = net_floats(&n, 0.1, 0.9, DIMS(6, 1, 1));
    net_output(&n, net_conv(&n, net_node(&n, "PRelu", IN(net_bn(&n, y), slopes)), 6, 3, 1));
    expect(&n, true, "Affine", 0);
}

/* Weights that the affine would bring out of the range of float keep it before them. */
Test(fuse_prologue, huge_weights_take_it_as_input, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *inputs[] = {net_bn(&n, y), net_floats(&n, 0, 1e36, DIMS(6, 6, 3, 3))};
    cr_node *conv = net_add(&n, "Conv", 2, inputs, 1, &y);
    OK(cr_node_set_ints(conv, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    net_infer(&n);
    net_output(&n, net_node(&n, "Mul", IN(y, net_scalar(&n, 1e-36))));
    expect(&n, true, "Affine", 0);
}

/* A residual unit of a pre-activation network (ResNet-v2): the first normalisation has nothing before it, and
 * where the shape changes two users. */
static cr_value *unit(net *n, cr_value *x, int64_t channels, int64_t groups, bool halves) {
    cr_value *y = affine(n, x, true), *skip = halves ? strided(n, y, 1, 0) : x;
    y = halves ? strided(n, y, 3, 1) : grouped(n, y, channels, groups);
    y = affine(n, y, true);
    return net_node(n, "Add", IN(skip, net_conv(n, y, channels, 3, 1)));
}

/* A layer of a dense block: its input and what it makes of it, side by side. */
static cr_value *dense_layer(net *n, cr_value *x, int64_t kernel) {
    cr_value *out, *y = net_conv(n, affine(n, x, true), 6, 1, 0);
    cr_value *both[] = {x, net_conv(n, affine(n, y, true), 4, kernel, kernel / 2)};
    OK(cr_node_set_int(net_add(n, "Concat", 2, both, 1, &out), "axis", 1));
    net_infer(n);
    return out;
}

Test(fuse_prologue, no_pass_is_left_in_pre_activation_networks, .init = net_needs_lanes) {
    static const char *const passes[][2] = {
        {"crease", "Affine"}, {"crease", "Activation"}, {"", "BatchNormalization"}, {"", "Relu"}};
    const crease_options o = net_options();
    net n = net_begin(13, DIMS(1, 3, 20, 20));
    cr_value *y = net_conv(&n, n.x, 6, 7, 3);
    y = unit(&n, y, 6, 1, false);
    y = unit(&n, y, 7, 1, true);
    y = unit(&n, y, 7, 7, false);
    y = dense_layer(&n, dense_layer(&n, y, 3), 5);
    y = net_node(&n, "GlobalAveragePool", IN(affine(&n, y, true)));
    net_output(&n, net_conv(&n, y, 10, 1, 0));
    crease_model *model = net_publish(&n);
    crease_session *s = net_lower(model, &o);
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        cr_assert_eq(net_count(s->optimized->ir, passes[i][0], passes[i][1]), 0, "%s", passes[i][1]);
    crease_session_free(s);
    crease_model_free(model);
}

Test(fuse_prologue, a_computed_gate, .init = net_needs_lanes) {
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
