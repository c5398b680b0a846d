#ifndef CREASE_RUNTIME_OPS_WINDOW_H
#define CREASE_RUNTIME_OPS_WINDOW_H

#include "runtime/ops/op.h"

/* Attributes of sliding windows (Conv, ConvTranspose, pools): kernel_shape, strides, dilations, pads,
 * auto_pad. */
enum { CR_MAX_SPATIAL = 3 };

typedef struct cr_window {
    int n; /* spatial rank */
    int64_t kernel[CR_MAX_SPATIAL], stride[CR_MAX_SPATIAL], dilation[CR_MAX_SPATIAL];
    int64_t pad_begin[CR_MAX_SPATIAL], pad_end[CR_MAX_SPATIAL];
    int auto_pad; /* 0 NOTSET, 1 SAME_UPPER, 2 SAME_LOWER, 3 VALID */
} cr_window;

/* kernel: extents where the attribute is missing (from the weights), or NULL: the attribute is required. */
crease_status cr_window_read(const cr_node *node, int spatial_rank, const int64_t *kernel,
                             cr_window *window) CREASE_MUST_TEST;
/* Output extent of axis d for a known input extent; resolves auto_pad into the pads. ceil_mode as in the ONNX
 * pools: a window that starts in the end padding does not count. Fails with MODEL when it is not positive. */
crease_status cr_window_extent(const cr_node *node, cr_window *window, int d, int64_t in, bool ceil_mode,
                               int64_t *out) CREASE_MUST_TEST;

#endif
