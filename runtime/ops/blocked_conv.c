#include "runtime/ops/blocked.h"
#include "runtime/ops/conv.h"

#include "runtime/kernels/conv/algorithms.h"
#include "runtime/kernels/conv/execute.h"

#include <string.h>

/* crease.Conv and crease.ConvTranspose: ONNX Conv and ConvTranspose, float32, into the blocked layout, with
 * what stands before and behind them:
 *
 *     y = after(act(W (pre(scale x + shift)) + B) + residual)
 *
 * Inputs 0 to 2 are Conv's; 0 is plain for a stem and blocked otherwise. The rest may be left out:
 *   3  residual, blocked, of the output's shape
 *   4  scale and 5 shift: constants [C], or, the scale alone, a blocked tensor [N or 1, C, 1...]
 *   6  slope [channels of the output] of a PRelu `act`, 7 of a PRelu `after`
 *   8  tap sums [channels of the output, kernel...]: what each tap adds to the bias where it reads inside the
 *      input, the shift of an affine in front of zero padding (kernels/conv/conv.h, border bias)
 *   9  slope [channels of the input] of a PRelu `pre`
 * Padding is zero behind the affine. Attributes: Conv's, the activations "act", "after" and "pre", and
 * "siblings", a text that names the convolutions which this one stands for as well.
 * ConvTranspose takes no stem and no tap sums.
 *
 * Output 1 of Conv, which may be left out: the mean of each row of y, blocked, of y's shape but for a last
 * extent of 1. What averages y over all pixels is to average these. */

enum { FORWARD, TRANSPOSED };

enum { X, W, B, RESIDUAL, SCALE, SHIFT, ACT_SLOPE, AFTER_SLOPE, TAP_SUMS, PRE_SLOPE, N_INPUTS };

typedef struct conv_state {
    cr_conv conv;
    const cr_conv_algorithm *algorithm;
    const void *packed;
    const float *border_bias, *zeros;
    const cr_tensor *weights, *bias, *tap_sums; /* for packing */
    cr_epilogue epilogue;
    cr_prologue prologue;
    bool scale_runs; /* the scale is computed: taken from input 4 at each run */
    cr_conv_work work;
} conv_state;

static const cr_info *input(const cr_prepare *p, int i) {
    return i < p->n_in ? p->in[i] : NULL;
}

/* ---- shapes ---- */

static crease_status conv_infer(cr_infer *infer) {
    CR_TRY(cr_conv_infer(infer));
    infer->out[0].lanes = infer->node->lanes;
    if (infer->n_out > 1) {
        cr_shape *means = &infer->out[1].shape;
        infer->out[1] = infer->out[0];
        if (means->rank > 2)
            means->dims[means->rank - 1] = 1;
    }
    return CREASE_OK;
}

/* ---- packing ---- */

static void fill_weights(const void *context, void *packed) {
    const conv_state *s = context;
    s->algorithm->pack(&s->conv, s->weights->data, packed);
}

static void fill_border(const void *context, void *packed) {
    const conv_state *s = context;
    cr_conv_border_bias(&s->conv.geometry, s->conv.lanes, s->bias ? s->bias->data : NULL, s->tap_sums->data,
                        packed);
}

static crease_status pack(cr_prepare *p, conv_state *s) {
    const cr_info *bias = input(p, B);
    const int64_t oc = s->conv.geometry.oc;
    s->weights = p->in[W]->known;
    s->bias = bias ? bias->known : NULL;
    CR_TRY(cr_prepare_pack(p, s->algorithm->name, CR_PACK_READS(W) | CR_PACK_REPLACES,
                           s->algorithm->packed_bytes(&s->conv), fill_weights, s, &s->packed));
    if (bias)
        CR_TRY(cr_blocked_row(p, B, "bias", oc, s->conv.lanes, &s->epilogue.bias));
    if (input(p, ACT_SLOPE))
        CR_TRY(cr_blocked_row(p, ACT_SLOPE, "act_slope", oc, s->conv.lanes, &s->epilogue.act.slope));
    if (input(p, AFTER_SLOPE))
        CR_TRY(
            cr_blocked_row(p, AFTER_SLOPE, "after_slope", oc, s->conv.lanes, &s->epilogue.act_after.slope));
    return CREASE_OK;
}

