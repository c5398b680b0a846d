#include "runtime/api/model.h"
#include "runtime/api/walk.h"
#include "runtime/base/structs.h"
#include "runtime/graph/edit.h"
#include "runtime/kernels/gemm.h"

#include <math.h>
#include <string.h>

/* Statistics are summed in double and rounded once, when the calibrated model is made. */

enum { N_INPUTS = 5 }; /* x, scale, bias, mean, variance */

typedef struct statistics {
    const cr_node *node;
    int64_t channels; /* 0: no batch seen yet */
    int64_t n_batches;
    double *mean, *variance;
    double momentum; /* of the running value */
} statistics;

struct crease_calibration {
    crease_model *model; /* retained */
    crease_calibrate_options options;
    cr_heap *heap;
    cr_arena arena;
    cr_pool *pool;
    statistics *list;
    size_t n;
    statistics **by_node; /* [n_nodes] by node id; NULL for others */
    int64_t n_batches;
    bool failed; /* some statistics have a batch more than others */
};

void crease_calibrate_options_init_sized(crease_calibrate_options *options, size_t bytes) {
    const crease_calibrate_options full = {.momentum = -1};
    cr_struct_init(options, bytes, &full, sizeof full);
}

void(crease_calibrate_options_init)(crease_calibrate_options *options) {
    crease_calibrate_options_init(options);
}

/* ---- making ---- */

static bool is_bn(const cr_node *node) {
    return cr_node_is(node, "BatchNormalization");
}

static crease_status count_nodes(cr_graph *graph, void *context) {
    crease_calibration *c = context;
    CR_FOR_NODES(node, graph)
    c->n += is_bn(node);
    return CREASE_OK;
}

static crease_status check_node(const cr_node *node) {
    bool whole = node->n_inputs == N_INPUTS;
    for (int i = 0; i < N_INPUTS; i++)
        whole = whole && node->inputs[i];
    return whole ? CREASE_OK
                 : cr_node_fail(node, CREASE_ERROR_MODEL, "it has %d inputs, expected %d", node->n_inputs,
                                N_INPUTS);
}

static crease_status list_graph(cr_graph *graph, void *context) {
    crease_calibration *c = context;
    CR_FOR_NODES(node, graph) {
        float momentum;
        if (!is_bn(node))
            continue;
        CR_TRY(check_node(node));
        CR_TRY(cr_attr_float(node, "momentum", 0.9f, &momentum));
        bool own = c->options.momentum < 0;
        c->list[c->n] = (statistics){.node = node, .momentum = own ? (double)momentum : c->options.momentum};
        c->by_node[node->id] = &c->list[c->n++];
    }
    return CREASE_OK;
}

static crease_status list_nodes(crease_calibration *c) {
    CR_TRY(cr_model_each_graph(c->model->ir, count_nodes, c));
    if (c->n == 0)
        return cr_fail(CREASE_ERROR_ARGUMENT,
                       "the model has no BatchNormalization: the exporter folded them, or it never had any");
    CR_TRY(CR_ARENA_NEW(&c->arena, &c->list, c->n));
    CR_TRY(CR_ARENA_NEW(&c->arena, &c->by_node, (size_t)c->model->ir->n_nodes));
    c->n = 0;
    return cr_model_each_graph(c->model->ir, list_graph, c);
}

static crease_status set_up(crease_calibration *c) {
    CR_TRY(crease_model_check(c->model));
    CR_TRY(cr_pool_create(c->heap, c->options.threads, &c->pool));
    return list_nodes(c);
}

crease_status crease_calibration_create(crease_model *model, const crease_calibrate_options *options,
                                        crease_calibration **calibration) {
    void *block;
    crease_calibrate_options o;
    if (!model || !calibration)
        return cr_fail(CREASE_ERROR_ARGUMENT,
                       "crease_calibration_create: model and calibration must not be NULL");
    *calibration = NULL;
    crease_calibrate_options_init(&o);
    cr_struct_take(&o, options, sizeof o);
    if (isnan(o.momentum) || o.momentum > 1)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_calibration_create: the momentum %g is above 1",
                       o.momentum);
    CR_TRY(cr_alloc_zeroed(model->ir->heap, sizeof(crease_calibration), &block));
    crease_calibration *c = block;
    c->model = crease_model_retain(model);
    c->options = o;
    c->heap = model->ir->heap;
    cr_arena_init(&c->arena, c->heap);
    crease_status status = set_up(c);
    if (status == CREASE_OK)
        *calibration = c;
    else
        crease_calibration_free(c);
    return status;
}

