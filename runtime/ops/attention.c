#include "runtime/kernels/attention.h"
#include "runtime/kernels/gemm.h"
#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* Attention (ONNX 23, 24) and RotaryEmbedding (23). Heads stand in an axis of their own [batch, heads,
 * length, size] or side by side [batch, length, heads size]; both are read where they lie, by strides. */

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_K, IN_PAST_V, IN_LENGTHS };
enum { OUT_Y, OUT_K, OUT_V, OUT_SCORES };
enum { SCORES_RAW, SCORES_CAPPED, SCORES_MASKED, SCORES_SOFTMAX }; /* qk_matmul_output_mode */

/* A tensor of heads. Strides in elements. */
typedef struct heads {
    int64_t batch, heads, length, size;
    int64_t batch_stride, head_stride, row_stride;
} heads;

static int64_t product(int64_t a, int64_t b) {
    int64_t c;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &c) ? CR_DIM_UNKNOWN : c;
}

/* rank 3: n heads side by side (attribute `name`). */
static crease_status read_heads(const cr_node *node, const cr_shape *x, const char *name, heads *h) {
    int64_t n = 1;
    if (x->rank == 4) {
        *h = (heads){x->dims[0], x->dims[1], x->dims[2], x->dims[3], 0, product(x->dims[2], x->dims[3]),
                     x->dims[3]};
        h->batch_stride = product(h->head_stride, h->heads);
        return CREASE_OK;
    }
    CR_TRY(cr_attr_int(node, name, 0, &n));
    if (x->rank != 3 || n < 1 || (x->dims[2] >= 0 && x->dims[2] % n))
        return cr_node_fail(node, CREASE_ERROR_MODEL, "an input of rank %d does not hold %lld heads (%s)",
                            x->rank, (long long)n, name);
    const int64_t size = x->dims[2] < 0 ? CR_DIM_UNKNOWN : x->dims[2] / n;
    *h = (heads){x->dims[0], n, x->dims[1], size, product(x->dims[1], x->dims[2]), size, x->dims[2]};
    return CREASE_OK;
}

static bool differ(int64_t a, int64_t b) {
    return a >= 0 && b >= 0 && a != b;
}

/* ---- Attention: shapes ---- */

typedef struct sizes {
    heads q, k, v, past_k, past_v; /* past: length 0 where there is none */
    int64_t total;                 /* keys, past ones included */
} sizes;

static crease_status does_not_fit(const cr_node *node, const char *what) {
    return cr_node_fail(node, CREASE_ERROR_MODEL, "%s do not fit together", what);
}

static const cr_info *optional(const cr_info *const *in, int n_in, int i) {
    return i < n_in ? in[i] : NULL;
}

static crease_status read_past(const cr_node *node, const cr_info *past, const heads *now, heads *h) {
    *h = *now;
    h->length = 0;
    if (!past)
        return CREASE_OK;
    if (past->shape.rank != 4)
        return does_not_fit(node, "past keys or values");
    CR_TRY(read_heads(node, &past->shape, "", h));
    return differ(h->batch, now->batch) || differ(h->heads, now->heads) || differ(h->size, now->size)
               ? does_not_fit(node, "past and present keys or values")
               : CREASE_OK;
}

static crease_status read_sizes(const cr_node *node, const cr_info *const *in, int n_in, sizes *s) {
    CR_TRY(read_heads(node, &in[IN_Q]->shape, "q_num_heads", &s->q));
    CR_TRY(read_heads(node, &in[IN_K]->shape, "kv_num_heads", &s->k));
    CR_TRY(read_heads(node, &in[IN_V]->shape, "kv_num_heads", &s->v));
    if (differ(s->q.batch, s->k.batch) || differ(s->k.batch, s->v.batch) || differ(s->q.size, s->k.size) ||
        differ(s->k.length, s->v.length) || differ(s->k.heads, s->v.heads) ||
        (s->q.heads > 0 && s->k.heads >= 0 && (s->k.heads == 0 || s->q.heads % s->k.heads)))
        return does_not_fit(node, "queries, keys and values");
    CR_TRY(read_past(node, optional(in, n_in, IN_PAST_K), &s->k, &s->past_k));
    CR_TRY(read_past(node, optional(in, n_in, IN_PAST_V), &s->v, &s->past_v));
    if (differ(s->past_k.length, s->past_v.length))
        return does_not_fit(node, "past keys and values");
    s->total = s->k.length < 0 || s->past_k.length < 0 ? CR_DIM_UNKNOWN : s->k.length + s->past_k.length;
    return CREASE_OK;
}