/* The rows of a border bias depend on the geometry, so they belong to the plan. */
static crease_status pack_border(cr_prepare *p, conv_state *s) {
    void *rows;
    const int64_t width = (s->conv.geometry.oc + s->conv.lanes - 1) / s->conv.lanes * s->conv.lanes;
    if (!s->conv.has_border_bias)
        return CREASE_OK;
    s->tap_sums = p->in[TAP_SUMS]->known;
    CR_TRY(cr_arena_array(p->arena, (size_t)(cr_conv_border_rows(&s->conv.geometry) * width), sizeof(float),
                          &rows));
    fill_border(s, rows);
    s->border_bias = rows;
    return CREASE_OK;
}

static crease_status pack_prologue(cr_prepare *p, conv_state *s) {
    const int64_t ic = s->conv.geometry.ic, width = (ic + s->conv.lanes - 1) / s->conv.lanes * s->conv.lanes;
    const cr_info *scale = input(p, SCALE);
    if (!scale)
        return CREASE_OK;
    if (input(p, PRE_SLOPE))
        CR_TRY(cr_blocked_row(p, PRE_SLOPE, "pre_slope", ic, s->conv.lanes, &s->prologue.act.slope));
    s->scale_runs = scale->lanes != 0;
    if (!s->scale_runs) {
        CR_TRY(cr_blocked_row(p, SCALE, "scale", ic, s->conv.lanes, &s->prologue.scale));
        return cr_blocked_row(p, SHIFT, "shift", ic, s->conv.lanes, &s->prologue.shift);
    }
    s->prologue.batch_stride = scale->shape.dims[0] == 1 ? 0 : width;
    return CREASE_OK;
}

/* ---- preparing ---- */

static crease_status check_inputs(const cr_prepare *p) {
    const cr_info *residual = input(p, RESIDUAL);
    const cr_info *scale = input(p, SCALE);
    if (!p->in[W]->known || (input(p, B) && !p->in[B]->known))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "weights and bias must be constant");
    if (scale &&
        (!scale->lanes ? !input(p, SHIFT)
                       : scale->lanes != p->node->lanes || scale->shape.rank < 2 ||
                             cr_shape_n(&scale->shape) != scale->shape.dims[0] * p->in[X]->shape.dims[1]))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "the scale does not have the input's channels");
    if (residual &&
        (!cr_shape_equal(&residual->shape, &p->out[0].shape) || residual->lanes != p->node->lanes))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "the residual does not have the output's shape");
    return CREASE_OK;
}

/* What the convolution computes beside itself; constants carry the name of the node that they come from. */
static crease_status note_parts(const cr_prepare *p, const conv_state *s, const char **note) {
    const int before = s->conv.has_border_bias ? TAP_SUMS : SCALE;
    const char *siblings;
    CR_TRY(cr_attr_string(p->node, "siblings", "", &siblings));
    *note = "";
    if (s->conv.has_prologue || s->conv.has_border_bias)
        CR_TRY(cr_arena_format(p->arena, note, "%s of '%s' before it",
                               p->in[before]->lanes ? "scale" : "affine", p->node->inputs[before]->name));
    if (s->epilogue.act.kind != CR_ACT_NONE)
        CR_TRY(cr_arena_format(p->arena, note, "%s%sactivation", *note, **note ? "; " : ""));
    if (s->conv.has_residual)
        CR_TRY(cr_arena_format(p->arena, note, "%s%sresidual%s", *note, **note ? "; " : "",
                               s->epilogue.act_after.kind != CR_ACT_NONE ? " with activation" : ""));
    if (p->n_out > 1)
        CR_TRY(cr_arena_format(p->arena, note, "%s%smeans of rows", *note, **note ? "; " : ""));
    if (*siblings)
        CR_TRY(cr_arena_format(p->arena, note, "%s%swith %s", *note, **note ? "; " : "", siblings));
    return CREASE_OK;
}

