#include "tests/passes/small.h"

/* x [2, 3, 4, 6] -> Conv 1x1 to 4 channels */
static cr_value *conv(small *s, const char *name) {
    return small_node(
        s, "Conv", name,
        IN(s->x, small_constant(s, "w", -1, 1, DIMS(4, 3, 1, 1)), small_constant(s, "b", -1, 1, DIMS(4))));
}

static small begin(void) {
    return small_begin(13, DIMS(2, 3, 4, 6));
}

/* conv -> op -> BN over `channels`; positive: all scales >= 0 */
static small between(const char *op, int n_more, cr_value **more, small s, int64_t channels, bool positive) {
    cr_value *inputs[4] = {conv(&s, "conv")};
    for (int i = 0; i < n_more; i++)
        inputs[i + 1] = more[i];
    small_output(&s, small_bn(&s, "bn", small_node(&s, op, "op", n_more + 1, inputs), channels));
    double *gamma = small_find(&s, "bn")->inputs[1]->constant->data;
    for (int64_t c = 0; c < channels; c++)
        gamma[c] = positive ? fabs(gamma[c]) : -0.5 - fabs(gamma[c]);
    return s;
}

Test(fold_through, identity_and_dropout) {
    small s = between("Identity", 0, NULL, begin(), 4, false);
    small_expect(&s, "bn", "conv-bn");
    s = between("Dropout", 0, NULL, begin(), 4, false);
    small_expect(&s, "bn", "conv-bn");
}

Test(fold_through, transpose) {
    small s = between("Transpose", 0, NULL, begin(), 4, false); /* reversed: the channels are axis 2 then */
    OK(cr_node_set_ints(small_find(&s, "op"), "perm", (int64_t[]){3, 1, 0, 2}, 4));
    small_expect(&s, "bn", "conv-permute-bn");
    s = between("Transpose", 0, NULL, begin(), 4, false); /* BN's axis 1 is the height, which has 4 as well */
    OK(cr_node_set_ints(small_find(&s, "op"), "perm", (int64_t[]){0, 2, 1, 3}, 4));
    small_expect(&s, "bn", "axis-mismatch");
}

Test(fold_through, flat_order) {
    small s = begin();
    s = between("Reshape", IN(small_ints(&s, "shape", 3, (int64_t[]){2, 4, 24})), s, 4, false);
    small_expect(&s, "bn", "conv-reshape-bn");
    s = begin(); /* a channel of the BN is two of the convolution's */
    s = between("Reshape", IN(small_ints(&s, "shape", 3, (int64_t[]){2, 2, 48})), s, 2, false);
    small_expect(&s, "bn", "conv-reshape-bn");
    s = begin(); /* a channel of the BN is half of one of the convolution's */
    s = between("Reshape", IN(small_ints(&s, "shape", 3, (int64_t[]){2, 8, 12})), s, 8, false);
    small_expect(&s, "bn", "axis-mismatch");
    s = begin(); /* the batch moves into the channels */
    s = between("Reshape", IN(small_ints(&s, "shape", 3, (int64_t[]){1, 8, 24})), s, 8, false);
    small_expect(&s, "bn", "axis-mismatch");
}

