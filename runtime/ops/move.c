#include "runtime/ops/infer.h"

#include <string.h>

/* Data movement by bytes: Concat, Split, Transpose, Slice, Expand, Tile, DepthToSpace, SpaceToDepth, Pad, and
 * what gathers. */

static size_t element_bytes(const cr_tensor *t) {
    return crease_dtype_bits(t->dtype) / 8;
}

/* y[i] = x[offset + sum index_d stride_d] over y's shape, with x strides in elements. */
static void copy_strided(const cr_tensor *x, int64_t offset, const int64_t *strides, cr_tensor *y) {
    size_t element = element_bytes(x);
    int rank = y->shape.rank;
    int64_t n = cr_shape_n(&y->shape), inner = rank ? y->shape.dims[rank - 1] : 1,
            step = rank ? strides[rank - 1] : 0;
    int64_t index[CR_MAX_RANK] = {0};
    for (int64_t i = 0; i < n; i += inner) {
        int64_t at = offset;
        for (int d = 0; d < rank - 1; d++)
            at += index[d] * strides[d];
        const char *from = (const char *)x->data + at * (int64_t)element;
        char *to = (char *)y->data + (size_t)i * element;
        if (step == 1)
            memcpy(to, from, (size_t)inner * element);
        else
            for (int64_t j = 0; j < inner; j++)
                memcpy(to + (size_t)j * element, from + j * step * (int64_t)element, element);
        for (int d = rank - 2; d >= 0 && ++index[d] == y->shape.dims[d]; d--)
            index[d] = 0;
    }
}

static void dense_strides(const cr_shape *shape, int64_t *strides) {
    int64_t stride = 1;
    for (int d = shape->rank - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= shape->dims[d];
    }
}

static int64_t product(const cr_shape *s, int begin, int end) {
    int64_t p = 1;
    for (int d = begin; d < end; d++)
        p *= s->dims[d];
    return p;
}

/* ---- Concat, Split ---- */

static crease_status axis_of(const cr_node *node, int64_t otherwise, int rank, int *axis) {
    int64_t value;
    CR_TRY(cr_attr_int(node, "axis", otherwise, &value));
    return cr_axis_resolve(value, rank, node->name, axis);
}

static crease_status concat_infer(cr_infer *infer) {
    int axis;
    CR_TRY(cr_infer_same(infer));
    cr_shape *y = &infer->out[0].shape;
    for (int i = 0; i < infer->n_in; i++) {
        CR_TRY(cr_infer_need(infer, i));
        CR_TRY(cr_infer_same_type(infer, 0, i));
        if (infer->in[i]->shape.rank < 0) {
            *y = cr_shape_unknown();
            return CREASE_OK;
        }
        if (infer->in[i]->shape.rank != y->rank)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d has another rank", i);
    }
    CR_TRY(axis_of(infer->node, 1, y->rank, &axis));
    for (int i = 1; i < infer->n_in; i++)
        for (int d = 0; d < y->rank; d++) {
            int64_t extent = infer->in[i]->shape.dims[d];
            if (d == axis)
                y->dims[d] = extent < 0 || y->dims[d] < 0 ? CR_DIM_UNKNOWN : y->dims[d] + extent;
            else if (y->dims[d] < 0)
                y->dims[d] = extent;
            else if (extent >= 0 && extent != y->dims[d])
                return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                                    "input %d has extent %lld at axis %d, expected %lld", i,
                                    (long long)extent, d, (long long)y->dims[d]);
        }
    return CREASE_OK;
}

/* Copy between a tensor and its part that begins at `at` along the axis. */
static void copy_part(cr_tensor *whole, cr_tensor *part, int axis, int64_t at, bool to_whole) {
    size_t element = element_bytes(whole);
    int64_t outer = product(&whole->shape, 0, axis),
            inner = product(&whole->shape, axis + 1, whole->shape.rank);
    size_t row = (size_t)(whole->shape.dims[axis] * inner) * element,
           piece = (size_t)(part->shape.dims[axis] * inner) * element;
    char *base = (char *)whole->data + (size_t)(at * inner) * element, *data = part->data;
    if (base == data || piece == 0)
        return;
    for (int64_t i = 0; i < outer; i++)
        if (to_whole)
            memcpy(base + (size_t)i * row, data + (size_t)i * piece, piece);
        else
            memcpy(data + (size_t)i * piece, base + (size_t)i * row, piece);
}