static const char *why_slower(const cr_prepare *p) {
    return p->any_shape ? "slower for the shapes that are likely"
           : p->tuner   ? "slower when tried, or not promising enough to be"
                        : "slower by the cost model";
}

/* Which others were tried, and what they say. */
static crease_status note_refusals(cr_prepare *p, const conv_state *s) {
    const char *note = "";
    for (const cr_conv_algorithm *const *a = cr_conv_algorithms(cr_cpu_isa()); *a; a++) {
        const char *why = (*a)->refuses(&s->conv);
        if (*a != s->algorithm && *a != &cr_conv_reference)
            CR_TRY(cr_arena_format(p->arena, &note, "%s%s%s: %s", note, *note ? "; " : "", (*a)->name,
                                   why ? why : why_slower(p)));
    }
    p->refused = note;
    return CREASE_OK;
}

/* Kernels of a transposed convolution are told its own input and output, not those of the Conv it transposes.
 */
static void turn_around(cr_conv_geometry *g) {
    const cr_conv_geometry forward = *g;
    g->ic = forward.oc;
    g->oc = forward.ic;
    memcpy(g->in, forward.out, sizeof g->in);
    memcpy(g->out, forward.in, sizeof g->out);
}

static void describe(const cr_prepare *p, conv_state *s) {
    s->conv.transposed = p->op->variant == TRANSPOSED;
    s->conv.lanes = p->node->lanes;
    s->conv.input_blocked = p->in[X]->lanes != 0;
    s->conv.output_blocked = true;
    s->conv.has_prologue = input(p, SCALE) != NULL;
    s->conv.has_residual = input(p, RESIDUAL) != NULL;
    s->conv.has_border_bias = input(p, TAP_SUMS) != NULL;
    s->conv.exact = p->exact;
    s->conv.threads = cr_pool_threads(p->pool);
    s->conv.byte_cost = p->byte_cost;
}

static crease_status reserve(cr_prepare *p, conv_state *s) {
    if (!cr_conv_plan_work(s->algorithm, &s->conv, &s->work))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the extents are too large");
    p->scratch_bytes = s->work.workspace_bytes;
    return CREASE_OK;
}

/* By the cost model, or by trying. */
static crease_status choose(cr_prepare *p, conv_state *s) {
    cr_conv one = s->conv;
    if (p->is_part)
        one.geometry.n = 1;
    s->algorithm = cr_conv_choose(cr_conv_algorithms(cr_cpu_isa()), &one, p->convolution);
    if (!p->tuner || p->byte_cost > 0 || p->convolution || cr_shape_n(&p->out[0].shape) == 0)
        return CREASE_OK;
    const cr_tune_case tuned = {&s->conv, &s->epilogue, &s->prologue, p->in[W]->known->data};
    return cr_tune(p->tuner, p->pool, &tuned, &s->algorithm);
}

crease_status cr_blocked_conv_cost(const cr_node *node, int64_t channels, bool exact, const char *convolution,
                                   double *cost) {
    cr_info infos[N_INPUTS] = {0}, out = {.dtype = CREASE_FLOAT, .lanes = node->lanes};
    const cr_info *in[N_INPUTS] = {NULL};
    conv_state s = {0};
    for (int i = 0; i < N_INPUTS; i++) {
        const cr_value *value = cr_node_input(node, i);
        infos[i] = (cr_info){.dtype = CREASE_FLOAT, .lanes = i == X ? node->lanes : 0};
        if (value) {
            infos[i].shape = value->shape;
            in[i] = &infos[i];
        }
    }
    out.shape = node->outputs[0]->shape;
    out.shape.dims[1] = channels;
    cr_prepare p = {.node = node,
                    .op = &cr_ops_blocked_conv[FORWARD],
                    .n_in = N_INPUTS,
                    .in = in,
                    .n_out = 1,
                    .out = &out,
                    .exact = exact,
                    .convolution = convolution};
    CR_TRY(cr_conv_read(&p, false, &s.conv.geometry));
    describe(&p, &s);
    CR_TRY(choose(&p, &s));
    *cost = s.algorithm->cost(&s.conv);
    return CREASE_OK;
}