void crease_calibration_free(crease_calibration *calibration) {
    if (!calibration)
        return;
    crease_model *model = calibration->model;
    cr_pool_destroy(calibration->pool);
    cr_arena_clear(&calibration->arena);
    cr_free(calibration->heap, calibration);
    crease_model_free(model); /* last: its heap is used above */
}

/* ---- the statistics of one batch ---- */

typedef struct batch {
    const cr_tensor *x;
    int64_t images, channels, area;
    double *mean, *variance;
} batch;

/* Sum of (x - center)^power, power 1 or 2, over a channel. */
static double sum_channel(const batch *b, int64_t c, double center, int power) {
    double sum = 0;
    for (int64_t n = 0; n < b->images; n++) {
        double image = 0; /* pairs of sums lose less than one long one */
        int64_t begin = (n * b->channels + c) * b->area;
        for (int64_t i = begin; i < begin + b->area; i++) {
            double d = cr_load_float(b->x->dtype, b->x->data, i) - center;
            image += power == 1 ? d : d * d;
        }
        sum += image;
    }
    return sum;
}

static void measure_channels(void *context, int64_t begin, int64_t end, int thread) {
    const batch *b = context;
    double count = (double)b->images * (double)b->area;
    (void)thread;
    for (int64_t c = begin; c < end; c++) {
        b->mean[c] = sum_channel(b, c, 0, 1) / count;
        b->variance[c] = sum_channel(b, c, b->mean[c], 2) / count;
    }
}

/* Channels are axis 1, or with spatial = 0 every position of an image has its own. */
static crease_status shape_batch(const cr_node *node, const cr_tensor *x, int64_t channels, batch *b) {
    int64_t n = cr_shape_n(&x->shape);
    *b = (batch){.x = x, .channels = channels, .images = x->shape.rank ? x->shape.dims[0] : 1};
    if (channels < 1 || b->images < 1 || n % (channels * b->images))
        return cr_node_fail(node, CREASE_ERROR_INPUT, "a batch without elements has no statistics");
    b->area = n / (channels * b->images);
    if (b->images * b->area < 2)
        return cr_node_fail(node, CREASE_ERROR_INPUT,
                            "a channel has one value in the batch and so no variance: use larger batches");
    return CREASE_OK;
}

/* ---- accumulating ---- */

/* running = running m + batch (1 - m); cumulative: the average over the batches. In a body each run is a
 * batch. */
static void accumulate(const crease_calibration *c, statistics *s, const batch *b) {
    double m = c->options.cumulative ? (double)s->n_batches / (double)(s->n_batches + 1) : s->momentum;
    s->n_batches++;
    for (int64_t i = 0; i < s->channels; i++) {
        s->mean[i] = s->mean[i] * m + b->mean[i] * (1 - m);
        s->variance[i] = s->variance[i] * m + b->variance[i] * (1 - m);
    }
}

/* Begins with what the model has stored. */
static crease_status begin_statistics(crease_calibration *c, statistics *s, const cr_tensor *mean,
                                      const cr_tensor *variance) {
    int64_t n = cr_shape_n(&mean->shape);
    CR_TRY(CR_ARENA_NEW(&c->arena, &s->mean, (size_t)n));
    CR_TRY(CR_ARENA_NEW(&c->arena, &s->variance, (size_t)n));
    for (int64_t i = 0; i < n; i++) {
        s->mean[i] = cr_load_float(mean->dtype, mean->data, i);
        s->variance[i] = cr_load_float(variance->dtype, variance->data, i);
    }
    s->channels = n;
    return CREASE_OK;
}

static crease_status round_to(crease_calibration *c, const double *from, const cr_tensor *like,
                              cr_tensor *to) {
    CR_TRY(cr_tensor_create(c->heap, like->dtype, &like->shape, to));
    for (int64_t i = 0, n = cr_shape_n(&like->shape); i < n; i++)
        cr_store_float(like->dtype, to->data, i, from[i]);
    return CREASE_OK;
}

