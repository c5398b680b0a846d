#ifndef CREASE_RUNTIME_OPS_BYTES_H
#define CREASE_RUNTIME_OPS_BYTES_H

#include "runtime/kernels/conv/bytes.h"

/* Quantised tensors as bytes, in the blocked layout of CR_BYTES_LANES channels: see kernels/conv/bytes.h and
 * the head of bytes.c. */

/* The values that CR_ACT_QUANTIZE gives, as bytes from 0 to *high. False for other activations, and for more
 * than 256 values. */
bool cr_bytes_scaling_of(const cr_activation *activation, cr_bytes_scaling *scaling, int *high);

#endif
