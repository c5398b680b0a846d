#include "runtime/ops/bytes.h"
#include "runtime/kernels/map_bytes.h"
#include "runtime/kernels/quantize.h"
#include "runtime/ops/blocked.h"
#include "runtime/ops/conv.h"

#include <math.h>
#include <string.h>

/* Convolutions of quantised activations, and what stands at their borders. Bytes are uint8 tensors; "scale"
 * and "zero" say what they mean: (byte - zero) scale.
 *
 * ToBytes     0 x: float32, blocked or plain -> bytes; nearest, ties to even, the zero point for NaN
 * FromBytes   0 bytes -> float32
 * MapBytes    0 bytes, 1 constant uint8 [256] -> byte b becomes element b of input 1
 * ConcatBytes 0, 1, ... bytes -> all their channels, one after another; all fill their last block
 * ConvBytes   after(act(W x + B) + residual), as crease.Conv:
 *     0 x, bytes; 1 W, constant int8; 2 B, constant [channels of the output] or left out; 3 residual, bytes
 * of the output's shape, or left out; 4 scale of x times that of W, constant [channels of the output] or [1].
 *     Attributes: Conv's; "act" and "after", none of them with a slope; "zero" of x; "residual_scale" and
 *     "residual_zero"; "to_bytes": the output is bytes, by the last of the activations, which quantises.
 * Where an activation quantises, sums are rounded to its steps; see kernels/conv/bytes.h for the arithmetic.
 */

enum { X, W, B, RESIDUAL, SCALE };
static const float LEAST_SCALE = 1e-30f, MOST_SCALE = 1e30f; /* the reciprocal is normal, too */

bool cr_bytes_scaling_of(const cr_activation *act, cr_bytes_scaling *scaling, int *high) {
    if (act->kind != CR_ACT_QUANTIZE || act->c - act->b > 255 || act->b < -255 || act->b > 0 ||
        !(act->a >= LEAST_SCALE && act->a <= MOST_SCALE))
        return false;
    *scaling = (cr_bytes_scaling){act->a, (int)-act->b};
    *high = (int)(act->c - act->b);
    return true;
}

static crease_status read_scaling(const cr_node *node, const char *scale, const char *zero,
                                  cr_bytes_scaling *scaling) {
    int64_t z;
    CR_TRY(cr_attr_float(node, scale, 1, &scaling->scale));
    CR_TRY(cr_attr_int(node, zero, 0, &z));
    scaling->zero = (int)z;
    if (!(scaling->scale >= LEAST_SCALE && scaling->scale <= MOST_SCALE) || z < 0 || z > 255)
        return cr_node_fail(node, CREASE_ERROR_MODEL, "bytes with scale %g and zero point %lld",
                            (double)scaling->scale, (long long)z);
    return CREASE_OK;
}

/* ---- ToBytes, FromBytes ---- */

enum { TO, FROM };

static crease_status move_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, X));
    infer->out[0] = (cr_info){.dtype = infer->op->variant == TO ? CREASE_UINT8 : CREASE_FLOAT,
                              .lanes = infer->node->lanes,
                              .shape = infer->in[X]->shape};
    return CREASE_OK;
}

static crease_status move_prepare(cr_prepare *p) {
    cr_bytes_scaling *s;
    const cr_shape *x = &p->in[X]->shape;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    if (p->node->lanes != CR_BYTES_LANES || x->rank < 2)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "bytes stand in blocks of %d channels",
                            CR_BYTES_LANES);
    return read_scaling(p->node, "scale", "zero", s);
}

typedef struct move_job {
    cr_scaling scaling;
    const void *from;
    void *to;
    int64_t channels, blocks, pixels; /* of an image */
} move_job;

static void to_bytes_task(void *context, int64_t begin, int64_t end, int thread) {
    const move_job *j = context;
    (void)thread;
    cr_quantize(&j->scaling, CREASE_FLOAT, j->from, CREASE_UINT8, j->to, begin * CR_BYTES_LANES,
                (end - begin) * CR_BYTES_LANES);
}

static void from_bytes_task(void *context, int64_t begin, int64_t end, int thread) {
    const move_job *j = context;
    (void)thread;
    cr_dequantize(&j->scaling, CREASE_UINT8, j->from, CREASE_FLOAT, j->to, begin * CR_BYTES_LANES,
                  (end - begin) * CR_BYTES_LANES);
}

enum { WORD = 4, PIECE = 512 }; /* lanes that are written at once, and pixels */

