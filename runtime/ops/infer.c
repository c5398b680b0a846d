#include "runtime/ops/infer.h"
#include "runtime/ops/eval.h"

#include <limits.h>
#include <string.h>

/* ---- rules shared by families ---- */

crease_status cr_infer_need(const cr_infer *infer, int i) {
    if (i >= infer->n_in || !infer->in[i])
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is missing", i);
    return CREASE_OK;
}

crease_status cr_infer_same(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, 0));
    infer->out[0] = *infer->in[0];
    infer->out[0].known = NULL;
    return CREASE_OK;
}

crease_status cr_infer_broadcast(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    for (int i = 1; i < infer->n_in; i++) {
        CR_TRY(cr_infer_need(infer, i));
        CR_TRY(
            cr_node_broadcast(infer->node, &infer->out[0].shape, &infer->in[i]->shape, &infer->out[0].shape));
    }
    return CREASE_OK;
}

crease_status cr_infer_same_type(const cr_infer *infer, int i, int j) {
    const cr_info *a = i < infer->n_in ? infer->in[i] : NULL, *b = j < infer->n_in ? infer->in[j] : NULL;
    if (a && b && a->dtype && b->dtype && a->dtype != b->dtype)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is %s but input %d is %s", i,
                            crease_dtype_name(a->dtype), j, crease_dtype_name(b->dtype));
    return CREASE_OK;
}

crease_status cr_infer_rank(const cr_infer *infer, int i, int low, int high) {
    int rank = infer->in[i]->shape.rank;
    if (rank >= 0 && (rank < low || rank > high))
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d has rank %d, expected %d to %d", i,
                            rank, low, high);
    return CREASE_OK;
}

crease_status cr_infer_list(const cr_infer *infer, int i, const cr_tensor **list, bool *left_out) {
    *list = NULL;
    *left_out = i >= infer->n_in || !infer->in[i];
    if (*left_out)
        return CREASE_OK;
    crease_dtype dtype = infer->in[i]->dtype;
    if (dtype && dtype != CREASE_INT64 && dtype != CREASE_INT32)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d is %s, expected int64", i,
                            crease_dtype_name(dtype));
    *list = infer->in[i]->known;
    return CREASE_OK;
}

crease_status cr_infer_ints(const cr_infer *infer, int i, int64_t values[CR_MAX_RANK], int *n, bool *known) {
    const cr_tensor *list;
    bool left_out;
    *n = -1;
    CR_TRY(cr_infer_list(infer, i, &list, &left_out));
    *known = list || left_out;
    if (!list)
        return CREASE_OK;
    int64_t count = cr_shape_n(&list->shape);
    if (count > CR_MAX_RANK || list->shape.rank > 1)
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED,
                            "input %d has %lld values, at most %d are supported", i, (long long)count,
                            CR_MAX_RANK);
    for (*n = 0; *n < count; ++*n)
        values[*n] = cr_tensor_int(list, *n);
    return CREASE_OK;
}

/* A name is written where there is something to say: that takes longer than the checks, and late steps are
 * inferred in every run. */

crease_status cr_node_check_shape(const cr_node *node, const cr_shape *shape, crease_status status) {
    char text[256];
    if (cr_shape_check_known(shape, status, "") == CREASE_OK)
        return CREASE_OK;
    return cr_shape_check_known(shape, status, cr_node_print(node, text, sizeof text));
}

crease_status cr_node_broadcast(const cr_node *node, const cr_shape *a, const cr_shape *b, cr_shape *out) {
    char text[256];
    cr_shape both;
    if (cr_shape_broadcast(a, b, "", &both) != CREASE_OK)
        return cr_shape_broadcast(a, b, cr_node_print(node, text, sizeof text), out);
    *out = both;
    return CREASE_OK;
}

crease_status cr_node_axis(const cr_node *node, int64_t stated, int rank, int *axis) {
    char text[256];
    if (cr_axis_resolve(stated, rank, "", axis) == CREASE_OK)
        return CREASE_OK;
    return cr_axis_resolve(stated, rank, cr_node_print(node, text, sizeof text), axis);
}

crease_status cr_axis_attr(const cr_node *node, int64_t otherwise, int rank, int *axis) {
    int64_t value;
    CR_TRY(cr_attr_int(node, "axis", otherwise, &value));
    return cr_node_axis(node, value, rank, axis);
}

/* ---- one node ---- */

