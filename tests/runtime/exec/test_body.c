#include "runtime/exec/session.h"
#include "runtime/graph/edit.h"
#include "runtime/graph/order.h"
#include "runtime/graph/verify.h"
#include "runtime/ops/infer.h"
#include "tests/body.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Bodies of If, Loop and Scan through a session. */

#define OK(call) cr_assert_eq((call), CREASE_OK, "%s", crease_error_message())
#define VALUES(...)                                                                                          \
    (int)(sizeof((cr_value *[]){__VA_ARGS__}) / sizeof(cr_value *)), (cr_value *[]) {                        \
        __VA_ARGS__                                                                                          \
    }

typedef struct bench {
    cr_heap *heap;
    cr_model *model;
    cr_graph *main;
    cr_session *session;
} bench;

static bench begin(void) {
    bench b = {0};
    OK(cr_heap_create(NULL, 0, &b.heap));
    OK(cr_model_create(b.heap, &b.model));
    OK(cr_model_set_opset(b.model, "", 16));
    b.main = b.model->graph;
    return b;
}

static void end(bench *b) {
    cr_session_destroy(b->session);
    cr_model_destroy(b->model);
    cr_assert_eq(cr_heap_used(b->heap), 0);
    cr_heap_release(b->heap);
}

static cr_value *input(cr_graph *graph, crease_dtype dtype, int rank, int64_t extent) {
    cr_value *value;
    OK(cr_graph_add_value(graph, NULL, true, &value));
    value->dtype = dtype;
    value->shape = rank < 0 ? cr_shape_unknown() : cr_shape_of(rank, &extent);
    OK(cr_graph_add_input(graph, value));
    return value;
}

static cr_value *constant(cr_graph *graph, crease_dtype dtype, int rank, const void *bytes) {
    cr_shape shape = cr_shape_of(rank, &(int64_t){1});
    cr_value *value;
    cr_tensor *tensor;
    OK(cr_graph_new_constant(graph, NULL, dtype, &shape, &value, &tensor));
    memcpy(tensor->data, bytes, crease_dtype_bits(dtype) / 8);
    return value;
}

static cr_value *number(cr_graph *graph, float x) {
    return constant(graph, CREASE_FLOAT, 0, &x);
}

static cr_node *nodes(cr_graph *graph, const char *op, int n_in, cr_value **in, int n_out, cr_value **out) {
    cr_node *node;
    for (int i = 0; i < n_out; i++)
        OK(cr_graph_add_value(graph, NULL, true, &out[i]));
    OK(cr_graph_add_node(graph, NULL, op, "", "n", in, n_in, out, n_out, &node));
    return node;
}

static cr_value *node(cr_graph *graph, const char *op, int n_in, cr_value **in) {
    cr_value *out;
    nodes(graph, op, n_in, in, 1, &out);
    return out;
}

static void output(cr_graph *graph, cr_value *value) {
    OK(cr_graph_add_output(graph, value));
}

static void start(bench *b) {
    OK(cr_model_order(b->model));
    OK(cr_model_resolve(b->model));
    OK(cr_model_verify(b->model));
    OK(cr_graph_infer(b->main));
    OK(cr_session_create(b->model, &(cr_session_settings){.heap = b->heap, .threads = 1}, &b->session));
}

static void set(bench *b, int i, crease_dtype dtype, int rank, int64_t n, const void *data) {
    OK(cr_session_input(b->session, i, dtype, rank, &n, data, false));
}

static const cr_tensor *result(const bench *b, int i) {
    const cr_tensor *tensor = cr_session_value(b->session, b->main->outputs[i]);
    cr_assert_not_null(tensor);
    return tensor;
}

static void expect(const bench *b, int i, int64_t n, const float *values) {
    const cr_tensor *t = result(b, i);
    cr_assert_eq(t->dtype, CREASE_FLOAT);
    cr_assert_eq(cr_shape_n(&t->shape), n);
    for (int64_t k = 0; k < n; k++)
        cr_assert_float_eq(((const float *)t->data)[k], values[k], 1e-5f, "output %d, element %lld", i,
                           (long long)k);
}

