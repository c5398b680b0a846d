#include "tests/passes/net.h"

/* Lower, check the values, and count what is left of the nodes behind the convolutions. */
static void expect(net *n, const char *op, int left) {
    const crease_options o = net_options();
    crease_model *model = net_publish(n);
    crease_session *s = net_lower(model, &o);
    OK(cr_model_verify(s->optimized->ir));
    cr_assert_eq(net_ours(s, op), left, "%d %s", net_ours(s, op), op);
    crease_session_free(s);
    crease_model_free(model);
}

static net begin(cr_value **y) {
    net n = net_begin(13, DIMS(2, 6, 5, 5));
    *y = net_conv(&n, n.x, 6, 3, 1);
    return n;
}

Test(fuse_epilogue, an_activation_joins, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, net_node(&n, "Relu", IN(y)));
    expect(&n, "Activation", 0);
}

Test(fuse_epilogue, a_result_that_is_used_twice_stays, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, net_node(&n, "Relu", IN(y)));
    net_output(&n, net_node(&n, "Tanh", IN(y)));
    expect(&n, "Activation", 2);
}

Test(fuse_epilogue, a_graph_output_stays, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, y);
    net_output(&n, net_node(&n, "Relu", IN(y)));
    expect(&n, "Activation", 1);
}

Test(fuse_epilogue, the_input_as_residual_with_its_activation, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *z = net_conv(&n, y, 6, 3, 1);
    net_output(&n, net_node(&n, "Relu", IN(net_node(&n, "Add", IN(y, z)))));
    expect(&n, "Add", 0);
}

Test(fuse_epilogue, of_two_convolutions_the_later_one_adds, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *a = net_conv(&n, y, 6, 3, 1), *b = net_conv(&n, y, 6, 1, 0);
    net_output(&n, net_node(&n, "Add", IN(b, a)));
    expect(&n, "Add", 0);
}

Test(fuse_epilogue, a_sum_with_itself_stays, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    net_output(&n, net_node(&n, "Add", IN(y, y)));
    expect(&n, "Add", 1);
}

Test(fuse_epilogue, a_gate_is_no_residual, .init = net_needs_lanes) {
    cr_value *y;
    net n = begin(&y);
    cr_value *gate = net_node(&n, "GlobalAveragePool", IN(y));
    net_output(&n, net_node(&n, "Add", IN(net_conv(&n, y, 6, 3, 1), gate)));
    expect(&n, "Add", 1);
}
