#ifndef CREASE_RUNTIME_OPS_INSIDE_H
#define CREASE_RUNTIME_OPS_INSIDE_H

#include "runtime/ops/op.h"

/* An operator that computes by another one inside it, with its own attributes, on operands and into a result
 * of another type: those of QLinearConv become float64, and Conv convolves them. */

enum { CR_INSIDE_OPERANDS = 65 };

/* What the one inside is told: shapes, but no contents, which are made when it runs. */
typedef struct cr_inside_view {
    const cr_op *op;
    int64_t opset;
    crease_dtype dtype;
    int n;
    cr_info infos[CR_INSIDE_OPERANDS];
} cr_inside_view;

/* Of its plan. */
typedef struct cr_inside {
    const cr_op *op;
    void *state;
    crease_dtype dtype;
    int n;
    size_t at[CR_INSIDE_OPERANDS], at_result, at_rest; /* byte offsets in the scratch memory */
} cr_inside;

/* Without operands yet. op_type is of ONNX's own domain; fails with UNSUPPORTED. */
crease_status cr_inside_look(const cr_node *node, const char *op_type, int64_t opset, crease_dtype dtype,
                             cr_inside_view *view) CREASE_MUST_TEST;
/* The next operand, of which there are at most CR_INSIDE_OPERANDS. */
void cr_inside_add(cr_inside_view *view, const cr_shape *shape);

/* The shape of the result. */
crease_status cr_inside_infer(const cr_infer *infer, const cr_inside_view *view,
                              cr_shape *shape) CREASE_MUST_TEST;
/* Reserves scratch memory for the operands, the result, and what the one inside asks for. */
crease_status cr_inside_prepare(cr_prepare *prepare, const cr_inside_view *view,
                                cr_inside *inside) CREASE_MUST_TEST;

/* Operand i with its memory, to be filled. */
cr_tensor cr_inside_operand(const cr_run *run, const cr_inside *inside, int i, const cr_shape *shape);
/* The result with its memory, of the shape of output 0. */
cr_tensor cr_inside_result(const cr_run *run, const cr_inside *inside);
crease_status cr_inside_run(const cr_run *run, const cr_inside *inside, const cr_tensor *operands,
                            cr_tensor *result) CREASE_MUST_TEST;

#endif
