/* Convolution into few outputs on AVX2 and FMA. */
#define CR_LANES  8
#define CR_SUFFIX avx2
#include "runtime/kernels/conv/few_tmpl.h"
