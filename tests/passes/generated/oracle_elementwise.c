#include "tests/passes/generated/oracle.h"
#include "tests/passes/generated/network.h"

/* Arithmetic with broadcasting, activations, BatchNormalization. */

/* ---- two operands ---- */

typedef enum arithmetic { ADD, SUB, MUL, DIV, MAX } arithmetic;

static void combine(const operands *p, arithmetic op, int64_t i, real a, real ra, real b, real rb) {
    switch (op) {
    case ADD:
        oracle_put(p, i, a + b, ra + rb);
        break;
    case SUB:
        oracle_put(p, i, a - b, ra + rb);
        break;
    case MUL:
        oracle_put(p, i, a * b, fabsl(a) * rb + fabsl(b) * ra + ra * rb);
        break;
    case DIV:
        oracle_put(p, i, a / b, rb < fabsl(b) ? (ra + fabsl(a / b) * rb) / (fabsl(b) - rb) : INFINITY);
        break;
    case MAX:
        p->out->value[i] = isnan(a) || isnan(b) ? NAN : fmaxl(a, b);
        p->out->radius[i] = fmaxl(ra, rb);
    }
}

/* Index in t of the element that stands at `at` of a result of this rank: dimensions of 1 are repeated. */
static int64_t broadcast_at(const tracked *t, int rank, const int64_t *at) {
    int64_t i = 0;
    for (int d = 0; d < t->rank; d++)
        i = i * t->dims[d] + (t->dims[d] == 1 ? 0 : at[rank - t->rank + d]);
    return i;
}

static void binary(operands *p, arithmetic op, const tracked *a, const tracked *b) {
    int64_t dims[ORACLE_MAX_RANK], at[ORACLE_MAX_RANK] = {0}, i = 0;
    int rank = a->rank > b->rank ? a->rank : b->rank;
    for (int d = 0; d < rank; d++) {
        int64_t m = d < rank - a->rank ? 1 : a->dims[d - (rank - a->rank)];
        int64_t n = d < rank - b->rank ? 1 : b->dims[d - (rank - b->rank)];
        dims[d] = m == 1 ? n : m;
    }
    *p->out = oracle_new(p->oracle, rank, dims);
    do {
        int64_t j = broadcast_at(a, rank, at), k = broadcast_at(b, rank, at);
        combine(p, op, i++, a->value[j], a->radius[j], b->value[k], b->radius[k]);
    } while (oracle_next(rank, dims, at));
}

static bool arithmetic_of(const operands *p, arithmetic *op) {
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Max"};
    for (int i = 0; i < 5; i++)
        if (cr_node_is(p->node, names[i])) {
            *op = (arithmetic)i;
            return true;
        }
    *op = ADD;
    return cr_node_is(p->node, "Sum");
}

/* ---- one operand ---- */

static bool unary(operands *p) {
    bool relu = cr_node_is(p->node, "Relu"), sigmoid = cr_node_is(p->node, "Sigmoid"),
         tanh = cr_node_is(p->node, "Tanh");
    const tracked *x = p->in[0];
    if (!relu && !sigmoid && !tanh)
        return false;
    *p->out = oracle_new(p->oracle, x->rank, x->dims);
    for (int64_t i = 0; i < x->n; i++) {
        real v = x->value[i], r = x->radius[i];
        if (relu)
            p->out->value[i] = isnan(v) ? v : fmaxl(v, 0), p->out->radius[i] = r;
        else /* slopes are at most 1/4 and 1; the implementations promise a few units in the last place */
            oracle_put(p, i, sigmoid ? 1 / (1 + expl(-v)) : tanhl(v),
                       (sigmoid ? r / 4 : r) + 8 * p->oracle->units.step);
    }
    return true;
}

/* ---- BatchNormalization ---- */

typedef struct normal {
    real gamma, beta, mean, variance; /* variance with epsilon */
    real r_gamma, r_beta, r_mean, r_variance;
} normal;

static normal stored(const operands *p, int64_t c) {
    return (normal){p->in[1]->value[c],  p->in[2]->value[c],
                    p->in[3]->value[c],  p->in[4]->value[c] + oracle_float(p->node, "epsilon", 1e-5F),
                    p->in[1]->radius[c], p->in[2]->radius[c],
                    p->in[3]->radius[c], p->in[4]->radius[c]};
}

/* Statistics of the batch; their radius is that of the elements they are made of. */
static void measure(const operands *p, int64_t c, int64_t channels, int64_t area, normal *b) {
    const tracked *x = p->in[0];
    real sum = 0, squares = 0, r = 0, far = 0;
    int64_t n = x->n / channels;
    for (int64_t i = 0; i < x->n; i++)
        if (i / area % channels == c)
            sum += x->value[i], r = fmaxl(r, x->radius[i]);
    b->mean = sum / n;
    for (int64_t i = 0; i < x->n; i++)
        if (i / area % channels == c)
            squares += (x->value[i] - b->mean) * (x->value[i] - b->mean),
                far = fmaxl(far, fabsl(x->value[i] - b->mean));
    b->variance = squares / n + oracle_float(p->node, "epsilon", 1e-5F);
    b->r_mean = r;
    b->r_variance = 4 * far * r;
}