/* Gemm to [N, C HW], seen as [N, C, H, W] by the BN: every scale serves HW columns. */
Test(fold_through, gemm_reshape) {
    small s = small_begin(13, DIMS(2, 5));
    cr_value *y = small_node(&s, "Gemm", "gemm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 12))));
    y = small_node(&s, "Reshape", "shape", IN(y, small_ints(&s, "dims", 4, (int64_t[]){2, 3, 2, 2})));
    small_output(&s, small_bn(&s, "bn", y, 3));
    small_expect(&s, "bn", "gemm-reshape-bn");
}

Test(fold_through, max_pool_needs_scales_that_are_not_negative) {
    for (int positive = 0; positive < 2; positive++) {
        small s = between("MaxPool", 0, NULL, begin(), 4, positive);
        OK(cr_node_set_ints(small_find(&s, "op"), "kernel_shape", (int64_t[]){2, 2}, 2));
        OK(cr_node_set_ints(small_find(&s, "op"), "pads", (int64_t[]){1, 1, 0, 0}, 4));
        small_expect(&s, "bn", positive ? "conv-max-pool-bn" : "negative-scale");
    }
}

/* conv -> pool with windows of 2 x 2 -> BN with positive scales */
static small pooled(const char *op, int64_t pad, int64_t dilation, const char *auto_pad) {
    small s = between(op, 0, NULL, small_begin(19, DIMS(2, 3, 4, 6)), 4, true);
    cr_node *pool = small_find(&s, "op");
    OK(cr_node_set_ints(pool, "kernel_shape", (int64_t[]){2, 2}, 2));
    OK(cr_node_set_ints(pool, "dilations", (int64_t[]){1, dilation}, 2));
    OK(cr_node_set_string(pool, "auto_pad", auto_pad));
    if (strcmp(auto_pad, "NOTSET") == 0)
        OK(cr_node_set_ints(pool, "pads", (int64_t[]){0, 0, 0, pad}, 4));
    return s;
}

static void expect_nothing_seen(const char *op, int64_t pad, int64_t dilation, const char *auto_pad) {
    small s = pooled(op, pad, dilation, auto_pad);
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_not(small_entry(&s, "bn").folded);
    cr_assert_str_eq(small_entry(&s, "bn").reason, "border-values");
    small_end(&s);
}

/* What a window gives that lies in the padding alone is no value of the data, so that nothing passes it. */
Test(fold_through, windows_in_the_padding_alone) {
    static const char *const ops[] = {"MaxPool", "AveragePool"};
    static const char *const folded[] = {"conv-max-pool-bn", "conv-average-pool-bn"};
    for (int i = 0; i < 2; i++) {
        expect_nothing_seen(ops[i], 2, 1, "NOTSET");
        expect_nothing_seen(ops[i], 1, 3, "NOTSET");
        expect_nothing_seen(ops[i], 0, 3, "SAME_UPPER");
        small s = pooled(ops[i], 1, 1, "NOTSET");
        small_expect(&s, "bn", folded[i]);
        s = pooled(ops[i], 0, 3, "NOTSET");
        small_expect(&s, "bn", folded[i]);
        s = pooled(ops[i], 0, 1, "SAME_LOWER");
        small_expect(&s, "bn", folded[i]);
        s = pooled(ops[i], 0, 3, "VALID");
        small_expect(&s, "bn", folded[i]);
    }
}

Test(fold_through, average_pool_and_its_padding) {
    for (int include = 0; include < 2; include++) {
        small s = between("AveragePool", 0, NULL, begin(), 4, false);
        OK(cr_node_set_ints(small_find(&s, "op"), "kernel_shape", (int64_t[]){3, 3}, 2));
        OK(cr_node_set_ints(small_find(&s, "op"), "pads", (int64_t[]){1, 1, 1, 1}, 4));
        OK(cr_node_set_int(small_find(&s, "op"), "count_include_pad", include));
        small_expect(&s, "bn", include ? "border-values" : "conv-average-pool-bn");
    }
    small s = between("AveragePool", 0, NULL, begin(), 4, false);
    OK(cr_node_set_ints(small_find(&s, "op"), "kernel_shape", (int64_t[]){2, 2}, 2));
    OK(cr_node_set_int(small_find(&s, "op"), "count_include_pad", 1));
    small_expect(&s, "bn", "conv-average-pool-bn");
    s = between("GlobalAveragePool", 0, NULL, begin(), 4, false);
    small_expect(&s, "bn", "conv-average-pool-bn");
}

Test(fold_through, reduce_mean) {
    for (int keep = 0; keep < 2; keep++) {
        small s = between("ReduceMean", 0, NULL, begin(), 4, false);
        OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){-1, 2}, 2));
        OK(cr_node_set_int(small_find(&s, "op"), "keepdims", keep));
        small_expect(&s, "bn", "conv-reduce-mean-bn");
    }
    small s =
        between("ReduceMean", 0, NULL, begin(), 4, false); /* over the channels: the BN sees the height */
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){1}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_expect(&s, "bn", "axis-mismatch");
}

Test(fold_through, pads) {
    small s = begin();
    s = between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 0})), s, 4, false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "conv-pad-bn");
    s = begin();
    s = between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 0})), s, 4, false);
    small_expect(&s, "bn", "border-values");
}

