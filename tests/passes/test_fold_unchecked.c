#include "tests/passes/small.h"

#include "passes/affine.h"
#include "passes/fold.h"

/* Nodes that no inference has looked at, as those in the bodies of loops may be: whatever is wrong with them,
 * nothing is folded into them or past them, and nothing is read that is not there. */

/* x [2, 3, 4, 6], shapes as the values say */
static small begin(int64_t opset) {
    return small_begin(opset, DIMS(2, 3, 4, 6));
}

static cr_value *shaped(cr_value *v, int rank, const int64_t *dims) {
    v->dtype = CREASE_DOUBLE;
    v->shape = cr_shape_of(rank, dims);
    return v;
}

static cr_value *conv(small *s, const char *name, int64_t channels) {
    cr_value *y =
        small_node(s, "Conv", name, IN(s->x, small_constant(s, "w", -1, 1, DIMS(channels, 3, 1, 1))));
    return shaped(y, DIMS(2, channels, 4, 6));
}

/* The pass alone; what became of the BatchNormalization "bn". */
static void expect(small *s, const char *outcome) {
    OK(cr_model_resolve(s->model));
    OK(cr_pass_fold(s->model, &(cr_fold_settings){0}, s->report));
    crease_fold_entry e = small_entry(s, "bn");
    const char *found = e.folded ? e.pattern : e.reason ? e.reason : "no entry";
    cr_assert_str_eq(found, outcome, "%s, expected %s (%s)", found, outcome, e.detail ? e.detail : "");
    small_end(s);
}

/* conv to 4 channels -> op -> BN */
static void behind(small *s, const char *op, int n_more, cr_value **more) {
    cr_value *in[5] = {conv(s, "conv", 4)};
    for (int i = 0; i < n_more; i++)
        in[i + 1] = more[i];
    cr_value *y = shaped(small_node(s, op, "op", n_more + 1, in), DIMS(2, 4, 4, 6));
    small_output(s, small_bn(s, "bn", y, 4));
}

static cr_value *floats(small *s, crease_dtype dtype, int n) {
    cr_value *v;
    cr_tensor *t;
    cr_shape shape = cr_shape_of(1, (int64_t[]){n});
    OK(cr_graph_new_constant(s->model->graph, "floats", dtype, &shape, &v, &t));
    for (int i = 0; cr_dtype_is_float(dtype) && i < n; i++)
        cr_store_float(dtype, t->data, i, 1);
    return v;
}

static cr_value *integers(small *s, const char *name, crease_dtype dtype, int rank, const int64_t *dims) {
    cr_value *v;
    cr_tensor *t;
    size_t bytes;
    cr_shape shape = cr_shape_of(rank, dims);
    OK(cr_graph_new_constant(s->model->graph, name, dtype, &shape, &v, &t));
    cr_assert(cr_dtype_bytes(dtype, cr_shape_n(&shape), &bytes));
    memset(t->data, 0, bytes);
    return v;
}

Test(fold_unchecked, data_that_is_missing) {
    static const char *const ops[] = {"Transpose", "Identity", "Concat", "MaxPool",
                                      "Add",       "Sum",      "Relu",   "MatMul"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        small s = begin(13);
        cr_value *none = NULL, *y = small_node(&s, ops[i], "op", IN(none, none));
        small_output(&s, small_bn(&s, "bn", shaped(y, DIMS(2, 4, 4, 6)), 4));
        OK(cr_model_resolve(s.model));
        OK(cr_pass_fold(s.model, &(cr_fold_settings){0}, s.report));
        cr_assert_not(small_entry(&s, "bn").folded);
        small_end(&s);
    }
}

/* BN -> op without a first result */
Test(fold_unchecked, results_that_are_missing) {
    static const char *const ops[] = {"MaxPool", "Relu", "Conv", "Transpose", "GlobalAveragePool"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        small s = begin(13);
        cr_value *y = small_bn(&s, "bn", s.x, 3), *out[2] = {NULL, NULL};
        cr_node *node;
        OK(cr_graph_add_node(s.model->graph, NULL, ops[i], "", "op", &y, 1, out, 2, &node));
        OK(cr_model_resolve(s.model));
        OK(cr_pass_fold(s.model, &(cr_fold_settings){0}, s.report));
        cr_assert_not(small_entry(&s, "bn").folded);
        small_end(&s);
    }
}

