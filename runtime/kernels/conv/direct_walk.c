/* The loops around the tile functions of direct convolution, within an output tile; see direct_walk.h. */
#include "runtime/kernels/conv/direct_walk.h"

#include "runtime/base/whole.h"

#include <string.h>

enum { SOME_VECTORS = 64 };

/* ---- one pass ---- */

/* Taps along W stand side by side in plain input without dilation: they are lanes of one. */
static bool merges_width(const cr_direct_plan *plan) {
    return plan->in_lanes == 1 && plan->geometry.dilation[CR_W] == 1;
}

static void list_taps(const cr_direct_walk *walk, const cr_direct_box *box, cr_direct_taps *list) {
    const cr_direct_plan *plan = walk->plan;
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t lane = plan->in_lanes * walk->blocks * plan->kernels->lanes;
    const int64_t across = box->end[CR_W] - box->begin[CR_W], n_w = merges_width(plan) ? 1 : across;
    cr_direct_tap *tap = list->taps;
    for (int64_t d = 0; d < box->end[CR_D] - box->begin[CR_D]; d++)
        for (int64_t h = 0; h < box->end[CR_H] - box->begin[CR_H]; h++)
            for (int64_t w = 0; w < n_w; w++, tap++) {
                tap->input = d * g->dilation[CR_D] * walk->input.step[CR_D] +
                             h * g->dilation[CR_H] * walk->input.step[CR_H] +
                             w * g->dilation[CR_W] * walk->input.step[CR_W];
                tap->weights = ((d * g->kernel[CR_H] + h) * g->kernel[CR_W] + w) * lane;
                tap->ahead = 0;
            }
    list->n = tap - list->taps;
    list->lanes = merges_width(plan) ? across : plan->in_lanes;
    list->box = *box;
}

/* Has the tiles fetch the input of the next tile in the row, by those of all taps that are first to read it.
 */
static void fetch_input_ahead(const cr_direct_walk *walk, cr_direct_taps *list) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    cr_direct_tap *tap = list->taps;
    for (int64_t row = 0; row < g->kernel[CR_D] * g->kernel[CR_H]; row++)
        for (int64_t w = 0; w < g->kernel[CR_W]; w++, tap++)
            if (row % g->kernel[CR_H] + g->stride[CR_H] >= g->kernel[CR_H] &&
                w + g->stride[CR_W] >= g->kernel[CR_W])
                tap->ahead = walk->all_pixels.columns * g->stride[CR_W] * walk->input.step[CR_W];
}

/* The first output tile of a chunk reads an input that is larger than a cache. */
static bool is_cold(const cr_direct_walk *walk) {
    return walk->plan->chunks > 1 && walk->input.data != walk->transformed && !merges_width(walk->plan);
}

static void use_taps(cr_direct_walk *walk, const cr_direct_taps *list) {
    walk->pass.taps = list->taps;
    walk->pass.n_taps = list->n;
    walk->pass.lanes = list->lanes;
    if (walk->plan->in_lanes == 1)
        walk->pass.last_lanes = list->lanes;
}

/* For rows of `columns` pixels and of one less. */
static bool has_tiles(const cr_direct_plan *plan, int kind, int64_t columns) {
    cr_direct_tile *const(*const tiles)[CR_DIRECT_TILE_BLOCKS] = plan->kernels->tiles[kind];
    return columns > 1 && tiles[columns - 1][plan->tile_blocks - 1] != NULL &&
           tiles[columns - 2][plan->tile_blocks - 1] != NULL;
}

/* Of pixels in a row. */
static int kind_of(const cr_direct_plan *plan, ptrdiff_t distance, int64_t columns) {
    if (distance == plan->kernels->lanes)
        return CR_DIRECT_TOGETHER;
    if (distance == 2 * plan->kernels->lanes)
        return CR_DIRECT_SKIPPING;
    const int plain = distance == 1 ? CR_DIRECT_PLAIN : CR_DIRECT_PLAIN_SKIPPING;
    return distance <= 2 && has_tiles(plan, plain, columns) ? plain : CR_DIRECT_APART;
}

static void list_pixels(const cr_direct_walk *walk, int64_t rows, int64_t columns, int64_t slot_row,
                        cr_direct_pixels *list) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    const ptrdiff_t down = g->stride[CR_H] * walk->input.step[CR_H],
                    across = g->stride[CR_W] * walk->input.step[CR_W];
    const cr_direct_outputs *outputs = &walk->plan->outputs;
    const ptrdiff_t place = outputs->step[CR_W] * walk->plan->kernels->lanes,
                    place_row = outputs->step[CR_H] * outputs->extents[CR_W] * walk->plan->kernels->lanes;
    int i = 0;
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < columns; x++, i++) {
            list->offsets[i] = y * down + x * across;
            list->slots[i] = y * slot_row + x;
            list->places[i] = y * place_row + x * place;
        }
    list->rows = rows;
    list->columns = columns;
    list->slot_row = slot_row;
    list->kind = rows > 1 ? CR_DIRECT_APART : kind_of(walk->plan, across, columns);
}

