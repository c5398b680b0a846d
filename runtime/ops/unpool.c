#include "runtime/ops/infer.h"
#include "runtime/ops/window.h"

#include <string.h>

/* Windows put back into images: MaxUnpool (ONNX 9, 11, 22), each element where its maximum came from, and
 * Col2Im (18), columns added where they overlap. */

/* ---- MaxUnpool ---- */

enum { IN_X, IN_INDICES, IN_SHAPE };

/* The shape that the indices speak of: that of the MaxPool's input, as far as it can be told. */
static crease_status pooled_from(const cr_node *node, const cr_shape *x, cr_shape *full) {
    cr_window w;
    if (x->rank < 3 || x->rank > 2 + CR_MAX_SPATIAL)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "an input of rank %d", x->rank);
    CR_TRY(cr_window_read(node, x->rank - 2, NULL, &w));
    *full = *x;
    for (int d = 0; d < w.n; d++) {
        int64_t *extent = &full->dims[d + 2];
        if (*extent < 0)
            continue;
        if (__builtin_mul_overflow(*extent - 1, w.stride[d], extent) ||
            __builtin_add_overflow(*extent, w.kernel[d], extent) ||
            __builtin_sub_overflow(*extent, w.pad_begin[d], extent) ||
            __builtin_sub_overflow(*extent, w.pad_end[d], extent) || *extent < 0)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "the windows do not fit");
    }
    return CREASE_OK;
}

static crease_status unpool_infer(cr_infer *infer) {
    const cr_tensor *stated;
    bool left_out;
    cr_shape full;
    CR_TRY(cr_infer_need(infer, IN_X));
    CR_TRY(cr_infer_need(infer, IN_INDICES));
    CR_TRY(cr_infer_list(infer, IN_SHAPE, &stated, &left_out));
    const cr_shape *x = &infer->in[IN_X]->shape;
    infer->out[0].dtype = infer->in[IN_X]->dtype;
    if ((infer->in[IN_INDICES]->dtype && infer->in[IN_INDICES]->dtype != CREASE_INT64) ||
        !cr_shape_fits(x, &infer->in[IN_INDICES]->shape))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the indices do not fit the input");
    if (x->rank < 0)
        return CREASE_OK;
    CR_TRY(pooled_from(infer->node, x, &full));
    if (left_out)
        infer->out[0].shape = full;
    if (!stated)
        return CREASE_OK;
    bool fits = cr_shape_n(&stated->shape) == x->rank;
    for (int d = 0; fits && d < x->rank; d++) {
        full.dims[d] = cr_tensor_int(stated, d);
        fits = full.dims[d] >= 0 && (d > 1 || x->dims[d] < 0 || full.dims[d] == x->dims[d]);
    }
    if (!fits)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "output_shape does not fit the input");
    infer->out[0].shape = full;
    return CREASE_OK;
}

static crease_status unpool_prepare(cr_prepare *p) {
    cr_shape *full;
    CR_TRY(CR_PREPARE_STATE(p, &full));
    return pooled_from(p->node, &p->in[IN_X]->shape, full);
}

static crease_status unpool_run(cr_run *r) {
    const cr_shape *full = r->state;
    size_t bytes;
    const cr_shape *y = &r->out[0]->shape;
    const size_t element = cr_element_bytes(r->in[IN_X]->dtype);
    const int64_t *indices = r->in[IN_INDICES]->data, n = cr_shape_n(&r->in[IN_X]->shape);
    if (cr_tensor_bytes(r->out[0]->dtype, 0, y, &bytes) && bytes)
        memset(r->out[0]->data, 0, bytes);
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = indices[i], at = 0, stride = 1;
        bool inside = rest >= 0;
        for (int d = full->rank - 1; inside && d >= 0; d--) {
            const int64_t index = full->dims[d] ? rest % full->dims[d] : 0;
            rest = full->dims[d] ? rest / full->dims[d] : 1;
            inside = index < y->dims[d];
            at += index * stride;
            stride *= y->dims[d];
        }
        if (!inside || rest)
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "index %lld is outside of the output",
                                (long long)indices[i]);
        memcpy((char *)r->out[0]->data + (size_t)at * element,
               (const char *)r->in[IN_X]->data + (size_t)i * element, element);
    }
    return CREASE_OK;
}

/* ---- Col2Im ---- */

enum { MAX_AXES = CR_MAX_RANK - 2 };

typedef struct folding {
    int n;
    int64_t image[MAX_AXES], block[MAX_AXES], stride[MAX_AXES], dilation[MAX_AXES], pad[MAX_AXES];
    int64_t turns[MAX_AXES];     /* windows along each axis */
    int64_t taps, columns, area; /* elements of a block, windows, elements of an image */
} folding;

static crease_status read_values(const cr_node *node, const char *name, int n, int times, int64_t otherwise,
                                 int64_t *values) {
    const int64_t *list;
    int count;
    CR_TRY(cr_attr_ints(node, name, &list, &count));
    if (count && count != n * times)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "'%s' has %d values, expected %d", name, count,
                            n * times);
    for (int i = 0; i < n * times; i++) {
        values[i] = count ? list[i] : otherwise;
        if (values[i] < otherwise || values[i] > (int64_t)1 << 31)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "'%s' has the value %lld", name,
                                (long long)values[i]);
    }
    return CREASE_OK;
}

