/* Direct convolution on AVX2: 12 accumulators, two vectors of weights and a broadcast in 16 registers, or
 * three of weights: where the taps of short rows leave two blocks less than eight accumulators, the
 * multiplications wait for each other. */
#define CR_LANES       8
#define CR_SUFFIX      avx2
#define CR_TILE_PIXELS 6
#define CR_WIDE_PIXELS 4
#define CR_WIDE_WORK   0.9
#include "runtime/kernels/conv/direct_tmpl.h"
