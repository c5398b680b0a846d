#include "runtime/kernels/remap.h"
#include "runtime/ops/infer.h"

#include <string.h>

/* Pad (ONNX 1: "paddings", 2: attributes, 11: inputs, 18: axes, 19: wrap) and CenterCropPad (18), which is
 * padding by computed amounts. Negative pads crop. */

enum { BY_PADS, BY_CENTER }; /* variants */

static const int64_t MAX_PAD = INT64_MAX / 4; /* so that positions do not overflow */

typedef struct pads {
    int64_t begin[CR_MAX_RANK], end[CR_MAX_RANK];
} pads;

static crease_status read_pads(const cr_node *node, int rank, const cr_tensor *given, const cr_tensor *axes,
                               pads *p) {
    const int64_t *attr = NULL;
    int n_attr = 0, axis;
    if (!given)
        CR_TRY(cr_attr_ints(node, cr_attr_find(node, "paddings") ? "paddings" : "pads", &attr, &n_attr));
    int64_t n = given ? cr_shape_n(&given->shape) : n_attr, n_axes = axes ? cr_shape_n(&axes->shape) : rank;
    if (n_axes > CR_MAX_RANK || n != 2 * n_axes)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "%lld pads are given for %lld axes", (long long)n,
                            (long long)n_axes);
    *p = (pads){0};
    for (int i = 0; i < n_axes; i++) {
        CR_TRY(cr_node_axis(node, axes ? cr_tensor_int(axes, i) : i, rank, &axis));
        p->begin[axis] = given ? cr_tensor_int(given, i) : attr[i];
        p->end[axis] = given ? cr_tensor_int(given, i + n_axes) : attr[i + n_axes];
        if (p->begin[axis] < -MAX_PAD || p->begin[axis] > MAX_PAD || p->end[axis] < -MAX_PAD ||
            p->end[axis] > MAX_PAD)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "the pads of axis %d are out of range", axis);
    }
    return CREASE_OK;
}

static crease_status pad_extents(const cr_node *node, const pads *p, cr_shape *y) {
    for (int d = 0; d < y->rank; d++) {
        if (y->dims[d] < 0) {
            y->dims[d] = p->begin[d] || p->end[d] ? CR_DIM_UNKNOWN : y->dims[d];
            continue;
        }
        int64_t in = y->dims[d];
        if (__builtin_add_overflow(in, p->begin[d], &y->dims[d]) ||
            __builtin_add_overflow(y->dims[d], p->end[d], &y->dims[d]) || y->dims[d] < 0)
            return cr_node_fail(node, CREASE_ERROR_MODEL,
                                "pads of %lld and %lld do not go with an extent of %lld",
                                (long long)p->begin[d], (long long)p->end[d], (long long)in);
    }
    return CREASE_OK;
}

static crease_status pad_infer(cr_infer *infer) {
    pads p;
    const cr_tensor *given, *axes;
    bool no_pads, no_axes;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_same_type(infer, 0, 2));
    CR_TRY(cr_infer_list(infer, 1, &given, &no_pads));
    CR_TRY(cr_infer_list(infer, 3, &axes, &no_axes));
    cr_shape *y = &infer->out[0].shape;
    if (y->rank < 0)
        return CREASE_OK;
    if ((!no_pads && !given) || (!no_axes && !axes)) {
        for (int d = 0; d < y->rank; d++)
            y->dims[d] = CR_DIM_UNKNOWN;
        return CREASE_OK;
    }
    CR_TRY(read_pads(infer->node, y->rank, given, axes, &p));
    return pad_extents(infer->node, &p, y);
}

enum { CONSTANT, EDGE, REFLECT, WRAP, N_MODES };

static crease_status read_mode(const cr_node *node, int *mode) {
    static const char *const names[] = {"constant", "edge", "reflect", "wrap"};
    const char *name;
    CR_TRY(cr_attr_string(node, "mode", names[CONSTANT], &name));
    for (*mode = 0; *mode < N_MODES; ++*mode)
        if (strcmp(name, names[*mode]) == 0)
            return CREASE_OK;
    return cr_node_fail(node, CREASE_ERROR_MODEL, "mode '%s' is not known", name);
}

static int64_t modulo(int64_t i, int64_t n) {
    return (i % n + n) % n;
}

/* Where position i of an axis comes from; -1: padding, as everything is where there is nothing to copy. */
static int64_t source(int mode, int64_t i, int64_t extent) {
    if (i >= 0 && i < extent)
        return i;
    if (mode == CONSTANT || extent == 0)
        return -1;
    if (mode == EDGE)
        return i < 0 ? 0 : extent - 1;
    if (mode == WRAP)
        return modulo(i, extent);
    int64_t period = extent > 1 ? 2 * (extent - 1) : 1, at = modulo(i, period);
    return at < extent ? at : period - at;
}

typedef struct pad_state {
    cr_remap remap;
    int64_t rows;
    char fill[16];
} pad_state;

