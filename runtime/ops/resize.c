#include "runtime/kernels/remap.h"
#include "runtime/kernels/resize.h"
#include "runtime/ops/blocked.h"
#include "runtime/ops/resize_spec.h"

#include <string.h>

/* Resize (ONNX 10, 11: coordinates, 13, 18: axes, antialias and aspect ratio, 19: half_pixel_symmetric) and
 * Upsample (1: two attributes, 7: an attribute, 9: an input), along any axes. Nearest chooses positions and
 * moves bytes of any type; linear and cubic (Keys 1981) are products of one-dimensional filters on numbers.
 */

static crease_status check_list(const cr_node *node, const cr_info *info, bool floats, const char *what) {
    if (!info || !info->dtype || (floats ? cr_dtype_is_float(info->dtype) : info->dtype == CREASE_INT64))
        return CREASE_OK;
    return cr_node_fail(node, CREASE_ERROR_MODEL, "%s are %s", what, crease_dtype_name(info->dtype));
}

/* By scales that are known: an extent that is not known stays what it is under a scale of 1. */
static crease_status scale_some(const cr_infer *infer, const cr_resize_inputs *inputs, cr_resize_spec *s,
                                cr_shape *y) {
    const cr_shape *x = &infer->in[0]->shape;
    cr_shape filled = *x;
    for (int d = 0; d < x->rank; d++)
        filled.dims[d] = x->dims[d] < 0 ? 1 : x->dims[d];
    CR_TRY(cr_resize_read_extents(infer->node, infer->opset, &filled, inputs, s));
    for (int d = 0; d < x->rank; d++)
        y->dims[d] = x->dims[d] >= 0 ? s->extent[d] : s->scale[d] == 1.0 ? x->dims[d] : CR_DIM_UNKNOWN;
    return CREASE_OK;
}

static crease_status resize_infer(cr_infer *infer) {
    cr_resize_spec s;
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_resize_read_modes(infer->node, infer->opset, &s));
    crease_dtype dtype = infer->in[0]->dtype;
    if (s.mode != CR_RESIZE_NEAREST && dtype && !(CR_T_NUMBERS & CR_T(dtype)))
        return cr_node_fail(infer->node, CREASE_ERROR_UNSUPPORTED, "%s between values of %s",
                            s.mode == CR_RESIZE_LINEAR ? "linear" : "cubic", crease_dtype_name(dtype));
    cr_resize_inputs inputs = cr_resize_find_inputs(infer->opset, infer->n_in, infer->in);
    CR_TRY(check_list(infer->node, inputs.scales, true, "scales"));
    CR_TRY(check_list(infer->node, inputs.sizes, false, "sizes"));
    cr_shape *y = &infer->out[0].shape;
    bool known = cr_shape_is_static(y) && (!inputs.scales || inputs.scales->known) &&
                 (!inputs.sizes || inputs.sizes->known);
    if (known)
        CR_TRY(cr_resize_read_extents(infer->node, infer->opset, &infer->in[0]->shape, &inputs, &s));
    for (int d = 0; d < y->rank; d++)
        y->dims[d] = known ? s.extent[d] : CR_DIM_UNKNOWN;
    if (!known && y->rank == 0) /* what is given for a scalar must be seen before it is prepared */
        *y = cr_shape_unknown();
    if (!known && y->rank >= 0 && !inputs.sizes && (!inputs.scales || inputs.scales->known))
        return scale_some(infer, &inputs, &s, y);
    return CREASE_OK;
}

/* ---- plan: nearest is one remap, the others a pass for each axis that changes ---- */

typedef struct resize_pass {
    int64_t outer, in, out, inner;
    int axis;
    cr_taps taps;
    int64_t *at; /* taps.at and taps.weight, to be filled */
    void *weight;
} resize_pass;

typedef struct resize_state {
    cr_resize_spec s;
    cr_shape x, y;
    bool late_crop; /* roi is known only when the node runs */
    cr_remap remap;
    int64_t *positions[CR_MAX_RANK]; /* of the remap, to be filled */
    resize_pass passes[CR_MAX_RANK];
    int n_passes;
    crease_dtype work;       /* type that passes compute in */
    int64_t buffer_elements; /* of each of the two buffers in scratch */
    cr_pixel_gather pixels;  /* nearest on the blocked layout */
} resize_state;

