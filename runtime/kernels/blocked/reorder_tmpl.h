/* Between the plain and the blocked layout, for one instruction set; see blocked.h. Squares of L channels x L
 * pixels are transposed in registers. */
#include "runtime/kernels/blocked/blocked.h"
#include "runtime/kernels/vec_tmpl.h"

/* The vectors a0 b0 a1 b1 ... of the lower and of the upper halves. */
#if CR_LANES == 16
#define INTERLEAVE_LOW(a, b)                                                                                 \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(a, b)                                                                                \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif CR_LANES == 8
#define INTERLEAVE_LOW(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define INTERLEAVE_LOW(a, b)  __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* One of the log2(L) perfect shuffles of the rows that transpose a square together. */
CR_INLINE void transpose_step(const cr_vec *from, cr_vec *to) {
    CR_UNROLL
    for (int i = 0; i < CR_LANES / 2; i++) {
        to[2 * i] = INTERLEAVE_LOW(from[i], from[i + CR_LANES / 2]);
        to[2 * i + 1] = INTERLEAVE_HIGH(from[i], from[i + CR_LANES / 2]);
    }
}

CR_INLINE void transpose(cr_vec *square) {
    cr_vec other[CR_LANES];
    transpose_step(square, other);
    transpose_step(other, square);
#if CR_LANES >= 8
    transpose_step(square, other);
#if CR_LANES == 16
    transpose_step(other, square);
#else
    CR_UNROLL
    for (int i = 0; i < CR_LANES; i++)
        square[i] = other[i];
#endif
#endif
}

/* L pixels of a block of which `channels` exist. */
CR_INLINE void square_to_blocked(const float *plain, int64_t pixels, int64_t channels, float *blocked) {
    cr_vec square[CR_LANES];
    CR_UNROLL
    for (int i = 0; i < CR_LANES; i++)
        square[i] = i < channels ? cr_load(plain + i * pixels) : (cr_vec){0};
    transpose(square);
    CR_UNROLL
    for (int i = 0; i < CR_LANES; i++)
        cr_store(blocked + i * CR_LANES, square[i]);
}

CR_INLINE void square_to_plain(const float *blocked, int64_t pixels, int64_t channels, float *plain) {
    cr_vec square[CR_LANES];
    CR_UNROLL
    for (int i = 0; i < CR_LANES; i++)
        square[i] = cr_load(blocked + i * CR_LANES);
    transpose(square);
    CR_UNROLL
    for (int i = 0; i < CR_LANES; i++)
        if (i < channels)
            cr_store(plain + i * pixels, square[i]);
}

/* n pixels, fewer than a square. */
static void few_to_blocked(const float *plain, int64_t pixels, int64_t channels, int64_t n, float *blocked) {
    for (int64_t p = 0; p < n; p++)
        for (int64_t l = 0; l < CR_LANES; l++)
            blocked[p * CR_LANES + l] = l < channels ? plain[l * pixels + p] : 0;
}

static void few_to_plain(const float *blocked, int64_t pixels, int64_t channels, int64_t n, float *plain) {
    for (int64_t l = 0; l < channels; l++)
        for (int64_t p = 0; p < n; p++)
            plain[l * pixels + p] = blocked[p * CR_LANES + l];
}

/* Where the square after the one at p stands: the last one ends with the stretch and may overlap its
 * neighbour. */
static int64_t next_square(int64_t p, int64_t n) {
    const int64_t next = p + CR_LANES;
    return next < n && next + CR_LANES > n ? n - CR_LANES : next;
}

/* A stretch of pixels of one plane. */
typedef struct reorder_stretch {
    int64_t n, channels;
    int64_t plain; /* offset of its first pixel in the first channel of the block, floats */
} reorder_stretch;

static reorder_stretch reorder_stretch_at(const cr_blocked_shape *shape, int64_t begin, int64_t end) {
    const int64_t plane = begin / shape->pixels, pixel = begin % shape->pixels,
                  blocks = cr_blocked_blocks(shape);
    const int64_t image = plane / blocks, channel = plane % blocks * CR_LANES;
    reorder_stretch s = {.n = shape->pixels - pixel, .channels = shape->channels - channel};
    s.n = s.n < end - begin ? s.n : end - begin;
    s.channels = s.channels < CR_LANES ? s.channels : CR_LANES;
    s.plain = (image * shape->channels + channel) * shape->pixels + pixel;
    return s;
}

static void stretch_to_blocked(const float *plain, int64_t pixels, const reorder_stretch *s, float *blocked) {
    if (s->n < CR_LANES)
        few_to_blocked(plain, pixels, s->channels, s->n, blocked);
    else if (s->channels == CR_LANES)
        for (int64_t p = 0; p < s->n; p = next_square(p, s->n))
            square_to_blocked(plain + p, pixels, CR_LANES, blocked + p * CR_LANES);
    else
        for (int64_t p = 0; p < s->n; p = next_square(p, s->n))
            square_to_blocked(plain + p, pixels, s->channels, blocked + p * CR_LANES);
}

static void stretch_to_plain(const float *blocked, int64_t pixels, const reorder_stretch *s, float *plain) {
    if (s->n < CR_LANES)
        few_to_plain(blocked, pixels, s->channels, s->n, plain);
    else if (s->channels == CR_LANES)
        for (int64_t p = 0; p < s->n; p = next_square(p, s->n))
            square_to_plain(blocked + p * CR_LANES, pixels, CR_LANES, plain + p);
    else
        for (int64_t p = 0; p < s->n; p = next_square(p, s->n))
            square_to_plain(blocked + p * CR_LANES, pixels, s->channels, plain + p);
}

static void to_blocked(const cr_blocked_shape *shape, const float *plain, float *blocked, int64_t begin,
                       int64_t end) {
    while (begin < end) {
        const reorder_stretch s = reorder_stretch_at(shape, begin, end);
        stretch_to_blocked(plain + s.plain, shape->pixels, &s, blocked + begin * CR_LANES);
        begin += s.n;
    }
}

static void to_plain(const cr_blocked_shape *shape, const float *blocked, float *plain, int64_t begin,
                     int64_t end) {
    while (begin < end) {
        const reorder_stretch s = reorder_stretch_at(shape, begin, end);
        stretch_to_plain(blocked + begin * CR_LANES, shape->pixels, &s, plain + s.plain);
        begin += s.n;
    }
}
