#include "passes/affine.h"
#include "passes/extents.h"
#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

#include <string.h>

/* before: nodes of ONNX on float32 [N, C, spatial...], plain layout
 * after:  convolutions, and what lies between them, in the channel-blocked layout of the domain
 *         "crease"; ToBlocked and ToPlain where the layouts meet, one of each for a value
 * not:    C unknown, weights computed at run time, broadcasts that the blocked kernels do not know,
 *         axes other than the channels for Concat and Split; dynamic extents that are not known to
 *         be equal (passes/extents.h)
 * why:    the layout is a permutation of the same numbers, and each operator keeps its meaning. A
 *         convolution is always worth it. Everything else follows its inputs: it is blocked when
 *         one of them is. */

/* What a node becomes, decided by its family; NULL op: it stays. */
typedef struct plan {
    const char *op;
    unsigned inputs; /* bit i: input i is wanted blocked */
    cr_tensor scale, shift;
} plan;

typedef struct layout {
    cr_graph *graph;
    int lanes;
    const cr_extents *extents;
    cr_value **twins; /* by value id: the same tensor blocked, or NULL */
    size_t n_twins;   /* values that existed when the pass began */
    cr_arena arena;
} layout;

static cr_value *twin(const layout *l, const cr_value *value) {
    return value && (size_t)value->id < l->n_twins ? l->twins[value->id] : NULL;
}

/* ---- what can be blocked ---- */

static bool is_map(const cr_value *value, int rank) {
    return value && value->dtype == CREASE_FLOAT && value->kind == CR_KIND_TENSOR &&
           value->shape.rank >= rank && value->shape.rank <= 5 && value->shape.dims[1] > 0;
}

static bool is_float_constant(const cr_node *node, int i) {
    const cr_tensor *t = cr_node_constant(node, i);
    return t && t->dtype == CREASE_FLOAT && t->lanes == 0;
}

/* The first layer reads the picture as it lies: padding three channels to a block would waste the rest. */
enum { STEM_CHANNELS = 4 };

/* Whose shape need not be known: the weights tell the rank and the channels. */
static bool is_conv_input(const cr_value *x) {
    return is_map(x, 3) || (x && x->dtype == CREASE_FLOAT && x->kind == CR_KIND_TENSOR &&
                            (x->shape.rank < 0 || x->shape.dims[1] == CR_DIM_UNKNOWN));
}

static crease_status plan_conv(const layout *l, const cr_node *node, plan *p) {
    const cr_value *x = node->inputs[0];
    int64_t groups;
    if (!is_conv_input(x) || !is_map(node->outputs[0], 3) || !is_float_constant(node, 1) ||
        (cr_node_input(node, 2) && !is_float_constant(node, 2)))
        return CREASE_OK;
    CR_TRY(cr_attr_int(node, "group", 1, &groups));
    p->op = "Conv";
    p->inputs = node->inputs[1]->shape.dims[1] > STEM_CHANNELS / groups || twin(l, x) ? 1 : 0;
    return CREASE_OK;
}

/* Every output needs a tap: kernels at least as large as the strides, whose taps stand side by side. */
static crease_status taps_cover(const cr_node *node, bool *cover) {
    const cr_shape *w = &node->inputs[1]->shape;
    const int64_t *strides, *dilations;
    int n, n_dilations;
    CR_TRY(cr_attr_ints(node, "strides", &strides, &n));
    CR_TRY(cr_attr_ints(node, "dilations", &dilations, &n_dilations));
    *cover = true;
    for (int d = 0; d < n && d + 2 < w->rank; d++)
        *cover &= strides[d] <= w->dims[d + 2];
    for (int d = 0; d < n_dilations; d++)
        *cover &= dilations[d] == 1;
    return CREASE_OK;
}

static crease_status plan_conv_transpose(const layout *l, const cr_node *node, plan *p) {
    bool cover;
    CR_TRY(plan_conv(l, node, p));
    if (!p->op)
        return CREASE_OK;
    CR_TRY(taps_cover(node, &cover));
    *p = cover ? (plan){.op = "ConvTranspose", .inputs = 1} : (plan){0};
    return CREASE_OK;
}