/* One channel cut off at one end and one grown at the other: as many as before, in other places. */
Test(fold_through, pads_that_move_the_channels) {
    for (int moved = 0; moved < 2; moved++)
        for (int axes = 0; axes < 2; axes++) {
            small s = small_begin(18, DIMS(2, 3, 4, 6));
            cr_value *pads = axes ? small_ints(&s, "pads", 2, (int64_t[]){moved, -moved})
                                  : small_ints(&s, "pads", 8, (int64_t[]){0, moved, 0, 0, 0, -moved, 0, 1});
            cr_value *more[] = {pads, NULL, axes ? small_ints(&s, "axes", 1, (int64_t[]){-3}) : NULL};
            s = between("Pad", 3, more, s, 4, false);
            OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
            small_expect(&s, "bn", moved ? "axis-mismatch" : "conv-pad-bn");
        }
}

Test(fold_through, a_constant_that_the_affine_maps_to_itself) {
    small s = begin();
    s = between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 0})), s, 4, false);
    for (int i = 2; i < 4; i++)
        memset(small_find(&s, "bn")->inputs[i]->constant->data, 0, 4 * sizeof(double));
    small_expect(&s, "bn", "conv-pad-bn");
}

/* conv -> Resize of the last two axes, by scales or sizes */
static small resized(const char *mode, const char *coordinates, double channel_scale) {
    small s = begin();
    const double scales[4] = {1, channel_scale, 2, 1.5};
    cr_shape shape = cr_shape_of(1, (int64_t[]){4});
    cr_value *value;
    cr_tensor *t;
    OK(cr_graph_new_constant(s.model->graph, "scales", CREASE_FLOAT, &shape, &value, &t));
    for (int i = 0; i < 4; i++)
        ((float *)t->data)[i] = (float)scales[i];
    cr_value *more[] = {NULL, value};
    s = between("Resize", 2, more, s, (int64_t)(4 * channel_scale), false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", mode));
    OK(cr_node_set_string(small_find(&s, "op"), "coordinate_transformation_mode", coordinates));
    return s;
}

Test(fold_through, resize) {
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

Test(fold_through, resize_that_extrapolates) {
    small s = resized("linear", "tf_crop_and_resize", 1);
    cr_value *roi = small_constant(&s, "roi", 0, 1, DIMS(8));
    for (int i = 0; i < 8; i++)
        ((double *)roi->constant->data)[i] = i < 4 ? -0.5 : 1.5;
    OK(cr_node_set_input(small_find(&s, "op"), 1, roi));
    small_expect(&s, "bn", "border-values");
}

/* Cut at one side and padded at the other, an axis keeps its size and not its channels. */
Test(fold_through, a_pad_that_moves_the_channels) {
    small s = begin();
    s = between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){0, 1, 0, 0, 0, -1, 0, 0})), s, 4, false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "axis-mismatch");
    s = begin(); /* the batch is no matter */
    s = between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){1, 0, 0, 0, -1, 0, 0, 0})), s, 4, false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "conv-pad-bn");
}

Test(fold_through, depth_to_space) {
    for (int crd = 0; crd < 2; crd++) {
        small s = between("DepthToSpace", 0, NULL, begin(), 1, false);
        OK(cr_node_set_int(small_find(&s, "op"), "blocksize", 2));
        OK(cr_node_set_string(small_find(&s, "op"), "mode", crd ? "CRD" : "DCR"));
        small_expect(&s, "bn", "conv-depth-to-space-bn");
    }
    for (int crd = 0; crd < 2; crd++) { /* two channels, so that the orders differ */
        small s = small_begin(13, DIMS(1, 3, 2, 2));
        cr_value *y =
            small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(8, 3, 1, 1))));
        y = small_node(&s, "DepthToSpace", "op", IN(y));
        OK(cr_node_set_int(small_find(&s, "op"), "blocksize", 2));
        OK(cr_node_set_string(small_find(&s, "op"), "mode", crd ? "CRD" : "DCR"));
        small_output(&s, small_bn(&s, "bn", y, 2));
        small_expect(&s, "bn", "conv-depth-to-space-bn");
    }
}