/* An affine keeps type and shape of its data; where the values say otherwise they are not the same. */
Test(fold_unchecked, a_normalisation_of_another_shape_or_type) {
    for (int kind = 0; kind < 3; kind++) {
        small s = begin(13);
        cr_value *y = small_bn(&s, "bn", conv(&s, "conv", 4), 4);
        small_output(&s, shaped(y, DIMS(2, 4, kind == 1 ? 5 : 4, 6)));
        y->dtype = kind == 2 ? CREASE_FLOAT : CREASE_DOUBLE;
        expect(&s, kind ? "axis-mismatch" : "conv-bn");
    }
    for (int known = 0; known < 2; known++) { /* a type that is not known is no other one */
        small s = begin(13);
        cr_value *x = conv(&s, "conv", 4), *y = shaped(small_bn(&s, "bn", x, 4), DIMS(2, 4, 4, 6));
        small_output(&s, y);
        *(known ? &x->dtype : &y->dtype) = 0;
        expect(&s, "conv-bn");
    }
}

Test(fold_unchecked, permutations_that_are_none) {
    static const int64_t perms[][4] = {{0, -1, 2, 3}, {0, 4, 2, 3}, {0, 1, 2, -9}};
    for (size_t i = 0; i < sizeof perms / sizeof *perms; i++) {
        small s = begin(13);
        behind(&s, "Transpose", 0, NULL);
        OK(cr_node_set_ints(small_find(&s, "op"), "perm", perms[i], 4));
        expect(&s, "axis-mismatch");
    }
}

/* What the shapes hold behind their rank says nothing. */
Test(fold_unchecked, ranks_that_are_too_small) {
    static const char *const ops[] = {"Reshape", "Pad", "Resize"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (int far = 0; far < 2; far++) {
            small s = begin(13);
            cr_value *none = NULL, *pads = small_ints(&s, "ints", 8, (int64_t[8]){0}),
                     *more[2] = {i == 2 ? none : pads, floats(&s, CREASE_FLOAT, 4)};
            behind(&s, ops[i], i == 2 ? 2 : 1, more);
            cr_node *op = small_find(&s, "op");
            if (i == 1)
                OK(cr_node_set_string(op, "mode", "edge"));
            (far ? op->inputs[0] : op->outputs[0])->shape.rank = far && i == 0 ? -1 : 1;
            expect(&s, "shape-unknown");
        }
}

Test(fold_unchecked, pads_that_do_not_fit) {
    static const int64_t pads[8] = {0};
    small s = begin(13); /* six for four axes */
    cr_value *six = small_ints(&s, "pads", 6, pads);
    behind(&s, "Pad", IN(six));
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    expect(&s, "axis-mismatch");
    s = begin(13); /* of another type */
    cr_value *other = integers(&s, "other", CREASE_INT32, DIMS(16));
    other->constant->shape.dims[0] = 8;
    behind(&s, "Pad", IN(other));
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    expect(&s, "axis-mismatch");
    for (int n = 0; n < 3; n += 2) { /* no value, or two */
        s = begin(13);
        cr_value *eight = small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 0, 0}),
                 *value = small_constant(&s, "value", 0, 0, DIMS(n));
        behind(&s, "Pad", IN(eight, value));
        double *beta = small_find(&s, "bn")->inputs[2]->constant->data,
               *mean = small_find(&s, "bn")->inputs[3]->constant->data;
        for (int c = 0; c < 4; c++)
            beta[c] = mean[c] = 0;
        expect(&s, "border-values");
    }
    s = begin(13); /* an integer */
    cr_value *eight = small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 0, 0}),
             *integer = small_ints(&s, "value", 1, (int64_t[]){0});
    behind(&s, "Pad", IN(eight, integer));
    double *beta = small_find(&s, "bn")->inputs[2]->constant->data,
           *mean = small_find(&s, "bn")->inputs[3]->constant->data;
    for (int c = 0; c < 4; c++)
        beta[c] = mean[c] = 0;
    expect(&s, "border-values");
}

Test(fold_unchecked, axes_of_a_mean_that_are_none) {
    small s = begin(18);
    cr_value *axes = small_ints(&s, "axes", 2, (int64_t[]){9, 2});
    behind(&s, "ReduceMean", IN(axes));
    expect(&s, "shape-unknown");
    s = begin(18);
    cr_value *other = integers(&s, "other", CREASE_INT32, DIMS(4));
    other->constant->shape.dims[0] = 2;
    behind(&s, "ReduceMean", IN(other));
    expect(&s, "shape-unknown");
}

