#ifndef CREASE_RUNTIME_KERNELS_CONV_BYTES_FINISH_H
#define CREASE_RUNTIME_KERNELS_CONV_BYTES_FINISH_H

#include "runtime/kernels/conv/bytes.h"

/* An epilogue of bytes.h as kernels apply it: what is the same for all values is worked out once. Saturation
 * is a clamp of the floats before they are rounded, and becomes one with that of an activation. */
typedef struct cr_bytes_finish {
    const cr_bytes_epilogue *epilogue;
    bool to_bytes;
    bool clamps; /* both activations are clamps */
    /* v = min(max(sum scale + bias, low), high) is all there is before the output: in units of bytes, without
     * their zero point, if they are. */
    bool plain;
    float lane_factor;           /* of scale and bias, to make them that; otherwise 1 */
    float low, high;             /* if clamps: of act and of the rounding after it */
    float low_after, high_after; /* likewise of act_after and the output; otherwise of the output alone */
    float round_low, round_high; /* of the rounding alone */
    float round_inverse, output_inverse; /* output_inverse: 1 if plain */
    bool narrows;                        /* low and high are not infinite */
    /* The last clamp has a lower end that is more than saturation: what is too low for that becomes 0 even if
     * int32 cannot hold it. */
    bool raises;
} cr_bytes_finish;

cr_bytes_finish cr_bytes_finish_of(const cr_bytes_conv *conv, const cr_bytes_epilogue *epilogue);

/* By the definition: finishes n pixels of one block whose lane 0 is `channel`, side by side from element
 * `offset` of the output on. */
void cr_bytes_finish_plain(const cr_bytes_finish *finish, const int32_t *sums, int64_t n, int64_t channel,
                           int64_t offset, void *output);

#endif