/* A batch on its way through the network. */
typedef struct passage {
    crease_calibration *c;
    cr_walk *walk;
    cr_eval eval;
} passage;

/* The node by the statistics of the batch. */
static crease_status normalise(const passage *p, const cr_node *node, const cr_tensor *const *in,
                               const batch *b) {
    cr_tensor mean = {0}, variance = {0};
    const cr_tensor *ports[N_INPUTS] = {in[0], in[1], in[2], &mean, &variance};
    crease_status status = round_to(p->c, b->mean, in[3], &mean);
    if (status == CREASE_OK)
        status = round_to(p->c, b->variance, in[4], &variance);
    if (status == CREASE_OK)
        status = cr_walk_eval(p->walk, &p->eval, node, ports);
    cr_tensor_release(&mean);
    cr_tensor_release(&variance);
    return status;
}

/* What a graph computes may have any type and length. */
static crease_status check_inputs(const statistics *s, const cr_tensor *const *in) {
    int64_t n = cr_shape_n(&in[3]->shape);
    bool floats =
        cr_dtype_is_float(in[0]->dtype) && cr_dtype_is_float(in[3]->dtype) && cr_dtype_is_float(in[4]->dtype);
    if (!floats || n != cr_shape_n(&in[4]->shape) || (s->channels && n != s->channels))
        return cr_node_fail(s->node, CREASE_ERROR_MODEL, "its mean and variance do not fit each other");
    return CREASE_OK;
}

static crease_status run_bn(const passage *p, statistics *s, const cr_tensor *const *in, cr_arena *arena) {
    batch b;
    CR_TRY(check_inputs(s, in));
    if (!s->channels)
        CR_TRY(begin_statistics(p->c, s, in[3], in[4]));
    CR_TRY(shape_batch(s->node, in[0], s->channels, &b));
    CR_TRY(CR_ARENA_NEW(arena, &b.mean, (size_t)b.channels));
    CR_TRY(CR_ARENA_NEW(arena, &b.variance, (size_t)b.channels));
    cr_parallel(p->c->pool, b.channels, measure_channels, &b);
    accumulate(p->c, s, &b);
    return normalise(p, s->node, in, &b);
}

/* ---- a batch through the network ---- */

static crease_status run_node(void *context, const cr_node *node, const cr_tensor *const *in,
                              cr_arena *arena) {
    const passage *p = context;
    statistics *s = p->c->by_node[node->id];
    return s ? run_bn(p, s, in, arena) : cr_walk_eval(p->walk, &p->eval, node, in);
}

static crease_status run_body(cr_run *run, cr_graph *graph, const cr_tensor *inputs, cr_tensor *outputs) {
    passage *p = run->executor;
    return cr_walk_body(p->walk, graph, inputs, outputs, run_node, p);
}

static crease_status run_graph(crease_calibration *c, cr_walk *walk) {
    passage p = {.c = c, .walk = walk, .eval = {.heap = c->heap, .pool = c->pool, .subgraph = run_body}};
    p.eval.executor = &p;
    return cr_walk_main(walk, run_node, &p);
}

static const cr_value *input_called(const crease_model *model, const char *name) {
    for (size_t i = 0; i < model->n_inputs; i++)
        if (name ? strcmp(model->inputs[i]->name, name) == 0 : model->n_inputs == 1)
            return model->inputs[i];
    return NULL;
}

static crease_status set_input(const crease_calibration *c, cr_walk *walk, const crease_tensor *t) {
    const cr_value *value = input_called(c->model, t->name);
    if (!value || t->rank < 0 || t->rank > CR_MAX_RANK)
        return cr_fail(CREASE_ERROR_ARGUMENT, "the model has no input '%s'", t->name ? t->name : "(unnamed)");
    cr_tensor tensor = {
        .dtype = t->dtype, .shape = cr_shape_of(t->rank, t->dims), .data = (void *)(uintptr_t)t->data};
    char found[128], expected[128];
    if (t->dtype != value->dtype || !cr_shape_fits(&tensor.shape, &value->shape))
        return cr_fail(CREASE_ERROR_INPUT, "input '%s' is %s %s, expected %s %s", value->name,
                       crease_dtype_name(t->dtype), cr_shape_print(&tensor.shape, found, sizeof found),
                       crease_dtype_name(value->dtype),
                       cr_shape_print(&value->shape, expected, sizeof expected));
    cr_walk_set(walk, value, &tensor);
    return CREASE_OK;
}

