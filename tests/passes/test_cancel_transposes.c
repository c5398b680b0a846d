#include "tests/passes/net.h"

TestSuite(cancel_transposes, .init = net_needs_lanes);

static cr_value *transpose(net *n, cr_value *x, int rank, const int64_t *perm) {
    cr_value *y;
    OK(cr_node_set_ints(net_add(n, "Transpose", 1, &x, 1, &y), "perm", perm, rank));
    net_infer(n);
    return y;
}

static cr_value *to_last(net *n, cr_value *x) {
    return transpose(n, x, DIMS(0, 2, 3, 1));
}

static cr_value *to_first(net *n, cr_value *x) {
    return transpose(n, x, DIMS(0, 3, 1, 2));
}

/* Each makes something of x [2, 5, 7, 6], whose channels are last. */
typedef cr_value *middle(net *n, cr_value *x);

static cr_value *activations(net *n, cr_value *x) {
    cr_value *a = net_node(n, "Clip", IN(x, net_scalar(n, -1), net_scalar(n, 1)));
    return net_node(n, "Mul", IN(x, net_node(n, "Sigmoid", IN(a))));
}

static cr_value *constants(net *n, cr_value *x) {
    cr_value *a = net_node(n, "Add", IN(x, net_floats(n, -1, 1, DIMS(6))));
    a = net_node(n, "Mul", IN(net_floats(n, -1, 1, DIMS(1, 7, 1)), a));
    a = net_node(n, "PRelu", IN(a, net_floats(n, -1, 1, DIMS(1, 1, 6))));
    return net_node(n, "Sub", IN(net_scalar(n, 1), a));
}

static cr_value *scaled(net *n, cr_value *x) {
    cr_value *mean = net_node(n, "ReduceMean", IN(x, net_ints(n, 2, (int64_t[]){1, -2})));
    return net_node(n, "Mul", IN(x, net_node(n, "HardSigmoid", IN(mean))));
}

static cr_value *padded(net *n, cr_value *x) {
    return net_node(n, "Pad", IN(x, net_ints(n, 8, (int64_t[]){0, 1, 2, 0, 0, 3, 0, 1})));
}

static cr_value *joined(net *n, cr_value *x) {
    cr_value *relu = net_node(n, "Relu", IN(x));
    return net_node_int(n, "Concat", IN(x, relu, x), "axis", -1);
}

static cr_value *parts(net *n, cr_value *x) {
    cr_value *inputs[] = {x, net_ints(n, 2, (int64_t[]){4, 2})}, *y[2];
    OK(cr_node_set_int(net_add(n, "Split", 2, inputs, 2, y), "axis", 3));
    net_infer(n);
    return net_node_int(n, "Concat", IN(y[1], y[0]), "axis", 3);
}

static cr_value *resized(net *n, cr_value *x) {
    cr_value *scales = net_floats(n, 0, 1, DIMS(4));
    memcpy(scales->constant->data, (float[]){1, 2, 3, 1}, 4 * sizeof(float));
    return net_node(n, "Resize", IN(x, NULL, scales));
}

static cr_value *cut(net *n, cr_value *x) {
    return net_node(n, "Slice",
                    IN(x, net_ints(n, 2, (int64_t[]){1, 4}), net_ints(n, 2, (int64_t[]){6, -9}),
                       net_ints(n, 2, (int64_t[]){-2, 1}), net_ints(n, 2, (int64_t[]){2, -1})));
}

static cr_value *shares(net *n, cr_value *x) {
    return net_node_int(n, "Softmax", IN(x), "axis", -1);
}

/* How many Transposes are left of those around what is in the middle. */
static int left_of(middle *make, cr_value *(*behind)(net *, cr_value *)) {
    net n = net_begin(18, DIMS(2, 6, 5, 7));
    cr_value *y = make(&n, to_last(&n, net_conv(&n, n.x, 6, 3, 1)));
    net_output(&n, behind ? behind(&n, y) : y);
    const crease_options o = net_options();
    crease_model *model = net_publish(&n);
    crease_session *s = net_lower(model, &o);
    const int left = net_count(s->optimized->ir, "", "Transpose");
    crease_session_free(s);
    crease_model_free(model);
    return left;
}