Test(fold_through, concat) {
    small s = begin();
    cr_value *y = small_node(&s, "Concat", "join", IN(conv(&s, "a"), conv(&s, "b")));
    OK(cr_node_set_int(small_find(&s, "join"), "axis", 1));
    small_output(&s, small_bn(&s, "bn", y, 8));
    small_fold_with(&s, NULL);
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-concat-bn");
    cr_assert_str_eq(small_entry(&s, "bn").into, "a,b");
    small_end(&s);
    s = begin(); /* along the width every input takes the whole */
    y = small_node(&s, "Concat", "join", IN(conv(&s, "a"), conv(&s, "b")));
    OK(cr_node_set_int(small_find(&s, "join"), "axis", -1));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "conv-concat-bn");
}

Test(fold_through, concat_whole_or_not_at_all) {
    small s = begin();
    cr_value *a = conv(&s, "a");
    cr_value *y = small_node(&s, "Concat", "join", IN(a, small_node(&s, "Relu", "relu", IN(conv(&s, "b")))));
    OK(cr_node_set_int(small_find(&s, "join"), "axis", 1));
    cr_value *w = small_find(&s, "a")->inputs[1];
    small_output(&s, small_bn(&s, "bn", y, 8));
    small_fold_with(&s, NULL);
    cr_assert_str_eq(small_entry(&s, "bn").reason, "nonlinear-before");
    cr_assert_eq(small_find(&s, "a")->inputs[1], w);
    small_end(&s);
}

Test(fold_through, sum_of_branches) {
    const char *const ops[] = {"Add", "Sub", "Sum"};
    for (size_t i = 0; i < 3; i++) {
        small s = begin();
        small_output(&s,
                     small_bn(&s, "bn", small_node(&s, ops[i], "sum", IN(conv(&s, "a"), conv(&s, "b"))), 4));
        small_expect(&s, "bn", "conv-add-bn");
    }
    small s = begin(); /* a branch that others need */
    cr_value *a = conv(&s, "a");
    small_output(&s, small_bn(&s, "bn", small_node(&s, "Add", "sum", IN(a, conv(&s, "b"))), 4));
    small_output(&s, small_node(&s, "Relu", "relu", IN(a)));
    small_expect(&s, "bn", "several-consumers");
}

Test(fold_through, a_branch_that_broadcasts_its_channels) {
    small s = begin();
    cr_value *one = small_node(&s, "Conv", "one", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(1, 3, 1, 1))));
    small_output(&s, small_bn(&s, "bn", small_node(&s, "Add", "sum", IN(conv(&s, "a"), one)), 4));
    small_expect(&s, "bn", "axis-mismatch");
}

/* A shift goes into the one branch that can take it, and only there. */
Test(fold_through, shift_of_a_sum) {
    small s = begin();
    cr_value *relu = small_node(&s, "Relu", "relu", IN(conv(&s, "b")));
    cr_value *y = small_node(&s, "Add", "sum", IN(relu, conv(&s, "a")));
    small_output(&s, small_node(&s, "Add", "shift", IN(y, small_constant(&s, "t", -1, 1, DIMS(4, 1, 1)))));
    small_fold_with(&s, NULL);
    cr_assert_str_eq(small_entry(&s, "shift").pattern, "conv-add-add");
    cr_assert_str_eq(small_entry(&s, "shift").into, "a");
    small_end(&s);
}

/* Products of rank 3: only the branch with an Add of its own has a place for the shift. */
Test(fold_through, shift_of_a_scaled_sum) {
    for (int biased = 0; biased < 2; biased++) {
        small s = small_begin(13, DIMS(2, 6, 5));
        cr_value *a = small_node(&s, "MatMul", "a", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)))),
                 *b = small_node(&s, "MatMul", "b", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
        if (biased)
            b = small_node(&s, "Add", "bias", IN(b, small_constant(&s, "c", -1, 1, DIMS(4))));
        cr_value *y = small_node(&s, "Transpose", "turn", IN(small_node(&s, "Add", "sum", IN(a, b))));
        OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){0, 2, 1}, 3));
        small_output(&s, small_bn(&s, "bn", y, 4));
        small_expect(&s, "bn", biased ? "matmul-permute-bn" : "no-bias");
    }
}

