#include "passes/activation.h"
#include "passes/fold.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/infer.h"

#include <fnmatch.h>
#include <string.h>

/* before: an affine (BatchNormalization; Mul, Add, Sub, Div by constants) or a chain of them, near
 *         linear operators
 * after:  the linear operators with new weights, without the affine; its output keeps its name,
 *         they keep theirs
 * not:    see the families (fold_conv.c, fold_gemm.c, fold_affine.c, fold_forward.c,
 *         fold_through.c, fold_quantized.c); where the value that would change is used elsewhere or
 *         is a graph output, unless a copy of its producer pays (fold_copy.c)
 * why:    each family says. A chain is composed in double first, so that weights are rounded once
 *         however long it is. What is chosen where choices exclude one another: backwards before
 *         ahead, for behind a convolution the bias costs nothing and borders do not matter; a chain
 *         as long as possible before its beginning alone; either before a copy. Folds do not take
 *         room from each other otherwise (a weight may be scaled any number of times on either
 *         side), so that the order of the file decides nothing else. Repeated until nothing
 *         changes, since one fold may make room for the next. */

enum { MAX_CHAIN = 16, MAX_DEPTH = 64 };

typedef struct chain {
    cr_node *nodes[MAX_CHAIN];
    cr_affine affines[MAX_CHAIN]; /* affines[i]: of nodes[0] to nodes[i] together */
    int data;                     /* input of nodes[0] that is normalised */
    int n;
} chain;

typedef struct folder {
    cr_model *model;
    const cr_fold_settings *settings;
    cr_report *report;
    bool changed;
} folder;

bool cr_fold_chosen(const cr_fold_settings *settings, const cr_node *node) {
    return (!settings->only || fnmatch(settings->only, node->name, 0) == 0) &&
           (!settings->keep || fnmatch(settings->keep, node->name, 0) != 0) &&
           !(node->id < settings->n_held && settings->held[node->id]);
}

static bool is_bn(const cr_node *node) {
    return cr_node_is(node, "BatchNormalization");
}

static bool may_be_affine(const cr_node *node) {
    return is_bn(node) || cr_node_is(node, "Mul") || cr_node_is(node, "Add") || cr_node_is(node, "Sub") ||
           cr_node_is(node, "Div");
}

/* The division that ends x clip(x + 3, 0, 6) / 6 belongs to the activation: apart from it, neither could be
 * fused. */
static crease_status ends_activation(const cr_node *node, bool *ends) {
    cr_value *x;
    cr_act kind = CR_ACT_NONE;
    if (cr_node_is(node, "Mul") || cr_node_is(node, "Div"))
        CR_TRY(cr_read_spelled_activation(node, &x, &kind));
    *ends = kind != CR_ACT_NONE;
    return CREASE_OK;
}

static bool is_taker(const cr_node *node) {
    return is_bn(node) || cr_node_is_linear(node);
}

/* ---- where an affine may go ---- */

/* The affine replaces what the value holds: nobody else may see it. */
static bool is_private(cr_plan *plan, const cr_value *value) {
    if (value->n_outputs)
        cr_refuse(&plan->refusal, "graph-output",
                  "'%s' is an output of the graph, where it must stay as it is", value->name);
    else if (value->n_uses != 1)
        cr_refuse(&plan->refusal, "several-consumers", "'%s' has %d consumers, which need it as it is",
                  value->name, value->n_uses);
    return value->n_outputs == 0 && value->n_uses == 1;
}

static bool is_quantization(const cr_node *node) {
    return cr_node_is(node, "QuantizeLinear") || cr_node_is(node, "DequantizeLinear") ||
           cr_node_is(node, "DynamicQuantizeLinear");
}

/* What neither takes the affine in nor lets it pass. */
static void refuse_neighbour(cr_plan *plan, const cr_node *node, const char *side) {
    if (is_quantization(node))
        cr_refuse(
            &plan->refusal, "quantized-between",
            "'%s' (%s) stands %s: its steps are those of the values as they are; fold before quantising",
            node->name, node->op_type, side);
    else
        cr_refuse(&plan->refusal, "no-linear-neighbour", "'%s' (%s) stands %s and cannot take it in",
                  node->name, node->op_type, side);
}

static void refuse_before(cr_plan *plan, const cr_node *node) {
    if (cr_is_activation(node))
        cr_refuse(&plan->refusal, "nonlinear-before", "'%s' (%s) stands before it and is not linear",
                  node->name, node->op_type);
    else
        refuse_neighbour(plan, node, "before it");
}