static cr_value *convolved(net *n, cr_value *x) {
    return net_conv(n, to_first(n, x), 9, 3, 1);
}

Test(cancel_transposes, operators_compute_on_what_was_there_before) {
    static middle *const makes[] = {activations, scaled, padded, joined, parts, resized, shares};
    for (size_t i = 0; i < sizeof makes / sizeof *makes; i++)
        cr_assert_eq(left_of(makes[i], convolved), 0, "case %zu", i);
}

static cr_value *second(net *n, cr_value *x) {
    return constants(n, activations(n, x));
}

Test(cancel_transposes, lists_and_constants_follow) {
    cr_assert_eq(left_of(constants, convolved), 0);
    cr_assert_eq(left_of(second, convolved), 0);
    cr_assert_eq(left_of(cut, convolved), 0);
}

static cr_value *mean_of_pixels(net *n, cr_value *x) {
    cr_value *inputs[] = {x, net_ints(n, 2, (int64_t[]){1, 2})}, *y;
    OK(cr_node_set_int(net_add(n, "ReduceMean", 2, inputs, 1, &y), "keepdims", 0));
    net_infer(n);
    return y;
}

static cr_value *mean_of_rows(net *n, cr_value *x) {
    cr_value *inputs[] = {x, net_ints(n, 1, (int64_t[]){1})}, *y;
    OK(cr_node_set_int(net_add(n, "ReduceMean", 2, inputs, 1, &y), "keepdims", 0));
    net_infer(n);
    return y;
}

Test(cancel_transposes, axes_that_go_may_leave_nothing_to_turn) {
    cr_assert_eq(left_of(mean_of_pixels, NULL), 0);
    cr_assert_eq(left_of(mean_of_rows, NULL), 1, "but the smaller one");
}

static cr_value *normalised(net *n, cr_value *x) {
    return net_node(n, "LayerNormalization", IN(x, net_floats(n, 0.5, 1, DIMS(6))));
}

static cr_value *mapped(net *n, cr_value *x) {
    return net_node(n, "Add", IN(x, net_floats(n, -1, 1, DIMS(5, 7, 6))));
}

static cr_value *used_as_it_is(net *n, cr_value *x) {
    net_output(n, net_node(n, "Relu", IN(x)));
    return net_node(n, "MatMul", IN(x, net_floats(n, -1, 1, DIMS(6, 6))));
}

Test(cancel_transposes, what_does_not_fit_stays) {
    cr_assert_eq(left_of(normalised, convolved), 2);
    cr_assert_eq(left_of(mapped, convolved), 2, "a constant in another order");
    cr_assert_eq(left_of(used_as_it_is, convolved), 2, "more would be transposed");
}

/* y stays the name of the result, though nothing is left that makes it. */
Test(cancel_transposes, outputs_of_the_graph) {
    cr_assert_eq(left_of(activations, to_first), 0);
    cr_assert_eq(left_of(activations, NULL), 1);
    cr_assert_eq(left_of(to_first, NULL), 0);
}

/* An operand of another order, computed: its own Transpose does not become that of the sum. */
Test(cancel_transposes, operands_in_two_orders) {
    net n = net_begin(18, DIMS(2, 6, 6, 6));
    cr_value *a = to_last(&n, net_conv(&n, n.x, 6, 3, 1));
    cr_value *b = transpose(&n, net_node(&n, "Relu", IN(n.x)), DIMS(0, 3, 2, 1));
    net_output(&n, to_first(&n, net_node(&n, "Add", IN(a, b))));
    const crease_options o = net_options();
    crease_model *model = net_publish(&n);
    crease_session *s = net_lower(model, &o);
    cr_assert_eq(net_count(s->optimized->ir, "", "Transpose"), 3);
    crease_session_free(s);
    crease_model_free(model);
}
