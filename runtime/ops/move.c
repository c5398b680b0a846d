#include "runtime/ops/move.h"

#include <string.h>

/* Data movement by bytes: Concat, Split, Transpose, Slice, Expand, Tile, DepthToSpace, SpaceToDepth, Trilu.
 * All but the first two and the last are one nest of loops that prepare writes down and run walks. */

/* ---- a nest over threads ---- */

typedef struct copy_job {
    const cr_nest *nest;
    size_t element;
    const void *from;
    void *to;
} copy_job;

static void copy_task(void *context, int64_t begin, int64_t end, int thread) {
    const copy_job *job = context;
    (void)thread;
    cr_nest_copy(job->nest, job->element, job->from, job->to, begin, end);
}

enum { THREAD_BYTES = 1 << 15 }; /* what is worth waking a thread for */

static void copy_nest(cr_pool *pool, const cr_nest *nest, int64_t rows, size_t element, const void *from,
                      void *to) {
    copy_job job = {nest, element, from, to};
    size_t row = (size_t)cr_nest_row(nest) * element;
    if (rows)
        cr_parallel_grain(pool, rows, row >= THREAD_BYTES ? 1 : (int64_t)(THREAD_BYTES / (row ? row : 1)),
                          copy_task, &job);
}

void cr_move(cr_pool *pool, cr_nest *nest, size_t element, const void *from, void *to) {
    int64_t rows = cr_nest_finish(nest);
    copy_nest(pool, nest, rows, element, from, to);
}

/* The state of an operator that is one nest. */
typedef struct move_state {
    cr_nest nest;
    int64_t rows, offset; /* of the first source element */
    size_t element;
} move_state;

static crease_status begin_nest(cr_prepare *p, move_state **s) {
    CR_TRY(CR_PREPARE_STATE(p, s));
    (*s)->element = cr_element_bytes(p->in[0]->dtype);
    return CREASE_OK;
}

static crease_status move_run(cr_run *r) {
    const move_state *s = r->state;
    copy_nest(r->pool, &s->nest, s->rows, s->element,
              (const char *)r->in[0]->data + s->offset * (int64_t)s->element, r->out[0]->data);
    return CREASE_OK;
}

/* ---- Concat (ONNX 1: axis 1 by default; 4, 11, 13) ---- */

static crease_status concat_infer(cr_infer *infer) {
    int axis;
    CR_TRY(cr_infer_same(infer));
    cr_shape *y = &infer->out[0].shape;
    for (int i = 0; i < infer->n_in; i++) {
        CR_TRY(cr_infer_need(infer, i));
        CR_TRY(cr_infer_same_type(infer, 0, i));
        if (infer->in[i]->shape.rank < 0 || y->rank < 0) {
            *y = cr_shape_unknown();
            return CREASE_OK;
        }
        if (infer->in[i]->shape.rank != y->rank)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d has rank %d, input 0 has %d", i,
                                infer->in[i]->shape.rank, y->rank);
    }
    CR_TRY(cr_axis_attr(infer->node, 1, y->rank, &axis));
    for (int i = 1; i < infer->n_in; i++)
        for (int d = 0; d < y->rank; d++) {
            int64_t extent = infer->in[i]->shape.dims[d];
            if (d == axis) {
                if (extent < 0 || y->dims[d] < 0)
                    y->dims[d] = CR_DIM_UNKNOWN;
                else if (__builtin_add_overflow(y->dims[d], extent, &y->dims[d]))
                    return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the extent of axis %d overflows",
                                        d);
            } else if (y->dims[d] < 0) {
                y->dims[d] = extent;
            } else if (extent >= 0 && extent != y->dims[d]) {
                return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                                    "input %d has extent %lld at axis %d, expected %lld", i,
                                    (long long)extent, d, (long long)y->dims[d]);
            }
        }
    return CREASE_OK;
}

typedef struct part_state {
    int axis;
    int64_t outer, row; /* rows of the whole and elements in one */
    int64_t *pieces;    /* Split: of those, elements in each output */
} part_state;

static crease_status prepare_parts(cr_prepare *p, const cr_shape *whole, int64_t otherwise) {
    part_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_axis_attr(p->node, otherwise, whole->rank, &s->axis));
    s->outer = cr_shape_extent(whole, 0, s->axis);
    s->row = cr_shape_extent(whole, s->axis, whole->rank);
    return CREASE_OK;
}

static crease_status concat_prepare(cr_prepare *p) {
    return prepare_parts(p, &p->out[0].shape, 1);
}

