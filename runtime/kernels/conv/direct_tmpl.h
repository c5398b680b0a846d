/* The tile functions of direct convolution and the algorithm rows for one instruction set; see direct.h.
 * Before including: CR_LANES, CR_SUFFIX, CR_TILE_PIXELS and CR_WIDE_PIXELS, the tallest tiles of up to two
 * and of three blocks whose accumulators (a vector for each pixel and block), vectors of weights (one for
 * each block) and a broadcast fit the registers; CR_WIDE_WORK, see wide_work. */
#include "runtime/kernels/conv/direct_tile_tmpl.h"
#include "runtime/kernels/conv/epilogue_tmpl.h"
#include "runtime/kernels/conv/prologue_tmpl.h"
#include "runtime/kernels/conv/transposed.h"

_Static_assert(CR_WIDE_PIXELS <= CR_TILE_PIXELS && CR_TILE_PIXELS <= CR_DIRECT_MAX_PIXELS &&
                   CR_LANES <= CR_DIRECT_MAX_LANES,
               "tiles are bounded");

/* tile_step, but the weights are multiplied by a factor first, and kept. */
CR_INLINE void tile_step_scaling(int pixels, int blocks, const float *input, const float *weights,
                                 const float *factor, float *scaled, cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    cr_vec w[CR_DIRECT_TILE_BLOCKS];
    const cr_vec scale = cr_broadcast(*factor);
    CR_UNROLL
    for (int b = 0; b < blocks; b++) {
        w[b] = cr_held(scale * cr_load(weights + b * CR_LANES));
        cr_store(scaled + b * CR_LANES, w[b]);
    }
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        const cr_vec v = cr_broadcast(input[i * CR_LANES]);
        CR_UNROLL
        for (int b = 0; b < blocks; b++)
            acc[i][b] = cr_fma(v, w[b], acc[i][b]);
    }
}

/* tile_point, but the weights are scaled for it and for those after it: the stores hide beneath the
 * multiply-adds, which a pass of their own over the weights would not. */
CR_INLINE void tile_scaling(int pixels, int blocks, cr_direct_pass *pass) {
    cr_vec acc[CR_TILE_PIXELS][CR_DIRECT_TILE_BLOCKS];
    if (__builtin_expect(pass->output_ahead != 0, 0))
        fetch_output(pixels, blocks, pass);
    tile_bias(pixels, blocks, pass, acc);
    const float *input = pass->input, *weights = pass->weights, *factors = pass->factors,
                *fetch = pass->fetch;
    float *scaled = pass->scaled;
    const int64_t lines = fetch < pass->fetch_end ? pass->fetch_lines : 0;
    for (int64_t left = pass->input_blocks; left > 0; left--) {
        const int64_t lanes = left == 1 ? pass->last_lanes : pass->lanes;
        if (__builtin_expect(pass->taps->ahead != 0, 0))
            fetch_input(pixels, CR_LANES, &input, pass->taps->ahead);
        fetch_weights(fetch, lines);
        for (int64_t l = 0; l < lanes; l++)
            tile_step_scaling(pixels, blocks, input + l, weights + l * blocks * CR_LANES, factors + l,
                              scaled + l * blocks * CR_LANES, acc);
        input += pass->input_step;
        weights += pass->weights_step;
        scaled += pass->weights_step;
        factors += CR_LANES;
        fetch += lines * TILE_LINE;
    }
    tile_end(pixels, blocks, CR_LANES, pass, acc);
}

/* A block of the input for tile_transforming. What the next tile reads is fetched. The sums of the tile are
 * in registers: compilers must not want more than two beside them. */
CR_INLINE void transform_block(int pixels, const cr_direct_pass *pass, int64_t channel, const float *from,
                               float *to) {
    const cr_vec scale = cr_held(cr_load(pass->factors + channel));
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        const float *shifts = tile_hidden(pass->shifts + channel), *floor = tile_hidden(&pass->floor);
        __builtin_prefetch(from + (pixels + i) * CR_LANES);
        cr_store(to + i * CR_LANES,
                 cr_max(cr_broadcast(*floor), cr_fma(scale, cr_load(from + i * CR_LANES), cr_load(shifts))));
    }
}

/* tile_point, but the input is transformed for it and for the output tiles after it, a block ahead of the
 * multiply-adds: beneath them it costs little, as a pass of its own it would wait for memory. */
