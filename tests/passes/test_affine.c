#include "passes/affine.h"
#include "tests/passes/small.h"

/* What a node computes, read without inference having looked at it: whatever a file may hold. */

typedef struct reading {
    cr_affine affine;
    int data;
    cr_refusal refusal;
} reading;

static reading read_node(small *s, const cr_node *node) {
    reading r = {0};
    OK(cr_affine_of(node, &s->model->arena, &r.affine, &r.data, &r.refusal));
    return r;
}

static void expect_code(small *s, const cr_node *node, const char *code) {
    reading r = read_node(s, node);
    cr_assert_str_eq(r.refusal.code ? r.refusal.code : "none", code);
    small_end(s);
}

/* BN of an input of unknown shape, in the order gamma, beta, mean, variance; lengths as given. */
static small bn_of(int64_t opset, const int64_t lengths[4]) {
    small s = small_begin(opset, DIMS(1));
    cr_value *in[5] = {s.x};
    s.x->shape = cr_shape_unknown();
    for (int i = 0; i < 4; i++)
        in[i + 1] = small_constant(&s, "p", 0.5, 1, DIMS(lengths[i]));
    small_output(&s, small_node(&s, "BatchNormalization", "bn", 5, in));
    return s;
}

static small plain_bn(int64_t opset) {
    return bn_of(opset, (int64_t[]){3, 3, 3, 3});
}

Test(affine, batch_normalization) {
    small s = plain_bn(15);
    cr_node *bn = small_find(&s, "bn");
    reading r = read_node(&s, bn);
    cr_assert_null(r.refusal.code);
    cr_assert_eq(r.affine.axis, 1);
    cr_assert_eq(r.affine.n, 3);
    double p[5];
    for (int i = 1; i < 5; i++)
        p[i] = ((double *)bn->inputs[i]->constant->data)[2];
    double expected = (0.25 - p[3]) * p[1] / sqrt(p[4] + (double)1e-5F) + p[2];
    cr_assert(fabs(cr_affine_at(&r.affine, 2, 0.25) - expected) < 1e-15);
    small_end(&s);
}

Test(affine, parameters_of_different_lengths) {
    for (int i = 1; i < 4; i++)
        for (int64_t length = 0; length < 5; length += 2) {
            int64_t lengths[4] = {3, 3, 3, 3};
            lengths[i] = length;
            small s = bn_of(15, lengths);
            expect_code(&s, small_find(&s, "bn"), "axis-mismatch");
        }
}

Test(affine, parameters_that_are_no_vector_of_floats) {
    small s = plain_bn(15);
    OK(cr_node_set_input(small_find(&s, "bn"), 2, small_constant(&s, "p", 0, 1, DIMS(3, 1))));
    expect_code(&s, small_find(&s, "bn"), "axis-mismatch");
    s = plain_bn(15);
    OK(cr_node_set_input(small_find(&s, "bn"), 1, small_constant(&s, "p", 0, 1, 0, NULL)));
    expect_code(&s, small_find(&s, "bn"), "axis-mismatch");
    s = plain_bn(15);
    OK(cr_node_set_input(small_find(&s, "bn"), 3, small_ints(&s, "p", 3, (int64_t[]){1, 2, 3})));
    expect_code(&s, small_find(&s, "bn"), "axis-mismatch");
}

Test(affine, parameters_left_out) {
    for (int i = 1; i < 5; i++) {
        small s = plain_bn(15);
        OK(cr_node_set_input(small_find(&s, "bn"), i, NULL));
        expect_code(&s, small_find(&s, "bn"), "not-constant");
    }
    small s = plain_bn(15);
    OK(cr_node_set_input(small_find(&s, "bn"), 0, NULL));
    expect_code(&s, small_find(&s, "bn"), "not-affine");
}

Test(affine, zero_channels) {
    small s = bn_of(15, (int64_t[]){0, 0, 0, 0});
    reading r = read_node(&s, small_find(&s, "bn"));
    cr_assert_str_eq(r.refusal.code, "no-channels");
    small_end(&s);
}

/* Each by itself, before any weight is multiplied by it. */
Test(affine, parameters_that_are_no_numbers) {
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 1; i < 5; i++)
        for (int k = 0; k < 3; k++) {
            small s = plain_bn(15);
            ((double *)small_find(&s, "bn")->inputs[i]->constant->data)[1] = bad[k];
            expect_code(&s, small_find(&s, "bn"), "non-finite");
        }
}

