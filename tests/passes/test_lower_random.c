#include "tests/passes/generate.h"

/* Random networks: the lowered model computes what the plain one does, folded or not, whatever convolution
 * algorithm is forced, with the same bits for any number of threads. A failure names its seed;
 * CREASE_TEST_SEED=N runs N alone, CREASE_TEST_GRAPHS=N the first N.
 *
 * The bound: rounding errors of both forms against float64, relative to the largest value anywhere in the
 * network. A sum of some hundred products is off by a few ulp, Winograd by some 20, and each of at most 40
 * layers passes on what it got times a factor near 1: 1e-4 leaves room, and what the wrong number in the
 * wrong place does is larger by orders of magnitude. Where the plain network itself is worse (a
 * normalisation of a value that hardly varies), eight times its own error is allowed. */

enum { GRAPHS = 60, STEPS = 9 };
static const double RELATIVE = 1e-4;

typedef struct trial {
    unsigned seed;
    const char *what;
    crease_model *model;
    cr_shape shapes[2];
    net_result judge;
    double scale, plain_error;
} trial;

static double error_of(const trial *t, const net_result *r) {
    double error = 0;
    cr_assert_eq(r->n, t->judge.n, "seed %u, %s: %lld elements", t->seed, t->what, (long long)r->n);
    for (int64_t i = 0; i < r->n; i++) {
        const double e = fabs(r->values[i] - t->judge.values[i]);
        error = e > error || isnan(e) ? e : error;
    }
    return error;
}

static net_result run(const trial *t, crease_model *model, const crease_options *o) {
    crease_session *session;
    cr_assert_eq(crease_session_create(model, o, &session), CREASE_OK, "seed %u, %s: %s", t->seed, t->what,
                 crease_error_message());
    net_set_inputs(session, model, t->shapes, t->seed);
    cr_assert_eq(crease_session_run(session), CREASE_OK, "seed %u, %s: %s", t->seed, t->what,
                 crease_error_message());
    net_result r = net_collect(session);
    crease_session_free(session);
    return r;
}

static void check(trial *t, const char *what, const crease_options *o) {
    t->what = what;
    net_result r = run(t, t->model, o);
    const double error = error_of(t, &r), bound = RELATIVE * t->scale + 8 * t->plain_error;
    cr_assert(error <= bound, "seed %u, %s: off by %g, at most %g expected (plain: %g, largest value %g)",
              t->seed, what, error, bound, t->plain_error, t->scale);
    free(r.values);
}

/* The float64 run with all intermediates: the values to expect, and how large any value is. */
static void judge(trial *t) {
    crease_model *wide;
    crease_session *session;
    crease_tensor tensor = {.struct_size = sizeof tensor};
    crease_options o = net_plain();
    o.keep_all = true;
    OK(cr_judge_create(t->model, &wide));
    OK(crease_session_create(wide, &o, &session));
    t->judge = net_run(session, wide, t->shapes, t->seed);
    t->scale = 1;
    CR_FOR_NODES(node, session->optimized->ir->graph)
    if (crease_session_peek(session, node->outputs[0]->name, &tensor) == CREASE_OK &&
        tensor.dtype == CREASE_DOUBLE)
        for (size_t i = 0; i < tensor.bytes / sizeof(double); i++)
            t->scale = fmax(t->scale, fabs(((const double *)tensor.data)[i]));
    crease_session_free(session);
    crease_model_free(wide);
}

static void check_threads(trial *t) {
    crease_options o = net_options();
    t->what = "threads";
    net_result one = run(t, t->model, &o);
    for (o.threads = 2; o.threads <= 3; o.threads++) {
        net_result more = run(t, t->model, &o);
        cr_assert(one.n == more.n && memcmp(one.values, more.values, (size_t)one.n * sizeof(double)) == 0,
                  "seed %u: %d threads give other bits", t->seed, o.threads);
        free(more.values);
    }
    free(one.values);
}

/* The same network with batch and pixels of any number. */
static crease_model *make_dynamic(const trial *t) {
    crease_model *model;
    cr_model *ir;
    OK(cr_model_clone(t->model->ir, t->model->ir->heap, &ir));
    CR_FOR_NODES(node, ir->graph)
    for (int i = 0; i < node->n_outputs; i++)
        node->outputs[i]->shape = cr_shape_unknown();
    cr_shape *shape = &ir->graph->inputs[0]->shape;
    OK(cr_model_symbol(ir, "n", &shape->dims[0]));
    for (int d = 2; d < shape->rank; d++)
        OK(cr_model_symbol(ir, (const char *[]){"d", "h", "w"}[d - 2], &shape->dims[d]));
    OK(cr_model_publish(ir, &model));
    return model;
}

static double difference(const net_result *a, const net_result *b) {
    double most = 0;
    for (int64_t i = 0; i < a->n; i++) {
        const double e = fabs(a->values[i] - b->values[i]);
        most = e > most || isnan(e) ? e : most;
    }
    return most;
}

/* Both layouts at one shape: where the plain one fails, as for shapes that a Reshape states, any failure
 * does, but what it gives the lowered one gives. The bound is that of the stated shapes, for two errors;
 * whatever is larger here than there shows in the outputs. */
