#include "runtime/api/model.h"
#include "tests/runtime/api/network.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { CLASSES = 5, SIDE = 128 };

static crease_options options_with(int threads, bool fold) {
    crease_options options;
    crease_options_init(&options);
    options.threads = threads;
    options.fold = fold;
    return options;
}

static void expect_close(const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        cr_assert(fabsf(a[i] - b[i]) <= 1e-5F * fmaxf(1, fabsf(b[i])), "element %zu: %.9g and %.9g", i,
                  (double)a[i], (double)b[i]);
}

/* ---- six calls ---- */

Test(session, six_calls) {
    size_t bytes;
    void *file = network_file(false, &bytes);
    crease_model *model;
    crease_session *session;
    crease_tensor out = {.struct_size = sizeof out};
    float *x = network_input(1, 6, 1);
    OK(crease_model_load_memory(file, bytes, NULL, &model));
    free(file); /* it was copied */
    OK(crease_session_create(model, NULL, &session));
    crease_model_free(model); /* the session keeps it */
    OK(crease_session_set_input(session, NULL, CREASE_FLOAT, 4, (int64_t[]){1, 2, 6, 6}, x));
    free(x); /* it was copied */
    OK(crease_session_run(session));
    OK(crease_session_output(session, 0, &out));
    cr_assert_str_eq(out.name, "y");
    cr_assert_eq(out.dtype, CREASE_FLOAT);
    cr_assert(out.rank == 2 && out.dims[0] == 1 && out.dims[1] == CLASSES);
    cr_assert_eq(out.bytes, CLASSES * sizeof(float));
    for (int i = 0; i < CLASSES; i++)
        cr_assert(isfinite(((const float *)out.data)[i]));
    crease_session_free(session);
}

Test(session, an_algorithm_that_does_not_exist_is_refused_by_name) {
    crease_model *model = network_load(false);
    crease_session *session;
    crease_options options = options_with(1, true);
    for (const char **name = (const char *[]){"winograd", "", "Direct", NULL}; *name; name++) {
        options.convolution = *name;
        cr_assert_eq(crease_session_create(model, &options, &session), CREASE_ERROR_ARGUMENT);
        cr_assert_null(session);
        cr_assert(strstr(crease_error_message(), "pointwise, im2col, depthwise, grouped, direct, "));
        cr_assert(strstr(crease_error_message(), ", transposed, reference"));
    }
    for (const char **name = (const char *[]){"im2col", "direct", "winograd4", NULL}; *name; name++) {
        options.convolution = *name;
        OK(crease_session_create(model, &options, &session));
        crease_session_free(session);
    }
    crease_model_free(model);
}

Test(session, folding_threads_and_repetition_change_nothing) {
    crease_model *model = network_load(false);
    float first[CLASSES], again[CLASSES], other[CLASSES];
    crease_options options = options_with(1, true);
    crease_session *session = network_session(model, &options);
    network_run(session, 1, 6, 1, first);
    network_run(session, 1, 6, 2, other);
    network_run(session, 1, 6, 1, again);
    cr_assert_arr_eq(first, again, sizeof first);
    cr_assert_arr_neq(first, other, sizeof first);
    crease_session_free(session);
    options.threads = 3;
    session = network_session(model, &options);
    network_run(session, 1, 6, 1, again);
    expect_close(again, first, CLASSES);
    crease_session_free(session);
    options = options_with(1, false);
    session = network_session(model, &options);
    cr_assert_null(crease_session_fold_report(session));
    network_run(session, 1, 6, 1, again);
    expect_close(again, first, CLASSES);
    crease_session_free(session);
    crease_model_free(model);
}

Test(session, the_fold_report_is_the_session_s) {
    crease_model *model = network_load(false);
    crease_session *session = network_session(model, NULL);
    const crease_fold_report *report = crease_session_fold_report(session);
    crease_fold_entry entry = {.struct_size = sizeof entry};
    cr_assert_eq(crease_fold_report_n_entries(report), 2);
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &entry); i++)
        cr_assert(entry.folded, "%s: %s", entry.name, entry.reason);
    crease_session_free(session);
    crease_model_free(model);
}

