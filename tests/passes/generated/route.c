#include "tests/passes/generated/network.h"
#include "tests/passes/generated/oracle.h"

/* Random operators between an affine and a linear operator, and where they take the channels. */

/* ---- which channels reach which elements ---- */

static bool *touch(const route *r, int64_t element, int64_t channel) {
    return &r->reached[element * r->n + channel];
}

static int64_t index_on(const cr_shape *s, int axis, int64_t i) {
    for (int d = s->rank - 1; d > axis; d--)
        i /= s->dims[d];
    return i % s->dims[axis];
}

void route_begin(route *r, network *n, int axis) {
    const cr_shape *s = &n->end->shape;
    *r = (route){.at = n->end, .n = axis < 0 ? 1 : s->dims[axis], .elements = cr_shape_n(s)};
    r->reached = calloc((size_t)(r->elements * r->n), sizeof *r->reached);
    for (int64_t i = 0; i < r->elements; i++)
        *touch(r, i, axis < 0 ? 0 : index_on(s, axis, i)) = true;
}

void route_end(route *r) {
    free(r->reached);
}

/* Through the last node: channel by channel, ones where it is and zeros elsewhere. */
static void follow(route *r, network *n) {
    route next = *r;
    cr_tensor ones;
    net_settle(n);
    next.at = n->end;
    next.elements = cr_shape_n(&n->end->shape);
    next.reached = calloc((size_t)(next.elements * r->n), sizeof *next.reached);
    OK(cr_tensor_create(n->base.heap, CREASE_DOUBLE, &r->at->shape, &ones));
    for (int64_t c = 0; c < r->n; c++) {
        oracle o;
        for (int64_t i = 0; i < r->elements; i++)
            ((double *)ones.data)[i] = *touch(r, i, c);
        oracle_run_part(&o, n->base.model, net_last(n), r->at, &ones);
        for (int64_t i = 0; i < next.elements; i++)
            *touch(&next, i, c) = oracle_value(&o, n->end)->value[i] != 0;
        oracle_end(&o);
    }
    cr_tensor_release(&ones);
    free(r->reached);
    *r = next;
}

/* Whether every channel reaches one index of the axis only, or (of_index) every index is reached by one
 * channel only. */
static bool is_single(const route *r, int axis, bool of_index) {
    int64_t size = of_index ? net_dim(r->at, axis) : r->n, *seen = calloc((size_t)size, sizeof *seen);
    bool holds = true;
    for (int64_t i = 0; i < r->elements; i++)
        for (int64_t c = 0; holds && c < r->n; c++) {
            int64_t index = index_on(&r->at->shape, axis, i), a = of_index ? index : c,
                    b = of_index ? c : index;
            if (*touch(r, i, c)) {
                holds = seen[a] == 0 || seen[a] == b + 1;
                seen[a] = b + 1;
            }
        }
    free(seen);
    return holds;
}

bool route_gathers(const route *r, int axis) {
    return axis < 0 || net_dim(r->at, axis) == 1 || is_single(r, axis, false);
}

bool route_spreads(const route *r, int axis) {
    return axis < 0 || r->n == 1 || is_single(r, axis, true);
}

/* The channel that alone reaches element i. */
static int64_t channel_at(const route *r, int64_t i) {
    int64_t c = 0;
    while (c < r->n - 1 && !*touch(r, i, c))
        c++;
    return c;
}

/* ---- what folding need not see ----
 *
 * Folding describes an affine by one axis and looks at each operator alone, so that four things are right to
 * fold but not asked for: channels spread over two axes for a while (shuffles), channels that repeat along an
 * axis after a Reshape (of the batch), operators that regroup the elements of which the second takes back
 * what the first did, and pools, paddings and the like over axes other than the spatial ones when their
 * window happens to be 1 there. */

static bool lies_on_an_axis(const route *r) {
    for (int axis = 0; axis < r->at->shape.rank; axis++)
        if (route_spreads(r, axis))
            return true;
    return false;
}

