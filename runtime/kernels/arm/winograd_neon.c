/* Winograd on NEON: 20 accumulators, two vectors of weights and broadcasts in 32 registers. */
#define CR_LANES      4
#define CR_SUFFIX     neon
#define CR_MICRO_ROWS 10
#include "runtime/kernels/conv/winograd_tmpl.h"
