#include "runtime/ops/blocked.h"

#include <string.h>

/* Element by element on the blocked layout, and the ways in and out of it:
 *   ToBlocked, ToPlain    x -> the same tensor in the other layout
 *   Activation            x, slope [C] (PRelu) -> act(x); on the plain layout as well
 *   Affine                x, scale [C], shift [C] -> act(scale x + shift): a BatchNormalization that stays
 *   Add, Sub, Mul, Max, Min    a, b -> act(a op b); b broadcasts, or has one value for each channel */

/* ---- shared ---- */

crease_status cr_blocked_infer(cr_infer *infer) {
    const cr_node *node = infer->node;
    cr_infer plain = *infer;
    plain.opset = cr_model_opset(node->graph->model, "");
    plain.op = cr_op_find("", node->op_type, plain.opset);
    if (!plain.op)
        return cr_node_fail(node, CREASE_ERROR_UNSUPPORTED, "the operator is not supported");
    CR_TRY(plain.op->infer(&plain));
    for (int i = 0; i < infer->n_out; i++)
        infer->out[i].lanes = node->lanes;
    return CREASE_OK;
}

crease_status cr_blocked_infer_same(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    infer->out[0].lanes = infer->node->lanes;
    return CREASE_OK;
}

cr_blocked_shape cr_blocked_shape_of(const cr_shape *shape, int lanes) {
    cr_blocked_shape s = {.n = shape->dims[0], .channels = shape->dims[1], .pixels = 1, .lanes = lanes};
    for (int d = 2; d < shape->rank; d++)
        s.pixels *= shape->dims[d];
    return s;
}

crease_status cr_blocked_activation(const cr_node *node, const char *name, cr_activation *activation) {
    char text[32];
    const size_t n = strlen(name);
    int64_t kind;
    *activation = (cr_activation){0};
    CR_TRY(cr_attr_int(node, name, CR_ACT_NONE, &kind));
    activation->kind = (cr_act)kind;
    memcpy(text, name, n);
    memcpy(text + n, "_a", 3);
    CR_TRY(cr_attr_float(node, text, 0, &activation->a));
    memcpy(text + n, "_b", 3);
    CR_TRY(cr_attr_float(node, text, 0, &activation->b));
    memcpy(text + n, "_c", 3);
    return cr_attr_float(node, text, 0, &activation->c);
}

typedef struct row_fill {
    const cr_tensor *values;
    int64_t channels, padded;
} row_fill;

static void fill_row(const void *context, void *packed) {
    const row_fill *f = context;
    const float *from = f->values->data;
    const bool one = cr_shape_n(&f->values->shape) == 1;
    float *to = packed;
    for (int64_t c = 0; c < f->padded; c++)
        to[c] = c < f->channels ? from[one ? 0 : c] : 0;
}

crease_status cr_blocked_row(cr_prepare *p, int input, const char *kind, int64_t channels, int lanes,
                             const float **row) {
    row_fill *f;
    const void *packed;
    const cr_info *info = p->in[input];
    if (!info->known || info->dtype != CREASE_FLOAT ||
        (cr_shape_n(&info->shape) != channels && cr_shape_n(&info->shape) != 1))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "input %d is not one constant for each channel",
                            input);
    CR_TRY(CR_ARENA_NEW(p->arena, &f, 1));
    *f = (row_fill){info->known, channels, (channels + lanes - 1) / lanes * lanes};
    CR_TRY(cr_prepare_pack(p, kind, CR_PACK_READS(input), (size_t)f->padded * sizeof(float), fill_row, f,
                           &packed));
    *row = packed;
    return CREASE_OK;
}

/* ---- threads ---- */

typedef struct strips_job {
    const cr_blocked_units *units;
    int64_t strips;
    cr_task *body;
    void *context;
} strips_job;

static void strips_task(void *context, int64_t begin, int64_t end, int thread) {
    const strips_job *j = context;
    const int64_t blocks = j->units->blocks, units = j->units->units;
    for (int64_t task = begin; task < end; task++) {
        const int64_t strip = task / blocks % j->strips, image = task / blocks / j->strips;
        const int64_t plane = (image * blocks + task % blocks) * units;
        j->body(j->context, plane + units * strip / j->strips, plane + units * (strip + 1) / j->strips,
                thread);
    }
}

void cr_blocked_parallel(cr_pool *pool, const cr_blocked_units *units, int64_t grain, cr_task *body,
                         void *context) {
    const int64_t planes = units->images * units->blocks;
    strips_job job = {units, 1, body, context};
    /* Strips half as large as those of a convolution: a pass over vectors reads nothing around them, and what
     * is next to it are mostly 1x1 convolutions, which share the pixels of small maps, too. */
    job.strips = cr_conv_strips(units->images, units->units, 2 * units->unit_bytes, cr_pool_threads(pool));
    if (job.strips > 1)
        cr_parallel(pool, planes * job.strips, strips_task, &job);
    else
        cr_parallel_grain(pool, planes * units->units, grain, body, context);
}

