#ifndef CREASE_RUNTIME_API_MODEL_H
#define CREASE_RUNTIME_API_MODEL_H

#include "runtime/graph/graph.h"

/* The public model: an immutable graph with a reference count, and what is asked about it, computed once. */

typedef struct cr_problem {
    const cr_node *node;
    const char *reason;
} cr_problem;

struct crease_model {
    atomic_int references;
    cr_model *ir;
    cr_arena arena;    /* names and lists below */
    cr_value **inputs; /* those a caller sets */
    size_t n_inputs;
    crease_value_info *input_infos, *output_infos; /* of those, and of the graph's outputs */
    cr_node **nodes;                               /* of the main graph, in order */
    int64_t *macs;
    size_t n_nodes;
    cr_problem *problems;
    size_t n_problems;
};

/* Take over `ir` (also on failure): order, resolve, infer, verify, and collect the above. */
crease_status cr_model_publish(cr_model *ir, crease_model **model) CREASE_MUST_TEST;

/* options with defaults where the caller's struct is absent or older. */
crease_options cr_options_of(const crease_options *options);

#endif