CR_INLINE void tile_transforming(int pixels, int blocks, cr_direct_pass *pass) {
    cr_vec acc[CR_TILE_PIXELS][CR_DIRECT_TILE_BLOCKS];
    if (__builtin_expect(pass->output_ahead != 0, 0))
        fetch_output(pixels, blocks, pass);
    const float *input = pass->input, *weights = pass->weights, *fetch = pass->fetch;
    const int64_t lines = fetch < pass->fetch_end ? pass->fetch_lines : 0;
    const float *kept = pass->kept;
    float *to = pass->kept;
    int64_t channel = 0;
    transform_block(pixels, pass, 0, input, to);
    tile_bias(pixels, blocks, pass, acc);
    for (int64_t left = pass->input_blocks; left > 0; left--) {
        if (left > 1) {
            input += pass->input_step;
            to += pass->kept_step;
            channel += CR_LANES;
            transform_block(pixels, pass, channel, input, to);
        }
        fetch_weights(fetch, lines);
        tile_lanes(pixels, blocks, CR_LANES, &kept, 0, left == 1 ? pass->last_lanes : pass->lanes, weights,
                   pass->weights_step, acc);
        kept += pass->kept_step;
        weights += pass->weights_step;
        fetch += lines * TILE_LINE;
    }
    tile_end(pixels, blocks, CR_LANES, pass, acc);
}

CR_INLINE void next_tile(cr_direct_pass *pass) {
    pass->input += pass->next_input;
    pass->output += pass->next_output;
    pass->residual += pass->residual != NULL ? pass->next_output : 0;
}

/* pixels and blocks are constants wherever these are inlined, so that the accumulators are registers. The
 * addresses of pixels apart leave no register for a loop around them. */
CR_INLINE void tiles_apart(int pixels, int blocks, cr_direct_pass *pass) {
    tile_one(pixels, blocks, 0, pass);
}

CR_INLINE void tiles_together(int pixels, int blocks, cr_direct_pass *pass) {
    for (int64_t i = 0; i < pass->tiles; i++, next_tile(pass))
        tile_one(pixels, blocks, CR_LANES, pass);
}

CR_INLINE void tiles_skipping(int pixels, int blocks, cr_direct_pass *pass) {
    for (int64_t i = 0; i < pass->tiles; i++, next_tile(pass))
        tile_one(pixels, blocks, 2 * CR_LANES, pass);
}

CR_INLINE void tiles_plain(int pixels, int blocks, cr_direct_pass *pass) {
    for (int64_t i = 0; i < pass->tiles; i++, next_tile(pass))
        tile_one(pixels, blocks, 1, pass);
}

CR_INLINE void tiles_plain_skipping(int pixels, int blocks, cr_direct_pass *pass) {
    for (int64_t i = 0; i < pass->tiles; i++, next_tile(pass))
        tile_one(pixels, blocks, 2, pass);
}

CR_INLINE void tiles_pointwise(int pixels, int blocks, cr_direct_pass *pass) {
    for (int64_t i = 0; i < pass->tiles; i++, next_tile(pass))
        tile_point(pixels, blocks, pass);
}

CR_INLINE void tiles_transforming(int pixels, int blocks, cr_direct_pass *pass) {
    for (int64_t i = 0; i < pass->tiles; i++, next_tile(pass), pass->kept += pixels * CR_LANES)
        tile_transforming(pixels, blocks, pass);
}

CR_INLINE void tiles_scaling(int pixels, int blocks, cr_direct_pass *pass) {
    for (int64_t i = 0; i < pass->tiles; i++, next_tile(pass))
        tile_scaling(pixels, blocks, pass);
}

/* ---- halved blocks: on AVX-512, elsewhere joining halves costs what it saves ---- */

#if CR_LANES == 16

/* The first half of a, then the second of b. */
CR_INLINE cr_vec tile_halves(cr_vec a, cr_vec b) {
    return cr_select((1 << CR_LANES / 2) - 1, a, b);
}

/* Lane l is lane (l + offset) % period of v. */
CR_INLINE cr_vec tile_turned(cr_vec v, int offset, int period) {
    cr_ivec index = {0};
    CR_UNROLL
    for (int l = 0; l < CR_LANES; l++)
        index[l] = (l + offset) % period;
    return cr_permute(v, index);
}