void cr_blocked_parallel_vectors(cr_pool *pool, const cr_blocked_shape *shape, cr_task *body, void *context) {
    enum { GRAIN = 256 };
    const cr_blocked_units vectors = {shape->n, cr_blocked_blocks(shape), shape->pixels,
                                      shape->lanes * (int64_t)sizeof(float)};
    cr_blocked_parallel(pool, &vectors, GRAIN, body, context);
}

/* ---- layouts ---- */

enum { TO_BLOCKED, TO_PLAIN };

static crease_status reorder_infer(cr_infer *infer) {
    CR_TRY(cr_infer_same(infer));
    CR_TRY(cr_infer_rank(infer, 0, 2, 5));
    infer->out[0].lanes = infer->op->variant == TO_BLOCKED ? infer->node->lanes : 0;
    return CREASE_OK;
}

typedef struct reorder_job {
    const cr_blocked_kernels *kernels;
    cr_blocked_shape shape;
    const float *from;
    float *to;
    bool to_plain;
} reorder_job;

static void reorder_task(void *context, int64_t begin, int64_t end, int thread) {
    const reorder_job *j = context;
    (void)thread;
    (j->to_plain ? j->kernels->to_plain : j->kernels->to_blocked)(&j->shape, j->from, j->to, begin, end);
}

static crease_status reorder_run(cr_run *r) {
    reorder_job job = {.kernels = cr_blocked(cr_cpu_isa()),
                       .shape = cr_blocked_shape_of(&r->in[0]->shape, r->node->lanes),
                       .from = r->in[0]->data,
                       .to = r->out[0]->data,
                       .to_plain = r->op->variant == TO_PLAIN};
    cr_blocked_parallel_vectors(r->pool, &job.shape, reorder_task, &job);
    return CREASE_OK;
}

/* ---- activations and affines ---- */

typedef struct unary_state {
    cr_activation act;
    cr_prologue affine; /* scale NULL: none */
} unary_state;

typedef struct unary_job {
    const unary_state *s;
    const cr_blocked_kernels *kernels;
    cr_blocked_shape shape;
    const float *from;
    float *to;
} unary_job;

static void unary_task(void *context, int64_t begin, int64_t end, int thread) {
    const unary_job *j = context;
    (void)thread;
    if (j->s->affine.scale)
        j->kernels->affine(&j->shape, &j->s->affine, j->from, j->to, begin, end);
    else
        j->kernels->activate(&j->shape, &j->s->act, j->from, j->to, begin, end);
}

static crease_status activation_infer(cr_infer *infer) {
    CR_TRY(cr_blocked_infer_same(infer));
    if (infer->node->lanes == 0 && infer->n_in > 1)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "slopes need the blocked layout");
    return CREASE_OK;
}

static crease_status activation_prepare(cr_prepare *p) {
    unary_state *s;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_blocked_activation(p->node, "act", &s->act));
    if (p->n_in > 1)
        CR_TRY(cr_blocked_row(p, 1, "slope", p->in[0]->shape.dims[1], p->node->lanes, &s->act.slope));
    return CREASE_OK;
}

static crease_status affine_prepare(cr_prepare *p) {
    unary_state *s;
    const int64_t channels = p->in[0]->shape.dims[1];
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(cr_blocked_row(p, 1, "scale", channels, p->node->lanes, &s->affine.scale));
    CR_TRY(cr_blocked_row(p, 2, "shift", channels, p->node->lanes, &s->affine.shift));
    CR_TRY(cr_blocked_activation(p->node, "act", &s->affine.act));
    if (p->n_in > 3)
        CR_TRY(cr_blocked_row(p, 3, "slope", channels, p->node->lanes, &s->affine.act.slope));
    return CREASE_OK;
}

/* The elements of a plain tensor that do not fill a vector. */
static void activate_rest(unary_job *job, int64_t done, int64_t n) {
    float rest[64] = {0};
    const size_t bytes = (size_t)(n - done) * sizeof(float);
    if (!bytes)
        return;
    memcpy(rest, job->from + done, bytes);
    job->shape.pixels = 1;
    job->kernels->activate(&job->shape, &job->s->act, rest, rest, 0, 1);
    memcpy(job->to + done, rest, bytes);
}

static crease_status unary_run(cr_run *r) {
    const cr_blocked_kernels *kernels = cr_blocked(cr_cpu_isa());
    const int lanes = kernels->lanes;
    const int64_t n = cr_shape_n(&r->in[0]->shape);
    unary_job job = {r->state, kernels, {1, lanes, n / lanes, lanes}, r->in[0]->data, r->out[0]->data};
    if (r->node->lanes)
        job.shape = cr_blocked_shape_of(&r->in[0]->shape, lanes);
    cr_blocked_parallel_vectors(r->pool, &job.shape, unary_task, &job);
    if (!r->node->lanes)
        activate_rest(&job, n / lanes * lanes, n);
    return CREASE_OK;
}

/* ---- two operands ---- */

typedef struct binary_state {
    cr_binary binary; /* b is set when it runs, unless it is a constant row */
    cr_blocked_shape shape;
    const cr_blocked_kernels *kernels;
    bool swap; /* the first operand is the smaller one */
    bool row;  /* b is a constant row */
} binary_state;

