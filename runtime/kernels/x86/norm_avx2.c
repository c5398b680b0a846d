/* Normalisations on AVX2. */
#define CR_LANES  8
#define CR_SUFFIX avx2
#include "runtime/kernels/norm_vec_tmpl.h"