/* sum, squares = loop(n, go) { sum += x; squares[i] = sum * sum; go while sum[0] < 10 } with x captured. */
static bench summing(void) {
    bench b = begin();
    cr_value *out[2];
    cr_value *n = input(b.main, CREASE_INT64, 0, 0), *go = input(b.main, CREASE_BOOL, 0, 0);
    cr_value *x = input(b.main, CREASE_FLOAT, 1, CR_DIM_UNKNOWN);
    cr_value *zero = node(b.main, "Sub", VALUES(x, x));
    cr_node *loop = nodes(b.main, "Loop", VALUES(n, go, zero), 2, out);
    cr_graph *g = body_of(loop, "body");
    input(g, CREASE_INT64, 0, 0);
    input(g, CREASE_BOOL, 0, 0);
    cr_value *sum = node(g, "Add", VALUES(input(g, CREASE_FLOAT, -1, 0), x));
    int64_t first = 0;
    cr_value *head = node(g, "Gather", VALUES(sum, constant(g, CREASE_INT64, 0, &first)));
    output(g, node(g, "Less", VALUES(head, number(g, 10))));
    output(g, sum);
    cr_value *square = node(g, "Mul", VALUES(sum, sum));
    square->dtype = CREASE_FLOAT;
    square->shape = cr_shape_of(1, (int64_t[]){2});
    output(g, square);
    output(b.main, out[0]);
    output(b.main, out[1]);
    start(&b);
    return b;
}

static void run_summing(bench *b, int64_t trips, bool go, float x0, float x1) {
    set(b, 0, CREASE_INT64, 0, 0, &trips);
    set(b, 1, CREASE_BOOL, 0, 0, &go);
    set(b, 2, CREASE_FLOAT, 1, 2, (float[]){x0, x1});
    OK(cr_session_run(b->session));
}

Test(body, a_loop_carries_stacks_and_stops_at_its_count) {
    bench b = summing();
    run_summing(&b, 3, true, 1, 2);
    expect(&b, 0, 2, (float[]){3, 6});
    expect(&b, 1, 6, (float[]){1, 4, 4, 16, 9, 36});
    cr_assert_eq(result(&b, 1)->shape.rank, 2);
    run_summing(&b, 2, true, 5, 1); /* again: nothing of the first run is left */
    expect(&b, 0, 2, (float[]){10, 2});
    end(&b);
}

Test(body, a_loop_stops_at_its_condition) {
    bench b = summing();
    run_summing(&b, 100, true, 4, 1);
    expect(&b, 0, 2, (float[]){12, 3});
    cr_assert_eq(result(&b, 1)->shape.dims[0], 3);
    end(&b);
}

Test(body, a_loop_may_not_run_at_all) {
    bench b = summing();
    for (int once = 0; once < 2; once++) {
        run_summing(&b, once ? 0 : 5, once != 0, 4, 1);
        expect(&b, 0, 2, (float[]){0, 0});
        cr_assert_eq(result(&b, 1)->shape.rank, 2);
        cr_assert_eq(result(&b, 1)->shape.dims[0], 0);
        cr_assert_eq(result(&b, 1)->shape.dims[1], 2);
    }
    end(&b);
}

static cr_value *choose(cr_graph *graph, cr_value *condition, cr_value *x, float then, float otherwise) {
    cr_value *out;
    cr_node *node_if = nodes(graph, "If", VALUES(condition), 1, &out);
    cr_graph *yes = body_of(node_if, "then_branch"), *no = body_of(node_if, "else_branch");
    output(yes, node(yes, "Mul", VALUES(x, number(yes, then))));
    output(no, node(no, "Mul", VALUES(x, number(no, otherwise))));
    return out;
}

