/* The loops around the products of tiles; see amx.h. */
#include <string.h>

#include "runtime/base/whole.h"
#include "runtime/kernels/conv/amx.h"

enum { VECTOR_BYTES = 64, LINE_FLOATS = VECTOR_BYTES / sizeof(float) };
enum { MAX_SUMS = 2 * CR_AMX_PIXELS * 2 * CR_AMX_LANES };

/* A chunk, and its copy: [pair of input blocks][plane][phase][row][pixel]. Output pixels are counted row
 * after row, row.pitch in each, of which the last stand for no pixel. */
typedef struct chunk {
    int64_t n, d, y, x, rows, columns;
    int64_t first_plane, planes; /* the taps along the depth that read inside the input */
    cr_amx_row row;
    int64_t pixels;
    int64_t row_step, phase_step, plane_step, pair_step; /* numbers of the copy */
} chunk;

typedef struct walk {
    const cr_amx_plan *plan;
    const cr_amx_kernels *kernels;
    const cr_conv_args *args;
    cr_clamp_epilogue clamp;
    chunk chunk;
    cr_amx_pass pass;
    cr_amx_tap *taps;
    float *sums, *transformed; /* rows of two blocks after a prologue */
    uint16_t *copy;
} walk;

/* ---- workspace: sums, taps, parts of weights, transformed rows, the copy ---- */

/* Floats of a row of one block that a chunk reads. */
static int64_t source_row(const cr_amx_plan *plan) {
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t reach =
        (plan->widest - 1) * g->stride[CR_W] + (g->kernel[CR_W] - 1) * g->dilation[CR_W] + 1;
    return cr_within(reach, 0, g->in[CR_W]) * CR_AMX_LANES;
}

static size_t taps_bytes(const cr_amx_plan *plan) {
    return (size_t)cr_round_up(plan->taps * (int64_t)sizeof(cr_amx_tap), VECTOR_BYTES);
}

static size_t parts_bytes(const cr_amx_plan *plan) {
    return (size_t)(plan->in_pairs * plan->taps * 2 * CR_AMX_PARTS * CR_AMX_TILE) * sizeof(uint16_t);
}

size_t cr_amx_workspace_bytes(const cr_conv *conv) {
    cr_amx_plan plan;
    cr_amx_make_plan(conv, &plan);
    const size_t rows = conv->has_prologue ? 2 * (size_t)source_row(&plan) * sizeof(float) : 0;
    return MAX_SUMS * sizeof(float) + taps_bytes(&plan) + parts_bytes(&plan) + rows +
           (size_t)cr_amx_copy_numbers(&plan) * sizeof(uint16_t);
}

static void carve_workspace(walk *w, bool transforms, char *workspace) {
    w->sums = (float *)workspace;
    workspace += MAX_SUMS * sizeof(float);
    w->taps = (cr_amx_tap *)workspace;
    workspace += taps_bytes(w->plan);
    w->pass.parts = (uint16_t *)workspace;
    workspace += parts_bytes(w->plan);
    w->transformed = (float *)workspace;
    w->copy = (uint16_t *)(workspace + (transforms ? 2 * (size_t)source_row(w->plan) * sizeof(float) : 0));
}

/* ---- chunks ---- */

/* Where the chunk's outputs are. */
static void place_chunk(const cr_amx_plan *plan, int64_t index, chunk *c) {
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t part = index % plan->parts, plane = index / plan->parts;
    const int64_t extent = g->out[plan->by_columns ? CR_W : CR_H];
    const int64_t unit = plan->by_columns ? CR_AMX_UNIT : 1, units = cr_divide_up(extent, unit);
    const int64_t begin = units * part / plan->parts * unit,
                  end = cr_smaller(units * (part + 1) / plan->parts * unit, extent);
    *c = (chunk){.n = plane / g->out[CR_D], .d = plane % g->out[CR_D]};
    c->y = plan->by_columns ? 0 : begin;
    c->x = plan->by_columns ? begin : 0;
    c->rows = plan->by_columns ? g->out[CR_H] : end - begin;
    c->columns = plan->by_columns ? end - begin : g->out[CR_W];
}

static void measure_chunk(const cr_amx_plan *plan, chunk *c) {
    const cr_conv_geometry *g = &plan->geometry;
    int64_t end;
    cr_conv_taps(g, CR_D, c->d, &c->first_plane, &end);
    c->planes = cr_larger(end - c->first_plane, 0);
    c->row = cr_amx_row_of(plan, c->x, c->rows, c->columns);
    c->pixels = (c->rows - 1) * c->row.pitch + c->columns;
    c->row_step = c->row.copied * CR_AMX_RECORD;
    c->phase_step = (c->rows + plan->more_rows) * c->row_step;
    c->plane_step = plan->phases * c->phase_step;
    c->pair_step = c->planes * c->plane_step;
}

static void clear(uint16_t *records, int64_t n) {
    memset(records, 0, (size_t)(n * CR_AMX_RECORD) * sizeof *records);
}

