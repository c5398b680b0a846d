/* The tile functions of direct convolution and the algorithm rows for one instruction set; see direct.h.
 * Before including: CR_LANES, CR_SUFFIX, CR_TILE_PIXELS and CR_WIDE_PIXELS, the tallest tiles of up to two
 * and of three blocks whose accumulators (a vector for each pixel and block), vectors of weights (one for
 * each block) and a broadcast fit the registers; CR_WIDE_WORK, see wide_work. */
#include <math.h>

#include "runtime/kernels/conv/epilogue_tmpl.h"
#include "runtime/kernels/conv/prologue_tmpl.h"
#include "runtime/kernels/conv/transposed.h"

_Static_assert(CR_WIDE_PIXELS <= CR_TILE_PIXELS && CR_TILE_PIXELS <= CR_DIRECT_MAX_PIXELS &&
                   CR_LANES <= CR_DIRECT_MAX_LANES,
               "tiles are bounded");

enum { TILE_LINE = 16 }; /* floats of a cache line */

/* A clamp that does nothing costs less than a branch around it where the sums fill all 16 registers:
 * compilers then keep some in memory, from the first multiply-add on. */
enum { SPARE_REGISTERS = CR_TILE_PIXELS > 6 };

/* Where pixel i reads. Pixels at a constant distance are displacements from one address, which the 15 or 31
 * address registers have to spare for others; 0: they are not. */
CR_INLINE const float *tile_pixel(int distance, const float *const *input, int i) {
    return distance != 0 ? input[0] + i * distance : input[i];
}

CR_INLINE bool tile_is_plain(int distance) {
    return distance == 1 || distance == 2;
}

/* p, of which compilers do not know where it points. */
CR_INLINE const float *tile_hidden(const float *p) {
    __asm__("" : "+r"(p));
    return p;
}

/* One input channel of one tap. All pixels share the offset x, so their addresses never change within a pass.
 */
CR_INLINE void tile_step(int pixels, int blocks, int distance, const float *const *input, ptrdiff_t x,
                         const float *weights, cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    cr_vec w[CR_DIRECT_TILE_BLOCKS];
    /* The next tap of a plain pixel is a tap of the next pixel, too: compilers would keep it, in a register
     * that only tiles of one block have. */
    const bool hides = tile_is_plain(distance) && blocks > 1;
    const float *const first = hides ? tile_hidden(input[0] + x) : NULL;
    CR_UNROLL
    for (int b = 0; b < blocks; b++)
        w[b] = cr_held(cr_load(weights + b * CR_LANES));
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        const cr_vec v = cr_broadcast(hides ? first[i * distance] : tile_pixel(distance, input, i)[x]);
        CR_UNROLL
        for (int b = 0; b < blocks; b++)
            acc[i][b] = cr_fma(v, w[b], acc[i][b]);
    }
}

/* ahead: floats to the weights that will be read after these. They are fetched now: a pass that leaves taps
 * out reads short pieces far apart, which the hardware's prefetcher does not follow. */
CR_INLINE void tile_lanes(int pixels, int blocks, int distance, const float *const *input, ptrdiff_t x,
                          int64_t lanes, const float *weights, ptrdiff_t ahead,
                          cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    const int step = blocks * CR_LANES;
    for (; lanes >= 4; lanes -= 4, x += 4, weights += 4 * step) {
        CR_UNROLL
        for (int i = 0; i < 4 * step; i += TILE_LINE)
            __builtin_prefetch(weights + ahead + i);
        CR_UNROLL
        for (int l = 0; l < 4; l++)
            tile_step(pixels, blocks, distance, input, x + l, weights + l * step, acc);
    }
    if (distance == 0 && lanes == 3) { /* colours of a plain input */
        CR_UNROLL
        for (int l = 0; l < 3; l++)
            tile_step(pixels, blocks, distance, input, x + l, weights + l * step, acc);
        return;
    }
    for (; lanes > 0; lanes--, x++, weights += step)
        tile_step(pixels, blocks, distance, input, x, weights, acc);
}

