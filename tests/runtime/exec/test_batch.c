#include "runtime/exec/batch.h"
#include "tests/passes/generate.h"

/* A batch in parts gives what the whole batch gives, with the same bits for any number of threads, which
 * decides how large the parts are. Random networks, lowered, with a batch of any size: part_bytes of 1 makes
 * loops of all steps that may be in one and gain by it. */

enum { GRAPHS = 120, STEPS = 9, IMAGES = 6, MORE_PIXELS = 24 };

static crease_model *make_network(unsigned seed, cr_shape *shape) {
    crease_model *model;
    net n = gen_network(seed, STEPS);
    cr_shape *given = &n.ir->graph->inputs[0]->shape;
    *shape = *given;
    shape->dims[0] = IMAGES;
    CR_FOR_NODES(node, n.ir->graph)
    for (int i = 0; i < node->n_outputs; i++)
        node->outputs[i]->shape = cr_shape_unknown();
    OK(cr_model_symbol(n.ir, "n", &given->dims[0]));
    for (int d = 2; d < shape->rank; d++) {
        shape->dims[d] += MORE_PIXELS / (shape->rank - 2);
        OK(cr_model_symbol(n.ir, (const char *[]){"d", "h", "w"}[d - 2], &given->dims[d]));
    }
    OK(cr_model_publish(n.ir, &model));
    cr_heap_release(n.heap);
    return model;
}

static void collect(const cr_session *session, const cr_model *ir, net_result *r) {
    for (int i = 0; i < ir->graph->n_outputs; i++) {
        const cr_tensor *t = cr_session_value(session, ir->graph->outputs[i]);
        const int64_t n = cr_shape_n(&t->shape);
        r->values = realloc(r->values, (size_t)(r->n + n) * sizeof *r->values + 1);
        for (int64_t j = 0; j < n; j++)
            r->values[r->n++] = cr_load_float(t->dtype, t->data, j);
    }
}

typedef struct case_of {
    const crease_session *lowered;
    const cr_shape *shape;
    const float *input;
    int n_loops, n_parts, n_convolutions; /* of the last run */
} case_of;

static void count(case_of *c, const cr_plan *plan) {
    c->n_loops = plan->n_loops;
    c->n_parts = c->n_convolutions = 0;
    for (int l = 0; l < plan->n_loops; l++) {
        c->n_parts += plan->loops[l].passes > 1;
        for (int s = plan->loops[l].first; s < plan->loops[l].end; s++)
            c->n_convolutions += strcmp(plan->steps[s].node->op_type, "Conv") == 0;
    }
}

/* Runs twice, so that the second one finds what the first has left behind. */
static crease_status run(case_of *c, size_t part_bytes, int threads, net_result *r) {
    const cr_model *ir = c->lowered->optimized->ir;
    cr_session *session;
    OK(cr_session_create(
        ir, &(cr_session_settings){.heap = c->lowered->heap, .threads = threads, .part_bytes = part_bytes},
        &session));
    OK(cr_session_input(session, 0, CREASE_FLOAT, c->shape->rank, c->shape->dims, c->input, true));
    crease_status status = cr_session_run(session);
    if (status == CREASE_OK)
        status = cr_session_run(session);
    *r = (net_result){0};
    if (status == CREASE_OK) {
        collect(session, ir, r);
        count(c, cr_session_plan(session));
    }
    cr_session_destroy(session);
    return status;
}

static void expect_near(unsigned seed, const net_result *got, const net_result *expected) {
    /* other algorithms may be chosen for a part: two sums in float32, as in net_lower */
    const double tolerance = 2e-5 * fmax(1, net_largest(expected));
    cr_assert_eq(got->n, expected->n, "seed %u", seed);
    for (int64_t i = 0; i < got->n; i++)
        cr_assert(fabs(got->values[i] - expected->values[i]) <= tolerance,
                  "seed %u, element %lld: %.9g, expected %.9g", seed, (long long)i, got->values[i],
                  expected->values[i]);
}