static bool changes(const resize_state *s, int d) {
    return s->x.dims[d] != s->y.dims[d] || s->s.scale[d] != 1 ||
           (cr_resize_crops(&s->s) && (s->late_crop || s->s.crop_begin[d] != 0 || s->s.crop_end[d] != 1));
}

static void fill_positions(resize_state *s) {
    for (int d = 0; d < s->x.rank && s->s.mode == CR_RESIZE_NEAREST; d++)
        cr_resize_positions(&s->s, d, s->x.dims[d], !changes(s, d), s->positions[d]);
    for (int p = 0; p < s->n_passes; p++) {
        resize_pass *pass = &s->passes[p];
        for (int64_t i = 0; i < pass->out; i++)
            cr_resize_make_taps(&s->s, pass->axis, pass->in, i, s->work, pass->at, pass->weight);
    }
}

static crease_status plan_nearest(cr_prepare *p, resize_state *s) {
    cr_remap *m = &s->remap;
    m->rank = s->x.rank;
    m->element_bytes = cr_element_bytes(p->in[0]->dtype);
    for (int d = 0; d < m->rank; d++) {
        m->in[d] = s->x.dims[d];
        m->out[d] = s->y.dims[d];
        CR_TRY(CR_ARENA_NEW(p->arena, &s->positions[d], (size_t)m->out[d]));
        m->source[d] = s->positions[d];
    }
    int last = m->rank - 1;
    m->inner_end = last >= 0 && !changes(s, last) ? m->out[last] : 0;
    return CREASE_OK;
}

static crease_status add_pass(cr_prepare *p, resize_state *s, cr_shape *now, int d) {
    resize_pass *pass = &s->passes[s->n_passes++];
    *pass = (resize_pass){.outer = cr_shape_extent(now, 0, d),
                          .in = now->dims[d],
                          .out = s->y.dims[d],
                          .inner = cr_shape_extent(now, d + 1, now->rank),
                          .axis = d};
    size_t n;
    pass->taps.n = cr_resize_taps(&s->s, d);
    if (!cr_mul_size((size_t)pass->out, (size_t)pass->taps.n, &n))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the filters are too large");
    CR_TRY(CR_ARENA_NEW(p->arena, &pass->at, n));
    CR_TRY(cr_arena_array(p->arena, n, cr_element_bytes(s->work), &pass->weight));
    pass->taps.at = pass->at;
    pass->taps.weight = pass->weight;
    now->dims[d] = pass->out;
    char text[256];
    CR_TRY(cr_shape_check(now, CREASE_ERROR_MEMORY, cr_node_print(p->node, text, sizeof text)));
    int64_t elements = cr_shape_n(now);
    s->buffer_elements = elements > s->buffer_elements ? elements : s->buffer_elements;
    return CREASE_OK;
}

/* Shrinking passes come first, outer axes before inner ones, so that most of the work is along rows; growing
 * ones in the opposite order, for the same reason. */
static crease_status plan_passes(cr_prepare *p, resize_state *s) {
    cr_shape now = s->x;
    bool integers = !cr_dtype_is_float(p->in[0]->dtype);
    s->work = p->in[0]->dtype == CREASE_DOUBLE || integers ? CREASE_DOUBLE : CREASE_FLOAT;
    s->buffer_elements = cr_shape_n(&s->x);
    for (int d = 0; d < now.rank; d++)
        if (changes(s, d) && s->y.dims[d] <= s->x.dims[d])
            CR_TRY(add_pass(p, s, &now, d));
    for (int d = now.rank - 1; d >= 0; d--)
        if (changes(s, d) && s->y.dims[d] > s->x.dims[d])
            CR_TRY(add_pass(p, s, &now, d));
    if ((s->n_passes > 1 || integers) &&
        !cr_mul_size((size_t)s->buffer_elements, 2 * cr_element_bytes(s->work), &p->scratch_bytes))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the intermediate results are too large");
    return CREASE_OK;
}

