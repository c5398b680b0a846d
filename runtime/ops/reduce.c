#include "runtime/kernels/reduce.h"
#include "runtime/ops/infer.h"

#include <math.h>
#include <string.h>

/* ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSum,
 * ReduceLogSumExp on floats, int32 and int64. axes is an attribute until opset 17 (ReduceSum: 12) and an
 * input later. */
enum { MEAN, SUM, MAX, MIN, PROD, L1, L2, SQUARES, LOG_SUM, LOG_SUM_EXP };

/* given: the input with the axes, NULL: left out; any: whether there is anything to reduce. */
static crease_status axes_of(const cr_node *node, const cr_tensor *given, int rank, bool *reduced,
                             bool *any) {
    const int64_t *attr;
    int n_attr;
    int64_t noop = 0;
    CR_TRY(cr_attr_ints(node, "axes", &attr, &n_attr));
    CR_TRY(cr_attr_int(node, "noop_with_empty_axes", 0, &noop));
    const int64_t n = given ? cr_shape_n(&given->shape) : n_attr;
    *any = n > 0 || !noop;
    for (int d = 0; d < rank; d++)
        reduced[d] = n == 0 && !noop;
    for (int64_t i = 0; i < n; i++) {
        int axis;
        CR_TRY(cr_node_axis(node, given ? cr_tensor_int(given, i) : attr[i], rank, &axis));
        reduced[axis] = true;
    }
    return CREASE_OK;
}

static crease_status reduce_infer(cr_infer *infer) {
    bool reduced[CR_MAX_RANK], any;
    int64_t keep;
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_attr_int(infer->node, "keepdims", 1, &keep));
    infer->out[0].dtype = infer->in[0]->dtype;
    const cr_info *axes = infer->n_in > 1 ? infer->in[1] : NULL;
    if (axes && axes->dtype && axes->dtype != CREASE_INT64 && axes->dtype != CREASE_INT32)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input 1 (axes) is %s, expected int64",
                            crease_dtype_name(axes->dtype));
    const cr_shape *x = &infer->in[0]->shape;
    if (x->rank < 0 || (axes && !axes->known))
        return CREASE_OK;
    CR_TRY(axes_of(infer->node, axes ? axes->known : NULL, x->rank, reduced, &any));
    cr_shape y = {.rank = 0};
    for (int d = 0; d < x->rank; d++)
        if (!reduced[d] || keep)
            y.dims[y.rank++] = reduced[d] ? 1 : x->dims[d];
    infer->out[0].shape = y;
    return CREASE_OK;
}

static double load(const cr_tensor *t, int64_t i) {
    switch (t->dtype) {
    case CREASE_INT64:
        return (double)((const int64_t *)t->data)[i];
    case CREASE_INT32:
        return ((const int32_t *)t->data)[i];
    case CREASE_BOOL:
        return ((const uint8_t *)t->data)[i] != 0;
    default:
        return cr_load_float(t->dtype, t->data, i);
    }
}

static void store(cr_tensor *t, int64_t i, double v) {
    if (t->dtype == CREASE_INT64)
        ((int64_t *)t->data)[i] = v >= 0x1p63 ? INT64_MAX : v < -0x1p63 || v != v ? INT64_MIN : (int64_t)v;
    else if (t->dtype == CREASE_BOOL)
        ((uint8_t *)t->data)[i] = v > 0; /* the maximum of nothing is false, the minimum true */
    else if (t->dtype == CREASE_INT32)
        ((int32_t *)t->data)[i] = v > INT32_MAX             ? INT32_MAX
                                  : v < INT32_MIN || v != v ? INT32_MIN
                                                            : (int32_t)v;
    else
        cr_store_float(t->dtype, t->data, i, v);
}

static cr_reduction reduction_of(int op) {
    switch (op) {
    case MAX:
        return CR_REDUCE_MAX;
    case MIN:
        return CR_REDUCE_MIN;
    case PROD:
        return CR_REDUCE_PRODUCT;
    case L1:
        return CR_REDUCE_SIZES;
    case L2:
    case SQUARES:
        return CR_REDUCE_SQUARES;
    default:
        return CR_REDUCE_SUM;
    }
}

/* Which output element i of x is reduced into. */
static int64_t output_of(const cr_shape *x, const bool *reduced, int64_t i) {
    int64_t at = 0, stride = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        if (!reduced[d]) {
            at += i % x->dims[d] * stride;
            stride *= x->dims[d];
        }
        i /= x->dims[d];
    }
    return at;
}

static void reduce_into(int op, const cr_tensor *x, const bool *reduced, double *sums, int64_t n_out) {
    const cr_reduction reduction = reduction_of(op);
    for (int64_t i = 0; i < n_out; i++)
        sums[i] = cr_reduce_start(reduction);
    for (int64_t i = 0, n = cr_shape_n(&x->shape); i < n; i++) {
        int64_t at = output_of(&x->shape, reduced, i);
        sums[at] = cr_reduce_step(reduction, sums[at], load(x, i));
    }
}

