#include "passes/bytes.h"
#include "runtime/graph/edit.h"

#include <math.h>

/* before: crease.Activation, or a sum, product or extremum of two, of which every element follows from one
 *         byte of the same tensor; crease.Concat of quantised tensors
 * after:  crease.MapBytes, as soon as the result is quantised again; crease.ConcatBytes, of tensors mapped
 *         to the steps that the whole is quantised to
 * not:    slopes and other operands by channel; a Concat of blocks that are not full
 * why:    a function of 256 values is a table, whatever it takes to compute; SiLU, spelled out with its gate
 *         quantised, is one. */

enum { VALUES = 256 };

static float value_at(const cr_grid *g, int byte) {
    return (float)((byte < g->high ? byte : g->high) - g->scaling.zero) * g->scaling.scale;
}

static uint8_t byte_of(const cr_grid *g, float value) {
    const float byte = nearbyintf(value / g->scaling.scale) + (float)g->scaling.zero;
    if (byte != byte)
        return (uint8_t)g->scaling.zero;
    return (uint8_t)fminf(fmaxf(byte, 0), (float)g->high);
}

/* ---- what follows from one byte ---- */

static void own_values(const cr_grid *g, float values[VALUES]) {
    for (int k = 0; k < VALUES; k++)
        values[k] = value_at(g, k);
}

/* A value that is bytes is a function of itself. *table NULL: it follows from no bytes. */
static crease_status function_of(const cr_bytes *b, const cr_value *value, const float **table,
                                 cr_value **root) {
    float *own;
    *table = NULL;
    if (!value || (size_t)value->id >= b->n)
        return CREASE_OK;
    cr_as_bytes *as = &b->of[value->id];
    if (!as->table && as->value) {
        CR_TRY(CR_ARENA_NEW(b->arena, &own, VALUES));
        own_values(&as->grid, own);
        as->table = own;
        as->root = as->value;
    }
    *table = as->table;
    *root = as->root;
    return CREASE_OK;
}

static float combine(const cr_node *node, float a, float b) {
    if (cr_is_ours(node, "Add"))
        return a + b;
    if (cr_is_ours(node, "Sub"))
        return a - b;
    if (cr_is_ours(node, "Mul"))
        return a * b;
    return cr_is_ours(node, "Max") ? fmaxf(a, b) : fminf(a, b);
}

/* The values of the node's result, if they follow from one byte of the operands. */
static crease_status compose(cr_bytes *b, const cr_node *node, float **result, cr_value **root) {
    const bool pair = cr_is_pair(node);
    const float *x, *y = NULL;
    cr_value *other = NULL;
    cr_activation act;
    *result = NULL;
    if ((!pair && !cr_is_ours(node, "Activation")) || node->lanes != CR_BYTES_LANES)
        return CREASE_OK;
    CR_TRY(cr_blocked_activation(node, "act", &act));
    CR_TRY(function_of(b, node->inputs[0], &x, root));
    if (pair)
        CR_TRY(function_of(b, node->inputs[1], &y, &other));
    if (!x || (pair && (!y || *root != other)) || act.kind == CR_ACT_PRELU)
        return CREASE_OK;
    CR_TRY(CR_ARENA_NEW(b->arena, result, VALUES));
    for (int k = 0; k < VALUES; k++) {
        const float value = pair ? combine(node, x[k], y[k]) : x[k];
        (*result)[k] = (float)cr_activation_value(&act, (double)value, 0);
    }
    return CREASE_OK;
}

/* ---- tables ---- */

static crease_status add_table(const cr_bytes *b, const float *values, const cr_grid *g, cr_value **table) {
    const cr_shape shape = cr_shape_of(1, (int64_t[]){VALUES});
    cr_tensor *t;
    CR_TRY(cr_graph_new_constant(b->graph, "table", CREASE_UINT8, &shape, table, &t));
    for (int k = 0; k < VALUES; k++)
        ((uint8_t *)t->data)[k] = byte_of(g, values[k]);
    return CREASE_OK;
}