/* Pixels inside the input of one row of a pair of blocks. */
static void split_row(walk *w, int64_t pair, const float *const *rows, uint16_t *to) {
    const cr_amx_plan *plan = w->plan;
    const chunk *c = &w->chunk;
    const cr_prologue *prologue = w->args->prologue;
    const float *from[2] = {rows[0], rows[1]};
    const int64_t channels = plan->geometry.ic - pair * CR_AMX_CHANNELS;
    const int64_t read = (c->row.inside - 1) * plan->source_step + 1;
    for (int b = 0; b < 2 && prologue != NULL && prologue->scale != NULL && from[b] != NULL; b++) {
        float *transformed = w->transformed + b * read * CR_AMX_LANES;
        w->kernels->transform(prologue, c->n, (2 * pair + b) * CR_AMX_LANES, rows[b], transformed, read);
        from[b] = transformed;
    }
    w->kernels->split(from[0], from[1], c->row.inside, plan->source_step * CR_AMX_LANES,
                      (int)cr_smaller(channels, CR_AMX_CHANNELS), to);
}

/* One row of the copy. */
static void copy_row(walk *w, int64_t pair, int64_t d, int64_t y, uint16_t *to) {
    const cr_amx_plan *plan = w->plan;
    const cr_conv_geometry *g = &plan->geometry;
    const chunk *c = &w->chunk;
    if (y < 0 || y >= g->in[CR_H] || c->row.inside == 0) {
        clear(to, c->row.copied);
        return;
    }
    const int64_t plane = cr_conv_volume(g->in) * CR_AMX_LANES;
    const int64_t x = c->x * g->stride[CR_W] - g->pad[CR_W] + c->row.lead * plan->source_step;
    const float *row = w->args->input + (c->n * plan->in_blocks + 2 * pair) * plane +
                       ((d * g->in[CR_H] + y) * g->in[CR_W] + x) * CR_AMX_LANES;
    const float *rows[2] = {row, 2 * pair + 1 < plan->in_blocks ? row + plane : NULL};
    const int64_t end = c->row.lead + c->row.inside;
    clear(to, c->row.lead);
    split_row(w, pair, rows, to + c->row.lead * CR_AMX_RECORD);
    clear(to + end * CR_AMX_RECORD, c->row.copied - end);
}

static void copy_input(walk *w) {
    const cr_amx_plan *plan = w->plan;
    const cr_conv_geometry *g = &plan->geometry;
    const chunk *c = &w->chunk;
    uint16_t *to = w->copy;
    for (int64_t pair = 0; pair < plan->in_pairs; pair++)
        for (int64_t plane = c->first_plane; plane < c->first_plane + c->planes; plane++) {
            const int64_t d = c->d * g->stride[CR_D] + plane * g->dilation[CR_D] - g->pad[CR_D];
            for (int64_t phase = 0; phase < plan->phases; phase++)
                for (int64_t row = 0; row < c->rows + plan->more_rows; row++, to += c->row_step)
                    copy_row(w, pair, d, (c->y + row) * g->stride[CR_H] + phase - g->pad[CR_H], to);
        }
    clear(to, cr_amx_pixels_past(plan));
}

static void list_taps(walk *w) {
    const cr_conv_geometry *g = &w->plan->geometry;
    const chunk *c = &w->chunk;
    const ptrdiff_t step = CR_AMX_TILE;
    cr_amx_tap *tap = w->taps;
    ptrdiff_t weights = c->first_plane * g->kernel[CR_H] * g->kernel[CR_W] * step;
    for (int64_t plane = 0; plane < c->planes; plane++)
        for (int64_t ky = 0; ky < g->kernel[CR_H]; ky++) {
            const int64_t y = ky * g->dilation[CR_H], stride = g->stride[CR_H];
            const int64_t row = plane * c->plane_step + y % stride * c->phase_step + y / stride * c->row_step;
            for (int64_t kx = 0; kx < g->kernel[CR_W]; kx++, weights += step)
                *tap++ = (cr_amx_tap){row + kx * g->dilation[CR_W] * CR_AMX_RECORD, weights};
        }
    w->pass.taps = w->taps;
    w->pass.n_taps = tap - w->taps;
}

/* ---- outputs ---- */

