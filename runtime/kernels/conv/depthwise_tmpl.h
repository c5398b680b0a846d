/* The bodies of depthwise and of grouped convolution for one instruction set; see conv/depthwise.h and
 * conv/grouped.h. Depthwise is a group of one channel: its input needs no permutation.
 * Before including: CR_LANES (L below), CR_SUFFIX.
 *
 * Every output is one chain of multiply-adds from the bias on, in the order of the taps, however wide the run
 * it was computed in. */
#include <math.h>

#include "runtime/kernels/conv/depthwise.h"
#include "runtime/kernels/conv/epilogue_clamp_tmpl.h"
#include "runtime/kernels/conv/grouped.h"
#include "runtime/kernels/conv/prologue_tmpl.h"

/* Runs of output pixels, in accumulators: twice the latency of a multiply-add in pixels keeps two units busy.
 * They divide the usual widths (7, 14, 28, 56, 112) where the registers allow it. */
#if CR_LANES == 16 || defined __aarch64__
enum { LONG_RUN = 14, SHORT_RUN = 7 };
#else
enum { LONG_RUN = 8, SHORT_RUN = 4 };
#endif

/* An output row of one channel block: what all its runs share. Depth and height taps that fall into the
 * padding are left out: line and weights stand at the first of z_taps x y_taps that remain, in column 0. */
typedef struct depthwise_row {
    const cr_conv_geometry *g;
    const float *line, *weights;
    const cr_grouped_span *span; /* NULL: depthwise. Its weights are read instead of the row's, from: */
    int64_t first_tap_row;       /* of the kernel, over depth and height */
    int64_t z_taps, y_taps;
    int64_t line_z_step, line_y_step, weights_z_step, weights_y_step; /* floats from a tap to the next */
    const cr_epilogue *epilogue;
    const float *bias;             /* of the block, for pixels that see all taps of the width; or NULL */
    const float *border;           /* border bias of the row's first column class, or NULL */
    bool fetches;                  /* what the next row is the first to read */
    float low, high;               /* what the sums are clamped to as they are stored */
    int64_t long_end;              /* what is left from here on is for short runs */
    int64_t last_long, last_short; /* where the last run of each length may begin */
    int64_t channel;               /* first of the block */
    int64_t offset;                /* of the row in the output, floats */
    float *output;
    float *means; /* of the plane's rows, or NULL */
} depthwise_row;

/* A run; constants wherever this is inlined. taps 0: extents by the geometry. */
typedef struct depthwise_run {
    int length;
    int taps, stride;
    int left, right; /* columns of the input that stand in the padding: none are read. Or CHECKED: any may */
} depthwise_run;

enum { CHECKED = -1 };

static const float zero_pixel[CR_LANES];

/* line: column 0, or of a run that is not checked the first column that is read. */
CR_INLINE cr_vec input_pixel(depthwise_run run, const float *line, int64_t column, int64_t j, int64_t width) {
    if (run.left != CHECKED)
        return cr_load(line + (j - run.left) * CR_LANES);
    const bool inside = (uint64_t)(column + j) < (uint64_t)width;
    return cr_load(inside ? line + (column + j) * CR_LANES : zero_pixel);
}

/* acc[p] += the taps of one kernel row. Extents known when this is inlined: each input pixel is loaded once
 * and given to every output that it touches. index NULL: lanes as they are. */
CR_INLINE void add_taps_known(depthwise_run run, const float *line, int64_t column, int64_t width,
                              const float *weights, const cr_ivec *index, cr_vec *acc) {
    const int skip = run.left == CHECKED ? 0 : run.left, cut = run.left == CHECKED ? 0 : run.right;
    cr_vec w[8];
    CR_UNROLL
    for (int t = 0; t < run.taps; t++)
        w[t] = cr_load(weights + t * CR_LANES);
    CR_UNROLL
    for (int j = skip; j < (run.length - 1) * run.stride + run.taps - cut; j++) {
        cr_vec x = cr_held(input_pixel(run, line, column, j, width));
        if (index != NULL)
            x = cr_permute(x, *index);
        CR_UNROLL
        for (int t = 0; t < run.taps; t++)
            if (j >= t && (j - t) % run.stride == 0 && (j - t) / run.stride < run.length)
                acc[(j - t) / run.stride] = cr_fma(x, w[t], acc[(j - t) / run.stride]);
    }
}