/* Some axis holds the channels in order. */
static bool is_ordered(const route *r) {
    const cr_shape *s = &r->at->shape;
    for (int axis = 0; axis < s->rank; axis++) {
        int64_t inner = 1, previous = -1;
        bool ordered = route_spreads(r, axis);
        for (int d = axis + 1; d < s->rank; d++)
            inner *= s->dims[d];
        for (int64_t i = 0; ordered && i < s->dims[axis]; i++) {
            ordered = channel_at(r, i * inner) >= previous;
            previous = channel_at(r, i * inner);
        }
        if (ordered)
            return true;
    }
    return false;
}

/* ---- passages ---- */

static void pass(route *r, network *n, const char *code) {
    follow(r, n);
    r->first = r->first ? r->first : code;
    r->last = code;
    r->exotic |= !lies_on_an_axis(r);
}

/* Where the flat order stays. */
static void pass_flat(route *r, network *n, const char *code) {
    pass(r, n, code);
    r->exotic |= !is_ordered(r) || r->regrouped;
    r->regrouped = true;
}

/* Where axis 1 is special. */
static void pass_space(route *r, network *n, const char *code, bool on_axis_1) {
    r->exotic |= !on_axis_1;
    pass(r, n, code);
}

static void transpose(route *r, network *n) {
    const cr_value *x = n->end;
    int64_t perm[CR_MAX_RANK];
    int rank = x->shape.rank;
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    for (int i = rank - 1; i > 0; i--) {
        int j = net_pick(n, 0, i);
        int64_t t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
    }
    n->end = net_node(n, "Transpose", IN(n->end));
    if (net_chance(n, 80))
        OK(cr_node_set_ints(net_last(n), "perm", perm, rank));
    pass(r, n, "permute");
}

/* Neighbouring axes joined, or one split in two. */
static void reshape(route *r, network *n) {
    cr_value *x = n->end;
    int64_t dims[CR_MAX_RANK];
    int rank = x->shape.rank, count = 0, at = net_pick(n, 0, rank - 1);
    bool join = rank > 2 && net_chance(n, 60);
    for (int d = 0; d < rank; d++) {
        int64_t size = net_dim(x, d);
        if (d == at && join && d + 1 < rank)
            dims[count++] = size * net_dim(x, ++d);
        else if (d == at && size % 2 == 0 && rank < 5) {
            dims[count++] = 2;
            dims[count++] = size / 2;
        } else
            dims[count++] = size;
    }
    if (net_chance(n, 30))
        dims[net_pick(n, 0, count - 1)] = -1;
    n->end = net_node(n, "Reshape", IN(x, net_ints(n, count, dims)));
    pass_flat(r, n, "reshape");
}

static void flatten(route *r, network *n) {
    const cr_value *x = n->end;
    n->end = net_node(n, "Flatten", IN(n->end));
    if (net_chance(n, 20))
        OK(cr_node_set_int(net_last(n), "axis", net_pick(n, 0, x->shape.rank)));
    pass_flat(r, n, "flatten");
}

static void squeeze(route *r, network *n, bool longer) {
    cr_value *x = n->end;
    int64_t axis = -1;
    for (int d = 0; d < x->shape.rank; d++)
        if (net_dim(x, d) == 1)
            axis = d;
    if (longer)
        axis = net_pick(n, 0, x->shape.rank);
    if (axis < 0 || (!longer && x->shape.rank < 3))
        return;
    const char *op = longer ? "Unsqueeze" : "Squeeze";
    n->end = net_node(n, op, IN(x, n->opset >= 13 ? net_ints(n, 1, &axis) : NULL));
    if (n->opset < 13)
        OK(cr_node_set_ints(net_last(n), "axes", &axis, 1));
    pass_flat(r, n, longer ? "unsqueeze" : "squeeze");
}

