#include "passes/affine.h"
#include "passes/pass.h"
#include "runtime/graph/attr.h"

#include <math.h>
#include <stdio.h>

/* before, after: the same model
 * reports: BatchNormalizations whose constant parameters are odd: channels of scale 0, variances so small
 *          that epsilon alone sets the gain, statistics as they are before training, an affine that changes
 *          nothing, gains beyond what training leaves behind
 * not:    parameters that are computed, of other lengths or not finite; the folding pass speaks of those */

typedef struct batch_norm {
    const cr_tensor *parameters[4]; /* gamma, beta, mean, variance */
    int64_t n;
    double epsilon;
} batch_norm;

/* Epsilon sets the gain of a channel whose variance is less than a thousandth of it. */
static const double TINY = 1e-3;
/* A variance of 0 and the usual epsilon of 1e-5 give 316 times gamma. */
static const double HUGE_GAIN = 1e3;
/* An epsilon of 1e-3 alone makes an untouched normalisation scale by 0.9995. */
static const double SAME = 1e-3;

static double parameter(const batch_norm *b, int i, int64_t c) {
    return cr_load_float(b->parameters[i]->dtype, b->parameters[i]->data, c);
}

static crease_status read(const cr_node *node, batch_norm *b, bool *valid) {
    float epsilon;
    *valid = false;
    for (int i = 0; i < 4; i++) {
        const cr_tensor *t = b->parameters[i] = cr_node_constant(node, i + 1);
        if (!t || !cr_dtype_is_float(t->dtype) || t->shape.rank != 1 || t->shape.dims[0] < 1 ||
            t->shape.dims[0] != b->parameters[0]->shape.dims[0])
            return CREASE_OK;
    }
    CR_TRY(cr_attr_float(node, "epsilon", 1e-5f, &epsilon));
    b->epsilon = (double)epsilon;
    b->n = b->parameters[0]->shape.dims[0];
    *valid = true;
    return CREASE_OK;
}

typedef struct counts {
    int64_t dead, tiny, fresh, same; /* channels */
    int64_t loudest;                 /* the one with the largest gain */
    double gain;
} counts;

static void count(const batch_norm *b, counts *n) {
    for (int64_t c = 0; c < b->n; c++) {
        double gamma = parameter(b, 0, c), beta = parameter(b, 1, c), mean = parameter(b, 2, c),
               variance = parameter(b, 3, c), s = gamma / sqrt(variance + b->epsilon);
        n->dead += gamma == 0;
        n->tiny += variance >= 0 && variance < TINY * b->epsilon;
        n->fresh += mean == 0 && variance == 1;
        n->same += fabs(s - 1) <= SAME && fabs(beta - mean * s) <= SAME;
        if (isfinite(s) && fabs(s) > n->gain) {
            n->gain = fabs(s);
            n->loudest = c;
        }
    }
}

static crease_status find_channels(cr_report *report, const cr_node *node, const char *code, int64_t k,
                                   int64_t n, const char *what) {
    char text[256];
    snprintf(text, sizeof text, "%lld of %lld channels %s", (long long)k, (long long)n, what);
    return k ? cr_report_find(report, node, code, text) : CREASE_OK;
}

static crease_status lint_node(const cr_node *node, cr_report *report) {
    char text[256];
    batch_norm b;
    bool valid;
    counts n = {0};
    CR_TRY(read(node, &b, &valid));
    if (!valid)
        return CREASE_OK;
    count(&b, &n);
    CR_TRY(find_channels(report, node, "dead-channels", n.dead, b.n,
                         "have scale 0 and give a constant; they could be pruned"));
    CR_TRY(find_channels(report, node, "tiny-variance", n.tiny, b.n,
                         "vary less than a thousandth of epsilon, which alone sets their gain; they saw "
                         "constant data in training"));
    if (n.fresh == b.n)
        CR_TRY(cr_report_find(report, node, "untrained-statistics",
                              "every mean is 0 and every variance 1, as before training; calibrate or export "
                              "a trained network"));
    if (n.same == b.n)
        CR_TRY(cr_report_find(report, node, "identity", "it changes nothing; it could be left out"));
    snprintf(text, sizeof text, "channel %lld is multiplied by %.3g; its values may leave float16",
             (long long)n.loudest, n.gain);
    return n.gain > HUGE_GAIN ? cr_report_find(report, node, "huge-gain", text) : CREASE_OK;
}

static crease_status lint_graph(cr_graph *graph, void *context) {
    CR_FOR_NODES(node, graph)
    if (cr_node_is(node, "BatchNormalization"))
        CR_TRY(lint_node(node, context));
    return CREASE_OK;
}

crease_status cr_pass_lint(cr_model *model, cr_report *report) {
    return cr_model_each_graph(model, lint_graph, report);
}
