/* Convolution of bytes on AVX-512 VNNI: 28 accumulators, two vectors of weights and a broadcast in 32
 * registers. */
#define CR_LANES  16
#define CR_SUFFIX avx512vnni
#include "runtime/kernels/activation_tmpl.h"
#include "runtime/kernels/conv/bytes_depthwise.h"
#include "runtime/kernels/conv/bytes_direct.h"

#include <immintrin.h>
#include <math.h>

enum { FOUR = 4 }; /* pixels, whose bytes fill a vector */

/* ---- finishing ---- */

typedef struct lanes_finish {
    __m512 scale, bias;
} lanes_finish;

CR_INLINE lanes_finish lanes_of(const cr_bytes_finish *f, int64_t channel) {
    const cr_bytes_epilogue *e = f->epilogue;
    const __m512 factor = _mm512_set1_ps(f->lane_factor);
    const __m512 bias =
        e->bias != NULL ? _mm512_mul_ps(_mm512_loadu_ps(e->bias + channel), factor) : _mm512_setzero_ps();
    return (lanes_finish){_mm512_loadu_ps(e->scale + channel) * factor, bias};
}

CR_INLINE __m512 scaled(const lanes_finish *lanes, __m512i sum) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), lanes->scale, lanes->bias);
}

CR_INLINE __m512 clamped(__m512 v, float low, float high) {
    return _mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), v));
}

CR_INLINE __m512 rounded(const cr_bytes_finish *f, __m512 v) {
    v = _mm512_roundscale_ps(v * _mm512_set1_ps(f->round_inverse), 8 | _MM_FROUND_TO_NEAREST_INT);
    return v * _mm512_set1_ps(f->epilogue->rounded.scale);
}

CR_INLINE __m512 with_residual(const cr_bytes_epilogue *e, int64_t at, __m512 v) {
    const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(e->residual + at)));
    const __m512i units = _mm512_sub_epi32(bytes, _mm512_set1_epi32(e->residual_scaling.zero));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(units), _mm512_set1_ps(e->residual_scaling.scale), v);
}

/* Everything between the first activation and the output. */
CR_INLINE __m512 middle(const cr_bytes_finish *f, int64_t at, __m512 v) {
    const cr_bytes_epilogue *e = f->epilogue;
    if (e->rounds)
        v = rounded(f, v);
    if (e->residual != NULL)
        v = with_residual(e, at, v);
    return v;
}

/* Stores the bytes of n values of up to four pixels. */
CR_INLINE void store_bytes(const cr_bytes_finish *f, bool plain, int n, const __m512 *v, uint8_t *output) {
    const __m512 inverse = _mm512_set1_ps(f->output_inverse);
    __m512i q[FOUR];
    CR_UNROLL
    for (int i = 0; i < FOUR; i++)
        q[i] =
            i < n ? _mm512_cvtps_epi32(plain ? v[i] : _mm512_mul_ps(v[i], inverse)) : _mm512_setzero_si512();
    const __m512i zero = _mm512_set1_epi16((int16_t)f->epilogue->output.zero);
    const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), zero);
    const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), zero);
    /* each 128 bits hold four channels of the four pixels */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high));
    if (n == FOUR)
        _mm512_storeu_si512(output, bytes);
    else
        _mm512_mask_storeu_epi32(output, (__mmask16)((1 << FOUR * n) - 1), bytes);
}

CR_INLINE void store_some(const cr_bytes_finish *f, bool plain, int n, const __m512 *v, int64_t offset,
                          void *output) {
    if (f->to_bytes) {
        store_bytes(f, plain, n, v, (uint8_t *)output + offset);
        return;
    }
    CR_UNROLL
    for (int i = 0; i < n; i++)
        _mm512_storeu_ps((float *)output + offset + i * CR_LANES, v[i]);
}

