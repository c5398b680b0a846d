#include "tests/passes/generated/check.h"
#include "runtime/api/model.h"
#include "runtime/graph/verify.h"
#include "tests/passes/generated/oracle.h"

enum { MAX_INPUTS = 8 };

typedef struct judged {
    network *n;
    tally *tally;
    cr_tensor inputs[MAX_INPUTS]; /* of the unfolded main graph; without data: overridable */
    oracle exact;
} judged;

/* ---- entries ---- */

static bool is_one_of(const char *found, const char *outcomes) {
    size_t length = strlen(found);
    for (const char *at = outcomes; at && *at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if ((strncmp(at, found, length) == 0 && (at[length] == '|' || !at[length])) || *at == '*')
            return true;
    return false;
}

/* The entry of a node; without one, an affine that stayed. */
static crease_fold_entry entry_of(const crease_fold_report *report, const char *node) {
    crease_fold_entry e = {.struct_size = sizeof e};
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &e); i++)
        if (strcmp(e.name, node) == 0)
            return e;
    return (crease_fold_entry){.reason = "-", .detail = ""};
}

/* With a batch of unknown size, less may be known than is needed: an affine may stay, then. */
static void check_expected(const judged *j, const crease_fold_report *report, const expectation *x) {
    crease_fold_entry e = entry_of(report, x->node);
    const char *found = e.folded ? e.pattern : e.reason;
    cr_assert((j->n->open_batch && !e.folded) || is_one_of(found, x->outcome),
              "seed %u: '%s' became %s, expected %s (%s)", net_seed, x->node, found, x->outcome,
              e.detail ? e.detail : "");
}

static crease_status count_bns(cr_graph *graph, void *n) {
    CR_FOR_NODES(node, graph)
    *(int *)n += cr_node_is(node, "BatchNormalization");
    return CREASE_OK;
}

/* A rounding of the network's type, or of the float32 that parameters beside half-width data may have. */
static bool is_bound(const judged *j, const crease_fold_entry *e) {
    double unit = (double)oracle_units_of(j->n->dtype).step;
    if (strcmp(e->pattern, "constant") == 0)
        return e->bound == 0;
    return e->bound == unit || (unit > 0x1p-24 && e->bound == 0x1p-24);
}

static void count_reason(tally *t, const char *reason) {
    for (int i = 0; i < t->n_reasons; i++)
        if (strcmp(t->reasons[i], reason) == 0)
            return;
    t->reasons[t->n_reasons++] = reason;
}

static void check_entries(judged *j, const crease_fold_report *report) {
    int n_entries = 0, n_nodes = 0;
    crease_fold_entry e = {.struct_size = sizeof e};
    for (int i = 0; i < j->n->n_expected; i++)
        check_expected(j, report, &j->n->expected[i]);
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &e); i++) {
        bool whole = e.folded ? e.into && e.pattern && !e.reason && is_bound(j, &e)
                              : e.reason && e.detail && e.detail[0] && !e.pattern && !e.into;
        cr_assert(whole, "seed %u: the entry of '%s' is not complete", net_seed, e.name);
        n_entries += strcmp(e.op, "BatchNormalization") == 0;
        j->tally->folded += e.folded;
        j->tally->kept += !e.folded;
        if (!e.folded)
            count_reason(j->tally, e.reason);
    }
    OK(cr_model_each_graph(j->n->base.model, count_bns, &n_nodes));
    cr_assert_eq(n_entries, n_nodes, "seed %u: %d entries for %d nodes", net_seed, n_entries, n_nodes);
}

/* ---- values ---- */