static crease_status conv_prepare(cr_prepare *p) {
    conv_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(check_inputs(p));
    CR_TRY(cr_conv_read(p, p->op->variant == TRANSPOSED, &s->conv.geometry));
    if (p->op->variant == TRANSPOSED)
        turn_around(&s->conv.geometry);
    describe(p, s);
    CR_TRY(cr_blocked_activation(p->node, "act", &s->epilogue.act));
    CR_TRY(cr_blocked_activation(p->node, "after", &s->epilogue.act_after));
    CR_TRY(cr_blocked_activation(p->node, "pre", &s->prologue.act));
    CR_TRY(choose(p, s));
    p->algorithm = s->algorithm->name;
    if (cr_shape_n(&p->out[0].shape) == 0)
        return CREASE_OK;
    CR_TRY(note_parts(p, s, &p->note));
    CR_TRY(note_refusals(p, s));
    CR_TRY(pack(p, s));
    CR_TRY(pack_border(p, s));
    CR_TRY(pack_prologue(p, s));
    return reserve(p, s);
}

/* ---- running ---- */

typedef struct means_job {
    cr_blocked_shape shape; /* rows as planes */
    const float *from;
    float *to;
} means_job;

static void means_task(void *context, int64_t begin, int64_t end, int thread) {
    const means_job *j = context;
    (void)thread;
    cr_blocked(cr_cpu_isa())->global_average(&j->shape, j->from, j->to, begin, end);
}

/* Of an algorithm that gives none. */
static void average_rows(const cr_conv *conv, cr_run *r) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t blocks = (g->oc + conv->lanes - 1) / conv->lanes;
    means_job job = {.shape = {.pixels = g->out[CR_W], .lanes = conv->lanes},
                     .from = r->out[0]->data,
                     .to = r->out[1]->data};
    cr_parallel(r->pool, g->n * blocks * g->out[CR_D] * g->out[CR_H], means_task, &job);
}

static crease_status conv_run(cr_run *r) {
    const conv_state *s = r->state;
    cr_epilogue epilogue = s->epilogue;
    cr_prologue prologue = s->prologue;
    cr_conv_args args = {.input = r->in[X]->data,
                         .packed = s->packed,
                         .output = r->out[0]->data,
                         .epilogue = &epilogue,
                         .prologue = s->conv.has_prologue ? &prologue : NULL,
                         .border_bias = s->border_bias};
    const bool wants_means = r->n_out > 1, empty = cr_shape_n(&r->out[0]->shape) == 0;
    if (s->conv.has_residual)
        epilogue.residual = r->in[RESIDUAL]->data;
    if (s->scale_runs)
        prologue.scale = r->in[SCALE]->data;
    if (wants_means && s->algorithm->row_means)
        args.row_means = r->out[1]->data;
    if (!empty)
        cr_conv_execute(r->pool, &s->work, &args, r->scratch, r->scratch_bytes);
    if (wants_means && (empty || !s->algorithm->row_means))
        average_rows(&s->conv, r);
    return CREASE_OK;
}

const cr_op cr_ops_blocked_conv[] = {
    {"Conv", 1, 0, CR_T(CREASE_FLOAT), conv_infer, conv_prepare, conv_run, FORWARD,
     CR_OP_ADDS | CR_OP_IMAGES | CR_OP_AHEAD, 0, "crease"},
    {"ConvTranspose", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer, conv_prepare, conv_run, TRANSPOSED,
     CR_OP_ADDS | CR_OP_IMAGES | CR_OP_AHEAD, 0, "crease"},
    {0},
};