static crease_status concat_run(cr_run *r) {
    int axis;
    int64_t at = 0;
    CR_TRY(axis_of(r->node, 1, r->out[0]->shape.rank, &axis));
    for (int i = 0; i < r->n_in; i++) {
        cr_tensor part = *r->in[i];
        copy_part(r->out[0], &part, axis, at, true);
        at += part.shape.dims[axis];
    }
    return CREASE_OK;
}

static crease_status split_infer(cr_infer *infer) {
    int64_t sizes[CR_MAX_RANK];
    const int64_t *attr = NULL;
    int n = -1, axis, n_attr = 0;
    bool known = true;
    CR_TRY(cr_infer_need(infer, 0));
    const cr_shape *x = &infer->in[0]->shape;
    for (int i = 0; i < infer->n_out; i++)
        infer->out[i].dtype = infer->in[0]->dtype;
    if (x->rank < 0)
        return CREASE_OK;
    CR_TRY(axis_of(infer->node, 0, x->rank, &axis));
    CR_TRY(cr_attr_ints(infer->node, "split", &attr, &n_attr));
    if (!n_attr)
        CR_TRY(cr_infer_ints(infer, 1, sizes, &n, &known));
    int64_t total = x->dims[axis], sum = 0,
            chunk = total < 0 ? -1 : (total + infer->n_out - 1) / infer->n_out;
    for (int i = 0; i < infer->n_out; i++) {
        int64_t size = n_attr > i ? attr[i] : n > i ? sizes[i] : chunk < 0 ? CR_DIM_UNKNOWN : chunk;
        if (n < 0 && !n_attr && chunk >= 0 && sum + size > total)
            size = total - sum > 0 ? total - sum : 0;
        if (!known)
            continue;
        infer->out[i].shape = *x;
        infer->out[i].shape.dims[axis] = size;
        if (size < 0 && total >= 0)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "a part has a negative size");
        sum += size;
    }
    if (known && total >= 0 && sum != total)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the parts have %lld in sum, the axis %lld",
                            (long long)sum, (long long)total);
    return CREASE_OK;
}

static crease_status split_run(cr_run *r) {
    int axis;
    int64_t at = 0;
    cr_tensor whole = *r->in[0];
    CR_TRY(axis_of(r->node, 0, whole.shape.rank, &axis));
    for (int i = 0; i < r->n_out; i++) {
        if (r->out[i])
            copy_part(&whole, r->out[i], axis, at, false);
        at += r->out[i] ? r->out[i]->shape.dims[axis] : 0;
    }
    return CREASE_OK;
}

/* ---- Transpose ---- */

static crease_status permutation(const cr_node *node, int rank, int *perm) {
    const int64_t *values;
    int n;
    bool seen[CR_MAX_RANK] = {false};
    CR_TRY(cr_attr_ints(node, "perm", &values, &n));
    if (n && n != rank)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "perm has %d entries, the input has rank %d", n, rank);
    for (int d = 0; d < rank; d++) {
        int64_t p = n ? values[d] : rank - 1 - d;
        if (p < 0 || p >= rank || seen[p])
            return cr_node_fail(node, CREASE_ERROR_MODEL, "perm is not a permutation");
        seen[p] = true;
        perm[d] = (int)p;
    }
    return CREASE_OK;
}

static crease_status transpose_infer(cr_infer *infer) {
    int perm[CR_MAX_RANK];
    CR_TRY(cr_infer_same(infer));
    const cr_shape *x = &infer->in[0]->shape;
    if (x->rank < 0)
        return CREASE_OK;
    CR_TRY(permutation(infer->node, x->rank, perm));
    for (int d = 0; d < x->rank; d++)
        infer->out[0].shape.dims[d] = x->dims[perm[d]];
    return CREASE_OK;
}