/* Floats from the output of pixel 0 to that of pixel i; `place` is that of the pixel before. */
CR_INLINE ptrdiff_t next_place(int distance, const cr_direct_pass *pass, int i, ptrdiff_t place) {
    if (distance == 0)
        return pass->places[i];
    return i == 0 ? 0 : place + pass->place_step;
}

CR_INLINE void add_residual(int pixels, int blocks, int distance, const cr_direct_pass *pass,
                            cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    ptrdiff_t place = 0;
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        place = next_place(distance, pass, i, place);
        CR_UNROLL
        for (int b = 0; b < blocks; b++)
            acc[i][b] += cr_load(pass->residual + b * pass->output_block + place);
    }
}

CR_INLINE void raise(int pixels, int blocks, cr_vec low, cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        CR_UNROLL
        for (int b = 0; b < blocks; b++)
            acc[i][b] = cr_max(low, acc[i][b]);
    }
}

CR_INLINE void lower(int pixels, int blocks, cr_vec high, cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        CR_UNROLL
        for (int b = 0; b < blocks; b++)
            acc[i][b] = cr_min(high, acc[i][b]);
    }
}

CR_INLINE void tile_finish(int pixels, int blocks, int distance, const cr_direct_pass *pass,
                           cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    ptrdiff_t place = 0;
    if (pass->residual != NULL)
        add_residual(pixels, blocks, distance, pass, acc);
    if (!SPARE_REGISTERS || pass->low > -INFINITY)
        raise(pixels, blocks, cr_broadcast(pass->low), acc);
    if (!SPARE_REGISTERS || pass->high < INFINITY)
        lower(pixels, blocks, cr_broadcast(pass->high), acc);
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        place = next_place(distance, pass, i, place);
        CR_UNROLL
        for (int b = 0; b < blocks; b++)
            cr_store(pass->output + b * pass->output_block + place, acc[i][b]);
    }
}

CR_INLINE void tile_bias(int pixels, int blocks, const cr_direct_pass *pass,
                         cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    CR_UNROLL
    for (int b = 0; b < blocks; b++) {
        const cr_vec start = cr_load(pass->start + b * pass->start_block);
        CR_UNROLL
        for (int i = 0; i < pixels; i++)
            acc[i][b] = start;
    }
}

CR_INLINE void tile_start(int pixels, int blocks, const cr_direct_pass *pass,
                          cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    if (pass->start_slot == 0) {
        tile_bias(pixels, blocks, pass, acc);
        return;
    }
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        CR_UNROLL
        for (int b = 0; b < blocks; b++)
            acc[i][b] = cr_load(pass->start + pass->slots[i] * pass->start_slot + b * pass->start_block);
    }
}

/* Sums that wait for another pass or for their activation. */
CR_INLINE void tile_stop(int pixels, int blocks, const cr_direct_pass *pass,
                         cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    CR_UNROLL
    for (int i = 0; i < pixels; i++) {
        CR_UNROLL
        for (int b = 0; b < blocks; b++)
            cr_store(pass->sums + (b * CR_TILE_PIXELS + pass->slots[i]) * CR_LANES, acc[i][b]);
    }
}

/* Large maps come from memory and go to it, and the hardware's prefetcher does not keep up with as many
 * streams as there are blocks. */
CR_INLINE void fetch_input(int pixels, int distance, const float *const *input, ptrdiff_t x) {
    CR_UNROLL
    for (int i = 0; i < pixels; i++)
        __builtin_prefetch(tile_pixel(distance, input, i) + x);
}

/* One copy for all tiles, which call it before they hold anything in registers. */
static __attribute__((noinline)) void fetch_output(int pixels, int blocks, const cr_direct_pass *pass) {
    for (int b = 0; b < blocks; b++) {
        const ptrdiff_t next = b * pass->output_block + pass->output_ahead;
        for (int i = 0; i < pixels; i++)
            __builtin_prefetch(pass->output + next + i * CR_LANES, 1);
        for (int i = 0; i < pixels && pass->residual != NULL; i++)
            __builtin_prefetch(pass->residual + next + i * CR_LANES);
    }
}