static bool feeds_linear(const cr_node *node) {
    const cr_value *y = node->outputs[0];
    for (int i = 0; y && i < y->n_uses; i++)
        if (y->uses[i].input == 0 && cr_node_is_linear(y->uses[i].node))
            return true;
    return false;
}

/* The node that ends an activation spelled out in several nodes, where `node` is one of them; NULL: it is of
 * none. What stands in the activation is used once, and its argument twice, so that no path of single uses
 * leads into it from outside. */
static crease_status spelled_end(cr_node *node, cr_node **end) {
    enum { MOST = 5 }; /* nodes of the longest, Gelu */
    *end = NULL;
    for (int i = 0; i < MOST && node; i++) {
        cr_value *x;
        cr_act kind;
        CR_TRY(cr_read_spelled_activation(node, &x, &kind));
        if (kind != CR_ACT_NONE) {
            *end = node;
            return CREASE_OK;
        }
        const cr_value *y = cr_node_output(node, 0);
        node = y && y->n_uses == 1 ? y->uses[0].node : NULL;
    }
    return CREASE_OK;
}

static crease_status refuse_behind(cr_plan *plan, cr_use use) {
    cr_node *node = use.node, *end;
    bool softmax = cr_node_is(node, "Softmax") || cr_node_is(node, "LogSoftmax");
    CR_TRY(spelled_end(node, &end));
    if (!end && !cr_is_activation(node))
        refuse_neighbour(plan, node, "behind it");
    else if (end ? feeds_linear(end) : use.input == 0 && !softmax && feeds_linear(node))
        cr_refuse(&plan->refusal, "pre-activation",
                  "'%s' (%s) behind it is not linear, so that no weights behind that can take it in",
                  node->name, node->op_type);
    else
        cr_refuse(&plan->refusal, "nonlinear-after", "'%s' (%s) stands behind it and is not linear",
                  node->name, node->op_type);
    return CREASE_OK;
}

/* A taker or a passage. */
static crease_status into_node(cr_plan *plan, cr_node *node, const cr_affine *affine, int depth) {
    bool taken;
    CR_TRY(cr_fold_into_conv(plan, node, affine, &taken));
    if (!taken)
        CR_TRY(cr_fold_into_gemm(plan, node, affine, &taken));
    if (!taken)
        CR_TRY(cr_fold_into_bn(plan, node, affine, &taken));
    return taken ? CREASE_OK : cr_fold_back_through(plan, node, affine, depth);
}

crease_status cr_fold_back(cr_plan *plan, cr_value *value, const cr_affine *affine, int depth) {
    cr_node *node = value->producer;
    if (!node) {
        cr_refuse(&plan->refusal, "no-linear-neighbour", "'%s' is an input or a constant of the graph",
                  value->name);
        return CREASE_OK;
    }
    if (depth > MAX_DEPTH || value->producer_output != 0 || !(is_taker(node) || cr_is_passage(node))) {
        refuse_before(plan, node);
        return CREASE_OK;
    }
    plan->reached |= is_taker(node);
    if (!is_private(plan, value))
        return CREASE_OK;
    if (value->uses[0].node->graph != node->graph) {
        cr_refuse(&plan->refusal, "no-linear-neighbour",
                  "'%s' stands outside of the body that normalises its result", node->name);
        return CREASE_OK;
    }
    return into_node(plan, node, affine, depth);
}

static crease_status ahead_node(cr_plan *plan, cr_use use, const cr_affine *affine, int depth, bool *taken) {
    CR_TRY(cr_fold_ahead_conv(plan, use.node, use.input, affine, taken));
    if (!*taken)
        CR_TRY(cr_fold_ahead_gemm(plan, use.node, use.input, affine, taken));
    if (!*taken)
        CR_TRY(cr_fold_ahead_bn(plan, use.node, use.input, affine, taken));
    return *taken ? CREASE_OK : cr_fold_ahead_through(plan, use.node, use.input, affine, depth, taken);
}

/* Reasons for staying in the file that cost a session nothing, since it fuses what stays. */
static bool is_fused(const char *code) {
    return strcmp(code, "padded-border") == 0 || strcmp(code, "pre-activation") == 0;
}

