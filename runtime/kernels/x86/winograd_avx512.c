/* Winograd on AVX-512: 28 accumulators, two vectors of weights and a broadcast in 32 registers. */
#define CR_LANES      16
#define CR_SUFFIX     avx512
#define CR_MICRO_ROWS 14
#include "runtime/kernels/conv/winograd_tmpl.h"