static void make_inputs(judged *j) {
    const cr_graph *graph = j->n->base.model->graph;
    cr_assert(graph->n_inputs <= MAX_INPUTS);
    for (int i = 0; i < graph->n_inputs; i++) {
        const cr_value *v = graph->inputs[i];
        cr_shape shape = v->shape;
        for (int d = 0; d < shape.rank; d++)
            shape.dims[d] = shape.dims[d] < 0 ? 2 : shape.dims[d];
        if (v->initial)
            continue;
        OK(cr_tensor_create(j->n->base.heap, v->dtype, &shape, &j->inputs[i]));
        for (int64_t k = 0; k < cr_shape_n(&shape); k++)
            if (v->dtype == CREASE_BOOL)
                ((uint8_t *)j->inputs[i].data)[k] = net_chance(j->n, 50);
            else if (v->dtype == CREASE_INT8)
                ((int8_t *)j->inputs[i].data)[k] = (int8_t)net_pick(j->n, -9, 9);
            else
                cr_store_float(v->dtype, j->inputs[i].data, k, small_random(&j->n->base, -2, 2));
    }
}

/* A NaN where the exact network has one; infinities are as good, since the order of operations decides. */
static void check_element(judged *j, int output, int64_t i, real exact, real found, real radius) {
    real difference = fabsl(found - exact);
    if (j->n->undefined)
        return;
    if (!isfinite(exact)) {
        cr_assert(!isfinite(found), "seed %u: output %d[%lld] is %Lg, expected %Lg", net_seed, output,
                  (long long)i, found, exact);
        return;
    }
    cr_assert(difference <= radius, "seed %u: output %d[%lld] is %.20Lg, expected %.20Lg within %.3Lg",
              net_seed, output, (long long)i, found, exact, radius);
    if (radius > 0 && (double)(difference / radius) > j->tally->worst)
        j->tally->worst = (double)(difference / radius);
}

/* Where a constant is rounded several times, differences of numbers near 1 may have been rounded before. */
static oracle_units units_of(const judged *j) {
    oracle_units u = oracle_units_of(j->n->dtype);
    u.constant *= j->n->roundings;
    if (j->n->roundings > 1)
        u.tiny += 2 * u.constant;
    return u;
}

/* What folding alone changes: the oracle's own values of both networks, apart only by rounded constants. */
static void check_fold(judged *j, const cr_model *folded) {
    oracle_units u = units_of(j);
    oracle narrow;
    u.step = 0x1p-60L;
    oracle_run(&narrow, folded, j->inputs, u);
    for (int i = 0; i < folded->graph->n_outputs; i++) {
        const tracked *a = oracle_output(&j->exact, i), *b = oracle_output(&narrow, i);
        cr_assert_eq(a->n, b->n, "seed %u: output %d has another size", net_seed, i);
        for (int64_t k = 0; k < a->n; k++)
            check_element(j, i, k, a->value[k], b->value[k], b->radius[k]);
    }
    oracle_end(&narrow);
}

static crease_session *run_session(judged *j, crease_model *model) {
    crease_options options;
    crease_session *session;
    crease_options_init(&options);
    options.threads = 1;
    options.fold = false;
    options.exact = true;
    OK(crease_session_create(model, &options, &session));
    for (int i = 0; i < j->n->base.model->graph->n_inputs; i++) {
        const cr_tensor *t = &j->inputs[i];
        if (t->data)
            OK(crease_session_set_input(session, j->n->base.model->graph->inputs[i]->name, t->dtype,
                                        t->shape.rank, t->shape.dims, t->data));
    }
    OK(crease_session_run(session));
    return session;
}

/* What the folded network gives when it runs. */
static void check_run(judged *j, crease_model *model) {
    oracle narrow;
    oracle_run(&narrow, model->ir, j->inputs, units_of(j));
    crease_session *session = run_session(j, model);
    for (int i = 0; i < model->ir->graph->n_outputs; i++) {
        const tracked *a = oracle_output(&j->exact, i), *b = oracle_output(&narrow, i);
        crease_tensor t = {.struct_size = sizeof t};
        OK(crease_session_output(session, (size_t)i, &t));
        cr_assert_str_eq(t.name, j->n->base.model->graph->outputs[i]->name);
        for (int64_t k = 0; k < a->n; k++)
            check_element(j, i, k, a->value[k], (real)cr_load_float(t.dtype, t.data, k), b->radius[k]);
    }
    crease_session_free(session);
    oracle_end(&narrow);
}

