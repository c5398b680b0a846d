#include "runtime/ops/infer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* NonMaxSuppression (ONNX 10, 11): for each image and class, boxes by falling score, without those that
 * overlap one already chosen by more than the threshold. */

enum { IN_BOXES, IN_SCORES, IN_MOST, IN_OVERLAP, IN_SCORE };

static crease_status check_scalar(const cr_infer *infer, int i, crease_dtype dtype) {
    int64_t n;
    const cr_info *info = i < infer->n_in ? infer->in[i] : NULL;
    if (info &&
        ((info->dtype && info->dtype != dtype) ||
         (info->shape.rank >= 0 && cr_shape_product(&info->shape, 0, info->shape.rank, &n) && n != 1)))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is not one %s", i,
                            crease_dtype_name(dtype));
    return CREASE_OK;
}

static crease_status suppress_infer(cr_infer *infer) {
    int64_t centered;
    CR_TRY(cr_infer_need(infer, IN_BOXES));
    CR_TRY(cr_infer_need(infer, IN_SCORES));
    CR_TRY(cr_infer_rank(infer, IN_BOXES, 3, 3));
    CR_TRY(cr_infer_rank(infer, IN_SCORES, 3, 3));
    CR_TRY(cr_infer_same_type(infer, IN_BOXES, IN_SCORES));
    CR_TRY(check_scalar(infer, IN_MOST, CREASE_INT64));
    CR_TRY(check_scalar(infer, IN_OVERLAP, CREASE_FLOAT));
    CR_TRY(check_scalar(infer, IN_SCORE, CREASE_FLOAT));
    CR_TRY(cr_attr_int(infer->node, "center_point_box", 0, &centered));
    const cr_shape *boxes = &infer->in[IN_BOXES]->shape, *scores = &infer->in[IN_SCORES]->shape;
    bool fits = boxes->rank < 0 || boxes->dims[2] < 0 || boxes->dims[2] == 4;
    if (boxes->rank >= 0 && scores->rank >= 0)
        fits = fits && cr_shape_fits(&(cr_shape){.rank = 2, .dims = {boxes->dims[0], boxes->dims[1]}},
                                     &(cr_shape){.rank = 2, .dims = {scores->dims[0], scores->dims[2]}});
    if (!fits)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "boxes and scores do not fit together");
    infer->out[0] = (cr_info){.dtype = CREASE_INT64, .shape = {.rank = 2, .dims = {CR_DIM_UNKNOWN, 3}}};
    return CREASE_OK;
}

typedef struct box {
    float low[2], high[2];
} box;

typedef struct candidate {
    float score;
    int64_t index;
    box box;
    struct candidate *next; /* on the same shelf */
} candidate;

typedef struct chosen {
    int64_t (*rows)[3];
    size_t n, capacity;
} chosen;

/* The boxes chosen for one class, on shelves by where they begin in the first direction. A box looks at the
 * shelves up to its own end, and only at those on which something reaches beyond its begin: detectors that
 * move the boxes of each class to a place of their own would else compare every box with all others. */
enum { SHELVES = 256 };
typedef struct shelves {
    float low, per_unit; /* shelf = (begin - low) * per_unit */
    float end[SHELVES];  /* the furthest on it */
    candidate *first[SHELVES];
} shelves;

static box box_at(const float *at, bool centered) {
    if (centered) { /* x, y of the centre, width, height */
        const float w = at[2] / 2, h = at[3] / 2;
        return (box){{at[1] - h, at[0] - w}, {at[1] + h, at[0] + w}};
    }
    return (box){{fminf(at[0], at[2]), fminf(at[1], at[3])}, {fmaxf(at[0], at[2]), fmaxf(at[1], at[3])}};
}

static float area(const box *b) {
    return (b->high[0] - b->low[0]) * (b->high[1] - b->low[1]);
}

static bool overlaps(const box *a, const box *b, float threshold) {
    box both;
    for (int d = 0; d < 2; d++) {
        both.low[d] = a->low[d] > b->low[d] ? a->low[d] : b->low[d];
        both.high[d] = a->high[d] < b->high[d] ? a->high[d] : b->high[d];
        if (!(both.high[d] > both.low[d]))
            return false;
    }
    const float common = area(&both), all = area(a) + area(b) - common;
    return all > 0 && common / all > threshold;
}