static crease_status plan_follower(const layout *l, const cr_node *node, plan *p) {
    if (is_map(node->inputs[0], 2) && twin(l, node->inputs[0]) && node->n_outputs == 1)
        *p = (plan){.op = node->op_type, .inputs = 1};
    return CREASE_OK;
}

static crease_status plan_pool(const layout *l, const cr_node *node, plan *p) {
    return is_map(node->inputs[0], 3) && !cr_node_output(node, 1) ? plan_follower(l, node, p) : CREASE_OK;
}

static crease_status channel_axis(const cr_node *node, int64_t otherwise, bool *is_channels) {
    int64_t axis;
    const cr_value *x = node->inputs[0];
    CR_TRY(cr_attr_int(node, "axis", otherwise, &axis));
    *is_channels = axis == 1 || (x && x->shape.rank > 0 && axis + x->shape.rank == 1);
    return CREASE_OK;
}

static crease_status plan_concat(const layout *l, const cr_node *node, plan *p) {
    bool channels, any = false;
    CR_TRY(channel_axis(node, 1, &channels));
    if (!channels || !is_map(node->outputs[0], 2) || node->n_inputs > 32)
        return CREASE_OK;
    for (int i = 0; i < node->n_inputs; i++) {
        if (!is_map(node->inputs[i], 2))
            return CREASE_OK;
        any |= twin(l, node->inputs[i]) != NULL;
    }
    if (any)
        *p = (plan){.op = "Concat", .inputs = node->n_inputs == 32 ? ~0U : (1U << node->n_inputs) - 1};
    return CREASE_OK;
}

static crease_status plan_split(const layout *l, const cr_node *node, plan *p) {
    bool channels;
    CR_TRY(channel_axis(node, 0, &channels));
    if (!channels || !is_map(node->inputs[0], 2) || !twin(l, node->inputs[0]))
        return CREASE_OK;
    for (int i = 0; i < node->n_outputs; i++)
        if (!is_map(node->outputs[i], 2))
            return CREASE_OK;
    *p = (plan){.op = "Split", .inputs = 1};
    return CREASE_OK;
}

static bool same_at(const layout *l, const cr_value *a, int da, const cr_value *b, int db) {
    return cr_extents_same_at(l->extents, a, da, b, db);
}

/* Sizes may be computed, from shapes for instance, and are read when the rest of the shapes is known. */
static crease_status plan_resize(const layout *l, const cr_node *node, plan *p) {
    const cr_value *x = node->inputs[0], *y = node->outputs[0];
    const char *coordinates;
    CR_TRY(cr_attr_string(node, "coordinate_transformation_mode", "half_pixel", &coordinates));
    for (int i = 1; i < node->n_inputs && i < 3; i++)
        if (node->inputs[i] && !node->inputs[i]->constant)
            return CREASE_OK;
    if (!is_map(x, 3) || !is_map(y, 3) || y->shape.rank != x->shape.rank || !same_at(l, x, 0, y, 0) ||
        !same_at(l, x, 1, y, 1) || strcmp(coordinates, "tf_crop_and_resize") == 0)
        return CREASE_OK;
    return plan_follower(l, node, p);
}

/* ---- sums and products ---- */

/* Whether a constant has one value for all, or one for each channel after right alignment. */
static bool is_row(const cr_value *value, const cr_shape *out) {
    const cr_tensor *t = value->constant;
    if (!t || t->dtype != CREASE_FLOAT || t->shape.rank > out->rank)
        return false;
    for (int d = 0; d < t->shape.rank; d++)
        if (t->shape.dims[d] != 1 && (d + out->rank - t->shape.rank != 1 || t->shape.dims[d] != out->dims[1]))
            return false;
    return true;
}

/* [N or 1, C, 1...]: one computed value for each channel. */
static bool is_gate(const layout *l, const cr_value *value, const cr_value *out) {
    const cr_shape *s = &value->shape;
    if (!is_map(value, out->shape.rank) || s->dims[1] != out->shape.dims[1] ||
        (s->dims[0] != 1 && !same_at(l, value, 0, out, 0)))
        return false;
    for (int d = 2; d < s->rank; d++)
        if (s->dims[d] != 1)
            return false;
    return true;
}

