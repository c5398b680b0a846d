#include "runtime/exec/session.h"
#include "runtime/graph/edit.h"
#include "runtime/graph/order.h"
#include "runtime/graph/verify.h"
#include "runtime/kernels/gemm.h"
#include "runtime/ops/infer.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free

/* Steps whose shapes depend on data, here on a shape that is an input: y = reshape(x, shape) w. */

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

enum { K = 3, N = 2, MOST = 40 };

typedef struct bench {
    cr_heap *heap;
    cr_model *model;
    cr_session *session;
    bool constant; /* whether w is one */
    bool twice;    /* y = reshape(x, shape) w + residual, which is the same again */
} bench;

static cr_value *input(cr_graph *graph, crease_dtype dtype, int64_t extent) {
    cr_value *value;
    OK(cr_graph_add_value(graph, NULL, true, &value));
    value->dtype = dtype;
    value->shape = cr_shape_of(1, &extent);
    OK(cr_graph_add_input(graph, value));
    return value;
}

static cr_value *node(cr_graph *graph, const char *op, cr_value *a, cr_value *b) {
    cr_value *out;
    cr_node *node;
    OK(cr_graph_add_value(graph, NULL, true, &out));
    OK(cr_graph_add_node(graph, NULL, op, "", "n", (cr_value *[]){a, b}, b ? 2 : 1, &out, 1, &node));
    return out;
}

static void fill(float *w, float first) {
    for (int i = 0; i < K * N; i++)
        w[i] = first + (float)i;
}

static cr_value *weights(cr_graph *graph, bool constant) {
    const cr_shape shape = cr_shape_of(2, (int64_t[]){K, N});
    cr_value *w;
    cr_tensor *tensor;
    if (constant) {
        OK(cr_graph_new_constant(graph, NULL, CREASE_FLOAT, &shape, &w, &tensor));
        fill(tensor->data, 1);
    } else {
        w = input(graph, CREASE_FLOAT, 0);
        w->shape = shape;
    }
    return w;
}

/* The product on top of the residual, as lowering fuses them. */
static cr_value *fused(cr_graph *graph, cr_value *a, cr_value *w, cr_value *residual) {
    cr_value *out;
    cr_node *node;
    OK(cr_graph_add_value(graph, NULL, true, &out));
    OK(cr_graph_add_node(graph, NULL, "MatMul", "crease", "fused", (cr_value *[]){a, w, NULL, residual}, 4,
                         &out, 1, &node));
    return out;
}

static void start(bench *b, const cr_session_settings *settings) {
    OK(cr_model_order(b->model));
    OK(cr_model_resolve(b->model));
    OK(cr_model_verify(b->model));
    OK(cr_graph_infer(b->model->graph));
    OK(cr_session_create(b->model, settings, &b->session));
}

static bench begin_with(bool constant, bool twice, size_t limit) {
    bench b = {.constant = constant, .twice = twice};
    OK(cr_heap_create(NULL, 0, &b.heap));
    OK(cr_model_create(b.heap, &b.model));
    OK(cr_model_set_opset(b.model, "", 13));
    b.model->lowered = true;
    cr_graph *g = b.model->graph;
    cr_value *x = input(g, CREASE_FLOAT, CR_DIM_UNKNOWN), *shape = input(g, CREASE_INT64, 2);
    cr_value *a = node(g, "Reshape", x, shape), *w = weights(g, constant), *y = node(g, "MatMul", a, w);
    OK(cr_graph_add_output(g, twice ? fused(g, a, w, y) : y));
    start(&b, &(cr_session_settings){.heap = b.heap, .threads = 1, .weight_limit_bytes = limit});
    return b;
}

static bench begin(bool constant, size_t limit) {
    return begin_with(constant, false, limit);
}

static void end(bench *b) {
    cr_session_destroy(b->session);
    cr_model_destroy(b->model);
    cr_assert_eq(cr_heap_used(b->heap), 0);
    cr_heap_release(b->heap);
}

/* first: of the weights that are an input. */
static void run(bench *b, int64_t rows, float first) {
    const int64_t n = rows * K, two = 2, wn[] = {K, N};
    float x[MOST * K], w[K * N];
    fill(w, first);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(i % 7) - 3;
    OK(cr_session_input(b->session, 0, CREASE_FLOAT, 1, &n, x, false));
    OK(cr_session_input(b->session, 1, CREASE_INT64, 1, &two, (int64_t[]){rows, K}, false));
    if (!b->constant)
        OK(cr_session_input(b->session, 2, CREASE_FLOAT, 2, wn, w, false));
    OK(cr_session_run(b->session));
    const cr_tensor *y = cr_session_value(b->session, b->model->graph->outputs[0]);
    cr_assert_not_null(y);
    cr_assert_eq(cr_shape_n(&y->shape), rows * N);
    for (int64_t i = 0; i < rows * N; i++) {
        float sum = 0;
        for (int k = 0; k < K; k++)
            sum += x[i / N * K + k] * w[k * N + i % N];
        cr_assert_eq(((const float *)y->data)[i], b->twice ? 2 * sum : sum, "%lld", (long long)i);
    }
}

Test(late, constants_are_packed_once) {
    bench b = begin(true, 0);
    run(&b, MOST, 1);
    const size_t bytes = cr_session_weight_bytes(b.session);
    cr_assert_eq(bytes > 0, cr_sgemm_packs(MOST));
    run(&b, MOST - 1, 1);
    run(&b, MOST, 1);
    cr_assert_eq(cr_session_weight_bytes(b.session), bytes);
    end(&b);
}