Test(affine, variance) {
    static const struct {
        double variance;
        float epsilon;
        const char *code;
    } cases[] = {{-1, 1e-5F, "variance-not-positive"},
                 {0, 0, "variance-not-positive"},
                 {-0.5, 0.5F, "variance-not-positive"},
                 {0, 1e-5F, "none"},
                 {0x1p-1074, 1e-5F, "none"},
                 {0x1p-1074, 0, "none"},
                 {-0x1p-1074, 1e-5F, "none"},
                 {2e10, 1e-5F, "none"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small s = plain_bn(15);
        ((double *)small_find(&s, "bn")->inputs[4]->constant->data)[1] = cases[i].variance;
        OK(cr_node_set_float(small_find(&s, "bn"), "epsilon", cases[i].epsilon));
        expect_code(&s, small_find(&s, "bn"), cases[i].code);
    }
}

/* ---- modes ---- */

Test(affine, training_by_attribute_of_its_operator_set) {
    static const struct {
        int64_t opset, training, is_test;
        const char *code;
    } cases[] = {{15, 0, 0, "none"}, {15, 1, 0, "training-mode"}, {14, 1, 1, "training-mode"},
                 {13, 1, 0, "none"}, {9, 0, 0, "none"},           {7, 0, 0, "none"},
                 {6, 0, 1, "none"},  {6, 0, 0, "training-mode"},  {1, 1, 1, "none"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small s = plain_bn(cases[i].opset);
        cr_node *bn = small_find(&s, "bn");
        OK(cr_node_set_int(bn, "training_mode", cases[i].training));
        OK(cr_node_set_int(bn, "is_test", cases[i].is_test));
        expect_code(&s, bn, cases[i].code);
    }
}

/* With parameters for every position only where the attribute asks for them. */
Test(affine, spatial) {
    for (int64_t opset = 7; opset <= 9; opset += 2)
        for (int maps = 0; maps < 2; maps++) {
            small s = plain_bn(opset);
            cr_node *bn = small_find(&s, "bn");
            OK(cr_node_set_int(bn, "spatial", 0));
            for (int i = 1; maps && i < 5; i++)
                OK(cr_node_set_input(bn, i, small_constant(&s, "p", 0.5, 1, DIMS(3, 2))));
            expect_code(&s, bn, !maps ? "none" : opset < 9 ? "spatial-0" : "axis-mismatch");
        }
    small s = plain_bn(8); /* parameters that are not known: any shape */
    OK(cr_node_set_int(small_find(&s, "bn"), "spatial", 0));
    OK(cr_node_set_input(small_find(&s, "bn"), 1, s.x));
    expect_code(&s, small_find(&s, "bn"), "not-constant");
    s = plain_bn(8); /* maps where the attribute does not ask for them */
    OK(cr_node_set_input(small_find(&s, "bn"), 1, small_constant(&s, "p", 0.5, 1, DIMS(3, 2))));
    expect_code(&s, small_find(&s, "bn"), "axis-mismatch");
}

/* how 0: statistics are left out; 1: nobody uses them; 2: a node does; 3: they are outputs of the graph */
static void expect_statistics(int64_t opset, int how, const char *code) {
    small s = plain_bn(opset);
    cr_node *plain = small_find(&s, "bn"), *bn;
    cr_value *out[3] = {NULL};
    OK(cr_graph_add_value(s.model->graph, "y", true, &out[0]));
    if (how)
        OK(cr_graph_add_value(s.model->graph, "mean", true, &out[1]));
    OK(cr_graph_add_node(s.model->graph, NULL, "BatchNormalization", "", "two", plain->inputs, 5, out, 3,
                         &bn));
    OK(cr_node_set_int(bn, "is_test", 1));
    if (how == 2)
        small_node(&s, "Relu", "user", IN(out[1]));
    if (how == 3)
        small_output(&s, out[1]);
    expect_code(&s, bn, code);
}

/* From opset 7 to 13 nothing else than their presence says that a node trains. */
Test(affine, statistics) {
    static const int64_t opsets[] = {6, 7, 9, 13, 14};
    for (int i = 0; i < 5; i++)
        for (int how = 0; how < 4; how++)
            expect_statistics(opsets[i], how,
                              how > 1 || (how == 1 && opsets[i] != 6 && opsets[i] != 14) ? "extra-outputs"
                                                                                         : "none");
}

/* ---- arithmetic ---- */

static small arithmetic(const char *op, int64_t opset, int rank, const int64_t *dims) {
    small s = small_begin(opset, DIMS(2, 3, 4, 5));
    small_output(&s, small_node(&s, op, "a", IN(s.x, small_constant(&s, "c", 0.5, 1, rank, dims))));
    return s;
}

Test(affine, constants_that_fit_no_channel) {
    small s = arithmetic("Mul", 13, DIMS(3, 4, 1)); /* two axes */
    expect_code(&s, small_find(&s, "a"), "axis-mismatch");
    s = arithmetic("Mul", 13, DIMS(2, 1, 1)); /* not its length */
    expect_code(&s, small_find(&s, "a"), "axis-mismatch");
    s = arithmetic("Mul", 13, DIMS(1, 1, 1, 1, 1)); /* adds an axis, with one value */
    expect_code(&s, small_find(&s, "a"), "axis-mismatch");
    s = arithmetic("Mul", 13, DIMS(0)); /* none */
    expect_code(&s, small_find(&s, "a"), "axis-mismatch");
    s = arithmetic("Mul", 13, DIMS(1, 1)); /* all alike */
    expect_code(&s, small_find(&s, "a"), "none");
}

Test(affine, data_of_unknown_rank_takes_scalars_only) {
    small s = arithmetic("Add", 13, DIMS(3, 1, 1));
    s.x->shape = cr_shape_unknown();
    expect_code(&s, small_find(&s, "a"), "shape-unknown");
    s = arithmetic("Add", 13, DIMS(1)); /* of a scalar it would make a list */
    s.x->shape = cr_shape_unknown();
    expect_code(&s, small_find(&s, "a"), "shape-unknown");
    s = arithmetic("Add", 13, 0, NULL);
    s.x->shape = cr_shape_unknown();
    expect_code(&s, small_find(&s, "a"), "none");
    s = arithmetic("Add", 13, DIMS(1));
    s.x->shape = cr_shape_of(0, NULL);
    expect_code(&s, small_find(&s, "a"), "axis-mismatch");
}

/* One channel would be repeated, so that what is behind has more than what is before. */
Test(affine, data_of_unknown_channels_may_be_broadcast) {
    small s = arithmetic("Add", 13, DIMS(3, 1, 1));
    s.x->shape.dims[1] = CR_DIM_UNKNOWN;
    expect_code(&s, small_find(&s, "a"), "shape-unknown");
    s = arithmetic("Add", 13, DIMS(3, 1, 1)); /* other axes do not matter */
    s.x->shape.dims[0] = s.x->shape.dims[2] = CR_DIM_UNKNOWN;
    expect_code(&s, small_find(&s, "a"), "none");
}

/* Before opset 7 an attribute says where the constant stands; later it means nothing. */
Test(affine, axis_attribute) {
    static const struct {
        int64_t opset, axis;
        int expected; /* axis, or -2: refused */
    } cases[] = {{6, 1, 1}, {6, -3, 1}, {6, 0, -2}, {6, -9, -2}, {6, 9, -2}, {7, 1, -2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small s = arithmetic("Mul", cases[i].opset, DIMS(3));
        OK(cr_node_set_int(small_find(&s, "a"), "axis", cases[i].axis));
        reading r = read_node(&s, small_find(&s, "a"));
        cr_assert_eq(r.refusal.code ? -2 : r.affine.axis, cases[i].expected, "case %zu", i);
        small_end(&s);
    }
}

Test(affine, no_affine_of_one_input) {
    static const char *const ops[] = {"Pow", "Relu", "Max"};
    for (size_t i = 0; i < 3; i++) {
        small s = arithmetic(ops[i], 13, DIMS(1));
        expect_code(&s, small_find(&s, "a"), "not-affine");
    }
    small s = arithmetic("Mul", 13, DIMS(1)); /* of two inputs */
    OK(cr_node_set_input(small_find(&s, "a"), 1, s.x));
    expect_code(&s, small_find(&s, "a"), "not-affine");
    s = arithmetic("Mul", 13, DIMS(1)); /* of none */
    OK(cr_node_set_input(small_find(&s, "a"), 0, small_constant(&s, "d", 0, 1, DIMS(1))));
    expect_code(&s, small_find(&s, "a"), "not-affine");
    for (int i = 0; i < 2; i++) {
        s = arithmetic("Mul", 13, DIMS(1));
        OK(cr_node_set_input(small_find(&s, "a"), i, NULL));
        expect_code(&s, small_find(&s, "a"), "not-affine");
    }
    s = arithmetic("Div", 13, DIMS(1)); /* c / x */
    OK(cr_node_set_input(small_find(&s, "a"), 0, small_find(&s, "a")->inputs[1]));
    OK(cr_node_set_input(small_find(&s, "a"), 1, s.x));
    expect_code(&s, small_find(&s, "a"), "not-affine");
    s = arithmetic("Add", 13, DIMS(1)); /* of integers */
    OK(cr_node_set_input(small_find(&s, "a"), 1, small_ints(&s, "i", 1, (int64_t[]){2})));
    expect_code(&s, small_find(&s, "a"), "not-affine");
}

Test(affine, nodes_without_input_or_output) {
    small s = arithmetic("Add", 13, DIMS(1));
    cr_node *a = small_find(&s, "a");
    a->n_outputs = 0;
    expect_code(&s, a, "not-affine");
    s = arithmetic("Add", 13, DIMS(1));
    a = small_find(&s, "a");
    a->outputs[0] = NULL;
    expect_code(&s, a, "not-affine");
    s = arithmetic("Add", 13, DIMS(1));
    a = small_find(&s, "a");
    a->n_inputs = 0;
    expect_code(&s, a, "not-affine");
}

Test(affine, constants_that_are_no_numbers) {
    static const struct {
        const char *op;
        double value;
    } cases[] = {{"Mul", NAN}, {"Add", INFINITY}, {"Sub", NAN}, {"Div", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        small s = arithmetic(cases[i].op, 13, DIMS(1));
        *(double *)small_find(&s, "a")->inputs[1]->constant->data = cases[i].value;
        expect_code(&s, small_find(&s, "a"), "non-finite");
    }
}

/* ---- composition ---- */

static cr_affine one(small *s, int axis, int64_t n, double scale, double mean, double beta) {
    cr_affine a;
    OK(cr_affine_create(&s->model->arena, axis, n, &a));
    for (int64_t i = 0; i < n; i++)
        a.s[i] = scale, a.mean[i] = mean, a.beta[i] = beta;
    return a;
}

Test(affine, only_affines_of_the_same_channels_compose) {
    small s = small_begin(13, DIMS(1));
    cr_affine all = one(&s, CR_AFFINE_ALL, 1, 2, 0, 0), three = one(&s, 1, 3, 2, 0, 0),
              four = one(&s, 1, 4, 2, 0, 0), other = one(&s, 2, 3, 2, 0, 0);
    cr_assert(cr_affine_composable(&all, &three) && cr_affine_composable(&three, &all));
    cr_assert(cr_affine_composable(&all, &all) && cr_affine_composable(&three, &three));
    cr_assert_not(cr_affine_composable(&three, &four));
    cr_assert_not(cr_affine_composable(&three, &other));
    small_end(&s);
}

/* x + 1e15, then less a mean of 1e15: the small rest is all there is. */
Test(affine, a_shift_meets_the_mean_before_it_meets_the_scale) {
    small s = small_begin(13, DIMS(1));
    cr_affine both, shift = one(&s, CR_AFFINE_ALL, 1, 1, 0, 1e15),
                    bn = one(&s, 1, 2, 1.0 / 3, 1e15 - 0.5, 0.125);
    OK(cr_affine_compose(&s.model->arena, &shift, &bn, &both));
    cr_assert_eq(both.n, 2);
    cr_assert_eq(cr_affine_at(&both, 1, 0.25), fma(0.75, 1.0 / 3, 0.125));
    small_end(&s);
}

/* ---- storing ---- */

Test(affine, what_does_not_fit_is_told) {
    static const struct {
        crease_dtype dtype;
        double value;
        const char *code;
    } cases[] = {{CREASE_FLOAT16, 65504, "none"},        {CREASE_FLOAT16, 65536, "overflow"},
                 {CREASE_BFLOAT16, 3e38, "none"},        {CREASE_FLOAT, 3.5e38, "overflow"},
                 {CREASE_DOUBLE, 1e308, "none"},         {CREASE_DOUBLE, INFINITY, "non-finite"},
                 {CREASE_FLOAT16, NAN, "non-finite"},    {CREASE_FLOAT, -INFINITY, "non-finite"},
                 {CREASE_BFLOAT16, -3.4e38, "overflow"}, {CREASE_FLOAT, -3e38, "none"},
                 {CREASE_FLOAT16, 1e-7, "underflow"},    {CREASE_FLOAT16, -0x1p-24, "none"},
                 {CREASE_FLOAT16, 1e-4, "none"},         {CREASE_BFLOAT16, 1e-40, "underflow"},
                 {CREASE_FLOAT, 1e-44, "underflow"},     {CREASE_FLOAT, 1e-99, "underflow"},
                 {CREASE_FLOAT, 0x1p-149, "none"},       {CREASE_FLOAT, 1e-37, "none"},
                 {CREASE_DOUBLE, 1e-320, "none"},        {CREASE_FLOAT, 0, "none"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int scaled = 0; scaled < 2; scaled++) {
            small s = small_begin(13, DIMS(1));
            cr_shape shape = cr_shape_of(1, (int64_t[]){3});
            cr_fit fit = {0};
            cr_refusal refusal = {0};
            cr_tensor from, to;
            OK(cr_tensor_create(s.heap, cases[i].dtype, &shape, &from));
            OK(cr_tensor_create(s.heap, cases[i].dtype, &shape, &to));
            for (int k = 0; k < 3; k++)
                cr_store_float(from.dtype, from.data, k, 1);
            if (scaled)
                cr_put_scaled(&to, &from, 1, 1, cases[i].value, &fit);
            else
                cr_put(&to, 1, cases[i].value, &fit);
            cr_refuse_unfit(&refusal, &fit, "w", to.dtype);
            cr_assert_str_eq(refusal.code ? refusal.code : "none", cases[i].code, "case %zu", i);
            cr_tensor_release(&from);
            cr_tensor_release(&to);
            small_end(&s);
        }
}

/* Numbers below the normal ones do not matter beside ordinary ones, before or behind them. */
Test(affine, a_few_that_are_lost) {
    static const double values[][2] = {{1e-44, 1}, {1, 1e-44}, {1e-44, 1e-28}, {1e-99, 1e-33}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        small s = small_begin(13, DIMS(1));
        cr_shape shape = cr_shape_of(1, (int64_t[]){2});
        cr_fit fit = {0};
        cr_refusal refusal = {0};
        cr_tensor from, to;
        OK(cr_tensor_create(s.heap, CREASE_FLOAT, &shape, &from));
        OK(cr_tensor_create(s.heap, CREASE_FLOAT, &shape, &to));
        for (int64_t k = 0; k < 2; k++) {
            ((float *)from.data)[k] = 1;
            cr_put_scaled(&to, &from, k, 1, values[i][k], &fit);
        }
        cr_refuse_unfit(&refusal, &fit, "w", CREASE_FLOAT);
        cr_assert_null(refusal.code, "case %zu: %s", i, refusal.code);
        cr_tensor_release(&from);
        cr_tensor_release(&to);
        small_end(&s);
    }
}

/* Before opset 7 a constant stands at the right, or where the attribute says. */
Test(affine, old_axis) {
    for (int stated = 0; stated < 2; stated++) {
        small s = arithmetic("Mul", 6, 1, stated ? (int64_t[]){3} : (int64_t[]){5});
        cr_node *node = small_find(&s, "a");
        OK(cr_node_set_int(node, "broadcast", 1));
        if (stated)
            OK(cr_node_set_int(node, "axis", 1));
        reading r = read_node(&s, node);
        cr_assert_null(r.refusal.code);
        cr_assert_eq(r.affine.axis, stated ? 1 : 3);
        small_end(&s);
    }
}

Test(affine, constants_that_almost_fit) {
    small s = arithmetic("Mul", 13, DIMS(0, 1, 1)); /* no value for no channel */
    s.x->shape.dims[1] = 0;
    expect_code(&s, small_find(&s, "a"), "axis-mismatch");
    s = arithmetic("Mul", 6, DIMS(1, 1)); /* stands behind the last axis */
    OK(cr_node_set_int(small_find(&s, "a"), "axis", 3));
    expect_code(&s, small_find(&s, "a"), "axis-mismatch");
    s = arithmetic("Mul", 13, DIMS(4, 3, 1)); /* two axes, one of unknown size */
    s.x->shape.dims[2] = CR_DIM_UNKNOWN;
    expect_code(&s, small_find(&s, "a"), "axis-mismatch");
    s = arithmetic("Mul", 13, DIMS(3, 4, 1)); /* the first reason stands */
    ((double *)cr_node_constant(small_find(&s, "a"), 1)->data)[0] = INFINITY;
    expect_code(&s, small_find(&s, "a"), "axis-mismatch");
    s = arithmetic("Add", 13, DIMS(1)); /* the constant is missing */
    OK(cr_node_set_input(small_find(&s, "a"), 0, NULL));
    OK(cr_node_set_input(small_find(&s, "a"), 1, s.x));
    expect_code(&s, small_find(&s, "a"), "not-affine");
}
