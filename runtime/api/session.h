#ifndef CREASE_RUNTIME_API_SESSION_H
#define CREASE_RUNTIME_API_SESSION_H

#include "runtime/api/model.h"
#include "runtime/exec/session.h"

/* The public session: an optimised model of its own and an executor on it. */
struct crease_session {
    crease_model *model; /* what the caller gave, retained while it may be asked for again; or NULL */
    crease_options options;
    char *convolution;       /* owned: options.convolution */
    char *tune_cache;        /* owned: options.tune_cache */
    bool assumes;            /* overridable initializers are constants until one is set */
    crease_model *optimized; /* what runs: folded, without dead nodes, made for this machine */
    cr_heap *heap;
    cr_session *exec;
    crease_fold_report *report; /* NULL: not folded */
    struct cr_binding {
        void *data;
        size_t bytes;
    } * bindings; /* by output */
};

#endif
