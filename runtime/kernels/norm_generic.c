/* Normalisations on whatever vectors of four floats the compiler has. */
#define CR_LANES  4
#define CR_SUFFIX generic
#include "runtime/kernels/norm_vec_tmpl.h"
