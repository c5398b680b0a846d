/* GEMM on whatever vectors of four floats the compiler has. */
#define CR_LANES  4
#define CR_SUFFIX generic
#if defined __aarch64__
#define CR_MICRO_ROWS 10
#else
#define CR_MICRO_ROWS 6
#endif
#include "runtime/kernels/gemm_tmpl.h"
