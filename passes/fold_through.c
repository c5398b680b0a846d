#include "passes/fold.h"
#include "runtime/graph/attr.h"

#include <string.h>

/* before: linear operator, P, affine; or affine, P, linear operator
 * after:  the linear operator has taken the affine as P's other side sees it, P is unchanged
 * not:    anything else than the operators below, each under its own condition
 * why:    P commutes with the affine: P(s x + t) = s' P(x) + t' with s', t' rearranged as P
 *         rearranges the channels. */

typedef struct passage {
    cr_plan *plan;
    cr_node *node;
    const cr_affine *affine; /* on the output when back, else on input 0 */
    bool back;
    cr_affine *mapped; /* on the other side */
} passage;

static crease_status same(passage *p) {
    *p->mapped = *p->affine;
    return CREASE_OK;
}

static crease_status on_axis(passage *p, int axis) {
    *p->mapped = *p->affine;
    p->mapped->axis = axis;
    return CREASE_OK;
}

static crease_status refuse_shape(passage *p) {
    cr_refuse(&p->plan->refusal, "shape-unknown",
              "the shapes around '%s' are not known well enough; export with fixed sizes", p->node->name);
    return CREASE_OK;
}

static crease_status refuse_axis(passage *p) {
    cr_refuse(&p->plan->refusal, "axis-mismatch", "'%s' mixes the channels with other axes", p->node->name);
    return CREASE_OK;
}

static const cr_shape *near_shape(const passage *p) { /* the side where the affine is */
    return p->back ? &p->node->outputs[0]->shape : &p->node->inputs[0]->shape;
}

static const cr_shape *far_shape(const passage *p) {
    return p->back ? &p->node->inputs[0]->shape : &p->node->outputs[0]->shape;
}

static bool is_all(const passage *p) {
    return p->affine->axis == CR_AFFINE_ALL;
}

/* ---- Identity, Dropout ---- */

static crease_status noop(passage *p) {
    if (!cr_is_noop(p->node))
        cr_refuse(&p->plan->refusal, "training-mode", "'%s' may drop values at random; export for inference",
                  p->node->name);
    return same(p);
}

/* ---- Transpose ---- */

static crease_status transpose(passage *p) {
    const int64_t *perm;
    int n, rank = near_shape(p)->rank;
    CR_TRY(cr_attr_ints(p->node, "perm", &perm, &n));
    if (is_all(p))
        return same(p);
    if (n == 0 && rank < 0)
        return refuse_shape(p);
    if (p->affine->axis >= (n ? n : rank))
        return refuse_axis(p);
    if (n == 0)
        return on_axis(p, rank - 1 - p->affine->axis);
    for (int i = 0; i < n; i++)
        if (perm[i] < 0 || perm[i] >= n)
            return refuse_axis(p);
    if (p->back)
        return on_axis(p, (int)perm[p->affine->axis]);
    for (int i = 0; i < n; i++)
        if (perm[i] == p->affine->axis)
            return on_axis(p, i);
    return refuse_axis(p);
}

/* ---- Reshape, Flatten, Squeeze, Unsqueeze: the flat order stays ---- */

/* Far axis whose index, with its `inner` elements below, counts exactly the channels' block of n * near_inner
 * elements. */
static int find_block(const cr_shape *far, int64_t block, int64_t near_inner, int64_t *inner) {
    int found = -1;
    int64_t below = 1;
    for (int axis = far->rank - 1; axis >= 0 && far->dims[axis] > 0 && below <= block; axis--) {
        int64_t d = far->dims[axis];
        if (d <= block / below && d * below == block && near_inner % below == 0) {
            *inner = below;
            found = axis;
            if (below == near_inner)
                break;
        }
        if (d > block / below)
            break;
        below *= d;
    }
    return found;
}

static crease_status reshape(passage *p) {
    const cr_affine *a = p->affine;
    const cr_shape *near = near_shape(p), *far = far_shape(p);
    int64_t inner, below = 1, block = 0, *from;
    if (is_all(p))
        return same(p);
    if (near->rank <= a->axis || near->dims[a->axis] != a->n ||
        !cr_shape_product(near, a->axis + 1, near->rank, &inner) ||
        !cr_shape_product(near, a->axis, near->rank, &block) || block < 1)
        return refuse_shape(p);
    int axis = find_block(far, block, inner, &below);
    if (axis < 0)
        return cr_shape_is_static(far) ? refuse_axis(p) : refuse_shape(p);
    int64_t n = far->dims[axis];
    CR_TRY(CR_ARENA_NEW(&p->plan->arena, &from, (size_t)n));
    for (int64_t i = 0; i < n; i++)
        from[i] = i * below / inner;
    return cr_affine_pick(&p->plan->arena, a, axis, from, n, p->mapped);
}

