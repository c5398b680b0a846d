/* Normalisations on AVX-512. */
#define CR_LANES  16
#define CR_SUFFIX avx512
#include "runtime/kernels/norm_vec_tmpl.h"