/* The same for any extents. */
CR_INLINE void add_taps_any(depthwise_run run, const cr_conv_geometry *g, const float *line, int64_t column,
                            const float *weights, const cr_ivec *index, cr_vec *acc) {
    const int64_t stride = g->stride[CR_W], width = g->in[CR_W];
    for (int64_t t = 0; t < g->kernel[CR_W]; t++) {
        const cr_vec w = cr_load(weights + t * CR_LANES);
        CR_UNROLL
        for (int p = 0; p < run.length; p++) {
            const cr_vec x = input_pixel(run, line, column, t * g->dilation[CR_W] + p * stride, width);
            acc[p] = cr_fma(index != NULL ? cr_permute(x, *index) : x, w, acc[p]);
        }
    }
}

/* acc[p] += one kernel row. */
CR_INLINE void add_kernel_row(depthwise_run run, const cr_conv_geometry *g, const float *line, int64_t column,
                              const float *weights, const cr_ivec *index, cr_vec *acc) {
    if (run.taps)
        add_taps_known(run, line, column, g->in[CR_W], weights, index, acc);
    else
        add_taps_any(run, g, line, column, weights, index, acc);
}

CR_INLINE void add_channel(depthwise_run run, const depthwise_row *row, const float *line, int64_t column,
                           cr_vec *acc) {
    const float *weights = row->weights;
    for (int64_t z = 0; z < row->z_taps; z++, line += row->line_z_step, weights += row->weights_z_step) {
        const float *from = line, *w = weights;
        for (int64_t y = row->y_taps; y > 0; y--, from += row->line_y_step, w += row->weights_y_step)
            add_kernel_row(run, row->g, from, column, w, NULL, acc);
    }
}

/* The terms of one input block, for one row of the kernel. */
CR_INLINE void add_terms(depthwise_run run, const cr_conv_geometry *g, const float *line, int64_t column,
                         int64_t terms, const float *weights, const int32_t *index, cr_vec *acc) {
    const int64_t step = (run.taps ? run.taps : g->kernel[CR_W]) * CR_LANES;
    for (; terms > 0; terms--, weights += step, index += CR_LANES) {
        const cr_ivec lanes = cr_load_int(index);
        add_kernel_row(run, g, line, column, weights, &lanes, acc);
    }
}

CR_INLINE void add_group(depthwise_run run, const depthwise_row *row, const float *line, int64_t column,
                         cr_vec *acc) {
    const cr_conv_geometry *g = row->g;
    const float *weights = row->span->weights;
    const int32_t *index = row->span->index;
    const int64_t kernel_rows = g->kernel[CR_D] * g->kernel[CR_H];
    for (int64_t b = 0; b < row->span->blocks; b++, line += row->span->block_step) {
        const int64_t terms = row->span->terms[b], step = terms * g->kernel[CR_W] * CR_LANES;
        for (int64_t z = 0; z < row->z_taps; z++)
            for (int64_t y = 0; y < row->y_taps; y++)
                add_terms(run, g, line + z * row->line_z_step + y * row->line_y_step, column, terms,
                          weights + (row->first_tap_row + z * g->kernel[CR_H] + y) * step, index, acc);
        weights += kernel_rows * step;
        index += terms * CR_LANES;
    }
}

/* Where the bias of a pixel stands. */
static const float *border_bias_at(const depthwise_row *row, int64_t x) {
    const int64_t step = (row->g->oc + CR_LANES - 1) / CR_LANES * CR_LANES;
    return row->border + cr_conv_border_class(row->g, CR_W, x) * step + row->channel;
}