/* Lists of sizes or scales that end before the channels, whatever stands behind, and none at all. */
Test(fold_unchecked, resizes_that_say_too_little) {
    small s = begin(13);
    cr_value *none = NULL, *sizes = small_ints(&s, "sizes", 4, (int64_t[]){2, 4, 4, 6});
    sizes->constant->shape.dims[0] = 1;
    behind(&s, "Resize", IN(none, none, sizes));
    expect(&s, "axis-mismatch");
    s = begin(13);
    cr_value *scales = floats(&s, CREASE_FLOAT, 4);
    scales->constant->shape.dims[0] = 1;
    behind(&s, "Resize", IN(none, scales));
    expect(&s, "axis-mismatch");
    s = begin(13);
    behind(&s, "Resize", 0, NULL);
    expect(&s, "axis-mismatch");
    s = begin(7);
    behind(&s, "Upsample", 0, NULL);
    float *listed;
    OK(CR_ARENA_NEW(&s.model->arena, &listed, 4));
    for (int d = 0; d < 4; d++)
        listed[d] = 1;
    OK(cr_node_set_attr(small_find(&s, "op"),
                        &(cr_attr){.name = "scales", .type = CR_ATTR_FLOATS, .n = 1, .floats = listed}));
    expect(&s, "axis-mismatch");
}

/* conv and another value -> op -> BN */
static void expect_joined(const char *op, cr_value *other, small *s, const char *outcome) {
    cr_value *y = shaped(small_node(s, op, "op", IN(conv(s, "conv", 2), other)), DIMS(2, 4, 4, 6));
    if (strcmp(op, "Concat") == 0)
        OK(cr_node_set_int(small_find(s, "op"), "axis", 1));
    small_output(s, small_bn(s, "bn", y, 4));
    expect(s, outcome);
}

Test(fold_unchecked, joined_values_of_unknown_rank) {
    small s = begin(13);
    expect_joined("Concat", NULL, &s, "shape-unknown");
    s = begin(13);
    cr_value *other = conv(&s, "other", 2);
    other->shape.rank = 1; /* the channels behind it are none */
    expect_joined("Concat", other, &s, "shape-unknown");
    s = begin(13);
    expect_joined("Add", NULL, &s, "axis-mismatch");
    s = begin(13); /* joined on another axis */
    cr_value *none = NULL, *y = small_node(&s, "Concat", "op", IN(conv(&s, "conv", 4), none));
    OK(cr_node_set_int(small_find(&s, "op"), "axis", 2));
    small_output(&s, small_bn(&s, "bn", shaped(y, DIMS(2, 4, 4, 6)), 4));
    expect(&s, "shape-unknown");
}

/* All of them of unknown rank, and numbers left behind it. */
Test(fold_unchecked, sums_of_unknown_rank) {
    static const char *const ops[] = {"Add", "Concat"};
    for (int i = 0; i < 2; i++) {
        small s = begin(13);
        cr_value *a = conv(&s, "a", 4), *b = conv(&s, "b", 4), *y = small_node(&s, ops[i], "op", IN(a, b));
        shaped(y, DIMS(2, 4, 4, 6));
        if (i)
            OK(cr_node_set_int(small_find(&s, "op"), "axis", 2));
        small_output(&s, small_bn(&s, "bn", y, 4));
        a->shape.rank = b->shape.rank = y->shape.rank = -1;
        expect(&s, i ? "shape-unknown" : "axis-mismatch");
    }
}

/* Weights that fit no group, or hold nothing: an affine of one pair for all does not ask how many there are.
 */
static void expect_weights(const char *op, bool ahead, int64_t group, int rank, const int64_t *dims,
                           bool folds) {
    small s = small_begin(13, DIMS(1, 4, 3, 3));
    cr_value *w = small_constant(&s, "w", -1, 1, rank, dims), *y = s.x;
    if (ahead)
        y = shaped(small_node(&s, "Add", "shift", IN(y, small_constant(&s, "c", 1, 2, 0, NULL))),
                   DIMS(1, 4, 3, 3));
    y = shaped(small_node(&s, op, "conv", IN(y, w)), DIMS(1, 4, 3, 3));
    OK(cr_node_set_int(small_find(&s, "conv"), "group", group));
    if (!ahead)
        y = shaped(small_node(&s, "Add", "shift", IN(y, small_constant(&s, "c", 1, 2, 0, NULL))),
                   DIMS(1, 4, 3, 3));
    small_output(&s, y);
    OK(cr_model_resolve(s.model));
    OK(cr_pass_fold(s.model, &(cr_fold_settings){0}, s.report));
    cr_assert_eq(cr_report_n_folded(s.report) > 0, folds, "%s, group %lld", op, (long long)group);
    small_end(&s);
}