static void use_pixels(cr_direct_walk *walk, const cr_direct_pixels *list) {
    walk->pass.pixels = list->offsets;
    walk->pass.slots = list->slots;
    walk->pass.places = list->places;
    walk->pass.place_step = walk->plan->outputs.step[CR_W] * walk->plan->kernels->lanes;
    walk->tiles = walk->plan->kernels->tiles[list->kind];
}

/* The input of one block of the span, and the outputs of the first block. */
static void locate(cr_direct_walk *walk) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    const cr_direct_outputs *outputs = &walk->plan->outputs;
    const cr_direct_view *view = &walk->input;
    int64_t first = walk->n * walk->plan->out_blocks + walk->block, step = walk->plan->kernels->lanes;
    walk->input_first = 0;
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        walk->input_first -= (g->pad[axis] + view->origin[axis]) * view->step[axis];
        walk->input_step[axis] = g->stride[axis] * view->step[axis];
        walk->tap_step[axis] = g->dilation[axis] * view->step[axis];
        first = first * outputs->extents[axis] + outputs->first[axis];
    }
    walk->output_first = first * step;
    for (int axis = CR_W; axis >= CR_D; axis--, step *= outputs->extents[axis + 1])
        walk->output_step[axis] = outputs->step[axis] * step;
}

/* Floats to a position. */
static ptrdiff_t reach(const ptrdiff_t step[CR_CONV_RANK], const int64_t position[CR_CONV_RANK]) {
    return step[CR_D] * position[CR_D] + step[CR_H] * position[CR_H] + step[CR_W] * position[CR_W];
}

static void call_tile(cr_direct_walk *walk, int64_t pixels, int64_t tiles) {
    walk->pass.tiles = tiles;
    walk->tiles[pixels - 1][walk->blocks - 1](&walk->pass);
}

/* ---- one tile ---- */

static void finish_sums(const cr_direct_walk *walk, int64_t pixels, int64_t offset) {
    const cr_direct_kernels *kernels = walk->plan->kernels;
    const int64_t n = walk->apart ? 1 : pixels; /* neighbours in the output */
    for (int64_t b = 0; b < walk->blocks; b++, offset += walk->pass.output_block)
        for (int64_t i = 0; i < pixels; i += n)
            kernels->finish(walk->args->epilogue, walk->sums + (b * kernels->slots + i) * kernels->lanes, n,
                            (walk->block + b) * kernels->lanes, offset + walk->all_pixels.places[i],
                            walk->args->output);
}

void cr_direct_walk_finish(cr_direct_walk *walk) {
    const cr_direct_kernels *kernels = walk->plan->kernels;
    cr_direct_unfinished *u = &walk->unfinished;
    for (int64_t b = 0; b < walk->blocks && u->n > 0; b++) {
        const int64_t offset = u->offset + b * walk->pass.output_block;
        kernels->finish(&u->epilogue, walk->args->output + offset, u->n, (walk->block + b) * kernels->lanes,
                        offset, walk->args->output);
    }
    u->n = 0;
}

/* Notes vectors at an offset as unfinished, or finishes them. */
static void leave_unfinished(cr_direct_walk *walk, int64_t offset, int64_t n) {
    cr_direct_unfinished *u = &walk->unfinished;
    if (offset != u->offset + u->n * walk->plan->kernels->lanes) {
        cr_direct_walk_finish(walk);
        u->offset = offset;
    }
    u->n += n;
    if (u->n >= SOME_VECTORS)
        cr_direct_walk_finish(walk);
}

void cr_direct_walk_inside(cr_direct_walk *walk) {
    cr_direct_pass *pass = &walk->pass;
    use_taps(walk, &walk->all_taps);
    use_pixels(walk, &walk->all_pixels);
    if (walk->all_pixels.kind == CR_DIRECT_TOGETHER && pass->n_taps == 1 && pass->first_lane == 0)
        walk->tiles = walk->plan->kernels->tiles[walk->halved ? CR_DIRECT_HALVED : CR_DIRECT_POINTWISE];
    pass->weights = walk->weights;
    pass->start = walk->interior_bias;
    pass->start_slot = 0;
    pass->start_block = walk->plan->kernels->lanes;
    pass->sums = walk->in_registers ? NULL : walk->sums;
}

