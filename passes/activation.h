#ifndef CREASE_PASSES_ACTIVATION_H
#define CREASE_PASSES_ACTIVATION_H

#include "runtime/ops/blocked.h"

/* Recognising activations; nothing is changed. */

/* The activation that one ONNX node computes from its input 0; *fits is false when it is none that kernels
 * know: limits or slopes that are computed, PRelu with more than one slope. */
crease_status cr_read_activation(const cr_node *node, cr_activation *activation, bool *fits) CREASE_MUST_TEST;

/* The activation of *x that several nodes spell out, `node` being the last: x sigmoid(x), x hardsigmoid(x),
 * x clip(x + 3, 0, 6) / 6 in its orders, x tanh(softplus(x)), x / 2 (1 + erf(x / sqrt 2)) and
 * x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). *kind is CR_ACT_NONE when it is none of these. */
crease_status cr_read_spelled_activation(const cr_node *node, cr_value **x, cr_act *kind) CREASE_MUST_TEST;

#endif
