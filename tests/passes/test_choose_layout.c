#include "tests/passes/net.h"

static crease_session *lower(net *n, crease_model **model) {
    const crease_options o = net_options();
    *model = net_publish(n);
    return net_lower(*model, &o);
}

static void end(crease_session *session, crease_model *model) {
    OK(cr_model_verify(session->optimized->ir));
    crease_session_free(session);
    crease_model_free(model);
}

Test(choose_layout, slopes_by_channel_need_a_convolution_before_them, .init = net_needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(1, 5, 4, 4));
    net_output(&n, net_node(&n, "PRelu", IN(n.x, net_floats(&n, -1, 1, DIMS(5, 1, 1)))));
    crease_session *s = lower(&n, &model);
    cr_assert_eq(net_ours(s, "Activation"), 0);
    cr_assert_eq(net_count(s->optimized->ir, "", "PRelu"), 1);
    end(s, model);
}

Test(choose_layout, slopes_by_channel_follow_a_convolution, .init = net_needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(1, 5, 4, 4));
    cr_value *y = net_conv(&n, n.x, 6, 3, 1);
    net_output(&n, net_node(&n, "PRelu", IN(y, net_floats(&n, -1, 1, DIMS(6, 1, 1)))));
    crease_session *s = lower(&n, &model);
    cr_assert_eq(net_count(s->optimized->ir, "", "PRelu"), 0);
    cr_assert_eq(net_ours(s, "Conv"), 1);
    end(s, model);
}

Test(choose_layout, slopes_by_pixel_stay_plain, .init = net_needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(1, 5, 4, 4));
    cr_value *y = net_conv(&n, n.x, 6, 3, 1);
    net_output(&n, net_node(&n, "PRelu", IN(y, net_floats(&n, -1, 1, DIMS(6, 4, 4)))));
    crease_session *s = lower(&n, &model);
    cr_assert_eq(net_count(s->optimized->ir, "", "PRelu"), 1);
    cr_assert_eq(net_ours(s, "ToPlain"), 1);
    end(s, model);
}

/* The second part of an image lies where a sum of physical sizes does not lead: 2 images, and blocks cut. */
Test(choose_layout, split_parts_of_several_images, .init = net_needs_lanes) {
    for (int64_t first = 1; first < 9; first++) {
        crease_model *model;
        cr_value *parts[2];
        net n = net_begin(13, DIMS(2, 5, 3, 3));
        cr_value *y = net_conv(&n, n.x, 9, 1, 0);
        cr_value *inputs[] = {y, net_ints(&n, 2, (int64_t[]){first, 9 - first})};
        OK(cr_node_set_int(net_add(&n, "Split", 2, inputs, 2, parts), "axis", 1));
        net_infer(&n);
        net_output(&n, net_node(&n, "Relu", IN(parts[0])));
        net_output(&n, net_node(&n, "Relu", IN(parts[1])));
        crease_session *s = lower(&n, &model);
        cr_assert_eq(net_ours(s, "Split"), 1);
        end(s, model);
    }
}

/* What is computed from data decides an extent: everything behind it is given memory when it runs. */
Test(choose_layout, extents_that_depend_on_data, .init = net_needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(1, 5, 4, 4));
    cr_value *y = net_conv(&n, n.x, 6, 1, 0), *sizes, *up;
    cr_value *size = net_node(&n, "ReduceMax", IN(net_node(&n, "Abs", IN(n.x))));
    size = net_node(&n, "Add", IN(net_node(&n, "Ceil", IN(size)), net_scalar(&n, 4)));
    OK(cr_node_set_int(net_add(&n, "Cast", 1, (cr_value *[]){size}, 1, &size), "to", CREASE_INT64));
    net_infer(&n);
    size = net_node(&n, "Reshape", IN(size, net_ints(&n, 1, (int64_t[]){1})));
    sizes = net_node_int(&n, "Concat", IN(net_ints(&n, 2, (int64_t[]){1, 6}), size, size), "axis", 0);
    cr_value *in[] = {y, NULL, NULL, sizes};
    OK(cr_node_set_string(net_add(&n, "Resize", 4, in, 1, &up), "mode", "linear"));
    net_infer(&n);
    cr_value *gate =
        net_node(&n, "Sigmoid", IN(net_conv(&n, net_node(&n, "GlobalAveragePool", IN(y)), 6, 1, 0)));
    up->shape = cr_shape_of(4, (int64_t[]){1, 6, CR_DIM_UNKNOWN, CR_DIM_UNKNOWN});
    y = net_conv(&n, up, 7, 3, 1);
    y = net_node(&n, "Relu", IN(net_conv(&n, y, 6, 1, 0)));
    net_output(&n, net_conv(&n, net_node(&n, "Mul", IN(y, gate)), 3, 1, 0));
    crease_session *s = lower(&n, &model);
    cr_assert_geq(net_ours(s, "Conv"), 3);
    end(s, model);
}