/* The tiles along an axis, this one among them, that are alike and inside. */
static int64_t count_alike(const cr_direct_walk *walk, const cr_direct_cut *parts, int axis,
                           const cr_direct_box *tile) {
    const int64_t size = tile->end[axis] - tile->begin[axis];
    const int64_t longer = parts->longer * (parts->size + 1); /* outputs in the longer parts */
    const int64_t end = cr_smaller(walk->interior.end[axis], size > parts->size ? longer : INT64_MAX);
    return (end - tile->begin[axis]) / size;
}

/* Runs a tile and, in the same call, those after it that differ from it in their place only, `most` at most.
 * Returns how many, with the last of them in place. */
static int64_t run_interior(cr_direct_walk *walk, cr_direct_box *tile, int64_t pixels, int64_t offset,
                            int64_t most) {
    const float *residual = walk->args->epilogue->residual;
    const cr_direct_plan *plan = walk->plan;
    cr_direct_pass *pass = &walk->pass;
    const int axis = plan->columns.parts > 1 ? CR_W : CR_H;
    const int64_t size = tile->end[axis] - tile->begin[axis];
    const int64_t alike = count_alike(walk, axis == CR_W ? &plan->columns : &plan->rows, axis, tile);
    const bool several = walk->in_registers && walk->all_pixels.kind != CR_DIRECT_APART;
    if (walk->unfinished.any)
        most = cr_smaller(most, cr_larger(1, SOME_VECTORS / pixels));
    const int64_t tiles = several ? cr_smaller(alike, most) : 1;
    if (walk->transforms)
        pass->kept = walk->transformed + (tile->begin[CR_W] - walk->kept.origin[CR_W]) * plan->kernels->lanes;
    pass->input = walk->span_input + (walk->input_first + reach(walk->input_step, tile->begin));
    pass->output = walk->args->output + offset;
    pass->output_ahead = walk->large_output ? pixels * plan->kernels->lanes : 0;
    pass->residual = residual != NULL ? residual + offset : NULL;
    pass->next_input = size * walk->input_step[axis];
    pass->next_output = size * walk->output_step[axis];
    call_tile(walk, pixels, tiles);
    if (!walk->in_registers)
        finish_sums(walk, pixels, offset);
    if (walk->unfinished.any)
        leave_unfinished(walk, offset, tiles * pixels);
    tile->begin[axis] += (tiles - 1) * size;
    tile->end[axis] += (tiles - 1) * size;
    return tiles;
}

/* Cuts the taps of an axis by the outputs of [begin, end) that they reach; taps that reach none are left out.
 */
static int64_t list_runs(const cr_direct_reach *reach, int64_t taps, int64_t begin, int64_t end,
                         cr_direct_reach *runs) {
    int64_t n = 0;
    for (int64_t tap = 0; tap < taps; tap++) {
        const int64_t out_begin = cr_larger(begin, reach[tap].out_begin),
                      out_end = cr_smaller(end, reach[tap].out_end);
        if (out_begin >= out_end)
            continue;
        if (n > 0 && runs[n - 1].end == tap && runs[n - 1].out_begin == out_begin &&
            runs[n - 1].out_end == out_end)
            runs[n - 1].end = tap + 1;
        else
            runs[n++] = (cr_direct_reach){tap, tap + 1, out_begin, out_end};
    }
    return n;
}

const float *cr_direct_walk_bias(const cr_direct_walk *walk, int64_t d, int64_t y, int64_t x) {
    const cr_direct_plan *plan = walk->plan;
    if (walk->args->border_bias == NULL)
        return walk->bias;
    const int64_t row = cr_conv_border_row(&plan->geometry, d, y, x);
    return walk->args->border_bias + (row * plan->out_blocks + walk->block) * plan->kernels->lanes;
}

static void start_sums(cr_direct_walk *walk, const cr_direct_box *tile) {
    const int64_t lanes = walk->plan->kernels->lanes, pixels = walk->plan->kernels->slots;
    float *sums = walk->sums;
    for (int64_t y = tile->begin[CR_H]; y < tile->end[CR_H]; y++)
        for (int64_t x = tile->begin[CR_W]; x < tile->end[CR_W]; x++, sums += lanes) {
            const float *bias = cr_direct_walk_bias(walk, tile->begin[CR_D], y, x);
            for (int64_t b = 0; b < walk->blocks; b++)
                memcpy(sums + b * pixels * lanes, bias + b * lanes, (size_t)lanes * sizeof(float));
        }
}

