/* Direct convolution on AVX-512: 28 accumulators, two vectors of weights and a broadcast in 32 registers, or
 * 27 and three of weights. */
#define CR_LANES       16
#define CR_SUFFIX      avx512
#define CR_TILE_PIXELS 14
#define CR_WIDE_PIXELS 9
#define CR_WIDE_WORK   1.01
#include "runtime/kernels/conv/direct_tmpl.h"