/* Extents of x that are symbols, for values that are computed from it afterwards. */
static net begin_dynamic(int64_t channels) {
    net n = net_begin(13, DIMS(1, channels, 8, 8));
    OK(cr_model_symbol(n.ir, "n", &n.x->shape.dims[0]));
    OK(cr_model_symbol(n.ir, "h", &n.x->shape.dims[2]));
    OK(cr_model_symbol(n.ir, "w", &n.x->shape.dims[3]));
    return n;
}

static cr_value *strided(net *n, cr_value *x, int64_t oc, int64_t kernel, int64_t pad) {
    cr_value *y = net_conv(n, x, oc, kernel, pad);
    OK(cr_node_set_ints(net_last(n), "strides", (int64_t[]){2, 2}, 2));
    y->shape = cr_shape_unknown();
    net_infer(n);
    return y;
}

/* A convolution whose input has channels that inference does not know. */
static cr_value *conv_of(net *n, cr_value *x, int64_t channels) {
    x->shape.dims[1] = channels;
    return net_conv(n, x, 5, 3, 1);
}

/* Without what the building of the network has stated. */
static void forget_shapes(net *n) {
    CR_FOR_NODES(node, n->ir->graph)
    for (int i = 0; i < node->n_outputs; i++)
        node->outputs[i]->shape = cr_shape_unknown();
    net_infer(n);
}

/* One session for several shapes, whose plans share the weights, gives what the plain layout gives. */
static crease_session *lower_dynamic(net *n, crease_model **model) {
    static const int64_t sizes[][3] = {{1, 8, 8}, {2, 7, 9}, {1, 12, 5}, {3, 8, 8}, {1, 5, 6}};
    const crease_options o = net_options(), p = net_plain();
    crease_session *lowered, *plain;
    forget_shapes(n);
    *model = net_publish(n);
    OK(crease_session_create(*model, &o, &lowered));
    OK(crease_session_create(*model, &p, &plain));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t *s = sizes[i];
        const cr_shape shape =
            cr_shape_of(4, (int64_t[]){s[0], (*model)->inputs[0]->shape.dims[1], s[1], s[2]});
        net_result got = net_run(lowered, *model, &shape, 5), expected = net_run(plain, *model, &shape, 5);
        cr_assert_eq(got.n, expected.n);
        for (int64_t k = 0; k < got.n; k++)
            cr_assert(fabs(got.values[k] - expected.values[k]) <= 1e-5 * fmax(1, net_largest(&expected)),
                      "element %lld: %.9g, expected %.9g", (long long)k, got.values[k], expected.values[k]);
        free(got.values);
        free(expected.values);
    }
    crease_session_free(plain);
    return lowered;
}

/* x, reshaped to as many of its extents as are above a zero that is computed from it. */
static cr_value *of_unknown_rank(net *n, cr_value *x) {
    cr_value *shape = net_node(n, "Shape", IN(x));
    cr_value *largest =
        net_node(n, "Reshape",
                 IN(net_node(n, "ReduceMax", IN(net_node(n, "Abs", IN(x)))), net_ints(n, 1, (int64_t[]){1})));
    cr_value *floats = net_node_int(n, "Cast", IN(shape), "to", CREASE_FLOAT);
    cr_value *above = net_node(n, "Greater", IN(floats, net_node(n, "Sub", IN(largest, largest))));
    cr_value *which =
        net_node(n, "Reshape", IN(net_node(n, "NonZero", IN(above)), net_ints(n, 1, (int64_t[]){-1})));
    return net_node(n, "Reshape", IN(x, net_node(n, "Gather", IN(shape, which))));
}

Test(choose_layout, convolutions_of_unknown_rank, .init = net_needs_lanes) {
    crease_model *model;
    net n = begin_dynamic(6);
    cr_value *y = of_unknown_rank(&n, n.x);
    y->shape = cr_shape_of(4, (int64_t[]){CR_DIM_UNKNOWN, 6, CR_DIM_UNKNOWN, CR_DIM_UNKNOWN});
    y = net_node(&n, "Relu", IN(net_conv(&n, y, 7, 3, 1)));
    net_output(&n, net_conv(&n, y, 5, 3, 1));
    crease_session *s = lower_dynamic(&n, &model);
    cr_assert_eq(net_ours(s, "Conv"), 2);
    cr_assert_eq(net_ours(s, "ToBlocked"), 1);
    cr_assert_eq(net_ours(s, "ToPlain"), 1);
    end(s, model);
}