/* Behind another operator no session fuses: then the reason is a plain one. */
static void refuse_fused(cr_plan *plan, const cr_refusal *fused, int depth) {
    bool border = strcmp(fused->code, "padded-border") == 0;
    if (depth > 0)
        cr_refuse(&plan->refusal, border ? "border-values" : "nonlinear-after", "%s", fused->detail);
    else
        cr_refuse(&plan->refusal, fused->code, "%.300s; %s", fused->detail,
                  border ? "crease's own sessions absorb it exactly where that pays"
                         : "crease's own sessions run it fused with a neighbour where one can take it");
}

/* Of several consumers one that can neither take it in nor be fused with it gives the reason. */
crease_status cr_fold_ahead(cr_plan *plan, cr_value *value, const cr_affine *affine, int depth) {
    cr_refusal fused = {0};
    bool taken;
    if (value->n_outputs) {
        cr_refuse(&plan->refusal, "graph-output", "'%s' is an output of the graph", value->name);
        plan->reached |= feeds_linear(value->producer);
    } else if (value->n_uses == 0 || depth > MAX_DEPTH)
        cr_refuse(&plan->refusal, "no-linear-neighbour", "'%s' leads to no linear operator", value->name);
    for (int i = 0; i < value->n_uses && !plan->refusal.code; i++) {
        cr_use use = value->uses[i];
        if (use.node->graph != value->graph) {
            cr_refuse(&plan->refusal, "no-linear-neighbour", "'%s' is used in a body", value->name);
            break;
        }
        CR_TRY(ahead_node(plan, use, affine, depth, &taken));
        if (!taken)
            CR_TRY(refuse_behind(plan, use));
        if (plan->refusal.code && is_fused(plan->refusal.code)) {
            fused = fused.code ? fused : plan->refusal;
            plan->refusal.code = NULL;
        }
    }
    if (!plan->refusal.code && fused.code)
        refuse_fused(plan, &fused, depth);
    return CREASE_OK;
}

/* ---- chains ---- */

/* The affine that alone uses the end of the chain, or NULL. */
static cr_node *next_affine(const folder *f, const chain *c) {
    const cr_value *y = c->nodes[c->n - 1]->outputs[0];
    cr_node *next = cr_value_has_one_use(y) ? y->uses[0].node : NULL;
    return next && c->n < MAX_CHAIN && next->graph == y->graph && cr_fold_chosen(f->settings, next) ? next
                                                                                                    : NULL;
}

static crease_status read_chain(folder *f, cr_plan *plan, cr_node *first, chain *c) {
    *c = (chain){.nodes = {first}, .n = 1};
    CR_TRY(cr_affine_of(first, &plan->arena, &c->affines[0], &c->data, &plan->refusal));
    for (cr_node *next; !plan->refusal.code && (next = next_affine(f, c));) {
        cr_refusal no = {0};
        cr_affine affine;
        int data;
        CR_TRY(cr_affine_of(next, &plan->arena, &affine, &data, &no));
        if (no.code || next->inputs[data] != c->nodes[c->n - 1]->outputs[0] ||
            !cr_affine_composable(&c->affines[c->n - 1], &affine))
            break;
        CR_TRY(cr_affine_compose(&plan->arena, &c->affines[c->n - 1], &affine, &c->affines[c->n]));
        c->nodes[c->n++] = next;
    }
    return CREASE_OK;
}

/* ---- carrying a fold out ---- */

static const char *code_of(const cr_node *node) {
    return is_bn(node)               ? "bn"
           : cr_node_is(node, "Mul") ? "mul"
           : cr_node_is(node, "Add") ? "add"
           : cr_node_is(node, "Sub") ? "sub"
                                     : "div";
}

/* "conv-bn", "conv-concat-bn", "bn-flatten-gemm": operators in the order of the data. */
static crease_status pattern_of(cr_plan *plan, const cr_node *node, bool back, const char **pattern) {
    const char *leaf = cr_plan_leaf_code(plan), *first = back ? leaf : code_of(node),
               *last = back ? code_of(node) : leaf;
    return cr_arena_format(&plan->arena, pattern, "%s%s%s-%s%s", first, plan->through ? "-" : "",
                           plan->through ? plan->through : "", last, plan->copied ? "-duplicated" : "");
}