static crease_status check_types(const cr_node *node, const cr_info *const *in) {
    char text[256];
    const cr_op *op = node->op;
    if (!op)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "%s", cr_node_problem(node, text, sizeof text));
    const cr_info *typed = op->typed < node->n_inputs ? in[op->typed] : NULL;
    if (typed && typed->dtype && op->types && !(op->types & CR_T(typed->dtype)))
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "element type %s is not supported",
                            crease_dtype_name(typed->dtype));
    return CREASE_OK;
}

/* Only of recurrent operators, and of those with bodies, is the first output optional. */
static crease_status check_output(const cr_node *node) {
    if (cr_node_output(node, 0) || (node->op->flags & CR_OP_BODY) || cr_node_is(node, "RNN") ||
        cr_node_is(node, "GRU") || cr_node_is(node, "LSTM"))
        return CREASE_OK;
    return cr_node_fail(node, CREASE_ERROR_MODEL, "the first output is left out");
}

/* The rest of `infer` is given: where bodies may be inferred, too. */
static crease_status infer_node(cr_infer infer, const cr_node *node, const cr_info *const *in, cr_info *out) {
    CR_TRY(check_output(node));
    CR_TRY(check_types(node, in));
    for (int i = 0; i < node->n_outputs; i++)
        out[i] = (cr_info){.shape = cr_shape_unknown()};
    infer.node = node;
    infer.op = node->op;
    infer.opset = cr_model_opset(node->graph->model, node->domain);
    infer.n_in = node->n_inputs;
    infer.n_out = node->n_outputs;
    infer.in = in;
    infer.out = out;
    CR_TRY(node->op->infer(&infer));
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i])
            CR_TRY(cr_node_check_shape(node, &out[i].shape, CREASE_ERROR_MODEL));
    return CREASE_OK;
}

crease_status cr_node_infer(const cr_node *node, const cr_info *const *in, cr_info *out) {
    return infer_node((cr_infer){0}, node, in, out);
}

/* ---- the walk ---- */

enum { MAX_KNOWN = 4096 }; /* elements: shape arithmetic, not data */

static bool is_shape_query(const cr_node *node) {
    return cr_node_is(node, "Shape") || cr_node_is(node, "Size");
}

/* Whether the results of a node can be computed now: every input known, or only shapes are asked for. */
static bool can_compute(const cr_node *node, const cr_info *const *in, const cr_info *out) {
    if (node->op->flags & (CR_OP_RANDOM | CR_OP_BODY))
        return false;
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] && (!cr_shape_is_static(&out[i].shape) || !crease_dtype_bits(out[i].dtype) ||
                                 cr_shape_n(&out[i].shape) > MAX_KNOWN))
            return false;
    if (is_shape_query(node))
        return in[0] && cr_shape_is_static(&in[0]->shape);
    for (int i = 0; i < node->n_inputs; i++)
        if (in[i] && !in[i]->known)
            return false;
    return true;
}

static crease_status compute(const cr_node *node, cr_infer_walk *walk, const cr_info *const *in) {
    cr_tensor shells[8], results[8];
    const cr_tensor *tensors[8];
    if (node->n_inputs > 8 || node->n_outputs > 8)
        return CREASE_OK;
    for (int i = 0; i < node->n_inputs; i++) {
        shells[i] = (cr_tensor){.dtype = in[i] ? in[i]->dtype : CREASE_FLOAT,
                                .shape = in[i] ? in[i]->shape : (cr_shape){0}};
        tensors[i] = !in[i] ? NULL : in[i]->known ? in[i]->known : &shells[i];
    }
    crease_status status = cr_node_eval(node, walk->heap, tensors, results);
    if (status == CREASE_ERROR_MEMORY)
        return status;
    if (status != CREASE_OK)
        return CREASE_OK; /* it will fail again, with its sentence, when it is run */
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i]) {
            int id = node->outputs[i]->id;
            cr_tensor_release(&walk->known[id]);
            walk->known[id] = results[i];
            walk->infos[id].known = &walk->known[id];
        }
    return CREASE_OK;
}

/* Values of a body are not known by an earlier walk of it. */
static void forget(cr_infer_walk *walk, const cr_graph *graph) {
    CR_FOR_NODES(node, graph)
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i])
            walk->infos[node->outputs[i]->id] = (cr_info){.shape = cr_shape_unknown()};
}

