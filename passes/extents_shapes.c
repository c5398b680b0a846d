#include "passes/extents_rules.h"
#include "runtime/graph/attr.h"
#include "runtime/ops/infer.h"
#include "runtime/ops/window.h"

#include <string.h>

/* Axes of results by the axes of the inputs, for operators of ONNX and ours of the same names. What the
 * shapes in the model say is added by the caller. */

/* ---- kept, or by the window ---- */

static crease_status shape_same(cr_extents *e, const cr_node *node, cr_term_list *y) {
    *y = *cr_extents_axes(e, node, 0);
    return CREASE_OK;
}

/* Equal extents stay, 1 gives way, and so does what is not known to a number other than 1. */
static int broadcast_term(const cr_extents *e, int a, int b) {
    int64_t number;
    if (a == b || cr_extents_is(e, b, 1))
        return a;
    if (cr_extents_is(e, a, 1) || (b != CR_NO_TERM && cr_term_is_number(&e->terms, b, &number)))
        return b;
    return a != CR_NO_TERM && cr_term_is_number(&e->terms, a, &number) ? a : CR_NO_TERM;
}

static crease_status shape_broadcast(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const int n = node->domain[0] ? 2 : node->n_inputs; /* further ones of ours are slopes */
    cr_term_list all = *cr_extents_axes(e, node, 0);
    if (!node->domain[0] && cr_model_opset(e->graph->model, "") < 7)
        return CREASE_OK;
    for (int i = 1; i < n && all.n >= 0; i++) {
        const cr_term_list *x = cr_extents_axes(e, node, i), *longer = x->n > all.n ? x : &all;
        if (x->n < 0)
            return CREASE_OK;
        cr_term_list both = *longer;
        for (int d = 1; d <= x->n && d <= all.n; d++)
            both.terms[both.n - d] = broadcast_term(e, all.terms[all.n - d], x->terms[x->n - d]);
        all = both;
    }
    *y = all;
    return CREASE_OK;
}

/* The extents 0 and the output's channels; the spatial ones are to come. False: not an image. */
static bool begin_window(const cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0);
    if (x->n < 3 || x->n - 2 > CR_MAX_SPATIAL)
        return false;
    *y = cr_term_list_of(x->n);
    y->terms[0] = x->terms[0];
    return true;
}

/* Rounded up, the last window is dropped where it would begin behind the input: not a floor. */
static bool drops_windows(const cr_window *w, int d, bool ceil_mode) {
    return ceil_mode && w->stride[d] > 1 &&
           w->pad_end[d] + w->stride[d] > (w->kernel[d] - 1) * w->dilation[d] + 1;
}

enum { NOTSET, SAME_UPPER, SAME_LOWER, VALID }; /* cr_window.auto_pad */

static crease_status window_term(cr_extents *e, const cr_window *w, int d, int x, bool ceil_mode, int *y) {
    const int64_t stride = w->stride[d], reach = (w->kernel[d] - 1) * w->dilation[d] + 1;
    const int64_t pads = w->auto_pad == VALID ? 0 : w->pad_begin[d] + w->pad_end[d];
    if (w->auto_pad == SAME_UPPER || w->auto_pad == SAME_LOWER)
        return cr_extents_formula(e, x, 1, stride - 1, stride, y);
    *y = CR_NO_TERM;
    if (drops_windows(w, d, ceil_mode))
        return CREASE_OK;
    return cr_extents_formula(e, x, 1, pads - reach + (ceil_mode ? stride - 1 : 0) + stride, stride, y);
}

static bool has_kernel(const cr_node *node, int rank) {
    const cr_value *w = cr_node_input(node, 1);
    if (!w || w->shape.rank != rank)
        return false;
    for (int d = 0; d < rank; d++)
        if (w->shape.dims[d] < 1)
            return false;
    return true;
}

static crease_status shape_conv(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0);
    cr_window w;
    if (!has_kernel(node, x->n) || !begin_window(e, node, y))
        return CREASE_OK;
    const cr_shape *weights = &node->inputs[1]->shape;
    CR_TRY(cr_term_number(&e->terms, weights->dims[0], &y->terms[1]));
    CR_TRY(cr_window_read(node, x->n - 2, weights->dims + 2, &w));
    for (int d = 0; d < w.n; d++)
        CR_TRY(window_term(e, &w, d, x->terms[d + 2], false, &y->terms[d + 2]));
    return CREASE_OK;
}

