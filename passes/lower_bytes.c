#include "passes/bytes.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

#include <string.h>

/* before: crease.Conv by weights that were int8, of an input that its producer quantises to at most 256
 *         values; so is the residual, if there is one. crease.MaxPool of its result
 * after:  crease.ConvBytes, whose output is bytes where an activation quantises it and something asks for
 *         bytes; ToBytes and FromBytes where bytes and floats meet, one of each for a value
 * not:    weights that other passes have changed; affines or scales before it, slopes, means of rows;
 *         depthwise convolutions that are not between two of bytes, where moving costs what computing saves
 * why:    sums of bytes are exact, and four times as many a cycle; what is rounded afterwards is rounded to
 *         the same steps. */

/* ---- weights, before they become constants of floats ---- */

static const char *const q_name = "bytes_weights", *const scale_name = "bytes_scale";

static bool is_zero(const cr_tensor *t) {
    for (int64_t i = 0; i < cr_shape_n(&t->shape); i++)
        if (cr_tensor_int(t, i) != 0)
            return false;
    return true;
}

/* The DequantizeLinear of int8 weights without zero point, by one scale or one for each output channel. */
static crease_status quantized_weights(const cr_node *conv, const cr_node **dequantize) {
    const cr_value *w = cr_node_input(conv, 1);
    const cr_node *dq = w && w->producer && cr_node_is(w->producer, "DequantizeLinear") ? w->producer : NULL;
    const cr_tensor *q = dq ? cr_node_constant(dq, 0) : NULL, *scale = dq ? cr_node_constant(dq, 1) : NULL;
    int64_t axis;
    *dequantize = NULL;
    if (!q || !scale || q->dtype != CREASE_INT8 || scale->dtype != CREASE_FLOAT || q->shape.rank < 3 ||
        scale->shape.rank > 1 || cr_attr_find(dq, "block_size") ||
        (cr_node_input(dq, 2) && (!cr_node_constant(dq, 2) || !is_zero(cr_node_constant(dq, 2)))))
        return CREASE_OK;
    CR_TRY(cr_attr_int(dq, "axis", 1, &axis));
    const int64_t n = cr_shape_n(&scale->shape);
    if (n == 1 || (n == q->shape.dims[0] && (axis == 0 || axis + q->shape.rank == 0)))
        *dequantize = dq;
    return CREASE_OK;
}

static crease_status set_tensor(cr_node *node, const char *name, const cr_tensor *tensor) {
    cr_tensor *copy;
    CR_TRY(CR_ARENA_NEW(&node->graph->model->arena, &copy, 1));
    *copy = *tensor;
    return cr_node_set_attr(node, &(cr_attr){.name = name, .type = CR_ATTR_TENSOR, .n = 1, .tensors = copy});
}

crease_status cr_pass_note_bytes(cr_graph *graph) {
    const cr_node *dq;
    CR_FOR_NODES(node, graph) {
        if (!cr_node_is(node, "Conv"))
            continue;
        CR_TRY(quantized_weights(node, &dq));
        if (!dq)
            continue;
        CR_TRY(set_tensor(node, q_name, cr_node_constant(dq, 0)));
        CR_TRY(set_tensor(node, scale_name, cr_node_constant(dq, 1)));
    }
    return CREASE_OK;
}

/* ---- what quantises ---- */

enum { X, W, B, RESIDUAL, SCALE, N_CONV_INPUTS = 10 };

static bool is_conv(const cr_node *node) {
    return cr_is_ours(node, "Conv") || cr_is_ours(node, "ConvBytes");
}

/* Whether the last thing that a node does to its result is to quantise it. */
crease_status cr_quantises(const cr_node *node, cr_grid *g, bool *does) {
    const bool ends =
        is_conv(node) || cr_is_pair(node) || cr_is_ours(node, "Activation") || cr_is_ours(node, "Affine");
    cr_activation act;
    *does = false;
    if (!ends || node->n_outputs != 1)
        return CREASE_OK;
    CR_TRY(
        cr_blocked_activation(node, is_conv(node) && cr_node_input(node, RESIDUAL) ? "after" : "act", &act));
    *does = cr_bytes_scaling_of(&act, &g->scaling, &g->high);
    return CREASE_OK;
}

/* The same numbers, before they were reordered. */
static cr_value *unordered(cr_value *value) {
    const cr_node *producer = value->producer;
    return producer && cr_is_ours(producer, "ToBlocked") ? producer->inputs[0] : value;
}

