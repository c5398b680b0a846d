#include "tests/runtime/ops/one.h"

#include "tests/runtime/kernels/guard.h"

/* x [1, 2, 1] = 1, 2; gamma, beta, mean, var constant over the channels. */
static one batch_norm_with(int64_t opset, float var, int n_out) {
    one o = one_begin("BatchNormalization", opset, n_out);
    one_floats(&o, 1, DIMS(1, 2, 1));
    for (int p = 0; p < 4; p++) {
        float *parameter = one_input(&o, CREASE_FLOAT, DIMS(2));
        parameter[0] = parameter[1] = p == 0 ? 3 : p == 1 ? 1 : p == 2 ? 1 : var;
    }
    OK(cr_node_set_float(o.node, "epsilon", 0));
    return o;
}

static one batch_norm(int64_t opset, float var) {
    return batch_norm_with(opset, var, 1);
}

Test(batch_norm, in_every_form_since_the_first) {
    for (int64_t opset = 1; opset <= 15; opset++) {
        one o = batch_norm(opset, 4);
        if (opset < 7)
            OK(cr_node_set_int(o.node, "is_test", 1));
        ONE_GIVES(&o, (DIMS(1, 2, 1)), 1, 2.5);
    }
}

/* Each channel is its own mean, so that training gives beta alone. */
Test(batch_norm, outputs_that_nobody_reads_mean_training_from_7_to_13) {
    for (int64_t opset = 1; opset <= 15; opset++) {
        one o = batch_norm_with(opset, 4, opset < 14 ? 5 : 3);
        OK(cr_node_set_float(o.node, "epsilon", 1e-5F));
        if (opset >= 7 && opset < 14)
            ONE_GIVES(&o, (DIMS(1, 2, 1)), 1, 1);
        else
            ONE_GIVES(&o, (DIMS(1, 2, 1)), 1, 1 + 3 / sqrt(4 + 1e-5));
    }
}