static crease_status transpose_run(cr_run *r) {
    int perm[CR_MAX_RANK];
    int64_t dense[CR_MAX_RANK], strides[CR_MAX_RANK];
    CR_TRY(permutation(r->node, r->in[0]->shape.rank, perm));
    dense_strides(&r->in[0]->shape, dense);
    for (int d = 0; d < r->in[0]->shape.rank; d++)
        strides[d] = dense[perm[d]];
    copy_strided(r->in[0], 0, strides, r->out[0]);
    return CREASE_OK;
}

/* ---- Slice ---- */

typedef struct slice_plan {
    int64_t start[CR_MAX_RANK], step[CR_MAX_RANK], n[CR_MAX_RANK];
} slice_plan;

/* starts, ends, axes, steps: attributes until 9, inputs later. known NULL entries: not known. */
static crease_status plan_slice(const cr_node *node, const cr_shape *x, const int64_t *starts,
                                const int64_t *ends, const int64_t *axes, const int64_t *steps, int n,
                                slice_plan *p) {
    for (int d = 0; d < x->rank; d++) {
        p->start[d] = 0;
        p->step[d] = 1;
        p->n[d] = x->dims[d];
    }
    for (int i = 0; i < n; i++) {
        int axis;
        CR_TRY(cr_axis_resolve(axes ? axes[i] : i, x->rank, node->name, &axis));
        int64_t extent = x->dims[axis], step = steps ? steps[i] : 1, start = starts[i], end = ends[i];
        if (step == 0)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "a step is 0");
        if (extent < 0) {
            p->n[axis] = CR_DIM_UNKNOWN;
            continue;
        }
        start += start < 0 ? extent : 0;
        end += end < 0 && end > INT64_MIN + extent ? extent : 0;
        int64_t low = step > 0 ? 0 : -1, high = step > 0 ? extent : extent - 1;
        start = start < (step > 0 ? 0 : 0) ? 0 : start > high ? high : start;
        end = end < low ? low : end > extent ? extent : end;
        int64_t span = step > 0 ? end - start : start - end, stride = step > 0            ? step
                                                                      : step == INT64_MIN ? INT64_MAX
                                                                                          : -step;
        p->start[axis] = start;
        p->step[axis] = step;
        p->n[axis] = span > 0 ? (span - 1) / stride + 1 : 0;
    }
    return CREASE_OK;
}

static crease_status slice_infer(cr_infer *infer) {
    int64_t v[4][CR_MAX_RANK];
    const int64_t *lists[4] = {NULL};
    int n[4] = {-1, -1, -1, -1};
    bool known, all = true;
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    for (int i = 0; i < 4; i++) {
        if (infer->opset < 10) {
            CR_TRY(cr_attr_ints(infer->node, names[i], &lists[i], &n[i]));
            continue;
        }
        CR_TRY(cr_infer_ints(infer, i + 1, v[i], &n[i], &known));
        all &= known;
        lists[i] = n[i] >= 0 ? v[i] : NULL;
    }
    const cr_shape *x = &infer->in[0]->shape;
    if (x->rank < 0)
        return CREASE_OK;
    if (!all) { /* only the rank is known */
        infer->out[0].shape.rank = x->rank;
        for (int d = 0; d < x->rank; d++)
            infer->out[0].shape.dims[d] = CR_DIM_UNKNOWN;
        return CREASE_OK;
    }
    slice_plan p;
    if (n[0] < 0 || n[0] != n[1] || (lists[2] && n[2] != n[0]) || (lists[3] && n[3] != n[0]) ||
        n[0] > CR_MAX_RANK)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "starts, ends, axes and steps differ in length");
    CR_TRY(plan_slice(infer->node, x, lists[0], lists[1], lists[2], lists[3], n[0], &p));
    infer->out[0].shape = cr_shape_of(x->rank, p.n);
    return CREASE_OK;
}