/* ---- inputs ---- */

Test(session, wrong_inputs_are_refused_by_name) {
    static const struct {
        const char *name, *word;
        crease_dtype dtype;
        int rank;
        int64_t dims[4];
        crease_status status;
    } wrong[] = {
        {"nobody", "'nobody'", CREASE_FLOAT, 4, {1, 2, 6, 6}, CREASE_ERROR_ARGUMENT},
        {"x", "float64", CREASE_DOUBLE, 4, {1, 2, 6, 6}, CREASE_ERROR_INPUT},
        {"x", "[1, 2, 6, 7]", CREASE_FLOAT, 4, {1, 2, 6, 7}, CREASE_ERROR_INPUT},
        {"x", "'x'", CREASE_FLOAT, 3, {2, 6, 6}, CREASE_ERROR_INPUT},
        {"x", "-1", CREASE_FLOAT, 4, {-1, 2, 6, 6}, CREASE_ERROR_INPUT},
        {"x", "rank -1", CREASE_FLOAT, -1, {0}, CREASE_ERROR_INPUT},
        {"x", "rank 2147483647", CREASE_FLOAT, INT_MAX, {1, 2, 6, 6}, CREASE_ERROR_INPUT},
    };
    static const float x[2 * 7 * 7];
    crease_model *model = network_load(false);
    crease_session *session = network_session(model, NULL);
    cr_assert_eq(crease_session_run(session), CREASE_ERROR_INPUT);
    cr_assert(strstr(crease_error_message(), "'x' is not set"), "%s", crease_error_message());
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_eq(
            crease_session_set_input(session, wrong[i].name, wrong[i].dtype, wrong[i].rank, wrong[i].dims, x),
            wrong[i].status, "%zu: %s", i, crease_error_message());
        cr_assert(strstr(crease_error_message(), wrong[i].word), "%zu: %s", i, crease_error_message());
    }
    cr_assert_eq(crease_session_set_input(session, NULL, CREASE_FLOAT, 4, (int64_t[]){1, 2, 6, 6}, NULL),
                 CREASE_ERROR_ARGUMENT);
    cr_assert(strstr(crease_error_message(), "'x'"), "%s", crease_error_message());
    float y[CLASSES];
    network_run(session, 1, 6, 1, y); /* none of it did harm */
    crease_session_free(session);
    crease_model_free(model);
}

Test(session, sizes_that_overflow_are_refused) {
    static const float x[1];
    crease_model *model = network_load(true);
    crease_session *session = network_session(model, NULL);
    const int64_t huge = (int64_t)1 << 31;
    cr_assert_eq(crease_session_set_input(session, "x", CREASE_FLOAT, 4, (int64_t[]){huge, 2, huge, huge}, x),
                 CREASE_ERROR_INPUT);
    crease_session_free(session);
    crease_model_free(model);
}

Test(session, a_bound_input_is_read_at_every_run) {
    crease_model *model = network_load(false);
    crease_session *session = network_session(model, NULL);
    crease_tensor out = {.struct_size = sizeof out};
    float *a = network_input(1, 6, 1), *b = network_input(1, 6, 2), want[CLASSES];
    float *odd = malloc(73 * sizeof *odd); /* no alignment is asked for beyond the element's */
    network_run(session, 1, 6, 2, want);
    memcpy(odd + 1, a, 72 * sizeof *odd);
    OK(crease_session_bind_input(session, "x", CREASE_FLOAT, 4, (int64_t[]){1, 2, 6, 6}, odd + 1));
    OK(crease_session_run(session));
    memcpy(odd + 1, b, 72 * sizeof *odd);
    OK(crease_session_run(session));
    OK(crease_session_output(session, 0, &out));
    cr_assert_arr_eq(out.data, want, sizeof want);
    cr_assert_arr_eq(odd + 1, b, 72 * sizeof *odd); /* and not written to */
    crease_session_free(session);
    crease_model_free(model);
    free(a);
    free(b);
    free(odd);
}