static void compare(const trial *t, crease_session *lowered, crease_session *plain, const crease_model *model,
                    const cr_shape *shape) {
    char text[128];
    cr_shape_print(shape, text, sizeof text);
    net_set_inputs(plain, model, shape, t->seed);
    net_set_inputs(lowered, model, shape, t->seed);
    const crease_status expected_status = crease_session_run(plain), status = crease_session_run(lowered);
    if (expected_status != CREASE_OK)
        return;
    cr_assert_eq(status, CREASE_OK, "seed %u, %s: %s", t->seed, text, crease_error_message());
    net_result got = net_collect(lowered), expected = net_collect(plain);
    cr_assert_eq(got.n, expected.n, "seed %u, %s", t->seed, text);
    const double bound = 2 * (RELATIVE * fmax(t->scale, net_largest(&expected)) + 8 * t->plain_error);
    const double error = difference(&got, &expected);
    cr_assert(error <= bound, "seed %u, %s: off by %g, at most %g expected", t->seed, text, error, bound);
    free(got.values);
    free(expected.values);
}

/* One session each, planned for several shapes, the stated one among them and once more at the end. */
static void check_dynamic(trial *t) {
    static const int64_t more[][4] = {{0, 0, 2, 2}, {0, 0, 0, 0},  {1, 0, 1, 0},
                                      {0, 0, 3, 5}, {2, 0, -1, 1}, {0, 0, 0, 0}};
    crease_model *model = make_dynamic(t);
    crease_session *lowered, *plain;
    const crease_options o = net_options(), p = net_plain();
    OK(crease_session_create(model, &o, &lowered));
    OK(crease_session_create(model, &p, &plain));
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        cr_shape shape = t->shapes[0];
        for (int d = 0; d < shape.rank; d++)
            shape.dims[d] += more[i][d < 3 ? d : 3];
        compare(t, lowered, plain, model, &shape);
    }
    crease_session_free(lowered);
    crease_session_free(plain);
    crease_model_free(model);
}

static void check_all(trial *t) {
    static const char *const algorithms[] = {
        "direct",       "stem",         "depthwise",      "winograd2",         "winograd4", "winograd2_s2",
        "winograd4_s2", "winograd_5x5", "winograd4_taps", "winograd2_s2_taps", "reference"};
    crease_options o = net_options();
    check(t, "folded", &o);
    o.exact = true;
    check(t, "exact", &o);
    o = net_options();
    o.fold = false;
    check(t, "unfolded", &o);
    o = net_options();
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        o.convolution = algorithms[i];
        check(t, algorithms[i], &o);
    }
    check_threads(t);
    check_dynamic(t);
}

static void print_value(const cr_value *value, const char *before) {
    char text[128];
    if (value)
        fprintf(stderr, "%s%s%s %s", before, value->name, value->n_outputs ? "!" : "",
                value->constant ? "constant" : cr_shape_print(&value->shape, text, sizeof text));
}

/* What a failing seed is about: outputs are marked with "!". */
static void print_graph(const cr_model *ir) {
    CR_FOR_NODES(node, ir->graph) {
        fprintf(stderr, "%s %s:", node->domain, node->op_type);
        for (int i = 0; i < node->n_inputs; i++)
            print_value(node->inputs[i], i ? ", " : " ");
        for (int i = 0; i < node->n_outputs; i++)
            print_value(node->outputs[i], i ? ", " : " -> ");
        fprintf(stderr, "\n");
    }
}

static void print_both(const trial *t) {
    crease_session *session;
    const crease_options o = net_options();
    print_graph(t->model->ir);
    if (crease_session_create(t->model, &o, &session) == CREASE_OK) {
        print_graph(session->optimized->ir);
        crease_session_free(session);
    }
}

static void try(unsigned seed) {
    net n = gen_network(seed, STEPS);
    trial t = {.seed = seed, .what = "plain", .model = net_publish(&n)};
    const crease_options o = net_plain();
    if (getenv("CREASE_TEST_SEED"))
        print_both(&t);
    net_shapes(t.model, t.shapes);
    judge(&t);
    net_result plain = run(&t, t.model, &o);
    t.plain_error = error_of(&t, &plain);
    cr_assert(t.plain_error <= 1e-3 * t.scale, "seed %u: the plain layout is off by %g of %g", seed,
              t.plain_error, t.scale);
    check_all(&t);
    free(plain.values);
    free(t.judge.values);
    crease_model_free(t.model);
}

/* Each test is a process of its own, so the kernels can be chosen anew. */
static void try_all(const char *cpu) {
    const char *one = getenv("CREASE_TEST_SEED"), *many = getenv("CREASE_TEST_GRAPHS");
    const unsigned first = one ? (unsigned)atoi(one) : 0;
    const unsigned end = one ? first + 1 : many ? (unsigned)atoi(many) : GRAPHS;
    cr_assert_eq(setenv("CREASE_CPU", cpu, 1), 0);
    for (unsigned seed = first; seed < end; seed++) {
        if (getenv("CREASE_TEST_VERBOSE"))
            fprintf(stderr, "%s, seed %u\n", cpu, seed);
        try(seed);
    }
}

Test(lower_random, plain) {
    try_all("plain");
}

Test(lower_random, vector) {
    try_all("vector");
}

#if defined __aarch64__
Test(lower_random, neon) {
    try_all("neon");
}
#else
Test(lower_random, avx2) {
    try_all("avx2");
}

Test(lower_random, avx512) {
    try_all("avx512");
}
#endif
