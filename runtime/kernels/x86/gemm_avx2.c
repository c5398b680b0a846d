/* GEMM on AVX2 and FMA. */
#define CR_LANES      8
#define CR_SUFFIX     avx2
#define CR_MICRO_ROWS 6
#include "runtime/kernels/gemm_tmpl.h"
