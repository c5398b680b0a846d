#include "tests/passes/small.h"

/* Folding where shapes, ranks or contents are known only when the network runs: what needs them is refused.
 */

static cr_value *input(small *s, const char *name, crease_dtype dtype, int rank, const int64_t *dims) {
    cr_value *v;
    OK(cr_graph_add_value(s->model->graph, name, true, &v));
    v->dtype = dtype;
    v->shape = cr_shape_of(rank, dims);
    OK(cr_graph_add_input(s->model->graph, v));
    return v;
}

/* Folded without being run: inputs of unknown rank have no values to run with. */
static void expect(small *s, const char *outcome) {
    OK(cr_optimize_fold(s->model, NULL, s->report));
    crease_fold_entry e = small_entry(s, "bn");
    const char *found = e.folded ? e.pattern : e.reason ? e.reason : "no entry";
    cr_assert_str_eq(found, outcome, "%s, expected %s (%s)", found, outcome, e.detail ? e.detail : "");
    small_end(s);
}

/* x of unknown rank -> BN of n channels */
static small unranked_bn(int64_t n) {
    small s = small_begin(13, DIMS(1));
    s.x->shape = cr_shape_unknown();
    small_bn(&s, "bn", s.x, n);
    return s;
}

static cr_value *bn_out(const small *s) {
    return small_find(s, "bn")->outputs[0];
}

static void add_conv(small *s, cr_value *x, int64_t in) {
    small_output(s, small_node(s, "Conv", "conv", IN(x, small_constant(s, "w", -1, 1, DIMS(2, in, 1, 1)))));
}

Test(fold_unknown, a_convolution_knows_its_own_axis) {
    small s = unranked_bn(3);
    add_conv(&s, bn_out(&s), 3);
    expect(&s, "bn-conv");
    s = unranked_bn(3);
    add_conv(&s, bn_out(&s), 4);
    expect(&s, "axis-mismatch");
}

Test(fold_unknown, transpose_by_a_permutation_or_by_the_rank) {
    small s = unranked_bn(3);
    cr_value *y = small_node(&s, "Transpose", "turn", IN(bn_out(&s)));
    OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){2, 1, 0, 3}, 4));
    add_conv(&s, y, 3);
    expect(&s, "bn-permute-conv");
    s = unranked_bn(3);
    add_conv(&s, small_node(&s, "Transpose", "turn", IN(bn_out(&s))), 3);
    expect(&s, "shape-unknown");
    s = unranked_bn(3); /* has no second axis to move */
    y = small_node(&s, "Transpose", "turn", IN(bn_out(&s)));
    OK(cr_node_set_ints(small_find(&s, "turn"), "perm", (int64_t[]){0}, 1));
    add_conv(&s, y, 3);
    expect(&s, "axis-mismatch");
}

Test(fold_unknown, what_moves_or_mixes_elements_needs_shapes) {
    static const char *const ops[] = {"Reshape", "Flatten", "Squeeze", "Pad", "Resize", "ReduceMean"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        small s = unranked_bn(3);
        cr_value *none = NULL, *y = bn_out(&s), *scales = small_constant(&s, "scales", 1, 1, DIMS(4)),
                 *eight = small_ints(&s, "ints", 8, (int64_t[8]){0}),
                 *four = small_ints(&s, "ints", 4, (int64_t[]){2, 3, 4, -1});
        y = i == 4   ? small_node(&s, ops[i], "op", IN(y, none, scales))
            : i == 3 ? small_node(&s, ops[i], "op", IN(y, eight))
            : i == 0 ? small_node(&s, ops[i], "op", IN(y, four))
                     : small_node(&s, ops[i], "op", IN(y));
        add_conv(&s, y, 3);
        expect(&s, "shape-unknown");
    }
}

Test(fold_unknown, one_pair_for_all_needs_no_shapes) {
    static const char *const ops[] = {"Transpose", "Flatten", "Squeeze", "ReduceMean"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        small s = small_begin(13, DIMS(1));
        s.x->shape = cr_shape_unknown();
        cr_value *y = small_node(&s, "Mul", "bn", IN(s.x, small_constant(&s, "c", 2, 3, 0, NULL)));
        add_conv(&s, small_node(&s, ops[i], "op", IN(y)), 3);
        OK(cr_optimize_fold(s.model, NULL, s.report));
        /* ReduceMean counts its axes by the rank */
        cr_assert_eq(small_entry(&s, "bn").folded, i < 3, "%s", ops[i]);
        small_end(&s);
    }
}

Test(fold_unknown, one_pair_for_all_passes_depth_to_space) {
    small s = small_begin(13, DIMS(1, 4, 2, 2));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(8, 4, 1, 1))));
    y = small_node(&s, "DepthToSpace", "op", IN(y));
    OK(cr_node_set_int(small_find(&s, "op"), "blocksize", 2));
    small_output(&s, small_node(&s, "Mul", "mul", IN(y, small_constant(&s, "c", 2, 3, DIMS(1)))));
    small_expect(&s, "mul", "conv-depth-to-space-mul");
}

/* conv [2, 4, 4, 6] -> op one of whose other inputs comes from outside -> BN */
static void expect_computed(const char *op, crease_dtype dtype, int which, int rank, const int64_t *dims,
                            const char *outcome) {
    small s = small_begin(strcmp(op, "ReduceMean") ? 13 : 18, DIMS(2, 3, 4, 6));
    cr_value *in[4] = {
        small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(4, 3, 1, 1))))};
    in[1] = which == 2 ? small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 0, 0}) : NULL;
    in[which] = input(&s, "given", dtype, rank, dims);
    small_output(&s, small_bn(&s, "bn", small_node(&s, op, "op", which + 1, in), 4));
    expect(&s, outcome);
}

