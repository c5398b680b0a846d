#include "runtime/api/unroll.h"
#include "runtime/api/model.h"
#include "tests/body.h"
#include "tests/passes/net.h"

/* A Loop around a normalised convolution as the line that its turns make. */

static cr_value *body_value(cr_graph *body, const char *name, crease_dtype dtype, const cr_value *like) {
    cr_value *v;
    OK(cr_graph_add_value(body, name, true, &v));
    v->dtype = dtype;
    v->shape = like ? like->shape : cr_shape_of(0, NULL);
    return v;
}

static void body_node(cr_graph *body, const char *op, int n, cr_value **in, cr_value *out) {
    cr_node *node;
    OK(cr_graph_add_node(body, NULL, op, "", out->name, in, n, &out, 1, &node));
}

/* x -> Conv, BN, Tanh as often as the number says, what each turn gives stacked as well */
static void fill_body(net *n, cr_graph *body) {
    const cr_value *x = n->x;
    cr_value *inputs[] = {body_value(body, "i", CREASE_INT64, NULL),
                          body_value(body, "go", CREASE_BOOL, NULL), body_value(body, "h", CREASE_FLOAT, x)},
             *on = body_value(body, "on", CREASE_BOOL, NULL),
             *conv = body_value(body, "conv", CREASE_FLOAT, x), *bn = body_value(body, "bn", CREASE_FLOAT, x),
             *h2 = body_value(body, "h2", CREASE_FLOAT, x), *q = body_value(body, "q", CREASE_FLOAT, x);
    for (int i = 0; i < 3; i++)
        OK(cr_graph_add_input(body, inputs[i]));
    body_node(body, "Identity", IN(inputs[1]), on);
    body_node(body, "Conv", IN(inputs[2], net_floats(n, -1, 1, DIMS(3, 3, 1, 1))), conv);
    body_node(body, "BatchNormalization",
              IN(conv, net_floats(n, 0.5, 1, DIMS(3)), net_floats(n, -1, 1, DIMS(3)),
                 net_floats(n, -1, 1, DIMS(3)), net_floats(n, 0.5, 1, DIMS(3))),
              bn);
    body_node(body, "Tanh", IN(bn), h2);
    body_node(body, "Neg", IN(h2), q);
    OK(cr_graph_add_output(body, on));
    OK(cr_graph_add_output(body, h2));
    OK(cr_graph_add_output(body, q));
}

static crease_model *looped(int64_t times) {
    net n = net_begin(13, DIMS(2, 3, 2, 2));
    cr_value *none = NULL, *out[2];
    for (int i = 0; i < 2; i++) {
        OK(cr_graph_add_value(n.ir->graph, i ? "all" : "y", true, &out[i]));
        out[i]->dtype = CREASE_FLOAT;
    }
    cr_node *loop = net_add(&n, "Loop", IN(net_ints(&n, 1, &times), none, n.x), 2, out);
    fill_body(&n, body_of(loop, "body"));
    net_output(&n, out[0]);
    net_output(&n, out[1]);
    return net_publish(&n);
}

static cr_turns turns_of(crease_model *model) {
    crease_session *session;
    cr_shape shapes[1];
    cr_turns turns = {.heap = model->ir->heap};
    const crease_options o = net_plain();
    net_shapes(model, shapes);
    OK(crease_session_create(model, &o, &session));
    net_set_inputs(session, model, shapes, 3);
    cr_turns_watch(&turns, session);
    OK(crease_session_run(session));
    crease_session_free(session);
    return turns;
}

static net_result result_of(crease_model *model) {
    crease_session *session;
    cr_shape shapes[1];
    const crease_options o = net_plain();
    net_shapes(model, shapes);
    OK(crease_session_create(model, &o, &session));
    net_result r = net_run(session, model, shapes, 3);
    crease_session_free(session);
    return r;
}

