#include "tests/passes/generated/oracle.h"
#include "tests/passes/generated/network.h"

/* MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, ReduceMean, Resize and Upsample (nearest with
 * asymmetric coordinates rounded down, linear with half pixels). */

/* A weighted sum being collected. */
typedef struct mean {
    real sum, radius, magnitude, weight;
} mean;

static void collect(mean *m, const tracked *x, int64_t i, real weight) {
    m->sum += weight * x->value[i];
    m->radius += weight * x->radius[i];
    m->magnitude += weight * fabsl(x->value[i]);
    m->weight += weight;
}

static void put_mean(const operands *p, int64_t i, const mean *m, real divisor) {
    oracle_put(p, i, m->sum / divisor, (m->radius + 4 * p->oracle->units.step * m->magnitude) / divisor);
}

/* ---- pools ---- */

static void pool_element(const operands *p, const window *w, const int64_t *at, int64_t i, bool largest) {
    const tracked *x = p->in[0];
    int64_t tap[ORACLE_MAX_RANK] = {0}, from[ORACLE_MAX_RANK] = {at[0], at[1]}, padded = 0;
    mean m = {0};
    real top = -INFINITY, r = 0;
    do {
        bool in = true, in_padding = true;
        for (int a = 0; a < w->n; a++) {
            from[a + 2] = at[a + 2] * w->stride[a] + tap[a] * w->dilation[a] - w->begin[a];
            in &= from[a + 2] >= 0 && from[a + 2] < x->dims[a + 2];
            in_padding &= from[a + 2] < x->dims[a + 2] + w->end[a];
        }
        padded += in_padding;
        if (in) {
            int64_t j = oracle_at(x->rank, x->dims, from);
            collect(&m, x, j, 1);
            top = fmaxl(top, x->value[j]);
            r = fmaxl(r, x->radius[j]);
        }
    } while (oracle_next(w->n, w->kernel, tap));
    if (largest)
        p->out->value[i] = top, p->out->radius[i] = r;
    else
        put_mean(p, i, &m, oracle_int(p->node, "count_include_pad", 0) ? (real)padded : m.weight);
}

static void pool(operands *p, bool global, bool largest) {
    const tracked *x = p->in[0];
    int64_t kernel[ORACLE_MAX_RANK], dims[ORACLE_MAX_RANK] = {x->dims[0], x->dims[1]},
                                     at[ORACLE_MAX_RANK] = {0}, i = 0;
    for (int d = 2; d < x->rank; d++)
        kernel[d - 2] = x->dims[d];
    if (!global)
        oracle_ints(p, "kernel_shape", 0, kernel);
    window w = oracle_window(p, kernel, x->rank - 2);
    for (int d = 0; d < w.n; d++)
        dims[d + 2] = w.out[d];
    *p->out = oracle_new(p->oracle, x->rank, dims);
    do
        pool_element(p, &w, at, i++, largest);
    while (oracle_next(x->rank, dims, at));
}

/* ---- ReduceMean ---- */

static void reduce_mean(operands *p) {
    const tracked *x = p->in[0];
    int64_t axes[ORACLE_MAX_RANK], kept[ORACLE_MAX_RANK], dims[ORACLE_MAX_RANK], at[ORACLE_MAX_RANK] = {0},
                                                                                 n_out = 1, i = 0;
    int n = oracle_ints(p, "axes", 1, axes), rank = 0;
    bool keep = oracle_int(p->node, "keepdims", 1);
    for (int d = 0; d < x->rank; d++) {
        bool named = n == 0;
        for (int j = 0; j < n; j++)
            named |= axes[j] == d || axes[j] + x->rank == d;
        kept[d] = named ? 1 : x->dims[d];
        n_out *= kept[d];
        if (keep || !named)
            dims[rank++] = kept[d];
    }
    *p->out = oracle_new(p->oracle, rank, dims);
    mean *means = calloc((size_t)n_out, sizeof *means);
    do {
        int64_t to[ORACLE_MAX_RANK];
        for (int d = 0; d < x->rank; d++)
            to[d] = kept[d] == 1 ? 0 : at[d];
        collect(&means[oracle_at(x->rank, kept, to)], x, i++, 1);
    } while (oracle_next(x->rank, x->dims, at));
    for (i = 0; i < n_out; i++)
        put_mean(p, i, &means[i], means[i].weight);
    free(means);
}

/* ---- Resize ---- */

/* The two input positions between which output position `at` lies, and the weight of the second. */
static real between(bool nearest, int64_t at, real scale, int64_t n, int64_t *low, int64_t *high) {
    real position = nearest ? floorl((real)at / scale) : ((real)at + 0.5L) / scale - 0.5L;
    position = fminl(fmaxl(position, 0), (real)(n - 1));
    *low = (int64_t)floorl(position);
    *high = *low + 1 < n ? *low + 1 : *low;
    return position - floorl(position);
}

static void resize(operands *p) {
    const tracked *x = p->in[0], *scales = p->in[p->node->n_inputs == 2 ? 1 : 2], *sizes = p->in[3];
    bool nearest = oracle_text_is(p->node, "mode", "nearest", "nearest");
    int64_t dims[ORACLE_MAX_RANK], at[ORACLE_MAX_RANK] = {0}, i = 0;
    for (int d = 0; d < x->rank; d++)
        dims[d] = sizes ? (int64_t)sizes->value[d] : (int64_t)floorl((real)x->dims[d] * scales->value[d]);
    *p->out = oracle_new(p->oracle, x->rank, dims);
    do {
        mean m = {0};
        for (int corner = 0; corner < 1 << x->rank; corner++) {
            int64_t from[ORACLE_MAX_RANK], low, high;
            real weight = 1;
            for (int d = 0; d < x->rank; d++) {
                real scale = sizes ? (real)dims[d] / (real)x->dims[d] : scales->value[d];
                real w = between(nearest, at[d], scale, x->dims[d], &low, &high);
                bool second = corner >> d & 1;
                from[d] = second ? high : low;
                weight *= second ? w : 1 - w;
            }
            if (weight != 0)
                collect(&m, x, oracle_at(x->rank, x->dims, from), weight);
        }
        put_mean(p, i++, &m, 1);
    } while (oracle_next(x->rank, dims, at));
}

bool oracle_spatial(operands *p) {
    const cr_node *node = p->node;
    if (cr_node_is(node, "MaxPool") || cr_node_is(node, "GlobalMaxPool"))
        pool(p, cr_node_is(node, "GlobalMaxPool"), true);
    else if (cr_node_is(node, "AveragePool") || cr_node_is(node, "GlobalAveragePool"))
        pool(p, cr_node_is(node, "GlobalAveragePool"), false);
    else if (cr_node_is(node, "ReduceMean"))
        reduce_mean(p);
    else if (cr_node_is(node, "Resize") || cr_node_is(node, "Upsample"))
        resize(p);
    else
        return false;
    return true;
}
