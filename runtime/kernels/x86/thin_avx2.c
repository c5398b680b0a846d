/* Convolution into few outputs from plain input on AVX2 and FMA. */
#define CR_LANES  8
#define CR_SUFFIX avx2
#include "runtime/kernels/conv/thin_tmpl.h"
