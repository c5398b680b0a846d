#include "passes/extents.h"
#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/window.h"

#include <float.h>
#include <math.h>

/* before: crease.Affine, with or without an activation, then convolutions, transposed or not, or
 *         GlobalAveragePool; crease.Mul by one computed value for each channel (squeeze and excite), then
 *         convolutions
 * after:  the operators with what stood before them at inputs 4, 5 and 9 (of a pool 1 and 2) and as "pre"; an
 *         affine without an activation goes into the weights of a convolution of one group, its shift into
 *         input 8, which each output pixel sees as far as its taps read inside the input
 * not:    a quantised result of which a convolution is to be of bytes (lower_bytes.c); one that is used
 *         otherwise, or by more than MAX_USERS, which together would take as long as the pass; weights take
 *         no affine that would make them leave the range of float
 * why:    padding is zero behind the affine in both forms, and the sums are the same. */

enum { X, W, SCALE = 4, SHIFT = 5, TAP_SUMS = 8, PRE_SLOPE = 9, MAX_USERS = 2 };

static bool takes_prologue(const cr_value *value) {
    bool takes = !value->n_outputs && value->n_uses >= 1 && value->n_uses <= MAX_USERS;
    for (int i = 0; takes && i < value->n_uses; i++) {
        const cr_node *user = value->uses[i].node;
        takes = (cr_is_ours(user, "Conv") || cr_is_ours(user, "ConvTranspose")) &&
                !cr_wants_bytes(user, value) && value->uses[i].input == X && user->graph == value->graph &&
                !cr_node_input(user, SCALE) && !cr_node_input(user, TAP_SUMS);
    }
    return takes;
}

/* ---- into the input ---- */

/* The user of a node reads x and applies scale, shift and the node's activation itself, whose slope is at
 * the node's input `slope`. */
static crease_status move_to_user(const cr_node *node, cr_node *user, cr_value *x, cr_value *scale,
                                  cr_value *shift, int slope) {
    CR_TRY(cr_node_set_input(user, SCALE, scale));
    CR_TRY(cr_node_set_input(user, SHIFT, shift));
    if (cr_node_has_activation(node, "act"))
        CR_TRY(cr_node_take_activation(user, "pre", PRE_SLOPE, node, slope));
    return cr_node_set_input(user, X, x);
}

/* ---- into the weights ---- */

static crease_status new_weights(cr_node *conv, cr_value **value, cr_tensor **weights) {
    return cr_graph_new_constant(conv->graph, conv->inputs[W]->name, CREASE_FLOAT, &conv->inputs[W]->shape,
                                 value, weights);
}

/* Whether |W| max |s| and the sums stay far from the end of float. */
static bool stays_finite(const cr_node *conv, const cr_node *affine) {
    const cr_tensor *w = conv->inputs[W]->constant, *s = affine->inputs[1]->constant,
                    *t = affine->inputs[2]->constant;
    double weight = 0, factor = 0;
    for (int64_t i = 0; i < cr_shape_n(&w->shape); i++)
        weight = fmax(weight, fabs((double)((const float *)w->data)[i]));
    for (int64_t c = 0; c < cr_shape_n(&s->shape); c++)
        factor = fmax(factor, fmax(fabs((double)((const float *)s->data)[c]),
                                   fabs((double)((const float *)t->data)[c])));
    return weight * factor * (double)cr_shape_n(&w->shape) < (double)FLT_MAX;
}

/* W'[o, i] = W[o, i] s[i]; sums[o, tap] = sum over i of W[o, i, tap] t[i]. */
static void scale_weights(const cr_tensor *from, const float *s, const float *t, float *to, float *sums) {
    const float *w = from->data;
    const int64_t oc = from->shape.dims[0], ic = from->shape.dims[1],
                  taps = cr_shape_n(&from->shape) / (oc * ic);
    for (int64_t o = 0; o < oc; o++)
        for (int64_t tap = 0; tap < taps; tap++) {
            double sum = 0;
            for (int64_t i = 0; i < ic; i++) {
                const int64_t at = (o * ic + i) * taps + tap;
                to[at] = (float)((double)w[at] * (double)s[i]);
                sum += (double)w[at] * (double)t[i];
            }
            sums[o * taps + tap] = (float)sum;
        }
}