static crease_status plan_binary(const layout *l, const cr_node *node, plan *p) {
    const cr_value *y = node->outputs[0];
    if (node->n_inputs != 2 || !node->inputs[0] || !node->inputs[1] || !is_map(y, 3) ||
        (cr_model_opset(l->graph->model, "") < 7 && cr_attr_find(node, "broadcast")))
        return CREASE_OK;
    for (int i = 0; i < 2; i++) {
        const cr_value *whole = node->inputs[i], *other = node->inputs[!i];
        if (!twin(l, whole) || !cr_extents_same(l->extents, whole, y))
            continue;
        const bool both = !other->constant && (cr_extents_same(l->extents, other, y) || is_gate(l, other, y));
        if (both || is_row(other, &y->shape))
            *p = (plan){.op = cr_node_is(node, "Sum") ? "Add" : node->op_type, .inputs = both ? 3 : 1U << i};
        if (p->op)
            return CREASE_OK;
    }
    return CREASE_OK;
}

/* ---- slopes by channel ---- */

static crease_status plan_prelu(const layout *l, cr_node *node, plan *p) {
    const cr_activation act = {.kind = CR_ACT_PRELU};
    const cr_value *x = node->inputs[0], *slope = cr_node_input(node, 1);
    if (!is_map(x, 3) || !twin(l, x) || !slope || !is_row(slope, &x->shape))
        return CREASE_OK;
    *p = (plan){.op = "Activation", .inputs = 1};
    return cr_node_set_activation(node, "act", &act);
}

/* ---- batch normalisation that stays ---- */

static crease_status float_row(layout *l, int64_t n, cr_tensor *row, float **values) {
    const cr_shape shape = cr_shape_of(1, &n);
    CR_TRY(cr_tensor_create(l->graph->model->heap, CREASE_FLOAT, &shape, row));
    *values = row->data;
    return CREASE_OK;
}

static crease_status plan_bn(layout *l, const cr_node *node, plan *p) {
    cr_affine affine;
    cr_refusal refusal = {0};
    float *scale, *shift;
    int data;
    if (!is_map(node->inputs[0], 2) || !twin(l, node->inputs[0]))
        return CREASE_OK;
    CR_TRY(cr_affine_of(node, &l->arena, &affine, &data, &refusal));
    if (refusal.code || affine.axis != 1 || affine.n != node->inputs[0]->shape.dims[1])
        return CREASE_OK;
    CR_TRY(float_row(l, affine.n, &p->scale, &scale));
    CR_TRY(float_row(l, affine.n, &p->shift, &shift));
    for (int64_t c = 0; c < affine.n; c++) {
        scale[c] = (float)cr_affine_scale(&affine, c);
        shift[c] = (float)cr_affine_shift(&affine, c);
    }
    p->op = "Affine";
    p->inputs = 1;
    return CREASE_OK;
}

/* ---- choices of channels ---- */

static cr_node *producer_of(const cr_node *node, const char *op) {
    cr_node *producer = cr_node_input(node, 0) ? node->inputs[0]->producer : NULL;
    return producer && cr_node_is(producer, op) && cr_node_input(producer, 0) ? producer : NULL;
}

/* Reshape and Transpose before node, the latter with this perm: the value that is reshaped, or NULL. */
static crease_status find_turned(const cr_node *node, int rank, const int64_t *turn, cr_value **source,
                                 const cr_value **split) {
    const cr_node *swap = producer_of(node, "Transpose");
    const int64_t *perm;
    int n;
    *source = NULL;
    if (!swap || !producer_of(swap, "Reshape"))
        return CREASE_OK;
    CR_TRY(cr_attr_ints(swap, "perm", &perm, &n));
    *split = swap->inputs[0];
    if (n == rank && (*split)->shape.rank == rank && memcmp(perm, turn, (size_t)rank * sizeof *perm) == 0)
        *source = (*split)->producer->inputs[0];
    return CREASE_OK;
}

