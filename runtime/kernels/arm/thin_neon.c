/* Convolution into few outputs from plain input on NEON. */
#define CR_LANES  4
#define CR_SUFFIX neon
#include "runtime/kernels/conv/thin_tmpl.h"
