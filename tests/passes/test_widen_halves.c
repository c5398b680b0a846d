#include "tests/passes/net.h"

/* float32 in and out, float16 or bfloat16 between two Casts. */

static cr_value *cast(net *n, cr_value *x, crease_dtype to) {
    cr_value *y = net_node_int(n, "Cast", IN(x), "to", to);
    y->dtype = to;
    return y;
}

static cr_value *half_constant(net *n, crease_dtype dtype, int rank, const int64_t *dims) {
    const cr_shape shape = cr_shape_of(rank, dims);
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(n->ir->graph, "w", dtype, &shape, &value, &t));
    for (int64_t i = 0; i < cr_shape_n(&shape); i++)
        cr_store_float(dtype, t->data, i, net_random(n, -1, 1));
    return value;
}

static cr_value *half_conv(net *n, cr_value *x, crease_dtype dtype) {
    return net_node(n, "Conv", IN(x, half_constant(n, dtype, DIMS(8, 6, 3, 3))));
}

static int halves_left(const crease_session *s) {
    int left = 0;
    CR_FOR_NODES(node, s->optimized->ir->graph)
    for (int i = 0; i < node->n_outputs; i++)
        left += node->outputs[i] && cr_dtype_is_half(node->outputs[i]->dtype);
    return left;
}

/* Widened or not, results lie within `ulps` roundings of the half type of each other. */
static void expect(net *n, int left, double tolerance) {
    crease_session *lowered, *plain;
    cr_shape shapes[4];
    crease_options o = net_options(), p = net_plain();
    crease_model *model = net_publish(n);
    OK(crease_session_create(model, &o, &lowered));
    OK(crease_session_create(model, &p, &plain));
    OK(cr_model_verify(lowered->optimized->ir));
    cr_assert_eq(halves_left(lowered), left, "%d values of halves are left", halves_left(lowered));
    net_shapes(model, shapes);
    net_result a = net_run(lowered, model, shapes, 3), b = net_run(plain, model, shapes, 3);
    cr_assert_eq(a.n, b.n);
    for (int64_t i = 0; i < a.n; i++)
        cr_assert(fabs(a.values[i] - b.values[i]) <= tolerance * fmax(1, net_largest(&b)), "%g and %g",
                  a.values[i], b.values[i]);
    free(a.values);
    free(b.values);
    crease_session_free(lowered);
    crease_session_free(plain);
    crease_model_free(model);
}

Test(widen_halves, computes_in_float_between_the_casts, .init = net_needs_lanes) {
    static const crease_dtype types[] = {CREASE_FLOAT16, CREASE_BFLOAT16};
    for (int i = 0; i < 2; i++) {
        net n = net_begin(13, DIMS(2, 6, 8, 8));
        cr_value *y = cast(&n, n.x, types[i]);
        y = net_node(&n, "Relu", IN(half_conv(&n, y, types[i])));
        net_output(&n, cast(&n, y, CREASE_FLOAT));
        expect(&n, 2, i ? 0x1p-6 : 0x1p-9); /* what the Casts round, before and behind */
    }
}

Test(widen_halves, a_cast_in_between_still_rounds, .init = net_needs_lanes) {
    net n = net_begin(13, DIMS(1, 6, 8, 8));
    cr_value *y = cast(&n, n.x, CREASE_FLOAT16);
    y = cast(&n, half_conv(&n, y, CREASE_FLOAT16), CREASE_BFLOAT16);
    net_output(&n, cast(&n, net_node(&n, "Relu", IN(y)), CREASE_FLOAT));
    expect(&n, 4, 0x1p-6);
}

Test(widen_halves, elementwise_operators_alone_stay, .init = net_needs_lanes) {
    net n = net_begin(13, DIMS(1, 6, 8, 8));
    cr_value *y = net_node(&n, "Relu", IN(cast(&n, n.x, CREASE_FLOAT16)));
    net_output(&n, cast(&n, y, CREASE_FLOAT));
    expect(&n, 2, 0);
}

/* What folding makes of half weights is not rounded to halves again: results round as they do unfolded. */
Test(widen_halves, sessions_fold_in_float32) {
    net n = net_begin(13, DIMS(1, 6, 7, 7));
    const crease_dtype half = CREASE_FLOAT16;
    cr_value *y = half_conv(&n, cast(&n, n.x, half), half);
    cr_value *in[5] = {y};
    for (int i = 1; i < 5; i++)
        in[i] = half_constant(&n, half, DIMS(8));
    for (int64_t c = 0; c < 8; c++)
        cr_store_float(half, in[4]->constant->data, c, 0.3 + 0.1 * (double)c); /* variances */
    net_output(&n, cast(&n, net_node(&n, "BatchNormalization", 5, in), CREASE_FLOAT));
    crease_model *model = net_publish(&n);
    crease_session *folded, *unfolded;
    crease_options o = net_options();
    OK(crease_session_create(model, &o, &folded));
    o.fold = false;
    OK(crease_session_create(model, &o, &unfolded));
    cr_shape shapes[1];
    net_shapes(model, shapes);
    net_result a = net_run(folded, model, shapes, 3), b = net_run(unfolded, model, shapes, 3);
    cr_assert_eq(net_count(folded->optimized->ir, "", "BatchNormalization"), 0);
    int64_t other = 0;
    for (int64_t i = 0; i < a.n; i++)
        other += a.values[i] != b.values[i];
    /* the Cast rounds both to float16: only what lies on the edge between two numbers may differ */
    cr_assert(other <= a.n / 50, "%d of %d differ", (int)other, (int)a.n);
    free(a.values);
    free(b.values);
    crease_session_free(folded);
    crease_session_free(unfolded);
    crease_model_free(model);
}