Test(fold_unchecked, weights_that_fit_no_group) {
    static const char *const ops[] = {"Conv", "ConvTranspose"};
    for (int i = 0; i < 4; i++) {
        expect_weights(ops[i & 1], i & 2, 3, DIMS(4, 4, 1, 1), false);
        expect_weights(ops[i & 1], i & 2, 0, DIMS(4, 4, 1, 1), false);
        expect_weights(ops[i & 1], i & 2, 1, DIMS(4, 4), false);
        expect_weights(ops[i & 1], i & 2, 1, DIMS(4, 4, 1, 1), true);
    }
    expect_weights("ConvTranspose", false, 1, DIMS(1, 1LL << 40, 0), false);
    expect_weights("ConvTranspose", true, 1, DIMS(1, 1LL << 40, 0), false);
    expect_weights("Conv", false, 1, DIMS(1LL << 40, 0, 1), false);
    expect_weights("Conv", true, 1, DIMS(1LL << 40, 0, 1), false);
}

/* Outputs that no tap reaches are the bias alone. */
Test(fold_unchecked, padding_of_the_output) {
    small s = small_begin(13, DIMS(1, 3, 4, 4));
    cr_value *y =
        small_node(&s, "ConvTranspose", "conv",
                   IN(small_bn(&s, "bn", s.x, 3), small_constant(&s, "w", -1, 1, DIMS(3, 2, 1, 1))));
    OK(cr_node_set_ints(small_find(&s, "conv"), "output_padding", (int64_t[]){1, 1}, 2));
    small_output(&s, y);
    expect(&s, "border-values");
}

Test(fold_unchecked, products_that_are_none) {
    small s =
        small_begin(13, DIMS(5, 3)); /* the rows that a Gemm sums over are not as many as its weights' */
    cr_value *y = small_node(&s, "Mul", "bn", IN(s.x, small_constant(&s, "c", 1, 2, DIMS(5, 1))));
    small_output(&s, small_node(&s, "Gemm", "gemm",
                                IN(shaped(y, DIMS(5, 3)), small_constant(&s, "w", -1, 1, DIMS(4, 2)))));
    OK(cr_node_set_int(small_find(&s, "gemm"), "transA", 1));
    expect(&s, "no entry");
    s = small_begin(13, DIMS(2, 5)); /* C of three axes */
    y = small_node(
        &s, "Gemm", "gemm",
        IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)), small_constant(&s, "c", -1, 1, DIMS(1, 1, 4))));
    small_output(&s, small_bn(&s, "bn", shaped(y, DIMS(2, 4)), 4));
    expect(&s, "axis-mismatch");
    s = small_begin(13, DIMS(2, 5)); /* a bias of integers */
    y = shaped(small_node(&s, "MatMul", "mm", IN(s.x, small_constant(&s, "w", -1, 1, DIMS(5, 4)))),
               DIMS(2, 4));
    y = small_node(&s, "Add", "add", IN(y, small_ints(&s, "c", 4, (int64_t[]){1, 2, 3, 4})));
    small_output(&s, small_bn(&s, "bn", shaped(y, DIMS(2, 4)), 4));
    expect(&s, "several-consumers");
}

/* ---- quantised weights ---- */

/* x -> Conv of 4 channels, weights int8 [4, 3, 1, 1] and bias int32 dequantised along axis 0 -> BN */
static small quantized(int rank, const int64_t *scales, int bias_rank, const int64_t *bias,
                       int64_t n_bias_scales) {
    small s = begin(21);
    cr_value *w = small_node(&s, "DequantizeLinear", "dq",
                             IN(integers(&s, "q", CREASE_INT8, DIMS(4, 3, 1, 1)),
                                small_constant(&s, "scale", 1, 2, rank, scales))),
             *b = small_node(&s, "DequantizeLinear", "dq_bias",
                             IN(integers(&s, "qb", CREASE_INT32, bias_rank, bias),
                                small_constant(&s, "sb", 1, 2, n_bias_scales ? 1 : 0, &n_bias_scales)));
    OK(cr_node_set_int(small_find(&s, "dq"), "axis", 0));
    OK(cr_node_set_int(small_find(&s, "dq_bias"), "axis", 0));
    cr_value *y = small_node(&s, "Conv", "conv", IN(s.x, w, b));
    small_output(&s, small_bn(&s, "bn", shaped(y, DIMS(2, 4, 4, 6)), 4));
    return s;
}