/* The bias of the inner columns stands nowhere where there are none: then every run is checked. */
CR_INLINE void start_run(depthwise_run run, const depthwise_row *row, int64_t x, int used, cr_vec *acc) {
    const bool each = run.left == CHECKED && row->border != NULL;
    const cr_vec bias = !each && row->bias != NULL ? cr_load(row->bias) : (cr_vec){0};
    CR_UNROLL
    for (int p = 0; p < run.length; p++)
        acc[p] = each && p < used ? cr_load(border_bias_at(row, x + p)) : bias;
}

/* One copy for all runs. */
static __attribute__((noinline)) void finish_run(float *sums, const depthwise_row *row, int64_t x, int used) {
    cr_finish_vectors(row->epilogue, sums, used, row->channel, row->offset + x * CR_LANES, row->output);
}

/* A residual may be the output itself, so the sums wait elsewhere until it is read. */
CR_INLINE void store_run(depthwise_run run, const cr_vec *acc, const depthwise_row *row, int64_t x,
                         int used) {
    const cr_vec low = cr_broadcast(row->low), high = cr_broadcast(row->high);
    const bool waits = row->epilogue->residual != NULL;
    float sums[LONG_RUN * CR_LANES];
    float *to = waits ? sums : row->output + row->offset + x * CR_LANES;
    CR_UNROLL
    for (int p = 0; p < run.length; p++)
        if (run.left != CHECKED || p < used)
            cr_store(to + p * CR_LANES, cr_clamp(acc[p], low, high));
    if (waits)
        finish_run(sums, row, x, used);
}

/* Large maps come from memory, and the hardware's prefetcher leaves gaps. Called for each run: a whole row at
 * once is more than the processor keeps on the way. */
CR_INLINE void fetch_ahead(depthwise_run run, const depthwise_row *row, const float *line) {
    CR_UNROLL
    for (int y = 0; y < run.stride; y++) {
        const float *ahead = line + (row->y_taps + y) * row->line_y_step;
        CR_UNROLL
        for (int j = 0; j < run.length * run.stride; j++)
            __builtin_prefetch(ahead + j * CR_LANES);
    }
}

/* Outputs [x, x + used) of a row; used < run.length only if checked. */
CR_INLINE void convolve_run(depthwise_run run, bool grouped, const depthwise_row *row, int64_t x, int used) {
    const int64_t column = x * row->g->stride[CR_W] - row->g->pad[CR_W];
    const float *line = run.left == CHECKED ? row->line : row->line + (column + run.left) * CR_LANES;
    cr_vec acc[LONG_RUN];
    if (run.length == LONG_RUN && run.left != CHECKED && run.taps != 0 && !grouped && row->fetches)
        fetch_ahead(run, row, line);
    start_run(run, row, x, used, acc);
    if (grouped)
        add_group(run, row, line, column, acc);
    else
        add_channel(run, row, line, column, acc);
    store_run(run, acc, row, x, used);
}

/* Paddings of half a kernel are not checked, nor those by which outputs times stride are as wide as the
 * input.
 */
CR_INLINE void convolve_some(int length, int taps, int stride, bool grouped, const depthwise_row *row,
                             int64_t x, int used) {
    const cr_conv_geometry *g = row->g;
    const int before = taps / 2, behind = stride == 1 ? before : before - 1;
    const bool usual = taps > 1 && row->border == NULL;
    const int64_t first = x * g->stride[CR_W] - g->pad[CR_W];
    const int64_t last = first + (length - 1) * g->stride[CR_W] + (g->kernel[CR_W] - 1) * g->dilation[CR_W];
    const int64_t left = first < 0 ? -first : 0, right = last >= g->in[CR_W] ? last - g->in[CR_W] + 1 : 0;
    if (used == length && left == 0 && right == 0)
        convolve_run((depthwise_run){length, taps, stride, 0, 0}, grouped, row, x, length);
    else if (usual && used == length && left == before && right == 0)
        convolve_run((depthwise_run){length, taps, stride, before, 0}, grouped, row, x, length);
    else if (usual && used == length && left == 0 && right == behind)
        convolve_run((depthwise_run){length, taps, stride, 0, behind}, grouped, row, x, length);
    else if (usual && used == length && left == before && right == behind)
        convolve_run((depthwise_run){length, taps, stride, before, behind}, grouped, row, x, length);
    else if (usual && stride > 1 && used == length && left == 0 && right == before)
        convolve_run((depthwise_run){length, taps, stride, 0, before}, grouped, row, x, length);
    else
        convolve_run((depthwise_run){length, taps, stride, CHECKED, CHECKED}, grouped, row, x, used);
}

