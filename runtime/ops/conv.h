#ifndef CREASE_RUNTIME_OPS_CONV_H
#define CREASE_RUNTIME_OPS_CONV_H

#include "runtime/kernels/conv/plain.h"
#include "runtime/ops/op.h"

/* Convolution on the plain layout with what follows it: ONNX Conv itself, and fused rows that add an
 * activation or a residual. Inputs 0, 1 and 2 are Conv's. */
typedef struct cr_conv_state cr_conv_state;

/* Rules of ONNX Conv for inputs 0 to 2; any further inputs are the caller's to check. */
crease_status cr_conv_infer(cr_infer *infer) CREASE_MUST_TEST;

/* The geometry of a Conv, or of the Conv that a ConvTranspose transposes, with auto_pad resolved, from the
 * shapes of inputs 0 and 1 and output 0. */
crease_status cr_conv_read(cr_prepare *prepare, bool transposed, cr_conv_geometry *geometry) CREASE_MUST_TEST;

/* The names of the algorithms for the plain layout, NULL at their end. */
const char *const *cr_conv_plain_names(void);

/* Chooses the algorithm (pointwise, depthwise, im2col, reference) and fills prepare's results; prepare->state
 * becomes *state. Slopes of the epilogue must outlive the plan. epilogue NULL: nothing follows. */
crease_status cr_conv_prepare(cr_prepare *prepare, const cr_plain_epilogue *epilogue,
                              cr_conv_state **state) CREASE_MUST_TEST;

/* residual: added between the two activations, of the output's type and shape, not overlapping it; NULL:
 * none. */
crease_status cr_conv_run(cr_run *run, const cr_conv_state *state, const void *residual) CREASE_MUST_TEST;

#endif