static void compare(unsigned seed, case_of *c) {
    net_result whole, one, more;
    if (run(c, SIZE_MAX, 1, &whole) != CREASE_OK)
        return; /* a Reshape that states the batch */
    cr_assert_eq(c->n_loops, 0);
    for (int threads = 2; threads <= 4; threads++) {
        OK(run(c, 1, threads, &more));
        OK(run(c, 1, 1, &one));
        expect_near(seed, &one, &whole);
        cr_assert(one.n == more.n && memcmp(one.values, more.values, (size_t)one.n * sizeof(double)) == 0,
                  "seed %u: %d threads give other bits", seed, threads);
        free(one.values);
        free(more.values);
    }
    free(whole.values);
}

static int n_nets, n_convolutions;

static void try(unsigned seed) {
    cr_shape shape;
    crease_model *model = make_network(seed, &shape);
    crease_session *lowered;
    const crease_options o = net_options();
    OK(crease_session_create(model, &o, &lowered));
    const int64_t n = cr_shape_n(&shape);
    float *input = malloc((size_t)n * sizeof *input);
    net r = {.seed = seed};
    for (int64_t i = 0; i < n; i++)
        input[i] = (float)net_random(&r, -2, 2);
    case_of c = {lowered, &shape, input, 0, 0, 0};
    compare(seed, &c);
    n_nets += c.n_parts > 0;
    n_convolutions += c.n_convolutions;
    free(input);
    crease_session_free(lowered);
    crease_model_free(model);
}

/* Sizes speak of the whole batch, which is many times what a part has. */
Test(batch, a_resize_to_the_sizes_of_another) {
    enum { MANY = 1000 };
    const crease_options o = net_options();
    const cr_shape shape = cr_shape_of(4, (int64_t[]){MANY, 8, 6, 6});
    cr_assert_eq(setenv("CREASE_CPU", "vector", 1), 0);
    net n = net_begin(13, shape.rank, shape.dims);
    OK(cr_model_symbol(n.ir, "n", &n.x->shape.dims[0]));
    cr_value *large = net_conv(&n, n.x, 8, 3, 1), *small;
    cr_node *pool = net_add(&n, "MaxPool", 1, &large, 1, &small);
    OK(cr_node_set_ints(pool, "kernel_shape", (int64_t[]){2, 2}, 2));
    OK(cr_node_set_ints(pool, "strides", (int64_t[]){2, 2}, 2));
    net_infer(&n);
    cr_value *inputs[] = {small, NULL, NULL, net_node(&n, "Shape", IN(large))};
    cr_value *resized = net_node(&n, "Resize", 4, inputs);
    resized->shape = large->shape;
    net_output(&n, net_conv(&n, resized, 8, 3, 1));
    crease_model *model = net_publish(&n);
    crease_session *lowered;
    OK(crease_session_create(model, &o, &lowered));
    float *input = calloc((size_t)cr_shape_n(&shape), sizeof *input);
    case_of c = {lowered, &shape, input, 0, 0, 0};
    compare(0, &c);
    cr_assert_gt(c.n_parts, 0);
    free(input);
    crease_session_free(lowered);
    crease_model_free(model);
}

/* CREASE_TEST_GRAPHS=N: the first N. */
static void try_all(const char *cpu) {
    const char *many = getenv("CREASE_TEST_GRAPHS");
    const int graphs = many ? atoi(many) : GRAPHS;
    cr_assert_eq(setenv("CREASE_CPU", cpu, 1), 0);
    for (int seed = 0; seed < graphs; seed++)
        try((unsigned)seed);
    cr_assert_geq(n_nets, graphs / 4, "%d networks ran in parts", n_nets);
    cr_assert_geq(n_convolutions, graphs / 2, "%d convolutions ran in parts", n_convolutions);
}

Test(batch, vector) {
    try_all("vector");
}

Test(batch, best) {
    try_all("avx512");
}