/* With a batch of unknown size nothing is known of the sizes behind a Resize or a Pad; that the channels stay
 * is known all the same. */
Test(fold_through, unknown_sizes_of_other_axes) {
    static const char *const ops[] = {"Resize", "Pad"}, *const patterns[] = {"conv-resize-bn", "conv-pad-bn"};
    for (int i = 0; i < 2; i++) {
        small s = begin();
        s.x->shape.dims[0] = CR_DIM_UNKNOWN;
        cr_value *scales = small_constant(&s, "scales", 1, 1, DIMS(4)), *none = NULL;
        ((double *)scales->constant->data)[3] = 2;
        cr_value *pads = small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 0, 0, 0, 0, 1});
        s = i ? between("Pad", IN(pads), s, 4, false) : between("Resize", IN(none, scales), s, 4, false);
        OK(cr_node_set_string(small_find(&s, "op"), "mode", i ? "edge" : "nearest"));
        OK(cr_optimize_fold(s.model, NULL, s.report));
        cr_assert_str_eq(small_entry(&s, "bn").pattern, patterns[i], "%s", ops[i]);
        small_end(&s);
    }
}

/* A batch that Reshape copies need not be known for the rest to be. */
Test(fold_through, reshape_of_an_unknown_batch) {
    small s = small_begin(13, DIMS(2, 3, 2, 2));
    s.x->shape.dims[0] = CR_DIM_UNKNOWN;
    cr_value *flat = small_node(&s, "Reshape", "flat",
                                IN(small_bn(&s, "bn", s.x, 3), small_ints(&s, "to", 2, (int64_t[]){0, -1})));
    small_output(&s, small_node(&s, "Gemm", "gemm", IN(flat, small_constant(&s, "w", -1, 1, DIMS(12, 4)))));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "bn-reshape-gemm");
    small_end(&s);
}

/* Scales along the height are none of the channels that DepthToSpace makes the height of, even where the
 * numbers fit. */
Test(fold_through, depth_to_space_of_another_axis) {
    small s = small_begin(13, DIMS(1, 3, 1, 2));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(8, 3, 1, 1))));
    y = small_node(&s, "DepthToSpace", "op", IN(y));
    OK(cr_node_set_int(small_find(&s, "op"), "blocksize", 2));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(2, 1)))));
    small_expect(&s, "mul", "no entry");
}

/* A window that slides along the axis of the scales mixes them, even where the size stays. */
Test(fold_through, pools_over_the_axis_of_the_scales) {
    static const char *const ops[] = {"AveragePool", "MaxPool"};
    for (int i = 0; i < 2; i++) {
        small s = small_begin(13, DIMS(2, 3, 4, 5));
        cr_value *y = small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 6))));
        y = small_node(&s, ops[i], "op", IN(y));
        OK(cr_node_set_ints(small_find(&s, "op"), "kernel_shape", (int64_t[]){1, 3}, 2));
        OK(cr_node_set_ints(small_find(&s, "op"), "pads", (int64_t[]){0, 1, 0, 1}, 4));
        small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(6)))));
        small_expect(&s, "mul", "no entry");
    }
}

/* From opset 18 on, axes say what the pads are of. */
Test(fold_through, pads_of_listed_axes) {
    small s = small_begin(18, DIMS(2, 3, 4, 6));
    cr_value *more[3] = {small_ints(&s, "pads", 8, (int64_t[]){1, 0, 0, 0, -1, 0, 0, 0}), NULL,
                         small_ints(&s, "axes", 4, (int64_t[]){1, 0, 2, 3})};
    s = between("Pad", 3, more, s, 4, false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "axis-mismatch");
}

/* Without its axis 0, what was axis 1 is axis 0, and so on. */
Test(fold_through, reduce_mean_moves_axes) {
    small s = begin();
    cr_value *y = small_node(&s, "ReduceMean", "op", IN(conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1, 1)))));
    small_expect(&s, "mul", "conv-reduce-mean-mul");
    s = begin();
    y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(6))));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_output(&s, small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(6, 2)))));
    small_expect(&s, "mul", "mul-reduce-mean-matmul");
}