/* ---- DepthToSpace backwards, SpaceToDepth forwards: one channel becomes many with the same pair ---- */

static crease_status depth_to_space(passage *p) {
    const char *mode;
    int64_t block, *from, n;
    bool depth = cr_node_is(p->node, "DepthToSpace");
    CR_TRY(cr_attr_int(p->node, "blocksize", 1, &block));
    CR_TRY(cr_attr_string(p->node, "mode", "DCR", &mode));
    if (is_all(p))
        return same(p);
    if (p->affine->axis != 1 || depth != p->back || block < 1 || block > 1024)
        return refuse_axis(p);
    n = p->affine->n * block * block;
    CR_TRY(CR_ARENA_NEW(&p->plan->arena, &from, (size_t)n));
    for (int64_t i = 0; i < n; i++)
        from[i] = strcmp(mode, "CRD") == 0 ? i / (block * block) : i % p->affine->n;
    return cr_affine_pick(&p->plan->arena, p->affine, 1, from, n, p->mapped);
}

/* ---- Pad ---- */

/* Padding with the value v commutes when the affine maps v to itself; copies of the edge always do. */
static crease_status pad_value(passage *p, double *value, bool *known) {
    float old;
    const cr_value *v = cr_node_input(p->node, 2);
    CR_TRY(cr_attr_float(p->node, "value", 0, &old));
    *value = (double)old;
    *known =
        !v || (v->constant && cr_dtype_is_float(v->constant->dtype) && cr_shape_n(&v->constant->shape) == 1);
    if (v && *known)
        *value = cr_load_float(v->constant->dtype, v->constant->data, 0);
    return CREASE_OK;
}

/* Contents of a constant int64 input; false when they are not known. */
static bool known_ints(const cr_value *v, const int64_t **values, int *n) {
    if (!v->constant || v->constant->dtype != CREASE_INT64)
        return false;
    *values = v->constant->data;
    *n = (int)cr_shape_n(&v->constant->shape);
    return true;
}

/* Whether nothing is put before or behind the channels: cut at one end and grown at the other they would be
 * as many as before, in other places. */
static crease_status pads_leave_axis(const passage *p, int axis, int rank, bool *leave) {
    const int64_t *pads, *axes = NULL;
    int n, n_axes = rank, at = axis;
    CR_TRY(cr_attr_ints(p->node, cr_attr_find(p->node, "paddings") ? "paddings" : "pads", &pads, &n));
    *leave = false;
    if (cr_node_input(p->node, 1) && !known_ints(p->node->inputs[1], &pads, &n))
        return CREASE_OK;
    if (cr_node_input(p->node, 3)) {
        if (!known_ints(p->node->inputs[3], &axes, &n_axes))
            return CREASE_OK;
        for (at = 0; at < n_axes && axes[at] != axis && axes[at] + rank != axis;)
            at++;
    }
    *leave = n == 2 * n_axes && (at == n_axes || (pads[at] == 0 && pads[n_axes + at] == 0));
    return CREASE_OK;
}

static crease_status pad(passage *p) {
    const char *mode;
    double value;
    bool known, fixed = true, leave = true;
    const cr_shape *a = near_shape(p), *b = far_shape(p);
    int axis = p->affine->axis;
    CR_TRY(cr_attr_string(p->node, "mode", "constant", &mode));
    CR_TRY(pad_value(p, &value, &known));
    if (!is_all(p) && (a->rank <= axis || b->rank <= axis))
        return refuse_shape(p);
    if (!is_all(p))
        CR_TRY(pads_leave_axis(p, axis, a->rank, &leave));
    if (!leave || (!is_all(p) && a->dims[axis] >= 0 && a->dims[axis] != p->affine->n))
        return refuse_axis(p);
    for (int64_t c = 0; c < p->affine->n; c++)
        fixed &= known && cr_affine_at(p->affine, c, value) == value;
    if (strcmp(mode, "constant") == 0 && !fixed)
        cr_refuse(
            &p->plan->refusal, "border-values",
            "'%s' pads with a constant that the normalisation would change; use mode 'edge' or 'reflect'",
            p->node->name);
    return same(p);
}

