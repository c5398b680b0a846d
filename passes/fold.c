#include "passes/fold.h"
#include "passes/affine.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

typedef struct folder {
    const char *only, *keep;
    bool only_matched, keep_matched;
    crease_fold_report *report;
} folder;

typedef enum kind { CONV, CONV_TRANSPOSE, GEMM, NOT_LINEAR } kind;

static kind kind_of(const cr_node *node) {
    return cr_node_is(node, "Conv")            ? CONV
           : cr_node_is(node, "ConvTranspose") ? CONV_TRANSPOSE
           : cr_node_is(node, "Gemm")          ? GEMM
                                               : NOT_LINEAR;
}

/* ---- producer -> BN ---- */

/* Output channel that weight element i belongs to. */
typedef struct channel_map {
    kind kind;
    int64_t group, per_group_in, per_group_out, taps, columns, transposed;
} channel_map;

static int64_t channel_of(const channel_map *m, int64_t i) {
    if (m->kind == CONV)
        return i / m->taps; /* [Cout, Cin / g, k...]: taps counts Cin / g as well */
    if (m->kind == GEMM)
        return m->transposed ? i / m->columns : i % m->columns;
    int64_t in = i / (m->per_group_out * m->taps),
            out = i / m->taps % m->per_group_out; /* [Cin, Cout / g, k...] */
    return in / m->per_group_in * m->per_group_out + out;
}

static crease_status map_of(const cr_node *linear, const cr_tensor *w, channel_map *m, int64_t *channels) {
    *m = (channel_map){.kind = kind_of(linear), .group = 1, .taps = 1};
    if (m->kind == GEMM) {
        CR_TRY(cr_attr_int(linear, "transB", 0, &m->transposed));
        m->columns = w->shape.dims[1];
        *channels = w->shape.dims[m->transposed ? 0 : 1];
        return CREASE_OK;
    }
    CR_TRY(cr_attr_int(linear, "group", 1, &m->group));
    for (int d = m->kind == CONV ? 1 : 2; d < w->shape.rank; d++)
        m->taps *= w->shape.dims[d];
    m->group = m->group < 1 ? 1 : m->group;
    m->per_group_in = w->shape.dims[0] / m->group;
    m->per_group_out = w->shape.dims[1];
    *channels = m->kind == CONV ? w->shape.dims[0] : w->shape.dims[1] * m->group;
    return CREASE_OK;
}

/* Value of the old bias for channel o: beta C for Gemm, broadcast. */
static double old_bias(const cr_node *linear, const cr_tensor *b, int64_t o) {
    const cr_attr *beta = cr_attr_find(linear, "beta");
    double scale =
        kind_of(linear) == GEMM && beta && beta->type == CR_ATTR_FLOAT ? (double)beta->floats[0] : 1;
    return b ? scale * cr_load_float(b->dtype, b->data, cr_shape_n(&b->shape) == 1 ? 0 : o) : 0;
}

static const char *unfit_producer(const cr_node *bn, const cr_node *linear, int64_t n) {
    const cr_value *x = bn->inputs[0];
    if (x->n_outputs)
        return "graph-output";
    if (x->n_uses != 1)
        return "several-consumers";
    for (int i = 1; i < 3; i++) {
        const cr_value *v = cr_node_input(linear, i);
        if (v && !v->constant)
            return v->initial ? "overridable-initializer" : "not-constant";
        if (!v && i == 1)
            return "not-constant";
        if (v && !cr_dtype_is_float(v->constant->dtype))
            return "axis-mismatch";
    }
    const cr_tensor *b = cr_node_constant(linear, 2), *w = cr_node_constant(linear, 1);
    if (w->shape.rank < 2)
        return "axis-mismatch";
    if (b && kind_of(linear) == GEMM) { /* one value for each column, or one for all */
        int64_t last = b->shape.rank ? b->shape.dims[b->shape.rank - 1] : 1, all = cr_shape_n(&b->shape);
        return all == last && (last == n || last == 1) ? NULL : "axis-mismatch";
    }
    return b && cr_shape_n(&b->shape) != n ? "axis-mismatch" : NULL;
}