static crease_status absorb(cr_node *conv, const cr_node *affine) {
    cr_value *weights, *sums;
    cr_tensor *w, *s;
    const cr_tensor *from = conv->inputs[W]->constant;
    cr_shape shape = from->shape;
    shape.dims[1] = 1;
    CR_TRY(new_weights(conv, &weights, &w));
    CR_TRY(cr_graph_new_constant(conv->graph, affine->name, CREASE_FLOAT, &shape, &sums, &s));
    scale_weights(from, affine->inputs[1]->constant->data, affine->inputs[2]->constant->data, w->data,
                  s->data);
    CR_TRY(cr_node_set_input(conv, W, weights));
    CR_TRY(cr_node_set_input(conv, TAP_SUMS, sums));
    return cr_node_set_input(conv, X, affine->inputs[X]);
}

/* Kernels for several groups look for the border's biases more slowly than they apply a prologue. */
static crease_status absorbs(const cr_node *user, const cr_node *affine, bool *does) {
    int64_t groups;
    CR_TRY(cr_attr_int(user, "group", 1, &groups));
    *does = !cr_node_has_activation(affine, "act") && cr_is_ours(user, "Conv") && groups == 1 &&
            stays_finite(user, affine);
    return CREASE_OK;
}

/* ---- what is moved ---- */

/* The mean behind an affine takes it in, with any activation but PRelu. */
static crease_status move_to_pool(const cr_node *affine, cr_node *pool) {
    CR_TRY(cr_node_set_input(pool, 1, affine->inputs[1]));
    CR_TRY(cr_node_set_input(pool, 2, affine->inputs[2]));
    if (cr_node_has_activation(affine, "act"))
        CR_TRY(cr_node_take_activation(pool, "pre", 0, affine, -1));
    return cr_node_set_input(pool, X, affine->inputs[X]);
}

static crease_status move_affine(cr_node *node) {
    cr_node *user = cr_node_only_user(node);
    if (user && cr_is_ours(user, "GlobalAveragePool") && user->n_inputs == 1 && !cr_node_input(node, 3))
        return move_to_pool(node, user);
    while (takes_prologue(node->outputs[0])) {
        bool absorbed;
        user = node->outputs[0]->uses[0].node;
        CR_TRY(absorbs(user, node, &absorbed));
        CR_TRY(absorbed ? absorb(user, node)
                        : move_to_user(node, user, node->inputs[0], node->inputs[1], node->inputs[2], 3));
    }
    return CREASE_OK;
}

/* Which operand of a product is one computed value for each channel of the other; -1: none. */
static int find_gate(const cr_extents *extents, const cr_node *mul) {
    for (int i = 0; i < 2; i++) {
        const cr_value *gate = mul->inputs[i], *x = mul->inputs[!i];
        bool ones = gate->shape.rank == x->shape.rank && gate->shape.rank > 2 && !gate->constant &&
                    !x->constant && gate->shape.dims[1] == x->shape.dims[1] &&
                    cr_extents_same(extents, x, mul->outputs[0]);
        for (int d = 2; ones && d < gate->shape.rank; d++)
            ones = gate->shape.dims[d] == 1;
        if (ones)
            return i;
    }
    return -1;
}

static crease_status move_gate(const cr_extents *extents, cr_node *node) {
    const int gate = find_gate(extents, node);
    while (gate >= 0 && takes_prologue(node->outputs[0]))
        CR_TRY(move_to_user(node, node->outputs[0]->uses[0].node, node->inputs[!gate], node->inputs[gate],
                            NULL, 2));
    return CREASE_OK;
}

static crease_status fuse(cr_graph *graph, const cr_extents *extents, bool fold) {
    CR_FOR_NODES(node, graph) {
        if (fold && cr_is_ours(node, "Affine"))
            CR_TRY(move_affine(node));
        if (cr_is_ours(node, "Mul"))
            CR_TRY(move_gate(extents, node));
    }
    return CREASE_OK;
}

crease_status cr_pass_fuse_prologue(cr_graph *graph, bool fold) {
    cr_extents *extents;
    CR_TRY(cr_extents_create(graph, &extents));
    crease_status status = fuse(graph, extents, fold);
    cr_extents_free(extents);
    return status;
}