static small resized_by(int64_t opset, int n_scales, double first) {
    small s = small_begin(opset, DIMS(2, 3, 4, 6));
    cr_value *scales = small_constant(&s, "scales", 1, 1, 1, (int64_t[]){n_scales}),
             *more[2] = {NULL, scales};
    scales->dtype = scales->constant->dtype = CREASE_FLOAT;
    for (int i = 0; i < n_scales; i++)
        ((float *)scales->constant->data)[i] = i == 0 ? (float)first : 1;
    return between("Resize", 2, more, s, 4, false);
}

Test(fold_through, resize_of_listed_axes) {
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

Test(fold_through, resizes_that_bring_in_other_values) {
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

/* Joined along the width, the sizes there are no matter. */
Test(fold_through, concat_of_unknown_widths) {
    small s = begin();
    s.x->shape.dims[3] = CR_DIM_UNKNOWN;
    cr_value *y = small_node(&s, "Concat", "join", IN(conv(&s, "a"), conv(&s, "b")));
    OK(cr_node_set_int(small_find(&s, "join"), "axis", 3));
    small_output(&s, small_bn(&s, "bn", y, 4));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_str_eq(small_entry(&s, "bn").pattern, "conv-concat-bn");
    small_end(&s);
}

/* Indices tell where the largest values were before. */
Test(fold_through, a_second_output_that_is_used) {
    for (int used = 0; used < 2; used++) {
        small s = begin();
        cr_value *y = conv(&s, "conv"), *out[2];
        cr_node *pool;
        OK(cr_graph_add_value(s.model->graph, "top", true, &out[0]));
        OK(cr_graph_add_value(s.model->graph, "where", true, &out[1]));
        OK(cr_graph_add_node(s.model->graph, NULL, "MaxPool", "", "pool", &y, 1, out, 2, &pool));
        OK(cr_node_set_ints(pool, "kernel_shape", (int64_t[]){2, 2}, 2));
        small_output(&s, small_bn(&s, "bn", out[0], 4));
        double *gamma = small_find(&s, "bn")->inputs[1]->constant->data;
        for (int c = 0; c < 4; c++)
            gamma[c] = 0.5;
        if (used)
            small_output(&s, out[1]);
        OK(cr_optimize_fold(s.model, NULL, s.report));
        crease_fold_entry e = small_entry(&s, "bn");
        cr_assert_str_eq(e.folded ? e.pattern : e.reason, used ? "several-consumers" : "conv-max-pool-bn");
        small_end(&s);
    }
}

/* A matrix beside an image: its axis 1 is the width. */
Test(fold_through, a_branch_of_another_rank) {
    small s = small_begin(13, DIMS(4, 4, 4, 4));
    cr_value *image = small_node(&s, "Conv", "a", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(4, 4, 1, 1)))),
             *mean = small_node(&s, "ReduceMean", "mean", IN(s.x));
    OK(cr_node_set_ints(small_find(&s, "mean"), "axes", (int64_t[]){2, 3}, 2));
    OK(cr_node_set_int(small_find(&s, "mean"), "keepdims", 0));
    cr_value *matrix = small_node(&s, "Gemm", "b", IN(mean, small_constant(&s, "v", -1, 1, DIMS(4, 4))));
    small_output(&s, small_bn(&s, "bn", small_node(&s, "Add", "sum", IN(image, matrix)), 4));
    small_expect(&s, "bn", "axis-mismatch");
}

/* A permutation that is not its own inverse, in both directions. */
Test(fold_through, transpose_there_and_back) {
    small s = begin();
    cr_value *y = small_node(&s, "Transpose", "op", IN(conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "op"), "perm", (int64_t[]){0, 2, 3, 1}, 4));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4)))));
    small_expect(&s, "mul", "conv-permute-mul");
    s = begin();
    y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(6))));
    y = small_node(&s, "Transpose", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "perm", (int64_t[]){0, 3, 1, 2}, 4));
    small_output(&s, small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(2, 6, 1, 1)))));
    small_expect(&s, "mul", "mul-permute-conv");
}