/* The first n affines are folded, bound and nodes as the plan says; the nodes' doc strings say so as well. */
static crease_status report_fold(folder *f, cr_plan *plan, const chain *c, int n, bool back) {
    const char *into, *pattern, *note;
    CR_TRY(cr_plan_into(plan, &into));
    for (int i = 0; i < n; i++) {
        CR_TRY(pattern_of(plan, c->nodes[i], back, &pattern));
        CR_TRY(cr_arena_format(&plan->arena, &note, "crease folded '%.400s' (%s) into this node: %s",
                               c->nodes[i]->name, c->nodes[i]->op_type, pattern));
        CR_TRY(cr_plan_note(plan, note));
        CR_TRY(cr_report_folded(f->report, c->nodes[i], into, pattern, cr_plan_bound(plan)));
    }
    return CREASE_OK;
}

/* The producer of the data gives the chain's last output, with its name. */
static crease_status remove_behind(const chain *c, int n) {
    cr_node *producer = c->nodes[0]->inputs[c->data]->producer;
    for (int i = 0; i < n; i++)
        CR_TRY(cr_node_take_over(producer, 0, c->nodes[i]));
    return CREASE_OK;
}

static crease_status remove_ahead(const chain *c, int n) {
    CR_TRY(cr_value_replace(c->nodes[n - 1]->outputs[0], c->nodes[0]->inputs[c->data]));
    for (int i = n - 1; i >= 0; i--)
        CR_TRY(cr_node_remove(c->nodes[i]));
    return CREASE_OK;
}

static bool types_agree(const cr_value *a, const cr_value *b) {
    return !a->dtype || !b->dtype || a->dtype == b->dtype;
}

static bool removable(cr_plan *plan, const chain *c, int n) {
    const cr_value *x = c->nodes[0]->inputs[c->data], *y = c->nodes[n - 1]->outputs[0];
    if (!types_agree(x, y) || !cr_shape_fits(&x->shape, &y->shape))
        cr_refuse(&plan->refusal, "axis-mismatch", "'%s' and '%s' differ in type or shape", x->name, y->name);
    return !plan->refusal.code;
}

/* Try the first n affines of the chain in one direction. */
static crease_status attempt(folder *f, cr_plan *plan, const chain *c, int n, bool back) {
    const cr_affine *affine = &c->affines[n - 1];
    plan->refusal.code = NULL;
    plan->through = NULL;
    plan->reached = plan->has_bn = false;
    for (int i = 0; i < n; i++)
        plan->has_bn |= is_bn(c->nodes[i]);
    cr_plan_rewind(plan, NULL);
    if (!removable(plan, c, n))
        return CREASE_OK;
    if (back)
        CR_TRY(cr_fold_back(plan, c->nodes[0]->inputs[c->data], affine, 0));
    else
        CR_TRY(cr_fold_ahead(plan, c->nodes[n - 1]->outputs[0], affine, 0));
    if (plan->refusal.code)
        return CREASE_OK;
    CR_TRY(cr_plan_commit(plan));
    CR_TRY(report_fold(f, plan, c, n, back));
    f->changed = true;
    return back ? remove_behind(c, n) : remove_ahead(c, n);
}

static bool is_one_of(const char *code, const char *const *codes) {
    for (; *codes; codes++)
        if (strcmp(code, *codes) == 0)
            return true;
    return false;
}

/* How much a reason tells. Most: that a linear neighbour cannot take it in for a reason of its own, which the
 * user can change; then that a session fuses it; then that the value is needed elsewhere. That nothing
 * follows is true of any graph output, but no obstacle. */
static int weight_of(const cr_refusal *refusal, bool reached, bool back) {
    static const char *const around[] = {"several-consumers", "graph-output",        "nonlinear-before",
                                         "nonlinear-after",   "no-linear-neighbour", NULL};
    if (is_fused(refusal->code))
        return 5;
    if (!back && !reached && strcmp(refusal->code, "graph-output") == 0)
        return 0;
    if (reached)
        return is_one_of(refusal->code, around) ? 4 : 6;
    if (strncmp(refusal->code, "nonlinear-", 10) == 0)
        return back ? 1 : 3;
    return strcmp(refusal->code, "no-linear-neighbour") == 0 ? 0 : 2;
}

static crease_status try_chain(folder *f, cr_plan *plan, const chain *c, cr_refusal *best) {
    int weight = -1, directions = cr_is_product_bias(c->nodes[0]) ? 1 : 2;
    for (int direction = 0; direction < directions; direction++)
        for (int n = c->n; n >= 1; n--) {
            CR_TRY(attempt(f, plan, c, n, direction == 0));
            if (!plan->refusal.code)
                return CREASE_OK;
            int w = weight_of(&plan->refusal, plan->reached, direction == 0);
            if (w > weight || (w == weight && direction == 0))
                *best = plan->refusal, weight = w;
        }
    return CREASE_OK;
}