static crease_status concat_run(cr_run *r) {
    const part_state *s = r->state;
    size_t element = cr_element_bytes(r->out[0]->dtype);
    char *to = r->out[0]->data;
    for (int i = 0; i < r->n_in; i++) {
        int64_t piece = cr_shape_extent(&r->in[i]->shape, s->axis, r->in[i]->shape.rank);
        cr_nest nest = {0};
        cr_nest_add(&nest, s->outer, piece, s->row);
        cr_nest_add(&nest, piece, 1, 1);
        if (to != r->in[i]->data)
            cr_move(r->pool, &nest, element, r->in[i]->data, to);
        to += (size_t)piece * element;
    }
    return CREASE_OK;
}

/* ---- Split (ONNX 1: attribute or input, 2 and 11: attribute, 13: input, 18: num_outputs) ---- */

/* What says how a Split cuts: sizes as a tensor or an attribute, or neither. */
typedef struct split_sizes {
    const cr_tensor *list;
    const int64_t *attr;
} split_sizes;

/* Extent of output i: as given, or equal parts of which the last may be smaller from version 18 on. */
static crease_status split_extent(const cr_node *node, int64_t opset, const split_sizes *sizes, int i,
                                  int64_t total, int64_t *extent) {
    *extent = CR_DIM_UNKNOWN;
    if (sizes->list || sizes->attr) {
        *extent = sizes->list ? cr_tensor_int(sizes->list, i) : sizes->attr[i];
        if (*extent < 0)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "output %d has the negative size %lld", i,
                                (long long)*extent);
    } else if (total >= 0) {
        int64_t n = node->n_outputs, part = total / n + (total % n != 0), begin = i * part;
        if (total % n && opset < 18)
            return cr_node_fail(node, CREASE_ERROR_MODEL,
                                "an extent of %lld cannot be cut into %lld equal parts", (long long)total,
                                (long long)n);
        *extent = begin >= total ? 0 : total - begin < part ? total - begin : part;
    }
    return CREASE_OK;
}

static crease_status split_infer(cr_infer *infer) {
    split_sizes sizes = {NULL, NULL};
    int axis, n_attr;
    bool none = true;
    CR_TRY(cr_infer_need(infer, 0));
    const cr_shape *x = &infer->in[0]->shape;
    for (int i = 0; i < infer->n_out; i++)
        infer->out[i].dtype = infer->in[0]->dtype;
    if (x->rank < 0)
        return CREASE_OK;
    CR_TRY(cr_axis_attr(infer->node, 0, x->rank, &axis));
    CR_TRY(cr_attr_ints(infer->node, "split", &sizes.attr, &n_attr));
    if (!n_attr)
        CR_TRY(cr_infer_list(infer, 1, &sizes.list, &none));
    int64_t n = n_attr ? n_attr : sizes.list ? cr_shape_n(&sizes.list->shape) : infer->n_out, sum = 0;
    if (n != infer->n_out)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%lld sizes are given for %d outputs",
                            (long long)n, infer->n_out);
    int64_t total = sizes.list || none ? x->dims[axis] : CR_DIM_UNKNOWN;
    for (int i = 0; i < infer->n_out; i++) {
        infer->out[i].shape = *x;
        int64_t *extent = &infer->out[i].shape.dims[axis];
        CR_TRY(split_extent(infer->node, infer->opset, &sizes, i, total, extent));
        if (*extent > 0 && __builtin_add_overflow(sum, *extent, &sum))
            sum = INT64_MAX;
    }
    if (total >= 0 && sum != total)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the parts have %lld in sum, the axis %lld",
                            (long long)sum, (long long)total);
    return CREASE_OK;
}

/* The shapes of left-out outputs are not given, so the extents are read again. */
static crease_status split_prepare(cr_prepare *p) {
    const cr_shape *x = &p->in[0]->shape;
    const cr_info *list = p->n_in > 1 ? p->in[1] : NULL;
    split_sizes sizes = {list ? list->known : NULL, NULL};
    int n;
    CR_TRY(prepare_parts(p, x, 0));
    part_state *s = p->state;
    CR_TRY(cr_attr_ints(p->node, "split", &sizes.attr, &n));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->pieces, (size_t)p->n_out));
    for (int i = 0; i < p->n_out; i++) {
        CR_TRY(split_extent(p->node, p->opset, &sizes, i, x->dims[s->axis], &s->pieces[i]));
        s->pieces[i] *= cr_shape_extent(x, s->axis + 1, x->rank);
    }
    return CREASE_OK;
}

