#include "runtime/ops/window.h"

#include <string.h>

enum { NOTSET, SAME_UPPER, SAME_LOWER, VALID };
enum { MAX_EXTENT = 1 << 30 };

static crease_status read_ints(const cr_node *node, const char *name, int n, int64_t least, int64_t otherwise,
                               int64_t *to) {
    const int64_t *values;
    int count;
    CR_TRY(cr_attr_ints(node, name, &values, &count));
    if (count && count != n)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "attribute '%s' has %d values, expected %d", name,
                            count, n);
    for (int i = 0; i < n; i++) {
        to[i] = count ? values[i] : otherwise;
        if (to[i] < least || to[i] > MAX_EXTENT)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "attribute '%s' has the value %lld", name,
                                (long long)to[i]);
    }
    return CREASE_OK;
}

crease_status cr_window_read(const cr_node *node, int spatial_rank, const int64_t *kernel, cr_window *w) {
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    const char *auto_pad;
    int64_t pads[2 * CR_MAX_SPATIAL];
    if (spatial_rank < 1 || spatial_rank > CR_MAX_SPATIAL)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "%d spatial dimensions, 1 to 3 are supported",
                            spatial_rank);
    *w = (cr_window){.n = spatial_rank};
    const cr_attr *attr = cr_attr_find(node, "kernel_shape");
    if (!kernel && !attr)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "attribute 'kernel_shape' is missing");
    CR_TRY(read_ints(node, "kernel_shape", spatial_rank, 1, 1, w->kernel));
    for (int d = 0; kernel && d < spatial_rank; d++) {
        if (attr && w->kernel[d] != kernel[d])
            return cr_node_fail(node, CREASE_ERROR_MODEL, "kernel_shape does not match the weights");
        w->kernel[d] = kernel[d];
    }
    CR_TRY(read_ints(node, "strides", spatial_rank, 1, 1, w->stride));
    CR_TRY(read_ints(node, "dilations", spatial_rank, 1, 1, w->dilation));
    CR_TRY(read_ints(node, "pads", 2 * spatial_rank, -MAX_EXTENT, 0, pads));
    memcpy(w->pad_begin, pads, (size_t)spatial_rank * sizeof *pads);
    memcpy(w->pad_end, pads + spatial_rank, (size_t)spatial_rank * sizeof *pads);
    CR_TRY(cr_attr_string(node, "auto_pad", "NOTSET", &auto_pad));
    for (w->auto_pad = 0; w->auto_pad < 4; w->auto_pad++)
        if (strcmp(auto_pad, names[w->auto_pad]) == 0 || (!auto_pad[0] && w->auto_pad == NOTSET))
            return CREASE_OK;
    return cr_node_fail(node, CREASE_ERROR_MODEL, "auto_pad '%s' is not known", auto_pad);
}

crease_status cr_window_extent(const cr_node *node, cr_window *w, int d, int64_t in, bool ceil_mode,
                               int64_t *out) {
    int64_t reach = (w->kernel[d] - 1) * w->dilation[d] + 1, stride = w->stride[d];
    if (w->auto_pad == VALID)
        w->pad_begin[d] = w->pad_end[d] = 0;
    if (w->auto_pad == SAME_UPPER || w->auto_pad == SAME_LOWER) {
        *out = (in + stride - 1) / stride;
        int64_t total = (*out - 1) * stride + reach - in;
        total = total < 0 ? 0 : total;
        w->pad_begin[d] = w->auto_pad == SAME_UPPER ? total / 2 : total - total / 2;
        w->pad_end[d] = total - w->pad_begin[d];
    } else {
        int64_t room = in + w->pad_begin[d] + w->pad_end[d] - reach;
        *out = room < 0 ? 0 : (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
        if (ceil_mode && *out > 0 && (*out - 1) * stride >= in + w->pad_begin[d])
            --*out;
    }
    if (*out <= 0 && in > 0)
        return cr_node_fail(node, CREASE_ERROR_MODEL,
                            "the kernel is larger than the padded input of extent %lld", (long long)in);
    return CREASE_OK;
}