/* The weights of the output tile after this one, a part of them with each tap: otherwise its first tile of
 * pixels would wait for all of them. They go to the second-level cache. */
CR_INLINE void fetch_weights(const float *from, int64_t lines) {
    for (int64_t i = 0; i < lines; i++)
        __builtin_prefetch(from + i * TILE_LINE, 0, 2);
}

CR_INLINE void tile_blocks(int pixels, int blocks, int distance, const cr_direct_pass *pass,
                           const float *const *input, cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    const int64_t lines = pass->fetch < pass->fetch_end ? pass->fetch_lines : 0;
    for (int64_t c = 0; c < pass->input_blocks; c++) {
        const int64_t first = c == 0 ? pass->first_lane : 0;
        const int64_t lanes = (c == pass->input_blocks - 1 ? pass->last_lanes : pass->lanes) - first;
        const float *weights = pass->weights + c * pass->weights_step + first * blocks * CR_LANES;
        for (int64_t t = 0; t < pass->n_taps; t++) {
            const ptrdiff_t now = pass->taps[t].weights;
            const ptrdiff_t next = t + 1 < pass->n_taps ? pass->taps[t + 1].weights : pass->weights_step;
            const ptrdiff_t x = c * pass->input_step + pass->taps[t].input;
            if (__builtin_expect(pass->taps[t].ahead != 0, 0))
                fetch_input(pixels, distance, input, x + pass->taps[t].ahead);
            fetch_weights(pass->fetch + (c * pass->n_taps + t) * lines * TILE_LINE, lines);
            tile_lanes(pixels, blocks, distance, input, x + first, lanes, weights + now, next - now, acc);
        }
    }
}

/* The same of plain input, whose lanes are the taps along its width, and whose weights are few. */
CR_INLINE void tile_plain(int pixels, int blocks, int distance, const cr_direct_pass *pass,
                          const float *const *input, cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    const int step = blocks * CR_LANES;
    const int64_t lanes = pass->lanes, n_taps = pass->n_taps;
    for (int64_t c = 0; c < pass->input_blocks; c++)
        for (int64_t t = 0; t < n_taps; t++) {
            const float *weights = pass->weights + c * pass->weights_step + pass->taps[t].weights;
            const ptrdiff_t x = c * pass->input_step + pass->taps[t].input;
            if (lanes == 3) {
                CR_UNROLL
                for (int l = 0; l < 3; l++)
                    tile_step(pixels, blocks, distance, input, x + l, weights + l * step, acc);
                continue;
            }
            for (int64_t l = 0; l < lanes; l++)
                tile_step(pixels, blocks, distance, input, x + l, weights + l * step, acc);
        }
}

/* The same of a single pixel, for which the weights stream by once: from afar, and as fast as they come only
 * if no multiply-add waits for the last one. */
CR_INLINE void tile_single(int blocks, const cr_direct_pass *pass, const float *input, cr_vec *acc) {
    enum { CHAINS = 4, AHEAD = 2048 };
    const int step = blocks * CR_LANES;
    cr_vec sums[CHAINS][CR_DIRECT_TILE_BLOCKS] = {0};
    for (int64_t c = 0; c < pass->input_blocks; c++) {
        const int64_t first = c == 0 ? pass->first_lane : 0;
        const int64_t lanes = c == pass->input_blocks - 1 ? pass->last_lanes : pass->lanes;
        for (int64_t t = 0; t < pass->n_taps; t++) {
            const float *x = input + c * pass->input_step + pass->taps[t].input;
            const float *weights = pass->weights + c * pass->weights_step + pass->taps[t].weights;
            for (int64_t l = first; l < lanes; l += CHAINS) {
                CR_UNROLL
                for (int i = 0; i < CHAINS * step; i += TILE_LINE)
                    __builtin_prefetch(weights + l * step + AHEAD + i);
                CR_UNROLL
                for (int k = 0; k < CHAINS; k++) {
                    if (l + k >= lanes)
                        break;
                    CR_UNROLL
                    for (int b = 0; b < blocks; b++)
                        sums[k][b] = cr_fma(cr_broadcast(x[l + k]),
                                            cr_load(weights + (l + k) * step + b * CR_LANES), sums[k][b]);
                }
            }
        }
    }
    CR_UNROLL
    for (int b = 0; b < blocks; b++)
        acc[b] += (sums[0][b] + sums[1][b]) + (sums[2][b] + sums[3][b]);
}

