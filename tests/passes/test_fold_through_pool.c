#include "tests/passes/through.h"

/* Batch-norm folding through operators in between: pools and means. */

Test(fold_through_pool, max_pool_needs_scales_that_are_not_negative) {
    for (int positive = 0; positive < 2; positive++) {
        small s = through_between("MaxPool", 0, NULL, through_begin(), 4, positive);
        OK(cr_node_set_ints(small_find(&s, "op"), "kernel_shape", (int64_t[]){2, 2}, 2));
        OK(cr_node_set_ints(small_find(&s, "op"), "pads", (int64_t[]){1, 1, 0, 0}, 4));
        small_expect(&s, "bn", positive ? "conv-max-pool-bn" : "negative-scale");
    }
}

/* conv -> pool with windows of 2 x 2 -> BN with positive scales */
static small pooled(const char *op, int64_t pad, int64_t dilation, const char *auto_pad) {
    small s = through_between(op, 0, NULL, small_begin(19, DIMS(2, 3, 4, 6)), 4, true);
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
Test(fold_through_pool, windows_in_the_padding_alone) {
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

Test(fold_through_pool, average_pool_and_its_padding) {
    for (int include = 0; include < 2; include++) {
        small s = through_between("AveragePool", 0, NULL, through_begin(), 4, false);
        OK(cr_node_set_ints(small_find(&s, "op"), "kernel_shape", (int64_t[]){3, 3}, 2));
        OK(cr_node_set_ints(small_find(&s, "op"), "pads", (int64_t[]){1, 1, 1, 1}, 4));
        OK(cr_node_set_int(small_find(&s, "op"), "count_include_pad", include));
        small_expect(&s, "bn", include ? "border-values" : "conv-average-pool-bn");
    }
    small s = through_between("AveragePool", 0, NULL, through_begin(), 4, false);
    OK(cr_node_set_ints(small_find(&s, "op"), "kernel_shape", (int64_t[]){2, 2}, 2));
    OK(cr_node_set_int(small_find(&s, "op"), "count_include_pad", 1));
    small_expect(&s, "bn", "conv-average-pool-bn");
    s = through_between("GlobalAveragePool", 0, NULL, through_begin(), 4, false);
    small_expect(&s, "bn", "conv-average-pool-bn");
}

Test(fold_through_pool, reduce_mean) {
    for (int keep = 0; keep < 2; keep++) {
        small s = through_between("ReduceMean", 0, NULL, through_begin(), 4, false);
        OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){-1, 2}, 2));
        OK(cr_node_set_int(small_find(&s, "op"), "keepdims", keep));
        small_expect(&s, "bn", "conv-reduce-mean-bn");
    }
    small s = through_between("ReduceMean", 0, NULL, through_begin(), 4,
                              false); /* over the channels: the BN sees the height */
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){1}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_expect(&s, "bn", "axis-mismatch");
}

/* A window that slides along the axis of the scales mixes them, even where the size stays. */
Test(fold_through_pool, pools_over_the_axis_of_the_scales) {
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

/* Without its axis 0, what was axis 1 is axis 0, and so on. */
Test(fold_through_pool, reduce_mean_moves_axes) {
    small s = through_begin();
    cr_value *y = small_node(&s, "ReduceMean", "op", IN(through_conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1, 1)))));
    small_expect(&s, "mul", "conv-reduce-mean-mul");
    s = through_begin();
    y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(6))));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_output(&s, small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(6, 2)))));
    small_expect(&s, "mul", "mul-reduce-mean-matmul");
}

enum { LEFT_OUT, UNUSED, GRAPH_OUTPUT, NODE_INPUT };

/* What becomes of the BN behind a MaxPool whose indices are used in that way. */
static void expect_indices(int use, const char *outcome) {
    small s = through_begin();
    cr_value *y = through_conv(&s, "conv"), *out[2] = {NULL, NULL};
    cr_node *pool;
    OK(cr_graph_add_value(s.model->graph, "top", true, &out[0]));
    if (use != LEFT_OUT)
        OK(cr_graph_add_value(s.model->graph, "where", true, &out[1]));
    OK(cr_graph_add_node(s.model->graph, NULL, "MaxPool", "", "pool", &y, 1, out, 2, &pool));
    OK(cr_node_set_ints(pool, "kernel_shape", (int64_t[]){2, 2}, 2));
    small_output(&s, small_bn(&s, "bn", out[0], 4));
    double *gamma = small_find(&s, "bn")->inputs[1]->constant->data;
    for (int c = 0; c < 4; c++)
        gamma[c] = 0.5;
    if (use == GRAPH_OUTPUT)
        small_output(&s, out[1]);
    if (use == NODE_INPUT)
        small_output(&s, small_node(&s, "Neg", "user", IN(out[1])));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    const crease_fold_entry e = small_entry(&s, "bn");
    cr_assert_str_eq(e.folded ? e.pattern : e.reason, outcome);
    small_end(&s);
}

