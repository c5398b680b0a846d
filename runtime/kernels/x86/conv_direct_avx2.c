/* Direct convolution on AVX2: 12 accumulators, two vectors of weights and a broadcast in 16 registers. */
#define CR_LANES       8
#define CR_SUFFIX      avx2
#define CR_TILE_PIXELS 6
#include "runtime/kernels/conv/direct_tmpl.h"
