/* Quantisation on AVX2. */
#define CR_QUANTIZE cr_quantize_avx2
#include "runtime/kernels/quantize_tmpl.h"