Test(choose_layout, sums_of_dynamic_extents, .init = net_needs_lanes) {
    crease_model *model;
    net n = begin_dynamic(6);
    cr_value *a = strided(&n, n.x, 9, 3, 1), *b = strided(&n, n.x, 9, 1, 0);
    cr_value *sum = net_node(&n, "Relu", IN(net_node(&n, "Add", IN(a, b))));
    cr_value *c = net_conv(&n, net_node(&n, "Relu", IN(net_conv(&n, sum, 9, 3, 1))), 9, 3, 1);
    net_output(&n, net_node(&n, "Add", IN(sum, c)));
    crease_session *s = lower_dynamic(&n, &model);
    cr_assert_eq(net_count(s->optimized->ir, "", "Add"), 0);
    cr_assert_eq(net_ours(s, "Add"), 0); /* residuals of the convolutions */
    cr_assert_eq(net_ours(s, "ToPlain"), 1);
    end(s, model);
}

/* Equal for even extents only: the run fails for the others, and does not read what is not there. */
Test(choose_layout, sums_of_extents_that_may_differ, .init = net_needs_lanes) {
    crease_model *model;
    crease_session *s;
    net n = begin_dynamic(6);
    cr_value *a = strided(&n, n.x, 9, 3, 1), *b = strided(&n, n.x, 9, 2, 0);
    net_output(&n, net_node(&n, "Add", IN(a, b)));
    const crease_options o = net_options();
    model = net_publish(&n);
    OK(crease_session_create(model, &o, &s));
    cr_assert_eq(net_count(s->optimized->ir, "", "Add"), 1);
    const cr_shape even = cr_shape_of(4, (int64_t[]){1, 6, 8, 8}),
                   odd = cr_shape_of(4, (int64_t[]){1, 6, 9, 8});
    net_set_inputs(s, model, &odd, 3);
    cr_assert_neq(crease_session_run(s), CREASE_OK);
    net_set_inputs(s, model, &even, 3);
    OK(crease_session_run(s));
    end(s, model);
}

static cr_value *part_of_shape(net *n, cr_value *x, int64_t from, int64_t to) {
    cr_value *shape = net_node(n, "Shape", IN(x));
    return net_node(n, "Slice", IN(shape, net_ints(n, 1, &from), net_ints(n, 1, &to)));
}

static cr_value *resize_to(net *n, cr_value *x, cr_value *sizes) {
    cr_value *y, *inputs[] = {x, NULL, NULL, sizes};
    OK(cr_node_set_string(net_add(n, "Resize", 4, inputs, 1, &y), "mode", "linear"));
    net_infer(n);
    return y;
}

Test(choose_layout, resizes_to_the_size_of_another, .init = net_needs_lanes) {
    crease_model *model;
    net n = begin_dynamic(6);
    cr_value *x = net_conv(&n, n.x, 9, 3, 1), *y = strided(&n, x, 7, 3, 1);
    cr_value *sizes =
        net_node_int(&n, "Concat", IN(part_of_shape(&n, y, 0, 2), part_of_shape(&n, x, 2, 4)), "axis", 0);
    y = net_node_int(&n, "Concat", IN(resize_to(&n, y, sizes), x), "axis", 1);
    net_output(&n, conv_of(&n, y, 16));
    crease_session *s = lower_dynamic(&n, &model);
    cr_assert_eq(net_ours(s, "Resize"), 1);
    cr_assert_eq(net_ours(s, "Concat"), 1);
    cr_assert_eq(net_ours(s, "ToPlain"), 1);
    end(s, model);
}

Test(choose_layout, resizes_of_other_axes_stay_plain, .init = net_needs_lanes) {
    crease_model *model;
    net n = begin_dynamic(6);
    cr_value *x = net_conv(&n, n.x, 9, 3, 1);
    cr_value *sizes = net_node_int(
        &n, "Concat",
        IN(part_of_shape(&n, x, 2, 3), net_ints(&n, 1, (int64_t[]){9}), part_of_shape(&n, x, 2, 4)), "axis",
        0);
    net_output(&n, resize_to(&n, x, sizes));
    crease_session *s = lower_dynamic(&n, &model);
    cr_assert_eq(net_ours(s, "Resize"), 0);
    end(s, model);
}

