/* Direct convolution on portable vectors: 12 accumulators, two vectors of weights and a broadcast in 16
 * registers. */
#define CR_LANES       4
#define CR_SUFFIX      generic
#define CR_TILE_PIXELS 6
#define CR_WIDE_PIXELS 4
#define CR_WIDE_WORK   1.01
#include "runtime/kernels/conv/direct_tmpl.h"
