#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

#include <string.h>

/* before: crease.Conv nodes of one group that read the same value, with kernels of the same geometry, the
 *         same prologue and the same activation
 * after:  the first of them, with the filters of all: those of each filled up with zeros to whole blocks of
 *         channels; crease.Split of its result, and crease.Trim of parts that were filled up
 * not:    residuals, slopes, tap sums, means of rows; more than one image or unknown extents, where parts
 *         would be copied; a result that a Concat takes, which is written where it belongs only while it is
 *         alone; where the cost model sees little gain, as without Winograd if each fills its tiles
 * why:    Winograd transforms the input once for all of them, and few channels of each fill the tiles of
 *         other kernels better together. Parts of whole blocks cost nothing. */

enum { X, W, B, RESIDUAL, SCALE, SHIFT, ACT_SLOPE, AFTER_SLOPE, TAP_SUMS, PRE_SLOPE };

typedef struct siblings {
    cr_node **nodes; /* [n]: the first stands before the others */
    cr_value **results;
    int64_t *channels; /* of each result, in whole blocks */
    int64_t all;       /* their sum */
    int n;
} siblings;

/* ---- one of them ---- */

static bool is_blocked(const cr_value *value) {
    const cr_node *producer = value->producer;
    return producer && producer->lanes && !cr_is_ours(producer, "ToPlain");
}

/* A constant of floats by output channel. */
static bool is_by_channel(const cr_node *node, int input, int rank) {
    const cr_tensor *t = cr_node_constant(node, input);
    return t && t->data && t->dtype == CREASE_FLOAT && t->lanes == 0 && t->shape.rank == rank &&
           t->shape.dims[0] == node->outputs[0]->shape.dims[1];
}

static bool feeds_concat(const cr_value *value) {
    for (int i = 0; i < value->n_uses; i++)
        if (cr_is_ours(value->uses[i].node, "Concat"))
            return true;
    return false;
}

/* Whether parts of a result like this one are views. */
static bool is_image(const cr_value *y) {
    return cr_shape_is_static(&y->shape) && y->shape.rank >= 3 && y->shape.dims[0] == 1 &&
           cr_shape_n(&y->shape) > 0 && !feeds_concat(y);
}

static crease_status is_candidate(const cr_node *node, bool *is) {
    static const int own[] = {RESIDUAL, ACT_SLOPE, AFTER_SLOPE, TAP_SUMS};
    int64_t groups;
    *is = cr_is_ours(node, "Conv") && node->n_outputs == 1 && is_blocked(node->inputs[X]) &&
          cr_shape_is_static(&node->inputs[X]->shape) && is_image(node->outputs[0]) &&
          is_by_channel(node, W, node->inputs[X]->shape.rank) &&
          (!cr_node_input(node, B) || is_by_channel(node, B, 1));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        *is = *is && !cr_node_input(node, own[i]);
    if (!*is)
        return CREASE_OK;
    CR_TRY(cr_attr_int(node, "group", 1, &groups));
    *is = groups == 1;
    return CREASE_OK;
}

/* ---- two of them ---- */

static crease_status same_list(const cr_node *a, const cr_node *b, const char *name, bool *same) {
    const int64_t *of_a, *of_b;
    int n_a, n_b;
    CR_TRY(cr_attr_ints(a, name, &of_a, &n_a));
    CR_TRY(cr_attr_ints(b, name, &of_b, &n_b));
    *same = *same && n_a == n_b && (n_a == 0 || memcmp(of_a, of_b, (size_t)n_a * sizeof *of_a) == 0);
    return CREASE_OK;
}

/* As the file states it: what is left out in one and spelled out in the other differs. */
static crease_status same_geometry(const cr_node *a, const cr_node *b, bool *same) {
    static const char *const lists[] = {"strides", "pads", "dilations"};
    const char *pad_a, *pad_b;
    cr_shape filters = b->inputs[W]->shape;
    filters.dims[0] = a->inputs[W]->shape.dims[0];
    CR_TRY(cr_attr_string(a, "auto_pad", "NOTSET", &pad_a));
    CR_TRY(cr_attr_string(b, "auto_pad", "NOTSET", &pad_b));
    *same = *same && cr_shape_equal(&a->inputs[W]->shape, &filters) && strcmp(pad_a, pad_b) == 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        CR_TRY(same_list(a, b, lists[i], same));
    return CREASE_OK;
}