/* conv -> AveragePool that counts its padding -> `op` by one value a channel */
static void expect_counted(const char *op, const char *padding, const char *outcome) {
    small s = begin();
    cr_value *y = small_node(&s, "AveragePool", "pool", IN(conv(&s, "conv")));
    cr_node *pool = small_find(&s, "pool");
    OK(cr_node_set_ints(pool, "kernel_shape", (int64_t[]){2, 3}, 2));
    OK(cr_node_set_ints(pool, "strides", (int64_t[]){2, 2}, 2));
    OK(cr_node_set_int(pool, "count_include_pad", 1));
    if (strcmp(padding, "ceil_mode") == 0)
        OK(cr_node_set_int(pool, padding, 1));
    else
        OK(cr_node_set_string(pool, "auto_pad", padding));
    small_output(&s, small_node(&s, op, "op", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1, 1)))));
    small_expect(&s, "op", outcome);
}

Test(fold_through, averages_that_count_their_padding) {
    static const char *const paddings[] = {"SAME_UPPER", "SAME_LOWER", "ceil_mode"};
    for (int i = 0; i < 3; i++) {
        expect_counted("Add", paddings[i], "no entry");
        expect_counted("Mul", paddings[i], "conv-average-pool-mul");
    }
    expect_counted("Add", "VALID", "conv-average-pool-add");
}

/* The channels are what is averaged over, and another axis of their size follows. */
Test(fold_through, a_mean_over_the_channels) {
    small s = small_begin(13, DIMS(4, 4, 4));
    cr_value *y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(4, 1))));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){1}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_output(&s, small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(4, 2)))));
    small_expect(&s, "mul", "no entry");
}

Test(fold_through, a_mean_that_keeps_its_axes) {
    small s = begin();
    cr_value *y = small_node(&s, "ReduceMean", "op", IN(conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1, 1)))));
    small_expect(&s, "mul", "conv-reduce-mean-mul");
    s = begin();
    y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(6))));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    small_output(&s, small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(6, 2)))));
    small_expect(&s, "mul", "mul-reduce-mean-matmul");
    s = small_begin(18, DIMS(2, 3, 4, 6)); /* over nothing */
    s = between("ReduceMean", 0, NULL, s, 4, false);
    OK(cr_node_set_int(small_find(&s, "op"), "noop_with_empty_axes", 1));
    small_expect(&s, "bn", "conv-reduce-mean-bn");
}

/* Scales stand in an input or in an attribute; 1.2 makes 4 channels of 4, and yet others. */
Test(fold_through, resize_before_opset_11) {
    for (int opset = 7; opset <= 10; opset++)
        for (int moved = 0; moved < 2; moved++) {
            small s = small_begin(opset, DIMS(2, 3, 4, 6));
            const float scales[4] = {1, moved ? 1.2F : 1, 2, 1};
            cr_value *input = small_constant(&s, "scales", 1, 1, DIMS(4));
            input->dtype = input->constant->dtype = CREASE_FLOAT;
            memcpy(input->constant->data, scales, sizeof scales);
            s = between(opset < 10 ? "Upsample" : "Resize", opset < 9 ? 0 : 1, &input, s, 4, false);
            if (opset < 9)
                OK(cr_node_set_attr(
                    small_find(&s, "op"),
                    &(cr_attr){.name = "scales", .type = CR_ATTR_FLOATS, .n = 4, .floats = scales}));
            small_expect(&s, "bn", moved ? "axis-mismatch" : "conv-resize-bn");
        }
}

Test(fold_through, resize_of_axes_from_the_end) {
    for (int moved = 0; moved < 2; moved++) {
        small s = resized_by(18, 2, moved ? 1.2 : 1);
        OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){-3, -2}, 2));
        small_expect(&s, "bn", moved ? "axis-mismatch" : "conv-resize-bn");
    }
}

/* The second branch of a difference is taken away: a shift given to it would have the other sign. */
Test(fold_through, shift_of_a_difference) {
    small s = small_begin(13, DIMS(2, 6, 5));
    cr_value *a = small_node(&s, "MatMul", "a", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)))),
             *b = small_node(&s, "MatMul", "b", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4))));
    b = small_node(&s, "Add", "bias", IN(b, small_constant(&s, "c", -1, 1, DIMS(4))));
    cr_value *y = small_node(&s, "Transpose", "turn", IN(small_node(&s, "Sub", "sum", IN(a, b))));
    OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){0, 2, 1}, 3));
    small_output(&s, small_bn(&s, "bn", y, 4));
    small_expect(&s, "bn", "no-bias");
}