/* ---- outputs ---- */

Test(session, a_bound_output_is_written_at_every_run) {
    crease_model *model = network_load(false);
    crease_session *session = network_session(model, NULL);
    float want[CLASSES], bound[CLASSES + 1] = {[CLASSES] = 42};
    network_run(session, 1, 6, 1, want);
    OK(crease_session_bind_output(session, "y", bound, sizeof want));
    OK(crease_session_run(session));
    cr_assert_arr_eq(bound, want, sizeof want);
    cr_assert_eq(bound[CLASSES], 42);
    OK(crease_session_bind_output(session, NULL, bound, sizeof want - 1));
    cr_assert_eq(crease_session_run(session), CREASE_ERROR_ARGUMENT);
    cr_assert(strstr(crease_error_message(), "20 bytes"), "%s", crease_error_message());
    OK(crease_session_bind_output(session, "y", NULL, 0));
    bound[0] = 17;
    OK(crease_session_run(session));
    cr_assert_eq(bound[0], 17);
    cr_assert_eq(crease_session_bind_output(session, "x", bound, 4), CREASE_ERROR_ARGUMENT);
    crease_session_free(session);
    crease_model_free(model);
}

Test(session, there_is_no_output_before_the_first_run) {
    crease_model *model = network_load(true);
    crease_session *session = network_session(model, NULL);
    crease_tensor out = {.struct_size = sizeof out};
    cr_assert_eq(crease_session_output(session, 0, &out), CREASE_ERROR_ARGUMENT);
    cr_assert_eq(crease_session_output(session, 1, &out), CREASE_ERROR_ARGUMENT);
    crease_session_free(session);
    crease_model_free(model);
}

Test(session, intermediates_are_there_when_they_are_kept) {
    static const char *const names[] = {"x", "c1", "b1", "r1", "c2", "b2", "s", "p", "f", "y"};
    crease_model *model = network_load(false);
    crease_options options = options_with(1, false);
    options.keep_all = true;
    crease_session *session = network_session(model, &options);
    crease_tensor r = {.struct_size = sizeof r}, b = {.struct_size = sizeof b};
    float y[CLASSES];
    network_run(session, 1, 6, 1, y);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        OK(crease_session_peek(session, names[i], &r));
    OK(crease_session_peek(session, "r1", &r));
    OK(crease_session_peek(session, "b1", &b));
    for (int i = 0; i < 72; i++) { /* nothing was computed in place over it */
        float before = ((const float *)b.data)[i];
        cr_assert_eq(((const float *)r.data)[i], before > 0 ? before : 0);
    }
    cr_assert_eq(crease_session_peek(session, "nothing", &r), CREASE_ERROR_ARGUMENT);
    crease_session_free(session);
    session = network_session(model, NULL);
    network_run(session, 1, 6, 1, y);
    OK(crease_session_peek(session, "y", &r));
    cr_assert_eq(crease_session_peek(session, "s", &r), CREASE_ERROR_ARGUMENT);
    crease_session_free(session);
    crease_model_free(model);
}

/* ---- shapes that change ---- */

Test(session, every_shape_gets_a_plan_and_old_ones_are_dropped) {
    crease_model *model = network_load(true);
    crease_session *session = network_session(model, NULL);
    float want[12][3 * CLASSES], y[3 * CLASSES];
    for (int round = 0; round < 3; round++)
        for (int s = 0; s < 12; s++) { /* more than a session keeps */
            int batch = 1 + s % 3;
            network_run(session, batch, 3 + s, (unsigned)s, y);
            if (round)
                cr_assert_arr_eq(y, want[s], (size_t)batch * CLASSES * sizeof *y);
            else
                memcpy(want[s], y, sizeof y);
        }
    /* each picture of a batch by itself gives the same */
    for (int64_t i = 0; i < 3; i++) {
        crease_tensor out = {.struct_size = sizeof out};
        float *x = network_input(3, 5, 2);
        OK(crease_session_set_input(session, "x", CREASE_FLOAT, 4, (int64_t[]){1, 2, 5, 5}, x + i * 50));
        OK(crease_session_run(session));
        OK(crease_session_output(session, 0, &out));
        expect_close(out.data, want[2] + i * CLASSES, CLASSES);
        free(x);
    }
    crease_session_free(session);
    crease_model_free(model);
}

