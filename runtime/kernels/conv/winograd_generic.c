/* Winograd on whatever vectors of four floats the compiler has. */
#define CR_LANES      4
#define CR_SUFFIX     generic
#define CR_MICRO_ROWS 6
#include "runtime/kernels/conv/winograd_tmpl.h"