/* A residual is computed, and no part of what is packed. */
Test(late, constants_are_packed_once_beside_a_residual) {
    if (!cr_sgemm_packs(MOST))
        cr_skip_test("without packed products there are no fused ones");
    bench plain = begin(true, 0), b = begin_with(true, true, 0);
    run(&plain, MOST, 1);
    for (int i = 0; i < 2; i++) {
        run(&b, MOST, 1);
        cr_assert_eq(cr_session_weight_bytes(b.session), 2 * cr_session_weight_bytes(plain.session));
    }
    end(&plain);
    end(&b);
}

Test(late, computed_weights_are_not_kept) {
    bench b = begin(false, 0);
    for (int i = 0; i < 3; i++)
        run(&b, MOST, (float)i);
    cr_assert_eq(cr_session_weight_bytes(b.session), 0);
    end(&b);
}

/* As of steps known at planning, that which has no smaller form is packed all the same. */
Test(late, products_are_packed_beyond_a_limit) {
    bench b = begin(true, 0), limited = begin(true, 1);
    for (int i = 0; i < 2; i++) {
        run(&b, MOST, 1);
        run(&limited, MOST, 1);
        cr_assert_eq(cr_session_weight_bytes(limited.session), cr_session_weight_bytes(b.session));
    }
    end(&limited);
    end(&b);
}

/* y = RNN(reshape(x, shape)) with parameters of 1, which is packed when it runs. */
static size_t kept_of_a_recurrent_step(size_t limit) {
    bench b = {0};
    cr_node *rnn;
    cr_value *y, *in[3];
    const int64_t n = 2, three = 3;
    OK(cr_heap_create(NULL, 0, &b.heap));
    OK(cr_model_create(b.heap, &b.model));
    OK(cr_model_set_opset(b.model, "", 14));
    cr_graph *g = b.model->graph;
    cr_value *x = input(g, CREASE_FLOAT, CR_DIM_UNKNOWN);
    in[0] = node(g, "Reshape", x, input(g, CREASE_INT64, 3));
    for (int i = 1; i < 3; i++) {
        const cr_shape shape = cr_shape_of(3, (int64_t[]){1, 1, 1});
        cr_tensor *tensor;
        OK(cr_graph_new_constant(g, NULL, CREASE_FLOAT, &shape, &in[i], &tensor));
        *(float *)tensor->data = 1;
    }
    OK(cr_graph_add_value(g, NULL, true, &y));
    OK(cr_graph_add_node(g, NULL, "RNN", "", "rnn", in, 3, &y, 1, &rnn));
    OK(cr_node_set_int(rnn, "hidden_size", 1));
    OK(cr_graph_add_output(g, y));
    start(&b, &(cr_session_settings){.heap = b.heap, .threads = 1, .weight_limit_bytes = limit});
    OK(cr_session_input(b.session, 0, CREASE_FLOAT, 1, &n, (float[]){0, 1}, false));
    OK(cr_session_input(b.session, 1, CREASE_INT64, 1, &three, (int64_t[]){2, 1, 1}, false));
    OK(cr_session_run(b.session));
    const cr_tensor *tensor = cr_session_value(b.session, y);
    cr_assert_float_eq(((const float *)tensor->data)[1], 0.76159f, 1e-4f); /* tanh(1 + 0) */
    const size_t bytes = cr_session_weight_bytes(b.session);
    end(&b);
    return bytes;
}

Test(late, what_is_packed_in_a_run_is_not_kept_beyond_a_limit) {
    cr_assert_gt(kept_of_a_recurrent_step(0), 0);
    cr_assert_eq(kept_of_a_recurrent_step(1), 0);
}

/* What a profile shows of a late step is of its last run. */
Test(late, the_last_choice_is_told) {
    bench b = begin(true, 0);
    for (int64_t rows = 1; rows < MOST; rows += 7) {
        run(&b, rows, 1);
        const cr_plan *plan = cr_session_plan(b.session);
        const cr_step *step = &plan->steps[plan->n_steps - 1];
        cr_assert(step->late);
        cr_assert_str_eq(step->algorithm, "gemm");
        cr_assert_str_empty(step->note);
        cr_assert_str_empty(step->refused);
        cr_assert_eq(step->macs, rows * K * N);
    }
    end(&b);
}

/* y = - - - x in late steps: what no later one needs goes during the run. */
Test(late, results_last_as_long_as_they_are_used) {
    for (int keep = 0; keep < 2; keep++) {
        bench b = {0};
        cr_value *chain[4];
        const int64_t n = 6, two = 2;
        OK(cr_heap_create(NULL, 0, &b.heap));
        OK(cr_model_create(b.heap, &b.model));
        OK(cr_model_set_opset(b.model, "", 13));
        cr_graph *g = b.model->graph;
        cr_value *x = input(g, CREASE_FLOAT, CR_DIM_UNKNOWN);
        chain[0] = node(g, "Reshape", x, input(g, CREASE_INT64, 2));
        for (int i = 1; i < 4; i++)
            chain[i] = node(g, "Neg", chain[i - 1], NULL);
        OK(cr_graph_add_output(g, node(g, "Add", chain[3], chain[1])));
        start(&b, &(cr_session_settings){.heap = b.heap, .threads = 1, .keep_all = keep});
        OK(cr_session_input(b.session, 0, CREASE_FLOAT, 1, &n, (float[]){0, 1, 2, 3, 4, 5}, false));
        OK(cr_session_input(b.session, 1, CREASE_INT64, 1, &two, (int64_t[]){2, 3}, false));
        for (int again = 0; again < 2; again++) {
            OK(cr_session_run(b.session));
            for (int i = 0; i < 4; i++)
                cr_assert_eq(cr_session_value(b.session, chain[i]) != NULL, keep != 0);
            const cr_tensor *y = cr_session_value(b.session, g->outputs[0]);
            cr_assert_eq(((const float *)y->data)[5], -10);
        }
        end(&b);
    }
}
