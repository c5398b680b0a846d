#include "tests/passes/generated/oracle.h"
#include "tests/passes/generated/network.h"

/* Conv, ConvTranspose, Gemm, MatMul. */

/* A sum of products, and what its rounding may do: 3 u sqrt(K) |W x|_2. */
typedef struct dot {
    real sum, radius, squares;
    int64_t n;
} dot;

static void add_product(dot *d, const tracked *a, int64_t i, const tracked *b, int64_t j) {
    real x = a->value[i], w = b->value[j], rx = a->radius[i], rw = b->radius[j];
    d->sum += x * w;
    d->radius += fabsl(x) * rw + fabsl(w) * rx + rx * rw;
    d->squares += x * w * x * w;
    d->n++;
}

static void finish(const operands *p, int64_t i, const dot *d, real scale, real bias, real r_bias) {
    real step = p->oracle->units.step;
    oracle_put(p, i, scale * d->sum + bias,
               fabsl(scale) * (d->radius + 3 * step * sqrtl((real)d->n * d->squares)) + r_bias +
                   2 * step * fabsl(bias));
}

/* ---- convolutions ---- */

window oracle_window(const operands *p, const int64_t *kernel, int n) {
    window w = {.n = n};
    int64_t strides[ORACLE_MAX_RANK], dilations[ORACLE_MAX_RANK], pads[2 * ORACLE_MAX_RANK];
    int n_strides = oracle_ints(p, "strides", 0, strides),
        n_dilations = oracle_ints(p, "dilations", 0, dilations), n_pads = oracle_ints(p, "pads", 0, pads);
    bool lower = oracle_text_is(p->node, "auto_pad", "NOTSET", "SAME_LOWER"),
         same = lower || oracle_text_is(p->node, "auto_pad", "NOTSET", "SAME_UPPER"),
         up = oracle_int(p->node, "ceil_mode", 0);
    for (int d = 0; d < n; d++) {
        int64_t in = p->in[0]->dims[d + 2];
        w.kernel[d] = kernel[d];
        w.stride[d] = n_strides ? strides[d] : 1;
        w.dilation[d] = n_dilations ? dilations[d] : 1;
        w.begin[d] = n_pads && !same ? pads[d] : 0;
        w.end[d] = n_pads && !same ? pads[n + d] : 0;
        int64_t extent = (kernel[d] - 1) * w.dilation[d] + 1;
        if (same) {
            int64_t out = (in + w.stride[d] - 1) / w.stride[d], pad = (out - 1) * w.stride[d] + extent - in;
            pad = pad < 0 ? 0 : pad;
            w.begin[d] = (pad + lower) / 2;
            w.end[d] = pad - w.begin[d];
        }
        int64_t room = in + w.begin[d] + w.end[d] - extent;
        w.out[d] = (room + (up ? w.stride[d] - 1 : 0)) / w.stride[d] + 1;
        if (up && (w.out[d] - 1) * w.stride[d] >= in + w.begin[d])
            w.out[d]--; /* a window that begins behind the input is none */
    }
    return w;
}

static void conv_element(const operands *p, const window *w, const int64_t *at, int64_t i) {
    const tracked *x = p->in[0], *f = p->in[1], *b = p->in[2];
    int64_t group = oracle_int(p->node, "group", 1), per = f->dims[1], o = at[1];
    int64_t tap[ORACLE_MAX_RANK] = {0}, from[ORACLE_MAX_RANK] = {at[0]};
    dot d = {0};
    do {
        bool inside = true;
        for (int a = 0; a < w->n; a++) {
            from[a + 2] = at[a + 2] * w->stride[a] + tap[a + 1] * w->dilation[a] - w->begin[a];
            inside &= from[a + 2] >= 0 && from[a + 2] < x->dims[a + 2];
        }
        from[1] = o / (f->dims[0] / group) * per + tap[0];
        int64_t row = oracle_at(f->rank - 1, f->dims + 1, tap);
        if (inside)
            add_product(&d, x, oracle_at(x->rank, x->dims, from), f, o * (f->n / f->dims[0]) + row);
    } while (oracle_next(f->rank - 1, f->dims + 1, tap));
    finish(p, i, &d, 1, b ? b->value[o] : 0, b ? b->radius[o] : 0);
}

static void conv(operands *p) {
    const tracked *x = p->in[0], *f = p->in[1];
    window w = oracle_window(p, f->dims + 2, x->rank - 2);
    int64_t dims[ORACLE_MAX_RANK] = {x->dims[0], f->dims[0]}, at[ORACLE_MAX_RANK] = {0}, i = 0;
    for (int d = 0; d < w.n; d++)
        dims[d + 2] = w.out[d];
    *p->out = oracle_new(p->oracle, x->rank, dims);
    do
        conv_element(p, &w, at, i++);
    while (oracle_next(x->rank, dims, at));
}