static crease_status grid_of(cr_value *value, cr_grid *g, bool *has) {
    const cr_value *source = unordered(value);
    *has = false;
    return source->producer && value->dtype == CREASE_FLOAT && value->shape.rank >= 3
               ? cr_quantises(source->producer, g, has)
               : CREASE_OK;
}

bool cr_wants_bytes(const cr_node *conv, const cr_value *x) {
    cr_grid unused;
    bool quantised;
    return cr_attr_find(conv, q_name) && x->producer &&
           cr_quantises(x->producer, &unused, &quantised) == CREASE_OK && quantised;
}

/* ---- which convolutions ---- */

bool cr_has_bytes(const cr_bytes *b, const cr_value *value) {
    return (size_t)value->id < b->n && b->of[value->id].value;
}

/* Passes in between may have folded into the weights, or made others of them. */
static crease_status weights_are(const cr_node *node, const cr_tensor *q, const cr_tensor *scale,
                                 bool *same) {
    const cr_tensor *w = cr_node_constant(node, W);
    *same = w && w->data && cr_shape_equal(&w->shape, &q->shape) && cr_shape_n(&q->shape) > 0;
    if (!*same)
        return CREASE_OK;
    const int64_t oc = q->shape.dims[0], each = cr_shape_n(&q->shape) / oc;
    const float *scales = scale->data;
    for (int64_t o = 0; *same && o < oc; o++) {
        const float s = scales[cr_shape_n(&scale->shape) == 1 ? 0 : o];
        for (int64_t i = o * each; *same && i < (o + 1) * each; i++)
            *same = ((const float *)w->data)[i] == (float)((const int8_t *)q->data)[i] * s;
    }
    return CREASE_OK;
}

/* Small enough for kernels of bytes whatever the algorithm; sums of 255 x 128 fit in int32. */
static crease_status fits_kernels(const cr_node *node, bool *fits) {
    static const char *const names[] = {"strides", "dilations", "pads"};
    enum { MOST_PRODUCTS = 1 << 16, MOST = 255 };
    const cr_shape *w = &cr_node_constant(node, W)->shape;
    const int64_t *list;
    int64_t products = w->dims[1], dilation = 1;
    int n;
    for (int k = 0; k < 3; k++) {
        CR_TRY(cr_attr_ints(node, names[k], &list, &n));
        for (int i = 0; i < n; i++) {
            *fits = *fits && list[i] <= MOST;
            dilation = k == 1 && list[i] > dilation ? list[i] : dilation;
        }
    }
    for (int d = 2; d < w->rank; d++) {
        *fits = *fits && w->dims[d] * dilation <= MOST;
        products *= *fits ? w->dims[d] : 1;
    }
    *fits = *fits && products < MOST_PRODUCTS;
    return CREASE_OK;
}

static bool has_plain_inputs(const cr_node *node) {
    for (int i = SCALE; i < N_CONV_INPUTS; i++)
        if (cr_node_input(node, i))
            return false;
    return !cr_node_input(node, B) || cr_node_constant(node, B);
}

static crease_status is_depthwise(const cr_node *node, bool *depthwise) {
    int64_t groups;
    CR_TRY(cr_attr_int(node, "group", 1, &groups));
    *depthwise = groups > 1 && cr_node_constant(node, W)->shape.dims[1] == 1;
    return CREASE_OK;
}

static crease_status is_worth_it(const cr_bytes *b, const cr_node *node, bool *worth) {
    bool depthwise, between;
    cr_grid unused;
    CR_TRY(is_depthwise(node, &depthwise));
    CR_TRY(cr_quantises(node, &unused, &between));
    *worth = !depthwise || (cr_has_bytes(b, node->inputs[X]) && between);
    return CREASE_OK;
}

static crease_status takes_bytes(const cr_bytes *b, const cr_node *node, bool *fits) {
    const cr_tensor *q, *scale;
    cr_grid unused;
    CR_TRY(cr_attr_tensor(node, q_name, &q));
    CR_TRY(cr_attr_tensor(node, scale_name, &scale));
    *fits = false;
    if (!q || !scale || node->lanes != CR_BYTES_LANES || node->n_outputs != 1 || !has_plain_inputs(node))
        return CREASE_OK;
    CR_TRY(weights_are(node, q, scale, fits));
    if (*fits)
        CR_TRY(fits_kernels(node, fits));
    if (*fits && !cr_has_bytes(b, node->inputs[X]))
        CR_TRY(grid_of(node->inputs[X], &unused, fits));
    if (*fits && cr_node_input(node, RESIDUAL) && !cr_has_bytes(b, node->inputs[RESIDUAL]))
        CR_TRY(grid_of(node->inputs[RESIDUAL], &unused, fits));
    return *fits ? is_worth_it(b, node, fits) : CREASE_OK;
}

