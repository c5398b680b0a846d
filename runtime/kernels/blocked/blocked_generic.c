/* Blocked kernels on whatever vectors of four floats the compiler has. */
#define CR_LANES  4
#define CR_SUFFIX generic
#include "runtime/kernels/blocked/permute_tmpl.h"

#include "runtime/kernels/blocked/blocked_tmpl.h"
