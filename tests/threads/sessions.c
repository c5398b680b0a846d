/* Sessions of one model in several threads at once, for the thread sanitizer, which Criterion's processes do
 * not bear:
 *
 *     sessions MODEL.onnx
 *
 * Every client makes sessions of its own with one to three threads, runs them on the same input and compares
 * the results bit for bit with the first; another thread keeps cancelling one more session. */
#include "include/crease/crease.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 4, ROUNDS = 6, MAX_RANK = 16 };

static crease_model *model;
static float *input, *expected;
static size_t expected_bytes;
static int64_t dims[MAX_RANK];
static crease_value_info info = {.struct_size = sizeof info};
static atomic_int passed, failed;

static void check(bool ok, const char *what) {
    atomic_fetch_add(ok ? &passed : &failed, 1);
    if (!ok)
        fprintf(stderr, "FAILED: %s: %s\n", what, crease_error_message());
}

static crease_session *create(int threads) {
    crease_options options;
    crease_session *session = NULL;
    crease_options_init(&options);
    options.threads = threads;
    check(crease_session_create(model, &options, &session) == CREASE_OK &&
              crease_session_set_input(session, NULL, CREASE_FLOAT, info.rank, dims, input) == CREASE_OK,
          "create");
    return session;
}

static bool gives_expected(crease_session *session) {
    crease_tensor y = {.struct_size = sizeof y};
    return crease_session_run(session) == CREASE_OK && crease_session_output(session, 0, &y) == CREASE_OK &&
           y.bytes == expected_bytes && memcmp(y.data, expected, y.bytes) == 0;
}

static void *run_client(void *context) {
    const int client = *(const int *)context;
    for (int round = 0; round < ROUNDS; round++) {
        crease_session *session = create(1 + (client + round) % 3);
        check(gives_expected(session) && gives_expected(session), "results are the same bits");
        crease_session_free(session);
    }
    return NULL;
}

static void *cancel(void *context) {
    for (int i = 0; i < 200; i++)
        crease_session_cancel(context);
    return NULL;
}

static void run_cancelled(void) {
    pthread_t thread;
    crease_session *session = create(2);
    check(pthread_create(&thread, NULL, cancel, session) == 0, "thread");
    for (int i = 0; i < 20; i++) {
        const crease_status status = crease_session_run(session);
        check(status == CREASE_OK || status == CREASE_ERROR_CANCELLED, "cancelled or run");
    }
    pthread_join(thread, NULL);
    crease_session_free(session);
}

static void make_expected(void) {
    crease_tensor y = {.struct_size = sizeof y};
    crease_session *session = create(1);
    check(crease_session_run(session) == CREASE_OK && crease_session_output(session, 0, &y) == CREASE_OK,
          "run");
    expected = malloc(y.bytes);
    expected_bytes = y.bytes;
    memcpy(expected, y.data, y.bytes);
    crease_session_free(session);
}

static void make_input(void) {
    int64_t n = 1;
    crease_model_input_at(model, 0, &info);
    for (int d = 0; d < info.rank; d++)
        n *= dims[d] = info.dims[d] < 0 ? 2 : info.dims[d];
    input = malloc((size_t)n * sizeof *input);
    for (int64_t i = 0; i < n; i++)
        input[i] = (float)(i * 37 % 101) / 101;
}

int main(int argc, char **argv) {
    pthread_t threads[CLIENTS];
    int ids[CLIENTS];
    if (argc != 2 || crease_model_load_file(argv[1], NULL, &model) != CREASE_OK) {
        fprintf(stderr, "usage: sessions MODEL.onnx\n");
        return 2;
    }
    make_input();
    make_expected();
    for (int i = 0; i < CLIENTS; i++) {
        ids[i] = i;
        check(pthread_create(&threads[i], NULL, run_client, &ids[i]) == 0, "thread");
    }
    run_cancelled();
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    crease_model_free(model);
    free(input);
    free(expected);
    printf("%d passed, %d failed\n", atomic_load(&passed), atomic_load(&failed));
    return atomic_load(&failed) != 0;
}