static int by_score(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

typedef struct suppression {
    int64_t most;
    float overlap, score;
    bool centered, scored;
} suppression;

static size_t list_candidates(const suppression *s, const float *scores, const float *boxes, int64_t n,
                              candidate *list) {
    size_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (scores[i] == scores[i] && (!s->scored || scores[i] > s->score))
            list[count++] = (candidate){scores[i], i, box_at(boxes + i * 4, s->centered), NULL};
    if (count)
        qsort(list, count, sizeof *list, by_score);
    return count;
}

/* Never falls as `begin` grows. */
static int shelf_of(const shelves *s, float begin) {
    const float at = (begin - s->low) * s->per_unit;
    return at >= SHELVES - 1 ? SHELVES - 1 : at > 0 ? (int)at : 0;
}

static void clear_shelves(shelves *s, const candidate *list, size_t n) {
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (isfinite(list[i].box.low[0])) {
            low = fminf(low, list[i].box.low[0]);
            high = fmaxf(high, list[i].box.low[0]);
        }
    *s = (shelves){0};
    if (low < high && high - low < INFINITY) {
        s->low = low;
        s->per_unit = SHELVES / (high - low);
    }
    for (int i = 0; i < SHELVES; i++)
        s->end[i] = -INFINITY;
}

static bool is_suppressed(const shelves *s, const box *mine, float threshold) {
    const int last = shelf_of(s, mine->high[0]);
    for (int i = 0; i <= last; i++)
        for (const candidate *c = s->end[i] > mine->low[0] ? s->first[i] : NULL; c; c = c->next)
            if (overlaps(mine, &c->box, threshold))
                return true;
    return false;
}

/* One with NaN may be missed there: it overlaps nothing. */
static void put_on_shelf(shelves *s, candidate *c) {
    const int i = shelf_of(s, c->box.low[0]);
    c->next = s->first[i];
    s->first[i] = c;
    if (c->box.high[0] > s->end[i])
        s->end[i] = c->box.high[0];
}

static crease_status choose(const cr_run *r, const suppression *s, int64_t image, int64_t kind, chosen *c) {
    const cr_shape *scores = &r->in[IN_SCORES]->shape;
    const int64_t n = scores->dims[2];
    const float *boxes = (const float *)r->in[IN_BOXES]->data + image * n * 4;
    const float *of = (const float *)r->in[IN_SCORES]->data + (image * scores->dims[1] + kind) * n;
    candidate *list = r->scratch;
    shelves taken;
    const size_t count = list_candidates(s, of, boxes, n, list), first = c->n;
    clear_shelves(&taken, list, count);
    for (size_t k = 0; k < count && (int64_t)(c->n - first) < s->most; k++) {
        if (is_suppressed(&taken, &list[k].box, s->overlap))
            continue;
        put_on_shelf(&taken, &list[k]);
        CR_TRY(cr_grow(r->heap, (void **)&c->rows, &c->capacity, c->n + 1, sizeof *c->rows));
        c->rows[c->n][0] = image;
        c->rows[c->n][1] = kind;
        c->rows[c->n++][2] = list[k].index;
    }
    return CREASE_OK;
}

static crease_status suppress_prepare(cr_prepare *p) {
    int64_t *centered;
    CR_TRY(CR_PREPARE_STATE(p, &centered));
    CR_TRY(cr_attr_int(p->node, "center_point_box", 0, centered));
    if (!cr_mul_size((size_t)p->in[IN_SCORES]->shape.dims[2], sizeof(candidate), &p->scratch_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "there are too many boxes");
    return CREASE_OK;
}

static float scalar(const cr_run *r, int i, float otherwise) {
    return i < r->n_in && r->in[i] ? *(const float *)r->in[i]->data : otherwise;
}

static crease_status choose_all(cr_run *r, const suppression *s, chosen *c) {
    const cr_shape *scores = &r->in[IN_SCORES]->shape;
    for (int64_t image = 0; image < scores->dims[0]; image++)
        for (int64_t kind = 0; kind < scores->dims[1]; kind++)
            CR_TRY(choose(r, s, image, kind, c));
    CR_TRY(r->allocate(r, 0, &(cr_shape){.rank = 2, .dims = {(int64_t)c->n, 3}}));
    if (c->n)
        memcpy(r->out[0]->data, c->rows, c->n * sizeof *c->rows);
    return CREASE_OK;
}

static crease_status suppress_run(cr_run *r) {
    const int64_t *centered = r->state;
    chosen c = {0};
    const suppression s = {r->n_in > IN_MOST && r->in[IN_MOST] ? cr_tensor_int(r->in[IN_MOST], 0) : 0,
                           scalar(r, IN_OVERLAP, 0), scalar(r, IN_SCORE, 0), *centered != 0,
                           r->n_in > IN_SCORE && r->in[IN_SCORE]};
    crease_status status = choose_all(r, &s, &c);
    cr_free(r->heap, c.rows);
    return status;
}

const cr_op cr_ops_boxes[] = {
    {"NonMaxSuppression", 10, 0, CR_T(CREASE_FLOAT), suppress_infer, suppress_prepare, suppress_run, 0, 0, 0,
     NULL},
    {0},
};