static crease_status map(cr_bytes *b, cr_node *node, const float *values, cr_value *root, const cr_grid *g) {
    cr_value *inputs[] = {root, NULL};
    CR_TRY(add_table(b, values, g, &inputs[1]));
    return cr_add_bytes(b, node, "MapBytes", inputs, 2, node->outputs[0], g);
}

/* ---- Concat ---- */

static bool fills_blocks(const cr_value *value) {
    return value->shape.rank >= 3 && value->shape.dims[1] > 0 && value->shape.dims[1] % CR_BYTES_LANES == 0;
}

static bool same_grid(const cr_grid *a, const cr_grid *b) {
    return a->scaling.scale == b->scaling.scale && a->scaling.zero == b->scaling.zero && a->high == b->high;
}

/* The bytes of a part, in the steps of the whole. */
static crease_status in_steps(cr_bytes *b, cr_node *before, cr_value *part, const cr_grid *g,
                              cr_value **bytes) {
    const cr_as_bytes *as = &b->of[part->id];
    float values[VALUES];
    cr_value *inputs[] = {as->value, NULL};
    *bytes = as->value;
    if (same_grid(&as->grid, g))
        return CREASE_OK;
    own_values(&as->grid, values);
    CR_TRY(add_table(b, values, g, &inputs[1]));
    return cr_add_bytes_node(before, "MapBytes", inputs, 2, part, bytes);
}

/* `quantised`, the result of a Concat or of what quantises it, as a Concat of bytes. */
static crease_status join(cr_bytes *b, const cr_node *concat, cr_node *quantised, const cr_grid *g) {
    cr_value **parts;
    CR_TRY(CR_ARENA_NEW(b->arena, &parts, (size_t)concat->n_inputs));
    for (int i = 0; i < concat->n_inputs; i++)
        CR_TRY(in_steps(b, quantised, concat->inputs[i], g, &parts[i]));
    CR_TRY(cr_add_bytes(b, quantised, "ConcatBytes", parts, concat->n_inputs, quantised->outputs[0], g));
    return cr_node_set_int(b->of[quantised->outputs[0]->id].value->producer, "axis", 1);
}

static crease_status are_bytes(cr_bytes *b, const cr_node *concat, bool *bytes) {
    *bytes = concat->lanes == CR_BYTES_LANES;
    for (int i = 0; *bytes && i < concat->n_inputs; i++)
        *bytes = fills_blocks(concat->inputs[i]);
    for (int i = 0; *bytes && i < concat->n_inputs; i++)
        CR_TRY(cr_need_bytes(b, concat->inputs[i], bytes));
    return CREASE_OK;
}

static crease_status concat_bytes(cr_bytes *b, cr_node *concat) {
    cr_node *user = cr_node_only_user(concat);
    bool bytes, quantises = false;
    cr_grid g;
    if (user && cr_is_ours(user, "Activation"))
        CR_TRY(cr_quantises(user, &g, &quantises));
    CR_TRY(are_bytes(b, concat, &bytes));
    if (!bytes)
        return CREASE_OK;
    if (quantises)
        return join(b, concat, user, &g);
    g = b->of[concat->inputs[0]->id].grid;
    for (int i = 1; bytes && i < concat->n_inputs; i++)
        bytes = same_grid(&b->of[concat->inputs[i]->id].grid, &g);
    return bytes ? join(b, concat, concat, &g) : CREASE_OK;
}

crease_status cr_bytes_of_functions(cr_bytes *b, cr_node *node) {
    float *values;
    cr_value *root;
    bool quantises;
    cr_grid g;
    if (cr_is_ours(node, "Concat"))
        return concat_bytes(b, node);
    if (node->n_outputs != 1 || (size_t)node->outputs[0]->id >= b->n || cr_has_bytes(b, node->outputs[0]))
        return CREASE_OK;
    CR_TRY(compose(b, node, &values, &root));
    if (!values)
        return CREASE_OK;
    b->of[node->outputs[0]->id].table = values;
    b->of[node->outputs[0]->id].root = root;
    CR_TRY(cr_quantises(node, &g, &quantises));
    return quantises ? map(b, node, values, root, &g) : CREASE_OK;
}