Test(fold_unchecked, quantised_forms) {
    small s = quantized(DIMS(4), DIMS(4), 4);
    expect(&s, "conv-bn");
    s = quantized(DIMS(4), DIMS(4), 0); /* one scale for the bias */
    expect(&s, "conv-bn");
    s = quantized(DIMS(3), DIMS(4), 4);
    expect(&s, "quantized");
    s = quantized(DIMS(4, 1, 1, 1), DIMS(4), 4);
    expect(&s, "quantized");
    s = quantized(DIMS(4), DIMS(4), 3);
    expect(&s, "quantized");
    s = quantized(DIMS(4), DIMS(2, 2), 4);
    expect(&s, "quantized");
    s = quantized(DIMS(4), DIMS(4), 4);
    OK(cr_node_set_int(small_find(&s, "dq"), "block_size", 2));
    expect(&s, "quantized");
    s = quantized(DIMS(4), DIMS(4), 4);
    OK(cr_node_set_int(small_find(&s, "dq_bias"), "block_size", 1));
    expect(&s, "quantized");
    s = quantized(DIMS(4), DIMS(4), 4);
    OK(cr_node_set_float(small_find(&s, "dq"), "output_dtype", 1));
    expect(&s, "quantized");
    s = quantized(DIMS(4), DIMS(4), 4);
    OK(cr_node_set_int(small_find(&s, "dq"), "output_dtype", 0));
    expect(&s, "conv-bn");
    s = quantized(DIMS(4), DIMS(4), 4); /* a scale that is an integer */
    OK(cr_node_set_input(small_find(&s, "dq"), 1, integers(&s, "si", CREASE_INT32, DIMS(4))));
    expect(&s, "quantized");
}

/* One zero point for many scales, which readers of files differ about. */
Test(fold_unchecked, quantised_zero_points) {
    small s = quantized(DIMS(4), DIMS(4), 4);
    OK(cr_node_set_input(small_find(&s, "dq"), 2, integers(&s, "zero", CREASE_INT8, 0, NULL)));
    expect(&s, "quantized");
    s = quantized(DIMS(4), DIMS(4), 4);
    OK(cr_node_set_input(small_find(&s, "dq"), 2, integers(&s, "zero", CREASE_UINT8, DIMS(4))));
    expect(&s, "quantized");
    s = quantized(DIMS(4), DIMS(4), 4);
    OK(cr_node_set_input(small_find(&s, "dq"), 2, integers(&s, "zero", CREASE_INT8, DIMS(4))));
    expect(&s, "conv-bn");
}

/* A bias of packed numbers is not read. */
Test(fold_unchecked, a_quantised_bias_of_another_type) {
    small s = quantized(DIMS(4), DIMS(4), 4);
    OK(cr_node_set_input(small_find(&s, "dq_bias"), 0, integers(&s, "packed", CREASE_INT4, DIMS(4))));
    expect(&s, "quantized");
}

Test(fold_unchecked, quantised_by_what_is_computed) {
    for (int i = 0; i < 3; i++) {
        small s = quantized(DIMS(4), DIMS(4), 4);
        cr_value *given;
        OK(cr_graph_add_value(s.model->graph, "given", true, &given));
        OK(cr_graph_add_input(s.model->graph, given));
        OK(cr_node_set_input(small_find(&s, "dq"), i, given));
        expect(&s, "quantized");
    }
}

/* An operator of two constants that nobody has computed. */
Test(fold_unchecked, weights_by_another_operator) {
    small s = quantized(DIMS(4), DIMS(4), 4);
    OK(cr_node_set_op(small_find(&s, "dq"), "Unheard", ""));
    expect(&s, "not-constant");
}

/* ---- what does nothing ---- */