Test(body, branches_stand_in_loops_and_use_what_is_around_both) {
    bench b = begin();
    cr_value *out;
    int64_t trips = 4;
    uint8_t yes = 1;
    cr_value *x = input(b.main, CREASE_FLOAT, 1, 2), *twice = node(b.main, "Add", VALUES(x, x));
    cr_node *loop =
        nodes(b.main, "Loop",
              VALUES(constant(b.main, CREASE_INT64, 0, &trips), constant(b.main, CREASE_BOOL, 0, &yes), x), 1,
              &out);
    cr_graph *g = body_of(loop, "body");
    cr_value *i = input(g, CREASE_INT64, 0, 0), *go = input(g, CREASE_BOOL, 0, 0);
    cr_value *carried = input(g, CREASE_FLOAT, 1, 2);
    int64_t two = 2;
    cr_value *early = node(g, "Less", VALUES(i, constant(g, CREASE_INT64, 0, &two)));
    output(g, node(g, "Identity", VALUES(go)));
    output(g, node(g, "Add", VALUES(carried, choose(g, early, twice, 1, 10))));
    output(b.main, out);
    start(&b);
    for (int again = 0; again < 2; again++) {
        set(&b, 0, CREASE_FLOAT, 1, 2, (float[]){1, -3});
        OK(cr_session_run(b.session));
        expect(&b, 0, 2, (float[]){1 + 2 * 22, -3 - 6 * 22});
    }
    end(&b);
}

Test(body, carried_values_may_grow) {
    bench b = begin();
    cr_value *out;
    uint8_t yes = 1;
    cr_value *n = input(b.main, CREASE_INT64, 0, 0), *x = input(b.main, CREASE_FLOAT, 1, 1);
    cr_node *loop = nodes(b.main, "Loop", VALUES(n, constant(b.main, CREASE_BOOL, 0, &yes), x), 1, &out);
    cr_graph *g = body_of(loop, "body");
    input(g, CREASE_INT64, 0, 0);
    cr_value *go = input(g, CREASE_BOOL, 0, 0), *carried = input(g, CREASE_FLOAT, -1, 0);
    cr_value *joined;
    cr_node *concat = nodes(g, "Concat", VALUES(carried, carried), 1, &joined);
    OK(cr_node_set_int(concat, "axis", 0));
    output(g, go);
    output(g, joined);
    output(b.main, node(b.main, "ReduceSum", VALUES(out)));
    start(&b);
    int64_t trips = 12;
    set(&b, 0, CREASE_INT64, 0, 0, &trips);
    set(&b, 1, CREASE_FLOAT, 1, 1, (float[]){0.5f});
    OK(cr_session_run(b.session));
    expect(&b, 0, 1, (float[]){2048});
    end(&b);
}

/* A value of a late step, and one in the slab, that nothing but branches use: one reads them, one gives them
 * as they are. */
Test(body, what_branches_alone_use_stays_until_they_run) {
    bench b = begin();
    cr_value *go = input(b.main, CREASE_BOOL, 0, 0), *x = input(b.main, CREASE_FLOAT, 1, 4);
    cr_value *length = input(b.main, CREASE_INT64, 1, 1), *out[2];
    cr_value *slab = node(b.main, "Neg", VALUES(x)), *late = node(b.main, "Reshape", VALUES(slab, length));
    slab = node(b.main, "Abs", VALUES(x));
    output(b.main, node(b.main, "Exp", VALUES(node(b.main, "Exp", VALUES(x)))));
    cr_node *node_if = nodes(b.main, "If", VALUES(go), 2, out);
    cr_graph *yes = body_of(node_if, "then_branch"), *no = body_of(node_if, "else_branch");
    output(yes, node(yes, "Neg", VALUES(late)));
    output(yes, node(yes, "Neg", VALUES(slab)));
    output(no, late);
    output(no, slab);
    output(b.main, out[0]);
    output(b.main, out[1]);
    start(&b);
    for (int run = 0; run < 4; run++) {
        set(&b, 0, CREASE_BOOL, 0, 0, &(uint8_t){run % 2 == 0});
        set(&b, 1, CREASE_FLOAT, 1, 4, (float[]){1, -2, 3, -4});
        set(&b, 2, CREASE_INT64, 1, 1, &(int64_t){4});
        OK(cr_session_run(b.session));
        expect(&b, 1, 4, run % 2 ? (float[]){-1, 2, -3, 4} : (float[]){1, -2, 3, -4});
        expect(&b, 2, 4, run % 2 ? (float[]){1, 2, 3, 4} : (float[]){-1, -2, -3, -4});
    }
    end(&b);
}

