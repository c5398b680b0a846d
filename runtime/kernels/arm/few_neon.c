/* Convolution into few outputs on NEON. */
#define CR_LANES  4
#define CR_SUFFIX neon
#include "runtime/kernels/conv/few_tmpl.h"
