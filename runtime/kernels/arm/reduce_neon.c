/* Reductions on NEON. */
#define CR_LANES  4
#define CR_SUFFIX neon
#include "runtime/kernels/reduce_tmpl.h"
