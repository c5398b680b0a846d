#include "include/crease/crease.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* What a host program does with a model from a stranger: load, fold, save, make a session, run once. Every
 * failure must be a status; sanitizers watch the rest. Built with -DCREASE_FUZZ=ON (preset fuzz). */

/* Inputs are small: a pool may look at each of their elements for each of its results. */
enum { MEMORY_LIMIT = 64 << 20, MAX_INPUT_BYTES = 1 << 16, MAX_MACS = 1 << 24, DYNAMIC = 2, MAX_RANK = 16 };

static const crease_options *options(bool fold) {
    static crease_options o;
    crease_options_init(&o);
    o.threads = 1;
    o.memory_limit_bytes = MEMORY_LIMIT;
    o.fold = fold;
    return &o;
}

/* Bytes of the input with unknown dimensions set; 0 when it cannot or should not be made. */
static size_t input_bytes(const crease_value_info *info, int64_t dims[MAX_RANK]) {
    size_t bytes = crease_dtype_bits(info->dtype) / 8;
    for (int i = 0; i < info->rank; i++) {
        dims[i] = info->dims[i] < 0 ? DYNAMIC : info->dims[i];
        if (__builtin_mul_overflow(bytes, (size_t)dims[i], &bytes) || bytes > MAX_INPUT_BYTES)
            return 0;
    }
    return info->rank < 0 ? 0 : bytes;
}

/* Ones, so that inputs are good indices, axes and shapes as well. */
static void fill(crease_dtype dtype, unsigned char *data, size_t bytes) {
    static const float one = 1;
    size_t size = crease_dtype_bits(dtype) / 8;
    memset(data, 0, bytes);
    for (size_t i = 0; size && i + size <= bytes; i += size) {
        if (dtype == CREASE_FLOAT)
            memcpy(data + i, &one, sizeof one);
        else
            data[i] = 1;
    }
}

static bool set_inputs(crease_session *session, const crease_model *model) {
    crease_value_info info = {.struct_size = sizeof info};
    int64_t dims[MAX_RANK];
    bool good = true;
    for (size_t i = 0; good && crease_model_input_at(model, i, &info); i++) {
        size_t bytes = input_bytes(&info, dims);
        void *data = bytes ? malloc(bytes) : NULL;
        good = data != NULL;
        if (good) {
            fill(info.dtype, data, bytes);
            good =
                crease_session_set_input(session, info.name, info.dtype, info.rank, dims, data) == CREASE_OK;
        }
        free(data);
    }
    return good;
}

static void touch_outputs(crease_session *session) {
    crease_tensor tensor = {.struct_size = sizeof tensor};
    volatile unsigned char sink;
    for (size_t i = 0; crease_session_output(session, i, &tensor) == CREASE_OK; i++)
        for (size_t j = 0; j < tensor.bytes; j++)
            sink = ((const unsigned char *)tensor.data)[j];
    (void)sink;
}

/* A Loop may ask for as many rounds as an int64 holds. Brief also by the clock, where others use the machine.
 */
static crease_session *volatile running;

static void cancel(int signal) {
    (void)signal;
    if (running)
        crease_session_cancel(running);
}

static crease_status run_briefly(crease_session *session) {
    const struct itimerval limit = {.it_value.tv_usec = 200000}, none = {0};
    running = session;
    signal(SIGVTALRM, cancel);
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    crease_status status = crease_session_run(session);
    setitimer(ITIMER_VIRTUAL, &none, NULL);
    running = NULL;
    return status;
}

static void run(crease_model *model, bool fold) {
    crease_session *session;
    if (crease_session_create(model, options(fold), &session) != CREASE_OK)
        return;
    if (set_inputs(session, model) && run_briefly(session) == CREASE_OK)
        touch_outputs(session);
    crease_session_free(session);
}

/* A folded model that saves must load again. */
static void fold_and_save(const crease_model *model) {
    crease_model *folded, *again;
    void *data;
    size_t bytes;
    if (crease_fold(model, NULL, &folded, NULL) != CREASE_OK)
        return;
    if (crease_model_save_memory(folded, &data, &bytes) == CREASE_OK) {
        if (crease_model_load_memory(data, bytes, options(true), &again) == CREASE_OK)
            crease_model_free(again);
        else if (!strstr(crease_error_message(), "memory"))
            abort();
        crease_memory_free(data);
    }
    crease_model_free(folded);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes) {
    crease_model *model;
    crease_model_info info = {.struct_size = sizeof info};
    if (crease_model_load_memory(data, bytes, options(true), &model) != CREASE_OK)
        return 0;
    fold_and_save(model);
    crease_model_get_info(model, &info);
    if (info.macs < MAX_MACS) {
        run(model, true);
        run(model, false);
    }
    crease_model_free(model);
    return 0;
}