/* ---- pools and reductions over space ---- */

static bool is_spatial_pool(const passage *p) {
    return is_all(p) || p->affine->axis <= 1;
}

/* Whether a window may lie in the padding alone, where its result is no value of the data: more padding than
 * kernel, or padding that the gaps of a dilated kernel step over. */
static crease_status may_see_nothing(const cr_node *node, bool *nothing) {
    const char *auto_pad;
    const int64_t *kernel, *pads, *dilations;
    int n_kernel, n_pads, n_dilations;
    CR_TRY(cr_attr_string(node, "auto_pad", "NOTSET", &auto_pad));
    CR_TRY(cr_attr_ints(node, "kernel_shape", &kernel, &n_kernel));
    CR_TRY(cr_attr_ints(node, "pads", &pads, &n_pads));
    CR_TRY(cr_attr_ints(node, "dilations", &dilations, &n_dilations));
    bool padded = strncmp(auto_pad, "SAME", 4) == 0, dilated = false;
    *nothing = false;
    for (int i = 0; i < n_pads && n_kernel > 0; i++) {
        padded |= pads[i] > 0;
        *nothing |= pads[i] >= kernel[i % n_kernel];
    }
    for (int i = 0; i < n_dilations; i++)
        dilated |= dilations[i] != 1;
    *nothing |= padded && dilated;
    return CREASE_OK;
}

static crease_status refuse_nothing(passage *p) {
    cr_refuse(&p->plan->refusal, "border-values",
              "a window of '%s' may lie in its padding alone, which the normalisation does not reach",
              p->node->name);
    return CREASE_OK;
}

static crease_status max_pool(passage *p) {
    bool nothing;
    if (!is_spatial_pool(p))
        return refuse_axis(p);
    CR_TRY(may_see_nothing(p->node, &nothing));
    if (nothing)
        return refuse_nothing(p);
    for (int64_t c = 0; c < p->affine->n; c++)
        if (!(p->affine->s[c] >= 0)) {
            cr_refuse(&p->plan->refusal, "negative-scale",
                      "the scale of channel %lld is negative, and a maximum ('%s') does "
                      "not commute with that",
                      (long long)c, p->node->name);
            break;
        }
    return same(p);
}

static crease_status average_pool(passage *p) {
    const char *auto_pad;
    const int64_t *pads;
    int n;
    int64_t include, ceiling;
    bool nothing;
    CR_TRY(may_see_nothing(p->node, &nothing));
    CR_TRY(cr_attr_string(p->node, "auto_pad", "NOTSET", &auto_pad));
    CR_TRY(cr_attr_ints(p->node, "pads", &pads, &n));
    CR_TRY(cr_attr_int(p->node, "count_include_pad", 0, &include));
    CR_TRY(cr_attr_int(p->node, "ceil_mode", 0, &ceiling));
    if (!is_spatial_pool(p))
        return refuse_axis(p);
    bool padded = ceiling || strncmp(auto_pad, "SAME", 4) == 0;
    for (int i = 0; i < n; i++)
        padded |= pads[i] != 0;
    if (nothing && cr_affine_shifts(p->affine))
        return refuse_nothing(p);
    if (padded && include && cr_affine_shifts(p->affine))
        cr_refuse(&p->plan->refusal, "border-values",
                  "'%s' averages zeros of its padding in (count_include_pad), which the shift does not reach",
                  p->node->name);
    return same(p);
}

static crease_status global_pool(passage *p) {
    return is_spatial_pool(p) ? same(p) : refuse_axis(p);
}

/* Axes that ReduceMean removes or keeps, as a set of bits; all of them when none is named. */
static crease_status reduced_axes(passage *p, int rank, uint32_t *axes, bool *known) {
    const int64_t *values;
    int n;
    int64_t noop;
    const cr_value *v = cr_node_input(p->node, 1);
    CR_TRY(cr_attr_ints(p->node, "axes", &values, &n));
    CR_TRY(cr_attr_int(p->node, "noop_with_empty_axes", 0, &noop));
    *known = !v || (v->constant && v->constant->dtype == CREASE_INT64);
    *axes = 0;
    if (v && *known) {
        n = (int)cr_shape_n(&v->constant->shape);
        values = v->constant->data;
    }
    for (int i = 0; *known && i < n; i++) {
        int64_t axis = values[i] < 0 ? values[i] + rank : values[i];
        *known = axis >= 0 && axis < rank;
        *axes |= *known ? 1U << axis : 0;
    }
    if (n == 0 && !noop)
        *axes = (1U << rank) - 1;
    return CREASE_OK;
}