CR_INLINE void clamp_last(int n, bool raises, float low, float high, __m512 *v) {
    if (raises) {
        CR_UNROLL
        for (int i = 0; i < n; i++)
            v[i] = _mm512_max_ps(_mm512_set1_ps(low), v[i]);
    }
    CR_UNROLL
    for (int i = 0; i < n; i++)
        v[i] = _mm512_min_ps(_mm512_set1_ps(high), v[i]);
}

/* Sums whose activations are clamps, of n pixels (a constant), side by side. */
CR_INLINE void finish_clamps(const cr_bytes_finish *f, int n, bool plain, const lanes_finish *lanes,
                             const __m512i *sums, int64_t offset, void *output) {
    __m512 v[FOUR];
    CR_UNROLL
    for (int i = 0; i < n; i++)
        v[i] = scaled(lanes, sums[i]);
    if (!plain) {
        if (f->narrows) {
            CR_UNROLL
            for (int i = 0; i < n; i++)
                v[i] = clamped(v[i], f->low, f->high);
        }
        CR_UNROLL
        for (int i = 0; i < n; i++)
            v[i] = middle(f, offset + i * CR_LANES, v[i]);
    }
    clamp_last(n, f->raises, plain ? f->low : f->low_after, plain ? f->high : f->high_after, v);
    store_some(f, plain, n, v, offset, output);
}

/* Others. values: n vectors of one block, that are overwritten. */
static void finish_values(const cr_bytes_finish *f, float *values, int64_t n, int64_t channel, int64_t offset,
                          void *output) {
    const cr_bytes_epilogue *e = f->epilogue;
    cr_activate_vectors(&e->act, values, values, n, channel);
    for (int64_t i = 0; i < n; i++) {
        const __m512 v = clamped(_mm512_loadu_ps(values + i * CR_LANES), f->round_low, f->round_high);
        _mm512_storeu_ps(values + i * CR_LANES, middle(f, offset + i * CR_LANES, v));
    }
    cr_activate_vectors(&e->act_after, values, values, n, channel);
    for (int64_t i = 0; i < n; i += FOUR) {
        __m512 v[FOUR];
        const int some = n - i < FOUR ? (int)(n - i) : FOUR;
        for (int k = 0; k < some; k++)
            v[k] = clamped(_mm512_loadu_ps(values + (i + k) * CR_LANES), f->low_after, f->high_after);
        store_some(f, false, some, v, offset + i * CR_LANES, output);
    }
}

/* sum + the products of four unsigned and four signed bytes in each lane. As an intrinsic, compilers copy the
 * sums from register to register, and those that they find no room for to memory. */
CR_INLINE __m512i add_products(__m512i sum, __m512i bytes, __m512i weights) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(bytes), "v"(weights));
    return sum;
}

/* ---- direct ---- */

typedef __m512i sums_of[CR_BYTES_BLOCKS][CR_BYTES_PIXELS];

CR_INLINE __m512i held(__m512i v) {
    return (__m512i)cr_held((cr_vec)v);
}

CR_INLINE __m512i broadcast(const uint8_t *word) {
    int32_t value;
    __builtin_memcpy(&value, word, sizeof value);
    return _mm512_set1_epi32(value);
}

CR_INLINE const uint8_t *pixel(ptrdiff_t distance, const uint8_t *const *input, int i) {
    return distance != 0 ? input[0] + i * distance : input[i];
}

/* One word of one tap; distance 0: the pixels have addresses of their own. */
CR_INLINE void step(int pixels, int blocks, ptrdiff_t distance, const uint8_t *const *input, ptrdiff_t x,
                    const int8_t *weights, sums_of sums) {
    __m512i w[CR_BYTES_BLOCKS];
    CR_UNROLL
    for (int b = 0; b < blocks; b++)
        w[b] = held(_mm512_loadu_si512(weights + b * CR_LANES * CR_BYTES_WORD));
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        const __m512i v = broadcast(pixel(distance, input, i) + x);
        CR_UNROLL
        for (int b = 0; b < blocks; b++)
            sums[b][i] = add_products(sums[b][i], v, w[b]);
    }
}

