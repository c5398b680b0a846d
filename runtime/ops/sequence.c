#include "runtime/ops/infer.h"

#include <string.h>

/* Parts of sequences moved along their axis: ReverseSequence (ONNX 10), the beginning of each reversed, and
 * TensorScatter (24), new entries written into a cache. */

/* ---- ReverseSequence ---- */

/* The other of the first two axes is time. */
static crease_status read_batch_axis(const cr_node *node, int *batch) {
    int64_t b, t;
    CR_TRY(cr_attr_int(node, "batch_axis", 1, &b));
    CR_TRY(cr_attr_int(node, "time_axis", 0, &t));
    if (b < 0 || b > 1 || t != 1 - b)
        return cr_node_fail(node, CREASE_ERROR_MODEL,
                            "batch_axis %lld and time_axis %lld are not the first two", (long long)b,
                            (long long)t);
    *batch = (int)b;
    return CREASE_OK;
}

static crease_status reverse_infer(cr_infer *infer) {
    int batch;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_rank(infer, 0, 2, CR_MAX_RANK));
    CR_TRY(cr_infer_rank(infer, 1, 1, 1));
    CR_TRY(read_batch_axis(infer->node, &batch));
    const cr_shape *x = &infer->in[0]->shape, *lengths = &infer->in[1]->shape;
    if (infer->in[1]->dtype && infer->in[1]->dtype != CREASE_INT64)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "sequence_lens are %s, expected int64",
                            crease_dtype_name(infer->in[1]->dtype));
    if (x->rank >= 0 && lengths->rank >= 0 && lengths->dims[0] >= 0 && x->dims[batch] >= 0 &&
        lengths->dims[0] != x->dims[batch])
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "%lld lengths for %lld sequences",
                            (long long)lengths->dims[0], (long long)x->dims[batch]);
    return CREASE_OK;
}

static crease_status reverse_prepare(cr_prepare *p) {
    int *batch;
    CR_TRY(CR_PREPARE_STATE(p, &batch));
    return read_batch_axis(p->node, batch);
}

static crease_status reverse_run(cr_run *r) {
    const cr_shape *x = &r->in[0]->shape;
    const int batch = *(const int *)r->state;
    const size_t row = (size_t)cr_shape_extent(x, 2, x->rank) * cr_element_bytes(r->in[0]->dtype);
    for (int64_t b = 0; b < x->dims[batch]; b++) {
        const int64_t length = cr_tensor_int(r->in[1], b), steps = x->dims[1 - batch];
        if (length < 0 || length > steps)
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "sequence %lld has %lld of %lld steps",
                                (long long)b, (long long)length, (long long)steps);
        for (int64_t t = 0; t < steps; t++) {
            const int64_t from = t < length ? length - 1 - t : t;
            const int64_t to_row = batch == 0 ? b * steps + t : t * x->dims[1] + b;
            const int64_t from_row = batch == 0 ? b * steps + from : from * x->dims[1] + b;
            memcpy((char *)r->out[0]->data + (size_t)to_row * row,
                   (const char *)r->in[0]->data + (size_t)from_row * row, row);
        }
    }
    return CREASE_OK;
}

/* ---- TensorScatter ---- */

enum { IN_CACHE, IN_UPDATE, IN_BEGIN };

static crease_status read_mode(const cr_node *node, bool *circular) {
    const char *mode;
    CR_TRY(cr_attr_string(node, "mode", "linear", &mode));
    *circular = strcmp(mode, "circular") == 0;
    if (!*circular && strcmp(mode, "linear") != 0)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "mode '%.40s' is not known", mode);
    return CREASE_OK;
}

static crease_status cache_infer(cr_infer *infer) {
    int axis;
    bool circular;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_need(infer, IN_UPDATE));
    CR_TRY(cr_infer_same_type(infer, IN_CACHE, IN_UPDATE));
    CR_TRY(read_mode(infer->node, &circular));
    const cr_shape *cache = &infer->in[IN_CACHE]->shape, *update = &infer->in[IN_UPDATE]->shape;
    const cr_info *begin = IN_BEGIN < infer->n_in ? infer->in[IN_BEGIN] : NULL;
    if (cache->rank < 0 || update->rank < 0)
        return CREASE_OK;
    CR_TRY(cr_axis_attr(infer->node, -2, cache->rank, &axis));
    bool fits = axis > 0 && update->rank == cache->rank;
    for (int d = 0; fits && d < cache->rank; d++)
        fits = update->dims[d] < 0 || cache->dims[d] < 0 ||
               (d == axis ? update->dims[d] <= cache->dims[d] : update->dims[d] == cache->dims[d]);
    if (fits && begin)
        fits = (!begin->dtype || begin->dtype == CREASE_INT64) &&
               (begin->shape.rank < 0 ||
                (begin->shape.rank == 1 &&
                 (begin->shape.dims[0] < 0 || cache->dims[0] < 0 || begin->shape.dims[0] == cache->dims[0])));
    return fits ? CREASE_OK
                : cr_node_fail(infer->node, CREASE_ERROR_MODEL,
                               "cache, update and indices do not fit together");
}

typedef struct cache_state {
    int axis;
    bool circular;
} cache_state;

static crease_status cache_prepare(cr_prepare *p) {
    cache_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_axis_attr(p->node, -2, p->in[IN_CACHE]->shape.rank, &s->axis));
    return read_mode(p->node, &s->circular);
}

/* Entries of one image from `begin` on, around the end where the cache is circular. */
static crease_status write_entries(const cr_run *r, int64_t image) {
    const cache_state *s = r->state;
    const int axis = s->axis;
    const cr_shape *cache = &r->in[IN_CACHE]->shape, *update = &r->in[IN_UPDATE]->shape;
    const cr_tensor *begins = IN_BEGIN < r->n_in ? r->in[IN_BEGIN] : NULL;
    const int64_t begin = begins ? cr_tensor_int(begins, image) : 0, room = cache->dims[axis],
                  n = update->dims[axis];
    const int64_t outer = cr_shape_extent(cache, 1, axis);
    const size_t row =
        (size_t)cr_shape_extent(cache, axis + 1, cache->rank) * cr_element_bytes(r->in[0]->dtype);
    if (begin < 0 || (s->circular ? begin >= room && n : begin > room - n))
        return cr_node_fail(r->node, CREASE_ERROR_RUN, "%lld entries from %lld on do not fit into %lld",
                            (long long)n, (long long)begin, (long long)room);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++)
            memcpy((char *)r->out[0]->data + (size_t)((image * outer + o) * room + (begin + i) % room) * row,
                   (const char *)r->in[IN_UPDATE]->data + (size_t)((image * outer + o) * n + i) * row, row);
    return CREASE_OK;
}

static crease_status cache_run(cr_run *r) {
    size_t bytes;
    const cr_shape *cache = &r->in[IN_CACHE]->shape;
    if (cr_tensor_bytes(r->in[IN_CACHE]->dtype, 0, cache, &bytes) && bytes)
        memcpy(r->out[0]->data, r->in[IN_CACHE]->data, bytes);
    for (int64_t image = 0; bytes && image < cache->dims[0]; image++)
        CR_TRY(write_entries(r, image));
    return CREASE_OK;
}

const cr_op cr_ops_sequence[] = {
    {"ReverseSequence", 10, 0, CR_T_BYTES, reverse_infer, reverse_prepare, reverse_run, 0, CR_OP_HALF, 0,
     NULL},
    {"TensorScatter", 24, 0, CR_T_BYTES, cache_infer, cache_prepare, cache_run, 0, CR_OP_HALF, 0, NULL},
    {0},
};