/* (x - mean) s + beta, computed as s x + (beta - mean s) with s rounded. */
static void normalise(const operands *p, int64_t i, const normal *b) {
    real s = b->gamma / sqrtl(b->variance), x = p->in[0]->value[i], d = x - b->mean;
    real r = fabsl(s) * (p->in[0]->radius[i] + b->r_mean) + b->r_beta +
             fabsl(d) / sqrtl(b->variance) * b->r_gamma + fabsl(s * d) * b->r_variance / (2 * b->variance);
    r += 3 * p->oracle->units.step * (fabsl(s * x) + fabsl(s * b->mean) + fabsl(b->beta));
    oracle_put(p, i, d * s + b->beta, r);
}

/* Running statistics of opset 14 and 15. */
static void run_on(const operands *p, int output, int input, int64_t c, real batch, real radius) {
    const cr_value *v = cr_node_output(p->node, output);
    const tracked *old = p->in[input];
    real m = oracle_float(p->node, "momentum", 0.9F);
    if (!v)
        return;
    tracked *to = &p->oracle->values[v->id];
    if (!to->value)
        *to = oracle_new(p->oracle, 1, old->dims);
    to->value[c] = old->value[c] * m + batch * (1 - m);
    to->radius[c] =
        radius + 8 * p->oracle->units.step * (fabsl(to->value[c]) + fabsl(batch)) + p->oracle->units.tiny;
}

/* Before opset 14 and since 7 by having outputs for statistics. */
static bool trains(const cr_node *bn) {
    int64_t opset = cr_model_opset(bn->graph->model, "");
    return opset >= 7 && opset < 14 ? bn->n_outputs > 1 : oracle_int(bn, "training_mode", 0) != 0;
}

static bool batch_normalization(operands *p) {
    const tracked *x = p->in[0];
    bool training = trains(p->node), spatial = oracle_int(p->node, "spatial", 1);
    int64_t area = 1, channels = 1;
    if (!cr_node_is(p->node, "BatchNormalization"))
        return false;
    for (int d = 1; d < x->rank; d++)
        *(d == 1 || !spatial ? &channels : &area) *= x->dims[d];
    *p->out = oracle_new(p->oracle, x->rank, x->dims);
    for (int64_t c = 0; c < channels; c++) {
        normal b = stored(p, c);
        if (training) {
            measure(p, c, channels, area, &b);
            run_on(p, 1, 3, c, b.mean, b.r_mean);
            run_on(p, 2, 4, c, b.variance - oracle_float(p->node, "epsilon", 1e-5F), b.r_variance);
        }
        for (int64_t i = 0; i < x->n; i++)
            if (i / area % channels == c)
                normalise(p, i, &b);
    }
    return true;
}

/* Operand i, with ones behind it where an `axis` (before opset 7) says where it begins. */
static tracked operand(const operands *p, int i) {
    tracked t = *p->in[i];
    int64_t axis = oracle_int(p->node, "axis", p->in[0]->rank - t.rank);
    axis += axis < 0 ? p->in[0]->rank : 0;
    while (i > 0 && axis + t.rank < p->in[0]->rank)
        t.dims[t.rank++] = 1;
    return t;
}

/* (q - zero point) scale, each of the latter one value or one for each index of an axis. */
static bool dequantize(operands *p) {
    const tracked *q = p->in[0], *scale = p->in[1], *zero = p->in[2];
    int64_t axis = oracle_int(p->node, "axis", 1), inner = 1;
    if (!cr_node_is(p->node, "DequantizeLinear"))
        return false;
    *p->out = oracle_new(p->oracle, q->rank, q->dims);
    for (int64_t d = axis + 1; d < q->rank; d++)
        inner *= q->dims[d];
    for (int64_t i = 0; i < q->n; i++) {
        int64_t c = scale->n == 1 ? 0 : i / inner % q->dims[axis];
        real steps = q->value[i] - (zero ? zero->value[c] : 0);
        oracle_put(p, i, steps * scale->value[c], fabsl(steps) * scale->radius[c]);
    }
    return true;
}

bool oracle_elementwise(operands *p) {
    arithmetic op;
    if (!arithmetic_of(p, &op))
        return unary(p) || batch_normalization(p) || dequantize(p);
    tracked sum = *p->in[0];
    for (int i = 1; i < p->node->n_inputs; i++) {
        tracked other = operand(p, i);
        binary(p, op, &sum, &other);
        sum = *p->out;
    }
    *p->out = sum;
    return true;
}