static crease_status shape_pool(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0);
    int64_t ceil_mode;
    cr_window w;
    if (!begin_window(e, node, y))
        return CREASE_OK;
    y->terms[1] = x->terms[1];
    CR_TRY(cr_attr_int(node, "ceil_mode", 0, &ceil_mode));
    CR_TRY(cr_window_read(node, x->n - 2, NULL, &w));
    for (int d = 0; d < w.n; d++)
        CR_TRY(window_term(e, &w, d, x->terms[d + 2], ceil_mode != 0, &y->terms[d + 2]));
    return CREASE_OK;
}

/* stride (in - 1) + output_padding + reach - pads, or in stride where auto_pad decides. */
static crease_status shape_transpose(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0);
    const int64_t *extra;
    int n_extra;
    cr_window w;
    if (!has_kernel(node, x->n) || cr_attr_find(node, "output_shape") || !begin_window(e, node, y))
        return CREASE_OK;
    CR_TRY(cr_attr_ints(node, "output_padding", &extra, &n_extra));
    CR_TRY(cr_window_read(node, x->n - 2, node->inputs[1]->shape.dims + 2, &w));
    for (int d = 0; d < w.n && (!n_extra || n_extra == w.n); d++) {
        const int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1, stride = w.stride[d];
        const int64_t pads = w.auto_pad == VALID ? 0 : w.pad_begin[d] + w.pad_end[d];
        const bool same = w.auto_pad == SAME_UPPER || w.auto_pad == SAME_LOWER;
        int64_t o;
        if (!__builtin_add_overflow(reach - stride - pads, n_extra ? extra[d] : 0, &o))
            CR_TRY(cr_extents_formula(e, x->terms[d + 2], stride, same ? 0 : o, 1, &y->terms[d + 2]));
    }
    return CREASE_OK;
}

static crease_status shape_global(cr_extents *e, const cr_node *node, cr_term_list *y) {
    *y = *cr_extents_axes(e, node, 0);
    for (int d = 2; d < y->n; d++)
        CR_TRY(cr_term_number(&e->terms, 1, &y->terms[d]));
    return CREASE_OK;
}

static crease_status axis_of(const cr_node *node, int64_t otherwise, int rank, int64_t *axis) {
    CR_TRY(cr_attr_int(node, "axis", otherwise, axis));
    *axis += *axis < 0 ? rank : 0;
    return CREASE_OK;
}

static crease_status shape_concat(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *first = cr_extents_axes(e, node, 0);
    int64_t axis, sum = 0;
    CR_TRY(axis_of(node, 1, first->n, &axis));
    if (axis < 0 || axis >= first->n)
        return CREASE_OK;
    *y = *first;
    y->terms[axis] = CR_NO_TERM;
    for (int i = 0; i < node->n_inputs; i++) {
        const cr_term_list *x = cr_extents_axes(e, node, i);
        int64_t n;
        if (x->n != first->n || x->terms[axis] == CR_NO_TERM ||
            !cr_term_is_number(&e->terms, x->terms[axis], &n) || __builtin_add_overflow(sum, n, &sum))
            return CREASE_OK;
    }
    return cr_term_number(&e->terms, sum, &y->terms[axis]);
}

/* Along the axis, inference finds what can be known. */
static crease_status shape_split(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0);
    int64_t axis;
    CR_TRY(axis_of(node, 0, x->n, &axis));
    if (axis < 0 || axis >= x->n)
        return CREASE_OK;
    *y = *x;
    y->terms[axis] = CR_NO_TERM;
    return CREASE_OK;
}

static crease_status shape_channels(cr_extents *e, const cr_node *node, cr_term_list *y) {
    *y = *cr_extents_axes(e, node, 0);
    if (y->n > 1)
        y->terms[1] = CR_NO_TERM;
    return CREASE_OK;
}

/* ---- shapes that other inputs state ---- */

static const float *float_list(const cr_node *node, int n) {
    const int at = cr_node_input(node, 2) ? 2 : 1; /* scales stand behind the region since opset 11 */
    const cr_tensor *t = cr_node_constant(node, at);
    return t && t->dtype == CREASE_FLOAT && cr_shape_n(&t->shape) == n ? t->data : NULL;
}

/* Scales that are whole numbers. */
static crease_status scale_terms(cr_extents *e, const float *scales, const cr_term_list *x, cr_term_list *y) {
    for (int d = 0; scales && d < x->n; d++)
        if (scales[d] >= 1 && scales[d] < 0x1p20F && scales[d] == (float)(int64_t)scales[d])
            CR_TRY(cr_extents_formula(e, x->terms[d], (int64_t)scales[d], 0, 1, &y->terms[d]));
    return CREASE_OK;
}

