#ifndef CREASE_RUNTIME_EXEC_SESSION_H
#define CREASE_RUNTIME_EXEC_SESSION_H

#include "runtime/exec/plan.h"

/* What runs a model: threads, packed weights, the inputs set, one plan for each set of input shapes seen
 * lately. */
typedef struct cr_session cr_session;

typedef struct cr_session_settings {
    cr_heap *heap;
    int threads; /* 0: one for each core */
    bool exact, keep_all;
    bool own_model;          /* nobody else uses the model: with static input shapes its weights may go */
    const char *convolution; /* copied */
    bool tune;
    const char *tune_cache;    /* with tune; may be NULL */
    size_t weight_limit_bytes; /* 0: none */
    size_t part_bytes; /* of a batch in parts (batch.h); 0: as the second-level caches of today suggest */
} cr_session_settings;

/* The model is resolved, ordered and outlives the session. With static input shapes the plan is made here. */
crease_status cr_session_create(const cr_model *model, const cr_session_settings *settings,
                                cr_session **session) CREASE_MUST_TEST;
void cr_session_destroy(cr_session *session); /* NULL is fine */

/* Graph input `index`; data is copied, or borrowed when `bind`. */
crease_status cr_session_input(cr_session *session, int index, crease_dtype dtype, int rank,
                               const int64_t *dims, const void *data, bool bind) CREASE_MUST_TEST;
/* Move the inputs that were set in `from` (NULL is fine) to those of the same name in `to`. */
void cr_session_move_inputs(cr_session *to, cr_session *from);
crease_status cr_session_run(cr_session *session) CREASE_MUST_TEST;
/* Any value of the model after a run; NULL when it has no contents (never computed, or overwritten since). */
const cr_tensor *cr_session_value(const cr_session *session, const cr_value *value);
void cr_session_cancel(cr_session *session); /* async-signal-safe */
/* Called before each run of a body; a failure is the run's. NULL: nobody. */
typedef crease_status cr_body_watch(void *context, const cr_graph *body);
void cr_session_watch(cr_session *session, cr_body_watch *watch, void *context);
void cr_session_profile(cr_session *session, bool on);
const cr_plan *cr_session_plan(const cr_session *session); /* the one in use; NULL before the first */
size_t cr_session_weight_bytes(const cr_session *session);

#endif
