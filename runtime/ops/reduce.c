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

/* ---- float32: axes in runs that are kept and reduced in turn, [..., n, inner] to [..., inner] ---- */

enum { COLUMNS = 128, GRAIN = 1 << 14, MOST_PARTS = 16 };

/* Runs of one sort, the last counted fastest. */
typedef struct axis_runs {
    int n;
    int64_t extents[CR_MAX_RANK], strides[CR_MAX_RANK];
    int64_t count; /* product of the extents */
} axis_runs;

typedef struct run_job {
    const float *x;
    float *y;
    const cr_reduce_kernels *kernels;
    int op;
    int64_t n, inner;        /* the last run that is reduced, and the kept one behind it, or 1 */
    axis_runs kept, reduced; /* those before */
    int64_t pieces;          /* of a row of results */
    int64_t parts;           /* of n where there are few results, for threads to share */
} run_job;

static void add_run(axis_runs *runs, int64_t extent, int64_t stride) {
    memmove(runs->extents + 1, runs->extents, (size_t)runs->n * sizeof *runs->extents);
    memmove(runs->strides + 1, runs->strides, (size_t)runs->n * sizeof *runs->strides);
    runs->extents[0] = extent;
    runs->strides[0] = stride;
    runs->count *= extent;
    runs->n++;
}

static int64_t offset_of(const axis_runs *runs, int64_t i) {
    int64_t at = 0;
    for (int d = runs->n - 1; d >= 0; d--) {
        at += i % runs->extents[d] * runs->strides[d];
        i /= runs->extents[d];
    }
    return at;
}

/* From the last axis to the first; the run behind `inner` and `n` is of kept ones again. */
static void find_runs(const cr_shape *x, const bool *reduced, run_job *job) {
    int64_t stride = 1;
    job->n = job->inner = job->kept.count = job->reduced.count = 1;
    for (int d = x->rank - 1, run = 0; d >= 0; run++) {
        const bool is_reduced = run % 2 != 0;
        int64_t extent = 1;
        for (; d >= 0 && (x->dims[d] == 1 || reduced[d] == is_reduced); d--)
            extent *= x->dims[d];
        if (run < 2)
            *(is_reduced ? &job->n : &job->inner) = extent;
        else
            add_run(is_reduced ? &job->reduced : &job->kept, extent, stride);
        stride *= extent;
    }
}

/* By sizes alone, so that results do not depend on the number of threads. */
static void cut(run_job *job) {
    job->pieces = (job->inner + COLUMNS - 1) / COLUMNS;
    const int64_t tasks = job->kept.count * job->pieces, most = MOST_PARTS / tasks;
    const int64_t work = job->n * (job->inner < COLUMNS ? job->inner : COLUMNS) / (2 * GRAIN);
    job->parts = job->op == LOG_SUM_EXP || most < 2 || work < 2 ? 1 : work < most ? work : most;
}

static void reduce_last_run(const run_job *j, cr_reduction op, const float *x, int64_t n, int64_t count,
                            const float *tops, double *sums) {
    if (tops && j->inner == 1)
        j->kernels->exp_rows(x, n, count, tops, sums);
    else if (tops)
        j->kernels->exp_columns(x, n, j->inner, count, tops, sums);
    else if (j->inner == 1)
        j->kernels->rows(op, x, n, count, sums);
    else
        j->kernels->columns(op, x, n, j->inner, count, sums);
}

/* `count` results that are neighbours, of n in the last run from x on: reductions, or with tops the sums of
 * exp(x - top). */
static void reduce_block(const run_job *j, cr_reduction op, const float *x, int64_t n, int64_t count,
                         const float *tops, double *sums) {
    double more[COLUMNS];
    reduce_last_run(j, op, x, n, count, tops, sums);
    for (int64_t r = 1; r < j->reduced.count; r++) {
        reduce_last_run(j, op, x + offset_of(&j->reduced, r), n, count, tops, more);
        for (int64_t i = 0; i < count; i++)
            sums[i] = cr_reduce_join(op, sums[i], more[i]);
    }
}

static void log_sum_exp_block(const run_job *j, const float *x, int64_t count, double *sums) {
    float tops[COLUMNS];
    reduce_block(j, CR_REDUCE_MAX, x, j->n, count, NULL, sums);
    for (int64_t i = 0; i < count; i++)
        tops[i] = (float)sums[i];
    reduce_block(j, CR_REDUCE_SUM, x, j->n, count, tops, sums);
    for (int64_t i = 0; i < count; i++)
        sums[i] = isinf(tops[i]) ? (double)tops[i] : (double)tops[i] + log(sums[i]);
}

static void store_sums(const run_job *j, const double *sums, int64_t count, int64_t at) {
    const double share = 1 / (double)(j->n * j->reduced.count);
    for (int64_t i = 0; i < count; i++)
        j->y[at + i] = (float)(j->op == MEAN ? sums[i] * share : finish(j->op, sums[i], 1));
}

static void reduce_whole(const run_job *j, const float *x, int64_t count, int64_t at) {
    double sums[COLUMNS];
    if (j->op == LOG_SUM_EXP)
        log_sum_exp_block(j, x, count, sums);
    else
        reduce_block(j, reduction_of(j->op), x, j->n, count, NULL, sums);
    store_sums(j, sums, count, at);
}

static int64_t fewer(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void reduce_pieces(void *context, int64_t begin, int64_t end, int thread) {
    const run_job *j = context;
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        const int64_t o = task / j->pieces, first = task % j->pieces * COLUMNS;
        reduce_whole(j, j->x + offset_of(&j->kept, o) + first, fewer(j->inner - first, COLUMNS),
                     o * j->inner + first);
    }
}

