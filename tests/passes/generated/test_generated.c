#include "tests/passes/generated/check.h"

/* Generated networks over all folding patterns, types, attributes and refusals; see check.h for what is
 * required of each. A failure names its seed.
 *
 *     CREASE_TEST_SEED=N build/test/tests/passes_generated_test_generated --filter 'generated/behind'
 *
 * runs network N of one test alone; CREASE_TEST_GRAPHS=N makes every test run its first N networks. */

typedef struct kind {
    void (*extend)(network *n);
    int graphs, most; /* networks; phrases in each */
    int opset;        /* 0: any from 9 on; else this or one of the two behind it */
    int least_folded, least_kept;
    const char *reasons[12]; /* each of them must be given */
} kind;

static crease_dtype any_dtype(network *n) {
    static const crease_dtype dtypes[] = {CREASE_FLOAT, CREASE_DOUBLE, CREASE_FLOAT16, CREASE_BFLOAT16};
    return dtypes[net_pick(n, 0, 3)];
}

/* bfloat16 came with opset 13. */
static int64_t any_opset(network *n, crease_dtype dtype) {
    static const int64_t opsets[] = {9, 10, 11, 12, 13, 14, 15, 17, 18, 21};
    return opsets[net_pick(n, dtype == CREASE_BFLOAT16 ? 4 : 0, 9)];
}

static network begin(unsigned seed, const kind *k) {
    network chance = net_begin(seed, CREASE_FLOAT, 13, DIMS(1));
    crease_dtype dtype = any_dtype(&chance);
    int64_t opset = any_opset(&chance, dtype), dims[5];
    int rank = net_pick(&chance, 0, 9) < 5 ? 4 : net_pick(&chance, 2, 5);
    if (k->opset) {
        dtype = dtype == CREASE_BFLOAT16 ? CREASE_FLOAT : dtype;
        opset = net_pick(&chance, k->opset, k->opset + 2);
    }
    dims[0] = net_pick(&chance, 2, 3);
    dims[1] = 2 * net_pick(&chance, 1, 3);
    for (int d = 2; d < rank; d++)
        dims[d] = net_pick(&chance, rank == 5 ? 2 : 3, rank == 3 ? 9 : rank == 4 ? 5 : 3);
    unsigned state = chance.base.seed;
    small_end(&chance.base);
    network n = net_begin(seed, dtype, opset, rank, dims);
    n.base.seed = state;
    n.open_batch = !k->opset && seed % 5 == 4;
    return n;
}

/* Phrases of one kind, one after another, while the tensors stay small. */
static void write(network *n, const kind *k) {
    for (int left = net_pick(n, 1, k->most); left > 0 && !n->last && cr_shape_n(&n->end->shape) < 400; left--)
        k->extend(n);
}

static bool is_given(const tally *t, const char *reason) {
    for (int i = 0; i < t->n_reasons; i++)
        if (strcmp(t->reasons[i], reason) == 0)
            return true;
    return false;
}

static void run(kind k) {
    const char *one = getenv("CREASE_TEST_SEED"), *many = getenv("CREASE_TEST_GRAPHS");
    unsigned first = one ? (unsigned)atoi(one) : 0;
    unsigned end = one ? first + 1 : (unsigned)(many ? atoi(many) : k.graphs);
    tally t = {0};
    for (unsigned seed = first; seed < end; seed++) {
        network n = begin(seed, &k);
        write(&n, &k);
        if (one)
            net_print(&n);
        net_check(&n, &t);
    }
    if (getenv("CREASE_TEST_VERBOSE")) {
        fprintf(stderr, "%d graphs, %d folded, %d kept, %.3f of the bound;", t.graphs, t.folded, t.kept,
                t.worst);
        for (int i = 0; i < t.n_reasons; i++)
            fprintf(stderr, " %s", t.reasons[i]);
        fprintf(stderr, "\n");
    }
    for (int i = 0; !one && !many && k.reasons[i]; i++)
        cr_assert(is_given(&t, k.reasons[i]), "no BatchNormalization is kept for the reason %s",
                  k.reasons[i]);
    cr_assert(one || many || (t.folded >= k.least_folded && t.kept >= k.least_kept),
              "only %d folds, %d refusals: the networks no longer show anything", t.folded, t.kept);
}

Test(generated, behind) {
    run((kind){phrase_behind, .graphs = 700, .most = 3, .least_folded = 1000, .least_kept = 100,
               .reasons = {"axis-mismatch", "border-values", "negative-scale"}});
}

Test(generated, ahead) {
    run((kind){phrase_ahead, .graphs = 700, .most = 2, .least_folded = 500, .least_kept = 100,
               .reasons = {"axis-mismatch", "border-values", "negative-scale", "padded-border", "no-bias",
                           "shape-unknown"}});
}

Test(generated, joined) {
    run((kind){phrase_joined, .graphs = 300, .most = 3, .least_folded = 100, .least_kept = 50});
}

Test(generated, fed) {
    run((kind){phrase_fed, .graphs = 100, .most = 2, .least_folded = 50, .least_kept = 30,
               .reasons = {"nonlinear-after", "no-linear-neighbour"}});
}

Test(generated, refused) {
    run((kind){phrase_refused, .graphs = 400, .most = 3, .least_folded = 30, .least_kept = 300,
               .reasons = {"several-consumers", "graph-output", "nonlinear-before", "no-linear-neighbour",
                           "training-mode", "extra-outputs", "not-constant", "overridable-initializer",
                           "keep"}});
}

Test(generated, affines) {
    run((kind){phrase_affines, .graphs = 200, .most = 3, .least_folded = 200, .least_kept = 100});
}

Test(generated, lookalikes) {
    run((kind){phrase_lookalikes, .graphs = 200, .most = 3});
}

Test(generated, constants) {
    run((kind){phrase_constants, .graphs = 200, .most = 3, .least_folded = 200, .least_kept = 30,
               .reasons = {"unused"}});
}

Test(generated, quantized) {
    run((kind){phrase_quantized, .graphs = 1000, .most = 2, .least_folded = 200, .least_kept = 20,
               .reasons = {"quantized"}});
}

Test(generated, bodies) {
    run((kind){phrase_bodies, .graphs = 100, .most = 1, .least_folded = 50, .least_kept = 20});
}

Test(generated, loops) {
    run((kind){phrase_loops, .graphs = 150, .most = 1, .least_folded = 80, .least_kept = 20,
               .reasons = {"nonlinear-before", "pre-activation"}});
}

Test(generated, scans) {
    run((kind){phrase_scans, .graphs = 200, .most = 1, .least_folded = 80, .least_kept = 20,
               .reasons = {"nonlinear-before", "pre-activation"}});
}

Test(generated, old) {
    run((kind){phrase_old, .graphs = 150, .most = 2, .opset = 6, .least_folded = 100, .least_kept = 30,
               .reasons = {"training-mode", "spatial-0"}});
}

Test(generated, spoiled) {
    run((kind){phrase_spoiled, .graphs = 400, .most = 1, .least_folded = 80, .least_kept = 200,
               .reasons = {"non-finite", "variance-not-positive", "overflow", "underflow"}});
}

Test(generated, idle) {
    run((kind){phrase_idle, .graphs = 60, .most = 1, .least_kept = 40,
               .reasons = {"quantized-between", "no-channels"}});
}

Test(generated, wild) {
    run((kind){phrase_wild, .graphs = 1000, .most = 9, .least_folded = 800, .least_kept = 300});
}
