/* Quantisation on whatever vectors the compiler has. */
#define CR_QUANTIZE cr_quantize_generic
#include "runtime/kernels/quantize_tmpl.h"