/* ---- the graph ---- */

static crease_status bytes_like(const cr_value *like, cr_value **fresh) {
    CR_TRY(cr_value_like(like->graph, like, fresh));
    (*fresh)->dtype = CREASE_UINT8;
    return CREASE_OK;
}

static void stands_for(cr_bytes *b, const cr_value *value, cr_value *fresh, const cr_grid *g) {
    b->of[value->id].value = fresh;
    b->of[value->id].grid = *g;
}

/* The node gives bytes in place of its output 0. */
static crease_status give_bytes(cr_bytes *b, cr_node *node, const cr_grid *g) {
    cr_value *fresh;
    CR_TRY(bytes_like(node->outputs[0], &fresh));
    stands_for(b, node->outputs[0], fresh, g);
    return cr_node_set_output(node, 0, fresh);
}

static crease_status add_node(cr_node *before, const char *op, cr_value *const *inputs, int n,
                              cr_value *output, cr_node **node) {
    CR_TRY(cr_graph_add_node(output->graph, before, op, "crease", output->name, inputs, n, &output, 1, node));
    (*node)->lanes = CR_BYTES_LANES;
    return CREASE_OK;
}

crease_status cr_add_bytes_node(cr_node *before, const char *op, cr_value *const *inputs, int n,
                                const cr_value *like, cr_value **fresh) {
    cr_node *node;
    CR_TRY(bytes_like(like, fresh));
    return add_node(before, op, inputs, n, *fresh, &node);
}

crease_status cr_add_bytes(cr_bytes *b, cr_node *before, const char *op, cr_value *const *inputs, int n,
                           const cr_value *value, const cr_grid *g) {
    cr_value *fresh;
    CR_TRY(cr_add_bytes_node(before, op, inputs, n, value, &fresh));
    stands_for(b, value, fresh, g);
    return CREASE_OK;
}

static crease_status set_scaling(cr_node *node, const char *scale, const char *zero,
                                 const cr_bytes_scaling *s) {
    CR_TRY(cr_node_set_float(node, scale, s->scale));
    return cr_node_set_int(node, zero, s->zero);
}

/* What ToBytes is to read: an activation that does nothing but quantise to 256 values is what it does itself.
 */
static cr_value *source_of(cr_value *value, const cr_grid *g) {
    cr_value *source = unordered(value);
    const cr_node *producer = source->producer;
    return cr_is_ours(producer, "Activation") && g->high == 255 ? producer->inputs[0] : source;
}

crease_status cr_need_bytes(cr_bytes *b, cr_value *value, bool *has) {
    cr_grid g;
    *has = cr_has_bytes(b, value);
    if (*has || (size_t)value->id >= b->n)
        return CREASE_OK;
    CR_TRY(grid_of(value, &g, has));
    if (!*has)
        return CREASE_OK;
    cr_value *source = source_of(value, &g);
    CR_TRY(cr_add_bytes(b, value->producer->next, "ToBytes", &source, 1, value, &g));
    return set_scaling(b->of[value->id].value->producer, "scale", "zero", &g.scaling);
}

static crease_status take_bytes(cr_bytes *b, cr_node *node, int i, const char *scale, const char *zero) {
    bool has;
    CR_TRY(cr_need_bytes(b, node->inputs[i], &has));
    const cr_as_bytes *as = &b->of[node->inputs[i]->id];
    CR_TRY(cr_node_set_input(node, i, as->value));
    return set_scaling(node, scale, zero, &as->grid.scaling);
}

/* Scales of the sums: of the input times those of the weights. */
static crease_status set_weights(cr_node *node, const cr_tensor *q, const cr_tensor *scale) {
    const cr_attr *x_scale = cr_attr_find(node, "scale");
    cr_value *weights, *sums;
    cr_tensor *t;
    CR_TRY(cr_graph_add_constant(node->graph, node->inputs[W]->name, q, &weights));
    CR_TRY(cr_graph_new_constant(node->graph, node->inputs[W]->name, CREASE_FLOAT, &scale->shape, &sums, &t));
    for (int64_t i = 0; i < cr_shape_n(&scale->shape); i++)
        ((float *)t->data)[i] = x_scale->floats[0] * ((const float *)scale->data)[i];
    CR_TRY(cr_node_set_input(node, W, weights));
    CR_TRY(cr_node_set_input(node, SCALE, sums));
    cr_node_remove_attr(node, q_name);
    cr_node_remove_attr(node, scale_name);
    return CREASE_OK;
}