/* n neighbouring pixels of a row of one output block. */
static void finish_run(const walk *w, int64_t block, int64_t y, int64_t x, float *sums, int64_t n) {
    const cr_conv_geometry *g = &w->plan->geometry;
    const chunk *c = &w->chunk;
    const int64_t channel = block * CR_AMX_LANES, padded = w->plan->out_blocks * CR_AMX_LANES;
    const int64_t plane = ((c->n * w->plan->out_blocks + block) * g->out[CR_D] + c->d) * g->out[CR_H];
    int64_t offset = ((plane + c->y + y) * g->out[CR_W] + c->x + x) * CR_AMX_LANES;
    if (w->args->border_bias == NULL) {
        w->kernels->finish(w->args->epilogue, &w->clamp, sums, n, channel, offset, w->args->output);
        return;
    }
    cr_epilogue epilogue = *w->args->epilogue;
    cr_clamp_epilogue clamp = w->clamp;
    const int64_t row = cr_conv_border_row(g, c->d, c->y + y, 0); /* whose class along the width is 0 */
    for (int64_t i = 0; i < n; i++, sums += CR_AMX_LANES, offset += CR_AMX_LANES) {
        epilogue.bias = clamp.bias =
            w->args->border_bias + (row + cr_conv_border_class(g, CR_W, c->x + x + i)) * padded;
        w->kernels->finish(&epilogue, &clamp, sums, 1, channel, offset, w->args->output);
    }
}

/* The sums of pixels [begin, end) of one output block, but for those that stand for no pixel. */
static void finish_tiles(const walk *w, int64_t block, int64_t begin, int64_t end, float *sums) {
    const chunk *c = &w->chunk;
    for (int64_t i = begin, n; i < end; i += n) {
        const int64_t y = i / c->row.pitch, x = i % c->row.pitch;
        n = cr_smaller(c->row.pitch - x, end - i);
        if (x < c->columns)
            finish_run(w, block, y, x, sums + (i - begin) * CR_AMX_LANES, cr_smaller(c->columns - x, n));
    }
}

/* Tiles [tile, tile + rows) of pixels and `columns` output blocks. */
static void run_pass(walk *w, int64_t block, int columns, int64_t tile, int rows) {
    const int64_t begin = tile * CR_AMX_PIXELS,
                  end = cr_smaller(begin + rows * CR_AMX_PIXELS, w->chunk.pixels);
    w->pass.input = w->copy + begin * w->pass.pixel_step;
    w->pass.weights = (const float *)w->args->packed + block * w->pass.block_step;
    w->kernels->multiply(rows, columns, tile == 0, &w->pass, w->sums);
    w->pass.fetch += w->pass.fetch_lines * LINE_FLOATS * w->pass.n_taps * w->pass.pairs;
    for (int b = 0; b < columns; b++)
        finish_tiles(w, block + b, begin, end, w->sums + b * rows * CR_AMX_PIXELS * CR_AMX_LANES);
}

/* The pair of output blocks at `block`; if `next`, another follows. Meanwhile the weights are fetched of what
 * comes after. */
static void run_blocks(walk *w, int64_t block, bool next) {
    enum { LINES = CR_AMX_TILE / LINE_FLOATS };
    const int columns = block + 1 < w->plan->out_blocks ? 2 : 1;
    const int64_t tiles = cr_divide_up(w->chunk.pixels, CR_AMX_PIXELS), passes = cr_divide_up(tiles, 2);
    if (tiles > 2 && tiles <= CR_AMX_ROWS) {
        w->pass.fetch = (const float *)w->args->packed + (block + 1) * w->pass.block_step;
        for (int b = 0; b < columns; b++) {
            w->pass.fetch_lines = b + 1 < columns || next ? LINES : 0;
            run_pass(w, block + b, 1, 0, (int)tiles);
        }
        return;
    }
    w->pass.fetch = (const float *)w->args->packed + (block + 2) * w->pass.block_step;
    w->pass.fetch_lines = next ? cr_divide_up(2 * LINES, passes) : 0;
    for (int64_t tile = 0; tile < tiles; tile += 2)
        run_pass(w, block, columns, tile, tile + 1 < tiles ? 2 : 1);
}

/* Tasks are (image, output plane, chunk, pair of output blocks), the last fastest: neighbours share a copy.
 */
void cr_amx_run(const cr_conv *conv, const cr_amx_kernels *kernels, const cr_conv_args *args,
                int64_t task_begin, int64_t task_end, void *workspace) {
    cr_amx_plan plan;
    cr_amx_make_plan(conv, &plan);
    walk w = {.plan = &plan, .kernels = kernels, .args = args};
    w.clamp = cr_clamp_epilogue_of(args->epilogue);
    w.pass.pixel_step = plan.copied_step * CR_AMX_RECORD;
    w.pass.pairs = plan.in_pairs;
    w.pass.weights_step = plan.taps * CR_AMX_TILE;
    w.pass.block_step = plan.in_pairs * w.pass.weights_step;
    carve_workspace(&w, conv->has_prologue, workspace);
    kernels->begin();
    for (int64_t task = task_begin; task < task_end;) {
        const int64_t first = task % plan.out_pairs,
                      end = cr_smaller(plan.out_pairs, first + task_end - task);
        place_chunk(&plan, task / plan.out_pairs, &w.chunk);
        measure_chunk(&plan, &w.chunk);
        w.pass.input_step = w.chunk.pair_step;
        copy_input(&w);
        list_taps(&w);
        for (int64_t pair = first; pair < end; pair++)
            run_blocks(&w, 2 * pair, pair + 1 < end);
        task += end - first;
    }
    kernels->end();
}
