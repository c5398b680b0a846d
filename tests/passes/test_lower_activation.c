#include "tests/passes/net.h"

/* How many nodes of the domain "crease" stand in the model behind the pass. */
static int lowered(net *n, cr_value *y) {
    net_output(n, y);
    OK(cr_pass_lower_activations(n->ir));
    OK(cr_model_verify(n->ir));
    const int found = net_count(n->ir, "crease", "Activation");
    cr_model_destroy(n->ir);
    cr_heap_release(n->heap);
    return found;
}

static net begin(void) {
    return net_begin(20, DIMS(1, 4, 3, 3));
}

Test(lower_activation, silu_in_both_orders) {
    for (int order = 0; order < 2; order++) {
        net n = begin();
        cr_value *gate = net_node(&n, "Sigmoid", IN(n.x));
        cr_value *y = order ? net_node(&n, "Mul", IN(n.x, gate)) : net_node(&n, "Mul", IN(gate, n.x));
        cr_assert_eq(lowered(&n, y), 1);
    }
}

Test(lower_activation, limits_that_are_computed_stay) {
    net n = begin();
    cr_value *low = net_node(&n, "ReduceMin", IN(n.x));
    low = net_node(&n, "Reshape", IN(low, net_ints(&n, 0, NULL)));
    cr_assert_eq(lowered(&n, net_node(&n, "Clip", IN(n.x, low))), 0);
}

Test(lower_activation, limits_that_cross_stay) {
    net n = begin();
    cr_assert_eq(lowered(&n, net_node(&n, "Clip", IN(n.x, net_scalar(&n, 1), net_scalar(&n, 0)))), 0);
}

Test(lower_activation, slopes_by_channel_stay) {
    net n = begin();
    cr_assert_eq(lowered(&n, net_node(&n, "PRelu", IN(n.x, net_floats(&n, 0, 1, DIMS(4, 1, 1))))), 0);
}

Test(lower_activation, one_slope_is_leaky) {
    net n = begin();
    cr_assert_eq(lowered(&n, net_node(&n, "PRelu", IN(n.x, net_floats(&n, 0, 1, DIMS(1))))), 1);
}

Test(lower_activation, a_gate_of_another_value_is_no_silu) {
    net n = begin();
    cr_value *gate = net_node(&n, "Sigmoid", IN(net_node(&n, "Relu", IN(n.x))));
    cr_assert_eq(lowered(&n, net_node(&n, "Mul", IN(n.x, gate))), 2); /* Relu and Sigmoid */
}
