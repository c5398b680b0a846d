/* Blocked kernels on NEON. */
#define CR_LANES  4
#define CR_SUFFIX neon
#include "runtime/kernels/blocked/permute_tmpl.h"

#include "runtime/kernels/blocked/blocked_tmpl.h"