CR_INLINE void convolve_run_at(int length, int taps, int stride, bool grouped, const depthwise_row *row,
                               int64_t x, int64_t last) {
    const int64_t begin = x < last ? x : last, left = row->g->out[CR_W] - begin;
    convolve_some(length, taps, stride, grouped, row, begin, left < length ? (int)left : length);
}

CR_INLINE void convolve_row(int taps, int stride, bool grouped, const depthwise_row *row) {
    const int64_t width = row->g->out[CR_W];
    int64_t x = 0;
    for (; x < row->long_end; x += LONG_RUN)
        convolve_run_at(LONG_RUN, taps, stride, grouped, row, x, row->last_long);
    for (; x < width; x += SHORT_RUN)
        convolve_run_at(SHORT_RUN, taps, stride, grouped, row, x, row->last_short);
}

typedef void depthwise_row_function(const depthwise_row *row);

#define ROW_FUNCTION(name, grouped, taps, stride)                                                            \
    static void name##_row_##taps##_##stride(const depthwise_row *row) {                                     \
        convolve_row(taps, stride, grouped, row);                                                            \
    }
ROW_FUNCTION(depthwise, false, 3, 1)
ROW_FUNCTION(depthwise, false, 3, 2)
ROW_FUNCTION(depthwise, false, 5, 1)
ROW_FUNCTION(depthwise, false, 5, 2)
ROW_FUNCTION(depthwise, false, 7, 1)
ROW_FUNCTION(depthwise, false, 0, 0)
ROW_FUNCTION(grouped, true, 1, 1)
ROW_FUNCTION(grouped, true, 3, 1)
ROW_FUNCTION(grouped, true, 3, 2)
ROW_FUNCTION(grouped, true, 0, 0)

static depthwise_row_function *choose_row(const cr_conv_geometry *g, bool grouped) {
    static const struct {
        int taps, stride;
        depthwise_row_function *depthwise, *grouped;
    } known[] = {
        {1, 1, NULL, grouped_row_1_1},
        {3, 1, depthwise_row_3_1, grouped_row_3_1},
        {3, 2, depthwise_row_3_2, grouped_row_3_2},
        {5, 1, depthwise_row_5_1, NULL},
        {5, 2, depthwise_row_5_2, NULL},
        {7, 1, depthwise_row_7_1, NULL},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        depthwise_row_function *const run = grouped ? known[i].grouped : known[i].depthwise;
        if (run != NULL && g->kernel[CR_W] == known[i].taps && g->stride[CR_W] == known[i].stride &&
            g->dilation[CR_W] == 1)
            return run;
    }
    return grouped ? grouped_row_0_0 : depthwise_row_0_0;
}

/* cr_conv_taps without its divisions where all taps are inside. */
static void row_taps(const cr_conv_geometry *g, int axis, int64_t out, int64_t *begin, int64_t *end) {
    const int64_t first = out * g->stride[axis] - g->pad[axis];
    *begin = 0;
    *end = g->kernel[axis];
    if (first < 0 || first + (g->kernel[axis] - 1) * g->dilation[axis] >= g->in[axis])
        cr_conv_taps(g, axis, out, begin, end);
}