CR_INLINE void tile_end(int pixels, int blocks, int distance, cr_direct_pass *pass,
                        cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    if (pass->sums == NULL)
        tile_finish(pixels, blocks, distance, pass, acc);
    else
        tile_stop(pixels, blocks, pass, acc);
    if (pass->fetch < pass->fetch_end)
        pass->fetch += pass->fetch_lines * pass->n_taps * pass->input_blocks * TILE_LINE;
}

CR_INLINE void tile_one(int pixels, int blocks, int distance, cr_direct_pass *pass) {
    cr_vec acc[CR_TILE_PIXELS][CR_DIRECT_TILE_BLOCKS];
    if (__builtin_expect(pass->output_ahead != 0, 0))
        fetch_output(pixels, blocks, pass);
    const float *input[CR_TILE_PIXELS];
    CR_UNROLL
    for (int i = 0; i < pixels; i++)
        input[i] = pass->input + pass->pixels[i];
    tile_start(pixels, blocks, pass, acc);
    if (pixels == 1)
        tile_single(blocks, pass, input[0], acc[0]);
    else if (tile_is_plain(distance))
        tile_plain(pixels, blocks, distance, pass, input, acc);
    else
        tile_blocks(pixels, blocks, distance, pass, input, acc);
    tile_end(pixels, blocks, distance, pass, acc);
}

/* tile_one for one tap, which is all there is. The rest of it would take the registers that keep a pointwise
 * convolution of few channels from waiting for addresses. */
CR_INLINE void tile_point(int pixels, int blocks, cr_direct_pass *pass) {
    cr_vec acc[CR_TILE_PIXELS][CR_DIRECT_TILE_BLOCKS];
    if (__builtin_expect(pass->output_ahead != 0, 0))
        fetch_output(pixels, blocks, pass);
    tile_bias(pixels, blocks, pass, acc);
    if (pixels == 1) {
        tile_single(blocks, pass, pass->input, acc[0]);
        tile_end(pixels, blocks, CR_LANES, pass, acc);
        return;
    }
    const float *input = pass->input, *weights = pass->weights, *fetch = pass->fetch;
    const ptrdiff_t input_step = pass->input_step, weights_step = pass->weights_step,
                    ahead = pass->taps->ahead;
    const int64_t lines = fetch < pass->fetch_end ? pass->fetch_lines : 0;
    for (int64_t left = pass->input_blocks; left > 0; left--) {
        if (__builtin_expect(ahead != 0, 0))
            fetch_input(pixels, CR_LANES, &input, ahead);
        fetch_weights(fetch, lines);
        tile_lanes(pixels, blocks, CR_LANES, &input, 0, left == 1 ? pass->last_lanes : pass->lanes, weights,
                   weights_step, acc);
        input += input_step;
        weights += weights_step;
        fetch += lines * TILE_LINE;
    }
    tile_end(pixels, blocks, CR_LANES, pass, acc);
}

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
    TILE_FUNCTION(pixels, blocks, scaling)
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
              tiles[CR_DIRECT_SCALING], tiles[CR_DIRECT_PLAIN], tiles[CR_DIRECT_PLAIN_SKIPPING]},
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
