#include "tests/passes/through.h"

/* Batch-norm folding through operators in between: Resize and Upsample. */

/* conv -> Resize of the last two axes, by scales or sizes */
static small resized(const char *mode, const char *coordinates, double channel_scale) {
    small s = through_begin();
    const double scales[4] = {1, channel_scale, 2, 1.5};
    cr_shape shape = cr_shape_of(1, (int64_t[]){4});
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(s.model->graph, "scales", CREASE_FLOAT, &shape, &value, &t));
    for (int i = 0; i < 4; i++)
        ((float *)t->data)[i] = (float)scales[i];
    cr_value *more[] = {NULL, value};
    s = through_between("Resize", 2, more, s, (int64_t)(4 * channel_scale), false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", mode));
    OK(cr_node_set_string(small_find(&s, "op"), "coordinate_transformation_mode", coordinates));
    return s;
}

Test(fold_through_resize, resize) {
    small s = resized("nearest", "asymmetric", 1);
    small_expect(&s, "bn", "conv-resize-bn");
    s = resized("linear", "half_pixel", 1);
    small_expect(&s, "bn", "conv-resize-bn");
    s = resized("linear", "align_corners", 1);
    small_expect(&s, "bn", "conv-resize-bn");
    s = resized("cubic", "half_pixel", 1);
    small_expect(&s, "bn", "border-values");
    s = resized("nearest", "asymmetric", 2); /* the channels are resampled as well */
    small_expect(&s, "bn", "axis-mismatch");
}

Test(fold_through_resize, resize_that_extrapolates) {
    small s = resized("linear", "tf_crop_and_resize", 1);
    cr_value *roi = small_constant(&s, "roi", 0, 1, DIMS(8));
    for (int i = 0; i < 8; i++)
        ((double *)roi->constant->data)[i] = i < 4 ? -0.5 : 1.5;
    OK(cr_node_set_input(small_find(&s, "op"), 1, roi));
    small_expect(&s, "bn", "border-values");
}

static small resized_by(int64_t opset, int n_scales, double first) {
    small s = small_begin(opset, DIMS(2, 3, 4, 6));
    cr_value *scales = small_constant(&s, "scales", 1, 1, 1, (int64_t[]){n_scales}),
             *more[2] = {NULL, scales};
    scales->dtype = scales->constant->dtype = CREASE_FLOAT;
    for (int i = 0; i < n_scales; i++)
        ((float *)scales->constant->data)[i] = i == 0 ? (float)first : 1;
    return through_between("Resize", 2, more, s, 4, false);
}

Test(fold_through_resize, resize_of_listed_axes) {
    small s = resized_by(18, 2, 2);
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){2, 3}, 2));
    small_expect(&s, "bn", "conv-resize-bn");
    s = resized_by(18, 2, 1); /* 1 by 1: named, and left as it is */
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){1, 3}, 2));
    small_expect(&s, "bn", "conv-resize-bn");
    s = resized_by(18, 2, 1.2); /* 4 channels of 4, and yet others */
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){1, 3}, 2));
    small_expect(&s, "bn", "axis-mismatch");
}

Test(fold_through_resize, resizes_that_bring_in_other_values) {
    static const char *const names[] = {"mode", "coordinate_transformation_mode"}, *const values[] = {
                                                                                       "cubic",
                                                                                       "tf_crop_and_resize"};
    for (int i = 0; i < 2; i++) {
        small s = resized_by(13, 4, 1);
        OK(cr_node_set_string(small_find(&s, "op"), names[i], values[i]));
        OK(cr_optimize_fold(s.model, NULL, s.report));
        cr_assert_str_eq(small_entry(&s, "bn").reason, "border-values");
        small_end(&s);
    }
}

/* Scales stand in an input or in an attribute; 1.2 makes 4 channels of 4, and yet others. */
Test(fold_through_resize, resize_before_opset_11) {
    for (int opset = 7; opset <= 10; opset++)
        for (int moved = 0; moved < 2; moved++) {
            small s = small_begin(opset, DIMS(2, 3, 4, 6));
            const float scales[4] = {1, moved ? 1.2F : 1, 2, 1};
            cr_value *input = small_constant(&s, "scales", 1, 1, DIMS(4));
            input->dtype = input->constant->dtype = CREASE_FLOAT;
            memcpy(input->constant->data, scales, sizeof scales);
            s = through_between(opset < 10 ? "Upsample" : "Resize", opset < 9 ? 0 : 1, &input, s, 4, false);
            if (opset < 9)
                OK(cr_node_set_attr(
                    small_find(&s, "op"),
                    &(cr_attr){.name = "scales", .type = CR_ATTR_FLOATS, .n = 4, .floats = scales}));
            small_expect(&s, "bn", moved ? "axis-mismatch" : "conv-resize-bn");
        }
}

Test(fold_through_resize, resize_of_axes_from_the_end) {
    for (int moved = 0; moved < 2; moved++) {
        small s = resized_by(18, 2, moved ? 1.2 : 1);
        OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){-3, -2}, 2));
        small_expect(&s, "bn", moved ? "axis-mismatch" : "conv-resize-bn");
    }
}

/* A batch that is resampled to its own size holds other pictures. */
Test(fold_through_resize, a_resampled_first_axis) {
    small s = small_begin(13, DIMS(4, 3, 4, 6));
    cr_value *none = NULL,
             *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(4, 3, 1, 1)))),
             *scales;
    cr_tensor *t;
    y = small_node(&s, "Transpose", "turn", IN(y));
    OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){1, 0, 2, 3}, 4));
    OK(cr_graph_new_constant(s.model->graph, "scales", CREASE_FLOAT, &(cr_shape){.rank = 1, .dims = {4}},
                             &scales, &t));
    for (int d = 0; d < 4; d++)
        ((float *)t->data)[d] = d == 0 ? 1.2F : 1;
    y = small_node(&s, "Resize", "op", IN(y, none, scales));
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "linear"));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1, 1, 1)))));
    small_expect(&s, "mul", "no entry");
}