static crease_status reduce_mean(passage *p) {
    uint32_t axes;
    bool known;
    int64_t keep;
    int rank = p->node->inputs[0]->shape.rank, axis = p->affine->axis;
    if (rank < 0)
        return refuse_shape(p);
    CR_TRY(reduced_axes(p, rank, &axes, &known));
    CR_TRY(cr_attr_int(p->node, "keepdims", 1, &keep));
    if (!known)
        return refuse_shape(p);
    if (is_all(p))
        return same(p);
    if (!keep && p->back) { /* the axis of the input that became the output's */
        int left = axis;
        for (axis = 0; axis < rank && (left || (axes >> axis & 1)); axis++)
            left -= !(axes >> axis & 1);
    }
    if (axis >= rank || (axes >> axis & 1))
        return refuse_axis(p);
    if (!keep && !p->back)
        for (int i = p->affine->axis - 1; i >= 0; i--)
            axis -= (int)(axes >> i & 1);
    return on_axis(p, axis);
}

/* ---- Resize, Upsample: weights of an interpolation sum to 1 ---- */

/* Entry `at` of sizes is what the axis has already. */
static bool keeps_size(const passage *p, const cr_value *sizes, int axis, int at) {
    const cr_shape *in = &p->node->inputs[0]->shape;
    return sizes->constant && sizes->constant->dtype == CREASE_INT64 &&
           at < cr_shape_n(&sizes->constant->shape) && in->dims[axis] == p->affine->n &&
           cr_tensor_int(sizes->constant, at) == p->affine->n;
}

/* Whether the channel axis is not resampled: no scale for it, or a scale of 1. Equal sizes alone do not say
 * so, since they are rounded down from the scales. */
static crease_status leaves_axis(const passage *p, int axis, int rank, bool *leaves) {
    const cr_node *node = p->node;
    const int64_t *axes;
    const float *listed;
    const char *policy;
    int n_axes, n_listed, at = axis;
    bool resize = cr_model_opset(p->plan->model, "") >= 11; /* Upsample is older */
    const cr_value *scales = cr_node_input(node, resize ? 2 : 1), *sizes = cr_node_input(node, 3);
    CR_TRY(cr_attr_ints(node, "axes", &axes, &n_axes));
    CR_TRY(cr_attr_floats(node, "scales", &listed, &n_listed));
    CR_TRY(cr_attr_string(node, "keep_aspect_ratio_policy", "stretch", &policy));
    *leaves = false;
    if (n_axes)
        for (at = 0; at < n_axes && axes[at] != axis && axes[at] + rank != axis;)
            at++;
    if (n_axes && at == n_axes)
        *leaves = true;
    else if (sizes)
        *leaves = strcmp(policy, "stretch") == 0 && keeps_size(p, sizes, axis, at);
    else if (n_listed)
        *leaves = at < n_listed && listed[at] == 1;
    else if (scales && scales->constant && cr_dtype_is_float(scales->constant->dtype))
        *leaves = at < cr_shape_n(&scales->constant->shape) &&
                  cr_load_float(scales->constant->dtype, scales->constant->data, at) == 1;
    return CREASE_OK;
}

static crease_status resize(passage *p) {
    const char *mode, *coordinates;
    bool leaves = true;
    const cr_shape *a = near_shape(p), *b = far_shape(p);
    int axis = p->affine->axis;
    CR_TRY(cr_attr_string(p->node, "mode", "nearest", &mode));
    CR_TRY(cr_attr_string(p->node, "coordinate_transformation_mode", "half_pixel", &coordinates));
    if (strcmp(coordinates, "tf_crop_and_resize") == 0 ||
        (strcmp(mode, "nearest") != 0 && strcmp(mode, "linear") != 0)) {
        cr_refuse(&p->plan->refusal, "border-values",
                  "'%s' resizes by '%s', '%s', which may bring in other values", p->node->name, mode,
                  coordinates);
        return CREASE_OK;
    }
    if (!is_all(p) && (a->rank <= axis || b->rank <= axis))
        return refuse_shape(p);
    if (!is_all(p))
        CR_TRY(leaves_axis(p, axis, a->rank, &leaves));
    return leaves ? same(p) : refuse_axis(p);
}