/* Points the row at its taps: row (z, y) of the input plane and of the [taps][L] weights. */
static void place_row(depthwise_row *row, const float *plane, const float *weights, int64_t z, int64_t y) {
    const cr_conv_geometry *g = row->g;
    int64_t z_begin, z_end, y_begin, y_end;
    row_taps(g, CR_D, z, &z_begin, &z_end);
    row_taps(g, CR_H, y, &y_begin, &y_end);
    row->z_taps = z_end > z_begin && y_end > y_begin ? z_end - z_begin : 0;
    row->y_taps = y_end - y_begin;
    if (row->z_taps == 0)
        return;
    const int64_t iz = z * g->stride[CR_D] - g->pad[CR_D] + z_begin * g->dilation[CR_D];
    const int64_t iy = y * g->stride[CR_H] - g->pad[CR_H] + y_begin * g->dilation[CR_H];
    row->line = plane + (iz * g->in[CR_H] + iy) * g->in[CR_W] * CR_LANES;
    row->first_tap_row = z_begin * g->kernel[CR_H] + y_begin;
    row->weights = weights + row->first_tap_row * row->weights_y_step;
}

/* The border bias of a row, and of its pixels that see all taps of the width. */
static void place_border(depthwise_row *row, const float *border_bias, int64_t z, int64_t y) {
    const cr_conv_geometry *g = row->g;
    const int64_t step = (g->oc + CR_LANES - 1) / CR_LANES * CR_LANES;
    const int64_t class_z = cr_conv_border_class(g, CR_D, z), class_y = cr_conv_border_class(g, CR_H, y);
    const int64_t rows = class_z * cr_conv_border_classes(g, CR_H) + class_y;
    row->border = border_bias + rows * cr_conv_border_classes(g, CR_W) * step;
    int64_t begin, end; /* of the first column; the class counts how far the two have fallen together */
    cr_conv_taps(g, CR_W, 0, &begin, &end);
    row->bias = row->border + (begin + end - g->kernel[CR_W]) * step + row->channel;
}

/* Sums that one clamp finishes are stored behind it. Others that wait for no residual pass through the output
 * as they are, and are finished there when they are some, still in the nearest cache. */
static bool choose_finish(depthwise_row *row) {
    const cr_clamp_epilogue clamp = cr_clamp_epilogue_of(row->epilogue);
    const bool now = clamp.applies && clamp.residual == NULL;
    row->low = now ? clamp.low : -INFINITY;
    row->high = now ? clamp.high : INFINITY;
    return !now && clamp.residual == NULL;
}

/* Finishes what stands in the output from `begin` on up to the row's end. */
static void finish_rows(const depthwise_row *row, int64_t begin) {
    const int64_t end = row->offset + row->g->out[CR_W] * CR_LANES;
    cr_finish_vectors(row->epilogue, row->output + begin, (end - begin) / CR_LANES, row->channel, begin,
                      row->output);
}

/* The means of rows [begin, end) of the plane, which are finished; `rows` points at the first of them. A sum
 * for every fourth pixel, so that they need not wait for each other. */
static void average_rows(const depthwise_row *row, const float *rows, int64_t begin, int64_t end) {
    enum { CHAINS = 4 };
    const int64_t width = row->g->out[CR_W];
    const cr_vec part = cr_broadcast(1.0f / (float)width);
    for (int64_t r = begin; r < end; r++, rows += width * CR_LANES) {
        cr_vec sums[CHAINS] = {{0}};
        int64_t x = 0;
        for (; x + CHAINS <= width; x += CHAINS) {
            CR_UNROLL
            for (int i = 0; i < CHAINS; i++)
                sums[i] += cr_load(rows + (x + i) * CR_LANES);
        }
        for (; x < width; x++)
            sums[0] += cr_load(rows + x * CR_LANES);
        cr_store(row->means + r * CR_LANES, ((sums[0] + sums[1]) + (sums[2] + sums[3])) * part);
    }
}

enum { SOME_VECTORS = 64 }; /* that wait for an activation */

#include "runtime/kernels/conv/depthwise_narrow_tmpl.h"

/* A run that would be cut short begins earlier, if it may: an output that is computed twice has the same
 * bits. A residual, which may be the output itself, is read once. */