static crease_status read_extents(const cr_node *node, const cr_tensor *list, int64_t *values, int n) {
    if (cr_shape_n(&list->shape) != n)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "image_shape and block_shape differ in length");
    for (int i = 0; i < n; i++) {
        values[i] = cr_tensor_int(list, i);
        if (values[i] < 1 || values[i] > (int64_t)1 << 31)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "an extent of %lld", (long long)values[i]);
    }
    return CREASE_OK;
}

static crease_status read_folding(const cr_node *node, const cr_tensor *image, const cr_tensor *block,
                                  folding *f) {
    int64_t pads[2 * MAX_AXES];
    f->n = cr_shape_n(&image->shape) > MAX_AXES ? 0 : (int)cr_shape_n(&image->shape);
    if (f->n < 1)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "an image of more than %d axes, or of none",
                            MAX_AXES);
    CR_TRY(read_extents(node, image, f->image, f->n));
    CR_TRY(read_extents(node, block, f->block, f->n));
    CR_TRY(read_values(node, "strides", f->n, 1, 1, f->stride));
    CR_TRY(read_values(node, "dilations", f->n, 1, 1, f->dilation));
    CR_TRY(read_values(node, "pads", f->n, 2, 0, pads));
    f->taps = f->columns = f->area = 1;
    for (int d = 0; d < f->n; d++) {
        const int64_t reach = (f->block[d] - 1) * f->dilation[d] + 1;
        const int64_t room = f->image[d] + pads[d] + pads[f->n + d] - reach;
        f->pad[d] = pads[d];
        f->turns[d] = room < 0 ? 0 : room / f->stride[d] + 1;
        if (__builtin_mul_overflow(f->taps, f->block[d], &f->taps) ||
            __builtin_mul_overflow(f->columns, f->turns[d], &f->columns) ||
            __builtin_mul_overflow(f->area, f->image[d], &f->area))
            return cr_node_fail(node, CREASE_ERROR_MODEL, "the image is too large");
    }
    return CREASE_OK;
}

static crease_status fold_infer(cr_infer *infer) {
    const cr_tensor *lists[2];
    bool left_out;
    folding f;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_rank(infer, 0, 3, 3));
    infer->out[0].dtype = infer->in[0]->dtype;
    for (int i = 0; i < 2; i++) {
        CR_TRY(cr_infer_need(infer, 1 + i));
        CR_TRY(cr_infer_list(infer, 1 + i, &lists[i], &left_out));
    }
    const cr_shape *x = &infer->in[0]->shape;
    if (!lists[0] || !lists[1] || x->rank < 0)
        return CREASE_OK;
    CR_TRY(read_folding(infer->node, lists[0], lists[1], &f));
    if ((x->dims[1] >= 0 && x->dims[1] % f.taps) || (x->dims[2] >= 0 && x->dims[2] != f.columns))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the columns do not fit the image");
    cr_shape *y = &infer->out[0].shape;
    *y = (cr_shape){.rank = 2 + f.n,
                    .dims = {x->dims[0], x->dims[1] < 0 ? CR_DIM_UNKNOWN : x->dims[1] / f.taps}};
    memcpy(y->dims + 2, f.image, (size_t)f.n * sizeof *y->dims);
    return CREASE_OK;
}

/* Where tap `tap` of window `column` falls; below 0: into the padding. */
static int64_t landing(const folding *f, int64_t tap, int64_t column) {
    int64_t at = 0, stride = 1;
    for (int d = f->n - 1; d >= 0; d--) {
        const int64_t i =
            column % f->turns[d] * f->stride[d] + tap % f->block[d] * f->dilation[d] - f->pad[d];
        if (i < 0 || i >= f->image[d])
            return -1;
        at += i * stride;
        stride *= f->image[d];
        column /= f->turns[d];
        tap /= f->block[d];
    }
    return at;
}

/* Both lists are known: without them there is no shape to prepare for. */
static crease_status fold_prepare(cr_prepare *p) {
    folding *f;
    CR_TRY(CR_PREPARE_STATE(p, &f));
    return read_folding(p->node, p->in[1]->known, p->in[2]->known, f);
}

static crease_status fold_run(cr_run *r) {
    const folding *f = r->state;
    const crease_dtype dtype = r->in[0]->dtype;
    const int64_t planes = r->in[0]->shape.dims[0] * (r->in[0]->shape.dims[1] / f->taps);
    for (int64_t i = 0; i < planes * f->area; i++)
        cr_store_float(dtype, r->out[0]->data, i, 0);
    for (int64_t tap = 0; planes && tap < f->taps; tap++)
        for (int64_t column = 0; column < f->columns; column++) {
            const int64_t at = landing(f, tap, column);
            for (int64_t p = 0; at >= 0 && p < planes; p++)
                cr_store_float(
                    dtype, r->out[0]->data, p * f->area + at,
                    cr_load_float(dtype, r->out[0]->data, p * f->area + at) +
                        cr_load_float(dtype, r->in[0]->data, (p * f->taps + tap) * f->columns + column));
        }
    return CREASE_OK;
}

const cr_op cr_ops_unpool[] = {
    {"MaxUnpool", 9, 0, CR_T_FLOATS, unpool_infer, unpool_prepare, unpool_run, 0, CR_OP_HALF, 0, NULL},
    {"Col2Im", 18, 0, CR_T_FLOATS, fold_infer, fold_prepare, fold_run, 0, 0, 0, NULL},
    {0},
};