static crease_status split_run(cr_run *r) {
    const part_state *s = r->state;
    size_t element = cr_element_bytes(r->in[0]->dtype);
    const char *from = r->in[0]->data;
    for (int i = 0; i < r->n_out; i++) {
        cr_nest nest = {0};
        cr_nest_add(&nest, s->outer, s->row, s->pieces[i]);
        cr_nest_add(&nest, s->pieces[i], 1, 1);
        if (r->out[i] && r->out[i]->data != from)
            cr_move(r->pool, &nest, element, from, r->out[i]->data);
        from += (size_t)s->pieces[i] * element;
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

/* The nest of a permuted copy into a dense result. */
static void permute(move_state *s, const cr_shape *from, const int *perm) {
    int64_t strides[CR_MAX_RANK], dense[CR_MAX_RANK];
    cr_shape to = *from;
    for (int d = 0; d < from->rank; d++)
        to.dims[d] = from->dims[perm[d]];
    cr_dense_strides(from, strides);
    cr_dense_strides(&to, dense);
    for (int d = 0; d < from->rank; d++)
        cr_nest_add(&s->nest, to.dims[d], strides[perm[d]], dense[d]);
    s->rows = cr_nest_finish(&s->nest);
}

static crease_status transpose_prepare(cr_prepare *p) {
    int perm[CR_MAX_RANK];
    move_state *s;
    CR_TRY(begin_nest(p, &s));
    CR_TRY(permutation(p->node, p->in[0]->shape.rank, perm));
    permute(s, &p->in[0]->shape, perm);
    return CREASE_OK;
}

/* ---- Slice (ONNX 1: attributes, 10, 11, 13: inputs with steps) ---- */

typedef struct slice_axis {
    int64_t start, step, n;
} slice_axis;

/* Starts and ends count from the end where negative, then are clamped: a forward slice lies in [0, extent], a
 * backward one runs from extent - 1 at most down to before 0. */
static slice_axis cut(int64_t extent, int64_t start, int64_t end, int64_t step) {
    int64_t first = step > 0 ? 0 : -1, last = step > 0 ? extent : extent - 1;
    start += start < 0 ? extent : 0;
    end += end < 0 ? extent : 0;
    start = start < 0 ? 0 : start > last ? last : start;
    end = end < first ? first : end > last ? last : end;
    int64_t span = step > 0 ? end - start : start - end;
    int64_t stride = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    slice_axis axis = {start, step, span > 0 ? (span - 1) / stride + 1 : 0};
    if (axis.n < 2) /* so that no stride can overflow */
        axis.step = 1;
    return axis;
}

enum { STARTS, ENDS, AXES, STEPS, N_LISTS };

typedef struct slice_lists {
    int64_t values[N_LISTS][CR_MAX_RANK];
    int n[N_LISTS]; /* -1: left out */
} slice_lists;

static crease_status attr_lists(const cr_node *node, slice_lists *lists) {
    static const char *const names[] = {"starts", "ends", "axes"};
    lists->n[STEPS] = -1;
    for (int i = 0; i < STEPS; i++) {
        const int64_t *values;
        CR_TRY(cr_attr_ints(node, names[i], &values, &lists->n[i]));
        if (lists->n[i] > CR_MAX_RANK)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "attribute '%s' has %d values", names[i],
                                lists->n[i]);
        for (int k = 0; k < lists->n[i]; k++)
            lists->values[i][k] = values[k];
        if (i == AXES && lists->n[i] == 0)
            lists->n[i] = -1;
    }
    return CREASE_OK;
}

static crease_status plan_slice(const cr_node *node, const cr_shape *x, const slice_lists *lists,
                                slice_axis *axes) {
    int n = lists->n[STARTS];
    if (n < 0 || n != lists->n[ENDS] || (lists->n[AXES] >= 0 && lists->n[AXES] != n) ||
        (lists->n[STEPS] >= 0 && lists->n[STEPS] != n))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "starts, ends, axes and steps differ in length");
    for (int d = 0; d < x->rank; d++)
        axes[d] = (slice_axis){0, 1, x->dims[d]};
    for (int i = 0; i < n; i++) {
        int axis;
        CR_TRY(cr_axis_resolve(lists->n[AXES] >= 0 ? lists->values[AXES][i] : i, x->rank, node->name, &axis));
        int64_t step = lists->n[STEPS] >= 0 ? lists->values[STEPS][i] : 1;
        if (step == 0)
            return cr_node_fail(node, CREASE_ERROR_MODEL, "the step of axis %d is 0", axis);
        if (x->dims[axis] < 0)
            axes[axis].n = CR_DIM_UNKNOWN;
        else
            axes[axis] = cut(x->dims[axis], lists->values[STARTS][i], lists->values[ENDS][i], step);
    }
    return CREASE_OK;
}

