#include "tests/runtime/ops/one.h"

/* What random numbers are like, and that they are the same again. */

enum { MANY = 20000 };

static one drawn(const char *op, int64_t opset, float base, float scale) {
    one o = one_begin(op, opset, 1);
    const bool normal = strncmp(op, "RandomNormal", 12) == 0, like = strstr(op, "Like") != NULL;
    OK(cr_node_set_float(o.node, normal ? "mean" : "low", base));
    OK(cr_node_set_float(o.node, normal ? "scale" : "high", scale));
    if (like)
        one_floats(&o, 0, DIMS(2, MANY / 2));
    else
        OK(cr_node_set_ints(o.node, "shape", (int64_t[]){2, MANY / 2}, 2));
    return o;
}

/* Mean and variance of float32 output. */
static void moments(const one *o, double *mean, double *variance) {
    const float *y = o->out[0].data;
    *mean = *variance = 0;
    for (int i = 0; i < MANY; i++)
        *mean += (double)y[i] / MANY;
    for (int i = 0; i < MANY; i++)
        *variance += ((double)y[i] - *mean) * ((double)y[i] - *mean) / MANY;
}

Test(random, normal_numbers) {
    for (int like = 0; like < 2; like++) {
        one o = drawn(like ? "RandomNormalLike" : "RandomNormal", 1 + 21 * like, 3, 2);
        double mean, variance, beyond = 0;
        OK(one_run(&o));
        one_shape(&o, 0, DIMS(2, MANY / 2));
        moments(&o, &mean, &variance);
        cr_assert_float_eq(mean, 3, 0.06, "%g", mean); /* four standard errors */
        cr_assert_float_eq(variance, 4, 0.16, "%g", variance);
        for (int i = 0; i < MANY; i++)
            beyond += fabs((double)((float *)o.out[0].data)[i] - 3) > 4;
        cr_assert_float_eq(beyond / MANY, 0.0455, 0.006, "%g", beyond / MANY);
        one_end(&o);
    }
}

Test(random, uniform_numbers) {
    for (int like = 0; like < 2; like++) {
        one o = drawn(like ? "RandomUniformLike" : "RandomUniform", 22 - 21 * like, -1, 3);
        double mean, variance, step = 0;
        OK(one_run(&o));
        moments(&o, &mean, &variance);
        cr_assert_float_eq(mean, 1, 0.033, "%g", mean);
        cr_assert_float_eq(variance, 16.0 / 12, 0.034, "%g", variance);
        const float *y = o.out[0].data;
        for (int i = 0; i < MANY; i++)
            cr_assert(y[i] >= -1 && y[i] < 3);
        for (int i = 1; i < MANY; i++) /* neighbours do not follow each other */
            step += ((double)y[i] - 1) * ((double)y[i - 1] - 1) / MANY;
        cr_assert_float_eq(step, 0, 0.04, "%g", step);
        one_end(&o);
    }
}

/* The first numbers of seed 7, so that files made with one version give the same with the next. */
Test(random, a_seed_says_what_they_are) {
    one o = one_begin("RandomUniform", 13, 1), p = one_begin("RandomUniform", 13, 1);
    OK(cr_node_set_float(o.node, "seed", 7));
    OK(cr_node_set_float(p.node, "seed", 7));
    OK(cr_node_set_ints(o.node, "shape", (int64_t[]){3}, 1));
    OK(cr_node_set_ints(p.node, "shape", (int64_t[]){3}, 1));
    p.node->name = "another name";
    OK(one_run(&o));
    OK(one_run(&p));
    cr_assert_arr_eq(o.out[0].data, p.out[0].data, 3 * sizeof(float));
    one_values(&o, 0, 3, (double[]){0.2222486138343811, 0.6653386950492859, 0.9768457412719727});
    one_end(&o);
    one_end(&p);
}

Test(random, names_stand_in_for_seeds) {
    float first[3][4];
    for (int i = 0; i < 3; i++) {
        one o = one_begin("RandomNormal", 13, 1);
        OK(cr_node_set_ints(o.node, "shape", (int64_t[]){4}, 1));
        o.node->name = i == 2 ? "other" : "same";
        OK(one_run(&o));
        memcpy(first[i], o.out[0].data, sizeof first[i]);
        one_end(&o);
    }
    cr_assert_arr_eq(first[0], first[1], sizeof first[0]);
    cr_assert_neq(first[0][0], first[2][0]);
}

Test(random, other_types) {
    static const crease_dtype types[] = {CREASE_DOUBLE, CREASE_FLOAT16, CREASE_BFLOAT16};
    for (int i = 0; i < 3; i++) {
        one o = one_begin("RandomUniform", 13, 1), f = one_begin("RandomUniform", 13, 1);
        for (int j = 0; j < 2; j++)
            OK(cr_node_set_ints(j ? f.node : o.node, "shape", (int64_t[]){5}, 1));
        OK(cr_node_set_int(o.node, "dtype", types[i]));
        OK(one_run(&o));
        OK(one_run(&f));
        cr_assert_eq(o.out[0].dtype, types[i]);
        for (int j = 0; j < 5; j++)
            cr_assert_float_eq(cr_tensor_float(&o.out[0], j), cr_tensor_float(&f.out[0], j), 4e-3);
        one_end(&o);
        one_end(&f);
    }
    one o = one_begin("RandomNormalLike", 13, 1); /* integers may only lend their shape */
    one_ints(&o, 2, (int64_t[]){1, 2});
    cr_assert_eq(one_run(&o), CREASE_ERROR_UNSUPPORTED);
    OK(cr_node_set_int(o.node, "dtype", CREASE_DOUBLE));
    OK(one_run(&o));
    one_shape(&o, 0, DIMS(2));
    one_end(&o);
}