Test(session, an_empty_batch_gives_an_empty_output) {
    crease_model *model = network_load(true);
    crease_session *session = network_session(model, NULL);
    crease_tensor out = {.struct_size = sizeof out};
    OK(crease_session_set_input(session, "x", CREASE_FLOAT, 4, (int64_t[]){0, 2, 6, 6}, NULL));
    OK(crease_session_run(session));
    OK(crease_session_output(session, 0, &out));
    cr_assert(out.bytes == 0 && out.dims[0] == 0 && out.dims[1] == CLASSES);
    crease_session_free(session);
    crease_model_free(model);
}

Test(session, dimensions_of_one_name_must_agree) {
    crease_model *model = network_load(true); /* height and width are both "size" */
    crease_session *session = network_session(model, NULL);
    float *x = network_input(1, 8, 1);
    crease_status status =
        crease_session_set_input(session, "x", CREASE_FLOAT, 4, (int64_t[]){1, 2, 8, 4}, x);
    if (!status)
        status = crease_session_run(session);
    cr_assert_eq(status, CREASE_ERROR_INPUT);
    cr_assert(strstr(crease_error_message(), "size"), "%s", crease_error_message());
    free(x);
    crease_session_free(session);
    crease_model_free(model);
}

/* ---- cancelling ---- */

Test(session, a_cancelled_run_is_the_only_one_that_ends) {
    crease_model *model = network_load(false);
    crease_session *session = network_session(model, NULL);
    float y[CLASSES];
    network_run(session, 1, 6, 1, y);
    crease_session_cancel(session);
    cr_assert_eq(crease_session_run(session), CREASE_ERROR_CANCELLED);
    OK(crease_session_run(session));
    crease_session_cancel(NULL);
    crease_session_free(session);
    crease_model_free(model);
}

typedef struct canceller {
    crease_session *session;
    atomic_bool stop;
} canceller;

static void *keep_cancelling(void *argument) {
    canceller *c = argument;
    while (!atomic_load(&c->stop))
        crease_session_cancel(c->session);
    return NULL;
}

Test(session, cancelling_from_another_thread) {
    crease_model *model = network_load(false);
    crease_options options = options_with(2, true);
    canceller c = {.session = network_session(model, &options)};
    pthread_t thread;
    float y[CLASSES];
    int cancelled = 0;
    network_run(c.session, 1, 6, 1, y);
    cr_assert_eq(pthread_create(&thread, NULL, keep_cancelling, &c), 0);
    for (int i = 0; i < 100000 && cancelled < 10; i++) {
        crease_status status = crease_session_run(c.session);
        cr_assert(status == CREASE_OK || status == CREASE_ERROR_CANCELLED, "%s", crease_error_message());
        cancelled += status == CREASE_ERROR_CANCELLED;
    }
    atomic_store(&c.stop, true);
    pthread_join(thread, NULL);
    cr_assert_eq(cancelled, 10);
    if (crease_session_run(c.session) != CREASE_OK) /* the last call may have come between two runs */
        OK(crease_session_run(c.session));
    crease_session_free(c.session);
    crease_model_free(model);
}

/* ---- several at once ---- */

typedef struct client {
    crease_model *model;
    unsigned seed;
    int threads;
    const float *want;
    int wrong;
} client;

