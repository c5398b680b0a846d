#include "runtime/exec/session.h"
#include "runtime/graph/edit.h"
#include "runtime/graph/order.h"
#include "runtime/graph/verify.h"
#include "runtime/kernels/gemm.h"
#include "runtime/ops/infer.h"
#include "tests/body.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free

/* How long packed weights and their plain form are kept, in sessions with a model of their own. Most weights
 * are the identity times two: products of one row read them plain, products of several packed. */

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())

enum { K = 32, MOST = 8 };

typedef struct bench {
    cr_heap *heap;
    cr_model *model;
    cr_session *session;
    cr_value *w;
} bench;

static bench begin(void) {
    bench b = {0};
    OK(cr_heap_create(NULL, 0, &b.heap));
    OK(cr_model_create(b.heap, &b.model));
    OK(cr_model_set_opset(b.model, "", 16));
    b.model->lowered = true;
    return b;
}

static void start(bench *b) {
    const cr_session_settings settings = {.heap = b->heap, .threads = 1, .own_model = true};
    OK(cr_model_order(b->model));
    OK(cr_model_resolve(b->model));
    OK(cr_model_verify(b->model));
    OK(cr_graph_infer(b->model->graph));
    OK(cr_session_create(b->model, &settings, &b->session));
}

static void end(bench *b) {
    cr_session_destroy(b->session);
    cr_model_destroy(b->model);
    cr_assert_eq(cr_heap_used(b->heap), 0);
    cr_heap_release(b->heap);
}

static cr_value *input(cr_graph *graph, crease_dtype dtype, cr_shape shape) {
    cr_value *value;
    OK(cr_graph_add_value(graph, NULL, true, &value));
    value->dtype = dtype;
    value->shape = shape;
    OK(cr_graph_add_input(graph, value));
    return value;
}

static cr_value *node(cr_graph *graph, const char *op, cr_value *a, cr_value *b, cr_node **made) {
    cr_value *out;
    OK(cr_graph_add_value(graph, NULL, true, &out));
    OK(cr_graph_add_node(graph, NULL, op, "", "n", (cr_value *[]){a, b}, b ? 2 : 1, &out, 1, made));
    return out;
}

/* The product of a and w, which is made here. */
static cr_value *product(bench *b, cr_graph *graph, cr_value *a) {
    const cr_shape shape = cr_shape_of(2, (int64_t[]){K, K});
    cr_tensor *tensor;
    cr_node *made;
    OK(cr_graph_new_constant(graph, NULL, CREASE_FLOAT, &shape, &b->w, &tensor));
    for (int i = 0; i < K * K; i++)
        ((float *)tensor->data)[i] = i % (K + 1) == 0 ? 2 : 0;
    return node(graph, "MatMul", a, b->w, &made);
}

static void set_rows(bench *b, int index, int64_t rows) {
    float x[MOST * K];
    for (int64_t i = 0; i < rows * K; i++)
        x[i] = (float)(i % K);
    OK(cr_session_input(b->session, index, CREASE_FLOAT, 2, (int64_t[]){rows, K}, x, false));
}

static void run(bench *b, int64_t rows, float factor) {
    OK(cr_session_run(b->session));
    const cr_tensor *y = cr_session_value(b->session, b->model->graph->outputs[0]);
    cr_assert_not_null(y);
    cr_assert_eq(cr_shape_n(&y->shape), rows * K);
    for (int64_t i = 0; i < rows * K; i++)
        cr_assert_eq(((const float *)y->data)[i], factor * (float)(i % K), "%lld", (long long)i);
}

static bool is_forgotten(const bench *b) {
    return b->w->constant->data == NULL;
}

Test(weights, are_kept_in_one_form) {
    bench b = begin();
    cr_graph *g = b.model->graph;
    cr_value *x = input(g, CREASE_FLOAT, cr_shape_of(2, (int64_t[]){2, K}));
    OK(cr_graph_add_output(g, product(&b, g, x)));
    start(&b);
    cr_assert_eq(is_forgotten(&b), cr_sgemm_packs(2));
    for (int i = 0; i < 2; i++) {
        set_rows(&b, 0, 2);
        run(&b, 2, 2);
    }
    end(&b);
}

/* An input whose initial value has one shape of many. */
Test(weights, stay_where_an_input_may_have_another_shape) {
    bench b = begin();
    cr_graph *g = b.model->graph;
    const cr_shape two = cr_shape_of(2, (int64_t[]){2, K});
    cr_value *x;
    cr_tensor *initial;
    OK(cr_graph_new_constant(g, NULL, CREASE_FLOAT, &two, &x, &initial));
    x->initial = initial;
    x->constant = NULL;
    x->shape.dims[0] = CR_DIM_UNKNOWN;
    OK(cr_graph_add_input(g, x));
    OK(cr_graph_add_output(g, product(&b, g, x)));
    start(&b);
    for (int64_t rows = 2; rows > 0; rows--) {
        set_rows(&b, 0, rows);
        run(&b, rows, 2);
    }
    end(&b);
}