/* Adds a box of taps to the sums of the pixels that they reach. */
static void run_pass(cr_direct_walk *walk, const cr_direct_box *tile, const cr_direct_reach *d,
                     const cr_direct_reach *h, const cr_direct_reach *w) {
    const cr_direct_plan *plan = walk->plan;
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t lanes = plan->kernels->lanes;
    const cr_direct_box box = {{d->begin, h->begin, w->begin}, {d->end, h->end, w->end}};
    const int64_t out[CR_CONV_RANK] = {tile->begin[CR_D], h->out_begin, w->out_begin};
    const int64_t rows = h->out_end - h->out_begin, columns = w->out_end - w->out_begin;
    const int64_t slot_row = tile->end[CR_W] - tile->begin[CR_W];
    const int64_t slot = (h->out_begin - tile->begin[CR_H]) * slot_row + w->out_begin - tile->begin[CR_W];
    const int64_t tap = (d->begin * g->kernel[CR_H] + h->begin) * g->kernel[CR_W] + w->begin;
    const cr_direct_pixels *pixels = &walk->some_pixels;
    if (memcmp(&box, &walk->some_taps.box, sizeof box) != 0)
        list_taps(walk, &box, &walk->some_taps);
    if (rows != pixels->rows || columns != pixels->columns || slot_row != pixels->slot_row)
        list_pixels(walk, rows, columns, slot_row, &walk->some_pixels);
    use_taps(walk, &walk->some_taps);
    use_pixels(walk, &walk->some_pixels);
    walk->pass.input = walk->span_input +
                       (walk->input_first + reach(walk->input_step, out) + reach(walk->tap_step, box.begin));
    walk->pass.weights = walk->weights + tap * plan->in_lanes * walk->blocks * lanes;
    walk->pass.start = walk->pass.sums = walk->sums + slot * lanes;
    walk->pass.start_slot = lanes;
    walk->pass.start_block = plan->kernels->slots * lanes;
    walk->pass.output_ahead = 0;
    call_tile(walk, rows * columns, 1);
}

static void run_border(cr_direct_walk *walk, const cr_direct_box *tile, int64_t pixels, int64_t offset) {
    const int64_t *kernel = walk->plan->geometry.kernel;
    int64_t n[CR_CONV_RANK];
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        n[axis] =
            list_runs(walk->reach[axis], kernel[axis], tile->begin[axis], tile->end[axis], walk->runs[axis]);
    start_sums(walk, tile);
    for (int64_t d = 0; d < n[CR_D]; d++)
        for (int64_t h = 0; h < n[CR_H]; h++)
            for (int64_t w = 0; w < n[CR_W]; w++)
                run_pass(walk, tile, &walk->runs[CR_D][d], &walk->runs[CR_H][h], &walk->runs[CR_W][w]);
    finish_sums(walk, pixels, offset);
    cr_direct_walk_inside(walk);
}

bool cr_direct_box_inside(const cr_direct_box *box, const cr_direct_box *outer) {
    bool inside = true;
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        inside = inside && box->begin[axis] >= outer->begin[axis] && box->end[axis] <= outer->end[axis];
    return inside;
}

int64_t cr_direct_walk_tiles(cr_direct_walk *walk, cr_direct_box *tile, int64_t most) {
    const int64_t pixels = (tile->end[CR_H] - tile->begin[CR_H]) * (tile->end[CR_W] - tile->begin[CR_W]);
    const int64_t offset = walk->output_first + reach(walk->output_step, tile->begin);
    if (cr_direct_box_inside(tile, &walk->interior))
        return run_interior(walk, tile, pixels, offset, most);
    run_border(walk, tile, pixels, offset);
    return 1;
}

/* ---- set up ---- */

void cr_direct_walk_chunk(cr_direct_walk *walk) {
    const cr_direct_box largest = cr_direct_tile_box(walk->plan, 0, 1);
    const int64_t rows = largest.end[CR_H], columns = largest.end[CR_W];
    list_pixels(walk, rows, columns, columns, &walk->all_pixels);
    walk->some_pixels.rows = 0; /* listed for another view */
}

void cr_direct_walk_output_tile(cr_direct_walk *walk, bool is_first) {
    const int64_t *kernel = walk->plan->geometry.kernel;
    const cr_direct_box all = {{0}, {kernel[CR_D], kernel[CR_H], kernel[CR_W]}};
    list_taps(walk, &all, &walk->all_taps);
    locate(walk);
    if (is_first && is_cold(walk))
        fetch_input_ahead(walk, &walk->all_taps);
    cr_direct_walk_inside(walk);
    walk->some_taps.box = (cr_direct_box){0}; /* listed for another tile */
}
