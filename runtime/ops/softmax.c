#include "runtime/kernels/softmax.h"
#include "runtime/ops/infer.h"

#include <math.h>

/* Softmax, LogSoftmax and Hardmax (1 at the first largest element, 0 elsewhere): until opset 12 over
 * everything from `axis` on, from 13 on along one axis. float32 runs on kernels/softmax.h, other types and
 * Hardmax on loops in double. */
enum { NORMAL, LOG, HARD };

typedef struct softmax_state {
    cr_softmax_shape shape;
    int64_t columns;
} softmax_state;

static crease_status softmax_prepare(cr_prepare *p) {
    softmax_state *s;
    const cr_shape *x = &p->in[0]->shape;
    const bool flat = p->op->until != 0;
    int axis = 0;
    int64_t value;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_attr_int(p->node, "axis", flat ? 1 : -1, &value));
    if (flat && value == x->rank) /* everything before the end: rows of one element */
        axis = x->rank;
    else if (x->rank)
        CR_TRY(cr_node_axis(p->node, value, x->rank, &axis));
    const int end = flat ? x->rank : axis + (x->rank > 0);
    s->shape.log = p->op->variant == LOG;
    s->shape.extent = cr_shape_extent(x, axis, end);
    s->shape.inner = cr_shape_extent(x, end, x->rank);
    s->columns = cr_shape_extent(x, 0, axis) * s->shape.inner;
    return CREASE_OK;
}

/* ---- other types ---- */

static void column(const cr_run *r, const softmax_state *s, int64_t base) {
    const cr_tensor *x = r->in[0];
    const int64_t extent = s->shape.extent, inner = s->shape.inner;
    double high = -INFINITY, sum = 0;
    bool found = false;
    for (int64_t k = 0; k < extent; k++)
        high = fmax(high, cr_load_float(x->dtype, x->data, base + k * inner));
    for (int64_t k = 0; k < extent; k++)
        sum += exp(cr_load_float(x->dtype, x->data, base + k * inner) - high);
    for (int64_t k = 0; k < extent; k++) {
        const double u = cr_load_float(x->dtype, x->data, base + k * inner) - high;
        const bool first = !found && u == 0;
        found |= first;
        cr_store_float(x->dtype, r->out[0]->data, base + k * inner,
                       r->op->variant == LOG    ? u - log(sum)
                       : r->op->variant == HARD ? first
                                                : exp(u) / sum);
    }
}

/* ---- running ---- */

typedef struct softmax_job {
    const cr_softmax_shape *shape;
    const float *x;
    float *y;
} softmax_job;

static void softmax_task(void *context, int64_t begin, int64_t end, int thread) {
    const softmax_job *j = context;
    (void)thread;
    cr_softmax(cr_cpu_isa())(j->shape, j->x, j->y, begin, end);
}

enum { GRAIN = 1 << 14 }; /* elements that are worth a second thread */

static crease_status softmax_run(cr_run *r) {
    const softmax_state *s = r->state;
    const int64_t inner = s->shape.inner, span = s->shape.extent * inner;
    softmax_job job = {&s->shape, r->in[0]->data, r->out[0]->data};
    if (cr_shape_n(&r->in[0]->shape) == 0)
        return CREASE_OK;
    if (r->in[0]->dtype == CREASE_FLOAT && r->op->variant != HARD)
        cr_parallel_grain(r->pool, s->columns, GRAIN / s->shape.extent + 1, softmax_task, &job);
    else
        for (int64_t c = 0; c < s->columns; c++)
            column(r, s, c / inner * span + c % inner);
    return CREASE_OK;
}

#define SOFTMAX(name, since, until, variant)                                                                 \
    {                                                                                                        \
        name, since, until, CR_T_FLOATS, cr_infer_same, softmax_prepare, softmax_run, variant, CR_OP_HALF,   \
            0, NULL                                                                                          \
    }

const cr_op cr_ops_softmax[] = {
    SOFTMAX("Softmax", 1, 12, NORMAL),
    SOFTMAX("Softmax", 13, 0, NORMAL),
    SOFTMAX("LogSoftmax", 1, 12, LOG),
    SOFTMAX("LogSoftmax", 13, 0, LOG),
    SOFTMAX("Hardmax", 1, 12, HARD),
    SOFTMAX("Hardmax", 13, 0, HARD),
    {0},
};