/* Extents of the mask from the right: keys (no more than there are), queries, heads, batch; 1 repeats. */
static crease_status check_mask(const cr_infer *infer, const sizes *s) {
    const cr_info *mask = optional(infer->in, infer->n_in, IN_MASK);
    if (!mask)
        return CREASE_OK;
    if (mask->dtype && mask->dtype != CREASE_BOOL && mask->dtype != infer->in[IN_Q]->dtype)
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "a mask of %s",
                            crease_dtype_name(mask->dtype));
    const int rank = mask->shape.rank;
    const int64_t wanted[] = {s->q.length, s->q.heads, s->q.batch};
    bool fits = rank < 0 || (rank >= 1 && rank <= 4);
    for (int i = 0; fits && rank > 0 && i < rank - 1; i++) {
        const int64_t extent = mask->shape.dims[rank - 2 - i];
        fits = extent == 1 || !differ(extent, wanted[i]);
    }
    if (fits && rank > 0 && s->total >= 0)
        fits = mask->shape.dims[rank - 1] <= s->total;
    return fits ? CREASE_OK : does_not_fit(infer->node, "mask and scores");
}

static crease_status check_lengths(const cr_infer *infer, const sizes *s) {
    const cr_info *lengths = optional(infer->in, infer->n_in, IN_LENGTHS);
    if (lengths && ((lengths->dtype && lengths->dtype != CREASE_INT64) ||
                    (lengths->shape.rank >= 0 &&
                     (lengths->shape.rank != 1 || differ(lengths->shape.dims[0], s->q.batch)))))
        return does_not_fit(infer->node, "nonpad_kv_seqlen and the batch");
    return CREASE_OK;
}

static crease_status attention_infer(cr_infer *infer) {
    sizes s;
    for (int i = IN_Q; i <= IN_V; i++) {
        CR_TRY(cr_infer_need(infer, i));
        CR_TRY(cr_infer_same_type(infer, IN_Q, i));
    }
    CR_TRY(cr_infer_same_type(infer, IN_K, IN_PAST_K));
    CR_TRY(cr_infer_same_type(infer, IN_V, IN_PAST_V));
    for (int i = 0; i < infer->n_out; i++)
        infer->out[i].dtype = infer->in[IN_Q]->dtype;
    for (int i = 0; i <= IN_PAST_V && i < infer->n_in; i++)
        if (i != IN_MASK && infer->in[i] && infer->in[i]->shape.rank < 0)
            return CREASE_OK;
    CR_TRY(read_sizes(infer->node, infer->in, infer->n_in, &s));
    CR_TRY(check_mask(infer, &s));
    CR_TRY(check_lengths(infer, &s));
    infer->out[OUT_Y].shape =
        infer->in[IN_Q]->shape.rank == 4
            ? (cr_shape){.rank = 4, .dims = {s.q.batch, s.q.heads, s.q.length, s.v.size}}
            : (cr_shape){.rank = 3, .dims = {s.q.batch, s.q.length, product(s.q.heads, s.v.size)}};
    const cr_shape more[] = {{.rank = 4, .dims = {s.k.batch, s.k.heads, s.total, s.k.size}},
                             {.rank = 4, .dims = {s.v.batch, s.v.heads, s.total, s.v.size}},
                             {.rank = 4, .dims = {s.q.batch, s.q.heads, s.q.length, s.total}}};
    for (int i = OUT_K; i < infer->n_out && i <= OUT_SCORES; i++)
        infer->out[i].shape = more[i - 1];
    return CREASE_OK;
}

/* ---- Attention: prepare ---- */

typedef struct attention_state {
    sizes s;
    float scale, softcap;
    int64_t causal, mode;
    bool joined;                  /* keys and values stand in memory of their own, past ones first */
    size_t at_k, at_v, row_bytes; /* scratch: joined keys, joined values, then scores for each thread */
    size_t at_scores;
} attention_state;

static crease_status reserve(cr_prepare *p, crease_dtype dtype, int64_t a, int64_t b, int64_t c, int64_t d,
                             size_t *at) {
    const cr_shape shape = {.rank = 4, .dims = {a, b, c, d}};
    return cr_prepare_reserve(p, dtype, &shape, "keys or scores", at);
}

static bool is_wanted(const cr_node *node, int i) {
    return cr_node_output(node, i) != NULL;
}