static crease_status become_bytes(cr_bytes *b, cr_node *node) {
    const cr_tensor *q, *scale;
    bool rounds;
    cr_grid g;
    CR_TRY(cr_attr_tensor(node, q_name, &q));
    CR_TRY(cr_attr_tensor(node, scale_name, &scale));
    CR_TRY(take_bytes(b, node, X, "scale", "zero"));
    if (cr_node_input(node, RESIDUAL))
        CR_TRY(take_bytes(b, node, RESIDUAL, "residual_scale", "residual_zero"));
    CR_TRY(set_weights(node, q, scale));
    CR_TRY(cr_node_set_op(node, "ConvBytes", "crease"));
    CR_TRY(cr_quantises(node, &g, &rounds));
    if (!rounds)
        return CREASE_OK;
    CR_TRY(cr_node_set_int(node, "to_bytes", 1));
    return give_bytes(b, node, &g);
}

/* A maximum of bytes is the byte of the maximum; a window in padding alone would give the least of all
 * floats. */
static crease_status pool_bytes(cr_bytes *b, cr_node *node) {
    const cr_value *x = node->inputs[0];
    const int64_t *kernel, *pads;
    int64_t ceil_mode;
    int n, n_pads;
    CR_TRY(cr_attr_int(node, "ceil_mode", 0, &ceil_mode));
    CR_TRY(cr_attr_ints(node, "kernel_shape", &kernel, &n));
    CR_TRY(cr_attr_ints(node, "pads", &pads, &n_pads));
    for (int i = 0; i < n_pads; i++)
        if (pads[i] >= kernel[i % n])
            return CREASE_OK;
    if (ceil_mode || node->lanes != CR_BYTES_LANES || node->n_outputs != 1 || !cr_has_bytes(b, x))
        return CREASE_OK;
    const cr_grid g = b->of[x->id].grid;
    CR_TRY(cr_node_set_input(node, 0, b->of[x->id].value));
    return give_bytes(b, node, &g);
}

/* Who else uses what became bytes gets floats: from the convolution itself, if nobody wants the bytes. */
static crease_status restore_floats(const cr_as_bytes *as, cr_value *value) {
    cr_node *node;
    if (!as->value || value->producer || (!value->n_uses && !value->n_outputs))
        return CREASE_OK;
    cr_node *from = as->value->producer; /* whose bytes stand in place of the floats */
    if (as->value->n_uses == 0 && cr_is_ours(from, "ConvBytes")) {
        cr_node_remove_attr(from, "to_bytes");
        return cr_node_set_output(from, 0, value);
    }
    CR_TRY(add_node(from->next, "FromBytes", &as->value, 1, value, &node));
    return set_scaling(node, "scale", "zero", &as->grid.scaling);
}

static void forget_weights(cr_node *node) {
    cr_node_remove_attr(node, q_name);
    cr_node_remove_attr(node, scale_name);
}

static crease_status visit(cr_bytes *b, cr_node *node) {
    bool fits;
    if (cr_is_ours(node, "MaxPool"))
        return pool_bytes(b, node);
    if (!cr_is_ours(node, "Conv"))
        return cr_bytes_of_functions(b, node);
    CR_TRY(takes_bytes(b, node, &fits));
    if (fits)
        CR_TRY(become_bytes(b, node));
    forget_weights(node);
    return CREASE_OK;
}

/* Bytes that nobody asked for in the end, the last first. */
static crease_status drop_unused(cr_graph *graph) {
    for (cr_node *node = graph->last, *previous; node; node = previous) {
        previous = node->previous;
        if ((cr_is_ours(node, "MapBytes") || cr_is_ours(node, "ConcatBytes") ||
             cr_is_ours(node, "ToBytes")) &&
            node->outputs[0]->n_uses == 0)
            CR_TRY(cr_node_remove(node));
    }
    return CREASE_OK;
}

static crease_status use_bytes(cr_bytes *b) {
    b->n = (size_t)b->graph->model->n_values;
    CR_TRY(CR_ARENA_NEW(b->arena, &b->of, b->n));
    CR_FOR_NODES(node, b->graph)
    CR_TRY(visit(b, node));
    CR_TRY(drop_unused(b->graph));
    for (size_t id = 0; id < b->n; id++)
        CR_TRY(restore_floats(&b->of[id], b->graph->model->values[id]));
    return cr_model_drop_dead(b->graph->model);
}

crease_status cr_pass_use_bytes(cr_graph *graph) {
    cr_arena arena;
    cr_bytes b = {.graph = graph, .arena = &arena};
    cr_arena_init(&arena, graph->model->heap);
    crease_status status = use_bytes(&b);
    cr_arena_clear(&arena);
    return status;
}