/* Every input element is spread over a window of the output; seen from the output element `at`. */
static void conv_transpose_element(const operands *p, const window *w, const int64_t *at, int64_t i) {
    const tracked *x = p->in[0], *f = p->in[1], *b = p->in[2];
    int64_t group = oracle_int(p->node, "group", 1), per = f->dims[1], g = at[1] / per,
            in = f->dims[0] / group;
    int64_t dims[ORACLE_MAX_RANK] = {in}, tap[ORACLE_MAX_RANK] = {0}, from[ORACLE_MAX_RANK] = {at[0]};
    dot d = {0};
    for (int a = 0; a < w->n; a++)
        dims[a + 1] = f->dims[a + 2];
    do {
        bool inside = true;
        int64_t row[ORACLE_MAX_RANK] = {g * in + tap[0], at[1] % per};
        for (int a = 0; a < w->n; a++) {
            int64_t position = at[a + 2] + w->begin[a] - tap[a + 1] * w->dilation[a];
            from[a + 2] = position / w->stride[a];
            inside &= position >= 0 && position % w->stride[a] == 0 && from[a + 2] < x->dims[a + 2];
            row[a + 2] = tap[a + 1];
        }
        from[1] = row[0];
        if (inside)
            add_product(&d, x, oracle_at(x->rank, x->dims, from), f, oracle_at(f->rank, f->dims, row));
    } while (oracle_next(w->n + 1, dims, tap));
    finish(p, i, &d, 1, b ? b->value[at[1]] : 0, b ? b->radius[at[1]] : 0);
}

static void conv_transpose(operands *p) {
    const tracked *x = p->in[0], *f = p->in[1];
    window w = oracle_window(p, f->dims + 2, x->rank - 2);
    int64_t extra[ORACLE_MAX_RANK] = {0}, shape[ORACLE_MAX_RANK], at[ORACLE_MAX_RANK] = {0}, i = 0,
            dims[ORACLE_MAX_RANK] = {x->dims[0], f->dims[1] * oracle_int(p->node, "group", 1)};
    oracle_ints(p, "output_padding", 0, extra);
    bool stated = oracle_ints(p, "output_shape", 0, shape) > 0;
    for (int d = 0; d < w.n; d++) {
        int64_t whole = (x->dims[d + 2] - 1) * w.stride[d] + extra[d] + (w.kernel[d] - 1) * w.dilation[d] + 1;
        if (stated) /* what is too much is cut off, more of it at the beginning */
            w.begin[d] = whole - shape[d] - (whole - shape[d]) / 2;
        dims[d + 2] = stated ? shape[d] : whole - w.begin[d] - w.end[d];
    }
    *p->out = oracle_new(p->oracle, x->rank, dims);
    do
        conv_transpose_element(p, &w, at, i++);
    while (oracle_next(x->rank, dims, at));
}

/* ---- products ---- */

static void gemm(operands *p) {
    const tracked *a = p->in[0], *b = p->in[1], *c = p->in[2];
    bool trans_a = oracle_int(p->node, "transA", 0), trans_b = oracle_int(p->node, "transB", 0);
    real alpha = oracle_float(p->node, "alpha", 1), beta = oracle_float(p->node, "beta", 1);
    int64_t m = a->dims[trans_a], k = a->dims[!trans_a], n = b->dims[!trans_b];
    *p->out = oracle_new(p->oracle, 2, (int64_t[]){m, n});
    for (int64_t i = 0; i < m * n; i++) {
        int64_t row = i / n, column = i % n, at = 0;
        dot d = {0};
        for (int64_t j = 0; j < k; j++)
            add_product(&d, a, trans_a ? j * m + row : row * k + j, b,
                        trans_b ? column * k + j : j * n + column);
        if (c && c->rank == 2)
            at = (c->dims[0] == 1 ? 0 : row) * c->dims[1];
        if (c && c->rank > 0)
            at += c->dims[c->rank - 1] == 1 ? 0 : column;
        finish(p, i, &d, alpha, c ? beta * c->value[at] : 0, c ? fabsl(beta) * c->radius[at] : 0);
    }
}

/* By a matrix; the leading axes of the first operand are rows. */
static void matmul(operands *p) {
    const tracked *a = p->in[0], *b = p->in[1];
    int64_t dims[ORACLE_MAX_RANK], k = b->dims[0], n = b->dims[1];
    cr_assert(b->rank == 2 && a->rank >= 2, "oracle: MatMul by a matrix only");
    for (int d = 0; d < a->rank; d++)
        dims[d] = d == a->rank - 1 ? n : a->dims[d];
    *p->out = oracle_new(p->oracle, a->rank, dims);
    for (int64_t i = 0; i < p->out->n; i++) {
        dot d = {0};
        for (int64_t j = 0; j < k; j++)
            add_product(&d, a, i / n * k + j, b, j * n + i % n);
        finish(p, i, &d, 1, 0, 0);
    }
}

bool oracle_linear(operands *p) {
    if (cr_node_is(p->node, "Conv"))
        conv(p);
    else if (cr_node_is(p->node, "ConvTranspose"))
        conv_transpose(p);
    else if (cr_node_is(p->node, "Gemm"))
        gemm(p);
    else if (cr_node_is(p->node, "MatMul"))
        matmul(p);
    else
        return false;
    return true;
}
