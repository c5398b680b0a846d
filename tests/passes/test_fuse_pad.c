#include "tests/passes/net.h"

#include <math.h>

TestSuite(fuse_pad, .init = net_needs_lanes);

static net begin(void) {
    return net_begin(13, DIMS(2, 6, 7, 8));
}

static void expect(net *n, int left) {
    const crease_options o = net_options();
    crease_model *model = net_publish(n);
    crease_session *s = net_lower(model, &o);
    OK(cr_model_verify(s->optimized->ir));
    cr_assert_eq(net_count(s->optimized->ir, "", "Pad"), left);
    crease_session_free(s);
    crease_model_free(model);
}

static cr_value *padded(net *n, cr_value *x, double value, const int64_t *pads) {
    return net_node(n, "Pad", IN(x, net_ints(n, 8, pads), net_scalar(n, value)));
}

static cr_value *pool(net *n, const char *op, cr_value *x, int64_t stride, int64_t pad) {
    cr_value *y;
    cr_node *node = net_add(n, op, 1, &x, 1, &y);
    OK(cr_node_set_ints(node, "kernel_shape", (int64_t[]){3, 3}, 2));
    OK(cr_node_set_ints(node, "strides", (int64_t[]){stride, stride}, 2));
    OK(cr_node_set_ints(node, "pads", (int64_t[]){pad, pad, pad, pad}, 4));
    return y;
}

static const int64_t uneven[] = {0, 0, 1, 0, 0, 0, 2, 1}, channels[] = {0, 1, 1, 0, 0, 0, 2, 1},
                     crops[] = {0, 0, 1, 0, 0, 0, -1, 1}, wide[] = {0, 0, 3, 0, 0, 0, 0, 0};

Test(fuse_pad, convolutions_take_zeros) {
    net n = begin();
    net_output(&n, net_conv(&n, padded(&n, n.x, 0, uneven), 5, 3, 1));
    expect(&n, 0);
}

Test(fuse_pad, without_a_value_it_is_zero) {
    net n = begin();
    net_output(&n, net_conv(&n, net_node(&n, "Pad", IN(n.x, net_ints(&n, 8, wide))), 5, 1, 0));
    expect(&n, 0);
}

Test(fuse_pad, as_attributes) {
    net n = net_begin(10, DIMS(2, 6, 7, 8));
    cr_value *y;
    OK(cr_node_set_ints(net_add(&n, "Pad", 1, &n.x, 1, &y), "pads", uneven, 8));
    net_infer(&n);
    net_output(&n, net_conv(&n, y, 5, 3, 0));
    expect(&n, 0);
}

Test(fuse_pad, all_users_or_it_stays_for_the_others) {
    for (int other = 0; other < 2; other++) {
        net n = begin();
        cr_value *y = padded(&n, n.x, 0, uneven);
        net_output(&n, net_conv(&n, y, 5, 3, 1));
        net_output(&n, net_conv(&n, y, 3, 1, 0));
        if (other)
            net_output(&n, net_node(&n, "Relu", IN(y)));
        expect(&n, other);
    }
}

Test(fuse_pad, other_values_stay) {
    net n = begin();
    net_output(&n, net_conv(&n, padded(&n, n.x, 0.5, uneven), 5, 3, 1));
    expect(&n, 1);
}

Test(fuse_pad, other_modes_stay) {
    net n = begin();
    cr_value *y = padded(&n, n.x, 0, uneven);
    OK(cr_node_set_string(net_last(&n), "mode", "edge"));
    net_output(&n, net_conv(&n, y, 5, 3, 1));
    expect(&n, 1);
}

Test(fuse_pad, other_axes_and_crops_stay) {
    const int64_t *const all[] = {channels, crops};
    for (int i = 0; i < 2; i++) {
        net n = begin();
        net_output(&n, net_conv(&n, padded(&n, n.x, 0, all[i]), 5, 3, 1));
        expect(&n, 1);
    }
}

Test(fuse_pad, pads_that_depend_on_extents_stay) {
    net n = begin();
    cr_value *y = net_conv(&n, padded(&n, n.x, 0, uneven), 5, 3, 1);
    cr_node_remove_attr(net_last(&n), "pads");
    OK(cr_node_set_string(net_last(&n), "auto_pad", "SAME_UPPER"));
    net_infer(&n);
    net_output(&n, y);
    expect(&n, 1);
}

/* VALID does not look at the pads. */
Test(fuse_pad, valid_has_no_pads_of_its_own) {
    net n = begin();
    cr_value *y = net_conv(&n, padded(&n, n.x, 0, uneven), 5, 3, 1);
    OK(cr_node_set_string(net_last(&n), "auto_pad", "VALID"));
    y->shape = cr_shape_unknown();
    net_infer(&n);
    net_output(&n, y);
    expect(&n, 0);
}

Test(fuse_pad, averages_count_the_zeros) {
    for (int own = 0; own < 2; own++)
        for (int counts = 0; counts < 2; counts++) {
            net n = begin();
            cr_value *y =
                pool(&n, "AveragePool", padded(&n, n.x, 0, (int64_t[]){0, 0, 1, 1, 0, 0, 0, 1}), 2, own);
            OK(cr_node_set_int(net_last(&n), "count_include_pad", counts));
            net_infer(&n);
            net_output(&n, y);
            expect(&n, own && !counts);
        }
}

Test(fuse_pad, pools_that_round_up_stay) {
    net n = begin();
    cr_value *y = pool(&n, "AveragePool", padded(&n, n.x, 0, uneven), 2, 0);
    OK(cr_node_set_int(net_last(&n), "ceil_mode", 1));
    net_infer(&n);
    net_output(&n, y);
    expect(&n, 1);
}

Test(fuse_pad, windows_of_padding_alone_stay) {
    net n = begin();
    cr_value *y = pool(&n, "AveragePool", padded(&n, n.x, 0, wide), 1, 0);
    net_infer(&n);
    net_output(&n, y);
    expect(&n, 1);
}

Test(fuse_pad, maxima_take_nothing_but_minus_infinity) {
    const double values[] = {-INFINITY, 0, -1e30};
    for (int i = 0; i < 3; i++) {
        net n = begin();
        cr_value *y = pool(&n, "MaxPool", padded(&n, n.x, values[i], uneven), 2, 0);
        net_infer(&n);
        net_output(&n, y);
        expect(&n, i > 0);
    }
}