/* ---- the table of those with one data input ---- */

static const struct row {
    const char *op, *code;
    crease_status (*map)(passage *p);
} rows[] = {
    {"Identity", "identity", noop},
    {"Dropout", "dropout", noop},
    {"Transpose", "permute", transpose},
    {"Reshape", "reshape", reshape},
    {"Flatten", "flatten", reshape},
    {"Squeeze", "squeeze", reshape},
    {"Unsqueeze", "unsqueeze", reshape},
    {"DepthToSpace", "depth-to-space", depth_to_space},
    {"SpaceToDepth", "space-to-depth", depth_to_space},
    {"Pad", "pad", pad},
    {"MaxPool", "max-pool", max_pool},
    {"GlobalMaxPool", "max-pool", max_pool},
    {"AveragePool", "average-pool", average_pool},
    {"GlobalAveragePool", "average-pool", global_pool},
    {"ReduceMean", "reduce-mean", reduce_mean},
    {"Resize", "resize", resize},
    {"Upsample", "resize", resize},
};

static const struct row *find_row(const cr_node *node) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (cr_node_is(node, rows[i].op))
            return &rows[i];
    return NULL;
}

/* Only output 0 counts: indices of a MaxPool or a mask tell what happened to the values before. */
static bool has_one_result(cr_plan *plan, const cr_node *node) {
    for (int i = 1; i < node->n_outputs; i++)
        if (node->outputs[i] && (node->outputs[i]->n_uses || node->outputs[i]->n_outputs)) {
            cr_refuse(&plan->refusal, "several-consumers", "output '%s' of '%s' is used",
                      node->outputs[i]->name, node->name);
            return false;
        }
    return true;
}

static crease_status map_row(cr_plan *plan, cr_node *node, const struct row *row, const cr_affine *affine,
                             bool back, cr_affine *mapped) {
    passage p = {.plan = plan, .node = node, .affine = affine, .back = back, .mapped = mapped};
    if (!has_one_result(plan, node))
        return CREASE_OK;
    if (!node->inputs[0] || !node->outputs[0]) { /* in a body that no inference has seen */
        cr_refuse(&plan->refusal, "no-linear-neighbour", "'%s' has no input or no output", node->name);
        return CREASE_OK;
    }
    if (!plan->through)
        plan->through = row->code;
    return row->map(&p);
}

/* ---- Concat: each input takes its slice ---- */

static crease_status slice_of(cr_plan *plan, const cr_node *concat, const cr_affine *a, int64_t begin,
                              int64_t n, cr_affine *slice) {
    int64_t *from;
    if (begin > a->n - n) {
        cr_refuse(&plan->refusal, "axis-mismatch",
                  "the inputs of '%s' have more channels than the normalisation", concat->name);
        return CREASE_OK;
    }
    CR_TRY(CR_ARENA_NEW(&plan->arena, &from, (size_t)n));
    for (int64_t i = 0; i < n; i++)
        from[i] = begin + i;
    return cr_affine_pick(&plan->arena, a, a->axis, from, n, slice);
}

static crease_status concat(cr_plan *plan, cr_node *node, const cr_affine *a, int depth) {
    int64_t axis, begin = 0;
    int rank = node->outputs[0]->shape.rank;
    CR_TRY(cr_attr_int(node, "axis", 1, &axis));
    axis += axis < 0 ? rank : 0;
    for (int i = 0; i < node->n_inputs && !plan->refusal.code; i++) {
        cr_value *v = node->inputs[i];
        int64_t n = v && axis >= 0 && v->shape.rank > axis ? v->shape.dims[axis] : -1;
        cr_affine slice = *a;
        if (!v || (a->axis != CR_AFFINE_ALL && (rank < 0 || (a->axis == axis && n < 0)))) {
            cr_refuse(&plan->refusal, "shape-unknown", "the channels of input %d of '%s' are not known", i,
                      node->name);
            return CREASE_OK;
        }
        if (a->axis == axis)
            CR_TRY(slice_of(plan, node, a, begin, n, &slice));
        begin += n > 0 ? n : 0;
        if (!plan->refusal.code)
            CR_TRY(cr_fold_back(plan, v, &slice, depth + 1));
    }
    if (!plan->refusal.code && a->axis == axis && begin != a->n)
        cr_refuse(&plan->refusal, "axis-mismatch",
                  "the inputs of '%s' have fewer channels than the normalisation", node->name);
    return CREASE_OK;
}

