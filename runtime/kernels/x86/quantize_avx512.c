/* Quantisation on AVX-512. */
#define CR_QUANTIZE cr_quantize_avx512
#include "runtime/kernels/quantize_tmpl.h"