/* Reshape [N, g, C / g, H, W], Transpose of axes 1 and 2, Reshape back: the source of the shuffle and g. */
static crease_status find_shuffle(const layout *l, const cr_node *last, cr_value **source, int64_t *groups) {
    static const int64_t turn[] = {0, 2, 1, 3, 4};
    const cr_value *split = NULL;
    cr_value *x;
    CR_TRY(find_turned(last, 5, turn, &x, &split));
    *source = NULL;
    if (!x || x->shape.rank != 4 || !cr_extents_same(l->extents, x, last->outputs[0]) ||
        !same_at(l, x, 0, split, 0) || !same_at(l, x, 2, split, 3) || !same_at(l, x, 3, split, 4))
        return CREASE_OK;
    *source = split->shape.dims[1] > 0 && split->shape.dims[2] > 0 ? x : NULL;
    *groups = split->shape.dims[1];
    return CREASE_OK;
}

static crease_status set_shuffle(layout *l, cr_node *node, int64_t channels, int64_t groups) {
    int64_t *map;
    CR_TRY(CR_ARENA_NEW(&l->arena, &map, (size_t)channels));
    for (int64_t c = 0; c < channels; c++)
        map[c] = c % groups * (channels / groups) + c / groups;
    return cr_node_set_ints(node, "channels", map, (int)channels);
}

static crease_status plan_reshape(layout *l, cr_node *node, plan *p) {
    cr_value *source;
    int64_t groups;
    CR_TRY(find_shuffle(l, node, &source, &groups));
    if (!source || !is_map(source, 3) || !twin(l, source))
        return CREASE_OK;
    CR_TRY(set_shuffle(l, node, source->shape.dims[1], groups));
    CR_TRY(cr_node_set_input(node, 0, source));
    *p = (plan){.op = "Channels", .inputs = 1};
    return CREASE_OK;
}

/* n channels, every step-th from the first on. */
static crease_status set_every(layout *l, cr_node *node, int64_t first, int64_t step, int64_t n) {
    int64_t *map;
    CR_TRY(CR_ARENA_NEW(&l->arena, &map, (size_t)n));
    for (int64_t c = 0; c < n; c++)
        map[c] = first + c * step;
    return cr_node_set_ints(node, "channels", map, (int)n);
}

/* The constant integers of input i; false when it is not that. */
static bool list_of(const cr_node *node, int i, const cr_tensor **list) {
    *list = cr_node_constant(node, i);
    return *list && ((*list)->dtype == CREASE_INT64 || (*list)->dtype == CREASE_INT32);
}

/* Every group-th channel, from the one that the Gather chooses on: Reshape [N C / g, g, H W], Transpose of
 * axes 0 and 1, Reshape [g, N, C / g, H, W], Gather. *groups is 0 where it is not that. */
static crease_status find_every(const layout *l, const cr_node *gather, const cr_tensor *index,
                                cr_value **source, int64_t *groups) {
    static const int64_t turn[] = {1, 0, 2};
    const cr_value *y = gather->outputs[0], *split = NULL;
    const cr_node *parts = producer_of(gather, "Reshape");
    cr_value *x = NULL;
    int64_t axis, pixels;
    *groups = 0;
    CR_TRY(cr_attr_int(gather, "axis", 0, &axis));
    if (axis == 0 && parts && index->shape.rank == 0)
        CR_TRY(find_turned(parts, 3, turn, &x, &split));
    if (!x || !is_map(x, 3) || !is_map(y, 3) || y->shape.rank != x->shape.rank || !same_at(l, x, 0, y, 0))
        return CREASE_OK;
    for (int d = 2; d < x->shape.rank; d++)
        if (!same_at(l, x, d, y, d))
            return CREASE_OK;
    const int64_t g = split->shape.dims[1], c = x->shape.dims[1];
    if (g > 0 && c % g == 0 && y->shape.dims[1] == c / g && parts->outputs[0]->shape.dims[0] == g &&
        cr_shape_product(&x->shape, 2, x->shape.rank, &pixels) && split->shape.dims[2] == pixels)
        *groups = g;
    *source = x;
    return CREASE_OK;
}