/* Whichever branch is taken, what follows was planned for its shape. */
Test(body, branches_of_one_shape_leave_the_rest_planned) {
    bench b = begin();
    cr_value *go = input(b.main, CREASE_BOOL, 0, 0), *x = input(b.main, CREASE_FLOAT, 1, 2);
    output(b.main, node(b.main, "Neg", VALUES(choose(b.main, go, x, 3, 5))));
    start(&b);
    cr_assert_not(cr_session_plan(b.session)->steps[1].late);
    for (uint8_t then = 0; then < 2; then++) {
        set(&b, 0, CREASE_BOOL, 0, 0, &then);
        set(&b, 1, CREASE_FLOAT, 1, 2, (float[]){1, 2});
        OK(cr_session_run(b.session));
        expect(&b, 0, 2, then ? (float[]){-3, -6} : (float[]){-5, -10});
    }
    end(&b);
}

/* A branch that does not fit the shapes is no failure until it is taken. */
Test(body, a_branch_that_cannot_run_fails_when_taken) {
    bench b = begin();
    cr_value *out, *go = input(b.main, CREASE_BOOL, 0, 0), *x = input(b.main, CREASE_FLOAT, 1, 2);
    cr_node *node_if = nodes(b.main, "If", VALUES(go), 1, &out);
    cr_graph *yes = body_of(node_if, "then_branch"), *no = body_of(node_if, "else_branch");
    output(yes, node(yes, "MatMul", VALUES(x, number(yes, 1))));
    output(no, node(no, "Neg", VALUES(x)));
    output(b.main, out);
    start(&b);
    uint8_t then = 0;
    set(&b, 0, CREASE_BOOL, 0, 0, &then);
    set(&b, 1, CREASE_FLOAT, 1, 2, (float[]){1, 2});
    OK(cr_session_run(b.session));
    expect(&b, 0, 2, (float[]){-1, -2});
    then = 1;
    set(&b, 0, CREASE_BOOL, 0, 0, &then);
    cr_assert_eq(cr_session_run(b.session), CREASE_ERROR_MODEL);
    end(&b);
}

static void *cancel_soon(void *session) {
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    cr_session_cancel(session);
    return NULL;
}

Test(body, a_loop_without_end_is_cancelled, .timeout = 60) {
    bench b = begin();
    cr_value *out;
    pthread_t thread;
    cr_value *x = input(b.main, CREASE_FLOAT, 1, 2);
    cr_node *loop = nodes(b.main, "Loop", VALUES(NULL, NULL, x), 1, &out);
    cr_graph *g = body_of(loop, "body");
    input(g, CREASE_INT64, 0, 0);
    cr_value *go = input(g, CREASE_BOOL, 0, 0);
    output(g, go);
    output(g, input(g, CREASE_FLOAT, 1, 2));
    output(b.main, out);
    start(&b);
    set(&b, 0, CREASE_FLOAT, 1, 2, (float[]){1, 2});
    cr_assert_eq(pthread_create(&thread, NULL, cancel_soon, b.session), 0);
    cr_assert_eq(cr_session_run(b.session), CREASE_ERROR_CANCELLED);
    pthread_join(thread, NULL);
    end(&b);
}

/* state, rows = scan(state, x along axis 1, backwards): state += slice, rows = state along axis 1. */
Test(body, a_scan_cuts_along_any_axis_and_backwards) {
    bench b = begin();
    cr_value *out[2], *x = input(b.main, CREASE_FLOAT, 1, 6), *state = input(b.main, CREASE_FLOAT, 1, 2);
    cr_shape shape = cr_shape_of(1, (int64_t[]){2});
    cr_value *target;
    cr_tensor *dims;
    OK(cr_graph_new_constant(b.main, NULL, CREASE_INT64, &shape, &target, &dims));
    memcpy(dims->data, (int64_t[]){2, 3}, 16);
    cr_node *scan = nodes(b.main, "Scan", VALUES(state, node(b.main, "Reshape", VALUES(x, target))), 2, out);
    OK(cr_node_set_int(scan, "num_scan_inputs", 1));
    OK(cr_node_set_ints(scan, "scan_input_axes", (int64_t[]){-1}, 1));
    OK(cr_node_set_ints(scan, "scan_input_directions", (int64_t[]){1}, 1));
    OK(cr_node_set_ints(scan, "scan_output_axes", (int64_t[]){1}, 1));
    cr_graph *g = body_of(scan, "body");
    cr_value *was = input(g, CREASE_FLOAT, 1, 2);
    cr_value *sum = node(g, "Add", VALUES(was, input(g, CREASE_FLOAT, 1, 2)));
    output(g, sum);
    output(g, node(g, "Identity", VALUES(sum)));
    output(b.main, out[0]);
    output(b.main, out[1]);
    start(&b);
    set(&b, 0, CREASE_FLOAT, 1, 6, (float[]){1, 2, 3, 4, 5, 6});
    set(&b, 1, CREASE_FLOAT, 1, 2, (float[]){100, 200});
    OK(cr_session_run(b.session));
    expect(&b, 0, 2, (float[]){106, 215});
    expect(&b, 1, 6, (float[]){103, 105, 106, 206, 211, 215});
    end(&b);
}

