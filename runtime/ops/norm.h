#ifndef CREASE_RUNTIME_OPS_NORM_H
#define CREASE_RUNTIME_OPS_NORM_H

#include "runtime/kernels/norm.h"
#include "runtime/ops/infer.h"

/* What the normalisations share. Statistics are computed in double, which is at least what any stash_type
 * asks for. */

/* Input i must be of a float type with the dimensions [begin, end) of x, where these are known. */
crease_status cr_norm_parameter(const cr_infer *infer, int i, const cr_shape *x, int begin,
                                int end) CREASE_MUST_TEST;

/* Refuses more outputs than that. */
crease_status cr_norm_outputs(const cr_infer *infer, int most) CREASE_MUST_TEST;

#endif
