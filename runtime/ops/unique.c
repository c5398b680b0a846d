#include "runtime/ops/infer.h"

#include <string.h>

/* Unique (ONNX 11): the distinct elements, or slices along an axis, sorted or as they come first; where each
 * came first, which of them each is, how often. */

static crease_status unique_infer(cr_infer *infer) {
    int axis = 0;
    CR_TRY(cr_infer_need(infer, 0));
    const cr_shape *x = &infer->in[0]->shape;
    infer->out[0].dtype = infer->in[0]->dtype;
    for (int i = 1; i < infer->n_out; i++)
        infer->out[i] = (cr_info){.dtype = CREASE_INT64, .shape = {.rank = 1, .dims = {CR_DIM_UNKNOWN}}};
    if (!cr_attr_find(infer->node, "axis")) {
        infer->out[0].shape = (cr_shape){.rank = 1, .dims = {CR_DIM_UNKNOWN}};
        return CREASE_OK;
    }
    if (x->rank < 0)
        return CREASE_OK;
    CR_TRY(cr_axis_attr(infer->node, 0, x->rank, &axis));
    infer->out[0].shape = *x;
    infer->out[0].shape.dims[axis] = CR_DIM_UNKNOWN;
    return CREASE_OK;
}

typedef struct unique_state {
    int axis;
    bool flat, sorted;
    int64_t outer, n, inner; /* slices [outer][.][inner], n of them */
    int64_t *order, *merged; /* [n]: slices in order */
    int64_t *group, *first;  /* [n]: which distinct slice each is; [groups]: where it came first */
} unique_state;

static crease_status unique_prepare(cr_prepare *p) {
    unique_state *s;
    int64_t sorted;
    const cr_shape *x = &p->in[0]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_int(p->node, "sorted", 1, &sorted));
    s->sorted = sorted != 0;
    s->flat = !cr_attr_find(p->node, "axis");
    if (!s->flat)
        CR_TRY(cr_axis_attr(p->node, 0, x->rank, &s->axis));
    s->outer = s->flat ? 1 : cr_shape_extent(x, 0, s->axis);
    s->n = s->flat ? cr_shape_n(x) : x->dims[s->axis];
    s->inner = s->flat ? 1 : cr_shape_extent(x, s->axis + 1, x->rank);
    CR_TRY(CR_ARENA_NEW(p->arena, &s->order, (size_t)s->n));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->merged, (size_t)s->n));
    CR_TRY(CR_ARENA_NEW(p->arena, &s->group, (size_t)s->n));
    return CR_ARENA_NEW(p->arena, &s->first, (size_t)s->n);
}

/* NaN comes after every number and equals itself. */
static int compare_floats(double a, double b) {
    if (a != a || b != b)
        return (a != a) - (b != b);
    return (a > b) - (a < b);
}

static int compare_elements(const cr_tensor *x, int64_t i, int64_t j) {
    if (cr_dtype_is_float(x->dtype))
        return compare_floats(cr_load_float(x->dtype, x->data, i), cr_load_float(x->dtype, x->data, j));
    const int64_t a = cr_tensor_int(x, i), b = cr_tensor_int(x, j);
    if (x->dtype == CREASE_UINT64)
        return ((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b);
    return (a > b) - (a < b);
}

static int compare(const cr_tensor *x, const unique_state *s, int64_t i, int64_t j) {
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t k = 0; k < s->inner; k++) {
            const int found =
                compare_elements(x, (o * s->n + i) * s->inner + k, (o * s->n + j) * s->inner + k);
            if (found)
                return found;
        }
    return 0;
}

/* Merge sort: stable, so equal slices stay in the order of the input. */
static void sort(const cr_tensor *x, const unique_state *s) {
    for (int64_t i = 0; i < s->n; i++)
        s->order[i] = i;
    for (int64_t width = 1; width < s->n; width *= 2) {
        for (int64_t begin = 0; begin < s->n; begin += 2 * width) {
            const int64_t middle = begin + width < s->n ? begin + width : s->n;
            const int64_t end = middle + width < s->n ? middle + width : s->n;
            int64_t a = begin, b = middle;
            for (int64_t k = begin; k < end; k++)
                s->merged[k] = b == end || (a < middle && compare(x, s, s->order[a], s->order[b]) <= 0)
                                   ? s->order[a++]
                                   : s->order[b++];
        }
        memcpy(s->order, s->merged, (size_t)s->n * sizeof *s->order);
    }
}

/* Number the distinct slices, by value or by where they come first; gives how many there are. */
static int64_t number(const cr_tensor *x, const unique_state *s) {
    int64_t groups = 0;
    sort(x, s);
    for (int64_t i = 0; i < s->n; i++) {
        if (i == 0 || compare(x, s, s->order[i - 1], s->order[i]) != 0)
            s->first[groups++] = s->order[i];
        s->group[s->order[i]] = groups - 1;
    }
    if (s->sorted)
        return groups;
    int64_t *renumbered = s->order; /* by group; -1: not met yet */
    memset(renumbered, 0xff, (size_t)s->n * sizeof *renumbered);
    for (int64_t i = 0, next = 0; i < s->n; i++) {
        int64_t *mine = &renumbered[s->group[i]];
        if (*mine < 0) {
            s->first[next] = i;
            *mine = next++;
        }
        s->group[i] = *mine;
    }
    return groups;
}

static crease_status make_output(cr_run *r, int i, int64_t n, int64_t **data) {
    *data = NULL;
    if (i >= r->n_out || !r->out[i])
        return CREASE_OK;
    CR_TRY(r->allocate(r, i, &(cr_shape){.rank = 1, .dims = {n}}));
    *data = r->out[i]->data;
    return CREASE_OK;
}

static crease_status give_slices(cr_run *r, const unique_state *s, int64_t groups) {
    cr_shape y = s->flat ? (cr_shape){.rank = 1} : r->in[0]->shape;
    const size_t bytes = (size_t)s->inner * cr_element_bytes(r->in[0]->dtype);
    y.dims[s->axis] = groups;
    CR_TRY(r->allocate(r, 0, &y));
    for (int64_t o = 0; r->out[0] && bytes && o < s->outer; o++)
        for (int64_t g = 0; g < groups; g++)
            memcpy((char *)r->out[0]->data + (size_t)(o * groups + g) * bytes,
                   (const char *)r->in[0]->data + (size_t)(o * s->n + s->first[g]) * bytes, bytes);
    return CREASE_OK;
}

static crease_status unique_run(cr_run *r) {
    const unique_state *s = r->state;
    int64_t *first, *inverse, *counts;
    const int64_t groups = number(r->in[0], s);
    CR_TRY(give_slices(r, s, groups));
    CR_TRY(make_output(r, 1, groups, &first));
    CR_TRY(make_output(r, 2, s->n, &inverse));
    CR_TRY(make_output(r, 3, groups, &counts));
    if (first && groups)
        memcpy(first, s->first, (size_t)groups * sizeof *first);
    if (inverse && s->n)
        memcpy(inverse, s->group, (size_t)s->n * sizeof *inverse);
    if (counts && groups)
        memset(counts, 0, (size_t)groups * sizeof *counts);
    for (int64_t i = 0; counts && i < s->n; i++)
        counts[s->group[i]]++;
    return CREASE_OK;
}

const cr_op cr_ops_unique[] = {
    {"Unique", 11, 0, CR_T_NUMBERS | CR_T_BOOL, unique_infer, unique_prepare, unique_run, 0, CR_OP_HALF, 0,
     NULL},
    {0},
};
