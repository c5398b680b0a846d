#include "tests/passes/through.h"

/* Batch-norm folding through operators in between: those that move values and pad them. */

Test(fold_through, identity_and_dropout) {
    small s = through_between("Identity", 0, NULL, through_begin(), 4, false);
    small_expect(&s, "bn", "conv-bn");
    s = through_between("Dropout", 0, NULL, through_begin(), 4, false);
    small_expect(&s, "bn", "conv-bn");
}

Test(fold_through, transpose) {
    small s = through_between("Transpose", 0, NULL, through_begin(), 4,
                              false); /* reversed: the channels are axis 2 then */
    OK(cr_node_set_ints(small_find(&s, "op"), "perm", (int64_t[]){3, 1, 0, 2}, 4));
    small_expect(&s, "bn", "conv-permute-bn");
    s = through_between("Transpose", 0, NULL, through_begin(), 4,
                        false); /* BN's axis 1 is the height, which has 4 as well */
    OK(cr_node_set_ints(small_find(&s, "op"), "perm", (int64_t[]){0, 2, 1, 3}, 4));
    small_expect(&s, "bn", "axis-mismatch");
}

Test(fold_through, flat_order) {
    small s = through_begin();
    s = through_between("Reshape", IN(small_ints(&s, "shape", 3, (int64_t[]){2, 4, 24})), s, 4, false);
    small_expect(&s, "bn", "conv-reshape-bn");
    s = through_begin(); /* a channel of the BN is two of the convolution's */
    s = through_between("Reshape", IN(small_ints(&s, "shape", 3, (int64_t[]){2, 2, 48})), s, 2, false);
    small_expect(&s, "bn", "conv-reshape-bn");
    s = through_begin(); /* a channel of the BN is half of one of the convolution's */
    s = through_between("Reshape", IN(small_ints(&s, "shape", 3, (int64_t[]){2, 8, 12})), s, 8, false);
    small_expect(&s, "bn", "axis-mismatch");
    s = through_begin(); /* the batch moves into the channels */
    s = through_between("Reshape", IN(small_ints(&s, "shape", 3, (int64_t[]){1, 8, 24})), s, 8, false);
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

Test(fold_through, pads) {
    small s = through_begin();
    s = through_between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 0})), s, 4,
                        false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "conv-pad-bn");
    s = through_begin();
    s = through_between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 0})), s, 4,
                        false);
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
            s = through_between("Pad", 3, more, s, 4, false);
            OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
            small_expect(&s, "bn", moved ? "axis-mismatch" : "conv-pad-bn");
        }
}

Test(fold_through, a_constant_that_the_affine_maps_to_itself) {
    small s = through_begin();
    s = through_between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 0})), s, 4,
                        false);
    for (int i = 2; i < 4; i++)
        memset(small_find(&s, "bn")->inputs[i]->constant->data, 0, 4 * sizeof(double));
    small_expect(&s, "bn", "conv-pad-bn");
}

/* Cut at one side and padded at the other, an axis keeps its size and not its channels. */
Test(fold_through, a_pad_that_moves_the_channels) {
    small s = through_begin();
    s = through_between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){0, 1, 0, 0, 0, -1, 0, 0})), s, 4,
                        false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "axis-mismatch");
    s = through_begin(); /* the batch is no matter */
    s = through_between("Pad", IN(small_ints(&s, "pads", 8, (int64_t[]){1, 0, 0, 0, -1, 0, 0, 0})), s, 4,
                        false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "conv-pad-bn");
}

Test(fold_through, depth_to_space) {
    for (int crd = 0; crd < 2; crd++) {
        small s = through_between("DepthToSpace", 0, NULL, through_begin(), 1, false);
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

/* With a batch of unknown size nothing is known of the sizes behind a Resize or a Pad; that the channels stay
 * is known all the same. */
Test(fold_through, unknown_sizes_of_other_axes) {
    static const char *const ops[] = {"Resize", "Pad"}, *const patterns[] = {"conv-resize-bn", "conv-pad-bn"};
    for (int i = 0; i < 2; i++) {
        small s = through_begin();
        s.x->shape.dims[0] = CR_DIM_UNKNOWN;
        cr_value *scales = small_constant(&s, "scales", 1, 1, DIMS(4)), *none = NULL;
        ((double *)scales->constant->data)[3] = 2;
        cr_value *pads = small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 0, 0, 0, 0, 1});
        s = i ? through_between("Pad", IN(pads), s, 4, false)
              : through_between("Resize", IN(none, scales), s, 4, false);
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

/* From opset 18 on, axes say what the pads are of. */
Test(fold_through, pads_of_listed_axes) {
    small s = small_begin(18, DIMS(2, 3, 4, 6));
    cr_value *more[3] = {small_ints(&s, "pads", 8, (int64_t[]){1, 0, 0, 0, -1, 0, 0, 0}), NULL,
                         small_ints(&s, "axes", 4, (int64_t[]){1, 0, 2, 3})};
    s = through_between("Pad", 3, more, s, 4, false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "axis-mismatch");
}

/* A permutation that is not its own inverse, in both directions. */
Test(fold_through, transpose_there_and_back) {
    small s = through_begin();
    cr_value *y = small_node(&s, "Transpose", "op", IN(through_conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "op"), "perm", (int64_t[]){0, 2, 3, 1}, 4));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4)))));
    small_expect(&s, "mul", "conv-permute-mul");
    s = through_begin();
    y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(6))));
    y = small_node(&s, "Transpose", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "perm", (int64_t[]){0, 3, 1, 2}, 4));
    small_output(&s, small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(2, 6, 1, 1)))));
    small_expect(&s, "mul", "mul-permute-conv");
}

/* The channels may be left out of the axes that are padded. */
Test(fold_through, pads_of_other_axes) {
    small s = small_begin(18, DIMS(2, 3, 4, 6));
    cr_value *more[3] = {small_ints(&s, "pads", 4, (int64_t[]){1, 1, 1, 0}), NULL,
                         small_ints(&s, "axes", 2, (int64_t[]){2, -1})};
    s = through_between("Pad", 3, more, s, 4, false);
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    small_expect(&s, "bn", "conv-pad-bn");
}

/* One channel of one picture may be found on several axes; it is the innermost that counts. */
Test(fold_through, a_single_channel_of_a_single_picture) {
    small s = small_begin(13, DIMS(1, 3, 4, 6));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(1, 3, 1, 1))));
    y = small_node(&s, "Reshape", "op", IN(y, small_ints(&s, "shape", 3, (int64_t[]){1, 1, 24})));
    small_output(&s, small_bn(&s, "bn", y, 1));
    small_expect(&s, "bn", "conv-reshape-bn");
}
