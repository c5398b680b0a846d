/* Max and average pooling for one instruction set; see blocked.h. */
#include <math.h>

#include "runtime/kernels/blocked/blocked.h"
#include "runtime/kernels/vec_tmpl.h"

/* Output pixels that share a loop over the taps. */
enum { POOL_RUN = 8 };

/* An output line: the taps of depth and height that read inside, and its input. */
typedef struct pool_line {
    const cr_conv_geometry *g;
    const float *first;             /* input line of the first such tap, column 0 */
    int64_t z_taps, y_taps;         /* none: both 0 */
    int64_t z_step, y_step;         /* floats */
    int64_t inner_begin, inner_end; /* outputs whose taps of width all read inside */
} pool_line;

CR_INLINE cr_vec pool_add(bool max, cr_vec acc, cr_vec x) {
    return max ? cr_max(acc, x) : acc + x;
}

/* acc[p] over the taps [begin, end) of width, for run outputs whose first tap stands at `column`. */
CR_INLINE void pool_run(bool max, int run, const pool_line *line, int64_t column, int64_t begin, int64_t end,
                        cr_vec *acc) {
    const int64_t step = line->g->stride[CR_W] * CR_LANES, tap_step = line->g->dilation[CR_W] * CR_LANES;
    CR_UNROLL
    for (int p = 0; p < run; p++)
        acc[p] = max ? cr_broadcast(-INFINITY) : (cr_vec){0};
    for (int64_t z = 0; z < line->z_taps; z++)
        for (int64_t y = 0; y < line->y_taps; y++) {
            const float *row = line->first + z * line->z_step + y * line->y_step + column * CR_LANES;
            for (int64_t t = begin; t < end; t++) {
                CR_UNROLL
                for (int p = 0; p < run; p++)
                    acc[p] = pool_add(max, acc[p], cr_load(row + t * tap_step + p * step));
            }
        }
}

/* Reciprocal of what an average divides by, 0 for an empty window. */
static float pool_share(const cr_pooling *pool, const pool_line *line, const int64_t out[CR_CONV_RANK],
                        int64_t taps) {
    int64_t count = line->z_taps * line->y_taps * taps;
    if (count > 0 && pool->count_include_pad) {
        count = 1;
        for (int axis = 0; axis < CR_CONV_RANK; axis++) {
            const cr_conv_geometry *g = line->g;
            const int64_t room =
                g->in[axis] + pool->pad_end[axis] - (out[axis] * g->stride[axis] - g->pad[axis]);
            const int64_t fit = (room + g->dilation[axis] - 1) / g->dilation[axis];
            count *= fit < g->kernel[axis] ? fit : g->kernel[axis];
        }
    }
    return count > 0 ? 1.0f / (float)count : 0;
}

/* One output whose window may hang over the border; stored, scaled for an average. */
CR_INLINE void pool_border(bool max, const cr_pooling *pool, const pool_line *line, int64_t out[CR_CONV_RANK],
                           float *to) {
    int64_t begin, end;
    cr_vec acc;
    cr_conv_taps(line->g, CR_W, out[CR_W], &begin, &end);
    pool_run(max, 1, line, out[CR_W] * line->g->stride[CR_W] - line->g->pad[CR_W], begin, end, &acc);
    const int64_t taps = end > begin ? end - begin : 0;
    cr_store(to, max ? acc : acc * cr_broadcast(pool_share(pool, line, out, taps)));
}

CR_INLINE void pool_inner(bool max, const cr_pooling *pool, const pool_line *line, int64_t out[CR_CONV_RANK],
                          float *to) {
    const cr_conv_geometry *g = line->g;
    const cr_vec share = cr_broadcast(pool_share(pool, line, out, g->kernel[CR_W]));
    cr_vec acc[POOL_RUN];
    pool_run(max, POOL_RUN, line, out[CR_W] * g->stride[CR_W] - g->pad[CR_W], 0, g->kernel[CR_W], acc);
    CR_UNROLL
    for (int p = 0; p < POOL_RUN; p++)
        cr_store(to + p * CR_LANES, max ? acc[p] : acc[p] * share);
}

CR_INLINE void pool_one_line(bool max, const cr_pooling *pool, const pool_line *line, int64_t z, int64_t y,
                             float *to) {
    int64_t out[CR_CONV_RANK] = {z, y, 0};
    for (int64_t x = 0; x < line->g->out[CR_W];) {
        out[CR_W] = x;
        if (x >= line->inner_begin && x + POOL_RUN <= line->inner_end) {
            pool_inner(max, pool, line, out, to + x * CR_LANES);
            x += POOL_RUN;
        } else {
            pool_border(max, pool, line, out, to + x * CR_LANES);
            x++;
        }
    }
}

