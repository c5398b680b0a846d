#ifndef CREASE_RUNTIME_KERNELS_CONV_TRANSPOSED_H
#define CREASE_RUNTIME_KERNELS_CONV_TRANSPOSED_H

#include "runtime/kernels/conv/direct.h"

/* Transposed convolution (conv.h), blocked -> blocked, by phases: outputs whose positions have the same
 * remainder by the strides see the same taps, and input positions that grow with the outputs by one. So each
 * of the stride_d stride_h stride_w phases is a direct convolution of stride 1 with every stride-th tap, last
 * tap first, whose outputs stand a stride apart. Packed weights: those of each phase one after another. */

const char *cr_transposed_refuses(const cr_conv *conv, const cr_direct_kernels *kernels);
double cr_transposed_cost(const cr_conv *conv, const cr_direct_kernels *kernels);
size_t cr_transposed_packed_bytes(const cr_conv *conv, const cr_direct_kernels *kernels);
void cr_transposed_pack(const cr_conv *conv, const cr_direct_kernels *kernels, const float *weights,
                        float *packed);
size_t cr_transposed_workspace_bytes(const cr_conv *conv, const cr_direct_kernels *kernels);
/* Tasks are those of the first phase, then those of the second, ... */
int64_t cr_transposed_tasks(const cr_conv *conv, const cr_direct_kernels *kernels);
void cr_transposed_run(const cr_conv *conv, const cr_direct_kernels *kernels, const cr_conv_args *args,
                       int64_t task_begin, int64_t task_end, void *workspace);

#endif