static crease_status slice_run(cr_run *r) {
    int64_t v[4][CR_MAX_RANK], dense[CR_MAX_RANK], strides[CR_MAX_RANK], offset = 0;
    const int64_t *lists[4] = {NULL};
    int n = 0, count;
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    for (int i = 0; i < 4; i++) {
        if (cr_attr_find(r->node, "starts")) {
            CR_TRY(cr_attr_ints(r->node, names[i], &lists[i], &count));
            n = i == 0 ? count : n;
        } else if (i + 1 < r->n_in && r->in[i + 1]) {
            count = (int)cr_shape_n(&r->in[i + 1]->shape);
            for (int k = 0; k < count && k < CR_MAX_RANK; k++)
                v[i][k] = cr_tensor_int(r->in[i + 1], k);
            lists[i] = v[i];
            n = i == 0 ? count : n;
        }
    }
    slice_plan p;
    const cr_shape *x = &r->in[0]->shape;
    CR_TRY(plan_slice(r->node, x, lists[0], lists[1], lists[2], lists[3], n, &p));
    dense_strides(x, dense);
    for (int d = 0; d < x->rank; d++) {
        offset += p.start[d] * dense[d];
        strides[d] = dense[d] * p.step[d];
    }
    if (cr_shape_n(&r->out[0]->shape))
        copy_strided(r->in[0], offset, strides, r->out[0]);
    return CREASE_OK;
}

/* ---- Expand, Tile ---- */

static crease_status expand_infer(cr_infer *infer) {
    int64_t target[CR_MAX_RANK];
    int n;
    bool known;
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    CR_TRY(cr_infer_ints(infer, 1, target, &n, &known));
    if (!known || n < 0)
        return CREASE_OK;
    cr_shape shape = cr_shape_of(n, target);
    return cr_shape_broadcast(&infer->in[0]->shape, &shape, infer->node->name, &infer->out[0].shape);
}

static crease_status expand_run(cr_run *r) {
    const cr_shape *x = &r->in[0]->shape, *y = &r->out[0]->shape;
    int64_t dense[CR_MAX_RANK], strides[CR_MAX_RANK];
    dense_strides(x, dense);
    for (int d = 0; d < y->rank; d++) {
        int from = d - (y->rank - x->rank);
        strides[d] = from < 0 || x->dims[from] == 1 ? 0 : dense[from];
    }
    if (cr_shape_n(y))
        copy_strided(r->in[0], 0, strides, r->out[0]);
    return CREASE_OK;
}

static crease_status tile_infer(cr_infer *infer) {
    int64_t repeats[CR_MAX_RANK];
    int n;
    bool known;
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    CR_TRY(cr_infer_ints(infer, 1, repeats, &n, &known));
    const cr_shape *x = &infer->in[0]->shape;
    if (!known || x->rank < 0)
        return CREASE_OK;
    if (n != x->rank)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "repeats has %d entries, the input has rank %d",
                            n, x->rank);
    infer->out[0].shape = *x;
    for (int d = 0; d < n; d++)
        if (repeats[d] < 0 ||
            (x->dims[d] >= 0 && __builtin_mul_overflow(x->dims[d], repeats[d], &infer->out[0].shape.dims[d])))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "a repeat of %lld is not possible",
                                (long long)repeats[d]);
    return CREASE_OK;
}

static crease_status tile_run(cr_run *r) {
    const cr_shape *x = &r->in[0]->shape, *y = &r->out[0]->shape;
    size_t element = element_bytes(r->in[0]);
    int64_t dense[CR_MAX_RANK];
    dense_strides(x, dense);
    for (int64_t i = 0, n = cr_shape_n(y); i < n; i++) {
        int64_t rest = i, at = 0;
        for (int d = y->rank - 1; d >= 0; d--) {
            at += rest % y->dims[d] % x->dims[d] * dense[d];
            rest /= y->dims[d];
        }
        memcpy((char *)r->out[0]->data + (size_t)i * element,
               (const char *)r->in[0]->data + (size_t)at * element, element);
    }
    return CREASE_OK;
}