static void choose_runs(depthwise_row *row) {
    const int64_t width = row->g->out[CR_W];
    const bool overlaps = row->epilogue->residual == NULL;
    row->long_end = overlaps && width < LONG_RUN ? 0 : width - SHORT_RUN;
    row->last_long = overlaps && width >= LONG_RUN ? width - LONG_RUN : width;
    row->last_short = overlaps && width >= SHORT_RUN ? width - SHORT_RUN : width;
}

static void convolve_rows(depthwise_row *row, const float *border_bias, const float *plane,
                          const float *weights, int64_t begin, int64_t end) {
    enum { LARGE_BYTES = 1 << 20 };
    const cr_conv_geometry *g = row->g;
    depthwise_row_function *const run = choose_row(g, row->span != NULL);
    const bool later = choose_finish(row);
    choose_runs(row);
    const int64_t plane_offset = row->offset, width = g->out[CR_W] * CR_LANES;
    row->fetches = g->ic * g->in[CR_D] * g->in[CR_H] * g->in[CR_W] * (int64_t)sizeof(float) > LARGE_BYTES;
    row->bias = row->epilogue->bias != NULL ? row->epilogue->bias + row->channel : NULL;
    row->line_y_step = g->dilation[CR_H] * g->in[CR_W] * CR_LANES;
    row->line_z_step = g->dilation[CR_D] * g->in[CR_H] * g->in[CR_W] * CR_LANES;
    row->weights_y_step = g->kernel[CR_W] * CR_LANES;
    row->weights_z_step = g->kernel[CR_H] * row->weights_y_step;
    int64_t finished = begin; /* rows */
    int64_t z = begin / g->out[CR_H], y = begin % g->out[CR_H];
    for (int64_t r = begin; r < end; r++) {
        place_row(row, plane, weights, z, y);
        if (border_bias != NULL)
            place_border(row, border_bias, z, y);
        row->offset = plane_offset + r * width;
        run(row);
        if (++y == g->out[CR_H]) {
            y = 0;
            z++;
        }
        if ((r + 1 - finished) * width >= SOME_VECTORS * CR_LANES || r + 1 == end) {
            if (later)
                finish_rows(row, plane_offset + finished * width);
            if (row->means != NULL)
                average_rows(row, row->output + plane_offset + finished * width, finished, r + 1);
            finished = r + 1;
        }
    }
}

/* The positions [*begin, *end) of the input that outputs [*begin, *end) of an axis read, if any. */
static void input_range(const cr_conv_geometry *g, int axis, int64_t *begin, int64_t *end) {
    const int64_t reach = (g->kernel[axis] - 1) * g->dilation[axis] + 1;
    const int64_t first = *begin * g->stride[axis] - g->pad[axis];
    const int64_t last = (*end - 1) * g->stride[axis] - g->pad[axis] + reach;
    *begin = first > 0 ? first : 0;
    *end = last < g->in[axis] ? last : g->in[axis];
}

/* Input planes of blocks from first_block on behind the prologue, as far as output rows [begin, end) read
 * them. */
static const float *transform_planes(const cr_conv *conv, const cr_conv_args *args, int64_t n,
                                     int64_t first_block, int64_t blocks, int64_t begin, int64_t end,
                                     float *transformed) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t row = g->in[CR_W] * CR_LANES, plane = g->in[CR_D] * g->in[CR_H] * row;
    const int64_t all_blocks = (g->ic + CR_LANES - 1) / CR_LANES;
    if (begin == end)
        return transformed;
    int64_t z = begin / g->out[CR_H], z_end = (end - 1) / g->out[CR_H] + 1;
    const bool together = z_end == z + 1;
    int64_t y = together ? begin % g->out[CR_H] : 0, y_end = together ? end - z * g->out[CR_H] : g->out[CR_H];
    input_range(g, CR_D, &z, &z_end);
    input_range(g, CR_H, &y, &y_end);
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t i = z; i < z_end && y < y_end; i++) {
            const int64_t block = first_block + b, at = (i * g->in[CR_H] + y) * row;
            cr_prologue_vectors(args->prologue, n, block * CR_LANES,
                                args->input + (n * all_blocks + block) * plane + at,
                                transformed + b * plane + at, (y_end - y) * g->in[CR_W]);
        }
    return transformed;
}