static crease_status plan_gather(layout *l, cr_node *node, plan *p) {
    const cr_tensor *index;
    cr_value *source;
    int64_t groups;
    if (!list_of(node, 1, &index))
        return CREASE_OK;
    CR_TRY(find_every(l, node, index, &source, &groups));
    if (!groups || !twin(l, source))
        return CREASE_OK;
    int64_t first = cr_tensor_int(index, 0);
    first += first < 0 ? groups : 0;
    if (first < 0 || first >= groups)
        return CREASE_OK;
    CR_TRY(cr_node_set_input(node, 0, source));
    *p = (plan){.op = "Channels", .inputs = 1};
    return set_every(l, node, first, groups, source->shape.dims[1] / groups);
}

/* A Slice of the channels alone, by inputs (opset 10 on). */
static crease_status plan_slice(layout *l, cr_node *node, plan *p) {
    const cr_tensor *starts, *axes, *steps = NULL;
    const cr_value *x = node->inputs[0], *y = node->outputs[0];
    if (!is_map(x, 3) || !is_map(y, 3) || !twin(l, x) || y->shape.rank != x->shape.rank ||
        !list_of(node, 1, &starts) || !list_of(node, 3, &axes) ||
        (cr_node_input(node, 4) && !list_of(node, 4, &steps)) || cr_shape_n(&starts->shape) != 1 ||
        cr_shape_n(&axes->shape) != 1)
        return CREASE_OK;
    const int64_t axis = cr_tensor_int(axes, 0), n = x->shape.dims[1], out = y->shape.dims[1];
    const int64_t step = steps ? cr_tensor_int(steps, 0) : 1;
    int64_t start = cr_tensor_int(starts, 0);
    start += start < 0 ? n : 0;
    start = start < 0 ? 0 : start;
    if ((axis != 1 && axis + x->shape.rank != 1) || step < 1 || start + (out - 1) * step >= n)
        return CREASE_OK;
    *p = (plan){.op = "Channels", .inputs = 1};
    return set_every(l, node, start, step, out);
}

/* ---- deciding ---- */

static crease_status plan_ours(const layout *l, const cr_node *node, plan *p) {
    return cr_is_ours(node, "Activation") ? plan_follower(l, node, p) : CREASE_OK;
}

static crease_status plan_node(layout *l, cr_node *node, plan *p) {
    static const struct {
        const char *op;
        crease_status (*plan)(const layout *, const cr_node *, struct plan *);
    } families[] = {
        {"Conv", plan_conv},
        {"ConvTranspose", plan_conv_transpose},
        {"MaxPool", plan_pool},
        {"AveragePool", plan_pool},
        {"GlobalAveragePool", plan_pool},
        {"GlobalMaxPool", plan_pool},
        {"Concat", plan_concat},
        {"Split", plan_split},
        {"Resize", plan_resize},
        {"Upsample", plan_resize},
        {"Add", plan_binary},
        {"Sub", plan_binary},
        {"Mul", plan_binary},
        {"Max", plan_binary},
        {"Min", plan_binary},
        {"Sum", plan_binary},
    };
    *p = (plan){0};
    if (!cr_node_input(node, 0) || !cr_node_output(node, 0))
        return CREASE_OK;
    if (cr_node_is(node, "BatchNormalization"))
        return plan_bn(l, node, p);
    if (cr_node_is(node, "PRelu"))
        return plan_prelu(l, node, p);
    if (cr_node_is(node, "Reshape"))
        return plan_reshape(l, node, p);
    if (cr_node_is(node, "Gather"))
        return plan_gather(l, node, p);
    if (cr_node_is(node, "Slice"))
        return plan_slice(l, node, p);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (cr_node_is(node, families[i].op))
            return families[i].plan(l, node, p);
    return plan_ours(l, node, p);
}

/* ---- rewriting ---- */

static crease_status add_twin(layout *l, const cr_value *value, cr_value **fresh) {
    CR_TRY(cr_graph_add_value(l->graph, value->name, true, fresh));
    (*fresh)->dtype = value->dtype;
    (*fresh)->shape = value->shape;
    l->twins[value->id] = *fresh;
    return CREASE_OK;
}

