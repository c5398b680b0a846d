#ifndef CREASE_RUNTIME_OPS_RESIZE_SPEC_H
#define CREASE_RUNTIME_OPS_RESIZE_SPEC_H

#include "runtime/ops/infer.h"

/* What a Resize or Upsample of any version asks for, and from where its outputs come. Positions and weights
 * are those of ONNX's reference implementation. */

enum { CR_RESIZE_NEAREST, CR_RESIZE_LINEAR, CR_RESIZE_CUBIC };

typedef struct cr_resize_spec {
    int mode, coordinates, rounding, policy; /* the last three: resize_spec.c */
    int64_t exclude_outside, antialias;
    float cubic_a, extrapolation;
    double scale[CR_MAX_RANK];
    int64_t extent[CR_MAX_RANK];                           /* of the output */
    double crop_begin[CR_MAX_RANK], crop_end[CR_MAX_RANK]; /* normalised, 0 and 1 where nothing is cropped */
} cr_resize_spec;

/* Everything but extents, scales and the crop. */
crease_status cr_resize_read_modes(const cr_node *node, int64_t opset, cr_resize_spec *spec) CREASE_MUST_TEST;

typedef struct cr_resize_inputs {
    const cr_info *roi, *scales, *sizes; /* NULL: left out */
} cr_resize_inputs;

/* Resize 11 and later: X, roi, scales, sizes; Resize 10 and Upsample 9: X, scales. An empty tensor stands for
 * one that is left out. */
cr_resize_inputs cr_resize_find_inputs(int64_t opset, int n_in, const cr_info *const *in);

/* For a static shape, scales or sizes being known. */
crease_status cr_resize_read_extents(const cr_node *node, int64_t opset, const cr_shape *x,
                                     const cr_resize_inputs *inputs, cr_resize_spec *spec) CREASE_MUST_TEST;

/* Whether the roi matters; and its contents, all begins, then all ends. */
bool cr_resize_crops(const cr_resize_spec *spec);
crease_status cr_resize_read_crop(const cr_node *node, const cr_tensor *roi, int rank,
                                  cr_resize_spec *spec) CREASE_MUST_TEST;

/* Nearest: where along axis d of extent `in` each output comes from, -1 outside. An axis that stays the same
 * keeps its positions whatever the coordinates and the rounding. */
void cr_resize_positions(const cr_resize_spec *spec, int d, int64_t in, bool same, int64_t *at);

/* Linear, cubic: the taps of every output along axis d. */
int64_t cr_resize_taps(const cr_resize_spec *spec, int d);

/* Those of output i, from element i * cr_resize_taps of at and of weight, which is of type `work`. */
void cr_resize_make_taps(const cr_resize_spec *spec, int d, int64_t in, int64_t i, crease_dtype work,
                         int64_t *at, void *weight);

#endif