static crease_status attention_prepare(cr_prepare *p) {
    attention_state *s;
    const crease_dtype dtype = p->in[IN_Q]->dtype;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_sizes(p->node, p->in, p->n_in, &s->s));
    CR_TRY(cr_attr_float(p->node, "scale", 0, &s->scale));
    CR_TRY(cr_attr_float(p->node, "softcap", 0, &s->softcap));
    CR_TRY(cr_attr_int(p->node, "is_causal", 0, &s->causal));
    CR_TRY(cr_attr_int(p->node, "qk_matmul_output_mode", 0, &s->mode));
    if (s->scale == 0)
        s->scale = s->s.k.size ? 1 / sqrtf((float)s->s.k.size) : 1;
    const sizes *z = &s->s;
    s->joined = optional(p->in, p->n_in, IN_PAST_K) || optional(p->in, p->n_in, IN_PAST_V) ||
                is_wanted(p->node, OUT_K) || is_wanted(p->node, OUT_V);
    if (s->joined) {
        CR_TRY(reserve(p, dtype, z->k.batch, z->k.heads, z->total, z->k.size, &s->at_k));
        CR_TRY(reserve(p, dtype, z->v.batch, z->v.heads, z->total, z->v.size, &s->at_v));
    }
    if (!cr_tensor_bytes(dtype, 0, &(cr_shape){.rank = 2, .dims = {z->q.length, z->total}}, &s->row_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "scores are too large");
    return reserve(p, dtype, 1, cr_pool_threads(p->pool), z->q.length, z->total, &s->at_scores);
}

/* ---- Attention: run ---- */

typedef struct attention_job {
    const cr_run *r;
    const attention_state *s;
    crease_dtype dtype;
    size_t element;
    const char *k, *v;
    heads keys, values; /* where k and v lie */
} attention_job;

/* [batch, heads, total, size] from the past and the present ones. */
static void join(const heads *past, const cr_tensor *old, const heads *now, const cr_tensor *fresh,
                 size_t element, heads *joined, char *to) {
    const int64_t total = past->length + now->length;
    const size_t row = (size_t)now->size * element;
    *joined = *now;
    joined->length = total;
    joined->row_stride = now->size;
    joined->head_stride = total * now->size;
    joined->batch_stride = joined->head_stride * now->heads;
    for (int64_t b = 0; b < now->batch; b++)
        for (int64_t h = 0; h < now->heads; h++)
            for (int64_t i = 0; i < total; i++, to += row) {
                const bool is_old = i < past->length;
                const heads *from = is_old ? past : now;
                const int64_t at = b * from->batch_stride + h * from->head_stride +
                                   (is_old ? i : i - past->length) * from->row_stride;
                memcpy(to, (const char *)(is_old ? old : fresh)->data + (size_t)at * element, row);
            }
}

static void multiply(const attention_job *j, bool transposed, int64_t m, int64_t n, int64_t k, double alpha,
                     const void *a, int64_t lda, const void *b, int64_t ldb, void *c, int64_t ldc) {
    if (j->dtype == CREASE_DOUBLE)
        cr_dgemm(false, transposed, m, n, k, alpha, a, lda, b, ldb, 0, c, ldc);
    else
        cr_sgemm(false, transposed, m, n, k, (float)alpha, a, lda, b, ldb, 0, c, ldc);
}

/* What one query of a head sees. */
static cr_scores scores_of(const attention_job *j, int64_t b, int64_t h, int64_t row) {
    const attention_state *s = j->s;
    const cr_tensor *mask = j->r->n_in > IN_MASK ? j->r->in[IN_MASK] : NULL;
    const cr_tensor *lengths = j->r->n_in > IN_LENGTHS ? j->r->in[IN_LENGTHS] : NULL;
    cr_scores scores = {.n = s->s.total, .visible = s->s.total, .softcap = (double)s->softcap};
    if (s->causal && row + s->s.past_k.length + 1 < scores.visible)
        scores.visible = row + s->s.past_k.length + 1;
    if (lengths && cr_tensor_int(lengths, b) < scores.visible)
        scores.visible = cr_tensor_int(lengths, b);
    if (!mask)
        return scores;
    const int rank = mask->shape.rank;
    const int64_t index[] = {row, h, b};
    int64_t at = 0, stride = mask->shape.dims[rank - 1];
    scores.n_mask = stride;
    for (int i = 0; i < rank - 1; i++) {
        const int64_t extent = mask->shape.dims[rank - 2 - i];
        at += extent == 1 ? 0 : index[i] * stride;
        stride *= extent;
    }
    scores.mask_is_bool = mask->dtype == CREASE_BOOL;
    scores.mask = (const char *)mask->data + (size_t)at * (scores.mask_is_bool ? 1 : j->element);
    return scores;
}

