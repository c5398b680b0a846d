#include "tests/passes/net.h"

TestSuite(tidy_shapes, .init = net_needs_lanes);

/* A convolution, reduced; how many of ours pool it. */
static void expect(const char *op, int64_t opset, int n_axes, const int64_t *axes, int64_t keep,
                   const char *pool, int pools) {
    net n = net_begin(opset, DIMS(2, 6, 5, 7));
    cr_value *inputs[2] = {net_conv(&n, n.x, 9, 3, 1), NULL}, *y;
    if (opset >= 18)
        inputs[1] = net_ints(&n, n_axes, axes);
    cr_node *node = net_add(&n, op, opset >= 18 ? 2 : 1, inputs, 1, &y);
    if (opset < 18)
        OK(cr_node_set_ints(node, "axes", axes, n_axes));
    OK(cr_node_set_int(node, "keepdims", keep));
    net_infer(&n);
    net_output(&n, y);
    const crease_options o = net_options();
    crease_model *model = net_publish(&n);
    crease_session *s = net_lower(model, &o);
    cr_assert_eq(net_ours(s, pool), pools, "%s to %s", op, pool);
    crease_session_free(s);
    crease_model_free(model);
}

static const int64_t pixels[] = {2, 3}, from_behind[] = {-1, -2}, rows[] = {2}, channels[] = {1, 2};

Test(tidy_shapes, means_over_pixels_are_pools) {
    expect("ReduceMean", 13, 2, pixels, 1, "GlobalAveragePool", 1);
    expect("ReduceMean", 13, 2, from_behind, 0, "GlobalAveragePool", 1);
    expect("ReduceMean", 18, 2, pixels, 0, "GlobalAveragePool", 1);
}

Test(tidy_shapes, maxima_over_pixels_are_pools) {
    expect("ReduceMax", 13, 2, from_behind, 1, "GlobalMaxPool", 1);
    expect("ReduceMax", 18, 2, pixels, 0, "GlobalMaxPool", 1);
}

Test(tidy_shapes, other_axes_and_other_reductions_stay) {
    expect("ReduceMean", 13, 1, rows, 1, "GlobalAveragePool", 0);
    expect("ReduceMax", 13, 2, channels, 1, "GlobalMaxPool", 0);
    expect("ReduceMin", 13, 2, pixels, 1, "GlobalMaxPool", 0);
    expect("ReduceSum", 11, 2, pixels, 0, "GlobalAveragePool", 0);
}
