/* Convolutions whose shapes follow from data, here from a shape that is an input, through the public
 * functions: y = c + Conv(c, w2) with c = Relu(Conv(Reshape(x, shape), w1)). */
#include "runtime/api/session.h"
#include "runtime/kernels/conv/algorithms.h"
#include "tests/runtime/api/network.h"

#include <stdio.h>

enum { CHANNELS = 8, WIDTH = 16, PIXELS = 256, OUTPUTS = WIDTH * PIXELS };

typedef struct extents {
    int64_t n, height, width;
} extents;

static const extents shapes[] = {{4, 8, 8}, {1, 16, 16}, {256, 1, 1}, {1, 4, 64}, {2, 128, 1}, {4, 8, 8}};

enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static cr_value *input(network *n, const char *name, crease_dtype dtype, int64_t extent) {
    cr_value *value;
    OK(cr_graph_add_value(n->model->graph, name, true, &value));
    value->dtype = dtype;
    value->declared = true;
    value->shape = cr_shape_of(1, &extent);
    OK(cr_graph_add_input(n->model->graph, value));
    return value;
}

static cr_value *convolution(network *n, const char *name, cr_value *x, int64_t channels) {
    cr_node *node;
    cr_value *w = network_constant(n, NULL, 0, cr_shape_of(4, (int64_t[]){WIDTH, channels, 3, 3}));
    cr_value *y = network_node(n, "Conv", name, (cr_value *[]){x, w}, 2, &node);
    OK(cr_node_set_ints(node, "pads", (int64_t[]){1, 1, 1, 1}, 4));
    return y;
}

static crease_model *make(void) {
    network n = {.seed = 5};
    crease_model *model;
    cr_node *node;
    OK(cr_heap_create(NULL, 0, &n.heap));
    OK(cr_model_create(n.heap, &n.model));
    OK(cr_model_set_opset(n.model, "", 13));
    cr_value *x = input(&n, "x", CREASE_FLOAT, CHANNELS * PIXELS),
             *shape = input(&n, "shape", CREASE_INT64, 4);
    cr_value *a = network_node(&n, "Reshape", "a", (cr_value *[]){x, shape}, 2, &node);
    cr_value *b = convolution(&n, "b", a, CHANNELS);
    cr_value *c = network_node(&n, "Relu", "c", &b, 1, &node);
    cr_value *d = convolution(&n, "d", c, WIDTH);
    OK(cr_graph_add_output(n.model->graph, network_node(&n, "Add", "y", (cr_value *[]){c, d}, 2, &node)));
    OK(cr_model_publish(n.model, &model));
    cr_heap_release(n.heap);
    return model;
}

static void run(crease_session *session, const extents *e, float *y) {
    const int64_t dims[] = {e->n, CHANNELS, e->height, e->width}, n = CHANNELS * PIXELS, four = 4;
    crease_tensor out = {.struct_size = sizeof out};
    unsigned seed = 3;
    float x[CHANNELS * PIXELS];
    for (int i = 0; i < CHANNELS * PIXELS; i++)
        x[i] = network_random(&seed);
    OK(crease_session_set_input(session, "x", CREASE_FLOAT, 1, &n, x));
    OK(crease_session_set_input(session, "shape", CREASE_INT64, 1, &four, dims));
    OK(crease_session_run(session));
    OK(crease_session_output(session, 0, &out));
    cr_assert_eq(out.bytes, OUTPUTS * sizeof(float));
    memcpy(y, out.data, out.bytes);
}

static void run_afresh(const crease_options *options, const extents *e, float *y) {
    crease_model *model = make();
    crease_session *session = network_session(model, options);
    run(session, e, y);
    crease_session_free(session);
    crease_model_free(model);
}

static size_t weight_bytes(const crease_session *session) {
    crease_memory memory = {.struct_size = sizeof memory};
    crease_session_get_memory(session, &memory);
    return memory.weight_bytes;
}

/* Of all weights of convolutions. */
static int n_plain(const crease_session *session) {
    const cr_model *ir = session->optimized->ir;
    int n = 0;
    for (int i = 0; i < ir->n_values; i++)
        n += ir->values[i]->constant && ir->values[i]->shape.rank == 4 && ir->values[i]->constant->data;
    return n;
}

static crease_step last_convolution(const crease_session *session) {
    crease_step step = {.struct_size = sizeof step}, found = {0};
    for (size_t i = 0; crease_session_step_at(session, i, &step); i++)
        if (strcmp(step.op_type, "Conv") == 0)
            found = step;
    return found;
}

/* Whatever came before, a shape's results are those of a session that sees no other. */
static void check(const crease_options *options, bool ahead) {
    float y[OUTPUTS], alone[OUTPUTS], plain[OUTPUTS];
    char algorithm[32];
    crease_options literal = *options;
    crease_model *model = make();
    crease_session *session = network_session(model, options);
    const size_t bytes = weight_bytes(session);
    literal.plain_layout = true;
    literal.convolution = NULL;
    literal.tune = false;
    cr_assert_eq(n_plain(session), ahead ? 0 : 2);
    snprintf(algorithm, sizeof algorithm, "%s", last_convolution(session).algorithm);
    for (int i = 0; i < N_SHAPES; i++) {
        run(session, &shapes[i], y);
        run_afresh(&literal, &shapes[i], plain);
        for (int k = 0; k < OUTPUTS; k++)
            cr_assert_float_eq(y[k], plain[k], 1e-3f, "shape %d, element %d", i, k);
        if (options->tune)
            continue;
        run_afresh(options, &shapes[i], alone);
        cr_assert_arr_eq(y, alone, sizeof y, "shape %d", i);
        const crease_step step = last_convolution(session);
        cr_assert_eq(step.macs, 9 * WIDTH * OUTPUTS);
        cr_assert(!ahead || strcmp(step.algorithm, algorithm) == 0);
    }
    cr_assert(!ahead || weight_bytes(session) == bytes);
    crease_session_free(session);
    crease_model_free(model);
}

static bool is_blocked(void) {
    return cr_conv_lanes(cr_cpu_isa()) != 0;
}

Test(late, convolutions_are_packed_once_for_all_shapes) {
    crease_options options;
    crease_options_init(&options);
    for (options.threads = 1; options.threads < 3; options.threads++)
        check(&options, is_blocked());
    options.exact = true;
    check(&options, is_blocked());
}

Test(late, choices_by_options_hold_for_all_shapes) {
    crease_options options;
    crease_options_init(&options);
    options.threads = 1;
    options.convolution = "winograd2";
    check(&options, is_blocked());
    options.convolution = NULL;
    options.weight_limit_bytes = 1;
    check(&options, is_blocked());
    options.weight_limit_bytes = 0;
    options.tune = true;
    check(&options, is_blocked());
}

Test(late, the_plain_layout_keeps_plain_weights) {
    crease_options options;
    crease_options_init(&options);
    options.plain_layout = true;
    check(&options, false);
}

/* What is packed takes part in no run, and a residual in no packing. */
Test(late, a_profile_tells_what_is_fused_and_what_was_refused) {
    float y[OUTPUTS];
    if (!is_blocked())
        cr_skip_test("no blocked layout");
    crease_model *model = make();
    crease_session *session = network_session(model, NULL);
    run(session, &shapes[0], y);
    const crease_step step = last_convolution(session);
    cr_assert_not_null(strstr(step.note, "residual"), "%s", step.note);
    cr_assert_not_null(strstr(step.refused, "depthwise: "), "%s", step.refused);
    cr_assert_eq(step.output_bytes, OUTPUTS * sizeof(float));
    crease_session_free(session);
    crease_model_free(model);
}
