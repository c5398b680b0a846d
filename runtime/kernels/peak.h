#ifndef CREASE_RUNTIME_KERNELS_PEAK_H
#define CREASE_RUNTIME_KERNELS_PEAK_H

#include <stdint.h>

#include "runtime/base/cpu.h"

/* What the processor can do at most, beside which the figures of other kernels mean something. Both take time
 * on purpose, a few milliseconds or one pass. */

/* Float32 operations a second of the calling thread with the vectors of `isa`: independent chains of
 * multiply-adds, each counted as two, that never leave the registers. The best of many short rounds, so that
 * being interrupted does not count. */
double cr_peak_flops(cr_isa isa);

/* Read and write floats [begin, end) once, in place, as an elementwise operator would. Values that are 0 stay
 * 0. */
void cr_peak_sweep(cr_isa isa, float *block, int64_t begin, int64_t end);

#endif
