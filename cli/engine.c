#define _GNU_SOURCE /* sched_getaffinity */

#include "cli/engine.h"
#include "cli/message.h"

#include <sched.h>

crease_options engine_session_options(const engine_options *e, bool fold) {
    crease_options options;
    crease_options_init(&options);
    options.threads = e->threads;
    options.memory_limit_bytes = (size_t)e->max_memory_mib << 20;
    options.weight_limit_bytes = (size_t)e->max_weights_mib << 20;
    options.exact = e->exact;
    options.assume_const = e->assume_const;
    options.plain_layout = e->plain_layout;
    options.convolution = e->convolution;
    options.tune = e->tune || e->tune_cache;
    options.tune_cache = e->tune_cache;
    options.fold = fold;
    return options;
}

int engine_load(const char *path, const engine_options *e, crease_model **model) {
    crease_options options = engine_session_options(e, true);
    crease_status status = crease_model_load_file(path, &options, model);
    return status ? fail_file(path, status) : CLI_OK;
}

int engine_session_of(const char *path, crease_model **model, const engine_options *e, bool fold,
                      crease_session **session) {
    crease_options options = engine_session_options(e, fold);
    options.take_model = true;
    crease_status status = crease_session_create(*model, &options, session);
    *model = NULL;
    return status ? fail_file(path, status) : CLI_OK;
}

int engine_session(const char *path, crease_model *model, const engine_options *e, bool fold,
                   crease_session **session) {
    crease_model *shared = crease_model_retain(model);
    return engine_session_of(path, &shared, e, fold, session);
}

int engine_threads(const engine_options *e) {
    cpu_set_t set;
    if (e->threads > 0)
        return e->threads;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}