/* To the second-level cache. */
CR_INLINE const int8_t *fetch_weights(const int8_t *from, int64_t lines) {
    for (; lines > 0; lines--, from += 64)
        __builtin_prefetch(from, 0, 2);
    return from;
}

CR_INLINE void add_taps(int pixels, int blocks, ptrdiff_t distance, const cr_bytes_pass *pass, sums_of sums) {
    const int word_bytes = blocks * CR_LANES * CR_BYTES_WORD;
    const uint8_t *input[CR_BYTES_PIXELS];
    const int8_t *weights = pass->weights, *fetch = pass->fetch;
    const int64_t lines = fetch < pass->fetch_end ? pass->fetch_lines : 0;
    CR_UNROLL
    for (int i = 0; i < pixels; i++)
        input[i] = pass->input + pass->offsets[i];
    for (int64_t c = 0; c < pass->input_blocks; c++) {
        const int64_t first = c == 0 ? pass->first_word : 0;
        const int64_t last = c == pass->input_blocks - 1 ? pass->last_words : CR_BYTES_WORDS;
        for (int64_t t = 0; t < pass->n_taps; t++) {
            const ptrdiff_t x = c * pass->input_step + pass->taps[t];
            fetch = fetch_weights(fetch, lines);
            if (last - first == CR_BYTES_WORDS) {
                CR_UNROLL
                for (int k = 0; k < CR_BYTES_WORDS; k++)
                    step(pixels, blocks, distance, input, x + k * CR_BYTES_WORD, weights + k * word_bytes,
                         sums);
                weights += CR_BYTES_WORDS * word_bytes;
                continue;
            }
            for (int64_t k = first; k < last; k++, weights += word_bytes)
                step(pixels, blocks, distance, input, x + k * CR_BYTES_WORD, weights, sums);
        }
    }
}

CR_INLINE void finish_block(int pixels, bool plain, const cr_bytes_pass *pass, int64_t channel,
                            const __m512i *sums, int64_t offset) {
    const lanes_finish lanes = lanes_of(pass->finish, channel);
    CR_UNROLL
    for (int i = 0; i < pixels; i += FOUR)
        finish_clamps(pass->finish, pixels - i < FOUR ? pixels - i : FOUR, plain, &lanes, sums + i,
                      offset + i * CR_LANES, pass->output);
}

CR_INLINE void finish_tile(int pixels, int blocks, const cr_bytes_pass *pass, sums_of sums) {
    const cr_bytes_finish *f = pass->finish;
    float values[CR_BYTES_PIXELS * CR_LANES];
    CR_UNROLL
    for (int b = 0; b < blocks; b++) {
        const int64_t channel = pass->channel + b * CR_LANES, offset = pass->offset + b * pass->output_block;
        if (f->plain) {
            finish_block(pixels, true, pass, channel, sums[b], offset);
        } else if (f->clamps) {
            finish_block(pixels, false, pass, channel, sums[b], offset);
        } else {
            const lanes_finish lanes = lanes_of(f, channel);
            CR_UNROLL
            for (int i = 0; i < pixels; i++)
                _mm512_storeu_ps(values + i * CR_LANES, scaled(&lanes, sums[b][i]));
            finish_values(f, values, pixels, channel, offset, pass->output);
        }
    }
}

CR_INLINE void tile_of(int pixels, int blocks, ptrdiff_t distance, const cr_bytes_pass *pass) {
    sums_of sums;
    CR_UNROLL
    for (int b = 0; b < blocks; b++) {
        CR_UNROLL
        for (int i = 0; i < pixels; i++)
            sums[b][i] = _mm512_loadu_si512(pass->start + b * CR_LANES);
    }
    add_taps(pixels, blocks, distance, pass, sums);
    finish_tile(pixels, blocks, pass, sums);
}

/* Tiles of pixels anywhere, and of those 16 or, with stride 2, 32 bytes apart. */
#define SIZES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define TILE(pixels, blocks, kind, distance)                                                                 \
    static void tile_##pixels##x##blocks##_##kind(const cr_bytes_pass *pass) {                               \
        tile_of(pixels, blocks, distance, pass);                                                             \
    }
