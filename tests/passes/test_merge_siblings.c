#include "tests/passes/net.h"

TestSuite(merge_siblings, .init = net_needs_lanes);

enum { CHANNELS = 48 };

/* x is what the siblings read: in the blocked layout, and of few enough pixels for a test. */
static net begin(cr_value **x) {
    net n = net_begin(13, DIMS(1, 6, 13, 11));
    *x = net_conv(&n, n.x, CHANNELS, 1, 0);
    return n;
}

/* Two that merge where nothing stands against it. */
static void add_two(net *n, cr_value *x) {
    for (int i = 0; i < 2; i++)
        net_output(n, net_conv(n, x, 8, 3, 1));
}

static cr_node *last_conv(const net *n, const cr_value *y) {
    cr_node *node = net_last(n);
    cr_assert(node == y->producer && cr_node_is(node, "Conv"));
    return node;
}

/* Lower with these options, check the values, and count what the convolutions became. */
static void expect_with(net *n, const crease_options *o, int splits, int trims, int convs) {
    crease_model *model = net_publish(n);
    crease_session *s = net_lower(model, o);
    OK(cr_model_verify(s->optimized->ir));
    cr_assert_eq(net_ours(s, "Split"), splits, "%d Split, expected %d", net_ours(s, "Split"), splits);
    cr_assert_eq(net_ours(s, "Trim"), trims, "%d Trim, expected %d", net_ours(s, "Trim"), trims);
    cr_assert_eq(net_ours(s, "Conv"), convs, "%d Conv, expected %d", net_ours(s, "Conv"), convs);
    crease_session_free(s);
    crease_model_free(model);
}

static void expect(net *n, int splits, int trims, int convs) {
    const crease_options o = net_options();
    expect_with(n, &o, splits, trims, convs);
}

/* ---- merged ---- */

Test(merge_siblings, parts_of_whole_blocks) {
    cr_value *x;
    net n = begin(&x);
    net_output(&n, net_conv(&n, x, 8, 3, 1));
    net_output(&n, net_conv(&n, x, 4, 3, 1));
    expect(&n, 1, 0, 2);
}

static void try_counts(void) {
    static const int64_t counts[][2] = {{1, 1}, {1, 8}, {7, 3}, {9, 21}, {17, 32}, {32, 17}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        cr_value *x;
        net n = begin(&x);
        net_output(&n, net_conv(&n, x, counts[i][0], 3, 1));
        net_output(&n, net_conv(&n, x, counts[i][1], 3, 1));
        crease_model *model = net_publish(&n);
        const crease_options o = net_options();
        crease_session_free(net_lower(model, &o));
        crease_model_free(model);
    }
}

Test(merge_siblings, any_channels) {
    try_counts();
}

Test(merge_siblings, any_channels_of_the_widest_lanes) {
    cr_assert_eq(setenv("CREASE_CPU", "avx512", 1), 0);
    try_counts();
}

Test(merge_siblings, odd_parts_are_trimmed) {
    cr_value *x;
    net n = begin(&x);
    net_output(&n, net_conv(&n, x, 9, 3, 1));
    net_output(&n, net_conv(&n, x, 8, 3, 1));
    net_output(&n, net_conv(&n, x, 7, 3, 1));
    expect(&n, 1, 2, 2);
}

Test(merge_siblings, with_their_activation) {
    cr_value *x;
    net n = begin(&x);
    net_output(&n, net_node(&n, "Relu", IN(net_conv(&n, x, 10, 3, 1))));
    net_output(&n, net_node(&n, "Relu", IN(net_conv(&n, x, 8, 3, 1))));
    expect(&n, 1, 1, 2);
}

Test(merge_siblings, a_bias_of_one_alone) {
    for (int which = 0; which < 2; which++) {
        cr_value *x;
        net n = begin(&x);
        for (int i = 0; i < 2; i++) {
            cr_value *y = net_conv(&n, x, 10, 3, 1);
            if (i != which)
                OK(cr_node_keep_inputs(last_conv(&n, y), 2));
            net_output(&n, y);
        }
        expect(&n, 1, 2, 2);
    }
}

Test(merge_siblings, without_bias) {
    cr_value *x;
    net n = begin(&x);
    for (int i = 0; i < 2; i++) {
        cr_value *y = net_conv(&n, x, 10, 3, 1);
        OK(cr_node_keep_inputs(last_conv(&n, y), 2));
        net_output(&n, y);
    }
    expect(&n, 1, 2, 2);
}

/* Larger kernels have a Winograd of their own. */
Test(merge_siblings, of_any_geometry_that_is_the_same) {
    cr_value *x;
    net n = begin(&x);
    net_output(&n, net_conv(&n, x, 8, 5, 2));
    net_output(&n, net_conv(&n, x, 9, 5, 2));
    expect(&n, 1, 1, 2);
}