static void keep_scores(const attention_job *j, int stage, int64_t b, int64_t h, int64_t row,
                        const void *scores) {
    const attention_state *s = j->s;
    const size_t bytes = (size_t)s->s.total * j->element;
    if (stage == s->mode && j->r->n_out > OUT_SCORES && j->r->out[OUT_SCORES])
        memcpy((char *)j->r->out[OUT_SCORES]->data +
                   (size_t)((b * s->s.q.heads + h) * s->s.q.length + row) * bytes,
               scores, bytes);
}

static void attend_row(const attention_job *j, int64_t b, int64_t h, int64_t row, void *scores) {
    const cr_scores what = scores_of(j, b, h, row);
    keep_scores(j, SCORES_RAW, b, h, row, scores);
    cr_scores_cap(j->dtype, &what, scores);
    keep_scores(j, SCORES_CAPPED, b, h, row, scores);
    cr_scores_mask(j->dtype, &what, scores);
    keep_scores(j, SCORES_MASKED, b, h, row, scores);
    cr_scores_softmax(j->dtype, &what, scores);
    keep_scores(j, SCORES_SOFTMAX, b, h, row, scores);
}

static void attend(void *context, int64_t begin, int64_t end, int thread) {
    const attention_job *j = context;
    const attention_state *s = j->s;
    const heads *q = &s->s.q;
    const cr_run *r = j->r;
    char *scores = (char *)r->scratch + s->at_scores + (size_t)thread * s->row_bytes;
    const bool apart = r->in[IN_Q]->shape.rank == 4;
    const int64_t size = s->s.v.size, y_row = apart ? size : size * q->heads;
    for (int64_t task = begin; task < end; task++) {
        const int64_t b = task / q->heads, h = task % q->heads, kv = h / (q->heads / s->s.k.heads);
        const int64_t at_y = apart ? task * q->length * size : b * q->length * y_row + h * size;
        multiply(
            j, true, q->length, s->s.total, q->size, (double)s->scale,
            (const char *)r->in[IN_Q]->data + (size_t)(b * q->batch_stride + h * q->head_stride) * j->element,
            q->row_stride, j->k + (size_t)(b * j->keys.batch_stride + kv * j->keys.head_stride) * j->element,
            j->keys.row_stride, scores, s->s.total);
        for (int64_t row = 0; row < q->length; row++)
            attend_row(j, b, h, row, scores + (size_t)(row * s->s.total) * j->element);
        if (r->out[OUT_Y])
            multiply(j, false, q->length, size, s->s.total, 1, scores, s->s.total,
                     j->v + (size_t)(b * j->values.batch_stride + kv * j->values.head_stride) * j->element,
                     j->values.row_stride, (char *)r->out[OUT_Y]->data + (size_t)at_y * j->element, y_row);
    }
}

static char *joined_memory(const cr_run *r, int output, size_t at) {
    return r->n_out > output && r->out[output] ? r->out[output]->data : (char *)r->scratch + at;
}

static crease_status attention_run(cr_run *r) {
    const attention_state *s = r->state;
    attention_job j = {.r = r,
                       .s = s,
                       .dtype = r->in[IN_Q]->dtype,
                       .element = cr_element_bytes(r->in[IN_Q]->dtype),
                       .k = r->in[IN_K]->data,
                       .v = r->in[IN_V]->data,
                       .keys = s->s.k,
                       .values = s->s.v};
    if (s->joined) {
        char *k = joined_memory(r, OUT_K, s->at_k), *v = joined_memory(r, OUT_V, s->at_v);
        join(&s->s.past_k, r->n_in > IN_PAST_K ? r->in[IN_PAST_K] : NULL, &s->s.k, r->in[IN_K], j.element,
             &j.keys, k);
        join(&s->s.past_v, r->n_in > IN_PAST_V ? r->in[IN_PAST_V] : NULL, &s->s.v, r->in[IN_V], j.element,
             &j.values, v);
        j.k = k;
        j.v = v;
    }
    if (s->s.k.heads)
        cr_parallel(r->pool, s->s.q.batch * s->s.q.heads, attend, &j);
    return CREASE_OK;
}

/* ---- RotaryEmbedding ---- */

enum { IN_COS = 1, IN_SIN, IN_POSITIONS };

/* Angles have at least `half` columns, of which the first are used, by position [positions, half] with
 * position_ids, else [batch, length, half]. */