/* ---- DepthToSpace, SpaceToDepth: a 6-D transposition ---- */

enum { TO_SPACE, TO_DEPTH };

static crease_status blocks_infer(cr_infer *infer) {
    int64_t b;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_rank(infer, 0, 4, 4));
    CR_TRY(cr_attr_int(infer->node, "blocksize", 0, &b));
    cr_shape *y = &infer->out[0].shape;
    if (y->rank < 0)
        return CREASE_OK;
    if (b < 1 || b > 1 << 15)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "blocksize is %lld", (long long)b);
    bool space = infer->op->variant == TO_SPACE;
    if ((space && y->dims[1] >= 0 && y->dims[1] % (b * b)) || (!space && y->dims[2] >= 0 && y->dims[2] % b) ||
        (!space && y->dims[3] >= 0 && y->dims[3] % b))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the input is not divisible into blocks of %lld",
                            (long long)b);
    if (y->dims[1] >= 0)
        y->dims[1] = space ? y->dims[1] / (b * b) : y->dims[1] * b * b;
    for (int d = 2; d < 4; d++)
        if (y->dims[d] >= 0)
            y->dims[d] = space ? y->dims[d] * b : y->dims[d] / b;
    return CREASE_OK;
}

static crease_status blocks_run(cr_run *r) {
    int64_t b, dense[6], strides[6];
    const char *mode;
    const cr_shape *x = &r->in[0]->shape;
    CR_TRY(cr_attr_int(r->node, "blocksize", 0, &b));
    CR_TRY(cr_attr_string(r->node, "mode", "DCR", &mode));
    int64_t n = x->dims[0], c = x->dims[1], h = x->dims[2], w = x->dims[3];
    bool dcr = strcmp(mode, "CRD") != 0;
    cr_shape from = dcr ? cr_shape_of(6, (int64_t[]){n, b, b, c / (b * b), h, w})
                        : cr_shape_of(6, (int64_t[]){n, c / (b * b), b, b, h, w});
    static const int to_space[2][6] = {{0, 1, 4, 2, 5, 3}, {0, 3, 4, 1, 5, 2}},
                     to_depth[6] = {0, 3, 5, 1, 2, 4};
    const int *perm = to_space[dcr];
    if (r->op->variant == TO_DEPTH) {
        from = cr_shape_of(6, (int64_t[]){n, c, h / b, b, w / b, b});
        perm = to_depth;
    }
    dense_strides(&from, dense);
    cr_tensor y = *r->out[0];
    y.shape.rank = 6;
    for (int d = 0; d < 6; d++) {
        y.shape.dims[d] = from.dims[perm[d]];
        strides[d] = dense[perm[d]];
    }
    if (cr_shape_n(&y.shape))
        copy_strided(r->in[0], 0, strides, &y);
    return CREASE_OK;
}

#define MOVE(name, infer, run, variant, flags)                                                               \
    { name, 1, 0, CR_T_BYTES, infer, NULL, run, variant, CR_OP_HALF | (flags), 0, NULL }

const cr_op cr_ops_move[] = {
    MOVE("Concat", concat_infer, concat_run, 0, CR_OP_JOIN),
    MOVE("Split", split_infer, split_run, 0, CR_OP_PART),
    MOVE("Transpose", transpose_infer, transpose_run, 0, 0),
    MOVE("Slice", slice_infer, slice_run, 0, 0),
    MOVE("Expand", expand_infer, expand_run, 0, 0),
    {"Tile", 6, 0, CR_T_BYTES, tile_infer, NULL, tile_run, 0, CR_OP_HALF, 0, NULL},
    MOVE("DepthToSpace", blocks_infer, blocks_run, TO_SPACE, 0),
    MOVE("SpaceToDepth", blocks_infer, blocks_run, TO_DEPTH, 0),
    {0},
};
