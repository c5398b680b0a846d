#include "tests/runtime/api/network.h"

#include <pthread.h>
#include <stdatomic.h>

/* An allocator of the caller's that gives nothing from the n-th call on; counts what is out. */
typedef struct meter {
    atomic_long calls, fails_at, out, strange; /* fails_at 0: never */
} meter;

static void *meter_allocate(void *user, size_t bytes, size_t alignment) {
    meter *m = user;
    void *block = NULL;
    long call = atomic_fetch_add(&m->calls, 1) + 1;
    if (m->fails_at && call >= m->fails_at)
        return NULL;
    if (alignment > 64 || (alignment & (alignment - 1)))
        atomic_fetch_add(&m->strange, 1);
    if (posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment, bytes ? bytes : 1) !=
        0)
        return NULL;
    memset(block, 0xa5, bytes); /* nothing may count on zeroes */
    atomic_fetch_add(&m->out, 1);
    return block;
}

static void meter_release(void *user, void *memory) {
    meter *m = user;
    if (!memory)
        return;
    atomic_fetch_sub(&m->out, 1);
    free(memory);
}

/* Everything a program does with a model; `last` is the step that failed. */
static crease_status everything(const void *file, size_t bytes, const crease_options *options,
                                const char **last) {
    crease_model *model = NULL, *folded = NULL;
    crease_fold_report *report = NULL;
    crease_session *session = NULL;
    crease_tensor out = {.struct_size = sizeof out};
    float x[2 * 36] = {1, 2, 3};
    void *saved = NULL;
    size_t n;
    crease_status status;
    *last = "load";
    status = crease_model_load_memory(file, bytes, options, &model);
    if (!status) {
        *last = "fold";
        status = crease_fold(model, NULL, &folded, &report);
    }
    if (!status) {
        *last = "save";
        status = crease_model_save_memory(folded, &saved, &n);
    }
    if (!status) {
        *last = "session";
        status = crease_session_create(model, options, &session);
        if (options->take_model)
            model = NULL;
    }
    if (!status) {
        *last = "input";
        status = crease_session_set_input(session, NULL, CREASE_FLOAT, 4, (int64_t[]){1, 2, 6, 6}, x);
    }
    if (!status) {
        *last = "run";
        status = crease_session_run(session);
    }
    if (!status)
        status = crease_session_output(session, 0, &out);
    crease_session_free(session);
    crease_memory_free(saved);
    crease_fold_report_free(report);
    crease_model_free(folded);
    crease_model_free(model);
    return status;
}

static crease_options options_with(const crease_allocator *allocator) {
    crease_options options;
    crease_options_init(&options);
    options.allocator = allocator;
    options.threads = 2;
    return options;
}

static void sweep(const void *file, size_t bytes, bool tune, bool take_model) {
    meter m = {0};
    const crease_allocator allocator = {meter_allocate, meter_release, &m};
    crease_options options = options_with(&allocator);
    const char *last;
    options.tune = tune;
    options.take_model = take_model;
    OK(everything(file, bytes, &options, &last));
    cr_assert_eq(atomic_load(&m.out), 0, "%ld blocks are still out", atomic_load(&m.out));
    long calls = m.calls;
    cr_assert_gt(calls, 50);
    for (long n = 1; n <= calls; n++) {
        atomic_store(&m.calls, 0);
        atomic_store(&m.fails_at, n);
        crease_status status = everything(file, bytes, &options, &last);
        cr_assert_eq(status, CREASE_ERROR_MEMORY, "allocation %ld of %ld fails: %s gives %s, %s", n, calls,
                     last, crease_status_name(status), crease_error_message());
        cr_assert_eq(atomic_load(&m.out), 0, "allocation %ld fails, %s: %ld blocks are still out", n, last,
                     atomic_load(&m.out));
    }
    cr_assert_eq(atomic_load(&m.strange), 0);
}

Test(allocator, every_allocation_may_fail) {
    size_t bytes;
    void *file = network_file(false, &bytes);
    sweep(file, bytes, false, false);
    free(file);
}

Test(allocator, every_allocation_may_fail_while_algorithms_are_tried) {
    size_t bytes;
    void *file = network_file(false, &bytes);
    sweep(file, bytes, true, false);
    free(file);
}

Test(allocator, every_allocation_may_fail_with_the_model_taken) {
    size_t bytes;
    void *file = network_file(false, &bytes);
    sweep(file, bytes, false, true);
    free(file);
}