static crease_status add_reorder(layout *l, cr_node *before, const char *op, cr_value *from, cr_value *to) {
    cr_node *node;
    CR_TRY(cr_graph_add_node(l->graph, before, op, "crease", to->name, &from, 1, &to, 1, &node));
    node->lanes = l->lanes;
    return CREASE_OK;
}

static crease_status block_input(layout *l, cr_node *node, int i) {
    cr_value *value = node->inputs[i], *fresh = twin(l, value);
    if (!fresh) {
        CR_TRY(add_twin(l, value, &fresh));
        CR_TRY(add_reorder(l, node, "ToBlocked", value, fresh));
    }
    return cr_node_set_input(node, i, fresh);
}

static crease_status set_affine_inputs(layout *l, cr_node *node, plan *p) {
    cr_value *scale, *shift;
    CR_TRY(cr_graph_add_constant(l->graph, node->name, &p->scale, &scale));
    CR_TRY(cr_graph_add_constant(l->graph, node->name, &p->shift, &shift));
    CR_TRY(cr_node_set_input(node, 1, scale));
    CR_TRY(cr_node_set_input(node, 2, shift));
    return cr_node_keep_inputs(node, 3);
}

static crease_status block_node(layout *l, cr_node *node, plan *p) {
    cr_value *fresh;
    for (int i = 0; i < node->n_inputs && i < 32; i++)
        if (p->inputs >> i & 1)
            CR_TRY(block_input(l, node, i));
    if (strcmp(p->op, "Affine") == 0)
        CR_TRY(set_affine_inputs(l, node, p));
    if (strcmp(p->op, "Channels") == 0)
        CR_TRY(cr_node_keep_inputs(node, 1));
    CR_TRY(cr_node_set_op(node, p->op, "crease"));
    node->lanes = l->lanes;
    for (int i = 0; i < node->n_outputs; i++) {
        cr_value *value = node->outputs[i];
        if (!value)
            continue;
        CR_TRY(add_twin(l, value, &fresh));
        CR_TRY(cr_node_set_output(node, i, fresh));
    }
    return CREASE_OK;
}

/* Values whose producer is blocked now, but which somebody still needs in the plain layout. */
static crease_status restore_plain(layout *l) {
    for (size_t id = 0; id < l->n_twins; id++) {
        cr_value *value = l->graph->model->values[id], *fresh = l->twins[id];
        if (!fresh || value->producer || value->is_input || value->constant || value->graph != l->graph ||
            (!value->n_uses && !value->n_outputs))
            continue;
        CR_TRY(add_reorder(l, fresh->producer->next, "ToPlain", fresh, value));
    }
    return CREASE_OK;
}

/* The shape of a tensor is that of its twin: no reason to have it in the plain layout as well. */
static crease_status ask_twin(const layout *l, cr_node *node) {
    cr_value *fresh =
        cr_node_is(node, "Shape") || cr_node_is(node, "Size") ? twin(l, cr_node_input(node, 0)) : NULL;
    return fresh ? cr_node_set_input(node, 0, fresh) : CREASE_OK;
}

static crease_status choose(layout *l) {
    plan p;
    l->n_twins = (size_t)l->graph->model->n_values;
    CR_TRY(CR_ARENA_NEW(&l->arena, &l->twins, l->n_twins));
    CR_FOR_NODES_SAFE(node, l->graph) {
        crease_status status = plan_node(l, node, &p);
        if (status == CREASE_OK && p.op)
            status = block_node(l, node, &p);
        if (status == CREASE_OK && !p.op)
            status = ask_twin(l, node);
        cr_tensor_release(&p.scale);
        cr_tensor_release(&p.shift);
        CR_TRY(status);
    }
    return restore_plain(l);
}

crease_status cr_pass_choose_layout(cr_graph *graph, int lanes) {
    layout l = {.graph = graph, .lanes = lanes};
    cr_extents *extents;
    CR_TRY(cr_extents_create(graph, &extents));
    cr_extents_record(extents);
    l.extents = extents;
    cr_arena_init(&l.arena, graph->model->heap);
    crease_status status = choose(&l);
    cr_arena_clear(&l.arena);
    cr_extents_free(extents);
    return status;
}