/* Nearest positions on the blocked layout, whose pixels move whole. */
static crease_status plan_pixels(cr_prepare *p, resize_state *s) {
    cr_pixel_gather *g = &s->pixels;
    *g = (cr_pixel_gather){.n = s->x.dims[0], .channels = s->x.dims[1], .lanes = p->node->lanes};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const int d = axis - CR_CONV_RANK + s->x.rank;
        int32_t *index;
        g->in[axis] = d < 2 ? 1 : s->x.dims[d];
        g->out[axis] = d < 2 ? 1 : s->y.dims[d];
        CR_TRY(CR_ARENA_NEW(p->arena, &index, (size_t)g->out[axis]));
        for (int64_t i = 0; d >= 2 && i < g->out[axis]; i++)
            index[i] = (int32_t)s->positions[d][i];
        g->index[axis] = index;
    }
    g->fill = s->s.extrapolation;
    return CREASE_OK;
}

/* The blocked layout as one more, last axis, which stays as it is. */
static void block(resize_state *s, int lanes) {
    const int last = s->x.rank++;
    s->y.rank++;
    s->x.dims[1] = s->y.dims[1] = (s->x.dims[1] + lanes - 1) / lanes;
    s->x.dims[last] = s->y.dims[last] = lanes;
    s->s.scale[last] = 1;
}

static crease_status resize_prepare(cr_prepare *p) {
    resize_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    cr_resize_inputs inputs = cr_resize_find_inputs(p->opset, p->n_in, p->in);
    s->x = p->in[0]->shape;
    s->y = p->out[0].shape;
    CR_TRY(cr_resize_read_modes(p->node, p->opset, &s->s));
    CR_TRY(cr_resize_read_extents(p->node, p->opset, &s->x, &inputs, &s->s));
    if (p->node->lanes) { /* sizes speak of the whole batch */
        s->s.scale[0] = 1;
        s->s.extent[0] = s->x.dims[0];
    }
    if (cr_shape_n(&s->x) == 0 || cr_shape_n(&s->y) == 0)
        return CREASE_OK;
    if (cr_resize_crops(&s->s)) {
        if (!inputs.roi)
            return cr_node_fail(p->node, CREASE_ERROR_MODEL, "there is no roi");
        s->late_crop = !inputs.roi->known;
        if (inputs.roi->known)
            CR_TRY(cr_resize_read_crop(p->node, inputs.roi->known, s->x.rank, &s->s));
    }
    if (p->node->lanes && s->s.mode != CR_RESIZE_NEAREST)
        block(s, p->node->lanes);
    CR_TRY(s->s.mode == CR_RESIZE_NEAREST ? plan_nearest(p, s) : plan_passes(p, s));
    if (!s->late_crop)
        fill_positions(s);
    return p->node->lanes && s->s.mode == CR_RESIZE_NEAREST ? plan_pixels(p, s) : CREASE_OK;
}

/* crease.Resize: on the blocked layout, with the attributes and inputs of the ONNX version that the model
 * imports. Axes 0 and 1 keep their extents. */
static crease_status blocked_prepare(cr_prepare *p) {
    p->opset = cr_model_opset(p->node->graph->model, "");
    return resize_prepare(p);
}

/* ---- run ---- */

typedef struct remap_job {
    const cr_remap *remap;
    const void *x, *filler;
    void *y;
} remap_job;

static void remap_task(void *context, int64_t begin, int64_t end, int thread) {
    const remap_job *j = context;
    (void)thread;
    cr_remap_rows(j->remap, j->x, j->filler, j->y, begin, end);
}

static void run_nearest(cr_run *r, const resize_state *s) {
    char filler[16] = {0};
    crease_dtype dtype = r->in[0]->dtype;
    double value = (double)s->s.extrapolation;
    if (cr_dtype_is_float(dtype))
        cr_store_float(dtype, filler, 0, value);
    else if (CR_T_INTS & CR_T(dtype))
        cr_doubles_to_integers(dtype, &value, filler, 1);
    remap_job job = {&s->remap, r->in[0]->data, filler, r->out[0]->data};
    int64_t columns = s->y.dims[s->y.rank - 1];
    cr_parallel_grain(r->pool, cr_shape_n(&s->y) / columns, 4096 / columns + 1, remap_task, &job);
}

