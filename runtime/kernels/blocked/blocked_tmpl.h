/* The table of blocked kernels of one instruction set. Before including: CR_LANES, CR_SUFFIX, and
 * permute_pair of channels_tmpl.h. */
#include "runtime/kernels/blocked/channels_tmpl.h"
#include "runtime/kernels/blocked/elementwise_tmpl.h"
#include "runtime/kernels/blocked/pixels_tmpl.h"
#include "runtime/kernels/blocked/pool_tmpl.h"
#include "runtime/kernels/blocked/reorder_tmpl.h"

const cr_blocked_kernels CR_NAME(cr_blocked) = {
    .lanes = CR_LANES,
    .max_pool = max_pool,
    .average_pool = average_pool,
    .global_average = global_average,
    .activate = activate,
    .affine = affine,
    .binary = combine,
    .to_blocked = to_blocked,
    .to_plain = to_plain,
    .gather_channels = gather_channels,
    .gather_pixels = gather_pixels,
    .resize_linear = resize_linear,
};