static crease_status binary_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, 0));
    CR_TRY(cr_infer_need(infer, 1));
    CR_TRY(cr_infer_broadcast(infer));
    if (infer->in[0]->shape.rank >= 0 && infer->in[1]->shape.rank > infer->in[0]->shape.rank)
        infer->out[0].shape = infer->in[1]->shape;
    infer->out[0].lanes = infer->node->lanes;
    return CREASE_OK;
}

/* How b is spread over the output; false when no form fits. */
static bool find_operand(const cr_shape *out, const cr_info *b, int lanes, binary_state *s) {
    const int64_t n = cr_shape_n(&b->shape), blocks = cr_blocked_blocks(&s->shape);
    if (b->lanes && cr_shape_equal(out, &b->shape)) {
        s->binary.operand = CR_OPERAND_SAME;
        return true;
    }
    if (!b->lanes) {
        s->binary.operand = n == 1 ? CR_OPERAND_SCALAR : CR_OPERAND_CHANNELS;
        s->row = b->known && n == s->shape.channels;
        return (n == 1 && b->shape.rank <= out->rank) || s->row;
    }
    if (b->shape.rank != out->rank || b->shape.dims[1] != s->shape.channels ||
        n != b->shape.dims[0] * b->shape.dims[1])
        return false;
    s->binary.operand = CR_OPERAND_CHANNELS;
    s->binary.batch_stride = b->shape.dims[0] == 1 ? 0 : blocks * lanes;
    return true;
}

static cr_binary_op binary_op(int variant, bool swap) {
    return swap && variant == CR_BINARY_SUB ? CR_BINARY_SUB_REVERSED : (cr_binary_op)variant;
}

static crease_status binary_prepare(cr_prepare *p) {
    binary_state *s;
    const cr_shape *out = &p->out[0].shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    s->kernels = cr_blocked(cr_cpu_isa());
    s->shape = cr_blocked_shape_of(out, p->node->lanes);
    s->swap = !p->in[0]->lanes || !cr_shape_equal(out, &p->in[0]->shape);
    const int other = s->swap ? 0 : 1;
    s->binary.op = binary_op(p->op->variant, s->swap);
    if (!p->in[!other]->lanes || !cr_shape_equal(out, &p->in[!other]->shape) ||
        !find_operand(out, p->in[other], p->node->lanes, s))
        return cr_node_fail(p->node, CREASE_ERROR_UNSUPPORTED, "the blocked layout does not broadcast so");
    CR_TRY(cr_blocked_activation(p->node, "act", &s->binary.act));
    if (s->row)
        CR_TRY(cr_blocked_row(p, other, "row", s->shape.channels, p->node->lanes, &s->binary.b));
    if (p->n_in > 2)
        CR_TRY(cr_blocked_row(p, 2, "slope", s->shape.channels, p->node->lanes, &s->binary.act.slope));
    return CREASE_OK;
}

typedef struct binary_job {
    cr_binary binary;
    const binary_state *s;
    const float *a;
    float *y;
} binary_job;

static void binary_task(void *context, int64_t begin, int64_t end, int thread) {
    const binary_job *j = context;
    (void)thread;
    j->s->kernels->binary(&j->s->shape, &j->binary, j->a, j->y, begin, end);
}

static crease_status binary_run(cr_run *r) {
    const binary_state *s = r->state;
    binary_job job = {s->binary, s, r->in[s->swap]->data, r->out[0]->data};
    if (!s->row)
        job.binary.b = r->in[!s->swap]->data;
    cr_blocked_parallel_vectors(r->pool, &s->shape, binary_task, &job);
    return CREASE_OK;
}

#define BINARY(name, variant)                                                                                \
    {                                                                                                        \
        name, 1, 0, CR_T(CREASE_FLOAT), binary_infer, binary_prepare, binary_run, variant,                   \
            CR_OP_INPLACE | CR_OP_IMAGES, 0, "crease"                                                        \
    }

const cr_op cr_ops_blocked[] = {
    {"ToBlocked", 1, 0, CR_T(CREASE_FLOAT), reorder_infer, NULL, reorder_run, TO_BLOCKED, CR_OP_IMAGES, 0,
     "crease"},
    {"ToPlain", 1, 0, CR_T(CREASE_FLOAT), reorder_infer, NULL, reorder_run, TO_PLAIN, CR_OP_IMAGES, 0,
     "crease"},
    {"Activation", 1, 0, CR_T(CREASE_FLOAT), activation_infer, activation_prepare, unary_run, 0,
     CR_OP_INPLACE | CR_OP_IMAGES, 0, "crease"},
    {"Affine", 1, 0, CR_T(CREASE_FLOAT), cr_blocked_infer_same, affine_prepare, unary_run, 0,
     CR_OP_INPLACE | CR_OP_IMAGES, 0, "crease"},
    BINARY("Add", CR_BINARY_ADD),
    BINARY("Sub", CR_BINARY_SUB),
    BINARY("Mul", CR_BINARY_MUL),
    BINARY("Max", CR_BINARY_MAX),
    BINARY("Min", CR_BINARY_MIN),
    {0},
};
