#include "tests/passes/net.h"

TestSuite(fuse_gemm, .init = net_needs_lanes);

enum { K = 9, N = 11 };

static cr_value *product(net *n, cr_value *x) {
    return net_node(n, "MatMul", IN(x, net_floats(n, -0.5, 0.5, DIMS(x->shape.dims[x->shape.rank - 1], N))));
}

static cr_value *bias(net *n) {
    return net_floats(n, -1, 1, DIMS(N));
}

/* How many products of ours there are, and how many Adds and Activations are left. */
static void expect(net *n, int products, int adds, int activations) {
    const crease_options o = net_options();
    crease_model *model = net_publish(n);
    crease_session *s = net_lower(model, &o);
    cr_assert_eq(net_ours(s, "MatMul") + net_ours(s, "Gemm"), products);
    cr_assert_eq(net_count(s->optimized->ir, "", "Add"), adds);
    cr_assert_eq(net_ours(s, "Activation"), activations);
    crease_session_free(s);
    crease_model_free(model);
}

Test(fuse_gemm, a_bias_and_an_activation) {
    static const char *const acts[] = {"Relu", "Sigmoid", "Tanh", "HardSwish", "Elu"};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        for (int64_t rows = 1; rows < 60; rows += 29) { /* few rows are not worth packing */
            net n = net_begin(14, DIMS(rows, K));
            net_output(&n, net_node(&n, acts[i], IN(net_node(&n, "Add", IN(product(&n, n.x), bias(&n))))));
            expect(&n, 1, 0, 0);
        }
}

Test(fuse_gemm, batches_of_matrices) {
    net n = net_begin(14, DIMS(2, 3, 7, K));
    cr_value *y = net_node(&n, "Add", IN(net_floats(&n, -1, 1, DIMS(1, 1, N)), product(&n, n.x)));
    net_output(&n, net_node(&n, "Relu", IN(y)));
    expect(&n, 1, 0, 0);
}

Test(fuse_gemm, a_residual_in_any_order) {
    for (int order = 0; order < 4; order++)
        for (int64_t rows = 2; rows < 60; rows += 29) {
            net n = net_begin(14, DIMS(rows, N));
            cr_value *other = net_node(&n, "Exp", IN(n.x)), *y = product(&n, n.x), *b = bias(&n);
            y = order & 1 ? net_node(&n, "Add", IN(y, b)) : net_node(&n, "Add", IN(other, y));
            y = order & 1 ? net_node(&n, "Add", IN(y, other)) : net_node(&n, "Add", IN(y, b));
            net_output(&n, order & 2 ? net_node(&n, "Relu", IN(y)) : y);
            expect(&n, 1, 0, 0);
        }
}

Test(fuse_gemm, a_residual_that_is_computed_later_and_one_that_lives_on) {
    net n = net_begin(14, DIMS(40, N));
    cr_value *y = product(&n, n.x), *later = net_node(&n, "Exp", IN(n.x));
    y = net_node(&n, "Add", IN(y, later));
    net_output(&n, net_node(&n, "Sub", IN(y, later)));
    expect(&n, 1, 0, 0);
}

Test(fuse_gemm, the_input_as_residual) {
    net n = net_begin(14, DIMS(40, N));
    cr_value *x = net_node(&n, "Exp", IN(n.x));
    net_output(&n, net_node(&n, "Add", IN(product(&n, x), x)));
    expect(&n, 1, 0, 0);
}

Test(fuse_gemm, two_products_added) {
    net n = net_begin(14, DIMS(40, N));
    cr_value *a = net_node(&n, "Add", IN(product(&n, n.x), bias(&n)));
    net_output(&n, net_node(&n, "Add", IN(a, product(&n, n.x))));
    expect(&n, 1, 0, 0); /* the other one has nothing to take */
}

static cr_value *gemm(net *n, cr_value *c, const char *attr, int64_t number) {
    cr_value *y, *inputs[] = {n->x, net_floats(n, -0.5, 0.5, DIMS(N, K)), c};
    cr_node *node = net_add(n, "Gemm", c ? 3 : 2, inputs, 1, &y);
    OK(cr_node_set_int(node, "transB", 1));
    if (attr && strcmp(attr, "transA") == 0)
        OK(cr_node_set_int(node, attr, number));
    else if (attr)
        OK(cr_node_set_float(node, attr, (float)number));
    net_infer(n);
    return y;
}

Test(fuse_gemm, gemm_with_its_bias) {
    for (int64_t rows = 1; rows < 60; rows += 29) {
        net n = net_begin(14, DIMS(rows, K));
        net_output(&n, net_node(&n, "Relu", IN(gemm(&n, bias(&n), NULL, 0))));
        expect(&n, 1, 0, 0);
        n = net_begin(14, DIMS(rows, K));
        net_output(&n, net_node(&n, "Relu", IN(gemm(&n, NULL, NULL, 0))));
        expect(&n, 1, 0, 0);
    }
}

Test(fuse_gemm, what_does_not_fit_stays) {
    net n = net_begin(14, DIMS(K, K));
    net_output(&n, gemm(&n, bias(&n), "alpha", 2));
    net_output(&n, gemm(&n, bias(&n), "beta", 2));
    net_output(&n, gemm(&n, bias(&n), "transA", 1));
    net_output(&n, gemm(&n, net_floats(&n, -1, 1, DIMS(K, 1)), NULL, 0));
    expect(&n, 0, 0, 0);

    n = net_begin(14, DIMS(5, K));
    cr_value *y = product(&n, n.x);
    net_output(&n, y); /* seen, so that it stays */
    net_output(&n, net_node(&n, "Add", IN(y, bias(&n))));
    expect(&n, 0, 1, 0);

    n = net_begin(14, DIMS(1, K));
    cr_value *wide = net_input(&n, "wide", 2, (const int64_t[]){4, N});
    net_output(&n, net_node(&n, "Add", IN(product(&n, n.x), wide))); /* the sum is larger than the product */
    expect(&n, 0, 1, 0);
}