Test(fold_unknown, arguments_that_are_computed) {
    expect_computed("Pad", CREASE_INT64, 1, DIMS(8), "axis-mismatch");        /* where it pads */
    expect_computed("Pad", CREASE_DOUBLE, 2, 0, NULL, "border-values");       /* with what */
    expect_computed("Reshape", CREASE_INT64, 1, DIMS(4), "shape-unknown");    /* into what */
    expect_computed("Resize", CREASE_FLOAT, 2, DIMS(4), "axis-mismatch");     /* by what */
    expect_computed("Resize", CREASE_INT64, 3, DIMS(4), "axis-mismatch");     /* to what */
    expect_computed("ReduceMean", CREASE_INT64, 1, DIMS(1), "shape-unknown"); /* over what */
    expect_computed("Dropout", CREASE_BOOL, 2, 0, NULL, "training-mode");     /* whether at all */
}

/* Weights that a MatMul may have and a fold cannot take. */
Test(fold_unknown, products) {
    small s = small_begin(13, DIMS(1)); /* the rank of the data decides where the columns are */
    s.x->shape = cr_shape_unknown();
    small_output(
        &s, small_bn(&s, "bn",
                     small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)))), 4));
    expect(&s, "shape-unknown");
    s = small_begin(13, DIMS(2, 3, 5)); /* a stack of matrices */
    small_output(
        &s,
        small_bn(&s, "bn",
                 small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(2, 5, 3)))), 3));
    expect(&s, "axis-mismatch");
}

/* What is put around the data is not known, and no scale alone maps it to itself. */
Test(fold_unknown, padding_of_a_scaled_value) {
    small s = small_begin(13, DIMS(2, 3, 4, 6));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(4, 3, 1, 1))));
    y = small_node(&s, "Pad", "op",
                   IN(y, small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 0, 0}),
                      input(&s, "given", CREASE_DOUBLE, 0, NULL)));
    small_output(&s, small_node(&s, "Mul", "bn", IN(y, small_constant(&s, "c", 2, 3, DIMS(4, 1, 1)))));
    OK(cr_optimize_fold(s.model, NULL, s.report));
    cr_assert_not(small_entry(&s, "bn").folded);
    small_end(&s);
}

/* Of the inputs of a Concat, one has an unknown number of channels; two: fewer than one of the others. */
Test(fold_unknown, channels_of_a_concat) {
    for (int64_t n = 3; n <= 5; n += 2) {
        small s = small_begin(13, DIMS(2, 3, 4, 6));
        cr_value *other = input(&s, "other", CREASE_DOUBLE, DIMS(2, CR_DIM_UNKNOWN, 4, 6)),
                 *y = small_node(&s, "Conv", "conv",
                                 IN(s.x, small_constant(&s, "w", -1, 1, DIMS(4, 3, 1, 1))));
        y = small_node(&s, "Concat", "join", IN(y, other));
        OK(cr_node_set_int(small_find(&s, "join"), "axis", 1));
        small_output(&s, small_bn(&s, "bn", y, n));
        expect(&s, n == 3 ? "axis-mismatch" : "shape-unknown");
    }
}

/* Where the rank of the data is not known, nothing but the fold looks at what the weights are of. */
typedef struct misfit {
    int w_rank;
    int64_t w[4], group;
    int b_rank; /* -1: no bias */
    int64_t b[2];
} misfit;

static void expect_misfit(const misfit *m, const char *op, bool ahead) {
    small s = small_begin(13, DIMS(1));
    s.x->shape = cr_shape_unknown();
    cr_value *x = ahead ? small_bn(&s, "bn", s.x, 4) : s.x, *in[3] = {x};
    in[1] = small_constant(&s, "w", -1, 1, m->w_rank, m->w);
    in[2] = m->b_rank < 0 ? NULL : small_constant(&s, "b", -1, 1, m->b_rank, m->b);
    cr_value *y = small_node(&s, op, "op", 3, in);
    if (m->group != 1)
        OK(cr_node_set_int(small_find(&s, "op"), "group", m->group));
    small_output(&s, ahead ? y : small_bn(&s, "bn", y, 4));
    expect(&s, "axis-mismatch");
}

Test(fold_unknown, convolutions_that_do_not_fit_together) {
    static const misfit misfits[] = {
        {2, {4, 4}, 1, -1, {0}},       {4, {4, 4, 1, 1}, 0, -1, {0}}, {4, {4, 4, 1, 1}, -4, -1, {0}},
        {4, {4, 4, 1, 1}, 3, -1, {0}}, {4, {4, 4, 1, 1}, 5, -1, {0}}, {4, {4, 4, 1, 1}, 1LL << 40, -1, {0}},
        {4, {4, 4, 1, 1}, 1, 1, {3}},  {4, {4, 4, 1, 1}, 1, 0, {0}},  {4, {4, 4, 1, 1}, 1, 2, {4, 1}},
    };
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++)
        for (int how = 0; how < 4; how++)
            expect_misfit(&misfits[i], how & 1 ? "ConvTranspose" : "Conv", how & 2);
}

Test(fold_unknown, products_that_do_not_fit_together) {
    static const misfit misfits[] = {
        {2, {4, 4}, 1, 1, {3}},
        {2, {4, 4}, 1, 2, {2, 3}},
        {2, {4, 4}, 1, 2, {0, 4}},
    };
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++)
        for (int ahead = 0; ahead < 2; ahead++)
            expect_misfit(&misfits[i], "Gemm", ahead);
}