/* tile_step, but the last block is halved: its sums of pixels i and i + 1 share the vector of pixel i. */
CR_INLINE void tile_step_halved(int pixels, int blocks, const float *input, const float *weights,
                                cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    const int last = blocks - 1;
    cr_vec w[CR_DIRECT_TILE_BLOCKS], v[CR_TILE_PIXELS + 1];
    CR_UNROLL
    for (int b = 0; b < blocks; b++)
        w[b] = cr_held(cr_load(weights + b * CR_LANES));
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        v[i] = cr_held(cr_broadcast(input[i * CR_LANES]));
        CR_UNROLL
        for (int b = 0; b < last; b++)
            acc[i][b] = cr_fma(v[i], w[b], acc[i][b]);
        if (i % 2 == 1)
            acc[i - 1][last] = cr_fma(tile_halves(v[i - 1], v[i]), w[last], acc[i - 1][last]);
        else if (i == pixels - 1)
            acc[i][last] = cr_fma(v[i], w[last], acc[i][last]);
    }
}

/* tile_point, but the last block is halved. */
CR_INLINE void tile_halved(int pixels, int blocks, cr_direct_pass *pass) {
    const int last = blocks - 1;
    cr_vec acc[CR_TILE_PIXELS][CR_DIRECT_TILE_BLOCKS];
    if (pixels == 1) { /* has no neighbour to share with */
        tile_point(pixels, blocks, pass);
        return;
    }
    if (__builtin_expect(pass->output_ahead != 0, 0))
        fetch_output(pixels, blocks, pass);
    tile_bias(pixels, blocks, pass, acc);
    const cr_vec bias = tile_turned(acc[0][last], 0, CR_LANES / 2);
    CR_UNROLL
    for (int i = 0; i < pixels; i += 2)
        acc[i][last] = bias;
    const float *input = pass->input, *weights = pass->weights, *fetch = pass->fetch;
    const int64_t lines = fetch < pass->fetch_end ? pass->fetch_lines : 0;
    for (int64_t left = pass->input_blocks; left > 0; left--) {
        const int64_t lanes = left == 1 ? pass->last_lanes : pass->lanes;
        if (__builtin_expect(pass->taps->ahead != 0, 0))
            fetch_input(pixels, CR_LANES, &input, pass->taps->ahead);
        fetch_weights(fetch, lines);
        for (int64_t l = 0; l < lanes; l++)
            tile_step_halved(pixels, blocks, input + l, weights + l * blocks * CR_LANES, acc);
        input += pass->input_step;
        weights += pass->weights_step;
        fetch += lines * TILE_LINE;
    }
    CR_UNROLL
    for (int i = 1; i < pixels; i += 2)
        acc[i][last] = tile_turned(acc[i - 1][last], CR_LANES / 2, CR_LANES);
    tile_end(pixels, blocks, CR_LANES, pass, acc);
}

CR_INLINE void tiles_halved(int pixels, int blocks, cr_direct_pass *pass) {
    for (int64_t i = 0; i < pass->tiles; i++, next_tile(pass))
        tile_halved(pixels, blocks, pass);
}

#endif

/* Pixels that a tile of three blocks may have, and that others may have beyond those; and tiles of plain
 * input, whose maps are large and are cut evenly. */
#if CR_TILE_PIXELS == 14 && CR_WIDE_PIXELS == 9
#define WIDE_SIZES(X)   X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#define NARROW_SIZES(X) X(10) X(11) X(12) X(13) X(14)
#define PLAIN_SIZES(X)  X(12) X(13) X(14)
#elif CR_TILE_PIXELS == 8 && CR_WIDE_PIXELS == 8
#define WIDE_SIZES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define NARROW_SIZES(X)
#define PLAIN_SIZES(X) X(6) X(7) X(8)
#elif CR_TILE_PIXELS == 6 && CR_WIDE_PIXELS == 4
#define WIDE_SIZES(X)   X(1) X(2) X(3) X(4)
#define NARROW_SIZES(X) X(5) X(6)
#define PLAIN_SIZES(X)  X(4) X(5) X(6)
#else
#error "list the sizes of these tiles"
#endif

#define TILE_FUNCTION(pixels, blocks, kind)                                                                  \
    static void tile_##pixels##x##blocks##_##kind(cr_direct_pass *pass) {                                    \
        tiles_##kind(pixels, blocks, pass);                                                                  \
    }
#define TILE_KINDS(pixels, blocks)                                                                           \
    TILE_FUNCTION(pixels, blocks, apart)                                                                     \
    TILE_FUNCTION(pixels, blocks, together)                                                                  \
    TILE_FUNCTION(pixels, blocks, skipping)                                                                  \
    TILE_FUNCTION(pixels, blocks, pointwise)                                                                 \
    TILE_FUNCTION(pixels, blocks, scaling)                                                                   \
    TILE_FUNCTION(pixels, blocks, transforming)
