/* What a tile function of direct convolution does with its sums in registers: start, multiply and add,
 * finish; see direct.h. For direct_tmpl.h, which says what to define before. */
#include <math.h>

#include "runtime/kernels/conv/direct.h"
#include "runtime/kernels/vec_tmpl.h"

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

/* ahead: floats to the weights that will be read after these. For pixels apart they are fetched now: most of
 * their passes leave taps out and read short pieces far apart, which the hardware's prefetcher does not
 * follow. Elsewhere, fetching what it does follow would cost up to 5 %. */
CR_INLINE void tile_lanes(int pixels, int blocks, int distance, const float *const *input, ptrdiff_t x,
                          int64_t lanes, const float *weights, ptrdiff_t ahead,
                          cr_vec acc[][CR_DIRECT_TILE_BLOCKS]) {
    const int step = blocks * CR_LANES, fetched = distance == 0 ? 4 * step : 0;
    for (; lanes >= 4; lanes -= 4, x += 4, weights += 4 * step) {
        CR_UNROLL
        for (int i = 0; i < fetched; i += TILE_LINE)
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