static crease_status check_angles(const cr_infer *infer, const heads *h) {
    int64_t rotated;
    const cr_shape *cosines = &infer->in[IN_COS]->shape, *sines = &infer->in[IN_SIN]->shape;
    const cr_info *positions = optional(infer->in, infer->n_in, IN_POSITIONS);
    CR_TRY(cr_attr_int(infer->node, "rotary_embedding_dim", 0, &rotated));
    if (rotated < 0)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "rotary_embedding_dim is %lld",
                            (long long)rotated);
    if (rotated == 0)
        rotated = h->size;
    if (cosines->rank < 0 || sines->rank < 0 || rotated < 0)
        return CREASE_OK;
    bool fits = rotated % 2 == 0 && (h->size < 0 || rotated <= h->size) && cr_shape_fits(cosines, sines) &&
                cosines->rank == (positions ? 2 : 3) &&
                (cosines->dims[cosines->rank - 1] < 0 || cosines->dims[cosines->rank - 1] >= rotated / 2);
    if (fits && !positions)
        fits = !differ(cosines->dims[0], h->batch) && !differ(cosines->dims[1], h->length);
    if (fits && positions && positions->shape.rank >= 0)
        fits = positions->shape.rank == 2 && !differ(positions->shape.dims[0], h->batch) &&
               !differ(positions->shape.dims[1], h->length);
    if (positions && positions->dtype && positions->dtype != CREASE_INT64)
        fits = false;
    return fits ? CREASE_OK : does_not_fit(infer->node, "input, angles and positions");
}

static crease_status rotary_infer(cr_infer *infer) {
    heads h;
    CR_TRY(cr_infer_same(infer));
    for (int i = IN_COS; i <= IN_SIN; i++) {
        CR_TRY(cr_infer_need(infer, i));
        CR_TRY(cr_infer_same_type(infer, 0, i));
    }
    if (infer->in[0]->shape.rank < 0)
        return CREASE_OK;
    CR_TRY(read_heads(infer->node, &infer->in[0]->shape, "num_heads", &h));
    return check_angles(infer, &h);
}

typedef struct rotary_state {
    heads h;
    int64_t rotated, interleaved;
} rotary_state;

static crease_status rotary_prepare(cr_prepare *p) {
    rotary_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(read_heads(p->node, &p->in[0]->shape, "num_heads", &s->h));
    CR_TRY(cr_attr_int(p->node, "rotary_embedding_dim", 0, &s->rotated));
    if (s->rotated == 0)
        s->rotated = s->h.size;
    return cr_attr_int(p->node, "interleaved", 0, &s->interleaved);
}

static crease_status rotate_position(const cr_run *r, const rotary_state *s, int64_t b, int64_t i) {
    const heads *h = &s->h;
    const size_t element = cr_element_bytes(r->in[0]->dtype);
    const cr_tensor *positions = r->n_in > IN_POSITIONS ? r->in[IN_POSITIONS] : NULL;
    const cr_shape *table = &r->in[IN_COS]->shape;
    const int64_t stride = table->dims[table->rank - 1];
    int64_t row = b * h->length + i;
    if (positions) {
        row = ((const int64_t *)positions->data)[row];
        if (row < 0 || row >= table->dims[0])
            return cr_node_fail(r->node, CREASE_ERROR_RUN, "position %lld is outside [0, %lld)",
                                (long long)row, (long long)table->dims[0]);
    }
    const size_t angles = (size_t)(row * stride) * element;
    for (int64_t k = 0; k < h->heads; k++) {
        const size_t at = (size_t)(b * h->batch_stride + k * h->head_stride + i * h->row_stride) * element;
        const char *x = (const char *)r->in[0]->data + at;
        char *y = (char *)r->out[0]->data + at;
        const size_t rotated = (size_t)s->rotated * element;
        cr_rotate(r->in[0]->dtype, s->interleaved != 0, s->rotated, x,
                  (const char *)r->in[IN_COS]->data + angles, (const char *)r->in[IN_SIN]->data + angles, y);
        memcpy(y + rotated, x + rotated, (size_t)h->size * element - rotated);
    }
    return CREASE_OK;
}

static crease_status rotary_run(cr_run *r) {
    const rotary_state *s = r->state;
    for (int64_t b = 0; b < s->h.batch; b++)
        for (int64_t i = 0; i < s->h.length; i++)
            CR_TRY(rotate_position(r, s, b, i));
    return CREASE_OK;
}

const cr_op cr_ops_attention[] = {
    {"Attention", 23, 0, CR_T_FLOATS, attention_infer, attention_prepare, attention_run, 0, 0, 0, NULL},
    {"RotaryEmbedding", 23, 0, CR_T_FLOATS, rotary_infer, rotary_prepare, rotary_run, 0, 0, 0, NULL},
    {0},
};
