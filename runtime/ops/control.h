#ifndef CREASE_RUNTIME_OPS_CONTROL_H
#define CREASE_RUNTIME_OPS_CONTROL_H

#include "runtime/ops/infer.h"

/* What If, Loop and Scan share. */

/* Attribute `name` as a body with so many inputs and at least so many outputs; fails with MODEL otherwise. */
crease_status cr_control_body(const cr_node *node, const char *name, int n_inputs, int least_outputs,
                              cr_graph **body) CREASE_MUST_TEST;

/* Arrays for cr_infer.body, inputs preset to their declared types. */
crease_status cr_control_infos(const cr_graph *body, cr_arena *arena, cr_info **inputs,
                               cr_info **outputs) CREASE_MUST_TEST;

/* Infer a body that runs again and again: what an iteration hands on to the next, `carried` values from input
 * first_in and output first_out on, is given the shape that it has in all of them. *settled false: that was
 * not found, and the shapes say nothing. */
crease_status cr_control_settle(cr_infer *infer, const cr_graph *body, cr_info *inputs, int first_in,
                                cr_info *outputs, int first_out, int carried, bool *settled) CREASE_MUST_TEST;

/* Leave in *one what is known of a value that may be either. */
void cr_control_agree(cr_info *one, const cr_info *other);

/* Let output i be the tensor, taking over its reference; releases it when the output is left out. */
void cr_control_give(cr_run *r, int i, cr_tensor *tensor);

/* A tensor without a buffer gets a copy of its contents of its own. */
crease_status cr_control_own(cr_run *r, cr_tensor *tensor) CREASE_MUST_TEST;

/* Tensors of one type and shape that iterations give, one after another. Zero-initialised; bytes are freed by
 * the caller on r->heap. */
typedef struct cr_stack {
    crease_dtype dtype;
    cr_shape shape; /* of one */
    void *bytes;
    size_t used, capacity;
    int64_t count;
} cr_stack;

crease_status cr_stack_push(cr_run *r, cr_stack *stack, const cr_tensor *tensor) CREASE_MUST_TEST;
/* One element of a body's output where none was computed: 0 for extents that nobody knows. */
cr_shape cr_control_empty(const cr_graph *body, int output);
/* All as one tensor, the new first axis counting them. Of output `output` of the body, which says what an
 * empty stack is like. */
crease_status cr_stack_take(cr_run *r, cr_stack *stack, const cr_graph *body, int output,
                            cr_tensor *tensor) CREASE_MUST_TEST;

/* Scan (scan_body.c): ONNX 8 has a batch axis around it. */
enum { CR_SCAN_PLAIN, CR_SCAN_BATCHED };
crease_status cr_scan_infer(cr_infer *infer) CREASE_MUST_TEST;
crease_status cr_scan_prepare(cr_prepare *p) CREASE_MUST_TEST;
crease_status cr_scan_run(cr_run *r) CREASE_MUST_TEST;

#endif