/* ---- Add, Sub, Sum of branches: s into all, the shift into one ---- */

static bool branches_agree(cr_plan *plan, const cr_node *node, const cr_affine *a) {
    int rank = node->outputs[0]->shape.rank;
    for (int i = 0; i < node->n_inputs; i++) {
        const cr_value *v = node->inputs[i];
        bool fits = v && (a->axis == CR_AFFINE_ALL ||
                          (rank > a->axis && v->shape.rank == rank && v->shape.dims[a->axis] == a->n));
        if (!fits) {
            cr_refuse(&plan->refusal, "axis-mismatch",
                      "input %d of '%s' is not known to have all channels itself", i, node->name);
            return false;
        }
    }
    return true;
}

/* A pure shift goes into whichever branch can take it. A Sub gives its second branch back negated, so only
 * the first. */
static crease_status shift_one(cr_plan *plan, cr_node *node, const cr_affine *a, int depth) {
    int last = cr_node_is(node, "Sub") ? 1 : node->n_inputs;
    cr_edit *mark = cr_plan_mark(plan);
    for (int i = 0; i < last; i++) {
        plan->refusal.code = NULL;
        CR_TRY(cr_fold_back(plan, node->inputs[i], a, depth + 1));
        if (!plan->refusal.code)
            break;
        cr_plan_rewind(plan, mark);
    }
    return CREASE_OK;
}

/* The shift goes into `taker`, the scale into all. */
static crease_status scale_all(cr_plan *plan, cr_node *node, const cr_affine *a, int taker, int depth) {
    cr_affine scale;
    CR_TRY(cr_affine_scale_only(&plan->arena, a, &scale));
    for (int i = 0; i < node->n_inputs && !plan->refusal.code; i++)
        CR_TRY(cr_fold_back(plan, node->inputs[i], i == taker ? a : &scale, depth + 1));
    return CREASE_OK;
}

/* Sums within sums are tried with other takers no deeper than this: every level multiplies the attempts. */
enum { MAX_TAKER_DEPTH = 3 };

static crease_status sum(cr_plan *plan, cr_node *node, const cr_affine *a, int depth) {
    int last = cr_node_is(node, "Sub") || depth > MAX_TAKER_DEPTH ? 1 : node->n_inputs;
    cr_edit *mark = cr_plan_mark(plan);
    if (!branches_agree(plan, node, a))
        return CREASE_OK;
    if (!cr_affine_scales(a))
        return shift_one(plan, node, a, depth);
    CR_TRY(scale_all(plan, node, a, 0, depth));
    for (int i = 1; i < last && plan->refusal.code && strcmp(plan->refusal.code, "no-bias") == 0; i++) {
        plan->refusal.code = NULL;
        cr_plan_rewind(plan, mark);
        CR_TRY(scale_all(plan, node, a, i, depth));
    }
    return CREASE_OK;
}

/* ---- entry ---- */

static bool is_sum(const cr_node *node) {
    return cr_node_is(node, "Add") || cr_node_is(node, "Sub") || cr_node_is(node, "Sum");
}

bool cr_is_passage(const cr_node *node) {
    return find_row(node) || cr_node_is(node, "Concat") || is_sum(node);
}

crease_status cr_fold_back_through(cr_plan *plan, cr_node *node, const cr_affine *affine, int depth) {
    const struct row *row = find_row(node);
    cr_affine mapped;
    bool joins = cr_node_is(node, "Concat"), sums = is_sum(node);
    if (!plan->through && (joins || sums))
        plan->through = joins ? "concat" : "add";
    if (joins)
        return concat(plan, node, affine, depth);
    if (sums)
        return sum(plan, node, affine, depth);
    CR_TRY(map_row(plan, node, row, affine, true, &mapped));
    return plan->refusal.code ? CREASE_OK : cr_fold_back(plan, node->inputs[0], &mapped, depth + 1);
}

crease_status cr_fold_ahead_through(cr_plan *plan, cr_node *node, int input, const cr_affine *affine,
                                    int depth, bool *taken) {
    const struct row *row = input == 0 ? find_row(node) : NULL;
    cr_affine mapped;
    *taken = row != NULL;
    if (!row)
        return CREASE_OK;
    CR_TRY(map_row(plan, node, row, affine, false, &mapped));
    return plan->refusal.code ? CREASE_OK : cr_fold_ahead(plan, node->outputs[0], &mapped, depth + 1);
}