#define TILE_NARROW(pixels)                                                                                  \
    TILE_KINDS(pixels, 1)                                                                                    \
    TILE_KINDS(pixels, 2)
#define TILE_WIDE(pixels)                                                                                    \
    TILE_NARROW(pixels)                                                                                      \
    TILE_KINDS(pixels, 3)
WIDE_SIZES(TILE_WIDE)
NARROW_SIZES(TILE_NARROW)
#define TILE_PLAIN(pixels)                                                                                   \
    TILE_FUNCTION(pixels, 1, plain)                                                                          \
    TILE_FUNCTION(pixels, 2, plain)                                                                          \
    TILE_FUNCTION(pixels, 1, plain_skipping)                                                                 \
    TILE_FUNCTION(pixels, 2, plain_skipping)
PLAIN_SIZES(TILE_PLAIN)
#if CR_LANES == 16
#define NARROW_HALVED(pixels) TILE_FUNCTION(pixels, 2, halved)
#define WIDE_HALVED(pixels)                                                                                  \
    TILE_FUNCTION(pixels, 2, halved)                                                                         \
    TILE_FUNCTION(pixels, 3, halved)
WIDE_SIZES(WIDE_HALVED)
NARROW_SIZES(NARROW_HALVED)
#endif

#define NARROW_TILES(pixels, kind)   tile_##pixels##x1_##kind, tile_##pixels##x2_##kind
#define WIDE_TILES(pixels, kind)     NARROW_TILES(pixels, kind), tile_##pixels##x3_##kind
#define NARROW_APART(pixels)         {NARROW_TILES(pixels, apart)},
#define NARROW_TOGETHER(pixels)      {NARROW_TILES(pixels, together)},
#define NARROW_SKIPPING(pixels)      {NARROW_TILES(pixels, skipping)},
#define NARROW_POINTWISE(pixels)     {NARROW_TILES(pixels, pointwise)},
#define NARROW_SCALING(pixels)       {NARROW_TILES(pixels, scaling)},
#define NARROW_TRANSFORMING(pixels)  {NARROW_TILES(pixels, transforming)},
#define WIDE_TRANSFORMING(pixels)    {WIDE_TILES(pixels, transforming)},
#define WIDE_APART(pixels)           {WIDE_TILES(pixels, apart)},
#define WIDE_TOGETHER(pixels)        {WIDE_TILES(pixels, together)},
#define WIDE_SKIPPING(pixels)        {WIDE_TILES(pixels, skipping)},
#define WIDE_POINTWISE(pixels)       {WIDE_TILES(pixels, pointwise)},
#define WIDE_SCALING(pixels)         {WIDE_TILES(pixels, scaling)},
#define TILES_PLAIN(pixels)          [pixels - 1] = {NARROW_TILES(pixels, plain)},
#define TILES_PLAIN_SKIPPING(pixels) [pixels - 1] = {NARROW_TILES(pixels, plain_skipping)},
static cr_direct_tile *const tiles[CR_DIRECT_KINDS][CR_TILE_PIXELS][CR_DIRECT_TILE_BLOCKS] = {
    [CR_DIRECT_APART] = {WIDE_SIZES(WIDE_APART) NARROW_SIZES(NARROW_APART)},
    [CR_DIRECT_TOGETHER] = {WIDE_SIZES(WIDE_TOGETHER) NARROW_SIZES(NARROW_TOGETHER)},
    [CR_DIRECT_SKIPPING] = {WIDE_SIZES(WIDE_SKIPPING) NARROW_SIZES(NARROW_SKIPPING)},
    [CR_DIRECT_POINTWISE] = {WIDE_SIZES(WIDE_POINTWISE) NARROW_SIZES(NARROW_POINTWISE)},
    [CR_DIRECT_SCALING] = {WIDE_SIZES(WIDE_SCALING) NARROW_SIZES(NARROW_SCALING)},
    [CR_DIRECT_TRANSFORMING] = {WIDE_SIZES(WIDE_TRANSFORMING) NARROW_SIZES(NARROW_TRANSFORMING)},
#if CR_LANES == 16
#define WIDE_HALVES(pixels)   {NULL, tile_##pixels##x2_halved, tile_##pixels##x3_halved},
#define NARROW_HALVES(pixels) {NULL, tile_##pixels##x2_halved},
    [CR_DIRECT_HALVED] = {WIDE_SIZES(WIDE_HALVES) NARROW_SIZES(NARROW_HALVES)},
#endif
    [CR_DIRECT_PLAIN] = {PLAIN_SIZES(TILES_PLAIN)},
    [CR_DIRECT_PLAIN_SKIPPING] = {PLAIN_SIZES(TILES_PLAIN_SKIPPING)},
};