/* y = x w where all of w is the rows of x, known when they are planned for. */
Test(weights, of_one_plan_are_not_those_of_another) {
    bench b = begin();
    cr_graph *g = b.model->graph;
    const cr_shape two = cr_shape_of(1, (int64_t[]){2});
    cr_node *made;
    cr_value *extents;
    cr_tensor *tensor;
    cr_value *x = input(g, CREASE_FLOAT, cr_shape_of(2, (int64_t[]){CR_DIM_UNKNOWN, K}));
    OK(cr_graph_new_constant(g, NULL, CREASE_INT64, &two, &extents, &tensor));
    ((int64_t *)tensor->data)[0] = ((int64_t *)tensor->data)[1] = K;
    cr_value *rows = node(g, "Shape", x, NULL, &made);
    OK(cr_node_set_int(made, "end", 1));
    rows = node(g, "Cast", rows, NULL, &made);
    OK(cr_node_set_int(made, "to", CREASE_FLOAT));
    cr_value *w = node(g, "Expand", rows, extents, &made);
    OK(cr_graph_add_output(g, node(g, "MatMul", x, w, &made)));
    start(&b);
    for (int64_t n = MOST; n > 1; n /= 2) {
        set_rows(&b, 0, n);
        OK(cr_session_run(b.session));
        const cr_tensor *y = cr_session_value(b.session, g->outputs[0]);
        cr_assert_eq(((const float *)y->data)[0], (float)(n * K * (K - 1) / 2));
    }
    end(&b);
}

/* A body is planned for each shape that it meets: here rows = 1, 2, 4, while x = [x w; x w]. */
Test(weights, stay_in_bodies) {
    bench b = begin();
    cr_graph *g = b.model->graph;
    cr_node *loop, *made;
    cr_value *x = input(g, CREASE_FLOAT, cr_shape_of(2, (int64_t[]){1, K}));
    cr_value *trips = input(g, CREASE_INT64, cr_shape_of(0, NULL)), *out;
    OK(cr_graph_add_value(g, NULL, true, &out));
    OK(cr_graph_add_node(g, NULL, "Loop", "", "loop", (cr_value *[]){trips, NULL, x}, 3, &out, 1, &loop));
    cr_graph *body = body_of(loop, "body");
    input(body, CREASE_INT64, cr_shape_of(0, NULL));
    cr_value *go = input(body, CREASE_BOOL, cr_shape_of(0, NULL));
    cr_value *y = product(&b, body, input(body, CREASE_FLOAT, cr_shape_unknown()));
    cr_value *both = node(body, "Concat", y, y, &made);
    OK(cr_node_set_int(made, "axis", 0));
    OK(cr_graph_add_output(body, go));
    OK(cr_graph_add_output(body, both));
    OK(cr_graph_add_output(g, out));
    start(&b);
    for (int i = 0; i < 2; i++) {
        set_rows(&b, 0, 1);
        OK(cr_session_input(b.session, 1, CREASE_INT64, 0, NULL, &(int64_t){3}, false));
        run(&b, 8, 8);
    }
    cr_assert_not(is_forgotten(&b));
    end(&b);
}

/* Rows follow from data, here from a shape that is an input: packed before they are known, for any number. */
Test(weights, of_late_products_are_packed_with_the_plan) {
    bench b = begin();
    cr_graph *g = b.model->graph;
    cr_node *made;
    cr_value *x = input(g, CREASE_FLOAT, cr_shape_of(2, (int64_t[]){MOST, K}));
    cr_value *length = input(g, CREASE_INT64, cr_shape_of(1, (int64_t[]){1}));
    const cr_shape one = cr_shape_of(1, (int64_t[]){1});
    cr_value *zero;
    cr_tensor *tensor;
    OK(cr_graph_new_constant(g, NULL, CREASE_INT64, &one, &zero, &tensor));
    ((int64_t *)tensor->data)[0] = 0;
    cr_value *rows;
    OK(cr_graph_add_value(g, NULL, true, &rows));
    OK(cr_graph_add_node(g, NULL, "Slice", "", "rows", (cr_value *[]){x, zero, length, zero}, 4, &rows, 1,
                         &made));
    OK(cr_graph_add_output(g, product(&b, g, rows)));
    start(&b);
    const size_t bytes = cr_session_weight_bytes(b.session);
    const cr_plan *plan = cr_session_plan(b.session);
    cr_assert(plan->steps[plan->n_steps - 1].late);
    cr_assert_str_eq(plan->steps[plan->n_steps - 1].algorithm, "gemm");
    cr_assert_eq(is_forgotten(&b), cr_sgemm_packs(2));
    set_rows(&b, 0, MOST);
    for (int64_t n = 0; n <= MOST; n++) {
        OK(cr_session_input(b.session, 1, CREASE_INT64, 1, (int64_t[]){1}, &n, false));
        run(&b, n, 2);
    }
    cr_assert_eq(cr_session_weight_bytes(b.session), bytes);
    end(&b);
}