#define TILES(pixels)                                                                                        \
    TILE(pixels, 1, apart, 0)                                                                                \
    TILE(pixels, 2, apart, 0)                                                                                \
    TILE(pixels, 1, together, CR_BYTES_LANES)                                                                \
    TILE(pixels, 2, together, CR_BYTES_LANES)                                                                \
    TILE(pixels, 1, skipping, 2 * CR_BYTES_LANES)                                                            \
    TILE(pixels, 2, skipping, 2 * CR_BYTES_LANES)
SIZES(TILES)

enum { APART, TOGETHER, SKIPPING, KINDS };
#define APART_TILES(pixels)    {tile_##pixels##x1_apart, tile_##pixels##x2_apart},
#define TOGETHER_TILES(pixels) {tile_##pixels##x1_together, tile_##pixels##x2_together},
#define SKIPPING_TILES(pixels) {tile_##pixels##x1_skipping, tile_##pixels##x2_skipping},
static void (*const tiles[KINDS][CR_BYTES_PIXELS][CR_BYTES_BLOCKS])(const cr_bytes_pass *) = {
    [APART] = {SIZES(APART_TILES)},
    [TOGETHER] = {SIZES(TOGETHER_TILES)},
    [SKIPPING] = {SIZES(SKIPPING_TILES)},
};

static void tile(const cr_bytes_pass *pass) {
    const int kind = pass->distance == CR_BYTES_LANES       ? TOGETHER
                     : pass->distance == 2 * CR_BYTES_LANES ? SKIPPING
                                                            : APART;
    tiles[kind][pass->pixels - 1][pass->blocks - 1](pass);
}

static const cr_bytes_direct_kernels direct = {.tile = tile};

static void direct_run(const cr_bytes_conv *conv, const cr_bytes_args *args, int64_t begin, int64_t end,
                       void *workspace) {
    cr_bytes_direct_run(conv, &direct, args, begin, end, workspace);
}

const cr_bytes_algorithm cr_bytes_direct_avx512vnni = {
    .name = "direct",
    .refuses = cr_bytes_direct_refuses,
    .packed_bytes = cr_bytes_direct_packed_bytes,
    .pack = cr_bytes_direct_pack,
    .workspace_bytes = cr_bytes_direct_workspace_bytes,
    .tasks = cr_bytes_direct_tasks,
    .run = direct_run,
};

/* ---- depthwise ---- */

/* Of four pixels side by side, the bytes of each channel. */
CR_INLINE __m512i word_at(const uint8_t *input) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(order, _mm512_loadu_si512(input)), bytes);
}

CR_INLINE void finish_pixels(const cr_bytes_rows *r, int n, const __m512i *sums, int64_t offset) {
    const cr_bytes_finish *f = r->finish;
    const lanes_finish lanes = lanes_of(f, r->channel);
    if (f->plain) {
        finish_clamps(f, n, true, &lanes, sums, offset, r->output);
        return;
    }
    if (f->clamps) {
        finish_clamps(f, n, false, &lanes, sums, offset, r->output);
        return;
    }
    float values[FOUR * CR_LANES];
    CR_UNROLL
    for (int i = 0; i < n; i++)
        _mm512_storeu_ps(values + i * CR_LANES, scaled(&lanes, sums[i]));
    finish_values(f, values, n, r->channel, offset, r->output);
}

static void finish_few(const cr_bytes_rows *r, int64_t n, const __m512i *sums, int64_t offset) {
    if (n == 1)
        finish_pixels(r, 1, sums, offset);
    else if (n == 2)
        finish_pixels(r, 2, sums, offset);
    else
        finish_pixels(r, 3, sums, offset);
}