/* Indices tell where the largest values were before. */
Test(fold_through_pool, indices_that_are_used) {
    expect_indices(LEFT_OUT, "conv-max-pool-bn");
    expect_indices(UNUSED, "conv-max-pool-bn");
    expect_indices(GRAPH_OUTPUT, "several-consumers");
    expect_indices(NODE_INPUT, "several-consumers");
}

/* conv -> AveragePool that counts its padding -> `op` by one value a channel */
static void expect_counted(const char *op, const char *padding, const char *outcome) {
    small s = through_begin();
    cr_value *y = small_node(&s, "AveragePool", "pool", IN(through_conv(&s, "conv")));
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

Test(fold_through_pool, averages_that_count_their_padding) {
    static const char *const paddings[] = {"SAME_UPPER", "SAME_LOWER", "ceil_mode"};
    for (int i = 0; i < 3; i++) {
        expect_counted("Add", paddings[i], "no entry");
        expect_counted("Mul", paddings[i], "conv-average-pool-mul");
    }
    expect_counted("Add", "VALID", "conv-average-pool-add");
}

/* The channels are what is averaged over, and another axis of their size follows. */
Test(fold_through_pool, a_mean_over_the_channels) {
    small s = small_begin(13, DIMS(4, 4, 4));
    cr_value *y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(4, 1))));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){1}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_output(&s, small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(4, 2)))));
    small_expect(&s, "mul", "no entry");
}

Test(fold_through_pool, a_mean_that_keeps_its_axes) {
    small s = through_begin();
    cr_value *y = small_node(&s, "ReduceMean", "op", IN(through_conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1, 1)))));
    small_expect(&s, "mul", "conv-reduce-mean-mul");
    s = through_begin();
    y = small_node(&s, "Mul", "mul", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(6))));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    small_output(&s, small_node(&s, "MatMul", "mm", IN(y, small_constant(&s, "w", -1, 1, DIMS(6, 2)))));
    small_expect(&s, "mul", "mul-reduce-mean-matmul");
    s = small_begin(18, DIMS(2, 3, 4, 6)); /* over nothing */
    s = through_between("ReduceMean", 0, NULL, s, 4, false);
    OK(cr_node_set_int(small_find(&s, "op"), "noop_with_empty_axes", 1));
    small_expect(&s, "bn", "conv-reduce-mean-bn");
}

/* A scale passes a mean of nothing but zeros. */
Test(fold_through_pool, a_scale_and_windows_in_the_padding_alone) {
    small s = through_begin();
    cr_value *y = small_node(&s, "AveragePool", "op", IN(through_conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "op"), "kernel_shape", (int64_t[]){2, 2}, 2));
    OK(cr_node_set_ints(small_find(&s, "op"), "pads", (int64_t[]){0, 0, 0, 2}, 4));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1, 1)))));
    small_expect(&s, "mul", "conv-average-pool-mul");
}

Test(fold_through_pool, a_mean_of_everything) {
    small s = through_begin();
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(1, 3, 1, 1))));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    small_output(&s, small_bn(&s, "bn", y, 1));
    small_expect(&s, "bn", "axis-mismatch");
}

/* An axis before that of the scales is removed, whose place changes by that, forwards only. */
Test(fold_through_pool, reduce_mean_before_the_axis) {
    small s = through_begin();
    cr_value *y = small_node(&s, "Transpose", "turn", IN(through_conv(&s, "conv")));
    OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){2, 0, 1, 3}, 4));
    y = small_node(&s, "ReduceMean", "op", IN(y));
    OK(cr_node_set_ints(small_find(&s, "op"), "axes", (int64_t[]){0}, 1));
    OK(cr_node_set_int(small_find(&s, "op"), "keepdims", 0));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 1, 2, DIMS(4, 1)))));
    small_expect(&s, "mul", "conv-reduce-mean-mul");
}