/* New constants; *reason "overflow" leaves the graph as it was. */
static crease_status fold_producer(cr_node *bn, cr_node *linear, const cr_affine *a, const char **reason) {
    const cr_tensor *w = cr_node_constant(linear, 1), *b = cr_node_constant(linear, 2);
    cr_value *new_w, *new_b;
    cr_tensor *tw, *tb;
    channel_map map;
    int64_t channels;
    bool fits = true;
    CR_TRY(map_of(linear, w, &map, &channels));
    if (channels != a->n) {
        *reason = "axis-mismatch";
        return CREASE_OK;
    }
    cr_shape bias_shape = {.rank = 1, .dims = {channels}};
    CR_TRY(cr_graph_new_constant(bn->graph, linear->inputs[1]->name, w->dtype, &w->shape, &new_w, &tw));
    CR_TRY(cr_graph_new_constant(bn->graph, b ? linear->inputs[2]->name : bn->inputs[2]->name, w->dtype,
                                 &bias_shape, &new_b, &tb));
    for (int64_t i = 0, n = cr_shape_n(&w->shape); i < n; i++)
        fits &= cr_store_rounded(
            tw, i, cr_load_float(w->dtype, w->data, i) * a->gamma_over_sigma[channel_of(&map, i)]);
    for (int64_t o = 0; o < channels;
         o++) /* b - mean first: b s + (beta - mean s) cancels when b is near the mean */
        fits &= cr_store_rounded(
            tb, o, fma(old_bias(linear, b, o) - a->mean[o], a->gamma_over_sigma[o], a->beta[o]));
    if (!fits) {
        *reason = "overflow";
        return CREASE_OK;
    }
    CR_TRY(cr_node_set_input(linear, 1, new_w));
    CR_TRY(cr_node_set_input(linear, 2, new_b));
    if (map.kind == GEMM)
        CR_TRY(cr_node_set_float(linear, "beta", 1));
    return cr_node_take_over(linear, 0, bn);
}

/* ---- BN -> Conv without padding ---- */

static const char *unfit_consumer(const cr_node *bn, const cr_node **consumer) {
    const cr_value *y = bn->outputs[0];
    const int64_t *pads;
    const char *auto_pad;
    int n;
    if (y->n_uses != 1 || y->n_outputs || !cr_node_is(y->uses[0].node, "Conv") || y->uses[0].input != 0 ||
        y->uses[0].node->graph != bn->graph)
        return "no-linear-neighbour";
    *consumer = y->uses[0].node;
    if (!cr_node_constant(*consumer, 1) || (cr_node_input(*consumer, 2) && !cr_node_constant(*consumer, 2)))
        return "not-constant";
    if (cr_attr_ints(*consumer, "pads", &pads, &n) ||
        cr_attr_string(*consumer, "auto_pad", "NOTSET", &auto_pad))
        return "bad-attribute";
    for (int i = 0; i < n; i++)
        if (pads[i])
            return "padded-border";
    return strncmp(auto_pad, "SAME", 4) == 0 ? "padded-border" : NULL;
}

static crease_status fold_consumer(cr_node *bn, cr_node *conv, const cr_affine *a, const char **reason) {
    const cr_tensor *w = cr_node_constant(conv, 1), *b = cr_node_constant(conv, 2);
    int64_t group, out = w->shape.dims[0], in = w->shape.dims[1], taps = 1;
    cr_value *new_w, *new_b;
    cr_tensor *tw, *tb;
    bool fits = true;
    CR_TRY(cr_attr_int(conv, "group", 1, &group));
    for (int d = 2; d < w->shape.rank; d++)
        taps *= w->shape.dims[d];
    if (group < 1 || in * group != a->n || !cr_dtype_is_float(w->dtype) || out % group) {
        *reason = "axis-mismatch";
        return CREASE_OK;
    }
    cr_shape bias_shape = {.rank = 1, .dims = {out}};
    CR_TRY(cr_graph_new_constant(bn->graph, conv->inputs[1]->name, w->dtype, &w->shape, &new_w, &tw));
    CR_TRY(cr_graph_new_constant(bn->graph, b ? conv->inputs[2]->name : bn->inputs[2]->name, w->dtype,
                                 &bias_shape, &new_b, &tb));
    for (int64_t o = 0; o < out; o++) {
        double sum = b ? cr_load_float(b->dtype, b->data, o) : 0;
        for (int64_t i = 0; i < in * taps; i++) {
            int64_t c = o / (out / group) * in + i / taps, at = o * in * taps + i;
            double weight = cr_load_float(w->dtype, w->data, at), s = a->gamma_over_sigma[c];
            fits &= cr_store_rounded(tw, at, weight * s);
            sum += weight * (a->beta[c] - a->mean[c] * s);
        }
        fits &= cr_store_rounded(tb, o, sum);
    }
    if (!fits) {
        *reason = "overflow";
        return CREASE_OK;
    }
    CR_TRY(cr_node_set_input(conv, 1, new_w));
    CR_TRY(cr_node_set_input(conv, 2, new_b));
    CR_TRY(cr_node_set_input(conv, 0, bn->inputs[0]));
    return cr_node_remove(bn);
}

