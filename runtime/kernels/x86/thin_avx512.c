/* Convolution into few outputs from plain input on AVX-512. */
#define CR_LANES  16
#define CR_SUFFIX avx512
#include "runtime/kernels/conv/thin_tmpl.h"