/* Halves are widened inside of bodies as they are outside. */
Test(body, halves_run_in_bodies) {
    bench b = begin();
    cr_value *out, *go = input(b.main, CREASE_BOOL, 0, 0), *x = input(b.main, CREASE_FLOAT16, 1, 2);
    cr_node *node_if = nodes(b.main, "If", VALUES(go), 1, &out);
    cr_graph *yes = body_of(node_if, "then_branch"), *no = body_of(node_if, "else_branch");
    output(yes, node(yes, "Add", VALUES(node(yes, "Tanh", VALUES(x)), x)));
    output(no, node(no, "Neg", VALUES(x)));
    output(b.main, out);
    start(&b);
    uint8_t then = 1;
    uint16_t halves[] = {cr_float_to_half(1), cr_float_to_half(-2)};
    set(&b, 0, CREASE_BOOL, 0, 0, &then);
    set(&b, 1, CREASE_FLOAT16, 1, 2, halves);
    OK(cr_session_run(b.session));
    const cr_tensor *t = result(&b, 0);
    cr_assert_eq(t->dtype, CREASE_FLOAT16);
    cr_assert_float_eq(cr_half_to_float(((const uint16_t *)t->data)[0]), 1.7616f, 2e-3f);
    end(&b);
}

static void *count_allocation(void *user, size_t bytes, size_t alignment) {
    ++*(size_t *)user;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void release(void *user, void *block) {
    (void)user;
    free(block);
}

/* An iteration whose shapes were seen before allocates what it gives and nothing for its 40 nodes. */
Test(body, iterations_are_planned_once) {
    size_t n_allocations = 0;
    crease_allocator allocator = {count_allocation, release, &n_allocations};
    bench b = begin();
    cr_heap *counted;
    OK(cr_heap_create(&allocator, 0, &counted));
    cr_value *out;
    uint8_t yes = 1;
    cr_value *n = input(b.main, CREASE_INT64, 0, 0), *x = input(b.main, CREASE_FLOAT, 1, 2);
    cr_node *loop = nodes(b.main, "Loop", VALUES(n, constant(b.main, CREASE_BOOL, 0, &yes), x), 1, &out);
    cr_graph *g = body_of(loop, "body");
    input(g, CREASE_INT64, 0, 0);
    output(g, input(g, CREASE_BOOL, 0, 0));
    cr_value *last = input(g, CREASE_FLOAT, 1, 2);
    for (int i = 0; i < 40; i++)
        last = node(g, "Neg", VALUES(last));
    output(g, last);
    output(b.main, out);
    cr_heap *plain = b.heap;
    b.heap = counted;
    start(&b);
    b.heap = plain;
    size_t made[3];
    for (int run = 0; run < 3; run++) {
        int64_t trips = run == 2 ? 1010 : 10;
        set(&b, 0, CREASE_INT64, 0, 0, &trips);
        set(&b, 1, CREASE_FLOAT, 1, 2, (float[]){1, 2});
        made[run] = n_allocations;
        OK(cr_session_run(b.session));
        made[run] = n_allocations - made[run];
    }
    cr_assert_leq((made[2] - made[1]) / 1000, 4, "%zu", made[2] - made[1]);
    expect(&b, 0, 2, (float[]){1, 2});
    end(&b);
    cr_heap_release(counted);
}
