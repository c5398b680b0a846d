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

/* The kernels that every machine has, with four lanes. */
static void needs_lanes(void) {
    cr_assert_eq(setenv("CREASE_CPU", "vector", 1), 0);
}

Test(choose_layout, slopes_by_channel_need_a_convolution_before_them, .init = needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(1, 5, 4, 4));
    net_output(&n, net_node(&n, "PRelu", IN(n.x, net_floats(&n, -1, 1, DIMS(5, 1, 1)))));
    crease_session *s = lower(&n, &model);
    cr_assert_eq(net_ours(s, "Activation"), 0);
    cr_assert_eq(net_count(s->optimized->ir, "", "PRelu"), 1);
    end(s, model);
}

Test(choose_layout, slopes_by_channel_follow_a_convolution, .init = needs_lanes) {
    crease_model *model;
    net n = net_begin(13, DIMS(1, 5, 4, 4));
    cr_value *y = net_conv(&n, n.x, 6, 3, 1);
    net_output(&n, net_node(&n, "PRelu", IN(y, net_floats(&n, -1, 1, DIMS(6, 1, 1)))));
    crease_session *s = lower(&n, &model);
    cr_assert_eq(net_count(s->optimized->ir, "", "PRelu"), 0);
    cr_assert_eq(net_ours(s, "Conv"), 1);
    end(s, model);
}

Test(choose_layout, slopes_by_pixel_stay_plain, .init = needs_lanes) {
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
Test(choose_layout, split_parts_of_several_images, .init = needs_lanes) {
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
Test(choose_layout, extents_that_depend_on_data, .init = needs_lanes) {
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