static crease_status slice_infer(cr_infer *infer) {
    slice_lists lists;
    slice_axis axes[CR_MAX_RANK];
    bool known, all = true;
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    if (infer->opset < 10)
        CR_TRY(attr_lists(infer->node, &lists));
    for (int i = 0; infer->opset >= 10 && i < N_LISTS; i++) {
        CR_TRY(cr_infer_ints(infer, i + 1, lists.values[i], &lists.n[i], &known));
        all &= known;
    }
    const cr_shape *x = &infer->in[0]->shape;
    if (x->rank < 0)
        return CREASE_OK;
    if (all)
        CR_TRY(plan_slice(infer->node, x, &lists, axes));
    infer->out[0].shape.rank = x->rank;
    for (int d = 0; d < x->rank; d++)
        infer->out[0].shape.dims[d] = all ? axes[d].n : CR_DIM_UNKNOWN;
    return CREASE_OK;
}

static crease_status slice_prepare(cr_prepare *p) {
    slice_lists lists;
    slice_axis axes[CR_MAX_RANK];
    int64_t strides[CR_MAX_RANK], dense[CR_MAX_RANK];
    move_state *s;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(begin_nest(p, &s));
    if (p->opset < 10)
        CR_TRY(attr_lists(p->node, &lists));
    for (int i = 0; p->opset >= 10 && i < N_LISTS; i++) {
        const cr_tensor *list = i + 1 < p->n_in && p->in[i + 1] ? p->in[i + 1]->known : NULL;
        lists.n[i] = list ? (int)cr_shape_n(&list->shape) : -1;
        for (int k = 0; k < lists.n[i]; k++)
            lists.values[i][k] = cr_tensor_int(list, k);
    }
    CR_TRY(plan_slice(p->node, x, &lists, axes));
    cr_dense_strides(x, strides);
    cr_dense_strides(&p->out[0].shape, dense);
    for (int d = 0; d < x->rank; d++) {
        s->offset += axes[d].n ? axes[d].start * strides[d] : 0;
        cr_nest_add(&s->nest, axes[d].n, axes[d].step * strides[d], dense[d]);
    }
    s->rows = cr_nest_finish(&s->nest);
    s->offset = s->rows ? s->offset : 0;
    return CREASE_OK;
}

/* ---- Expand, Tile (ONNX 1: tiles and axis, 6: repeats) ---- */

static crease_status expand_infer(cr_infer *infer) {
    int64_t target[CR_MAX_RANK];
    int n;
    bool known;
    char text[256];
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    infer->out[0].dtype = infer->in[0]->dtype;
    CR_TRY(cr_infer_ints(infer, 1, target, &n, &known));
    if (!known)
        return CREASE_OK;
    for (int d = 0; d < n; d++)
        if (target[d] < 0)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the target dimension %lld is negative",
                                (long long)target[d]);
    cr_shape shape = cr_shape_of(n, target);
    return cr_shape_broadcast(&infer->in[0]->shape, &shape, cr_node_print(infer->node, text, sizeof text),
                              &infer->out[0].shape);
}

static crease_status expand_prepare(cr_prepare *p) {
    int64_t strides[CR_MAX_RANK], dense[CR_MAX_RANK];
    const cr_shape *x = &p->in[0]->shape, *y = &p->out[0].shape;
    move_state *s;
    CR_TRY(begin_nest(p, &s));
    cr_dense_strides(x, strides);
    cr_dense_strides(y, dense);
    for (int d = 0; d < y->rank; d++) {
        int from = d - (y->rank - x->rank);
        cr_nest_add(&s->nest, y->dims[d], from < 0 || x->dims[from] == 1 ? 0 : strides[from], dense[d]);
    }
    s->rows = cr_nest_finish(&s->nest);
    return CREASE_OK;
}

static crease_status tile_extent(cr_infer *infer, int d, int64_t repeat) {
    int64_t *extent = &infer->out[0].shape.dims[d];
    if (repeat < 0 || (*extent >= 0 && __builtin_mul_overflow(*extent, repeat, extent)))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "a repeat of %lld is not possible",
                            (long long)repeat);
    return CREASE_OK;
}

