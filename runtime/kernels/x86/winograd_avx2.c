/* Winograd on AVX2 and FMA: 12 accumulators, two vectors of weights and a broadcast in 16 registers. */
#define CR_LANES      8
#define CR_SUFFIX     avx2
#define CR_MICRO_ROWS 6
#include "runtime/kernels/conv/winograd_tmpl.h"
