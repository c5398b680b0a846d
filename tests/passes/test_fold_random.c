#include "tests/passes/small.h"

/* Random graphs over all patterns and their near misses: whatever is folded, the outputs stay what they were
 * in float64, every BatchNormalization has its entry, and folding twice folds nothing. A failure names its
 * seed; CREASE_TEST_SEED=N runs N alone, CREASE_TEST_GRAPHS=N runs the first N. */

enum { GRAPHS = 1500, STEPS = 7 };

static int pick(small *s, int low, int high) {
    return low + (int)(small_random(s, 0, 1) * (high - low + 1));
}

static const char *fresh(const char *op, int step) {
    static char text[64];
    snprintf(text, sizeof text, "%s_%d", op, step);
    return text;
}

static cr_node *last(const small *s) {
    return s->model->graph->last;
}

static int64_t dim(const cr_value *v, int axis) {
    return v->shape.dims[axis];
}

static cr_value *convolve(small *s, cr_value *x, int step) {
    int64_t in = dim(x, 1), group = in % 2 == 0 && pick(s, 0, 1) ? 2 : 1, out = 2 * pick(s, 1, 2),
            k = pick(s, 1, 2), pad = pick(s, 0, 1);
    bool up = pick(s, 0, 3) == 0, bias = pick(s, 0, 1);
    int64_t dims[4] = {up ? in : out, up ? out / group : in / group, k, k};
    cr_value *w = small_constant(s, "w", -1, 1, 4, dims),
             *b = bias ? small_constant(s, "b", -1, 1, DIMS(out)) : NULL;
    cr_value *y = small_node(s, up ? "ConvTranspose" : "Conv", fresh("conv", step), IN(x, w, b));
    OK(cr_node_set_int(last(s), "group", group));
    if (!up)
        OK(cr_node_set_ints(last(s), "pads", (int64_t[]){pad, 0, 0, pad}, 4));
    return y;
}

static cr_value *multiply(small *s, cr_value *x, int step) {
    int rank = x->shape.rank;
    int64_t k = dim(x, rank - 1), n = pick(s, 2, 5);
    bool gemm = rank == 2 && pick(s, 0, 1), trans = gemm && pick(s, 0, 1), bias = pick(s, 0, 1);
    cr_value *w =
        trans ? small_constant(s, "w", -1, 1, DIMS(n, k)) : small_constant(s, "w", -1, 1, DIMS(k, n));
    cr_value *y = small_node(s, gemm ? "Gemm" : "MatMul", fresh("product", step),
                             IN(x, w, gemm && bias ? small_constant(s, "c", -1, 1, DIMS(n)) : NULL));
    if (!gemm)
        last(s)->n_inputs = 2;
    if (gemm) {
        OK(cr_node_set_int(last(s), "transB", trans));
        OK(cr_node_set_float(last(s), "alpha", 0.5F));
        OK(cr_node_set_float(last(s), "beta", 1.5F));
    } else if (bias)
        y = small_node(s, "Add", fresh("bias", step), IN(y, small_constant(s, "c", -1, 1, DIMS(n))));
    return y;
}

static cr_value *arithmetic(small *s, cr_value *x, int step) {
    static const char *const ops[] = {"Mul", "Add", "Sub", "Div"};
    int rank = x->shape.rank, op = pick(s, 0, 3),
        axis = pick(s, 0, 3) ? (rank > 1 ? 1 : 0) : pick(s, 0, rank - 1);
    int64_t dims[CR_MAX_RANK], c_rank = pick(s, 0, 4) ? rank - axis : 0;
    for (int i = 0; i < c_rank; i++)
        dims[i] = i == 0 ? dim(x, axis) : 1;
    cr_value *c = small_constant(s, "c", 0.5, 2, (int)c_rank, dims);
    return pick(s, 0, 2) || op == 3 ? small_node(s, ops[op], fresh("arith", step), IN(x, c))
                                    : small_node(s, ops[op], fresh("arith", step), IN(c, x));
}

static cr_value *rearrange(small *s, cr_value *x, int step) {
    int rank = x->shape.rank;
    int64_t perm[CR_MAX_RANK], flat = 1;
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    switch (pick(s, 0, 2)) {
    case 0:
        for (int i = rank - 1; i > 0; i--) {
            int j = pick(s, 0, i);
            int64_t t = perm[i];
            perm[i] = perm[j];
            perm[j] = t;
        }
        x = small_node(s, "Transpose", fresh("turn", step), IN(x));
        OK(cr_node_set_ints(last(s), "perm", perm, rank));
        return x;
    case 1:
        return small_node(s, "Flatten", fresh("flat", step), IN(x));
    default: /* split an axis in two, or join two */
        for (int i = 2; i < rank; i++)
            flat *= dim(x, i);
        if (rank >= 3 && pick(s, 0, 1))
            return small_node(s, "Reshape", fresh("join", step),
                              IN(x, small_ints(s, "shape", 3, (int64_t[]){dim(x, 0), dim(x, 1), flat})));
        if (rank >= 2 && dim(x, 1) % 2 == 0)
            return small_node(
                s, "Reshape", fresh("split", step),
                IN(x, small_ints(s, "shape", 4, (int64_t[]){dim(x, 0), 2, dim(x, 1) / 2, flat})));
        return small_node(s, "Identity", fresh("same", step), IN(x));
    }
}