/* Nothing else was possible: a copy of the producer for this chain alone, where that pays. *best says what it
 * would cost where it does not. */
static crease_status try_copy(folder *f, cr_plan *plan, const chain *c, cr_refusal *best) {
    cr_node *first = c->nodes[0], *copy;
    cr_value *shared = first->inputs[c->data];
    bool pays = false;
    if (is_bn(first))
        CR_TRY(cr_copy_pays(plan, shared, best, &pays));
    if (!pays)
        return CREASE_OK;
    const char *name;
    CR_TRY(cr_arena_format(&plan->model->arena, &name, "%.400s.%.400s", shared->producer->name, first->name));
    CR_TRY(cr_copy_node(shared->producer, first, name, &copy));
    CR_TRY(cr_node_set_input(first, c->data, copy->outputs[0]));
    plan->copied = true;
    for (int n = c->n; n >= 1; n--) {
        CR_TRY(attempt(f, plan, c, n, true));
        if (!plan->refusal.code)
            return CREASE_OK;
    }
    CR_TRY(cr_node_set_input(first, c->data, shared));
    return cr_node_remove(copy);
}

static crease_status fold_chain(folder *f, cr_plan *plan, const chain *c) {
    cr_refusal best = {0};
    CR_TRY(try_chain(f, plan, c, &best));
    if (!plan->refusal.code)
        return CREASE_OK;
    CR_TRY(try_copy(f, plan, c, &best));
    if (plan->refusal.code)
        plan->refusal = best;
    return CREASE_OK;
}

static crease_status fold_node(folder *f, cr_plan *plan, cr_node *node) {
    chain c;
    if (!cr_fold_chosen(f->settings, node))
        cr_refuse(&plan->refusal, "keep", "left as asked for by name");
    else
        CR_TRY(read_chain(f, plan, node, &c));
    if (!plan->refusal.code)
        CR_TRY(fold_chain(f, plan, &c));
    return plan->refusal.code && is_bn(node)
               ? cr_report_kept(f->report, node, plan->refusal.code, plan->refusal.detail)
               : CREASE_OK;
}

/* After a fold the list of nodes is another one: begin anew behind the nodes already looked at. */
static crease_status fold_graph(cr_graph *graph, void *context) {
    folder *f = context;
    for (cr_node *node = graph->first, *next; node; node = next) {
        cr_plan plan;
        bool before = f->changed;
        bool spelled;
        CR_TRY(ends_activation(node, &spelled));
        if (!may_be_affine(node) || spelled) {
            next = node->next;
            continue;
        }
        cr_node *previous = node->previous;
        f->changed = false;
        cr_plan_begin(&plan, f->model, f->settings);
        crease_status status = fold_node(f, &plan, node);
        cr_plan_end(&plan);
        CR_TRY(status);
        next = !f->changed ? node->next : previous ? previous->next : graph->first; /* the chain is gone */
        f->changed |= before;
    }
    return CREASE_OK;
}

/* ---- the pass ---- */

typedef struct match {
    const char *glob;
    bool found;
} match;

static crease_status match_graph(cr_graph *graph, void *context) {
    match *m = context;
    CR_FOR_NODES(node, graph)
    m->found |= may_be_affine(node) && fnmatch(m->glob, node->name, 0) == 0;
    return CREASE_OK;
}

static crease_status check_glob(cr_model *model, const char *glob) {
    match m = {glob, glob == NULL};
    if (glob)
        CR_TRY(cr_model_each_graph(model, match_graph, &m));
    return m.found ? CREASE_OK
                   : cr_fail(CREASE_ERROR_ARGUMENT,
                             "no BatchNormalization and no other affine node has a name like '%s'", glob);
}

crease_status cr_pass_check_globs(cr_model *model, const cr_fold_settings *settings) {
    CR_TRY(check_glob(model, settings->only));
    return check_glob(model, settings->keep);
}

crease_status cr_pass_fold(cr_model *model, const cr_fold_settings *settings, cr_report *report) {
    folder f = {.model = model, .settings = settings, .report = report, .changed = true};
    while (f.changed) {
        f.changed = false;
        CR_TRY(cr_model_each_graph(model, fold_graph, &f));
    }
    return CREASE_OK;
}
