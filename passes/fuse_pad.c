#include "passes/lower.h"
#include "runtime/graph/attr.h"
#include "runtime/graph/edit.h"
#include "runtime/ops/window.h"

#include <math.h>
#include <string.h>

/* before: Pad by zeros of the spatial axes, then Conv or AveragePool; Pad by -infinity, then MaxPool
 * after:  the window with these pads as well, from the input of the Pad
 * not:    pads that are computed, crop, or touch other axes; windows whose pads depend on the extents
 *         (auto_pad SAME) or that are rounded up, which counts padding otherwise; an AveragePool that
 *         leaves out padding of its own; pads as large as the kernel of a pool
 * why:    the taps read the same numbers. A Pad stays for those of its users that do not take it. */

enum { MAX_PAD = 1 << 20 };

typedef struct padding {
    int rank;
    int64_t begin[CR_MAX_SPATIAL], end[CR_MAX_SPATIAL]; /* of the spatial axes */
    double value;
} padding;

/* ---- the Pad ---- */

static crease_status read_value(const cr_node *pad, double *value, bool *known) {
    float attr;
    const cr_tensor *t = cr_node_constant(pad, 2);
    CR_TRY(cr_attr_float(pad, "value", 0, &attr));
    *known = !cr_node_input(pad, 2) || (t && t->dtype == CREASE_FLOAT && cr_shape_n(&t->shape) == 1);
    *value = t && *known ? cr_load_float(t->dtype, t->data, 0) : (double)attr;
    return CREASE_OK;
}

/* All begins, then all ends, for each axis; NULL: not known. */
static crease_status list_pads(const cr_node *pad, int rank, int64_t pads[2 * (CR_MAX_SPATIAL + 2)],
                               bool *known) {
    const cr_tensor *t = cr_node_constant(pad, 1);
    const int64_t *attr;
    int n;
    CR_TRY(cr_attr_ints(pad, "pads", &attr, &n));
    if (cr_node_input(pad, 1)) {
        *known = t && t->dtype == CREASE_INT64 && cr_shape_n(&t->shape) == 2 * rank;
        for (int i = 0; *known && i < 2 * rank; i++)
            pads[i] = cr_tensor_int(t, i);
    } else {
        *known = n == 2 * rank;
        for (int i = 0; *known && i < n; i++)
            pads[i] = attr[i];
    }
    return CREASE_OK;
}

static crease_status read_pad(const cr_node *pad, padding *p, bool *fits) {
    int64_t pads[2 * (CR_MAX_SPATIAL + 2)];
    const char *mode;
    const cr_value *x = cr_node_input(pad, 0);
    *fits = x && x->dtype == CREASE_FLOAT && x->shape.rank >= 3 && x->shape.rank <= CR_MAX_SPATIAL + 2 &&
            !cr_node_input(pad, 3);
    if (!*fits)
        return CREASE_OK;
    p->rank = x->shape.rank;
    CR_TRY(cr_attr_string(pad, "mode", "constant", &mode));
    CR_TRY(read_value(pad, &p->value, fits));
    if (*fits)
        CR_TRY(list_pads(pad, p->rank, pads, fits));
    *fits = *fits && strcmp(mode, "constant") == 0;
    for (int i = 0; *fits && i < 2 * p->rank; i++)
        *fits = pads[i] >= 0 && pads[i] <= (i % p->rank < 2 ? 0 : MAX_PAD);
    for (int d = 0; *fits && d < p->rank - 2; d++) {
        p->begin[d] = pads[d + 2];
        p->end[d] = pads[d + 2 + p->rank];
    }
    return CREASE_OK;
}

/* ---- its users ---- */

static crease_status takes_conv(const cr_node *conv, const padding *p, bool *takes) {
    cr_window w;
    const cr_shape *weights = cr_node_input(conv, 1) ? &conv->inputs[1]->shape : NULL;
    if (p->value != 0 || !weights || weights->rank != p->rank)
        return CREASE_OK;
    for (int d = 2; d < p->rank; d++)
        if (weights->dims[d] < 1)
            return CREASE_OK;
    CR_TRY(cr_window_read(conv, p->rank - 2, weights->dims + 2, &w));
    *takes = true;
    return CREASE_OK;
}