/* Sessions are made, run and freed while others do the same; folding and saving read the model as well. */
static void *run_client(void *argument) {
    client *c = argument;
    crease_options options = options_with(c->threads, true);
    crease_session *session;
    float *x = network_input(1, 6, c->seed);
    for (int i = 0; i < 6; i++) {
        crease_tensor out = {.struct_size = sizeof out};
        crease_model *folded = NULL;
        c->wrong += crease_session_create(c->model, &options, &session) != CREASE_OK;
        c->wrong += crease_fold(c->model, NULL, &folded, NULL) != CREASE_OK;
        for (int j = 0; j < 4; j++) {
            c->wrong += crease_session_set_input(session, "x", CREASE_FLOAT, 4, (int64_t[]){1, 2, 6, 6}, x) !=
                        CREASE_OK;
            c->wrong += crease_session_run(session) != CREASE_OK;
            c->wrong += crease_session_output(session, 0, &out) != CREASE_OK;
            c->wrong += memcmp(out.data, c->want, CLASSES * sizeof(float)) != 0;
        }
        c->wrong +=
            crease_session_set_input(session, "nobody", CREASE_FLOAT, 0, NULL, x) != CREASE_ERROR_ARGUMENT;
        c->wrong += !strstr(crease_error_message(), "nobody"); /* this thread's own sentence */
        crease_model_free(folded);
        crease_session_free(session);
    }
    free(x);
    crease_model_free(c->model);
    return NULL;
}

Test(session, many_at_once_on_one_model) {
    enum { CLIENTS = 4 };
    crease_model *model = network_load(false);
    pthread_t threads[CLIENTS];
    client clients[CLIENTS];
    float want[CLIENTS][CLASSES];
    for (unsigned i = 0; i < CLIENTS; i++) {
        crease_options options = options_with(1 + (int)i % 2, true);
        crease_session *session = network_session(model, &options);
        network_run(session, 1, 6, i, want[i]);
        crease_session_free(session);
        clients[i] = (client){crease_model_retain(model), i, options.threads, want[i], 0};
    }
    crease_model_free(model);
    for (int i = 0; i < CLIENTS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, run_client, &clients[i]), 0);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(clients[i].wrong, 0, "client %d: %d wrong", i, clients[i].wrong);
    }
}

/* ---- profiles, arguments ---- */

Test(session, profiles_count_runs) {
    crease_model *model = network_load(false);
    crease_session *session = network_session(model, NULL);
    crease_step step = {.struct_size = sizeof step};
    float y[CLASSES];
    network_run(session, 1, 6, 1, y);
    crease_session_profile(session, true);
    OK(crease_session_run(session));
    OK(crease_session_run(session));
    crease_session_profile(session, false);
    OK(crease_session_run(session));
    cr_assert_gt(crease_session_n_steps(session), 0);
    for (size_t i = 0; crease_session_step_at(session, i, &step); i++)
        cr_assert(step.n_runs == 2 && step.seconds >= 0 && step.node && step.op_type && step.algorithm &&
                  step.note);
    crease_session_profile(session, true);
    crease_session_step_at(session, 0, &step);
    cr_assert_eq(step.n_runs, 0);
    crease_session_free(session);
    crease_model_free(model);
}