Test(merge_siblings, what_stands_between_them_keeps_its_order) {
    cr_value *x;
    net n = begin(&x);
    cr_value *a = net_conv(&n, x, 10, 3, 1), *b = net_node(&n, "Relu", IN(net_conv(&n, a, 10, 1, 0)));
    cr_value *c = net_conv(&n, x, 10, 3, 1);
    net_output(&n, net_node(&n, "Mul", IN(net_node(&n, "Mul", IN(b, a)), c)));
    expect(&n, 1, 2, 3);
}

/* A value that no normalisation can be folded into, and that is blocked. */
static cr_value *unfoldable(net *n, cr_value *x) {
    cr_value *c = net_node(n, "Relu", IN(x));
    return net_node(n, "Add", IN(c, net_node(n, "Tanh", IN(c))));
}

/* They read the same value with the same affine and activation. */
Test(merge_siblings, with_what_stands_before_them) {
    cr_value *x;
    net n = begin(&x);
    cr_value *y = net_node(&n, "Relu", IN(net_bn(&n, unfoldable(&n, x))));
    add_two(&n, y);
    expect(&n, 1, 0, 2);
}

/* A residual that is a part of something else is read where it lies. */
Test(merge_siblings, parts_are_residuals) {
    cr_value *x;
    net n = begin(&x);
    cr_value *a = net_conv(&n, x, 8, 3, 1), *b = net_conv(&n, x, 8, 3, 1);
    net_output(&n, net_node(&n, "Add", IN(net_conv(&n, a, 8, 3, 1), b)));
    net_output(&n, net_node(&n, "Add", IN(net_conv(&n, b, 8, 3, 1), a)));
    expect(&n, 1, 0, 4);
}

Test(merge_siblings, the_step_names_them_all) {
    cr_value *x;
    net n = begin(&x);
    cr_value *a = net_conv(&n, x, 8, 3, 1), *b = net_conv(&n, x, 8, 3, 1);
    net_output(&n, a);
    net_output(&n, b);
    char first[64], with[80];
    snprintf(first, sizeof first, "%s", a->producer->name);
    snprintf(with, sizeof with, "with '%s'", b->producer->name);
    crease_model *model = net_publish(&n);
    const crease_options o = net_options();
    crease_session *s = net_lower(model, &o);
    crease_step step = {.struct_size = sizeof step};
    bool found = false;
    for (size_t i = 0; crease_session_step_at(s, i, &step); i++)
        found = found || (strcmp(step.node, first) == 0 && strcmp(step.note, with) == 0);
    cr_assert(found);
    crease_session_free(s);
    crease_model_free(model);
}

/* ---- not merged ---- */

static void stays_with(net *n, const crease_options *o) {
    crease_model *model = net_publish(n);
    crease_session *s = net_lower(model, o);
    cr_assert_eq(net_ours(s, "Split"), 0);
    crease_session_free(s);
    crease_model_free(model);
}

static void stays(net *n) {
    const crease_options o = net_options();
    stays_with(n, &o);
}

typedef struct behind {
    const char *op; /* NULL: nothing */
    float alpha;    /* 0: without */
} behind;

static cr_value *add_behind(net *n, cr_value *y, const behind *what) {
    cr_value *out;
    if (!what->op)
        return y;
    cr_node *node = net_add(n, what->op, 1, &y, 1, &out);
    if (what->alpha > 0)
        OK(cr_node_set_float(node, "alpha", what->alpha));
    net_infer(n);
    return out;
}

Test(merge_siblings, other_activations) {
    static const behind pairs[][2] = {
        {{"Relu", 0}, {NULL, 0}}, {{"Relu", 0}, {"Sigmoid", 0}}, {{"LeakyRelu", 0.2F}, {"LeakyRelu", 0.3F}}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        cr_value *x;
        net n = begin(&x);
        for (int k = 0; k < 2; k++)
            net_output(&n, add_behind(&n, net_conv(&n, x, 8, 3, 1), &pairs[i][k]));
        stays(&n);
    }
}

Test(merge_siblings, other_geometry) {
    static const char *const lists[] = {"strides", "pads", "dilations"};
    static const int64_t values[][4] = {{2, 2}, {0, 0, 1, 1}, {2, 2}};
    for (int i = 0; i < 3; i++) {
        cr_value *x;
        net n = begin(&x);
        net_output(&n, net_conv(&n, x, 8, 3, 1));
        cr_value *y = net_conv(&n, x, 8, 3, 1);
        OK(cr_node_set_ints(last_conv(&n, y), lists[i], values[i], i == 1 ? 4 : 2));
        y->shape = cr_shape_unknown();
        net_infer(&n);
        net_output(&n, y);
        stays(&n);
    }
}

Test(merge_siblings, other_kernels) {
    cr_value *x;
    net n = begin(&x);
    net_output(&n, net_conv(&n, x, 8, 3, 1));
    net_output(&n, net_conv(&n, x, 8, 5, 2));
    stays(&n);
}