static void pool_place(pool_line *line, const float *plane, int64_t z, int64_t y) {
    const cr_conv_geometry *g = line->g;
    int64_t z_begin, z_end, y_begin, y_end;
    cr_conv_taps(g, CR_D, z, &z_begin, &z_end);
    cr_conv_taps(g, CR_H, y, &y_begin, &y_end);
    line->z_taps = line->y_taps = 0;
    if (z_end <= z_begin || y_end <= y_begin)
        return;
    line->z_taps = z_end - z_begin;
    line->y_taps = y_end - y_begin;
    const int64_t iz = z * g->stride[CR_D] - g->pad[CR_D] + z_begin * g->dilation[CR_D];
    const int64_t iy = y * g->stride[CR_H] - g->pad[CR_H] + y_begin * g->dilation[CR_H];
    line->first = plane + (iz * g->in[CR_H] + iy) * g->in[CR_W] * CR_LANES;
}

CR_INLINE void pool_lines(bool max, const cr_pooling *pool, const float *in, float *out, int64_t begin,
                          int64_t end) {
    const cr_conv_geometry *g = &pool->geometry;
    const int64_t in_plane = g->in[CR_D] * g->in[CR_H] * g->in[CR_W] * CR_LANES;
    pool_line line = {.g = g};
    line.y_step = g->dilation[CR_H] * g->in[CR_W] * CR_LANES;
    line.z_step = g->dilation[CR_D] * g->in[CR_H] * g->in[CR_W] * CR_LANES;
    int64_t unused;
    cr_conv_reach(g, CR_W, 0, &line.inner_begin, &unused);
    cr_conv_reach(g, CR_W, g->kernel[CR_W] - 1, &unused, &line.inner_end);
    for (int64_t i = begin; i < end; i++) {
        const int64_t y = i % g->out[CR_H], z = i / g->out[CR_H] % g->out[CR_D];
        pool_place(&line, in + i / g->out[CR_H] / g->out[CR_D] * in_plane, z, y);
        pool_one_line(max, pool, &line, z, y, out + i * g->out[CR_W] * CR_LANES);
    }
}

static void max_pool(const cr_pooling *pool, const float *in, float *out, int64_t begin, int64_t end) {
    pool_lines(true, pool, in, out, begin, end);
}

static void average_pool(const cr_pooling *pool, const float *in, float *out, int64_t begin, int64_t end) {
    pool_lines(false, pool, in, out, begin, end);
}

/* Chains that run side by side, and pixels summed by each before their sums join the total: both keep
 * rounding from growing with the number of pixels. */
enum { AVERAGE_CHAINS = 8, AVERAGE_STEP = 512 };

CR_INLINE cr_vec sum_pixels(const float *from, int64_t pixels) {
    cr_vec acc[AVERAGE_CHAINS];
    CR_UNROLL
    for (int c = 0; c < AVERAGE_CHAINS; c++)
        acc[c] = (cr_vec){0};
    for (; pixels >= AVERAGE_CHAINS; pixels -= AVERAGE_CHAINS, from += AVERAGE_CHAINS * CR_LANES) {
        CR_UNROLL
        for (int c = 0; c < AVERAGE_CHAINS; c++)
            acc[c] += cr_load(from + c * CR_LANES);
    }
    for (; pixels > 0; pixels--, from += CR_LANES)
        acc[0] += cr_load(from);
    return ((acc[0] + acc[1]) + (acc[2] + acc[3])) + ((acc[4] + acc[5]) + (acc[6] + acc[7]));
}

static void global_average(const cr_blocked_shape *shape, const float *in, float *out, int64_t begin,
                           int64_t end) {
    const cr_vec share = cr_broadcast(shape->pixels > 0 ? 1.0f / (float)shape->pixels : 0);
    for (int64_t plane = begin; plane < end; plane++) {
        const float *from = in + plane * shape->pixels * CR_LANES;
        cr_vec total = {0};
        for (int64_t p = 0; p < shape->pixels; p += AVERAGE_STEP) {
            const int64_t rest = shape->pixels - p;
            total += sum_pixels(from + p * CR_LANES, rest < AVERAGE_STEP ? rest : AVERAGE_STEP);
        }
        cr_store(out + plane * CR_LANES, total * share);
    }
}