/* y = Gather(MatMul(x, x), index): the product takes the time, an index out of range fails behind it. */
static crease_model *product_and_gather(void) {
    network n = {.seed = 7};
    crease_model *model;
    cr_value *x, *index;
    cr_node *node;
    OK(cr_heap_create(NULL, 0, &n.heap));
    OK(cr_model_create(n.heap, &n.model));
    OK(cr_model_set_opset(n.model, "", 13));
    OK(cr_graph_add_value(n.model->graph, "x", true, &x));
    OK(cr_graph_add_value(n.model->graph, "index", true, &index));
    x->dtype = CREASE_FLOAT;
    x->shape = cr_shape_of(2, (int64_t[]){SIDE, SIDE});
    index->dtype = CREASE_INT64;
    index->shape = cr_shape_of(0, NULL);
    OK(cr_graph_add_input(n.model->graph, x));
    OK(cr_graph_add_input(n.model->graph, index));
    cr_value *product = network_node(&n, "MatMul", "p", (cr_value *[]){x, x}, 2, &node);
    OK(cr_graph_add_output(n.model->graph,
                           network_node(&n, "Gather", "y", (cr_value *[]){product, index}, 2, &node)));
    OK(cr_model_publish(n.model, &model));
    cr_heap_release(n.heap);
    return model;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

Test(session, profiles_leave_failed_runs_out) {
    enum { FAILING = 50 };
    static const float x[SIDE * SIDE];
    int64_t index = SIDE;
    crease_model *model = product_and_gather();
    crease_session *session = network_session(model, NULL);
    crease_step step = {.struct_size = sizeof step};
    OK(crease_session_bind_input(session, "x", CREASE_FLOAT, 2, (int64_t[]){SIDE, SIDE}, x));
    OK(crease_session_bind_input(session, "index", CREASE_INT64, 0, NULL, &index));
    crease_session_profile(session, true);
    for (int i = 0; i < FAILING; i++)
        cr_assert_neq(crease_session_run(session), CREASE_OK);
    index = 0;
    const double start = now();
    OK(crease_session_run(session));
    const double all = now() - start;
    cr_assert(crease_session_step_at(session, 0, &step));
    cr_assert_str_eq(step.op_type, "MatMul");
    cr_assert_eq(step.n_runs, 1);
    cr_assert_leq(step.seconds, all);
    crease_session_free(session);
    crease_model_free(model);
}

Test(session, missing_arguments_are_failures) {
    crease_session *session;
    crease_model *model = network_load(false);
    cr_assert_eq(crease_session_create(NULL, NULL, &session), CREASE_ERROR_ARGUMENT);
    cr_assert_eq(crease_session_create(model, NULL, NULL), CREASE_ERROR_ARGUMENT);
    crease_options taking = options_with(1, true);
    taking.take_model = true;
    cr_assert_eq(crease_session_create(crease_model_retain(model), &taking, NULL), CREASE_ERROR_ARGUMENT);
    cr_assert_eq(crease_session_run(NULL), CREASE_ERROR_ARGUMENT);
    cr_assert_eq(crease_session_set_input(NULL, NULL, CREASE_FLOAT, 0, NULL, NULL), CREASE_ERROR_ARGUMENT);
    crease_session_free(NULL);
    crease_model_free(model);
    crease_model_free(NULL);
    crease_fold_report_free(NULL);
    crease_memory_free(NULL);
}

/* Whether others hold the model or not. */
Test(session, a_model_can_be_taken_over) {
    crease_options options = options_with(1, true);
    float kept[CLASSES], taken[CLASSES];
    crease_model *model = network_load(false);
    crease_session *session = network_session(model, &options);
    network_run(session, 1, 6, 1, kept);
    crease_session_free(session);
    options.take_model = true;
    session = network_session(crease_model_retain(model), &options); /* not the last reference */
    cr_assert_eq(crease_session_n_outputs(session), 1);
    network_run(session, 1, 6, 1, taken);
    cr_assert_arr_eq(kept, taken, sizeof kept);
    crease_session_free(session);
    session = network_session(model, &options);
    network_run(session, 1, 6, 1, taken);
    cr_assert_arr_eq(kept, taken, sizeof kept);
    crease_session_free(session);
}

/* A program built against an older header passes a shorter struct. */
Test(session, options_of_an_older_header_are_enough) {
    crease_model *model = network_load(false);
    crease_options options = {.struct_size = offsetof(crease_options, fold), .threads = 1, .fold = false};
    crease_session *session = network_session(model, &options);
    cr_assert_not_null(crease_session_fold_report(session)); /* fold is past its end: the default holds */
    crease_session_free(session);
    crease_model_free(model);
}
