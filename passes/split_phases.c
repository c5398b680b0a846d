#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"

#include <string.h>

/* before: ConvTranspose of stride s whose output is exactly s times as large, with few output channels
 * after:  Conv of stride 1 with s s times as many output channels, then DepthToSpace, behind a Relu, Sigmoid
 *         or Tanh that alone follows
 * not:    weights that are computed, groups, dilations, auto_pad, output_shape, other ranks than 4; where the
 *         Conv would do more than three quarters of the work
 * why:    the outputs of one phase, y = r modulo s, are a Conv of the input by every s-th tap. A few channels
 *         leave most lanes of a vector empty; those of all phases fill it. (Shi and others, Is the
 *         deconvolution layer the same as a convolutional layer?, 2016) */

/* One axis. Output s q + r sums over the taps t with t = r + pad modulo s, and the inputs q + (r + pad - t) /
 * s, which lie between q + first and q + last. */
typedef struct phase_axis {
    int64_t kernel, stride, pad, first, last;
} phase_axis;

typedef struct phases {
    const cr_tensor *weights, *bias; /* bias NULL: none */
    int64_t ic, oc;
    phase_axis axis[2];
} phases;

enum { MOST_TAPS = 16 };

static int64_t floor_div(int64_t a, int64_t b) {
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

static int64_t ceil_div(int64_t a, int64_t b) {
    return -floor_div(-a, b);
}

/* Number i of an attribute's list, or what stands for a missing list. */
static int64_t number(const int64_t *list, int n, int i, int64_t otherwise) {
    return i < n ? list[i] : otherwise;
}

static crease_status read_axes(const cr_node *node, phases *p, bool *fits) {
    const int64_t *strides, *pads, *more;
    int n_strides, n_pads, n_more;
    CR_TRY(cr_attr_ints(node, "strides", &strides, &n_strides));
    CR_TRY(cr_attr_ints(node, "pads", &pads, &n_pads));
    CR_TRY(cr_attr_ints(node, "output_padding", &more, &n_more));
    for (int i = 0; i < 2 && *fits; i++) {
        phase_axis *a = &p->axis[i];
        const int64_t behind = number(pads, n_pads, i + 2, 0);
        a->kernel = p->weights->shape.dims[i + 2];
        a->stride = number(strides, n_strides, i, 1);
        a->pad = number(pads, n_pads, i, 0);
        *fits = a->kernel >= 1 && a->kernel <= MOST_TAPS && a->stride >= 2 && a->stride <= MOST_TAPS &&
                a->pad >= 0 && a->pad < a->kernel && behind >= 0 && behind < a->kernel &&
                a->kernel - a->pad - behind + number(more, n_more, i, 0) == a->stride;
        if (!*fits)
            break;
        a->first = ceil_div(a->pad - (a->kernel - 1), a->stride);
        a->last = floor_div(a->stride - 1 + a->pad, a->stride);
        *fits = a->first <= 0 && a->last >= 0; /* else the Conv would have to crop */
    }
    *fits = *fits && p->axis[0].stride == p->axis[1].stride;
    return CREASE_OK;
}

static int64_t window(const phase_axis *axis) {
    return axis->last - axis->first + 1;
}

static bool is_worth_it(const phases *p, int lanes) {
    const int64_t of_all = p->axis[0].stride * p->axis[1].stride * p->oc;
    const int64_t before = p->axis[0].kernel * p->axis[1].kernel * ceil_div(p->oc, lanes);
    const int64_t after = window(&p->axis[0]) * window(&p->axis[1]) * ceil_div(of_all, lanes);
    return of_all <= 2 * (int64_t)lanes && 4 * after <= 3 * before;
}

static bool is_float(const cr_tensor *t, int rank) {
    return t && t->dtype == CREASE_FLOAT && t->data && t->shape.rank == rank;
}

static crease_status read_phases(const cr_node *node, int lanes, phases *p, bool *fits) {
    int64_t group;
    const char *auto_pad;
    bool dense;
    *p = (phases){.weights = cr_node_constant(node, 1), .bias = cr_node_constant(node, 2)};
    CR_TRY(cr_attr_int(node, "group", 1, &group));
    CR_TRY(cr_attr_string(node, "auto_pad", "NOTSET", &auto_pad));
    CR_TRY(cr_attr_all(node, "dilations", 1, &dense));
    *fits = is_float(p->weights, 4) && group == 1 && dense && strcmp(auto_pad, "NOTSET") == 0 &&
            !cr_attr_find(node, "output_shape") && cr_node_input(node, 0) &&
            (!cr_node_input(node, 2) || is_float(p->bias, 1));
    if (!*fits)
        return CREASE_OK;
    p->ic = p->weights->shape.dims[0];
    p->oc = p->weights->shape.dims[1];
    *fits = p->ic > 0 && p->oc > 0 && p->oc <= lanes && (!p->bias || p->bias->shape.dims[0] == p->oc);
    CR_TRY(read_axes(node, p, fits));
    *fits = *fits && is_worth_it(p, lanes);
    return CREASE_OK;
}

/* ---- constants ---- */

/* The tap by which output phase r reads the input at `offset`; -1: by none. */
static int64_t tap_at(const phase_axis *axis, int64_t r, int64_t offset) {
    const int64_t tap = r + axis->pad - offset * axis->stride;
    return tap >= 0 && tap < axis->kernel ? tap : -1;
}

/* Channel (r_y s + r_x) oc + o of the Conv is channel o of phase (r_y, r_x), as DepthToSpace takes them. */
static void fill_channel(const phases *p, int64_t channel, float *to) {
    const phase_axis *ay = &p->axis[0], *ax = &p->axis[1];
    const int64_t phase = channel / p->oc, o = channel % p->oc;
    const float *from = p->weights->data;
    for (int64_t i = 0; i < p->ic; i++)
        for (int64_t y = ay->first; y <= ay->last; y++)
            for (int64_t x = ax->first; x <= ax->last; x++) {
                const int64_t ty = tap_at(ay, phase / ax->stride, y), tx = tap_at(ax, phase % ax->stride, x);
                *to++ = ty < 0 || tx < 0 ? 0 : from[((i * p->oc + o) * ay->kernel + ty) * ax->kernel + tx];
            }
}

static crease_status make_weights(cr_node *node, const phases *p, cr_value **weights) {
    const int64_t channels = p->axis[0].stride * p->axis[1].stride * p->oc;
    const int64_t of_one = p->ic * window(&p->axis[0]) * window(&p->axis[1]);
    const cr_shape shape =
        cr_shape_of(4, (int64_t[]){channels, p->ic, window(&p->axis[0]), window(&p->axis[1])});
    cr_tensor *t;
    CR_TRY(cr_graph_new_constant(node->graph, node->inputs[1]->name, CREASE_FLOAT, &shape, weights, &t));
    for (int64_t c = 0; c < channels; c++)
        fill_channel(p, c, (float *)t->data + c * of_one);
    return CREASE_OK;
}

static crease_status make_bias(cr_node *node, const phases *p, cr_value **bias) {
    const int64_t channels = p->axis[0].stride * p->axis[1].stride * p->oc;
    const cr_shape shape = cr_shape_of(1, &channels);
    cr_tensor *t;
    *bias = NULL;
    if (!p->bias)
        return CREASE_OK;
    CR_TRY(cr_graph_new_constant(node->graph, node->inputs[2]->name, CREASE_FLOAT, &shape, bias, &t));
    for (int64_t c = 0; c < channels; c++)
        ((float *)t->data)[c] = ((const float *)p->bias->data)[c % p->oc];
    return CREASE_OK;
}

/* ---- the graph ---- */

static crease_status become_conv(cr_node *node, const phases *p) {
    static const char *const gone[] = {"strides", "output_padding", "kernel_shape"};
    const phase_axis *y = &p->axis[0], *x = &p->axis[1];
    cr_value *weights, *bias;
    CR_TRY(make_weights(node, p, &weights));
    CR_TRY(make_bias(node, p, &bias));
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        cr_node_remove_attr(node, gone[i]);
    CR_TRY(cr_node_set_ints(node, "pads", (int64_t[]){-y->first, -x->first, y->last, x->last}, 4));
    CR_TRY(cr_node_set_input(node, 1, weights));
    if (bias)
        CR_TRY(cr_node_set_input(node, 2, bias));
    return cr_node_set_op(node, "Conv", "");
}

/* Another value in place of output 0, which nobody gives any more. */
static crease_status give_fresh(cr_node *node, cr_value **fresh) {
    CR_TRY(cr_graph_add_value(node->graph, node->outputs[0]->name, true, fresh));
    (*fresh)->dtype = CREASE_FLOAT;
    return cr_node_set_output(node, 0, *fresh);
}

/* An activation of single numbers does not mind where they stand, and joins the Conv. */
static bool moves(const cr_node *user) {
    return user && (cr_node_is(user, "Relu") || cr_node_is(user, "Sigmoid") || cr_node_is(user, "Tanh"));
}

static crease_status split(cr_node *node, const phases *p) {
    cr_node *last = node, *user = cr_node_only_user(node), *shuffle;
    cr_value *result = node->outputs[0], *phases_value;
    CR_TRY(become_conv(node, p));
    CR_TRY(give_fresh(node, &phases_value));
    if (moves(user)) {
        CR_TRY(cr_node_set_input(user, 0, phases_value));
        result = user->outputs[0];
        last = user;
        CR_TRY(give_fresh(user, &phases_value));
    }
    CR_TRY(cr_graph_add_node(node->graph, last->next, "DepthToSpace", "", node->name, &phases_value, 1,
                             &result, 1, &shuffle));
    return cr_node_set_int(shuffle, "blocksize", p->axis[0].stride);
}

crease_status cr_pass_split_phases(cr_graph *graph, int lanes) {
    phases p;
    bool fits;
    CR_FOR_NODES_SAFE(node, graph) {
        if (!cr_node_is(node, "ConvTranspose"))
            continue;
        CR_TRY(read_phases(node, lanes, &p, &fits));
        if (fits)
            CR_TRY(split(node, &p));
    }
    return CREASE_OK;
}