static crease_status shape_resize(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0), *sizes = cr_extents_list(e, node, 3);
    const float *scales = float_list(node, x->n);
    const char *policy;
    int n;
    CR_TRY(cr_attr_string(node, "keep_aspect_ratio_policy", "stretch", &policy));
    if (x->n < 0 || cr_attr_find(node, "axes") || strcmp(policy, "stretch") != 0)
        return CREASE_OK;
    *y = cr_term_list_of(x->n);
    if (sizes->n == x->n) {
        *y = *sizes;
        return CREASE_OK;
    }
    if (cr_node_is(node, "Upsample") && node->n_inputs == 1) {
        CR_TRY(cr_attr_floats(node, "scales", &scales, &n));
        scales = n == x->n ? scales : NULL;
    }
    return cr_node_input(node, 3) ? CREASE_OK : scale_terms(e, scales, x, y);
}

static crease_status shape_pad(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0), *pads = cr_extents_list(e, node, 1);
    if (x->n < 0 || pads->n != 2 * x->n || cr_node_input(node, 3))
        return CREASE_OK;
    *y = cr_term_list_of(x->n);
    for (int d = 0; d < x->n; d++) {
        int64_t begin, end;
        if (pads->terms[d] != CR_NO_TERM && cr_term_is_number(&e->terms, pads->terms[d], &begin) &&
            pads->terms[d + x->n] != CR_NO_TERM &&
            cr_term_is_number(&e->terms, pads->terms[d + x->n], &end) &&
            !__builtin_add_overflow(begin, end, &begin))
            CR_TRY(cr_extents_formula(e, x->terms[d], 1, begin, 1, &y->terms[d]));
    }
    return CREASE_OK;
}

static crease_status shape_turn(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0);
    const int64_t *perm;
    int n;
    CR_TRY(cr_attr_ints(node, "perm", &perm, &n));
    if (x->n < 0 || (n && n != x->n))
        return CREASE_OK;
    *y = cr_term_list_of(x->n);
    for (int d = 0; d < x->n; d++) {
        const int64_t from = n ? perm[d] : x->n - 1 - d;
        if (from >= 0 && from < x->n)
            y->terms[d] = x->terms[from];
    }
    return CREASE_OK;
}

/* Of a known extent; of others from `start`, counted from the beginning, to an end that lies beyond any
 * extent or is counted from it. */
static crease_status slice_term(cr_extents *e, int x, int64_t start, int64_t end, int64_t step, int *y) {
    int64_t n;
    *y = CR_NO_TERM;
    if (x != CR_NO_TERM && cr_term_is_number(&e->terms, x, &n) && n >= 0 && n <= INT32_MAX && step >= 1 &&
        step < INT32_MAX) {
        const int64_t first = cr_extents_clip(start, n), last = cr_extents_clip(end, n);
        return cr_term_number(&e->terms, last > first ? (last - first + step - 1) / step : 0, y);
    }
    if (start == 0 && end >= INT32_MAX && step == 1)
        *y = x;
    else if (start >= 0 && start < INT32_MAX && step >= 1 && step < INT32_MAX && end > INT32_MIN &&
             (end < 0 || end >= INT32_MAX))
        return cr_extents_formula(e, x, 1, (end < 0 ? end : 0) - start + step - 1, step, y);
    return CREASE_OK;
}

static crease_status shape_slice(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0), *axes = cr_extents_list(e, node, 3);
    int64_t axis, start, end, step = 1;
    if (x->n < 0 || axes->n != 1 || !cr_extents_number(e, node, 3, &axis) ||
        !cr_extents_number(e, node, 1, &start) || !cr_extents_number(e, node, 2, &end) ||
        (cr_node_input(node, 4) && !cr_extents_number(e, node, 4, &step)))
        return CREASE_OK;
    axis += axis < 0 ? x->n : 0;
    if (axis < 0 || axis >= x->n)
        return CREASE_OK;
    *y = *x;
    return slice_term(e, x->terms[axis], start, end, step, &y->terms[axis]);
}

/* A product of terms, the numbers among them multiplied. */
typedef struct product {
    int64_t number;
    cr_term_list rest;
    bool known;
} product;