static bool stays_inside(const cr_window *w, const padding *p) {
    for (int d = 0; d < w->n; d++)
        if (w->pad_begin[d] + p->begin[d] >= w->kernel[d] || w->pad_end[d] + p->end[d] >= w->kernel[d])
            return false;
    return true;
}

static bool has_pads(const cr_window *w) {
    for (int d = 0; d < w->n; d++)
        if (w->pad_begin[d] || w->pad_end[d])
            return true;
    return false;
}

static crease_status takes_pool(const cr_node *pool, const padding *p, bool *takes) {
    const bool average = cr_node_is(pool, "AveragePool");
    int64_t ceil_mode, counts;
    cr_window w;
    CR_TRY(cr_attr_int(pool, "ceil_mode", 0, &ceil_mode));
    CR_TRY(cr_attr_int(pool, "count_include_pad", 0, &counts));
    if (ceil_mode || cr_node_output(pool, 1) || cr_model_opset(pool->graph->model, "") < 7)
        return CREASE_OK;
    CR_TRY(cr_window_read(pool, p->rank - 2, NULL, &w));
    *takes = stays_inside(&w, p) &&
             (average ? p->value == 0 && (counts || !has_pads(&w)) : isinf(p->value) && p->value < 0);
    return CREASE_OK;
}

static crease_status takes_padding(const cr_node *user, const padding *p, bool *takes) {
    const char *auto_pad;
    *takes = false;
    CR_TRY(cr_attr_string(user, "auto_pad", "NOTSET", &auto_pad));
    if (auto_pad[0] && strcmp(auto_pad, "NOTSET") != 0 && strcmp(auto_pad, "VALID") != 0)
        return CREASE_OK;
    if (cr_node_is(user, "Conv"))
        return takes_conv(user, p, takes);
    if (cr_node_is(user, "AveragePool") || cr_node_is(user, "MaxPool"))
        return takes_pool(user, p, takes);
    return CREASE_OK;
}

/* ---- together ---- */

static crease_status take_padding(cr_node *user, const padding *p, cr_value *x) {
    const int n = p->rank - 2;
    const int64_t *own;
    const char *auto_pad;
    int64_t pads[2 * CR_MAX_SPATIAL];
    int n_own;
    CR_TRY(cr_attr_ints(user, "pads", &own, &n_own));
    CR_TRY(cr_attr_string(user, "auto_pad", "", &auto_pad));
    n_own = strcmp(auto_pad, "VALID") == 0 ? 0 : n_own; /* ignores them */
    for (int d = 0; d < n; d++) {
        pads[d] = p->begin[d] + (n_own ? own[d] : 0);
        pads[d + n] = p->end[d] + (n_own ? own[d + n] : 0);
    }
    cr_node_remove_attr(user, "auto_pad");
    CR_TRY(cr_node_set_ints(user, "pads", pads, 2 * n));
    if (cr_node_is(user, "AveragePool"))
        CR_TRY(cr_node_set_int(user, "count_include_pad", 1));
    return cr_node_set_input(user, 0, x);
}

static crease_status fuse_users(const cr_node *pad, const padding *p) {
    const cr_value *y = pad->outputs[0];
    for (int i = y->n_uses - 1; i >= 0; i--) {
        const cr_use use = y->uses[i];
        bool takes = false;
        if (use.input == 0 && use.node->graph == pad->graph)
            CR_TRY(takes_padding(use.node, p, &takes));
        if (takes)
            CR_TRY(take_padding(use.node, p, pad->inputs[0]));
    }
    return CREASE_OK;
}

crease_status cr_pass_fuse_pad(cr_graph *graph) {
    CR_FOR_NODES(node, graph) {
        padding p = {0};
        bool fits;
        if (!cr_node_is(node, "Pad") || !cr_node_output(node, 0))
            continue;
        CR_TRY(read_pad(node, &p, &fits));
        if (fits)
            CR_TRY(fuse_users(node, &p));
    }
    return cr_model_drop_dead(graph->model);
}
