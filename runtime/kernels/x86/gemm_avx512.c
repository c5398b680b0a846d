/* GEMM on AVX-512. */
#define CR_LANES      16
#define CR_SUFFIX     avx512
#define CR_MICRO_ROWS 14
#include "runtime/kernels/gemm_tmpl.h"