/* Reshape to what `split` says, Transpose of axes 1 and 2, Reshape to what `back` says. */
static cr_value *shuffled(net *n, cr_value *x, cr_value *split, cr_value *back) {
    cr_value *turned, *parts = net_node(n, "Reshape", IN(x, split));
    OK(cr_node_set_ints(net_add(n, "Transpose", 1, &parts, 1, &turned), "perm", (int64_t[]){0, 2, 1, 3, 4},
                        5));
    net_infer(n);
    return net_node(n, "Reshape", IN(turned, back));
}

static void expect_shuffle(net *n, cr_value *y, int choices) {
    crease_model *model;
    net_output(n, conv_of(n, y, 10));
    crease_session *s = lower_dynamic(n, &model);
    cr_assert_eq(net_ours(s, "Channels"), choices);
    cr_assert_eq(net_count(s->optimized->ir, "", "Reshape"), 2 - 2 * choices);
    end(s, model);
}

Test(choose_layout, shuffles_by_computed_shapes, .init = net_needs_lanes) {
    net n = begin_dynamic(6);
    cr_value *x = net_conv(&n, n.x, 10, 3, 1), *groups = net_ints(&n, 2, (int64_t[]){2, 5}),
             *ten = net_ints(&n, 1, (int64_t[]){10});
    cr_value *split = net_node_int(
        &n, "Concat", IN(part_of_shape(&n, x, 0, 1), groups, part_of_shape(&n, x, 2, 4)), "axis", 0);
    cr_value *back = net_node_int(&n, "Concat",
                                  IN(part_of_shape(&n, x, 0, 1), ten, part_of_shape(&n, x, 2, 4)), "axis", 0);
    expect_shuffle(&n, shuffled(&n, x, split, back), 1);
}

Test(choose_layout, shuffles_with_an_extent_to_find, .init = net_needs_lanes) {
    net n = begin_dynamic(6);
    cr_value *x = net_conv(&n, n.x, 10, 3, 1), *groups = net_ints(&n, 2, (int64_t[]){2, -1}),
             *rest = net_ints(&n, 1, (int64_t[]){-1});
    cr_value *split = net_node_int(
        &n, "Concat", IN(part_of_shape(&n, x, 0, 1), groups, part_of_shape(&n, x, 2, 4)), "axis", 0);
    cr_value *back = net_node_int(
        &n, "Concat", IN(part_of_shape(&n, x, 0, 1), rest, part_of_shape(&n, x, 2, 4)), "axis", 0);
    expect_shuffle(&n, shuffled(&n, x, split, back), 1);
}

/* Height and width change places: the same number of elements, but no choice of channels. */
Test(choose_layout, no_shuffle_of_other_pixels, .init = net_needs_lanes) {
    net n = begin_dynamic(6);
    cr_value *x = net_conv(&n, n.x, 10, 3, 1), *groups = net_ints(&n, 2, (int64_t[]){2, 5}),
             *back = net_ints(&n, 1, (int64_t[]){10});
    cr_value *h = part_of_shape(&n, x, 2, 3), *w = part_of_shape(&n, x, 3, 4),
             *batch = part_of_shape(&n, x, 0, 1);
    cr_value *split = net_node_int(&n, "Concat", IN(batch, groups, w, h), "axis", 0);
    back = net_node_int(&n, "Concat", IN(batch, back, h, w), "axis", 0);
    expect_shuffle(&n, shuffled(&n, x, split, back), 0);
}

/* Reshape [N C / g, g, pixels], Transpose, Reshape [g, N, C / g, 4, 6], and one of the g. */
static cr_value *every(net *n, cr_value *x, int64_t pixels, int64_t index) {
    const int64_t c = x->shape.dims[1];
    cr_value *turned, *parts = net_node(n, "Reshape", IN(x, net_ints(n, 3, (int64_t[]){-1, 2, pixels})));
    OK(cr_node_set_ints(net_add(n, "Transpose", 1, &parts, 1, &turned), "perm", (int64_t[]){1, 0, 2}, 3));
    net_infer(n);
    cr_value *all = net_node(n, "Reshape", IN(turned, net_ints(n, 5, (int64_t[]){2, -1, c / 2, 4, 6})));
    cr_value *at = net_ints(n, 1, &index);
    at->shape.rank = at->constant->shape.rank = 0;
    return net_node(n, "Gather", IN(all, at));
}

Test(choose_layout, every_other_channel, .init = net_needs_lanes) {
    for (int64_t batch = 1; batch < 4; batch += 2)
        for (int64_t index = -2; index < 2; index++)
            for (int right = 0; right < 2; right++) {
                crease_model *model;
                net n = net_begin(13, DIMS(batch, 6, 4, 6));
                cr_value *x = net_conv(&n, n.x, 10, 3, 1);
                net_output(&n, every(&n, x, right ? 24 : 12, index));
                crease_session *s = lower(&n, &model);
                cr_assert_eq(net_ours(s, "Channels"), right);
                cr_assert_eq(net_count(s->optimized->ir, "", "Gather"), !right);
                end(s, model);
            }
}