/* Of cr_infer_walk.steady; 0: further on than there are bits. */
static unsigned bit_of(const cr_graph *body) {
    unsigned bit = 1;
    for (int i = 0; i < body->owner->n_attrs && body->owner->attrs[i].type != CR_ATTR_GRAPHS; i++)
        if (body->owner->attrs[i].type == CR_ATTR_GRAPH) {
            if (body->owner->attrs[i].graphs[0] == body)
                return bit & UCHAR_MAX;
            bit <<= 1;
        }
    return 0;
}

void cr_infer_walk_note(const cr_infer_walk *walk, const cr_graph *body, bool steady) {
    if (!walk->steady)
        return;
    const unsigned bit = bit_of(body);
    unsigned char *bits = &walk->steady[body->owner->id];
    *bits = (unsigned char)(steady ? *bits | bit : *bits & ~bit);
}

static crease_status walk_body(const cr_infer *infer, const cr_graph *graph, const cr_info *inputs,
                               cr_info *outputs) {
    cr_infer_walk *walk = infer->walk;
    for (int i = 0; i < graph->n_inputs; i++)
        walk->infos[graph->inputs[i]->id] = inputs[i];
    forget(walk, graph);
    crease_status status = cr_infer_walk_graph(walk, graph);
    cr_infer_walk_note(walk, graph, status == CREASE_OK);
    for (int i = 0; i < graph->n_outputs; i++)
        outputs[i] =
            status == CREASE_OK ? walk->infos[graph->outputs[i]->id] : (cr_info){.shape = cr_shape_unknown()};
    return status == CREASE_ERROR_MEMORY ? status : CREASE_OK;
}

static crease_status walk_node(cr_infer_walk *walk, const cr_node *node, cr_arena *scratch) {
    const cr_info **in;
    cr_info *out;
    if (!node->op)
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(scratch, &in, (size_t)node->n_inputs + 1));
    CR_TRY(CR_ARENA_NEW(scratch, &out, (size_t)node->n_outputs + 1));
    for (int i = 0; i < node->n_inputs; i++)
        in[i] = node->inputs[i] ? &walk->infos[node->inputs[i]->id] : NULL;
    CR_TRY(infer_node((cr_infer){.body = walk_body, .walk = walk}, node, in, out));
    for (int i = 0; i < node->n_outputs; i++)
        if (node->outputs[i])
            walk->infos[node->outputs[i]->id] = out[i];
    return can_compute(node, in, out) ? compute(node, walk, in) : CREASE_OK;
}

crease_status cr_infer_walk_node(cr_infer_walk *walk, const cr_node *node) {
    cr_arena scratch;
    CR_TRY(cr_infer_walk_extend(walk, node->graph->model));
    cr_arena_init(&scratch, walk->heap);
    crease_status status = walk_node(walk, node, &scratch);
    cr_arena_clear(&scratch);
    return status;
}

crease_status cr_infer_walk_graph(cr_infer_walk *walk, const cr_graph *graph) {
    cr_arena scratch;
    cr_arena_init(&scratch, walk->heap);
    crease_status status = CREASE_OK;
    CR_FOR_NODES(node, graph) {
        status = walk_node(walk, node, &scratch);
        if (status != CREASE_OK)
            break;
    }
    cr_arena_clear(&scratch);
    return status;
}

/* Contents that infos point to move with the list that holds them. */
static crease_status make_room(cr_infer_walk *walk, int capacity) {
    void *infos, *known;
    CR_TRY(cr_alloc_zeroed(walk->heap, (size_t)capacity * sizeof *walk->known, &known));
    crease_status status = cr_alloc_zeroed(walk->heap, (size_t)capacity * sizeof *walk->infos, &infos);
    if (status != CREASE_OK) {
        cr_free(walk->heap, known);
        return status;
    }
    for (int i = 0; i < walk->n; i++) {
        const cr_tensor *at = walk->infos[i].known;
        ((cr_tensor *)known)[i] = walk->known[i];
        ((cr_info *)infos)[i] = walk->infos[i];
        if (at >= walk->known && at < walk->known + walk->n)
            ((cr_info *)infos)[i].known = (cr_tensor *)known + (at - walk->known);
    }
    cr_free(walk->heap, walk->known);
    cr_free(walk->heap, walk->infos);
    walk->known = known;
    walk->infos = infos;
    walk->capacity = capacity;
    return CREASE_OK;
}