/* Four pixels of so many rows of outputs; what depends on the kernel and the stride is constant. */
CR_INLINE void sum_four(int rows, int64_t kernel_rows, int64_t words, int64_t stride, const cr_bytes_rows *r,
                        const uint8_t *input, __m512i sums[][FOUR]) {
    const __m512i start = _mm512_loadu_si512(r->start);
    CR_UNROLL
    for (int y = 0; y < rows; y++) {
        CR_UNROLL
        for (int i = 0; i < FOUR; i++)
            sums[y][i] = start;
    }
    CR_UNROLL
    for (int64_t h = 0; h < (rows - 1) * stride + kernel_rows; h++) {
        CR_UNROLL
        for (int64_t word = 0; word < words; word++) {
            CR_UNROLL
            for (int i = 0; i < FOUR; i++) {
                const __m512i v =
                    word_at(input + h * r->tap_row + i * r->across + word * CR_BYTES_TAPS * CR_BYTES_LANES);
                CR_UNROLL
                for (int y = 0; y < rows; y++) {
                    const int64_t tap = h - y * stride;
                    if (tap >= 0 && tap < kernel_rows)
                        sums[y][i] = add_products(sums[y][i], v,
                                                  _mm512_loadu_si512(r->weights + (tap * words + word) * 64));
                }
            }
        }
    }
}

CR_INLINE void rows_of(int rows, int64_t kernel_rows, int64_t words, int64_t stride, const cr_bytes_rows *r,
                       int64_t first) {
    __m512i sums[CR_BYTES_ROWS][FOUR];
    for (int64_t x = 0; x < r->pixels; x += FOUR) {
        sum_four(rows, kernel_rows, words, stride, r, r->input + first * r->down + x * r->across, sums);
        CR_UNROLL
        for (int y = 0; y < rows; y++) {
            const int64_t offset = r->offset + (first + y) * r->output_row + x * CR_LANES;
            if (r->pixels - x >= FOUR)
                finish_pixels(r, FOUR, sums[y], offset);
            else
                finish_few(r, r->pixels - x, sums[y], offset);
        }
    }
}

static void rows_3x3_s1(const cr_bytes_rows *r) {
    rows_of(2, 3, 1, 1, r, 0);
}

static void rows_3x3_s2(const cr_bytes_rows *r) {
    rows_of(2, 3, 1, 2, r, 0);
}

static void rows_5x5_s1(const cr_bytes_rows *r) {
    rows_of(2, 5, 2, 1, r, 0);
}

static void rows_5x5_s2(const cr_bytes_rows *r) {
    rows_of(2, 5, 2, 2, r, 0);
}

static void rows_any(const cr_bytes_rows *r) {
    for (int64_t y = 0; y < r->rows; y++)
        rows_of(1, r->kernel_rows, r->words, 0, r, y);
}

static void rows(const cr_bytes_rows *r) {
    if (r->rows == 2 && r->kernel_rows == 3 && r->words == 1 && r->stride == 1)
        rows_3x3_s1(r);
    else if (r->rows == 2 && r->kernel_rows == 3 && r->words == 1 && r->stride == 2)
        rows_3x3_s2(r);
    else if (r->rows == 2 && r->kernel_rows == 5 && r->words == 2 && r->stride == 1)
        rows_5x5_s1(r);
    else if (r->rows == 2 && r->kernel_rows == 5 && r->words == 2 && r->stride == 2)
        rows_5x5_s2(r);
    else
        rows_any(r);
}

static void depthwise_run(const cr_bytes_conv *conv, const cr_bytes_args *args, int64_t begin, int64_t end,
                          void *workspace) {
    cr_bytes_depthwise_run(conv, rows, args, begin, end, workspace);
}

const cr_bytes_algorithm cr_bytes_depthwise_avx512vnni = {
    .name = "depthwise",
    .refuses = cr_bytes_depthwise_refuses,
    .packed_bytes = cr_bytes_depthwise_packed_bytes,
    .pack = cr_bytes_depthwise_pack,
    .workspace_bytes = cr_bytes_depthwise_workspace_bytes,
    .tasks = cr_bytes_depthwise_tasks,
    .run = depthwise_run,
};