/* The input channel of an output lane; lanes past the last have any. */
static int64_t repeated_channel(const cr_conv *conv, const cr_depthwise_plan *plan, int64_t block, int lane) {
    const int64_t wanted = (block * CR_LANES + lane) / plan->multiplier;
    return wanted < conv->geometry.ic ? wanted : conv->geometry.ic - 1;
}

/* The input plane of an output block with each channel repeated for its outputs. */
static void repeat_channels(const cr_conv *conv, const cr_depthwise_plan *plan, const float *input, int64_t n,
                            int64_t block, float *repeated) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t pixels = g->in[CR_D] * g->in[CR_H] * g->in[CR_W];
    for (int l = 0; l < CR_LANES; l++) {
        const int64_t channel = repeated_channel(conv, plan, block, l);
        const float *from = input + (n * plan->in_blocks + channel / CR_LANES) * pixels * CR_LANES;
        for (int64_t i = 0; i < pixels; i++)
            repeated[i * CR_LANES + l] = from[i * CR_LANES + channel % CR_LANES];
    }
}

/* Applies the prologue to that. */
static void transform_repeated(const cr_conv *conv, const cr_depthwise_plan *plan,
                               const cr_prologue *prologue, int64_t n, int64_t block, float *repeated) {
    const cr_conv_geometry *g = &conv->geometry;
    float scale[CR_LANES], shift[CR_LANES] = {0}, slope[CR_LANES] = {0};
    for (int l = 0; l < CR_LANES; l++) {
        const int64_t channel = repeated_channel(conv, plan, block, l),
                      at = n * prologue->batch_stride + channel;
        scale[l] = prologue->scale[at];
        if (prologue->shift != NULL)
            shift[l] = prologue->shift[at];
        if (prologue->act.kind == CR_ACT_PRELU)
            slope[l] = prologue->act.slope[channel];
    }
    cr_prologue own = {.scale = scale, .shift = shift, .act = prologue->act};
    own.act.slope = slope;
    cr_prologue_vectors(&own, 0, 0, repeated, repeated, g->in[CR_D] * g->in[CR_H] * g->in[CR_W]);
}

/* What a depthwise task reads: the input itself, or what it makes of it in the workspace. */
static const float *depthwise_input(const cr_conv *conv, const cr_depthwise_plan *plan,
                                    const cr_conv_args *args, int64_t n, int64_t block, int64_t begin,
                                    int64_t end, float *workspace) {
    const cr_conv_geometry *g = &conv->geometry;
    const cr_prologue *prologue = cr_prologue_of(args);
    if (plan->multiplier > 1) {
        repeat_channels(conv, plan, args->input, n, block, workspace);
        if (prologue != NULL)
            transform_repeated(conv, plan, prologue, n, block, workspace);
        return workspace;
    }
    if (prologue != NULL)
        return transform_planes(conv, args, n, block, 1, begin, end, workspace);
    return args->input + (n * plan->in_blocks + block) * g->in[CR_D] * g->in[CR_H] * g->in[CR_W] * CR_LANES;
}

/* Before the rows of output plane `plane`, that of channel block `block` of an image. */
CR_INLINE depthwise_row plane_row(const cr_conv_geometry *g, const cr_conv_args *args, int64_t block,
                                  int64_t plane) {
    const int64_t first = plane * g->out[CR_D] * g->out[CR_H]; /* row of all planes */
    return (depthwise_row){.g = g,
                           .epilogue = args->epilogue,
                           .output = args->output,
                           .channel = block * CR_LANES,
                           .offset = first * g->out[CR_W] * CR_LANES,
                           .means = args->row_means != NULL ? args->row_means + first * CR_LANES : NULL};
}