Test(allocator, every_allocation_may_fail_with_dynamic_shapes) {
    size_t bytes;
    void *file = network_file(true, &bytes);
    sweep(file, bytes, false, false);
    free(file);
}

/* A failed run leaves the session usable. */
Test(allocator, a_session_survives_exhaustion) {
    meter m = {0};
    const crease_allocator allocator = {meter_allocate, meter_release, &m};
    const crease_options options = options_with(&allocator);
    crease_model *model = network_load(true);
    crease_session *session = network_session(model, &options);
    float want[15], got[15], *x = network_input(3, 8, 5);
    network_run(session, 1, 6, 4, got);
    atomic_store(&m.calls, 0);
    for (long n = 1;; n++) {
        atomic_store(&m.fails_at, atomic_load(&m.calls) + n);
        crease_status status =
            crease_session_set_input(session, "x", CREASE_FLOAT, 4, (int64_t[]){3, 2, 8, 8}, x);
        if (!status)
            status = crease_session_run(session);
        atomic_store(&m.fails_at, 0);
        if (!status)
            break;
        cr_assert_eq(status, CREASE_ERROR_MEMORY, "%s", crease_error_message());
    }
    network_run(session, 3, 8, 5, got);
    crease_session_free(session);
    session = network_session(model, NULL);
    network_run(session, 3, 8, 5, want);
    cr_assert_arr_eq(got, want, sizeof want);
    crease_session_free(session);
    crease_model_free(model);
    free(x);
    cr_assert_eq(atomic_load(&m.out), 0);
}

/* Weights that were folded or packed go with the caller's model, while the session runs on. */
Test(allocator, a_freed_model_gives_its_weights_back) {
    meter m = {0};
    const crease_allocator allocator = {meter_allocate, meter_release, &m};
    const crease_options options = options_with(&allocator);
    size_t bytes;
    void *file = network_file(false, &bytes);
    crease_model *model;
    float y[5];
    OK(crease_model_load_memory(file, bytes, &options, &model));
    free(file);
    crease_session *session = network_session(model, NULL);
    const long before = m.out;
    crease_model_free(model);
    cr_assert_lt(m.out, before / 3, "%ld of %ld blocks are still out", m.out, before);
    network_run(session, 1, 6, 1, y);
    crease_session_free(session);
    cr_assert_eq(m.out, 0, "%ld blocks are still out", m.out);
}

Test(allocator, must_be_whole) {
    const crease_allocator half = {.allocate = meter_allocate};
    const crease_options options = options_with(&half);
    crease_model *model;
    cr_assert_eq(crease_model_load_memory("x", 1, &options, &model), CREASE_ERROR_ARGUMENT);
    cr_assert_null(model);
}

/* ---- limits ---- */

Test(limit, of_a_model_and_of_a_session) {
    size_t bytes;
    void *file = network_file(false, &bytes);
    crease_options options;
    const char *last;
    crease_options_init(&options);
    size_t refused = 0, n = 0;
    for (options.memory_limit_bytes = 1; options.memory_limit_bytes < 1 << 22;
         options.memory_limit_bytes *= 2, n++) {
        crease_status status = everything(file, bytes, &options, &last);
        refused += status != CREASE_OK;
        cr_assert(status == CREASE_OK || status == CREASE_ERROR_MEMORY, "%s: %s", last,
                  crease_error_message());
    }
    cr_assert(refused > 3 && refused < n, "%zu of %zu limits were too small", refused, n);
    free(file);
}

Test(limit, is_what_the_session_counts) {
    crease_model *model = network_load(false);
    crease_session *session = network_session(model, NULL);
    crease_memory memory = {.struct_size = sizeof memory};
    float y[5];
    network_run(session, 1, 6, 1, y);
    crease_session_get_memory(session, &memory);
    cr_assert_gt(memory.arena_bytes, 0);
    cr_assert_geq(memory.peak_bytes, memory.arena_bytes + memory.weight_bytes);
    crease_session_free(session);
    crease_options options;
    crease_options_init(&options);
    options.memory_limit_bytes = memory.arena_bytes;
    cr_assert_eq(crease_session_create(model, &options, &session), CREASE_ERROR_MEMORY);
    cr_assert_null(session);
    cr_assert(strstr(crease_error_message(), "limit"), "%s", crease_error_message());
    crease_model_free(model);
}