static crease_status add(crease_calibration *c, cr_walk *walk, const crease_tensor *inputs, size_t n) {
    CR_TRY(cr_walk_begin(walk, c->model->ir, c->heap));
    for (size_t i = 0; i < n; i++)
        CR_TRY(set_input(c, walk, &inputs[i]));
    for (size_t i = 0; i < c->model->n_inputs; i++)
        if (!cr_walk_contents(walk, c->model->inputs[i]))
            return cr_fail(CREASE_ERROR_INPUT, "input '%s' is missing", c->model->inputs[i]->name);
    c->failed = true;
    cr_blas_enter();
    crease_status status = run_graph(c, walk);
    cr_blas_leave();
    c->failed = status != CREASE_OK;
    c->n_batches += !c->failed;
    return status;
}

crease_status crease_calibration_add(crease_calibration *calibration, const crease_tensor *inputs,
                                     size_t n_inputs) {
    cr_walk walk;
    if (!calibration || (n_inputs && !inputs) || calibration->failed)
        return cr_fail(CREASE_ERROR_ARGUMENT,
                       "crease_calibration_add: calibration and inputs must not be NULL, and no batch before "
                       "may have failed");
    crease_status status = add(calibration, &walk, inputs, n_inputs);
    cr_walk_end(&walk);
    return status;
}

/* ---- the calibrated model ---- */

/* Input `input` of the node becomes `values`: in place of a weight that nobody else uses, which keeps its
 * name, or else as a new one. */
static crease_status store(cr_node *node, int input, const double *values, int64_t n) {
    cr_value *old = node->inputs[input], *fresh;
    const cr_tensor *like = old->constant ? old->constant : old->initial;
    cr_shape shape = like ? like->shape : cr_shape_of(1, &n);
    crease_dtype dtype = like ? like->dtype : old->dtype;
    cr_model *model = node->graph->model;
    cr_tensor tensor;
    CR_TRY(cr_tensor_create(model->heap, dtype, &shape, &tensor));
    for (int64_t i = 0; i < n; i++)
        cr_store_float(dtype, tensor.data, i, values[i]);
    bool own = like && old->n_uses == 1 && !old->n_outputs;
    crease_status status = own ? cr_value_set_constant(old, &tensor)
                               : cr_graph_add_constant(node->graph, old->name, &tensor, &fresh);
    if (status == CREASE_OK && own && old->initial) { /* it stays a default that can be overridden */
        old->initial = old->constant;
        old->constant = NULL;
    }
    if (status == CREASE_OK && !own)
        status = cr_node_set_input(node, input, fresh);
    cr_tensor_release(&tensor);
    return status;
}

static crease_status store_all(const crease_calibration *c, cr_model *ir) {
    for (size_t i = 0; i < c->n; i++) {
        const statistics *s = &c->list[i];
        if (!s->n_batches)
            continue; /* in a branch that no batch took */
        CR_TRY(store(ir->nodes[s->node->id], 3, s->mean, s->channels));
        CR_TRY(store(ir->nodes[s->node->id], 4, s->variance, s->channels));
    }
    return CREASE_OK;
}

crease_status crease_calibration_finish(const crease_calibration *calibration, crease_model **calibrated) {
    cr_model *ir;
    if (!calibration || !calibrated || calibration->failed || !calibration->n_batches)
        return cr_fail(CREASE_ERROR_ARGUMENT,
                       "crease_calibration_finish: nothing may be NULL, and batches must have been added");
    *calibrated = NULL;
    CR_TRY(cr_model_clone(calibration->model->ir, calibration->heap, &ir));
    crease_status status = store_all(calibration, ir);
    if (status == CREASE_OK)
        return cr_model_publish(ir, calibrated);
    cr_model_destroy(ir);
    return status;
}