static void depth(route *r, network *n, bool to_space) {
    const cr_value *x = n->end;
    bool on_axis_1 = route_spreads(r, 1);
    if (x->shape.rank != 4 || (to_space ? net_dim(x, 1) % 4 : net_dim(x, 2) % 2 || net_dim(x, 3) % 2))
        return;
    n->end = net_node(n, to_space ? "DepthToSpace" : "SpaceToDepth", IN(n->end));
    OK(cr_node_set_int(net_last(n), "blocksize", 2));
    if (to_space && n->opset >= 11 && net_chance(n, 50))
        OK(cr_node_set_string(net_last(n), "mode", "CRD"));
    pass_space(r, n, to_space ? "depth-to-space" : "space-to-depth", on_axis_1);
    r->exotic |= r->regrouped;
    r->regrouped = true;
}

/* Copies of the edge say where the channels are; a constant is put in afterwards. */
static void pad(route *r, network *n) {
    cr_value *x = n->end;
    bool on_axis_1 = route_spreads(r, 1);
    int rank = x->shape.rank;
    int64_t pads[2 * CR_MAX_RANK] = {0};
    bool constant = net_chance(n, 50), reflect = !constant && net_chance(n, 50), some = false;
    for (int d = 2; d < rank; d++)
        for (int side = 0; side < 2; side++) {
            pads[side * rank + d] = net_pick(n, 0, net_dim(x, d) > 1 ? 1 : 0);
            some |= pads[side * rank + d] != 0;
        }
    if (!some || n->opset < 2)
        return;
    double value = net_chance(n, 30) ? 0.5 : 0;
    cr_value *fill = net_constant(n, value, value, 0, NULL);
    n->end = net_node(
        n, "Pad",
        IN(x, n->opset >= 11 ? net_ints(n, 2 * rank, pads) : NULL, n->opset >= 11 && constant ? fill : NULL));
    cr_node *node = net_last(n);
    if (n->opset < 11)
        OK(cr_node_set_ints(node, "pads", pads, 2 * rank));
    OK(cr_node_set_string(node, "mode", reflect ? "reflect" : "edge"));
    pass_space(r, n, "pad", on_axis_1);
    if (!constant)
        return;
    OK(cr_node_set_string(node, "mode", "constant"));
    if (n->opset < 11)
        OK(cr_node_set_float(node, "value", (float)value));
    r->no_shift = true;
    r->no_scale |= value != 0;
}

/* Kernel, strides and pads of a pool; true: padding is part of some window. */
static bool window_of(network *n, const cr_value *x) {
    int spatial = x->shape.rank - 2;
    int64_t kernel[CR_MAX_RANK], strides[CR_MAX_RANK], pads[CR_MAX_RANK];
    bool padded = false;
    for (int d = 0; d < spatial; d++) {
        kernel[d] = net_pick(n, 1, net_dim(x, d + 2) > 2 ? 3 : (int)net_dim(x, d + 2));
        strides[d] = net_pick(n, 1, 2);
        for (int side = 0; side < 2; side++) {
            pads[side * spatial + d] = kernel[d] > 1 && net_chance(n, 30);
            padded |= pads[side * spatial + d] != 0;
        }
    }
    OK(cr_node_set_ints(net_last(n), "kernel_shape", kernel, spatial));
    if (net_chance(n, 60))
        OK(cr_node_set_ints(net_last(n), "strides", strides, spatial));
    if (padded)
        OK(cr_node_set_ints(net_last(n), "pads", pads, 2 * spatial));
    return padded;
}

static void pool(route *r, network *n, bool largest) {
    const cr_value *x = n->end;
    bool on_axis_1 = route_spreads(r, 1);
    n->end = net_node(n, largest ? "MaxPool" : "AveragePool", IN(n->end));
    cr_node *node = net_last(n);
    bool padded = window_of(n, x);
    pass_space(r, n, largest ? "max-pool" : "average-pool", on_axis_1);
    r->needs_positive |= largest;
    if (!largest && net_chance(n, 50)) {
        OK(cr_node_set_int(node, "count_include_pad", 1));
        r->no_shift |= padded;
    }
}