static crease_status tile_infer(cr_infer *infer) {
    int64_t repeats[CR_MAX_RANK];
    int n;
    bool known;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
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
        CR_TRY(tile_extent(infer, d, repeats[d]));
    return CREASE_OK;
}

/* Tile 1: inputs tiles and axis are scalars of the type of the data or integers. */
static crease_status scalar(const cr_infer *infer, int i, int64_t *value, bool *known) {
    CR_TRY(cr_infer_need(infer, i));
    const cr_tensor *t = infer->in[i]->known;
    *known = t != NULL;
    if (!t)
        return CREASE_OK;
    bool floats = cr_dtype_is_float(t->dtype), ints = t->dtype == CREASE_INT64 || t->dtype == CREASE_INT32;
    if ((!floats && !ints) || cr_shape_n(&t->shape) != 1)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is not one number", i);
    double number = floats ? cr_load_float(t->dtype, t->data, 0) : (double)cr_tensor_int(t, 0);
    if (!(number > -1e9 && number < 1e9))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is %g", i, number);
    *value = (int64_t)number;
    return CREASE_OK;
}

static crease_status tile1_infer(cr_infer *infer) {
    int64_t repeat, axis;
    int resolved;
    bool known, axis_known;
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0].dtype = infer->in[0]->dtype;
    CR_TRY(scalar(infer, 1, &repeat, &known));
    CR_TRY(scalar(infer, 2, &axis, &axis_known));
    if (!known || !axis_known || infer->in[0]->shape.rank < 0)
        return CREASE_OK;
    CR_TRY(cr_axis_resolve(axis, infer->in[0]->shape.rank, infer->node->name, &resolved));
    infer->out[0].shape = infer->in[0]->shape;
    return tile_extent(infer, resolved, repeat);
}

/* Two loops for each axis: over the repeats, then over the extent. */
static crease_status tile_prepare(cr_prepare *p) {
    int64_t strides[CR_MAX_RANK], dense[CR_MAX_RANK];
    const cr_shape *x = &p->in[0]->shape, *y = &p->out[0].shape;
    move_state *s;
    CR_TRY(begin_nest(p, &s));
    cr_dense_strides(x, strides);
    cr_dense_strides(y, dense);
    for (int d = 0; d < y->rank; d++) {
        cr_nest_add(&s->nest, x->dims[d] ? y->dims[d] / x->dims[d] : 0, 0, x->dims[d] * dense[d]);
        cr_nest_add(&s->nest, x->dims[d], strides[d], dense[d]);
    }
    s->rows = cr_nest_finish(&s->nest);
    return CREASE_OK;
}

/* ---- DepthToSpace (ONNX 1, 11: mode, 13), SpaceToDepth: a transposition of six axes ---- */

enum { TO_SPACE, TO_DEPTH };

static crease_status blocks_infer(cr_infer *infer) {
    int64_t b;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_rank(infer, 0, 4, 4));
    CR_TRY(cr_attr_int(infer->node, "blocksize", 0, &b));
    cr_shape *y = &infer->out[0].shape;
    if (b < 1 || b > 1 << 15)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "blocksize is %lld", (long long)b);
    for (int d = 1; d < y->rank; d++) {
        bool shrinks = (d == 1) == (infer->op->variant == TO_SPACE);
        int64_t factor = d == 1 ? b * b : b;
        if (y->dims[d] < 0)
            y->dims[d] = CR_DIM_UNKNOWN;
        else if (shrinks && y->dims[d] % factor == 0)
            y->dims[d] /= factor;
        else if (shrinks || __builtin_mul_overflow(y->dims[d], factor, &y->dims[d]))
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                                "the extent of axis %d does not go with blocks of %lld", d, (long long)b);
    }
    return CREASE_OK;
}