Test(merge_siblings, other_padding_of_the_same_name) {
    static const char *const pads[] = {"SAME_UPPER", "VALID"};
    cr_value *x;
    net n = begin(&x);
    for (int i = 0; i < 2; i++) {
        cr_value *y = net_conv(&n, x, 8, 3, 0);
        cr_node_remove_attr(last_conv(&n, y), "pads");
        OK(cr_node_set_string(last_conv(&n, y), "auto_pad", pads[i]));
        y->shape = cr_shape_unknown();
        net_infer(&n);
        net_output(&n, y);
    }
    stays(&n);
}

Test(merge_siblings, other_inputs) {
    cr_value *x;
    net n = begin(&x);
    net_output(&n, net_conv(&n, x, 8, 3, 1));
    net_output(&n, net_conv(&n, net_node(&n, "Relu", IN(x)), 8, 3, 1));
    stays(&n);
}

Test(merge_siblings, groups) {
    cr_value *x;
    net n = begin(&x);
    for (int i = 0; i < 2; i++) {
        cr_value *y, *inputs[] = {x, net_floats(&n, -0.1, 0.1, DIMS(8, CHANNELS / 2, 3, 3))};
        OK(cr_node_set_int(net_add(&n, "Conv", 2, inputs, 1, &y), "group", 2));
        net_infer(&n);
        net_output(&n, y);
    }
    stays(&n);
}

Test(merge_siblings, a_sum_that_one_takes_in) {
    cr_value *x;
    net n = begin(&x);
    net_output(&n, net_conv(&n, x, CHANNELS, 3, 1));
    net_output(&n, net_node(&n, "Add", IN(net_conv(&n, x, CHANNELS, 3, 1), x)));
    stays(&n);
}

Test(merge_siblings, slopes) {
    cr_value *x;
    net n = begin(&x);
    for (int i = 0; i < 2; i++)
        net_output(
            &n, net_node(&n, "PRelu", IN(net_conv(&n, x, 8, 3, 1), net_floats(&n, 0.1, 0.3, DIMS(8, 1, 1)))));
    stays(&n);
}

/* Each reads the same value, but through another affine. */
Test(merge_siblings, other_prologues) {
    cr_value *x;
    net n = begin(&x);
    cr_value *y = unfoldable(&n, x);
    for (int i = 0; i < 2; i++)
        net_output(&n, net_conv(&n, net_node(&n, "Relu", IN(net_bn(&n, y))), 8, 3, 1));
    stays(&n);
}

/* An affine without an activation goes into the weights and the border of each. */
Test(merge_siblings, tap_sums) {
    cr_value *x;
    net n = begin(&x);
    cr_value *y = net_bn(&n, unfoldable(&n, x));
    add_two(&n, y);
    stays(&n);
}

/* A part would have to be copied to where it is concatenated. */
Test(merge_siblings, what_is_concatenated) {
    cr_value *x;
    net n = begin(&x);
    cr_value *a = net_conv(&n, x, 8, 3, 1), *b = net_conv(&n, x, 8, 3, 1);
    net_output(&n, a);
    net_output(&n, net_node_int(&n, "Concat", IN(b, x), "axis", 1));
    stays(&n);
}

Test(merge_siblings, several_images) {
    net n = net_begin(13, DIMS(2, 6, 13, 11));
    cr_value *x = net_conv(&n, n.x, CHANNELS, 1, 0);
    add_two(&n, x);
    stays(&n);
}

Test(merge_siblings, unknown_extents) {
    for (int d = 0; d < 4; d += 2) {
        net n = net_begin(13, DIMS(1, 6, 13, 11));
        OK(cr_model_symbol(n.ir, "any", &n.x->shape.dims[d]));
        cr_value *x = net_conv(&n, n.x, CHANNELS, 1, 0);
        add_two(&n, x);
        const crease_options o = net_options();
        crease_model *model = net_publish(&n);
        crease_session *s;
        OK(crease_session_create(model, &o, &s));
        cr_assert_eq(net_ours(s, "Split"), 0);
        crease_session_free(s);
        crease_model_free(model);
    }
}

/* A single tap reads its input as it lies, and is as fast for these channels as for twice as many. */
Test(merge_siblings, one_tap) {
    cr_value *x;
    net n = begin(&x);
    net_output(&n, net_conv(&n, x, 32, 1, 0));
    net_output(&n, net_conv(&n, x, 32, 1, 0));
    stays(&n);
}

Test(merge_siblings, without_winograd) {
    for (int i = 0; i < 2; i++) {
        crease_options o = net_options();
        cr_value *x;
        net n = begin(&x);
        add_two(&n, x);
        o.exact = i == 0;
        o.convolution = i == 0 ? NULL : "direct";
        stays_with(&n, &o);
    }
}

/* A stem reads its input as it lies. */
Test(merge_siblings, stems) {
    net n = net_begin(13, DIMS(1, 3, 13, 11));
    add_two(&n, n.x);
    stays(&n);
}