static void global_pool(route *r, network *n, bool largest) {
    bool on_axis_1 = route_spreads(r, 1);
    n->end = net_node(n, largest ? "GlobalMaxPool" : "GlobalAveragePool", IN(n->end));
    pass_space(r, n, largest ? "max-pool" : "average-pool", on_axis_1);
    r->needs_positive |= largest;
}

static void reduce_mean(route *r, network *n) {
    cr_value *x = n->end;
    bool on_axis_1 = route_spreads(r, 1);
    int64_t axes[2] = {x->shape.rank - 1, net_chance(n, 30) ? -x->shape.rank + 1 : -2};
    int count = net_pick(n, 1, 2);
    bool keep = x->shape.rank - count < 2 || net_chance(n, 50);
    if (x->shape.rank < 3)
        return;
    n->end = net_node(n, "ReduceMean", IN(x, n->opset >= 18 ? net_ints(n, count, axes) : NULL));
    if (n->opset < 18)
        OK(cr_node_set_ints(net_last(n), "axes", axes, count));
    OK(cr_node_set_int(net_last(n), "keepdims", keep));
    pass_space(r, n, "reduce-mean", on_axis_1);
}

static void resize(route *r, network *n) {
    cr_value *x = n->end, *scales;
    bool on_axis_1 = route_spreads(r, 1);
    int rank = x->shape.rank;
    int64_t dims = rank, sizes[CR_MAX_RANK];
    bool smooth = net_chance(n, 50), by_size = n->opset >= 13 && net_chance(n, 30);
    scales = net_typed(n, CREASE_FLOAT, 1, 1, 1, &dims);
    for (int d = 0; d < rank; d++) {
        double scale = d < 2 ? 1 : 0.5 * net_pick(n, 2, 4);
        net_set(scales, d, scale);
        sizes[d] = d < 2 ? net_dim(x, d) : net_dim(x, d) + net_pick(n, 0, 2);
    }
    cr_value *none = NULL;
    if (by_size)
        n->end = net_node(n, "Resize", IN(x, none, none, net_ints(n, rank, sizes)));
    else if (n->opset >= 11)
        n->end = net_node(n, "Resize", IN(x, none, scales));
    else
        n->end = net_node(n, n->opset == 9 ? "Upsample" : "Resize", IN(x, scales));
    OK(cr_node_set_string(net_last(n), "mode", smooth && n->opset >= 11 ? "linear" : "nearest"));
    if (n->opset >= 11 && !smooth) {
        OK(cr_node_set_string(net_last(n), "coordinate_transformation_mode", "asymmetric"));
        OK(cr_node_set_string(net_last(n), "nearest_mode", "floor"));
    }
    pass_space(r, n, "resize", on_axis_1);
}

/* Not a passage: removed before anything is folded. */
static void nothing(route *r, network *n) {
    n->end = net_node(n, net_chance(n, 50) ? "Identity" : "Dropout", IN(n->end));
    follow(r, n);
}

void route_step(route *r, network *n) {
    bool image = n->end->shape.rank >= 3 && n->end->shape.rank <= 5,
         has_room = cr_shape_n(&n->end->shape) < 500;
    int kind = net_pick(n, 0, image ? 14 : 4);
    if (kind == 0)
        transpose(r, n);
    else if (kind == 1)
        reshape(r, n);
    else if (kind == 2)
        flatten(r, n);
    else if (kind == 3)
        squeeze(r, n, n->end->shape.rank < 5 && net_chance(n, 50));
    else if (kind == 4)
        nothing(r, n);
    else if (kind <= 6)
        pad(r, n);
    else if (kind <= 10)
        pool(r, n, kind <= 8);
    else if (kind == 11)
        global_pool(r, n, net_chance(n, 50));
    else if (kind == 12)
        reduce_mean(r, n);
    else if (kind == 13 && has_room)
        resize(r, n);
    else if (kind == 14)
        depth(r, n, net_chance(n, 50));
}