static product product_of(const cr_extents *e, const cr_term_list *l, int skip) {
    product p = {.number = 1, .known = true};
    for (int i = 0; i < l->n; i++) {
        int64_t number;
        if (i == skip)
            continue;
        if (l->terms[i] == CR_NO_TERM)
            p.known = false;
        else if (cr_term_is_number(&e->terms, l->terms[i], &number))
            p.known &= !__builtin_mul_overflow(p.number, number, &p.number);
        else
            p.rest.terms[p.rest.n++] = l->terms[i];
    }
    return p;
}

/* Remove what stands in both; whether all of b is gone. */
static bool cancel(cr_term_list *a, const cr_term_list *b) {
    for (int i = 0; i < b->n; i++) {
        int k = 0;
        while (k < a->n && a->terms[k] != b->terms[i])
            k++;
        if (k == a->n)
            return false;
        a->terms[k] = a->terms[--a->n];
    }
    return true;
}

/* The extent -1 of a Reshape: all elements by those of the other axes. It divides, or the run fails. */
static crease_status rest_term(cr_extents *e, const cr_term_list *x, const cr_term_list *y, int at,
                               int *term) {
    product all = product_of(e, x, CR_NO_TERM), others = product_of(e, y, at);
    *term = CR_NO_TERM;
    if (!all.known || !others.known || all.number < 1 || others.number < 1 ||
        !cancel(&all.rest, &others.rest) || all.rest.n > 1)
        return CREASE_OK;
    if (all.rest.n == 1)
        return cr_extents_formula(e, all.rest.terms[0], all.number, 0, others.number, term);
    return cr_term_number(&e->terms, all.number / others.number, term);
}

static crease_status shape_reshape(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0), *to = cr_extents_list(e, node, 1);
    int64_t allow_zero;
    int rest = CR_NO_TERM;
    CR_TRY(cr_attr_int(node, "allowzero", 0, &allow_zero));
    if (to->n < 0 || allow_zero)
        return CREASE_OK;
    *y = *to;
    for (int d = 0; d < y->n; d++) {
        if (cr_extents_is(e, y->terms[d], 0))
            y->terms[d] = d < x->n ? x->terms[d] : CR_NO_TERM;
        else if (cr_extents_is(e, y->terms[d], -1))
            rest = d;
    }
    return rest == CR_NO_TERM ? CREASE_OK : rest_term(e, x, y, rest, &y->terms[rest]);
}

static crease_status shape_flatten(cr_extents *e, const cr_node *node, cr_term_list *y) {
    const cr_term_list *x = cr_extents_axes(e, node, 0);
    int64_t axis;
    CR_TRY(axis_of(node, 1, x->n, &axis));
    if (axis != 1 || x->n < 1)
        return CREASE_OK;
    *y = cr_term_list_of(2);
    y->terms[0] = x->terms[0];
    return CREASE_OK;
}

/* ---- by operator ---- */

cr_extents_rule *cr_extents_shape_rule(const cr_node *node) {
    static const struct {
        const char *op;
        cr_extents_rule *rule;
    } rows[] = {
        {"Activation", shape_same},
        {"Add", shape_broadcast},
        {"Affine", shape_same},
        {"AveragePool", shape_pool},
        {"BatchNormalization", shape_same},
        {"Cast", shape_same},
        {"Channels", shape_channels},
        {"Clip", shape_same},
        {"Concat", shape_concat},
        {"Conv", shape_conv},
        {"ConvTranspose", shape_transpose},
        {"Div", shape_broadcast},
        {"Dropout", shape_same},
        {"Flatten", shape_flatten},
        {"GlobalAveragePool", shape_global},
        {"GlobalMaxPool", shape_global},
        {"Identity", shape_same},
        {"Max", shape_broadcast},
        {"MaxPool", shape_pool},
        {"Min", shape_broadcast},
        {"Mul", shape_broadcast},
        {"PRelu", shape_same},
        {"Pad", shape_pad},
        {"Pow", shape_broadcast},
        {"Reshape", shape_reshape},
        {"Resize", shape_resize},
        {"Slice", shape_slice},
        {"Split", shape_split},
        {"Sub", shape_broadcast},
        {"Sum", shape_broadcast},
        {"ToBlocked", shape_same},
        {"ToPlain", shape_same},
        {"Transpose", shape_turn},
        {"Upsample", shape_resize},
    };
    if (node->domain[0] && strcmp(node->domain, "crease") != 0)
        return NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].op, node->op_type) == 0)
            return rows[i].rule;
    return node->op && node->op->infer == cr_infer_same ? shape_same : NULL;
}
