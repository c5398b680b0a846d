#ifndef CREASE_RUNTIME_EXEC_BATCH_H
#define CREASE_RUNTIME_EXEC_BATCH_H

#include "runtime/exec/plan.h"

/* A batch in parts. The maps of a network's first layers, of all images together, are more than caches hold:
 * what a layer writes is gone to memory before the next one reads it. So steps that have large maps and few
 * weights are run one behind another for a part of the images, then for the next part; what they hand on
 * stays near, and takes memory for one part only. Later layers, with small maps and many weights, run for
 * all images at once, which reads the weights once. */

/* The images of a value from outside that a pass over the steps of a loop works on, or writes. */
typedef struct cr_part {
    int value;         /* id */
    cr_info info;      /* of a part */
    cr_tensor tensor;  /* data is set for each pass */
    size_t pass_bytes; /* from one pass to the next */
} cr_part;

struct cr_loop {
    int first, end; /* steps [first, end) */
    int64_t passes;
    cr_part *parts;
    int n_parts;
};

/* Choose the loops of a plan whose steps are listed but not prepared, and shorten what is known of the values
 * that only the steps of one loop touch. part_bytes: what a thread may touch in a step, about what its
 * second-level cache holds; a step that touches no more for the whole batch need not be in a loop. Which
 * steps are does not depend on the threads, but the size of the parts does. */
crease_status cr_plan_batch(cr_plan *plan, size_t part_bytes, int threads) CREASE_MUST_TEST;

/* The loop that step s belongs to, or NULL. */
cr_loop *cr_plan_loop(const cr_plan *plan, int s);

/* What the step sees of a value: a part, or NULL for the whole. */
cr_part *cr_loop_part(const cr_loop *loop, int value);

/* Point the parts of a loop at the images of a pass. */
void cr_loop_set_pass(const cr_plan *plan, cr_loop *loop, int64_t pass);

#endif