/* ---- one BN ---- */

static const char *detail_of(const char *reason) {
    static const char *const details[][2] = {
        {"several-consumers", "the producer's output is used elsewhere too, where it must stay unscaled"},
        {"graph-output", "the producer's output is an output of the graph"},
        {"training-mode", "the node computes batch statistics; export the model in inference mode"},
        {"extra-outputs", "the node's running statistics are used"},
        {"overridable-initializer",
         "a parameter is a graph input that a caller may override; use --assume-const if none does"},
        {"not-constant", "a parameter or weight is computed at run time"},
        {"non-finite", "a parameter is NaN or infinite"},
        {"variance-not-positive", "var + epsilon is not positive"},
        {"overflow", "a folded weight does not fit the element type"},
        {"axis-mismatch", "the channel axis of the node is not the one of its neighbour's weights"},
        {"spatial-0", "spatial = 0 normalises every position on its own"},
        {"padded-border",
         "the convolution behind pads with zeros, which stand for other values before the normalisation"},
        {"no-linear-neighbour",
         "neither the producer nor the sole consumer is a Conv, ConvTranspose or Gemm"},
        {"kept-by-name", "left as asked"},
    };
    for (size_t i = 0; i < sizeof details / sizeof *details; i++)
        if (strcmp(details[i][0], reason) == 0)
            return details[i][1];
    return "an attribute has the wrong type";
}

/* Rounding that the fold adds, relative to sum |W'| |x|: one unit in the last place of the weights' type. */
static double bound_of(const cr_tensor *w) {
    return w->dtype == CREASE_DOUBLE     ? 0x1p-53
           : w->dtype == CREASE_FLOAT16  ? 0x1p-11
           : w->dtype == CREASE_BFLOAT16 ? 0x1p-8
                                         : 0x1p-24;
}

static crease_status fold_one(cr_node *bn, const char **reason, cr_node **into, const char **pattern) {
    static const char *const patterns[] = {"conv-bn", "conv-transpose-bn", "gemm-bn"};
    cr_affine a;
    CR_TRY(cr_affine_of(bn, &a, reason));
    if (*reason || !bn->inputs[0] || !bn->outputs[0])
        return CREASE_OK;
    cr_node *producer = bn->inputs[0]->producer;
    if (producer && producer->graph == bn->graph && kind_of(producer) != NOT_LINEAR) {
        *reason = unfit_producer(bn, producer, a.n);
        *into = producer;
        *pattern = patterns[kind_of(producer)];
        return *reason ? CREASE_OK : fold_producer(bn, producer, &a, reason);
    }
    const cr_node *consumer = NULL;
    *reason = unfit_consumer(bn, &consumer);
    *into = (cr_node *)(uintptr_t)consumer;
    *pattern = "bn-conv";
    return *reason ? CREASE_OK : fold_consumer(bn, *into, &a, reason);
}

static crease_status fold_graph(cr_graph *graph, void *context) {
    folder *f = context;
    CR_FOR_NODES_SAFE(node, graph) {
        const char *reason = NULL, *pattern = NULL;
        cr_node *into = NULL;
        if (!cr_node_is(node, "BatchNormalization"))
            continue;
        bool chosen = !f->only || fnmatch(f->only, node->name, 0) == 0,
             kept = f->keep && fnmatch(f->keep, node->name, 0) == 0;
        f->only_matched |= chosen;
        f->keep_matched |= kept;
        if (!chosen || kept)
            reason = "kept-by-name";
        else
            CR_TRY(fold_one(node, &reason, &into, &pattern));
        CR_TRY(reason
                   ? cr_report_kept(f->report, node, reason, detail_of(reason))
                   : cr_report_folded(f->report, node, into, pattern, bound_of(cr_node_constant(into, 1))));
    }
    return CREASE_OK;
}

crease_status cr_pass_fold(cr_model *model, const char *only, const char *keep, crease_fold_report *report) {
    folder f = {.only = only, .keep = keep, .report = report};
    CR_TRY(cr_model_each_graph(model, fold_graph, &f));
    if (only && !f.only_matched)
        return cr_fail(CREASE_ERROR_ARGUMENT, "no BatchNormalization node has a name like '%s'", only);
    if (keep && !f.keep_matched)
        return cr_fail(CREASE_ERROR_ARGUMENT, "no BatchNormalization node has a name like '%s'", keep);
    return CREASE_OK;
}