/* ---- files ---- */

/* Saved and loaded again. */
static crease_model *reload(const crease_model *model, void **bytes, size_t *n_bytes) {
    crease_model *loaded;
    OK(crease_model_save_memory(model, bytes, n_bytes));
    OK(crease_model_load_memory(*bytes, *n_bytes, NULL, &loaded));
    return loaded;
}

static void check_twice(const crease_model *once, const void *bytes, size_t n_bytes,
                        const crease_fold_options *options) {
    crease_fold_report *report;
    crease_model *twice;
    crease_fold_entry e = {.struct_size = sizeof e};
    void *more;
    size_t n_more;
    OK(crease_fold(once, options, &twice, &report));
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &e); i++)
        cr_assert_not(e.folded, "seed %u: '%s' was folded the second time", net_seed, e.name);
    OK(crease_model_save_memory(twice, &more, &n_more));
    cr_assert(n_more == n_bytes && memcmp(more, bytes, n_bytes) == 0,
              "seed %u: folding twice changes the file", net_seed);
    crease_memory_free(more);
    crease_model_free(twice);
    crease_fold_report_free(report);
}

/* ---- all of it ---- */

/* The size of the batch is known when it runs only, and so are the shapes that follow from it. */
static void forget_shapes(cr_model *model) {
    for (int i = 0; i < model->n_values; i++)
        if (!model->values[i]->constant && !model->values[i]->is_input)
            model->values[i]->shape = cr_shape_unknown();
    model->graph->inputs[0]->shape.dims[0] = CR_DIM_UNKNOWN;
}

/* The network as a file has it: values in the order of loading. */
static crease_model *publish(judged *j) {
    crease_model *model, *loaded;
    cr_model *copy;
    void *bytes;
    size_t n_bytes;
    OK(cr_model_clone(j->n->base.model, j->n->base.heap, &copy));
    if (j->n->open_batch)
        forget_shapes(copy);
    OK(cr_model_publish(copy, &model));
    loaded = reload(model, &bytes, &n_bytes);
    crease_memory_free(bytes);
    crease_model_free(model);
    return loaded;
}

static void check(judged *j) {
    crease_fold_options options;
    crease_fold_report *report;
    crease_model *model = publish(j), *folded, *loaded;
    void *bytes;
    size_t n_bytes;
    crease_fold_options_init(&options);
    options.assume_const = j->n->assume_const;
    options.keep = j->n->keep;
    options.only = j->n->only;
    OK(crease_fold(model, &options, &folded, &report));
    OK(cr_model_verify(folded->ir));
    check_entries(j, report);
    check_fold(j, folded->ir);
    loaded = reload(folded, &bytes, &n_bytes);
    if (crease_model_check(loaded) == CREASE_OK)
        check_run(j, loaded);
    if (!options.only) /* nothing of that name is left */
        check_twice(loaded, bytes, n_bytes, &options);
    crease_memory_free(bytes);
    crease_fold_report_free(report);
    crease_model_free(loaded);
    crease_model_free(folded);
    crease_model_free(model);
}

void net_check(network *n, tally *t) {
    judged j = {.n = n, .tally = t};
    if (n->end->n_outputs == 0)
        net_output(n, n->end);
    net_settle(n);
    make_inputs(&j);
    oracle_run(&j.exact, n->base.model, j.inputs, (oracle_units){0});
    check(&j);
    oracle_end(&j.exact);
    for (int i = 0; i < MAX_INPUTS; i++)
        if (j.inputs[i].data)
            cr_tensor_release(&j.inputs[i]);
    t->graphs++;
    small_end(&n->base);
}
