#ifndef CREASE_CLI_ENGINE_H
#define CREASE_CLI_ENGINE_H

#include "cli/args.h"
#include "include/crease/crease.h"

/* How models are loaded and sessions run, as far as the command line decides it. */
typedef struct engine_options {
    int threads, max_memory_mib, max_weights_mib;
    bool exact, assume_const, plain_layout, tune;
    const char *convolution, *tune_cache;
} engine_options;

#define ENGINE_ARGS(o)                                                                                         \
    {"threads", 'j', ARG_INT, &(o).threads, "N", "threads; 0, the default: one for each core", 0, 1024},       \
        {"exact", 0, ARG_FLAG, &(o).exact, NULL, "convolutions sum products of floats: no Winograd, no AMX",   \
         0,       0},                                                                                          \
        {"algorithm", 0, ARG_TEXT, &(o).convolution, "NAME", "this convolution algorithm wherever it can",     \
         0,           0},                                                                                      \
        {"plain-layout", 0, ARG_FLAG, &(o).plain_layout, NULL, "row-major throughout, nothing blocked", 0, 0}, \
        {"tune", 0, ARG_FLAG, &(o).tune, NULL, "try convolution algorithms and take the fastest", 0, 0},       \
        {"tune-cache",                                                                                         \
         0,                                                                                                    \
         ARG_TEXT,                                                                                             \
         &(o).tune_cache,                                                                                      \
         "FILE",                                                                                               \
         "the same, and keep what was chosen there",                                                           \
         0,                                                                                                    \
         0},                                                                                                   \
        {"max-memory", 0, ARG_INT, &(o).max_memory_mib, "MIB", "fail beyond this much memory", 0, 1 << 30},    \
        {"max-weights",                                                                                        \
         0,                                                                                                    \
         ARG_INT,                                                                                              \
         &(o).max_weights_mib,                                                                                 \
         "MIB",                                                                                                \
         "give up speed where packed weights take more",                                                       \
         0,                                                                                                    \
         1 << 30},                                                                                             \
        ASSUME_CONST_ARG((o).assume_const)

#define ASSUME_CONST_ARG(value)                                                                              \
    {                                                                                                        \
        "assume-const", 0, ARG_FLAG, &(value), NULL, "initializers that could be overridden are constants",  \
            0, 0                                                                                             \
    }

crease_options engine_session_options(const engine_options *e, bool fold);

/* Threads that sessions get: --threads, or the cores this process may use. */
int engine_threads(const engine_options *e);

/* Failures have printed their line. */
int engine_load(const char *path, const engine_options *e, crease_model **model);
int engine_session(const char *path, crease_model *model, const engine_options *e, bool fold,
                   crease_session **session);
/* The same, and the session takes the model over: *model is NULL afterwards. */
int engine_session_of(const char *path, crease_model **model, const engine_options *e, bool fold,
                      crease_session **session);

#endif