static crease_status blocks_prepare(cr_prepare *p) {
    static const int dcr[] = {0, 3, 4, 1, 5, 2}, crd[] = {0, 1, 4, 2, 5, 3}, depth[] = {0, 3, 5, 1, 2, 4};
    const char *mode;
    int64_t b;
    move_state *s;
    const int64_t *x = p->in[0]->shape.dims;
    CR_TRY(begin_nest(p, &s));
    CR_TRY(cr_attr_int(p->node, "blocksize", 0, &b));
    CR_TRY(cr_attr_string(p->node, "mode", "DCR", &mode));
    cr_shape from = {.rank = 6};
    const int *perm = strcmp(mode, "CRD") == 0 ? crd : dcr;
    if (strcmp(mode, "CRD") != 0 && strcmp(mode, "DCR") != 0)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "mode '%s' is not known", mode);
    if (p->op->variant == TO_DEPTH) {
        perm = depth;
        from = cr_shape_of(6, (int64_t[]){x[0], x[1], x[2] / b, b, x[3] / b, b});
    } else if (perm == dcr) {
        from = cr_shape_of(6, (int64_t[]){x[0], b, b, x[1] / (b * b), x[2], x[3]});
    } else {
        from = cr_shape_of(6, (int64_t[]){x[0], x[1] / (b * b), b, b, x[2], x[3]});
    }
    permute(s, &from, perm);
    return CREASE_OK;
}

/* ---- Trilu (ONNX 14) ---- */

static crease_status trilu_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    return cr_infer_rank(infer, 0, 2, CR_MAX_RANK);
}

typedef struct trilu_job {
    const char *x;
    char *y;
    int64_t rows, columns, k;
    size_t element;
    bool upper;
} trilu_job;

static void trilu_task(void *context, int64_t begin, int64_t end, int thread) {
    const trilu_job *j = context;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        int64_t diagonal = row % j->rows + j->k + !j->upper;
        int64_t at = diagonal < 0 ? 0 : diagonal > j->columns ? j->columns : diagonal;
        size_t left = (size_t)at * j->element, all = (size_t)j->columns * j->element,
               base = (size_t)row * all;
        size_t keep = j->upper ? left : 0, n = j->upper ? all - left : left;
        memset(j->y + base, 0, keep);
        memcpy(j->y + base + keep, j->x + base + keep, n);
        memset(j->y + base + keep + n, 0, all - keep - n);
    }
}

static crease_status trilu_prepare(cr_prepare *p) {
    int64_t *upper;
    CR_TRY(CR_PREPARE_STATE(p, &upper));
    return cr_attr_int(p->node, "upper", 1, upper);
}

static crease_status trilu_run(cr_run *r) {
    const cr_shape *x = &r->in[0]->shape;
    int64_t k = 0, n = cr_shape_n(x);
    if (r->n_in > 1 && r->in[1]) {
        if (r->in[1]->dtype != CREASE_INT64 || cr_shape_n(&r->in[1]->shape) != 1)
            return cr_node_fail(r->node, CREASE_ERROR_MODEL, "k is not one int64");
        k = cr_tensor_int(r->in[1], 0);
    }
    int64_t rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
    k = k < -rows - 1 ? -rows - 1 : k > columns ? columns : k;
    trilu_job job = {r->in[0]->data,
                     r->out[0]->data,
                     rows,
                     columns,
                     k,
                     cr_element_bytes(r->in[0]->dtype),
                     *(const int64_t *)r->state != 0};
    if (n)
        cr_parallel_grain(r->pool, n / columns, THREAD_BYTES / columns + 1, trilu_task, &job);
    return CREASE_OK;
}

#define MOVE(name, since, until, infer, prepare, run, variant, flags)                                        \
    { name, since, until, CR_T_BYTES, infer, prepare, run, variant, CR_OP_HALF | (flags), 0, NULL }

const cr_op cr_ops_move[] = {
    MOVE("Concat", 1, 0, concat_infer, concat_prepare, concat_run, 0, CR_OP_JOIN),
    MOVE("Split", 1, 0, split_infer, split_prepare, split_run, 0, CR_OP_PART),
    MOVE("Transpose", 1, 0, transpose_infer, transpose_prepare, move_run, 0, 0),
    MOVE("Slice", 1, 0, slice_infer, slice_prepare, move_run, 0, 0),
    MOVE("Expand", 8, 0, expand_infer, expand_prepare, move_run, 0, 0),
    MOVE("Tile", 1, 5, tile1_infer, tile_prepare, move_run, 0, 0),
    MOVE("Tile", 6, 0, tile_infer, tile_prepare, move_run, 0, 0),
    MOVE("DepthToSpace", 1, 0, blocks_infer, blocks_prepare, move_run, TO_SPACE, 0),
    MOVE("SpaceToDepth", 1, 0, blocks_infer, blocks_prepare, move_run, TO_DEPTH, 0),
    MOVE("Trilu", 14, 0, trilu_infer, trilu_prepare, trilu_run, 0, 0),
    {0},
};