/* log(sum exp(x)) as top + log(sum exp(x - top)), which does not overflow; tops [n_out] is scratch. */
static void log_sum_exp(const cr_tensor *x, const bool *reduced, double *sums, double *tops, int64_t n_out) {
    reduce_into(MAX, x, reduced, tops, n_out);
    for (int64_t i = 0; i < n_out; i++)
        sums[i] = 0;
    for (int64_t i = 0, n = cr_shape_n(&x->shape); i < n; i++) {
        int64_t at = output_of(&x->shape, reduced, i);
        sums[at] += isinf(tops[at]) ? load(x, i) == tops[at] : exp(load(x, i) - tops[at]);
    }
    for (int64_t i = 0; i < n_out; i++)
        sums[i] = isinf(tops[i]) ? tops[i] : tops[i] + log(sums[i]);
}

static double finish(int op, double sum, double count) {
    switch (op) {
    case MEAN:
        return sum / count;
    case L2:
        return sqrt(sum);
    case LOG_SUM:
        return log(sum);
    default:
        return sum;
    }
}

/* ---- float32 over neighbouring axes: [outer, n, inner] to [outer, inner] ---- */

enum { COLUMNS = 128, GRAIN = 1 << 14 };

typedef struct run_job {
    const cr_tensor *x;
    cr_tensor *y;
    int op;
    int64_t outer, n, inner, pieces; /* pieces: of a row of results */
} run_job;

static bool is_one_run(const cr_info *x, const bool *reduced, run_job *job) {
    int64_t *extents[] = {&job->outer, &job->n, &job->inner};
    int at = 0;
    job->outer = job->n = job->inner = 1;
    for (int d = 0; d < x->shape.rank; d++) {
        if (x->shape.dims[d] == 1)
            continue;
        if (reduced[d] != (at == 1))
            at++;
        if (at > 2)
            return false;
        *extents[at] *= x->shape.dims[d];
    }
    job->pieces = (job->inner + COLUMNS - 1) / COLUMNS;
    return x->dtype == CREASE_FLOAT;
}

static void store_sums(const run_job *j, const double *sums, int64_t count, int64_t at) {
    for (int64_t i = 0; i < count; i++)
        ((float *)j->y->data)[at + i] = (float)finish(j->op, sums[i], (double)j->n);
}

static void reduce_piece(const run_job *j, int64_t o, int64_t first) {
    const int64_t count = j->inner - first < COLUMNS ? j->inner - first : COLUMNS;
    double sums[COLUMNS];
    cr_reduce_columns(reduction_of(j->op), (const float *)j->x->data + o * j->n * j->inner + first, j->n,
                      j->inner, count, sums);
    store_sums(j, sums, count, o * j->inner + first);
}

static void reduce_pieces(void *context, int64_t begin, int64_t end, int thread) {
    const run_job *j = context;
    (void)thread;
    for (int64_t task = begin; task < end; task++)
        reduce_piece(j, task / j->pieces, task % j->pieces * COLUMNS);
}

/* Where nothing is inside of what is reduced. */
static void reduce_rows(void *context, int64_t begin, int64_t end, int thread) {
    const run_job *j = context;
    (void)thread;
    for (int64_t o = begin; o < end; o += COLUMNS) {
        const int64_t count = end - o < COLUMNS ? end - o : COLUMNS;
        double sums[COLUMNS];
        cr_reduce_rows(reduction_of(j->op), (const float *)j->x->data + o * j->n, j->n, count, sums);
        store_sums(j, sums, count, o);
    }
}

static void reduce_run_of(cr_pool *pool, run_job *job) {
    const int64_t tasks = job->outer * job->pieces;
    cr_task *const reduce = job->inner == 1 ? reduce_rows : reduce_pieces;
    if (job->outer * job->n * job->inner < GRAIN)
        reduce(job, 0, tasks, 0);
    else
        cr_parallel(pool, tasks, reduce, job);
}

/* ---- everything else ---- */

typedef struct reduce_state {
    bool reduced[CR_MAX_RANK], any; /* axes; any of them, else the input is copied */
    bool fast;                      /* as `job` says, but for the tensors */
    run_job job;
} reduce_state;

static void reduce_any(cr_run *r) {
    const reduce_state *s = r->state;
    const bool any = s->any;
    const cr_tensor *x = r->in[0];
    const int op = r->op->variant;
    const int64_t n_out = cr_shape_n(&r->out[0]->shape), n = cr_shape_n(&x->shape);
    double *sums = r->scratch;
    if (!any) /* noop_with_empty_axes: nothing is reduced, a copy */
        reduce_into(SUM, x, s->reduced, sums, n_out);
    else if (op == LOG_SUM_EXP)
        log_sum_exp(x, s->reduced, sums, sums + n_out, n_out);
    else
        reduce_into(op, x, s->reduced, sums, n_out);
    for (int64_t i = 0; i < n_out; i++)
        store(r->out[0], i, any ? finish(op, sums[i], (double)n / (double)n_out) : sums[i]);
}

