/* Elementwise kernels for one instruction set; see blocked.h. */
#include "runtime/kernels/blocked/blocked.h"
#include "runtime/kernels/conv/prologue_tmpl.h"

/* Vectors computed before an activation that is no clamp passes over them again, in the nearest cache. */
enum { PASS_VECTORS = 128 };

/* A stretch of vectors of one plane, at most PASS_VECTORS long. */
typedef struct stretch {
    int64_t begin, n; /* vectors */
    int64_t image, channel, pixel;
} stretch;

/* The stretch at `begin`, within [begin, end). */
static stretch stretch_at(const cr_blocked_shape *shape, int64_t begin, int64_t end) {
    const int64_t plane = begin / shape->pixels, pixel = begin % shape->pixels;
    const int64_t blocks = cr_blocked_blocks(shape);
    int64_t n = shape->pixels - pixel;
    n = n < end - begin ? n : end - begin;
    n = n < PASS_VECTORS ? n : PASS_VECTORS;
    return (stretch){begin, n, plane / blocks, plane % blocks * CR_LANES, pixel};
}

static void activate(const cr_blocked_shape *shape, const cr_activation *act, const float *in, float *out,
                     int64_t begin, int64_t end) {
    if (act->kind != CR_ACT_PRELU) {
        cr_activate_vectors(act, in + begin * CR_LANES, out + begin * CR_LANES, end - begin, 0);
        return;
    }
    while (begin < end) {
        const stretch s = stretch_at(shape, begin, end);
        cr_activate_vectors(act, in + begin * CR_LANES, out + begin * CR_LANES, s.n, s.channel);
        begin += s.n;
    }
}

static void affine(const cr_blocked_shape *shape, const cr_prologue *affine, const float *in, float *out,
                   int64_t begin, int64_t end) {
    while (begin < end) {
        const stretch s = stretch_at(shape, begin, end);
        cr_prologue_vectors(affine, s.image, s.channel, in + begin * CR_LANES, out + begin * CR_LANES, s.n);
        begin += s.n;
    }
}

CR_INLINE cr_vec binary_value(cr_binary_op op, cr_vec a, cr_vec b) {
    switch (op) {
    case CR_BINARY_ADD:
        return a + b;
    case CR_BINARY_SUB:
        return a - b;
    case CR_BINARY_SUB_REVERSED:
        return b - a;
    case CR_BINARY_MUL:
        return a * b;
    case CR_BINARY_MAX:
        return cr_max(a, b);
    case CR_BINARY_MIN:
        return cr_min(a, b);
    case CR_BINARY_OP_COUNT:
        break;
    }
    return a;
}

/* The second operand of a stretch: vectors, one vector for all pixels, or one number for each pixel. */
CR_INLINE cr_vec operand_at(cr_operand operand, const float *b, int64_t i) {
    switch (operand) {
    case CR_OPERAND_SAME:
        return cr_load(b + i * CR_LANES);
    case CR_OPERAND_CHANNELS:
        return cr_load(b);
    case CR_OPERAND_PIXELS:
        return cr_broadcast(b[i]);
    case CR_OPERAND_SCALAR:
    case CR_OPERAND_COUNT:
        break;
    }
    return cr_broadcast(b[0]);
}

/* op and operand are constants wherever this is inlined. */
CR_INLINE void binary_loop(cr_binary_op op, cr_operand operand, const float *a, const float *b, float *to,
                           int64_t n, float low, float high) {
    const cr_vec least = cr_broadcast(low), most = cr_broadcast(high);
    const cr_vec same = operand_at(operand, b, 0);
    const bool varies = operand == CR_OPERAND_SAME || operand == CR_OPERAND_PIXELS;
    for (int64_t i = 0; i < n; i++) {
        const cr_vec y =
            binary_value(op, cr_load(a + i * CR_LANES), varies ? operand_at(operand, b, i) : same);
        cr_store(to + i * CR_LANES, cr_clamp(y, least, most));
    }
}

typedef void binary_function(const float *a, const float *b, float *to, int64_t n, float low, float high);

#define BINARY_LOOP(op, operand)                                                                             \
    static void binary_##op##_##operand(const float *a, const float *b, float *to, int64_t n, float low,     \
                                        float high) {                                                        \
        binary_loop(CR_BINARY_##op, CR_OPERAND_##operand, a, b, to, n, low, high);                           \
    }
#define BINARY_LOOPS(op)                                                                                     \
    BINARY_LOOP(op, SAME) BINARY_LOOP(op, CHANNELS) BINARY_LOOP(op, PIXELS) BINARY_LOOP(op, SCALAR)
BINARY_LOOPS(ADD)
BINARY_LOOPS(SUB)
BINARY_LOOPS(SUB_REVERSED)
BINARY_LOOPS(MUL)
BINARY_LOOPS(MAX)
BINARY_LOOPS(MIN)

#define BINARY_ROW(op)                                                                                       \
    [CR_BINARY_##op] = {[CR_OPERAND_SAME] = binary_##op##_SAME,                                              \
                        [CR_OPERAND_CHANNELS] = binary_##op##_CHANNELS,                                      \
                        [CR_OPERAND_PIXELS] = binary_##op##_PIXELS,                                          \
                        [CR_OPERAND_SCALAR] = binary_##op##_SCALAR}
static binary_function *const binary_loops[CR_BINARY_OP_COUNT][CR_OPERAND_COUNT] = {
    BINARY_ROW(ADD), BINARY_ROW(SUB), BINARY_ROW(SUB_REVERSED),
    BINARY_ROW(MUL), BINARY_ROW(MAX), BINARY_ROW(MIN)};

static int64_t operand_offset(const cr_binary *binary, const stretch *s) {
    switch (binary->operand) {
    case CR_OPERAND_SAME:
        return s->begin * CR_LANES;
    case CR_OPERAND_CHANNELS:
        return s->image * binary->batch_stride + s->channel;
    case CR_OPERAND_PIXELS:
        return s->image * binary->batch_stride + s->pixel;
    case CR_OPERAND_SCALAR:
    case CR_OPERAND_COUNT:
        break;
    }
    return 0;
}

static void combine(const cr_blocked_shape *shape, const cr_binary *binary, const float *a, float *out,
                    int64_t begin, int64_t end) {
    binary_function *const loop = binary_loops[binary->op][binary->operand];
    float low, high;
    const bool clamp = cr_activation_is_clamp(&binary->act, &low, &high);
    while (begin < end) {
        const stretch s = stretch_at(shape, begin, end);
        float *to = out + begin * CR_LANES;
        loop(a + begin * CR_LANES, binary->b + operand_offset(binary, &s), to, s.n, low, high);
        if (!clamp)
            cr_activate_vectors(&binary->act, to, to, s.n, s.channel);
        begin += s.n;
    }
}
