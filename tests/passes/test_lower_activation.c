#include "tests/passes/net.h"

/* How many nodes of the domain "crease" stand in the model behind the pass. */
static int lowered(net *n, cr_value *y) {
    net_output(n, y);
    OK(cr_pass_lower_activations(n->ir->graph));
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

/* ---- Gelu by tanh, as JAX, Transformers and Keras write it ---- */

static cr_value *times(net *n, cr_value *a, double b) {
    return net_node(n, "Mul", IN(a, net_scalar(n, b)));
}

static cr_value *power(net *n, cr_value *x, double exponent) {
    return net_node(n, "Pow", IN(x, net_scalar(n, exponent)));
}

static cr_value *product(net *n, cr_value *a, cr_value *b) {
    return net_node(n, "Mul", IN(a, b));
}

static cr_value *sum(net *n, cr_value *a, cr_value *b) {
    return net_node(n, "Add", IN(a, b));
}

enum { CUBES = 4 };

/* sqrt(2 / pi) (x + third x^3) */
static cr_value *tanh_argument(net *n, int way, double third) {
    const double k = 0.7978845608;
    cr_value *x = n->x;
    switch (way) {
    case 0:
        return times(n, sum(n, x, times(n, power(n, x, 3), third)), k);
    case 1:
        return times(n, sum(n, x, product(n, x, product(n, x, times(n, x, third)))), k);
    case 2: /* factored */
        return product(n, times(n, x, k), sum(n, net_scalar(n, 1), product(n, times(n, x, third), x)));
    default:
        return sum(n, times(n, x, k), times(n, product(n, power(n, x, 2), x), k * third));
    }
}

static cr_value *gelu(net *n, int way, int order, double third) {
    cr_value *one = net_floats(n, 1, 1, DIMS(1, 1, 1, 1));
    cr_value *factor = sum(n, one, net_node(n, "Tanh", IN(tanh_argument(n, way, third))));
    return order == 0   ? product(n, times(n, n->x, 0.5), factor)
           : order == 1 ? product(n, n->x, times(n, factor, 0.5))
                        : times(n, product(n, factor, n->x), 0.5);
}

Test(lower_activation, gelu_by_tanh_in_many_ways) {
    for (int way = 0; way < CUBES; way++)
        for (int order = 0; order < 3; order++) {
            net n = begin();
            cr_value *y = gelu(&n, way, order, 0.044715);
            net_output(&n, y);
            const crease_options o = net_options();
            crease_model *model = net_publish(&n);
            crease_session *s = net_lower(model, &o);
            cr_assert_eq(net_ours(s, "Activation"), 1, "way %d, order %d", way, order);
            cr_assert_eq(net_count(s->optimized->ir, "", "Tanh") + net_ours(s, "Mul"), 0);
            crease_session_free(s);
            crease_model_free(model);
        }
}

Test(lower_activation, another_cubic_is_no_gelu) {
    for (int way = 0; way < CUBES; way++) {
        net n = begin();
        cr_value *y = gelu(&n, way, 0, 0.05);
        net_output(&n, y);
        OK(cr_pass_lower_activations(n.ir->graph));
        cr_assert_eq(net_count(n.ir, "crease", "Activation"), 1, "way %d: the tanh alone", way);
        cr_assert_gt(net_count(n.ir, "", "Mul"), 1);
        cr_model_destroy(n.ir);
        cr_heap_release(n.heap);
    }
}