Test(unroll, each_turn_stands_in_the_line) {
    crease_model *model = looped(3);
    cr_turns turns = turns_of(model);
    cr_unrolled u;
    cr_assert_eq(turns.n, 3);
    OK(cr_unroll(model, &turns, &u));
    const cr_model *line = u.line->ir;
    OK(cr_model_verify(line));
    cr_assert_eq(net_count(line, "", "Loop"), 0);
    cr_assert_eq(net_count(line, "", "BatchNormalization"), 3);
    cr_assert_eq(net_count(line, "", "Concat"), 1);
    int turn = 0;
    CR_FOR_NODES(node, line->graph)
    if (cr_node_is(node, "BatchNormalization")) {
        const cr_node *from = model->ir->nodes[u.nodes[node->id].id];
        cr_assert_eq(u.nodes[node->id].turn, ++turn);
        cr_assert(cr_node_is(from, "BatchNormalization"));
        cr_assert_eq(u.values[node->outputs[0]->id].id, from->outputs[0]->id);
    }
    for (int i = 0; i < line->graph->n_outputs; i++) /* the main graph keeps its ids */
        cr_assert_eq(line->graph->outputs[i]->id, model->ir->graph->outputs[i]->id);
    net_result want = result_of(model), got = result_of(u.line);
    cr_assert_eq(got.n, want.n);
    for (int64_t i = 0; i < got.n; i++)
        cr_assert_eq(got.values[i], want.values[i], "element %lld", (long long)i);
    free(want.values);
    free(got.values);
    cr_unrolled_free(&u);
    cr_turns_free(&turns);
    crease_model_free(model);
}

Test(unroll, what_has_no_line) {
    crease_model *none = looped(0), *two = looped(2);
    cr_turns no_turn = turns_of(none), turns = turns_of(two);
    cr_unrolled u;
    cr_assert_eq(cr_unroll(none, &no_turn, &u), CREASE_ERROR_UNSUPPORTED); /* nothing to stack */
    cr_unrolled_free(&u);
    cr_assert_not(cr_turns_equal(&no_turn, &turns));
    turns.list[1].owner++; /* of another node */
    cr_assert_eq(cr_unroll(two, &turns, &u), CREASE_ERROR_UNSUPPORTED);
    cr_unrolled_free(&u);
    OK(cr_unroll(two, NULL, &u));
    cr_assert_null(u.line);
    cr_unrolled_free(&u);
    cr_turns_free(&turns);
    cr_turns_free(&no_turn);
    crease_model_free(two);
    crease_model_free(none);
}

/* ---- memory ---- */

typedef struct meter {
    long calls, fails_at, out;
} meter;

static void *allocate(void *user, size_t bytes, size_t alignment) {
    meter *m = user;
    void *block = NULL;
    if (m->fails_at && ++m->calls >= m->fails_at)
        return NULL;
    if (posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment, bytes ? bytes : 1))
        return NULL;
    m->out++;
    return block;
}

static void release(void *user, void *memory) {
    ((meter *)user)->out -= memory != NULL;
    free(memory);
}

static crease_status verify(const void *file, size_t bytes, const crease_allocator *allocator,
                            size_t *layers) {
    static const float x[24] = {1, -2, 3};
    const crease_tensor input = {sizeof input, "x", CREASE_FLOAT, 4, (int64_t[]){2, 3, 2, 2}, x, sizeof x};
    crease_options o = net_options();
    crease_verify_options v;
    crease_verify_report *report = NULL;
    crease_model *model;
    o.allocator = allocator;
    crease_verify_options_init(&v);
    v.layers = true;
    crease_status status = crease_model_load_memory(file, bytes, &o, &model);
    if (status != CREASE_OK)
        return status;
    status = crease_verify(model, NULL, &input, 1, &o, &v, &report);
    if (status == CREASE_OK)
        *layers = crease_verify_report_n_layers(report);
    crease_verify_report_free(report);
    crease_model_free(model);
    return status;
}

/* Also on the way through lines; every seventh place, since there are thousands. */
Test(unroll, every_allocation_may_fail) {
    meter m = {0};
    const crease_allocator allocator = {allocate, release, &m};
    crease_model *model = looped(2);
    void *file;
    size_t bytes, layers = 0;
    OK(crease_model_save_memory(model, &file, &bytes));
    crease_model_free(model);
    m.fails_at = 1L << 40;
    OK(verify(file, bytes, &allocator, &layers));
    cr_assert_eq(layers, 1);
    cr_assert_eq(m.out, 0);
    const long calls = m.calls;
    for (long n = 1; n <= calls; n += 7) {
        m.calls = 0;
        m.fails_at = n;
        crease_status status = verify(file, bytes, &allocator, &layers);
        cr_assert_eq(status, CREASE_ERROR_MEMORY, "allocation %ld of %ld: %s, %s", n, calls,
                     crease_status_name(status), crease_error_message());
        cr_assert_eq(m.out, 0, "allocation %ld of %ld: %ld blocks are still out", n, calls, m.out);
    }
    crease_memory_free(file);
}