/* n pixels of up to WORD plain channels become lanes of theirs; lanes without a channel get something. */
static void spread_piece(const move_job *j, const float *from, int64_t lanes, uint8_t *to, int64_t n) {
    uint8_t bytes[WORD][PIECE] = {{0}};
    for (int64_t lane = 0; lane < lanes; lane++)
        cr_quantize(&j->scaling, CREASE_FLOAT, from + lane * j->pixels, CREASE_UINT8, bytes[lane], 0, n);
    for (int64_t i = 0; i < n; i++, to += CR_BYTES_LANES) {
        const uint8_t word[WORD] = {bytes[0][i], bytes[1][i], bytes[2][i], bytes[3][i]};
        memcpy(to, word, WORD);
    }
}

static int64_t pieces_of(const move_job *j) {
    return (j->pixels + PIECE - 1) / PIECE;
}

/* Pieces of blocks of plain channels. */
static void block_task(void *context, int64_t begin, int64_t end, int thread) {
    const move_job *j = context;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        const int64_t block = at / pieces_of(j), pixel = at % pieces_of(j) * PIECE;
        const int64_t first = block % j->blocks * CR_BYTES_LANES, left = j->channels - first;
        const int64_t n = j->pixels - pixel < PIECE ? j->pixels - pixel : PIECE;
        const float *from = (const float *)j->from + (block / j->blocks * j->channels + first) * j->pixels;
        uint8_t *to = (uint8_t *)j->to + (block * j->pixels + pixel) * CR_BYTES_LANES;
        for (int64_t lane = 0; lane < left && lane < CR_BYTES_LANES; lane += WORD)
            spread_piece(j, from + lane * j->pixels + pixel, left - lane < WORD ? left - lane : WORD,
                         to + lane, n);
    }
}

static crease_status move_run(cr_run *r) {
    enum { GRAIN = 1 << 14 };
    const cr_bytes_scaling *s = r->state;
    const cr_tensor *x = r->in[X];
    const int64_t n = cr_shape_n(&x->shape);
    const cr_blocked_shape shape = cr_blocked_shape_of(&x->shape, CR_BYTES_LANES);
    move_job j = {{s->scale, (double)s->zero, true}, x->data, r->out[0]->data, 0, 0, 0};
    if (n == 0)
        return CREASE_OK;
    j.channels = x->shape.dims[1];
    j.blocks = (j.channels + CR_BYTES_LANES - 1) / CR_BYTES_LANES;
    j.pixels = cr_shape_extent(&x->shape, 2, x->shape.rank);
    if (r->op->variant == FROM)
        cr_blocked_parallel_vectors(r->pool, &shape, from_bytes_task, &j);
    else if (x->lanes)
        cr_blocked_parallel_vectors(r->pool, &shape, to_bytes_task, &j);
    else
        cr_parallel_grain(r->pool, x->shape.dims[0] * j.blocks * pieces_of(&j), GRAIN / PIECE, block_task,
                          &j);
    return CREASE_OK;
}

/* ---- MapBytes ---- */

static crease_status map_infer(cr_infer *infer) {
    CR_TRY(cr_infer_need(infer, X));
    const cr_info *table = infer->n_in > 1 ? infer->in[1] : NULL;
    if (!table || table->dtype != CREASE_UINT8 || cr_shape_n(&table->shape) != 256)
        return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "the table does not have 256 bytes");
    infer->out[0] =
        (cr_info){.dtype = CREASE_UINT8, .lanes = infer->node->lanes, .shape = infer->in[X]->shape};
    return CREASE_OK;
}

typedef struct map_job {
    cr_map_bytes_kernel *kernel;
    const uint8_t *table, *from;
    uint8_t *to;
} map_job;

static void map_task(void *context, int64_t begin, int64_t end, int thread) {
    const map_job *j = context;
    (void)thread;
    j->kernel(j->table, j->from + begin * CR_BYTES_LANES, j->to + begin * CR_BYTES_LANES,
              (end - begin) * CR_BYTES_LANES);
}

static crease_status map_run(cr_run *r) {
    const cr_blocked_shape shape = cr_blocked_shape_of(&r->in[X]->shape, CR_BYTES_LANES);
    map_job job = {cr_map_bytes(), r->in[1]->data, r->in[X]->data, r->out[0]->data};
    cr_blocked_parallel_vectors(r->pool, &shape, map_task, &job);
    return CREASE_OK;
}

/* ---- ConcatBytes ---- */

static crease_status concat_infer(cr_infer *infer) {
    cr_shape y = infer->in[0]->shape;
    for (int i = 0; i < infer->n_in; i++) {
        const cr_shape *x = &infer->in[i]->shape;
        if (x->rank != y.rank || x->rank < 2 || x->dims[1] < 0 || x->dims[1] % CR_BYTES_LANES)
            return cr_node_fail(infer->node, CREASE_ERROR_MODEL, "input %d does not fill its blocks", i);
        y.dims[1] += i > 0 ? x->dims[1] : 0;
    }
    infer->out[0] = (cr_info){.dtype = CREASE_UINT8, .lanes = infer->node->lanes, .shape = y};
    return CREASE_OK;
}

