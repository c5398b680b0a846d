#include "runtime/ops/move.h"

/* Concat (ONNX 1: axis 1 by default; 4, 11, 13) and Split (1: attribute or input, 2 and 11: attribute, 13:
 * input, 18: num_outputs): the parts of one axis, joined and apart. */

/* ---- Concat ---- */

/* The extent of axis d, of y and of an input to be joined with it along `axis`. */
static crease_status join_extents(const cr_infer *infer, int i, int axis, int d, int64_t *y) {
    const int64_t extent = infer->in[i]->shape.dims[d];
    if (d == axis && (extent < 0 || *y < 0))
        *y = CR_DIM_UNKNOWN;
    else if (d == axis && __builtin_add_overflow(*y, extent, y))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the extent of axis %d overflows", d);
    else if (d != axis && *y < 0)
        *y = extent;
    else if (d != axis && extent >= 0 && extent != *y)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                            "input %d has extent %lld at axis %d, expected %lld", i, (long long)extent, d,
                            (long long)*y);
    return CREASE_OK;
}

/* *known: all ranks are, and they are the same. */
static crease_status check_ranks(const cr_infer *infer, bool *known) {
    const int rank = infer->in[0]->shape.rank;
    for (int i = 0; i < infer->n_in; i++) {
        CR_TRY(cr_infer_need(infer, i));
        CR_TRY(cr_infer_same_type(infer, 0, i));
        *known = rank >= 0 && infer->in[i]->shape.rank >= 0;
        if (!*known)
            return CREASE_OK;
        if (infer->in[i]->shape.rank != rank)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d has rank %d, input 0 has %d", i,
                                infer->in[i]->shape.rank, rank);
    }
    return CREASE_OK;
}

static crease_status concat_infer(cr_infer *infer) {
    int axis;
    bool known;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(check_ranks(infer, &known));
    cr_shape *y = &infer->out[0].shape;
    if (!known) {
        *y = cr_shape_unknown();
        return CREASE_OK;
    }
    CR_TRY(cr_axis_attr(infer->node, 1, y->rank, &axis));
    for (int i = 1; i < infer->n_in; i++)
        for (int d = 0; d < y->rank; d++)
            CR_TRY(join_extents(infer, i, axis, d, &y->dims[d]));
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

/* ---- Split ---- */

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

#define PARTS(name, infer, prepare, run, flag)                                                               \
    { name, 1, 0, CR_T_BYTES, infer, prepare, run, 0, CR_OP_HALF | (flag), 0, NULL }

const cr_op cr_ops_concat[] = {
    PARTS("Concat", concat_infer, concat_prepare, concat_run, CR_OP_JOIN),
    PARTS("Split", split_infer, split_prepare, split_run, CR_OP_PART),
    {0},
};
