#ifndef CREASE_RUNTIME_EXEC_PLAN_H
#define CREASE_RUNTIME_EXEC_PLAN_H

#include "runtime/ops/eval.h"
#include "runtime/ops/infer.h"
#include "runtime/ops/packs.h"

/* A model made concrete for one set of input shapes: what runs in which order, and where every tensor lives.
 */

typedef struct cr_loop cr_loop; /* steps that run for a part of the batch at a time: batch.h */

typedef struct cr_step {
    const cr_node *node;
    bool late;         /* shapes depend on data: inferred, prepared and given memory when it runs */
    const char *ahead; /* late, but its weights are packed with the plan, for this algorithm; NULL: not so */
    void *state;
    size_t scratch_bytes;
    const char *algorithm, *note, *refused; /* of a late step: in its last run */
    char *said;                             /* by a late step: memory of the strings above; or NULL */
    int64_t macs, passes; /* in a run of the model; the steps of loops make several passes */
    const cr_tensor **in; /* [n_inputs] into plan->tensors */
    cr_tensor **out;      /* [n_outputs] */
    /* for profiles (profile.h): of the run of the model that is under way, and of all */
    double run_seconds, seconds, best_seconds;
    int64_t run_passes, n_runs;
    int64_t turns; /* in the last run: how often the graph that it stands in ran */
} cr_step;

/* Where a value's bytes are. */
typedef enum cr_place {
    CR_PLACE_NONE, /* not computed, or given memory when its step runs */
    CR_PLACE_CONSTANT,
    CR_PLACE_INPUT,
    CR_PLACE_SLAB
} cr_place;

typedef struct cr_slot {
    cr_place place;
    size_t bytes;
    int first, last;    /* steps between which it is alive */
    int root;           /* value that owns the memory; itself unless it is a view of another */
    size_t root_offset; /* bytes into the root */
    size_t slab_offset; /* of a root */
} cr_slot;

typedef struct cr_plan {
    cr_heap *heap;
    cr_arena arena;
    const cr_model *model;
    const cr_graph *graph;  /* the main graph, or a body */
    struct cr_plan *outer;  /* of a body: the plan of the graph that its node stands in; else NULL */
    struct cr_body *bodies; /* what has run of the bodies of this graph's nodes (body.h) */
    cr_infer_walk walk;     /* infos of every value; holds constants computed at planning */
    cr_step *steps;
    int n_steps;
    bool any_late;  /* of the steps */
    cr_loop *loops; /* in order; no step is in two */
    int n_loops;
    cr_tensor *tensors; /* by value id; data is set for constants and slab values */
    cr_slot *slots;     /* by value id */
    size_t slab_bytes, scratch_bytes;
    void *slab, *scratch;
    cr_shape *input_shapes; /* by graph input: what it was planned for */
    crease_dtype *input_types;
} cr_plan;

typedef struct cr_plan_settings {
    cr_heap *heap;
    cr_pool *pool;
    cr_packs *packs;
    bool exact, keep_all;
    const char *convolution;
    cr_tuner *tuner;           /* NULL: algorithms are not tried */
    size_t part_bytes;         /* of a batch in parts, see cr_plan_batch */
    size_t weight_limit_bytes; /* crease_options.weight_limit_bytes */
    double byte_cost;          /* of packed weights (conv.h); cr_plan_create finds it from the limit */
    bool forget; /* the only plan of a model of one's own: weights that are packed lose their plain form */
} cr_plan_settings;

/* What a graph is planned for. A body is planned inside the plan of the graph around it, after everything
 * that it uses of there has been computed: their shapes are concrete by then. */
typedef struct cr_plan_inputs {
    const cr_shape *shapes;    /* [graph->n_inputs], concrete */
    const crease_dtype *types; /* [graph->n_inputs]; NULL: as declared */
    cr_plan *outer;            /* NULL: the main graph; outlives the plan */
} cr_plan_inputs;

/* On failure *plan is NULL. */
crease_status cr_plan_create(const cr_graph *graph, const cr_plan_settings *settings,
                             const cr_plan_inputs *inputs, cr_plan **plan) CREASE_MUST_TEST;
void cr_plan_destroy(cr_plan *plan); /* NULL is fine */

/* Assign slab offsets to all slots (memory_plan.c). Interval colouring by decreasing size, first fit
 * (Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020, "greedy by size"). */
crease_status cr_plan_memory(cr_plan *plan, bool keep_all) CREASE_MUST_TEST;

#endif