static void CR_NAME(depthwise_run)(const cr_conv *conv, const cr_conv_args *args, int64_t begin, int64_t end,
                                   void *workspace) {
    const cr_conv_geometry *g = &conv->geometry;
    const narrow_way narrow = choose_narrow(conv, args);
    cr_depthwise_plan plan;
    cr_depthwise_make_plan(conv, &plan);
    for (int64_t task = begin; task < end; task++) {
        const int64_t block = task % plan.out_blocks, strip = task / plan.out_blocks % plan.strips;
        const int64_t n = task / plan.out_blocks / plan.strips, plane = n * plan.out_blocks + block;
        depthwise_row row = plane_row(g, args, block, plane);
        const float *weights = (const float *)args->packed + block * plan.taps * CR_LANES;
        const int64_t first = plan.rows * strip / plan.strips, last = plan.rows * (strip + 1) / plan.strips;
        const float *input = depthwise_input(conv, &plan, args, n, block, first, last, workspace);
        if (narrow.run != NULL)
            convolve_narrow(&narrow, &row, input, weights, first, last);
        else
            convolve_rows(&row, args->border_bias, input, weights, first, last);
    }
}

const cr_conv_algorithm CR_NAME(cr_conv_depthwise) = {
    .name = "depthwise",
    .refuses = cr_depthwise_refuses,
    .cost = cr_depthwise_cost,
    .packed_bytes = cr_depthwise_packed_bytes,
    .pack = cr_depthwise_pack,
    .workspace_bytes = cr_depthwise_workspace_bytes,
    .tasks = cr_depthwise_tasks,
    .run = CR_NAME(depthwise_run),
    .row_means = true,
};

/* ---- groups of several channels ---- */

/* An output block's part of the packed weights. */
static cr_grouped_span span_at(const cr_conv *conv, const cr_grouped_plan *plan, int64_t block,
                               const float *packed) {
    const cr_conv_geometry *g = &conv->geometry;
    cr_grouped_span span;
    packed += block * plan->packed_floats;
    cr_grouped_place(conv, block, &span.first_block, &span.blocks);
    span.terms = (const int32_t *)packed;
    span.index = span.terms + plan->most_blocks;
    span.weights = packed + plan->most_blocks + plan->most_terms * CR_LANES;
    span.block_step = g->in[CR_D] * g->in[CR_H] * g->in[CR_W] * CR_LANES;
    return span;
}

static void CR_NAME(grouped_run)(const cr_conv *conv, const cr_conv_args *args, int64_t begin, int64_t end,
                                 void *workspace) {
    const cr_conv_geometry *g = &conv->geometry;
    cr_grouped_plan plan;
    cr_grouped_make_plan(conv, &plan);
    for (int64_t task = begin; task < end; task++) {
        const int64_t block = task % plan.out_blocks, strip = task / plan.out_blocks % plan.strips;
        const int64_t n = task / plan.out_blocks / plan.strips, plane = n * plan.out_blocks + block;
        const cr_grouped_span span = span_at(conv, &plan, block, args->packed);
        const float *input = args->input + (n * plan.in_blocks + span.first_block) * span.block_step;
        depthwise_row row = plane_row(g, args, block, plane);
        row.span = &span;
        const int64_t first = plan.rows * strip / plan.strips, last = plan.rows * (strip + 1) / plan.strips;
        if (cr_prologue_of(args) != NULL)
            input = transform_planes(conv, args, n, span.first_block, span.blocks, first, last, workspace);
        convolve_rows(&row, args->border_bias, input, span.weights, first, last);
    }
}

const cr_conv_algorithm CR_NAME(cr_conv_grouped) = {
    .name = "grouped",
    .refuses = cr_grouped_refuses,
    .cost = cr_grouped_cost,
    .packed_bytes = cr_grouped_packed_bytes,
    .pack = cr_grouped_pack,
    .workspace_bytes = cr_grouped_workspace_bytes,
    .tasks = cr_grouped_tasks,
    .run = CR_NAME(grouped_run),
    .row_means = true,
};