/* ---- bounds that are computed from extents ---- */

/* Half of extent `axis` of x, as exporters write it: Shape, Gather, Add, Div, Mul. */
static cr_value *half_of(net *n, cr_value *x, int64_t axis) {
    cr_value *shape = net_node(n, "Shape", IN(x)), *one = net_ints(n, 1, (int64_t[]){1});
    cr_value *extent = net_node(n, "Gather", IN(shape, net_ints(n, 1, &axis)));
    cr_value *two = net_ints(n, 1, (int64_t[]){2});
    cr_value *half = net_node(n, "Div", IN(net_node(n, "Add", IN(extent, one)), two));
    return net_node(n, "Mul", IN(half, one));
}

/* The first half of an axis behind one convolution and before another. */
static void expect_slice(int64_t axis, int64_t channels, int left) {
    crease_model *model;
    net n = begin_dynamic(6);
    cr_value *y = net_node(&n, "Relu", IN(net_conv(&n, n.x, 10, 3, 1)));
    cr_value *zero = net_ints(&n, 1, (int64_t[]){0}), *at = net_ints(&n, 1, &axis);
    net_output(&n, conv_of(&n, net_node(&n, "Slice", IN(y, zero, half_of(&n, y, axis), at)), channels));
    crease_session *s = lower_dynamic(&n, &model);
    cr_assert_eq(net_count(s->optimized->ir, "", "Slice"), left);
    cr_assert_eq(net_count(s->optimized->ir, "", "Div"), left);
    end(s, model);
}

Test(choose_layout, known_bounds_of_dynamic_values_are_constants, .init = net_needs_lanes) {
    expect_slice(1, 5, 0);
}

/* Half of the half: the second bound is known only through what the first one cuts off. */
Test(choose_layout, known_bounds_follow_from_known_bounds, .init = net_needs_lanes) {
    crease_model *model;
    net n = begin_dynamic(6);
    cr_value *y = net_node(&n, "Relu", IN(net_conv(&n, n.x, 10, 3, 1)));
    cr_value *zero = net_ints(&n, 1, (int64_t[]){0}), *one = net_ints(&n, 1, (int64_t[]){1});
    for (int i = 0; i < 2; i++)
        y = net_node(&n, "Slice", IN(y, zero, half_of(&n, y, 1), one));
    net_output(&n, conv_of(&n, y, 3));
    crease_session *s = lower_dynamic(&n, &model);
    cr_assert_eq(net_count(s->optimized->ir, "", "Slice"), 0);
    end(s, model);
}

Test(choose_layout, bounds_that_inputs_decide_stay, .init = net_needs_lanes) {
    expect_slice(2, 10, 1);
}

/* The greatest of no number, in either layout. */
Test(choose_layout, a_maximum_over_the_padding_alone, .init = net_needs_lanes) {
    crease_model *model;
    crease_session *sessions[2];
    cr_shape shapes[1];
    net n = net_begin(13, DIMS(1, 6, 4, 6));
    cr_value *y = net_conv(&n, n.x, 8, 3, 1), *pooled;
    cr_node *pool = net_add(&n, "MaxPool", IN(y), 1, &pooled);
    OK(cr_node_set_ints(pool, "kernel_shape", (int64_t[]){1, 1}, 2));
    OK(cr_node_set_ints(pool, "pads", (int64_t[]){1, 0, 0, 0}, 4));
    net_infer(&n);
    net_output(&n, pooled);
    model = net_publish(&n);
    const crease_options options[] = {net_options(), net_plain()};
    net_shapes(model, shapes);
    for (int i = 0; i < 2; i++) {
        OK(crease_session_create(model, &options[i], &sessions[i]));
        net_result r = net_run(sessions[i], model, shapes, 3);
        cr_assert_eq(r.n, 8 * 5 * 6);
        for (int64_t e = 0; e < r.n; e++)
            cr_assert(e % 30 < 6 ? isinf(r.values[e]) && r.values[e] < 0 : isfinite(r.values[e]),
                      "layout %d, element %lld: %g", i, (long long)e, r.values[e]);
        free(r.values);
    }
    cr_assert_eq(net_ours(sessions[0], "MaxPool"), 1);
    for (int i = 0; i < 2; i++)
        crease_session_free(sessions[i]);
    crease_model_free(model);
}