crease_status cr_infer_walk_extend(cr_infer_walk *walk, const cr_model *model) {
    const bool grows = walk->n > 0 && model->n_values < INT_MAX / 2;
    if (model->n_values > walk->capacity)
        CR_TRY(make_room(walk, grows ? 2 * model->n_values : model->n_values));
    for (; walk->n < model->n_values; walk->n++) {
        const cr_value *v = model->values[walk->n];
        cr_info *info = &walk->infos[walk->n];
        *info = (cr_info){.dtype = v->dtype, .shape = cr_shape_unknown(), .known = v->constant};
        if (v->constant || v->is_input)
            info->shape = v->shape;
        if (v->constant)
            info->lanes = v->constant->lanes;
    }
    return CREASE_OK;
}

crease_status cr_infer_walk_begin(cr_infer_walk *walk, const cr_model *model, cr_heap *heap) {
    *walk = (cr_infer_walk){.heap = heap};
    return cr_infer_walk_extend(walk, model);
}

void cr_infer_walk_end(cr_infer_walk *walk) {
    for (int i = 0; i < walk->n; i++)
        cr_tensor_release(&walk->known[i]);
    if (walk->heap) {
        cr_free(walk->heap, walk->known);
        cr_free(walk->heap, walk->infos);
    }
    *walk = (cr_infer_walk){0};
}

/* What was found, and where nothing was, what the model says. */
static void refine(cr_shape *shape, const cr_shape *found) {
    bool better = found->rank >= 0 && (cr_shape_is_static(found) || !cr_shape_is_static(shape));
    cr_shape declared = *shape;
    if (better)
        *shape = *found;
    for (int i = 0; better && declared.rank == found->rank && i < found->rank; i++)
        if (found->dims[i] == CR_DIM_UNKNOWN)
            shape->dims[i] = declared.dims[i];
}

static void record_value(cr_value *v, const cr_info *info) {
    if (info->dtype)
        v->dtype = info->dtype;
    refine(&v->shape, &info->shape);
}

/* What the file states of outputs may be true of one iteration only, but nothing else is known where none
 * runs. */
static crease_status keep_empty(const cr_infer_walk *walk, cr_graph *body) {
    if (!body->empty) {
        CR_TRY(CR_ARENA_NEW(&body->model->arena, &body->empty, (size_t)body->n_outputs));
        for (int i = 0; i < body->n_outputs; i++)
            body->empty[i] = body->outputs[i]->shape;
    }
    for (int i = 0; i < body->n_outputs; i++)
        refine(&body->empty[i], &walk->infos[body->outputs[i]->id].shape);
    return CREASE_OK;
}

static void record_repeated(cr_value *v, const cr_info *info) {
    record_value(v, info);
    v->shape = info->shape;
}

static crease_status record(cr_infer_walk *walk, cr_graph *graph, bool repeated);

/* What the walk found in a branch of If holds where it is taken; of a body that repeats it may have tried one
 * iteration only. */
static crease_status record_body(cr_infer_walk *walk, cr_graph *body, bool repeated) {
    const bool branch = cr_node_is(body->owner, "If");
    body->steady = walk->steady[body->owner->id] & bit_of(body);
    if (!body->steady)
        return CREASE_OK;
    if (!branch)
        CR_TRY(keep_empty(walk, body));
    for (int i = 0; i < body->n_inputs; i++)
        record_repeated(body->inputs[i], &walk->infos[body->inputs[i]->id]);
    return record(walk, body, repeated || !branch);
}

static crease_status record(cr_infer_walk *walk, cr_graph *graph, bool repeated) {
    void (*const keep)(cr_value *, const cr_info *) = repeated ? record_repeated : record_value;
    CR_FOR_NODES(node, graph) {
        for (int i = 0; i < node->n_outputs; i++)
            if (node->outputs[i])
                keep(node->outputs[i], &walk->infos[node->outputs[i]->id]);
        for (int i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].type == CR_ATTR_GRAPH)
                CR_TRY(record_body(walk, node->attrs[i].graphs[0], repeated));
    }
    return CREASE_OK;
}

static crease_status infer_and_record(cr_infer_walk *walk, cr_graph *graph) {
    void *steady;
    CR_TRY(cr_alloc_zeroed(walk->heap, (size_t)graph->model->n_nodes + 1, &steady));
    walk->steady = steady;
    crease_status status = cr_infer_walk_graph(walk, graph);
    if (status == CREASE_OK)
        status = record(walk, graph, false);
    walk->steady = NULL;
    cr_free(walk->heap, steady);
    return status;
}

crease_status cr_graph_infer(cr_graph *graph) {
    cr_infer_walk walk;
    cr_model *model = graph->model;
    CR_TRY(cr_infer_walk_begin(&walk, model, model->heap));
    crease_status status = infer_and_record(&walk, graph);
    cr_infer_walk_end(&walk);
    return status;
}

