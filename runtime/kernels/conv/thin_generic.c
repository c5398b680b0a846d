/* Convolution into few outputs from plain input on whatever vectors of four floats the compiler has. */
#define CR_LANES  4
#define CR_SUFFIX generic
#include "runtime/kernels/conv/thin_tmpl.h"
