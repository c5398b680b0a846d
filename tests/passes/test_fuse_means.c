#include "tests/passes/net.h"

static cr_value *grouped(net *n, cr_value *x, int64_t groups) {
    const int64_t c = x->shape.dims[1];
    cr_value *out, *inputs[] = {x, net_floats(n, -0.5, 0.5, DIMS(c, c / groups, 3, 3))};
    cr_node *node = net_add(n, "Conv", 2, inputs, 1, &out);
    OK(cr_node_set_int(node, "group", groups));
    OK(cr_node_set_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    net_infer(n);
    return out;
}

/* y scaled by its means: squeeze and excite without what stands between. */
static void excite(net *n, cr_value *y) {
    net_output(n, net_node(n, "Mul", IN(y, net_node(n, "GlobalAveragePool", IN(y)))));
}

/* Lower, check the values, and count the convolutions that give means. */
static void expect(net *n, const crease_options *o, int with_means) {
    crease_model *model = net_publish(n);
    crease_session *s = net_lower(model, o);
    int found = 0;
    OK(cr_model_verify(s->optimized->ir));
    CR_FOR_NODES(node, s->optimized->ir->graph)
    found += cr_is_ours(node, "Conv") && node->n_outputs == 2;
    cr_assert_eq(found, with_means);
    crease_session_free(s);
    crease_model_free(model);
}

Test(fuse_means, depthwise, .init = net_needs_lanes) {
    const crease_options o = net_options();
    net n = net_begin(13, DIMS(2, 6, 5, 7));
    excite(&n, net_node(&n, "Relu", IN(grouped(&n, n.x, 6))));
    expect(&n, &o, 1);
}

Test(fuse_means, groups_of_several_channels, .init = net_needs_lanes) {
    const crease_options o = net_options();
    net n = net_begin(13, DIMS(2, 8, 9, 6));
    excite(&n, grouped(&n, n.x, 2));
    expect(&n, &o, 1);
}

/* An algorithm that has no rows at hand: they are averaged behind it. */
Test(fuse_means, any_algorithm, .init = net_needs_lanes) {
    crease_options o = net_options();
    o.convolution = "direct";
    net n = net_begin(13, DIMS(2, 8, 9, 6));
    excite(&n, grouped(&n, n.x, 2));
    expect(&n, &o, 1);
}

Test(fuse_means, several_pools_share_them, .init = net_needs_lanes) {
    const crease_options o = net_options();
    net n = net_begin(13, DIMS(1, 6, 5, 7));
    cr_value *y = grouped(&n, n.x, 6);
    excite(&n, y);
    net_output(&n, net_node(&n, "GlobalAveragePool", IN(y)));
    expect(&n, &o, 1);
}

Test(fuse_means, an_empty_map, .init = net_needs_lanes) {
    const crease_options o = net_options();
    net n = net_begin(13, DIMS(0, 6, 5, 7));
    excite(&n, grouped(&n, n.x, 6));
    expect(&n, &o, 1);
}

Test(fuse_means, one_group_stays, .init = net_needs_lanes) {
    const crease_options o = net_options();
    net n = net_begin(13, DIMS(2, 6, 5, 7));
    excite(&n, net_conv(&n, n.x, 6, 3, 1));
    expect(&n, &o, 0);
}