static cr_value *pool(small *s, cr_value *x, int step) {
    static const char *const ops[] = {"MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean", "Pad"};
    int op = pick(s, 0, 4);
    int64_t pad = pick(s, 0, 1);
    if (op == 4) {
        x = small_node(s, "Pad", fresh("pad", step),
                       IN(x, small_ints(s, "pads", 8, (int64_t[]){0, 0, pad, 0, 0, 0, 0, 1})));
        OK(cr_node_set_string(last(s), "mode", pick(s, 0, 1) ? "edge" : "constant"));
        return x;
    }
    x = small_node(s, ops[op], fresh("pool", step), IN(x));
    if (op < 2) {
        OK(cr_node_set_ints(last(s), "kernel_shape", (int64_t[]){2, 2}, 2));
        OK(cr_node_set_ints(last(s), "pads", (int64_t[]){pad, pad, 1, 1}, 4));
    }
    if (op == 1)
        OK(cr_node_set_int(last(s), "count_include_pad", pick(s, 0, 1)));
    if (op == 3) {
        OK(cr_node_set_ints(last(s), "axes", pick(s, 0, 2) ? (int64_t[]){2, 3} : (int64_t[]){1, -1}, 2));
        OK(cr_node_set_int(last(s), "keepdims", pick(s, 0, 1)));
    }
    return x;
}

static cr_value *branch(small *s, cr_value *x, int step) {
    cr_value *a = pick(s, 0, 3) ? convolve(s, x, 100 * step) : x, *b = convolve(s, x, 100 * step + 1);
    OK(cr_model_resolve(s->model));
    OK(cr_graph_infer(s->model->graph));
    bool same = cr_shape_equal(&a->shape, &b->shape), like = dim(a, 2) == dim(b, 2) && dim(a, 3) == dim(b, 3);
    if (same && pick(s, 0, 1))
        return small_node(s, pick(s, 0, 1) ? "Add" : "Sub", fresh("sum", step), IN(a, b));
    if (!like)
        return b;
    x = small_node(s, "Concat", fresh("concat", step), IN(a, b));
    OK(cr_node_set_int(last(s), "axis", 1));
    return x;
}

static cr_value *grow(small *s, cr_value *x, int step) {
    int rank = x->shape.rank, kind = pick(s, 0, 11);
    bool image = rank == 4 && dim(x, 2) > 1 && dim(x, 3) > 1;
    if (kind <= 2 && rank >= 2)
        return small_bn(s, fresh("bn", step), x, dim(x, 1));
    if (kind <= 4 && image)
        return convolve(s, x, step);
    if (kind == 5 && rank >= 2)
        return multiply(s, x, step);
    if (kind <= 7)
        return arithmetic(s, x, step);
    if (kind == 8)
        return pick(s, 0, 1) ? small_node(s, "Relu", fresh("relu", step), IN(x))
                             : small_node(s, "Identity", fresh("id", step), IN(x));
    if (kind == 9)
        return rearrange(s, x, step);
    if (kind == 10 && image)
        return pool(s, x, step);
    return image ? branch(s, x, step) : small_bn(s, fresh("bn", step), x, rank >= 2 ? dim(x, 1) : 1);
}

static small random_graph(unsigned seed) {
    small s = small_begin(13, DIMS(2, 4, 5, 4));
    s.seed = seed * 2654435761U + 1;
    cr_value *x = s.x, *side = NULL;
    for (int step = 0; step < STEPS; step++) {
        x = grow(&s, x, step);
        OK(cr_model_resolve(s.model));
        OK(cr_graph_infer(s.model->graph));
        if (x->shape.rank < 2 || x->shape.rank > 6)
            break;
        if (!side && pick(&s, 0, 15) == 0)
            side = x;
    }
    small_output(&s, x);
    if (side && side != x)
        small_output(&s, side);
    return s;
}

static size_t n_folded;

static void check(unsigned seed) {
    small s = random_graph(seed);
    int n_bns = small_count(&s, "BatchNormalization"), n_entries = 0;
    crease_fold_entry e;
    small_fold_with(&s, NULL);
    for (size_t i = 0; crease_fold_report_entry_at(s.report, i, &e); i++) {
        n_entries += strcmp(e.op, "BatchNormalization") == 0;
        n_folded += e.folded;
        cr_assert(e.folded ? e.into && e.pattern && !e.reason : e.reason && e.detail && !e.pattern,
                  "seed %u, %s", seed, e.name);
    }
    cr_assert_eq(n_entries, n_bns, "seed %u: %d entries for %d nodes", seed, n_entries, n_bns);
    crease_fold_report_free(s.report);
    OK(cr_report_create(s.heap, &s.report));
    small_fold_with(&s, NULL);
    cr_assert_eq(cr_report_n_folded(s.report), 0, "seed %u: folding twice changes the graph", seed);
    small_end(&s);
}

Test(fold_random, outputs_stay) {
    const char *one = getenv("CREASE_TEST_SEED"), *many = getenv("CREASE_TEST_GRAPHS");
    unsigned first = one ? (unsigned)atoi(one) : 0, end = one    ? first + 1
                                                          : many ? (unsigned)atoi(many)
                                                                 : GRAPHS;
    for (unsigned seed = first; seed < end; seed++) {
        if (getenv("CREASE_TEST_VERBOSE"))
            fprintf(stderr, "seed %u\n", seed);
        check(seed);
    }
    cr_assert(one || n_folded > 500, "only %zu folds: the graphs no longer show anything", n_folded);
}