/* ---- work ---- */

static int64_t product_from(const cr_shape *shape, int begin) {
    int64_t n;
    return cr_shape_product(shape, begin, shape->rank, &n) ? n : -1;
}

bool cr_node_is_linear(const cr_node *node) {
    return cr_node_is(node, "Conv") || cr_node_is(node, "ConvTranspose") || cr_node_is(node, "Gemm") ||
           cr_node_is(node, "MatMul");
}

/* Detectors give the heads behind their choice of regions some dozens of maps of 14 by 14; other ranks have
 * about as many pixels. */
enum { LIKELY_ROWS = 8 };
static const int64_t likely_extents[] = {0, 196, 14, 6}; /* by spatial rank */

static void guess(cr_shape *x, int axis, int64_t extent) {
    if (x->dims[axis] < 0)
        x->dims[axis] = extent;
}

/* In the plain layout the size of a map can decide which algorithm accepts it. */
static bool guess_map(const cr_node *node, const cr_shape *w, cr_info *info) {
    cr_shape *x = &info->shape;
    int64_t groups, channels;
    if (!info->lanes || w->rank < 3 || w->rank > 5 || x->rank != w->rank ||
        cr_attr_int(node, "group", 1, &groups) != CREASE_OK ||
        __builtin_mul_overflow(w->dims[1], groups, &channels) || channels < 0)
        return false;
    guess(x, 0, LIKELY_ROWS);
    guess(x, 1, strcmp(node->op_type, "Conv") == 0 ? channels : w->dims[0]);
    for (int d = 2; d < x->rank; d++)
        guess(x, d, likely_extents[x->rank - 2]);
    return true;
}

static bool guess_rows(const cr_node *node, const cr_shape *w, cr_info *info) {
    cr_shape *a = &info->shape;
    int64_t trans_a = 0, trans_b = 0;
    if (strcmp(node->op_type, "Gemm") == 0 && (cr_attr_int(node, "transA", 0, &trans_a) != CREASE_OK ||
                                               cr_attr_int(node, "transB", 0, &trans_b) != CREASE_OK))
        return false;
    if (w->rank != 2 || a->rank < 1)
        return false;
    guess(a, trans_a ? 0 : a->rank - 1, w->dims[trans_b ? 1 : 0]);
    for (int d = 0; d < a->rank; d++)
        guess(a, d, LIKELY_ROWS);
    return true;
}

bool cr_node_guess_input(const cr_node *node, const cr_info *weights, cr_info *x) {
    const bool conv = strcmp(node->op_type, "Conv") == 0 || strcmp(node->op_type, "ConvTranspose") == 0;
    if (!x->dtype)
        x->dtype = weights->dtype;
    if (x->shape.rank < 0) {
        x->shape.rank = weights->shape.rank;
        for (int d = 0; d < x->shape.rank; d++)
            x->shape.dims[d] = CR_DIM_UNKNOWN;
    }
    return conv ? guess_map(node, &weights->shape, x) : guess_rows(node, &weights->shape, x);
}

int64_t cr_node_macs(const cr_node *node, const cr_info *const *in, const cr_info *out) {
    bool conv = strcmp(node->op_type, "Conv") == 0 || strcmp(node->op_type, "ConvBytes") == 0,
         transposed = strcmp(node->op_type, "ConvTranspose") == 0;
    bool gemm = strcmp(node->op_type, "Gemm") == 0, matmul = strcmp(node->op_type, "MatMul") == 0;
    if (!conv && !transposed && !gemm && !matmul)
        return 0;
    if (node->n_inputs < 2 || !in[0] || !in[1] || in[0]->shape.rank < 1 || in[1]->shape.rank < 1 ||
        out[0].shape.rank < 0)
        return -1;
    const cr_shape *x = &in[0]->shape;
    int64_t n, depth;
    if (conv || transposed) {
        n = product_from(conv ? &out[0].shape : x, 0);
        depth = product_from(&in[1]->shape, 1);
    } else {
        int64_t transpose = 0;
        const cr_attr *attr = gemm ? cr_attr_find(node, "transA") : NULL;
        if (attr && attr->type == CR_ATTR_INT)
            transpose = attr->ints[0];
        n = product_from(&out[0].shape, 0);
        depth = transpose ? x->dims[0] : x->dims[x->rank - 1];
    }
    int64_t macs;
    if (n < 0 || depth < 0 || __builtin_mul_overflow(n, depth, &macs))
        return -1;
    return macs;
}