static crease_status make_maps(cr_prepare *prepare, const pads *p, int mode, pad_state *s) {
    const cr_shape *x = &prepare->in[0]->shape, *y = &prepare->out[0].shape;
    int last = x->rank - 1;
    s->remap.rank = x->rank;
    if (cr_shape_n(y) == 0)
        return CREASE_OK;
    s->remap.element_bytes = cr_element_bytes(prepare->in[0]->dtype);
    for (int d = 0; d < x->rank; d++) {
        int64_t *map;
        CR_TRY(CR_ARENA_NEW(prepare->arena, &map, (size_t)y->dims[d]));
        for (int64_t i = 0; i < y->dims[d]; i++)
            map[i] = source(mode, i - p->begin[d], x->dims[d]);
        s->remap.source[d] = map;
        s->remap.in[d] = x->dims[d];
        s->remap.out[d] = y->dims[d];
    }
    if (last < 0)
        return CREASE_OK;
    s->rows = cr_shape_extent(y, 0, last);
    int64_t begin = p->begin[last], end = begin + x->dims[last], n = y->dims[last];
    s->remap.inner_begin = begin < 0 ? 0 : begin > n ? n : begin;
    s->remap.inner_end = end < s->remap.inner_begin ? s->remap.inner_begin : end > n ? n : end;
    return CREASE_OK;
}

static crease_status pad_prepare(cr_prepare *prepare) {
    pads p;
    int mode;
    float value;
    pad_state *s;
    crease_dtype dtype = prepare->in[0]->dtype;
    const cr_info *given = prepare->n_in > 1 ? prepare->in[1] : NULL,
                  *axes = prepare->n_in > 3 ? prepare->in[3] : NULL;
    CR_TRY(CR_PREPARE_STATE(prepare, &s));
    CR_TRY(read_mode(prepare->node, &mode));
    CR_TRY(cr_attr_float(prepare->node, "value", 0, &value));
    if (cr_dtype_is_float(dtype))
        cr_store_float(dtype, s->fill, 0, (double)value);
    CR_TRY(read_pads(prepare->node, prepare->in[0]->shape.rank, given ? given->known : NULL,
                     axes ? axes->known : NULL, &p));
    return make_maps(prepare, &p, mode, s);
}

typedef struct pad_job {
    const cr_remap *remap;
    const void *x, *fill;
    void *y;
} pad_job;

static void pad_task(void *context, int64_t begin, int64_t end, int thread) {
    const pad_job *j = context;
    (void)thread;
    cr_remap_rows(j->remap, j->x, j->fill, j->y, begin, end);
}

static crease_status pad_run(cr_run *r) {
    const pad_state *s = r->state;
    const cr_tensor *value = r->op->variant == BY_PADS && r->n_in > 2 ? r->in[2] : NULL;
    bool given = value && cr_shape_n(&value->shape) > 0;
    pad_job job = {&s->remap, r->in[0]->data, given ? value->data : s->fill, r->out[0]->data};
    size_t element = s->remap.element_bytes;
    if (s->remap.rank == 0)
        memcpy(r->out[0]->data, r->in[0]->data, element);
    else
        cr_parallel_grain(r->pool, s->rows, 4096 / (r->out[0]->shape.dims[s->remap.rank - 1] + 1) + 1,
                          pad_task, &job);
    return CREASE_OK;
}

/* ---- CenterCropPad: the target extents of the given axes; an odd pixel goes to the end ---- */

static crease_status center_pads(const cr_node *node, const cr_shape *x, const cr_tensor *target, pads *p) {
    const int64_t *axes;
    int n_axes, axis;
    CR_TRY(cr_attr_ints(node, "axes", &axes, &n_axes));
    int64_t n = cr_shape_n(&target->shape);
    if (n > CR_MAX_RANK || n != (n_axes ? n_axes : x->rank))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "%lld extents are given for %d axes", (long long)n,
                            n_axes ? n_axes : x->rank);
    *p = (pads){0};
    for (int i = 0; i < n; i++) {
        CR_TRY(cr_node_axis(node, n_axes ? axes[i] : i, x->rank, &axis));
        int64_t extent = cr_tensor_int(target, i), more;
        if (extent < 0 || __builtin_sub_overflow(extent, x->dims[axis], &more))
            return cr_node_fail(node, CREASE_ERROR_MODEL, "an extent of %lld is not possible",
                                (long long)extent);
        /* a crop starts at floor(surplus / 2) and padding at floor(lack / 2) */
        p->begin[axis] = more / 2;
        p->end[axis] = more - more / 2;
    }
    return CREASE_OK;
}

static crease_status center_infer(cr_infer *infer) {
    pads p;
    const cr_tensor *target;
    bool left_out;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_list(infer, 1, &target, &left_out));
    cr_shape *y = &infer->out[0].shape;
    if (!target || !cr_shape_is_static(y)) {
        for (int d = 0; d < y->rank; d++)
            y->dims[d] = CR_DIM_UNKNOWN;
        if (y->rank == 0) /* what is given for a scalar must be seen before it is prepared */
            *y = cr_shape_unknown();
        return CREASE_OK;
    }
    CR_TRY(center_pads(infer->node, &infer->in[0]->shape, target, &p));
    return pad_extents(infer->node, &p, y);
}

static crease_status center_prepare(cr_prepare *prepare) {
    pads p;
    pad_state *s;
    CR_TRY(CR_PREPARE_STATE(prepare, &s));
    CR_TRY(center_pads(prepare->node, &prepare->in[0]->shape, prepare->in[1]->known, &p));
    return make_maps(prepare, &p, CONSTANT, s);
}

const cr_op cr_ops_pad[] = {
    {"Pad", 1, 0, CR_T_BYTES, pad_infer, pad_prepare, pad_run, BY_PADS, CR_OP_HALF, 0, NULL},
    {"CenterCropPad", 18, 0, CR_T_BYTES, center_infer, center_prepare, pad_run, BY_CENTER, CR_OP_HALF, 0,
     NULL},
    {0},
};