/* The axes are known: without them there is no shape to prepare for. */
static crease_status reduce_prepare(cr_prepare *p) {
    const cr_info *x = p->in[0], *axes = p->n_in > 1 ? p->in[1] : NULL;
    reduce_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(axes_of(p->node, axes ? axes->known : NULL, x->shape.rank, s->reduced, &s->any));
    s->job.op = p->op->variant;
    s->fast = s->any && s->job.op != LOG_SUM_EXP && is_one_run(x, s->reduced, &s->job);
    if (!s->fast)
        p->scratch_bytes = 2 * ((size_t)cr_shape_n(&p->out[0].shape) + 1) * sizeof(double);
    return CREASE_OK;
}

static crease_status reduce_run(cr_run *r) {
    const reduce_state *s = r->state;
    run_job job = s->job;
    job.x = r->in[0];
    job.y = r->out[0];
    if (s->fast)
        reduce_run_of(r->pool, &job);
    else
        reduce_any(r);
    return CREASE_OK;
}

/* ---- ArgMax, ArgMin ---- */

static crease_status arg_infer(cr_infer *infer) {
    int64_t keep;
    int at;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_attr_int(infer->node, "keepdims", 1, &keep));
    infer->out[0].dtype = CREASE_INT64;
    cr_shape *y = &infer->out[0].shape;
    if (y->rank < 0)
        return CREASE_OK;
    CR_TRY(cr_axis_attr(infer->node, 0, y->rank, &at));
    y->dims[at] = 1;
    if (!keep) {
        memmove(&y->dims[at], &y->dims[at + 1], (size_t)(y->rank - at - 1) * sizeof *y->dims);
        y->rank--;
    }
    return CREASE_OK;
}

typedef struct arg_state {
    int64_t outer, extent, inner, last; /* last: not the first of equals */
} arg_state;

static crease_status arg_prepare(cr_prepare *p) {
    const cr_shape *x = &p->in[0]->shape;
    arg_state *s;
    int axis;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_axis_attr(p->node, 0, x->rank, &axis));
    CR_TRY(cr_attr_int(p->node, "select_last_index", 0, &s->last));
    s->outer = cr_shape_extent(x, 0, axis);
    s->extent = x->dims[axis];
    s->inner = cr_shape_extent(x, axis + 1, x->rank);
    if (s->extent == 0 && s->outer * s->inner > 0)
        return cr_node_fail(p->node, CREASE_ERROR_RUN, "the axis is empty");
    return CREASE_OK;
}

/* Index of the best of the line that begins at an element. */
static int64_t best_of(const arg_state *s, bool least, const cr_tensor *x, int64_t first) {
    int64_t best = 0;
    for (int64_t k = 1; k < s->extent; k++) {
        const double v = load(x, first + k * s->inner), top = load(x, first + best * s->inner);
        if ((least ? v < top : v > top) || (s->last && v == top))
            best = k;
    }
    return best;
}

static crease_status arg_run(cr_run *r) {
    const arg_state *s = r->state;
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t i = 0; i < s->inner; i++)
            ((int64_t *)r->out[0]->data)[o * s->inner + i] =
                best_of(s, r->op->variant == MIN, r->in[0], o * s->extent * s->inner + i);
    return CREASE_OK;
}

enum { TYPES = CR_T_BOOL | CR_T_FLOATS | CR_T(CREASE_INT32) | CR_T(CREASE_INT64) };
#define REDUCE(name, variant)                                                                                \
    { name, 1, 0, TYPES, reduce_infer, reduce_prepare, reduce_run, variant, CR_OP_HALF, 0, NULL }

const cr_op cr_ops_reduce[] = {
    REDUCE("ReduceMean", MEAN),
    REDUCE("ReduceSum", SUM),
    REDUCE("ReduceMax", MAX),
    REDUCE("ReduceMin", MIN),
    REDUCE("ReduceProd", PROD),
    REDUCE("ReduceL1", L1),
    REDUCE("ReduceL2", L2),
    REDUCE("ReduceSumSquare", SQUARES),
    REDUCE("ReduceLogSum", LOG_SUM),
    REDUCE("ReduceLogSumExp", LOG_SUM_EXP),
    {"ArgMax", 1, 0, TYPES, arg_infer, arg_prepare, arg_run, MAX, CR_OP_HALF, 0, NULL},
    {"ArgMin", 1, 0, TYPES, arg_infer, arg_prepare, arg_run, MIN, CR_OP_HALF, 0, NULL},
    {0},
};
