/* Direct convolution on NEON: 16 accumulators leave half of the 32 registers to weights and inputs. */
#define CR_LANES       4
#define CR_SUFFIX      neon
#define CR_TILE_PIXELS 8
#define CR_WIDE_PIXELS 8
#define CR_WIDE_WORK   1.01
#include "runtime/kernels/conv/direct_tmpl.h"
