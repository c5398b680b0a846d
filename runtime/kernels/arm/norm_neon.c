/* Normalisations on NEON. */
#define CR_LANES  4
#define CR_SUFFIX neon
#include "runtime/kernels/norm_vec_tmpl.h"