/* Output 1 of a MaxPool: left out by name, or used by a node. */
Test(fold_through, indices_of_a_pool) {
    for (int used = 0; used < 2; used++) {
        small s = begin();
        cr_value *y = conv(&s, "conv"), *out[2] = {NULL, NULL};
        cr_node *pool;
        OK(cr_graph_add_value(s.model->graph, "top", true, &out[0]));
        if (used)
            OK(cr_graph_add_value(s.model->graph, "where", true, &out[1]));
        OK(cr_graph_add_node(s.model->graph, NULL, "MaxPool", "", "pool", &y, 1, out, 2, &pool));
        OK(cr_node_set_ints(pool, "kernel_shape", (int64_t[]){2, 2}, 2));
        small_output(&s, small_bn(&s, "bn", out[0], 4));
        double *gamma = small_find(&s, "bn")->inputs[1]->constant->data;
        for (int c = 0; c < 4; c++)
            gamma[c] = 0.5;
        if (used)
            small_output(&s, small_node(&s, "Neg", "user", IN(out[1])));
        OK(cr_optimize_fold(s.model, NULL, s.report));
        crease_fold_entry e = small_entry(&s, "bn");
        cr_assert_str_eq(e.folded ? e.pattern : e.reason, used ? "several-consumers" : "conv-max-pool-bn");
        small_end(&s);
    }
}

/* Between convolutions of one pair for all, whatever the shapes. */
Test(fold_through, a_scalar_behind_a_sum) {
    small s = begin();
    cr_value *y = small_node(&s, "Add", "sum", IN(conv(&s, "a"), conv(&s, "b")));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, 0, NULL))));
    small_expect(&s, "mul", "conv-add-mul");
}

/* The channels may be left out of the axes that are padded. */
Test(fold_through, pads_of_other_axes) {
    small s = small_begin(18, DIMS(2, 3, 4, 6));
    cr_value *more[3] = {small_ints(&s, "pads", 4, (int64_t[]){1, 1, 1, 0}), NULL,
                         small_ints(&s, "axes", 2, (int64_t[]){2, -1})};
    s = between("Pad", 3, more, s, 4, false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "conv-pad-bn");
}

/* A scale passes a mean of nothing but zeros. */
Test(fold_through, a_scale_and_windows_in_the_padding_alone) {
    small s = begin();
    cr_value *y = small_node(&s, "AveragePool", "op", IN(conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "op"), "kernel_shape", (int64_t[]){2, 2}, 2));
    OK(cr_node_set_ints(small_find(&s, "op"), "pads", (int64_t[]){0, 0, 0, 2}, 4));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1, 1)))));
    small_expect(&s, "mul", "conv-average-pool-mul");
}

Test(fold_through, a_mean_of_everything) {
    small s = begin();
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(1, 3, 1, 1))));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    small_output(&s, small_bn(&s, "bn", y, 1));
    small_expect(&s, "bn", "axis-mismatch");
}

/* A batch that is resampled to its own size holds other pictures. */
Test(fold_through, a_resampled_first_axis) {
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

/* One channel of one picture may be found on several axes; it is the innermost that counts. */
Test(fold_through, a_single_channel_of_a_single_picture) {
    small s = small_begin(13, DIMS(1, 3, 4, 6));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(1, 3, 1, 1))));
    y = small_node(&s, "Reshape", "op", IN(y, small_ints(&s, "shape", 3, (int64_t[]){1, 1, 24})));
    small_output(&s, small_bn(&s, "bn", y, 1));
    small_expect(&s, "bn", "conv-reshape-bn");
}

/* An axis before that of the scales is removed, whose place changes by that, forwards only. */
Test(fold_through, reduce_mean_before_the_axis) {
    small s = begin();
    cr_value *y = small_node(&s, "Transpose", "turn", IN(conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){2, 0, 1, 3}, 4));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1)))));
    small_expect(&s, "mul", "conv-reduce-mean-mul");
}