/* Where nothing kept is behind n: rows of the last kept run are neighbours. */
static void reduce_rows(void *context, int64_t begin, int64_t end, int thread) {
    const run_job *j = context;
    const int64_t last = j->kept.n ? j->kept.extents[j->kept.n - 1] : 1;
    (void)thread;
    for (int64_t o = begin, count; o < end; o += count) {
        count = fewer(fewer(end - o, COLUMNS), last - o % last);
        reduce_whole(j, j->x + offset_of(&j->kept, o), count, o);
    }
}

typedef struct part_job {
    const run_job *run;
    double sums[MOST_PARTS][COLUMNS]; /* of the parts of one piece after another */
} part_job;

static void reduce_parts(void *context, int64_t begin, int64_t end, int thread) {
    part_job *p = context;
    const run_job *j = p->run;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const int64_t task = i / j->parts, part = i % j->parts, first = task % j->pieces * COLUMNS;
        const int64_t at = j->n * part / j->parts, n = j->n * (part + 1) / j->parts - at;
        reduce_block(j, reduction_of(j->op),
                     j->x + offset_of(&j->kept, task / j->pieces) + at * j->inner + first, n,
                     fewer(j->inner - first, COLUMNS), NULL, p->sums[i]);
    }
}

static void reduce_in_parts(cr_pool *pool, const run_job *j) {
    part_job p = {.run = j};
    const int64_t tasks = j->kept.count * j->pieces;
    cr_parallel(pool, tasks * j->parts, reduce_parts, &p);
    for (int64_t task = 0; task < tasks; task++) {
        double *const sums = p.sums[task * j->parts];
        const int64_t first = task % j->pieces * COLUMNS, count = fewer(j->inner - first, COLUMNS);
        for (int64_t part = 1; part < j->parts; part++)
            for (int64_t i = 0; i < count; i++)
                sums[i] = cr_reduce_join(reduction_of(j->op), sums[i], p.sums[task * j->parts + part][i]);
        store_sums(j, sums, count, task / j->pieces * j->inner + first);
    }
}

static void reduce_runs(cr_pool *pool, run_job *job) {
    const int64_t tasks = job->kept.count * job->pieces;
    cr_task *const reduce = job->inner == 1 ? reduce_rows : reduce_pieces;
    if (job->parts > 1)
        reduce_in_parts(pool, job);
    else if (job->kept.count * job->inner * job->n * job->reduced.count < GRAIN)
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

/* The axes are known: without them there is no shape to prepare for. What is reduced in runs is not empty. */
static crease_status reduce_prepare(cr_prepare *p) {
    const cr_info *x = p->in[0], *axes = p->n_in > 1 ? p->in[1] : NULL;
    reduce_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(axes_of(p->node, axes ? axes->known : NULL, x->shape.rank, s->reduced, &s->any));
    s->fast = s->any && x->dtype == CREASE_FLOAT && cr_shape_n(&x->shape) > 0;
    if (!s->fast) {
        p->scratch_bytes = 2 * ((size_t)cr_shape_n(&p->out[0].shape) + 1) * sizeof(double);
        return CREASE_OK;
    }
    s->job.op = p->op->variant;
    s->job.kernels = cr_reduce(cr_cpu_isa());
    find_runs(&x->shape, s->reduced, &s->job);
    cut(&s->job);
    return CREASE_OK;
}

static crease_status reduce_run(cr_run *r) {
    const reduce_state *s = r->state;
    run_job job = s->job;
    job.x = r->in[0]->data;
    job.y = r->out[0]->data;
    if (s->fast)
        reduce_runs(r->pool, &job);
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

typedef struct arg_job {
    const arg_state *s;
    const float *x;
    int64_t *y;
    bool least;
    int64_t pieces; /* of a row of results */
} arg_job;

static void arg_rows(void *context, int64_t begin, int64_t end, int thread) {
    const arg_job *j = context;
    (void)thread;
    cr_reduce(cr_cpu_isa())
        ->arg_rows(j->least, j->x + begin * j->s->extent, j->s->extent, end - begin, j->y + begin);
}

static void arg_pieces(void *context, int64_t begin, int64_t end, int thread) {
    const arg_job *j = context;
    (void)thread;
    for (int64_t task = begin; task < end; task++) {
        const int64_t o = task / j->pieces, first = task % j->pieces * COLUMNS;
        cr_reduce(cr_cpu_isa())
            ->arg_columns(j->least, j->x + o * j->s->extent * j->s->inner + first, j->s->extent, j->s->inner,
                          fewer(j->s->inner - first, COLUMNS), j->y + o * j->s->inner + first);
    }
}

static void arg_on_vectors(cr_pool *pool, arg_job *j) {
    const bool rows = j->s->inner == 1;
    j->pieces = (j->s->inner + COLUMNS - 1) / COLUMNS;
    const int64_t work = j->s->extent * (rows ? 1 : COLUMNS);
    cr_parallel_grain(pool, j->s->outer * j->pieces, GRAIN / work + 1, rows ? arg_rows : arg_pieces, j);
}

static crease_status arg_run(cr_run *r) {
    const arg_state *s = r->state;
    arg_job job = {s, r->in[0]->data, r->out[0]->data, r->op->variant == MIN, 0};
    if (r->in[0]->dtype == CREASE_FLOAT && !s->last && s->extent <= INT32_MAX && s->outer * s->inner > 0)
        arg_on_vectors(r->pool, &job);
    else
        for (int64_t o = 0; o < s->outer; o++)
            for (int64_t i = 0; i < s->inner; i++)
                job.y[o * s->inner + i] = best_of(s, job.least, r->in[0], o * s->extent * s->inner + i);
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