static crease_status same_activation(const cr_node *a, const cr_node *b, const char *name, bool *same) {
    cr_activation of_a, of_b;
    CR_TRY(cr_blocked_activation(a, name, &of_a));
    CR_TRY(cr_blocked_activation(b, name, &of_b));
    *same = *same && of_a.kind == of_b.kind && of_a.a == of_b.a && of_a.b == of_b.b && of_a.c == of_b.c;
    return CREASE_OK;
}

/* Whether b is a sibling of a, a candidate. */
static crease_status are_siblings(const cr_node *a, const cr_node *b, bool *are) {
    static const int shared[] = {X, SCALE, SHIFT, PRE_SLOPE};
    *are = false;
    if (a == b || a->graph != b->graph)
        return CREASE_OK;
    CR_TRY(is_candidate(b, are));
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        *are = *are && cr_node_input(a, shared[i]) == cr_node_input(b, shared[i]);
    if (!*are)
        return CREASE_OK;
    CR_TRY(same_geometry(a, b, are));
    CR_TRY(same_activation(a, b, "act", are));
    return same_activation(a, b, "pre", are);
}

/* ---- all of them ---- */

static void add_sibling(siblings *s, cr_node *node) {
    const int64_t lanes = node->lanes;
    s->results[s->n] = node->outputs[0];
    s->channels[s->n] = (node->outputs[0]->shape.dims[1] + lanes - 1) / lanes * lanes;
    s->all += s->channels[s->n];
    s->nodes[s->n++] = node;
}

/* What stands before node has been visited: its siblings come later, or merging with it does not pay. */
static crease_status find_siblings(cr_node *node, cr_arena *arena, siblings *s) {
    bool are;
    *s = (siblings){0};
    CR_TRY(is_candidate(node, &are));
    if (!are)
        return CREASE_OK;
    const cr_value *x = node->inputs[X];
    CR_TRY(CR_ARENA_NEW(arena, &s->nodes, (size_t)x->n_uses));
    CR_TRY(CR_ARENA_NEW(arena, &s->results, (size_t)x->n_uses));
    CR_TRY(CR_ARENA_NEW(arena, &s->channels, (size_t)x->n_uses));
    add_sibling(s, node);
    for (int i = 0; i < x->n_uses; i++) {
        CR_TRY(are_siblings(node, x->uses[i].node, &are));
        if (are && x->uses[i].input == X)
            add_sibling(s, x->uses[i].node);
    }
    return CREASE_OK;
}

/* A gain of a few per cent is within the model's error, and threads may lose it, which share one layer less
 * evenly than several. */
static crease_status is_worth_it(const siblings *s, const cr_lower_settings *settings, bool *worth) {
    double apart = 0, together, one;
    *worth = false;
    if (s->n < 2)
        return CREASE_OK;
    for (int i = 0; i < s->n; i++) {
        CR_TRY(cr_blocked_conv_cost(s->nodes[i], s->results[i]->shape.dims[1], settings->exact,
                                    settings->convolution, &one));
        apart += one;
    }
    CR_TRY(cr_blocked_conv_cost(s->nodes[0], s->all, settings->exact, settings->convolution, &together));
    *worth = together < 0.97 * apart;
    return CREASE_OK;
}

/* ---- weights and biases ---- */

/* The constants at an input one after another, those of each filled up with zeros. */
static crease_status join_constants(const siblings *s, int input, const cr_value *like, cr_value **joined) {
    cr_shape shape = like->shape;
    cr_tensor *t;
    shape.dims[0] = s->all;
    CR_TRY(cr_graph_new_constant(s->nodes[0]->graph, like->name, CREASE_FLOAT, &shape, joined, &t));
    const int64_t n = cr_shape_n(&shape);
    float *to = t->data;
    memset(to, 0, (size_t)n * sizeof *to);
    for (int i = 0; i < s->n; i++) {
        const cr_tensor *part = cr_node_constant(s->nodes[i], input);
        if (part)
            memcpy(to, part->data, (size_t)cr_shape_n(&part->shape) * sizeof *to);
        to += n / s->all * s->channels[i];
    }
    return CREASE_OK;
}

static crease_status join_biases(const siblings *s, cr_value **bias) {
    *bias = NULL;
    for (int i = 0; i < s->n && !*bias; i++)
        if (cr_node_input(s->nodes[i], B))
            CR_TRY(join_constants(s, B, s->nodes[i]->inputs[B], bias));
    return CREASE_OK;
}

/* What nobody needs any more is given back at once. */
static crease_status replace_constant(cr_node *node, int input, cr_value *value) {
    cr_value *old = cr_node_input(node, input);
    if (old == value)
        return CREASE_OK;
    CR_TRY(cr_node_set_input(node, input, value));
    if (old && old->n_uses == 0 && old->n_outputs == 0)
        cr_value_forget(old);
    return CREASE_OK;
}

