#include "runtime/ops/move.h"

#include <string.h>

/* Data movement by bytes: Transpose, Expand, Tile, DepthToSpace, SpaceToDepth. Each is one nest of loops that
 * prepare writes down and run walks. */

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

crease_status cr_move_begin(cr_prepare *p, cr_move_state **s) {
    CR_TRY(CR_PREPARE_STATE(p, s));
    (*s)->element = cr_element_bytes(p->in[0]->dtype);
    return CREASE_OK;
}

crease_status cr_move_run(cr_run *r) {
    const cr_move_state *s = r->state;
    copy_nest(r->pool, &s->nest, s->rows, s->element,
              (const char *)r->in[0]->data + s->offset * (int64_t)s->element, r->out[0]->data);
    return CREASE_OK;
}

/* ---- Transpose ---- */

crease_status cr_transpose_axes(const cr_node *node, int rank, int *perm) {
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
    CR_TRY(cr_transpose_axes(infer->node, x->rank, perm));
    for (int d = 0; d < x->rank; d++)
        infer->out[0].shape.dims[d] = x->dims[perm[d]];
    return CREASE_OK;
}

/* The nest of a permuted copy into a dense result. */
static void permute(cr_move_state *s, const cr_shape *from, const int *perm) {
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
    cr_move_state *s;
    CR_TRY(cr_move_begin(p, &s));
    CR_TRY(cr_transpose_axes(p->node, p->in[0]->shape.rank, perm));
    permute(s, &p->in[0]->shape, perm);
    return CREASE_OK;
}

/* ---- Expand, Tile (ONNX 1: tiles and axis, 6: repeats) ---- */

static crease_status expand_infer(cr_infer *infer) {
    int64_t target[CR_MAX_RANK];
    int n;
    bool known;
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
    return cr_node_broadcast(infer->node, &infer->in[0]->shape, &shape, &infer->out[0].shape);
}

static crease_status expand_prepare(cr_prepare *p) {
    int64_t strides[CR_MAX_RANK], dense[CR_MAX_RANK];
    const cr_shape *x = &p->in[0]->shape, *y = &p->out[0].shape;
    cr_move_state *s;
    CR_TRY(cr_move_begin(p, &s));
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
    CR_TRY(cr_node_axis(infer->node, axis, infer->in[0]->shape.rank, &resolved));
    infer->out[0].shape = infer->in[0]->shape;
    return tile_extent(infer, resolved, repeat);
}

/* Two loops for each axis: over the repeats, then over the extent. */
static crease_status tile_prepare(cr_prepare *p) {
    int64_t strides[CR_MAX_RANK], dense[CR_MAX_RANK];
    const cr_shape *x = &p->in[0]->shape, *y = &p->out[0].shape;
    cr_move_state *s;
    CR_TRY(cr_move_begin(p, &s));
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
    cr_move_state *s;
    const int64_t *x = p->in[0]->shape.dims;
    CR_TRY(cr_move_begin(p, &s));
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

#define MOVE(name, since, until, infer, prepare, variant)                                                    \
    { name, since, until, CR_T_BYTES, infer, prepare, cr_move_run, variant, CR_OP_HALF, 0, NULL }

const cr_op cr_ops_move[] = {
    MOVE("Transpose", 1, 0, transpose_infer, transpose_prepare, 0),
    MOVE("Expand", 8, 0, expand_infer, expand_prepare, 0),
    MOVE("Tile", 1, 5, tile1_infer, tile_prepare, 0),
    MOVE("Tile", 6, 0, tile_infer, tile_prepare, 0),
    MOVE("DepthToSpace", 1, 0, blocks_infer, blocks_prepare, TO_SPACE),
    MOVE("SpaceToDepth", 1, 0, blocks_infer, blocks_prepare, TO_DEPTH),
    {0},
};