Test(random, bernoulli_by_probability) {
    static const crease_dtype types[] = {CREASE_UNDEFINED, CREASE_BOOL, CREASE_INT64, CREASE_FLOAT16};
    for (int t = 0; t < 4; t++) {
        one o = one_begin("Bernoulli", 15, 1);
        float *p = one_input(&o, CREASE_FLOAT, DIMS(4, MANY));
        double sum[4] = {0};
        for (int i = 0; i < 4 * MANY; i++)
            p[i] = i < MANY ? 0 : i < 2 * MANY ? 1 : i < 3 * MANY ? 0.25f : NAN;
        if (types[t])
            OK(cr_node_set_int(o.node, "dtype", types[t]));
        OK(one_run(&o));
        const crease_dtype dtype = o.out[0].dtype;
        cr_assert_eq(dtype, types[t] ? types[t] : CREASE_FLOAT);
        for (int i = 0; i < 4 * MANY; i++)
            sum[i / MANY] += cr_dtype_is_float(dtype) ? cr_tensor_float(&o.out[0], i)
                                                      : (double)cr_tensor_int(&o.out[0], i);
        cr_assert_eq(sum[0], 0);
        cr_assert_eq(sum[1], MANY);
        cr_assert_float_eq(sum[2] / MANY, 0.25, 0.0123);
        cr_assert_eq(sum[3], 0);
        one_end(&o);
    }
}

/* Weights 1, 0, 2 and 1; the second row has one class that is possible. */
Test(random, multinomial_by_weight) {
    for (int wide = 0; wide < 2; wide++) {
        one o = one_begin("Multinomial", 7, 1);
        float *x = one_input(&o, CREASE_FLOAT, DIMS(2, 4));
        int n[4] = {0};
        const float rows[] = {1000,      -INFINITY, 1000 + (float)log(2), 1000, -INFINITY, -INFINITY,
                              -INFINITY, 0};
        memcpy(x, rows, sizeof rows);
        OK(cr_node_set_int(o.node, "sample_size", MANY));
        if (wide)
            OK(cr_node_set_int(o.node, "dtype", CREASE_INT64));
        OK(one_run(&o));
        cr_assert_eq(o.out[0].dtype, wide ? CREASE_INT64 : CREASE_INT32);
        one_shape(&o, 0, DIMS(2, MANY));
        for (int i = 0; i < MANY; i++)
            n[cr_tensor_int(&o.out[0], i)]++;
        for (int i = MANY; i < 2 * MANY; i++)
            cr_assert_eq(cr_tensor_int(&o.out[0], i), 3);
        cr_assert_eq(n[1], 0);
        cr_assert_float_eq((double)n[0] / MANY, 0.25, 0.0123);
        cr_assert_float_eq((double)n[2] / MANY, 0.5, 0.0142);
        one_end(&o);
    }
}

Test(random, what_cannot_be_drawn) {
    one o = one_begin("RandomNormal", 13, 1);
    cr_assert_eq(one_run(&o), CREASE_ERROR_MODEL, "no shape");
    OK(cr_node_set_ints(o.node, "shape", (int64_t[]){2, -1}, 2));
    cr_assert_eq(one_run(&o), CREASE_ERROR_MODEL, "a negative extent");
    OK(cr_node_set_ints(o.node, "shape", (int64_t[]){1LL << 40, 1LL << 40}, 2));
    cr_assert_eq(one_run(&o), CREASE_ERROR_MODEL, "more than there can be");
    OK(cr_node_set_ints(o.node, "shape", (int64_t[]){2}, 1));
    OK(cr_node_set_int(o.node, "dtype", CREASE_INT64));
    cr_assert_eq(one_run(&o), CREASE_ERROR_UNSUPPORTED, "integers");
    OK(cr_node_set_int(o.node, "dtype", 1 + (1LL << 32)));
    cr_assert_eq(one_run(&o), CREASE_ERROR_UNSUPPORTED, "no type");
    one_end(&o);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 5; i++) {
        o = one_begin("Multinomial", 7, 1);
        const int64_t classes = i == 3 ? 0 : 2;
        float *x = one_input(&o, CREASE_FLOAT, i == 4 ? 1 : 2, (int64_t[]){1, classes});
        for (int64_t c = 0; c < classes && i < 3; c++)
            x[c] = bad[i];
        cr_assert_eq(one_run(&o), i == 4 ? CREASE_ERROR_MODEL : CREASE_ERROR_RUN, "case %d", i);
        one_end(&o);
    }
}