/* What stands where it belongs already is not copied. */
static crease_status concat_run(cr_run *r) {
    const int64_t images = r->out[0]->shape.dims[0];
    const int64_t whole = images ? cr_tensor_physical_n(r->out[0]) / images : 0;
    uint8_t *to = r->out[0]->data;
    for (int i = 0; i < r->n_in; i++) {
        const int64_t n = images ? cr_tensor_physical_n(r->in[i]) / images : 0;
        const uint8_t *from = r->in[i]->data;
        for (int64_t image = 0; image < images && from != to; image++)
            memcpy(to + image * whole, from + image * n, (size_t)n);
        to += n;
    }
    return CREASE_OK;
}

/* ---- ConvBytes ---- */

typedef struct conv_state {
    cr_bytes_conv conv;
    const cr_bytes_algorithm *algorithm;
    const cr_tensor *weights; /* for packing */
    const void *packed;
    cr_bytes_epilogue epilogue;
    cr_bytes_work work;
} conv_state;

static const cr_info *input(const cr_prepare *p, int i) {
    return i < p->n_in ? p->in[i] : NULL;
}

static crease_status gives_bytes(const cr_node *node, bool *bytes) {
    int64_t stated;
    CR_TRY(cr_attr_int(node, "to_bytes", 0, &stated));
    *bytes = stated != 0;
    return CREASE_OK;
}

/* The shape is that of a Conv of floats. */
static crease_status conv_infer(cr_infer *infer) {
    const cr_info x = {.dtype = CREASE_FLOAT, .lanes = infer->in[X]->lanes, .shape = infer->in[X]->shape};
    const cr_info w = {.dtype = CREASE_FLOAT, .shape = infer->in[W]->shape};
    const cr_info *in[] = {&x, &w, infer->n_in > B ? infer->in[B] : NULL};
    cr_infer floats = *infer;
    bool bytes;
    floats.in = in;
    floats.n_in = infer->n_in > B ? 3 : 2;
    CR_TRY(cr_conv_infer(&floats));
    CR_TRY(gives_bytes(infer->node, &bytes));
    infer->out[0].dtype = bytes ? CREASE_UINT8 : CREASE_FLOAT;
    infer->out[0].lanes = infer->node->lanes;
    return CREASE_OK;
}

static crease_status check_inputs(const cr_prepare *p) {
    const cr_info *residual = input(p, RESIDUAL), *w = p->in[W];
    if (!w->known || w->dtype != CREASE_INT8 || (input(p, B) && !p->in[B]->known) || !input(p, SCALE))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "weights, bias and scale must be constant");
    if (p->node->lanes != CR_BYTES_LANES || p->in[X]->lanes != CR_BYTES_LANES ||
        p->in[X]->dtype != CREASE_UINT8)
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "the input must be bytes in blocks of %d channels",
                            CR_BYTES_LANES);
    if (residual && (residual->dtype != CREASE_UINT8 || residual->lanes != CR_BYTES_LANES ||
                     !cr_shape_equal(&residual->shape, &p->out[0].shape)))
        return cr_node_fail(p->node, CREASE_ERROR_MODEL, "the residual must be bytes of the output's shape");
    return CREASE_OK;
}

/* What saturation to 0 to 255 leaves to do for fewer bytes. */
static cr_activation limit(const cr_bytes_scaling *scaling, int high) {
    if (high >= 255)
        return (cr_activation){.kind = CR_ACT_NONE};
    return (cr_activation){
        .kind = CR_ACT_CLIP, .a = -INFINITY, .b = (float)(high - scaling->zero) * scaling->scale};
}

/* From what the attributes say to what kernels do. */
static crease_status plan_epilogue(const cr_prepare *p, cr_bytes_epilogue *e, bool to_bytes) {
    const bool residual = input(p, RESIDUAL) != NULL;
    int high;
    CR_TRY(cr_blocked_activation(p->node, "act", &e->act));
    CR_TRY(cr_blocked_activation(p->node, "after", &e->act_after));
    cr_activation *last = residual ? &e->act_after : &e->act;
    if (to_bytes) {
        if (!cr_bytes_scaling_of(last, &e->output, &high))
            return cr_node_fail(p->node, CREASE_ERROR_MODEL, "nothing says which bytes to give");
        *last = limit(&e->output, high);
    }
    if (!residual)
        return CREASE_OK;
    if (cr_bytes_scaling_of(&e->act, &e->rounded, &e->round_high)) {
        e->rounds = true;
        e->act.kind = CR_ACT_NONE;
    }
    return read_scaling(p->node, "residual_scale", "residual_zero", &e->residual_scaling);
}

