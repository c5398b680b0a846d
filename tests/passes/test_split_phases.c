#include "tests/passes/net.h"

TestSuite(split_phases, .init = net_needs_lanes);

typedef struct turned {
    int64_t oc, kernel[2], stride, pads[4], more[2];
} turned;

static cr_value *add_turned(net *n, cr_value *x, const turned *t, int64_t group, bool bias) {
    const int64_t ic = x->shape.dims[1], taps = ic * t->kernel[0] * t->kernel[1];
    const double range = sqrt(3.0 * (double)(t->stride * t->stride) / (double)taps);
    cr_value *inputs[] = {x, net_floats(n, -range, range, DIMS(ic, t->oc, t->kernel[0], t->kernel[1])),
                          bias ? net_floats(n, -0.5, 0.5, DIMS(t->oc * group)) : NULL};
    cr_value *y;
    cr_node *node = net_add(n, "ConvTranspose", bias ? 3 : 2, inputs, 1, &y);
    OK(cr_node_set_ints(node, "strides", (int64_t[]){t->stride, t->stride}, 2));
    OK(cr_node_set_ints(node, "pads", t->pads, 4));
    OK(cr_node_set_ints(node, "output_padding", t->more, 2));
    OK(cr_node_set_int(node, "group", group));
    return y;
}

static int n_split(const crease_session *s) {
    return net_count(s->optimized->ir, "", "DepthToSpace");
}

static crease_session *lower(net *n, crease_model **model) {
    const crease_options o = net_options();
    *model = net_publish(n);
    return net_lower(*model, &o);
}

static void expect(const turned *t, const char *then, bool bias, int split) {
    net n = net_begin(13, DIMS(2, 9, 5, 7));
    crease_model *model;
    cr_value *y = add_turned(&n, n.x, t, 1, bias);
    net_infer(&n);
    net_output(&n, then ? net_node(&n, then, IN(y)) : y);
    crease_session *s = lower(&n, &model);
    cr_assert_eq(n_split(s), split, "%lld channels, kernel %lld", (long long)t->oc, (long long)t->kernel[0]);
    crease_session_free(s);
    crease_model_free(model);
}

static const turned fits[] = {
    {1, {4, 4}, 2, {1, 1, 1, 1}, {0, 0}}, {1, {3, 3}, 2, {1, 1, 1, 1}, {1, 1}},
    {1, {2, 2}, 2, {0, 0, 0, 0}, {0, 0}}, {1, {3, 3}, 2, {0, 0, 1, 1}, {0, 0}},
    {1, {3, 4}, 2, {1, 2, 0, 0}, {0, 0}}, {1, {2, 4}, 2, {0, 0, 0, 2}, {0, 0}},
    {1, {5, 5}, 2, {2, 2, 2, 2}, {1, 1}},
};

Test(split_phases, few_channels_become_a_conv) {
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++)
        for (int bias = 0; bias < 2; bias++)
            expect(&fits[i], NULL, bias, 1);
}

static void try_many(void) {
    const crease_options o = net_options();
    for (int64_t oc = 1; oc <= 6; oc++)
        for (int64_t stride = 2; stride <= 4; stride++)
            for (int64_t kernel = stride; kernel <= stride + 4; kernel += 2) {
                const int64_t pad = (kernel - stride) / 2;
                const turned t = {oc, {kernel, kernel}, stride, {pad, pad, pad, pad}, {0, 0}};
                net n = net_begin(13, DIMS(1, 9, 5, 7));
                cr_value *y = add_turned(&n, n.x, &t, 1, true);
                net_infer(&n);
                net_output(&n, y);
                crease_model *model = net_publish(&n);
                crease_session_free(net_lower(model, &o));
                crease_model_free(model);
            }
}

Test(split_phases, any_channels_and_strides) {
    try_many();
}

Test(split_phases, any_channels_and_strides_of_the_widest_lanes) {
    cr_assert_eq(setenv("CREASE_CPU", "avx512", 1), 0);
    try_many();
}

Test(split_phases, an_activation_joins_the_conv) {
    static const char *const joins[] = {"Relu", "Sigmoid", "Tanh"};
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        net n = net_begin(13, DIMS(1, 9, 5, 7));
        crease_model *model;
        cr_value *y = add_turned(&n, n.x, &fits[0], 1, true);
        net_infer(&n);
        net_output(&n, net_node(&n, joins[i], IN(y)));
        crease_session *s = lower(&n, &model);
        cr_assert_eq(n_split(s), 1);
        cr_assert_eq(net_ours(s, "Activation"), 0, "%s", joins[i]);
        crease_session_free(s);
        crease_model_free(model);
    }
}

Test(split_phases, a_result_that_several_use_keeps_its_place) {
    net n = net_begin(13, DIMS(1, 9, 5, 7));
    crease_model *model;
    cr_value *y = add_turned(&n, n.x, &fits[0], 1, true);
    net_infer(&n);
    net_output(&n, y);
    net_output(&n, net_node(&n, "Relu", IN(y)));
    net_output(&n, net_conv(&n, y, 5, 3, 1));
    crease_session *s = lower(&n, &model);
    cr_assert_eq(n_split(s), 1);
    crease_session_free(s);
    crease_model_free(model);
}

Test(split_phases, what_does_not_fit_stays) {
    static const turned stays[] = {
        {40, {4, 4}, 2, {1, 1, 1, 1}, {0, 0}}, /* fills its lanes */
        {1, {4, 4}, 2, {0, 0, 0, 0}, {0, 0}},  /* more than twice as large */
        {1, {2, 2}, 2, {0, 0, 1, 1}, {0, 0}},  /* less */
        {1, {3, 3}, 1, {1, 1, 1, 1}, {0, 0}},
    };
    for (size_t i = 0; i < sizeof stays / sizeof *stays; i++)
        expect(&stays[i], NULL, true, 0);
    net n = net_begin(13, DIMS(1, 8, 5, 7));
    crease_model *model;
    cr_value *y = add_turned(&n, n.x, &fits[0], 2, true);
    net_infer(&n);
    net_output(&n, y);
    crease_session *s = lower(&n, &model);
    cr_assert_eq(n_split(s), 0, "groups");
    crease_session_free(s);
    crease_model_free(model);
}

Test(split_phases, a_computed_weight_stays) {
    net n = net_begin(13, DIMS(1, 9, 5, 7));
    const int64_t dims[] = {9, 1, 4, 4};
    crease_model *model;
    cr_value *y = add_turned(&n, n.x, &fits[0], 1, false);
    OK(cr_node_set_input(net_last(&n), 1, net_input(&n, "w", 4, dims)));
    net_infer(&n);
    net_output(&n, y);
    crease_session *s = lower(&n, &model);
    cr_assert_eq(n_split(s), 0);
    crease_session_free(s);
    crease_model_free(model);
}