typedef struct pixel_job {
    const cr_pixel_gather *pixels;
    const float *from;
    float *to;
} pixel_job;

static void pixel_task(void *context, int64_t begin, int64_t end, int thread) {
    const pixel_job *j = context;
    (void)thread;
    cr_blocked(cr_cpu_isa())->gather_pixels(j->pixels, j->from, j->to, begin, end);
}

static void run_pixels(cr_run *r, const resize_state *s) {
    const cr_blocked_shape shape = cr_blocked_shape_of(&r->out[0]->shape, r->node->lanes);
    const int64_t width = s->pixels.out[CR_W];
    const cr_blocked_units lines = {shape.n, cr_blocked_blocks(&shape), shape.pixels / width,
                                    width * shape.lanes * (int64_t)sizeof(float)};
    pixel_job job = {&s->pixels, r->in[0]->data, r->out[0]->data};
    cr_blocked_parallel(r->pool, &lines, 1, pixel_task, &job);
}

typedef struct pass_job {
    const resize_state *s;
    const resize_pass *pass;
    const void *x;
    void *y;
} pass_job;

static void pass_task(void *context, int64_t begin, int64_t end, int thread) {
    const pass_job *j = context;
    const resize_pass *p = j->pass;
    (void)thread;
    cr_resize_axis(j->s->work, &p->taps, (double)j->s->s.extrapolation, j->x, j->y, p->in, p->out, p->inner,
                   begin, end);
}

static void run_passes(cr_run *r, const resize_state *s) {
    crease_dtype dtype = r->in[0]->dtype;
    bool integers = !cr_dtype_is_float(dtype);
    char *buffers[2] = {r->scratch, NULL};
    const void *from = r->in[0]->data;
    int next = 0;
    if (r->scratch)
        buffers[1] = buffers[0] + (size_t)s->buffer_elements * cr_element_bytes(s->work);
    if (integers) {
        cr_integers_to_doubles(dtype, from, (double *)(void *)buffers[next], cr_shape_n(&s->x));
        from = buffers[next];
        next = 1;
    }
    for (int p = 0; p < s->n_passes; p++, next = !next) {
        const resize_pass *pass = &s->passes[p];
        bool last = p + 1 == s->n_passes && !integers;
        pass_job job = {s, pass, from, last ? r->out[0]->data : buffers[next]};
        cr_parallel_grain(r->pool, pass->outer * pass->out, 4096 / pass->inner + 1, pass_task, &job);
        from = job.y;
    }
    if (integers)
        cr_doubles_to_integers(dtype, from, r->out[0]->data, cr_shape_n(&s->y));
    else if (s->n_passes == 0)
        memcpy(r->out[0]->data, from, (size_t)cr_shape_n(&s->y) * cr_element_bytes(dtype));
}

static crease_status resize_run(cr_run *r) {
    resize_state *s = r->state;
    if (cr_shape_n(&r->out[0]->shape) == 0)
        return CREASE_OK;
    if (s->late_crop) {
        CR_TRY(cr_resize_read_crop(r->node, r->in[1], s->x.rank, &s->s));
        fill_positions(s);
    }
    if (s->x.rank == 0)
        memcpy(r->out[0]->data, r->in[0]->data, cr_element_bytes(r->in[0]->dtype));
    else if (s->pixels.lanes)
        run_pixels(r, s);
    else if (s->s.mode == CR_RESIZE_NEAREST)
        run_nearest(r, s);
    else
        run_passes(r, s);
    return CREASE_OK;
}

#define RESIZE(name, since, until)                                                                           \
    { name, since, until, CR_T_BYTES, resize_infer, resize_prepare, resize_run, 0, 0, 0, NULL }

const cr_op cr_ops_resize[] = {
    RESIZE("Resize", 10, 0),
    RESIZE("Upsample", 1, 9),
    {"Resize", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer, blocked_prepare, resize_run, 0, CR_OP_IMAGES, 0,
     "crease"},
    {"Upsample", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer, blocked_prepare, resize_run, 0, CR_OP_IMAGES, 0,
     "crease"},
    {0},
};