/* ---- the graph ---- */

static crease_status add_value(const cr_value *like, int64_t channels, cr_value **value) {
    CR_TRY(cr_value_like(like->graph, like, value));
    (*value)->shape.dims[1] = channels;
    return CREASE_OK;
}

/* The results lose their producers; the first node gives the channels of all. */
static crease_status take_results(const siblings *s) {
    cr_value *fresh;
    for (int i = 0; i < s->n; i++) {
        CR_TRY(add_value(s->results[i], i ? s->channels[i] : s->all, &fresh));
        CR_TRY(cr_node_set_output(s->nodes[i], 0, fresh));
    }
    return CREASE_OK;
}

static bool is_whole(const siblings *s, int i) {
    return s->results[i]->shape.dims[1] == s->channels[i];
}

static crease_status add_split(const siblings *s, cr_value **parts) {
    cr_node *conv = s->nodes[0], *split;
    CR_TRY(cr_graph_add_node(conv->graph, conv->next, "Split", "crease", conv->name, conv->outputs, 1, parts,
                             s->n, &split));
    split->lanes = conv->lanes;
    CR_TRY(cr_node_set_int(split, "axis", 1));
    return cr_node_set_ints(split, "split", s->channels, s->n);
}

static crease_status add_trim(cr_node *before, int lanes, cr_value *part, cr_value *result) {
    cr_node *trim;
    CR_TRY(cr_graph_add_node(before->graph, before, "Trim", "crease", result->name, &part, 1, &result, 1,
                             &trim));
    trim->lanes = lanes;
    return cr_node_set_int(trim, "channels", result->shape.dims[1]);
}

static crease_status give_results(const siblings *s, cr_arena *arena) {
    cr_node *conv = s->nodes[0], *behind = conv->next; /* there is one: the siblings */
    cr_value **parts;
    CR_TRY(CR_ARENA_NEW(arena, &parts, (size_t)s->n));
    for (int i = 0; i < s->n; i++) {
        parts[i] = s->results[i];
        if (!is_whole(s, i))
            CR_TRY(add_value(s->results[i], s->channels[i], &parts[i]));
    }
    CR_TRY(add_split(s, parts));
    for (int i = 0; i < s->n; i++)
        if (!is_whole(s, i))
            CR_TRY(add_trim(behind, conv->lanes, parts[i], s->results[i]));
    return CREASE_OK;
}

static crease_status name_others(const siblings *s, cr_arena *arena) {
    const char *text = "";
    for (int i = 1; i < s->n; i++)
        CR_TRY(cr_arena_format(arena, &text, "%s%s'%s'", text, *text ? ", " : "", s->nodes[i]->name));
    return cr_node_set_string(s->nodes[0], "siblings", text);
}

static crease_status remove_others(const siblings *s) {
    for (int i = 1; i < s->n; i++) {
        CR_TRY(replace_constant(s->nodes[i], W, NULL));
        CR_TRY(replace_constant(s->nodes[i], B, NULL));
        CR_TRY(cr_node_remove(s->nodes[i]));
    }
    return CREASE_OK;
}

static crease_status merge(const siblings *s, cr_arena *arena) {
    cr_value *weights, *bias;
    CR_TRY(join_constants(s, W, s->nodes[0]->inputs[W], &weights));
    CR_TRY(join_biases(s, &bias));
    CR_TRY(replace_constant(s->nodes[0], W, weights));
    CR_TRY(replace_constant(s->nodes[0], B, bias));
    CR_TRY(take_results(s));
    CR_TRY(give_results(s, arena));
    CR_TRY(name_others(s, arena));
    return remove_others(s);
}

static crease_status merge_all(cr_graph *graph, const cr_lower_settings *settings, cr_arena *arena) {
    siblings s;
    bool worth;
    CR_FOR_NODES(node, graph) {
        CR_TRY(find_siblings(node, arena, &s));
        CR_TRY(is_worth_it(&s, settings, &worth));
        if (worth)
            CR_TRY(merge(&s, arena));
    }
    return CREASE_OK;
}

crease_status cr_pass_merge_siblings(cr_graph *graph, const cr_lower_settings *settings) {
    cr_arena arena;
    cr_arena_init(&arena, graph->model->heap);
    crease_status status = merge_all(graph, settings, &arena);
    cr_arena_clear(&arena);
    return status;
}