CR_INLINE void scale_rows(int blocks, const float *factors, int64_t taps, const float *from, float *to) {
    for (; taps > 0; taps--)
        for (int lane = 0; lane < CR_LANES; lane++, from += blocks * CR_LANES, to += blocks * CR_LANES) {
            const cr_vec factor = cr_broadcast(factors[lane]);
            CR_UNROLL
            for (int b = 0; b < blocks; b++)
                cr_store(to + b * CR_LANES, factor * cr_load(from + b * CR_LANES));
        }
}

static void scale_block(const float *factors, int64_t taps, int64_t blocks, const float *from, float *to) {
    if (blocks == 1)
        scale_rows(1, factors, taps, from, to);
    else if (blocks == 2)
        scale_rows(2, factors, taps, from, to);
    else
        scale_rows(3, factors, taps, from, to);
}

static const cr_direct_kernels kernels = {
    .lanes = CR_LANES,
    .slots = CR_TILE_PIXELS,
    .tile_pixels = {CR_TILE_PIXELS, CR_TILE_PIXELS, CR_WIDE_PIXELS},
    .wide_work = {1.01, CR_WIDE_WORK},
    .tiles = {tiles[CR_DIRECT_APART], tiles[CR_DIRECT_TOGETHER], tiles[CR_DIRECT_SKIPPING],
              tiles[CR_DIRECT_POINTWISE], CR_LANES == 16 ? tiles[CR_DIRECT_HALVED] : NULL,
              tiles[CR_DIRECT_SCALING], tiles[CR_DIRECT_TRANSFORMING], tiles[CR_DIRECT_PLAIN],
              tiles[CR_DIRECT_PLAIN_SKIPPING]},
    .finish = cr_finish_vectors,
    .transform = cr_prologue_vectors,
    .scale = scale_block,
};

/* ---- the rows ---- */

#define DIRECT_ROW(variant, kind)                                                                            \
    static const char *variant##_refuses(const cr_conv *conv) {                                              \
        return cr_##variant##_refuses(conv, &kernels);                                                       \
    }                                                                                                        \
    const cr_conv_algorithm CR_NAME(cr_conv_##variant) = {                                                   \
        .name = #variant,                                                                                    \
        .refuses = variant##_refuses,                                                                        \
        .cost = kind##_cost,                                                                                 \
        .packed_bytes = kind##_packed_bytes,                                                                 \
        .pack = kind##_pack,                                                                                 \
        .workspace_bytes = kind##_workspace_bytes,                                                           \
        .tasks = kind##_tasks,                                                                               \
        .run = kind##_run,                                                                                   \
    };
#define DIRECT_KIND(kind)                                                                                    \
    static double kind##_cost(const cr_conv *conv) {                                                         \
        return cr_##kind##_cost(conv, &kernels);                                                             \
    }                                                                                                        \
    static size_t kind##_packed_bytes(const cr_conv *conv) {                                                 \
        return cr_##kind##_packed_bytes(conv, &kernels);                                                     \
    }                                                                                                        \
    static void kind##_pack(const cr_conv *conv, const float *weights, void *packed) {                       \
        cr_##kind##_pack(conv, &kernels, weights, packed);                                                   \
    }                                                                                                        \
    static size_t kind##_workspace_bytes(const cr_conv *conv) {                                              \
        return cr_##kind##_workspace_bytes(conv, &kernels);                                                  \
    }                                                                                                        \
    static int64_t kind##_tasks(const cr_conv *conv) {                                                       \
        return cr_##kind##_tasks(conv, &kernels);                                                            \
    }                                                                                                        \
    static void kind##_run(const cr_conv *conv, const cr_conv_args *args, int64_t begin, int64_t end,        \
                           void *workspace) {                                                                \
        cr_##kind##_run(conv, &kernels, args, begin, end, workspace);                                        \
    }
DIRECT_KIND(direct)
DIRECT_KIND(transposed)
DIRECT_ROW(direct, direct)
DIRECT_ROW(stem, direct)
DIRECT_ROW(transposed, transposed)