Test(batch_norm, parameters_of_another_size_are_refused) {
    one o = one_begin("BatchNormalization", 15, 1);
    one_floats(&o, 1, DIMS(1, 2, 1));
    for (int p = 0; p < 4; p++)
        one_floats(&o, 1, DIMS(3));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(batch_norm, no_pictures_no_result) {
    one o = one_begin("BatchNormalization", 15, 1);
    one_floats(&o, 1, DIMS(0, 2, 3));
    for (int p = 0; p < 4; p++)
        one_floats(&o, 1, DIMS(2));
    ONE_GIVES_NOTHING(&o, (DIMS(0, 2, 3)));
}

Test(instance_norm, two_pixels_are_one_deviation_from_their_mean) {
    one o = one_begin("InstanceNormalization", 6, 1);
    OK(cr_node_set_float(o.node, "epsilon", 0));
    float *x = one_input(&o, CREASE_FLOAT, DIMS(1, 1, 2));
    x[0] = 1, x[1] = 5;
    one_floats(&o, 3, DIMS(1));
    one_floats(&o, 10, DIMS(1));
    ONE_GIVES(&o, (DIMS(1, 1, 2)), 7, 13);
}

Test(group_norm, groups_must_divide) {
    one o = one_begin("GroupNormalization", 21, 1);
    OK(cr_node_set_int(o.node, "num_groups", 2));
    one_floats(&o, 1, DIMS(1, 3, 1));
    one_floats(&o, 1, DIMS(3));
    one_floats(&o, 1, DIMS(3));
    ONE_FAILS(&o, CREASE_ERROR_MODEL, "node");
}

Test(lrn, a_window_wider_than_the_channels) {
    one o = one_begin("LRN", 13, 1);
    OK(cr_node_set_int(o.node, "size", 9));
    OK(cr_node_set_float(o.node, "alpha", 9));
    OK(cr_node_set_float(o.node, "beta", 1));
    OK(cr_node_set_float(o.node, "bias", 0));
    one_floats(&o, 1, DIMS(1, 2, 1, 1));
    ONE_GIVES(&o, (DIMS(1, 2, 1, 1)), 1.0 / 5, 2.0 / 5);
}

/* A random shape in float32, by the kernels, and in float64, element by element; values of about `size`. */
static void fill_both(one *o, one *wide, double size) {
    int64_t dims[4];
    const int rank = (int)random_int(1, 4);
    for (int d = 0; d < rank; d++)
        dims[d] = random_chance(20) ? 1 : random_int(1, rank < 3 ? 150 : 14);
    float *x = one_input(o, CREASE_FLOAT, rank, dims);
    double *y = one_input(wide, CREASE_DOUBLE, rank, dims);
    for (int64_t i = 0; i < cr_shape_n(&o->in[0].shape); i++)
        y[i] = (double)(x[i] = (float)(size * (double)random_float()));
}

static void expect_same(one *o, one *wide) {
    OK(one_run(o));
    OK(one_run(wide));
    for (int64_t i = 0; i < cr_shape_n(&o->out[0].shape); i++) {
        const double got = cr_load_float(CREASE_FLOAT, o->out[0].data, i);
        const double want = cr_load_float(CREASE_DOUBLE, wide->out[0].data, i);
        cr_assert(fabs(got - want) <= 1e-6 * (fabs(want) + 0.1), "element %d: %.9g, not %.9g (seed %llu)",
                  (int)i, got, want, (unsigned long long)test_seed_value);
    }
    one_end(o);
    one_end(wide);
}

Test(lp_normalization, any_axis_agrees_with_float64) {
    static const double sizes[] = {1, 1, 1e-38, 1e37};
    test_seed();
    for (int round = 0; round < test_rounds(400); round++) {
        one o = one_begin("LpNormalization", 22, 1), wide = one_begin("LpNormalization", 22, 1);
        fill_both(&o, &wide, sizes[round % 4]);
        one *const both[] = {&o, &wide};
        const int64_t axis = random_int(0, o.in[0].shape.rank - 1);
        for (int i = 0; i < 2; i++) {
            OK(cr_node_set_int(both[i]->node, "axis", axis));
            OK(cr_node_set_int(both[i]->node, "p", 1 + round / 4 % 2));
        }
        expect_same(&o, &wide);
    }
}

Test(lp_normalization, nothing_stays_nothing) {
    one o = one_begin("LpNormalization", 22, 1);
    memset(one_input(&o, CREASE_FLOAT, DIMS(2, 2)), 0, 16);
    ONE_GIVES(&o, (DIMS(2, 2)), 0, 0, 0, 0);
}

/* The element of i's group that stands first. */
static int64_t group_of(const cr_shape *shape, const bool *normalized, int64_t i) {
    int64_t at = 0, stride = 1;
    for (int d = shape->rank - 1; d >= 0; d--) {
        at += normalized[d] ? 0 : i % shape->dims[d] * stride;
        stride *= shape->dims[d];
        i /= shape->dims[d];
    }
    return at;
}

static void expect_normalized(const one *o, const bool *normalized) {
    const cr_shape *shape = &o->in[0].shape;
    const int64_t n = cr_shape_n(shape);
    const float *x = o->in[0].data, *y = o->out[0].data;
    double *sums = calloc((size_t)n * 3, sizeof *sums), *squares = sums + n, *counts = squares + n;
    cr_assert_not_null(sums);
    for (int64_t i = 0; i < n; i++) {
        sums[group_of(shape, normalized, i)] += (double)x[i];
        counts[group_of(shape, normalized, i)]++;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = group_of(shape, normalized, i);
        squares[g] += ((double)x[i] - sums[g] / counts[g]) * ((double)x[i] - sums[g] / counts[g]);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = group_of(shape, normalized, i);
        const double want = ((double)x[i] - sums[g] / counts[g]) / (sqrt(squares[g] / counts[g]) + 1e-9);
        cr_assert(fabs((double)y[i] - want) <= 2e-5 * (fabs(want) + 1),
                  "element %d: %.9g, not %.9g (seed %llu)", (int)i, (double)y[i], want,
                  (unsigned long long)test_seed_value);
    }
    free(sums);
}

Test(mean_variance, any_axes_follow_the_definition) {
    test_seed();
    for (int round = 0; round < test_rounds(400); round++) {
        one o = one_begin("MeanVarianceNormalization", 13, 1);
        const int64_t dims[] = {random_int(1, 5), random_int(1, 6), random_int(1, 9), random_int(2, 9)};
        int64_t axes[4];
        bool normalized[4] = {false};
        int n = 0;
        float *x = one_input(&o, CREASE_FLOAT, 4, dims);
        for (int64_t i = 0; i < cr_shape_n(&o.in[0].shape); i++)
            x[i] = random_float();
        for (int64_t d = 0; d < 4; d++)
            if (d == 3 || random_chance(50)) /* so that a group has a variance */
                normalized[axes[n++] = d] = true;
        OK(cr_node_set_ints(o.node, "axes", axes, n));
        OK(one_run(&o));
        expect_normalized(&o, normalized);
        one_end(&o);
    }
}

/* Axis 1 alone: its elements are no neighbours. */
Test(mean_variance, across_channels) {
    one o = one_begin("MeanVarianceNormalization", 13, 1);
    OK(cr_node_set_ints(o.node, "axes", (int64_t[]){1}, 1));
    one_floats(&o, 1, DIMS(2, 2, 3));
    ONE_GIVES(&o, (DIMS(2, 2, 3)), -1, -1, -1, 1, 1, 1, -1, -1, -1, 1, 1, 1);
}