Test(fold_unchecked, dropouts) {
    static const struct {
        crease_dtype dtype;
        int64_t n;
        bool noop;
    } modes[] = {{CREASE_BOOL, 1, true}, {CREASE_INT32, 1, false}, {CREASE_BOOL, 2, false}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        small s = begin(13);
        cr_value *none = NULL, *mode = integers(&s, "mode", modes[i].dtype, DIMS(modes[i].n));
        small_node(&s, "Dropout", "drop", IN(s.x, none, mode));
        cr_assert_eq(cr_is_noop(small_find(&s, "drop")), modes[i].noop, "mode %zu", i);
        small_end(&s);
    }
    small s = begin(13);
    cr_value *none = NULL;
    cr_node *node;
    OK(cr_graph_add_node(s.model->graph, NULL, "Identity", "", "same", &s.x, 1, &none, 1, &node));
    cr_assert_not(cr_is_noop(node));
    small_end(&s);
}

Test(fold_unchecked, a_quantizer_that_measures) {
    small s = begin(13);
    small_output(&s, small_node(&s, "DynamicQuantizeLinear", "op", IN(small_bn(&s, "bn", s.x, 3))));
    expect(&s, "quantized-between");
}

/* Axes of unknown size are no obstacle to what lies beside them. */
Test(fold_unchecked, one_pair_for_all_needs_no_rank) {
    static const char *const ops[] = {"Pad", "Resize", "Concat"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        small s = begin(13);
        cr_value *none = NULL, *y = conv(&s, "conv", 4), *scales = floats(&s, CREASE_FLOAT, 4),
                 *pads = small_ints(&s, "pads", 8, (int64_t[8]){0});
        y = i == 0   ? small_node(&s, "Pad", "op", IN(y, pads))
            : i == 1 ? small_node(&s, "Resize", "op", IN(y, none, scales))
                     : small_node(&s, "Concat", "op", IN(y, conv(&s, "other", 4)));
        if (i == 0)
            OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
        CR_FOR_NODES(node, s.model->graph)
        node->outputs[0]->shape = cr_shape_unknown();
        small_output(&s, small_node(&s, "Mul", "bn", IN(y, small_constant(&s, "c", 1, 2, 0, NULL))));
        OK(cr_model_resolve(s.model));
        OK(cr_pass_fold(s.model, &(cr_fold_settings){0}, s.report));
        cr_assert(small_entry(&s, "bn").folded, "%s", ops[i]);
        small_end(&s);
    }
}

Test(fold_unchecked, channels_of_unknown_number_pass_a_pad) {
    small s = begin(13);
    s.x->shape.dims[1] = CR_DIM_UNKNOWN;
    cr_value *y = shaped(small_bn(&s, "bn", s.x, 3), DIMS(2, CR_DIM_UNKNOWN, 4, 6));
    y = small_node(&s, "Pad", "op", IN(y, small_ints(&s, "pads", 8, (int64_t[]){0, 0, 1, 1, 0, 0, 0, 0})));
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    y = shaped(y, DIMS(2, CR_DIM_UNKNOWN, 5, 7));
    small_output(&s, small_node(&s, "Conv", "conv", IN(y, small_constant(&s, "w", -1, 1, DIMS(4, 3, 1, 1)))));
    expect(&s, "bn-pad-conv");
}

/* Sizes whose products do not fit are compared without being multiplied. */
Test(fold_unchecked, reshapes_beyond_all_memory) {
    small s = begin(13);
    cr_value *shape = small_ints(&s, "shape", 4, (int64_t[]){2, 4, 4, 6});
    behind(&s, "Reshape", IN(shape));
    small_find(&s, "op")->inputs[0]->shape = cr_shape_of(DIMS((1LL << 62) + 24, 4));
    expect(&s, "axis-mismatch");
    s = begin(13);
    shape = small_ints(&s, "shape", 4, (int64_t[]){2, 4, 4, 6});
    behind(&s, "Reshape", IN(shape));
    small_find(&s, "op")->outputs[0]->shape = cr_shape_of(DIMS(2, 4, 1LL << 62));
    expect(&s, "shape-unknown");
}

Test(fold_unchecked, pads_of_axes_that_are_computed) {
    small s = begin(18);
    cr_value *none = NULL, *given, *pads = small_ints(&s, "pads", 8, (int64_t[8]){0});
    OK(cr_graph_add_value(s.model->graph, "given", true, &given));
    OK(cr_graph_add_input(s.model->graph, given));
    behind(&s, "Pad", IN(pads, none, given));
    OK(cr_node_set_string(small_find(&s, "op"), "mode", "edge"));
    expect(&s, "axis-mismatch");
}