static void fill_weights(const void *context, void *packed) {
    const conv_state *s = context;
    s->algorithm->pack(&s->conv, s->weights->data, packed);
}

static crease_status pack(cr_prepare *p, conv_state *s) {
    const int64_t oc = s->conv.geometry.oc;
    s->weights = p->in[W]->known;
    CR_TRY(cr_prepare_pack(p, s->algorithm->name, CR_PACK_READS(W) | CR_PACK_REPLACES,
                           s->algorithm->packed_bytes(&s->conv), fill_weights, s, &s->packed));
    if (input(p, B))
        CR_TRY(cr_blocked_row(p, B, "bias", oc, CR_BYTES_LANES, &s->epilogue.bias));
    return cr_blocked_row(p, SCALE, "scale", oc, CR_BYTES_LANES, &s->epilogue.scale);
}

static crease_status note_parts(cr_prepare *p, const cr_bytes_epilogue *e) {
    const char *act = e->act.kind != CR_ACT_NONE ? "activation; " : "",
               *residual = input(p, RESIDUAL) ? "residual; " : "";
    return cr_arena_format(p->arena, &p->note, "%s%s%s", act, residual,
                           p->out[0].dtype == CREASE_UINT8 ? "bytes to bytes" : "bytes to floats");
}

/* The first that accepts is the fastest: what those before it say. */
static crease_status note_refusals(cr_prepare *p, const conv_state *s) {
    p->refused = "";
    for (const cr_bytes_algorithm *const *a = cr_bytes_algorithms(); *a != s->algorithm; a++)
        CR_TRY(cr_arena_format(p->arena, &p->refused, "%s%s%s: %s", p->refused, *p->refused ? "; " : "",
                               (*a)->name, (*a)->refuses(&s->conv)));
    return CREASE_OK;
}

static crease_status conv_prepare(cr_prepare *p) {
    conv_state *s;
    cr_bytes_scaling x;
    const char *why;
    CR_TRY(CR_PREPARE_STATE(p, &s));
    CR_TRY(check_inputs(p));
    CR_TRY(cr_conv_read(p, false, &s->conv.geometry));
    CR_TRY(read_scaling(p->node, "scale", "zero", &x));
    s->conv.input_zero = x.zero;
    s->conv.output_float = p->out[0].dtype == CREASE_FLOAT;
    s->conv.threads = cr_pool_threads(p->pool);
    CR_TRY(plan_epilogue(p, &s->epilogue, !s->conv.output_float));
    s->algorithm = cr_bytes_choose(&s->conv, &why);
    if (!s->algorithm)
        return cr_node_fail(p->node, CREASE_ERROR_UNSUPPORTED, "convolution of bytes %s", why);
    p->algorithm = s->algorithm->name;
    CR_TRY(note_parts(p, &s->epilogue));
    CR_TRY(note_refusals(p, s));
    if (cr_shape_n(&p->out[0].shape) == 0)
        return CREASE_OK;
    CR_TRY(pack(p, s));
    if (!cr_bytes_plan_work(s->algorithm, &s->conv, &s->work))
        return cr_node_fail(p->node, CREASE_ERROR_MEMORY, "the extents are too large");
    p->scratch_bytes = s->work.workspace_bytes;
    return CREASE_OK;
}

static crease_status conv_run(cr_run *r) {
    const conv_state *s = r->state;
    cr_bytes_epilogue epilogue = s->epilogue;
    const cr_bytes_args args = {r->in[X]->data, s->packed, r->out[0]->data, &epilogue};
    if (r->n_in > RESIDUAL && r->in[RESIDUAL])
        epilogue.residual = r->in[RESIDUAL]->data;
    if (cr_shape_n(&r->out[0]->shape) != 0)
        cr_bytes_execute(r->pool, &s->work, &args, r->scratch, r->scratch_bytes);
    return CREASE_OK;
}

#define BYTES(name, type, infer, prepare, run, variant, flags)                                               \
    { name, 1, 0, CR_T(type), infer, prepare, run, variant, flags, 0, "crease" }

const cr_op cr_ops_bytes[] = {
    BYTES("ConcatBytes", CREASE_UINT8, concat_infer, NULL, concat_run, 0, CR_OP_JOIN),
    BYTES("ConvBytes", CREASE_UINT8, conv_infer, conv_prepare, conv_run, 0, CR_OP_ADDS | CR_OP_IMAGES),
    BYTES("FromBytes", CREASE_UINT8, move_infer, move_prepare, move_run, FROM, CR_OP_IMAGES),
    BYTES("MapBytes", CREASE_UINT8, map_infer, NULL, map_run, 0, CR_OP_IMAGES),
    BYTES("ToBytes", CREASE_FLOAT, move_infer, move_prepare, move_run, TO, CR_OP_IMAGES),
    {0},
};
