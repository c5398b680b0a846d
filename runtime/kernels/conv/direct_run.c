/* The loops around the tile functions of direct convolution; see direct.h. */
#include <math.h>
#include <string.h>

#include "runtime/base/whole.h"
#include "runtime/kernels/conv/direct_input.h"

enum {
    MAX_TILE_FLOATS = CR_DIRECT_TILE_BLOCKS * CR_DIRECT_MAX_PIXELS * CR_DIRECT_MAX_LANES,
    VECTOR_BYTES = 64,
    LINE_FLOATS = 16, /* of a cache line */
    LARGE_BYTES = 1 << 20,
    SOME_VECTORS = 64
};

static const float no_bias[CR_DIRECT_TILE_BLOCKS * CR_DIRECT_MAX_LANES];

/* Taps of one axis that reach the same outputs of a tile. */
typedef struct tap_run {
    int64_t begin, end;         /* taps */
    int64_t out_begin, out_end; /* outputs */
} tap_run;

/* A box of taps as the tile functions want it. */
typedef struct tap_list {
    cr_direct_tap *taps;
    int64_t n, lanes;
    cr_direct_box box;
} tap_list;

typedef struct pixel_list {
    ptrdiff_t offsets[CR_DIRECT_MAX_PIXELS], slots[CR_DIRECT_MAX_PIXELS], places[CR_DIRECT_MAX_PIXELS];
    int64_t rows, columns, slot_row; /* what they were made for */
    int kind;                        /* of tile functions */
} pixel_list;

/* Outputs of each block of the tile that stand in their place, but for `epilogue`. An activation has a long
 * way through the processor: a few tiles' at once cost less than each tile's after it, and are still in the
 * nearest cache. */
typedef struct unfinished {
    bool any; /* epilogue */
    cr_epilogue epilogue;
    int64_t offset, n; /* vectors from there on */
} unfinished;

typedef struct tile_walk {
    const cr_direct_plan *plan;
    const cr_conv_args *args;
    bool in_registers; /* the epilogue, or all of it that is not left unfinished */
    unfinished unfinished;
    bool apart;                   /* outputs with gaps */
    bool large_output;            /* not in a second-level cache, and no gaps */
    cr_direct_box interior;       /* the outputs that all taps reach */
    float *sums;                  /* [blocks][slots][L] */
    float *transformed;           /* input: by the prologue, or padded; or scaled weights */
    bool scales_weights;          /* that is the prologue */
    tap_run *reach[CR_CONV_RANK]; /* of each tap of an axis; begin and end unused */
    tap_run *runs[CR_CONV_RANK];  /* of the tile at hand */
    /* of this image, chunk and output tile */
    cr_direct_view input;
    int64_t n, block, blocks; /* output blocks of the tile */
    bool halved;              /* the last of them */
    const float *span_input;  /* input.data of the first block of the span */
    ptrdiff_t input_first;    /* floats from there to where the first tap reads for output 0 */
    ptrdiff_t input_step[CR_CONV_RANK], tap_step[CR_CONV_RANK]; /* from output to output, tap to tap */
    int64_t output_first, output_step[CR_CONV_RANK]; /* floats from the tensor's to output 0, and onward */
    const float *weights, *bias, *interior_bias;
    cr_direct_pass pass;
    cr_direct_tile *const (*tiles)[CR_DIRECT_TILE_BLOCKS]; /* for the pixels of the pass */
    tap_list all_taps, some_taps;                          /* of interior tiles; of the pass at hand */
    pixel_list all_pixels, some_pixels; /* likewise; fewer pixels in a row or fewer rows are a prefix */
} tile_walk;

/* ---- one pass ---- */

/* Taps along W stand side by side in plain input without dilation: they are lanes of one. */
static bool merges_width(const cr_direct_plan *plan) {
    return plan->in_lanes == 1 && plan->geometry.dilation[CR_W] == 1;
}

static void list_taps(const tile_walk *walk, const cr_direct_box *box, tap_list *list) {
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
static void fetch_input_ahead(const tile_walk *walk, tap_list *list) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    cr_direct_tap *tap = list->taps;
    for (int64_t row = 0; row < g->kernel[CR_D] * g->kernel[CR_H]; row++)
        for (int64_t w = 0; w < g->kernel[CR_W]; w++, tap++)
            if (row % g->kernel[CR_H] + g->stride[CR_H] >= g->kernel[CR_H] &&
                w + g->stride[CR_W] >= g->kernel[CR_W])
                tap->ahead = walk->all_pixels.columns * g->stride[CR_W] * walk->input.step[CR_W];
}

/* The first output tile of a chunk reads an input that is larger than a cache. */
static bool is_cold(const tile_walk *walk) {
    return walk->plan->chunks > 1 && walk->input.data != walk->transformed && !merges_width(walk->plan);
}

static void use_taps(tile_walk *walk, const tap_list *list) {
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

static void list_pixels(const tile_walk *walk, int64_t rows, int64_t columns, int64_t slot_row,
                        pixel_list *list) {
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

static void use_pixels(tile_walk *walk, const pixel_list *list) {
    walk->pass.pixels = list->offsets;
    walk->pass.slots = list->slots;
    walk->pass.places = list->places;
    walk->pass.place_step = walk->plan->outputs.step[CR_W] * walk->plan->kernels->lanes;
    walk->tiles = walk->plan->kernels->tiles[list->kind];
}

/* The input of one block of the span, and the outputs of the first block. */
static void locate(tile_walk *walk) {
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

static void call_tile(tile_walk *walk, int64_t pixels, int64_t tiles) {
    walk->pass.tiles = tiles;
    walk->tiles[pixels - 1][walk->blocks - 1](&walk->pass);
}

/* ---- one tile ---- */

static void finish_sums(const tile_walk *walk, int64_t pixels, int64_t offset) {
    const cr_direct_kernels *kernels = walk->plan->kernels;
    const int64_t n = walk->apart ? 1 : pixels; /* neighbours in the output */
    for (int64_t b = 0; b < walk->blocks; b++, offset += walk->pass.output_block)
        for (int64_t i = 0; i < pixels; i += n)
            kernels->finish(walk->args->epilogue, walk->sums + (b * kernels->slots + i) * kernels->lanes, n,
                            (walk->block + b) * kernels->lanes, offset + walk->all_pixels.places[i],
                            walk->args->output);
}

static void finish_output(tile_walk *walk) {
    const cr_direct_kernels *kernels = walk->plan->kernels;
    unfinished *u = &walk->unfinished;
    for (int64_t b = 0; b < walk->blocks && u->n > 0; b++) {
        const int64_t offset = u->offset + b * walk->pass.output_block;
        kernels->finish(&u->epilogue, walk->args->output + offset, u->n, (walk->block + b) * kernels->lanes,
                        offset, walk->args->output);
    }
    u->n = 0;
}

/* Notes vectors at an offset as unfinished, or finishes them. */
static void leave_unfinished(tile_walk *walk, int64_t offset, int64_t n) {
    unfinished *u = &walk->unfinished;
    if (offset != u->offset + u->n * walk->plan->kernels->lanes) {
        finish_output(walk);
        u->offset = offset;
    }
    u->n += n;
    if (u->n >= SOME_VECTORS)
        finish_output(walk);
}

/* What all interior tiles have in common, whose pixels all taps reach. */
static void use_interior(tile_walk *walk) {
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
static int64_t count_alike(const tile_walk *walk, const cr_direct_cut *parts, int axis,
                           const cr_direct_box *tile) {
    const int64_t size = tile->end[axis] - tile->begin[axis];
    const int64_t longer = parts->longer * (parts->size + 1); /* outputs in the longer parts */
    const int64_t end = cr_smaller(walk->interior.end[axis], size > parts->size ? longer : INT64_MAX);
    return (end - tile->begin[axis]) / size;
}

/* Runs a tile and, in the same call, those after it that differ from it in their place only, `most` at most.
 * Returns how many, with the last of them in place. */
static int64_t run_interior(tile_walk *walk, cr_direct_box *tile, int64_t pixels, int64_t offset,
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
static int64_t list_runs(const tap_run *reach, int64_t taps, int64_t begin, int64_t end, tap_run *runs) {
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
            runs[n++] = (tap_run){tap, tap + 1, out_begin, out_end};
    }
    return n;
}

static const float *bias_at(const tile_walk *walk, int64_t d, int64_t y, int64_t x) {
    const cr_direct_plan *plan = walk->plan;
    const cr_conv_geometry *g = &plan->geometry;
    if (walk->args->border_bias == NULL)
        return walk->bias;
    const int64_t rows =
        cr_conv_border_class(g, CR_D, d) * cr_conv_border_classes(g, CR_H) + cr_conv_border_class(g, CR_H, y);
    const int64_t row = rows * cr_conv_border_classes(g, CR_W) + cr_conv_border_class(g, CR_W, x);
    return walk->args->border_bias + (row * plan->out_blocks + walk->block) * plan->kernels->lanes;
}

static void start_sums(tile_walk *walk, const cr_direct_box *tile) {
    const int64_t lanes = walk->plan->kernels->lanes, pixels = walk->plan->kernels->slots;
    float *sums = walk->sums;
    for (int64_t y = tile->begin[CR_H]; y < tile->end[CR_H]; y++)
        for (int64_t x = tile->begin[CR_W]; x < tile->end[CR_W]; x++, sums += lanes) {
            const float *bias = bias_at(walk, tile->begin[CR_D], y, x);
            for (int64_t b = 0; b < walk->blocks; b++)
                memcpy(sums + b * pixels * lanes, bias + b * lanes, (size_t)lanes * sizeof(float));
        }
}

/* Adds a box of taps to the sums of the pixels that they reach. */
static void run_pass(tile_walk *walk, const cr_direct_box *tile, const tap_run *d, const tap_run *h,
                     const tap_run *w) {
    const cr_direct_plan *plan = walk->plan;
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t lanes = plan->kernels->lanes;
    const cr_direct_box box = {{d->begin, h->begin, w->begin}, {d->end, h->end, w->end}};
    const int64_t out[CR_CONV_RANK] = {tile->begin[CR_D], h->out_begin, w->out_begin};
    const int64_t rows = h->out_end - h->out_begin, columns = w->out_end - w->out_begin;
    const int64_t slot_row = tile->end[CR_W] - tile->begin[CR_W];
    const int64_t slot = (h->out_begin - tile->begin[CR_H]) * slot_row + w->out_begin - tile->begin[CR_W];
    const int64_t tap = (d->begin * g->kernel[CR_H] + h->begin) * g->kernel[CR_W] + w->begin;
    const pixel_list *pixels = &walk->some_pixels;
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

static void run_border(tile_walk *walk, const cr_direct_box *tile, int64_t pixels, int64_t offset) {
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
    use_interior(walk);
}

static bool is_inside(const cr_direct_box *box, const cr_direct_box *outer) {
    bool inside = true;
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        inside = inside && box->begin[axis] >= outer->begin[axis] && box->end[axis] <= outer->end[axis];
    return inside;
}

/* Runs a tile and perhaps some after it; see run_interior. */
static int64_t run_tiles(tile_walk *walk, cr_direct_box *tile, int64_t most) {
    const int64_t pixels = (tile->end[CR_H] - tile->begin[CR_H]) * (tile->end[CR_W] - tile->begin[CR_W]);
    const int64_t offset = walk->output_first + reach(walk->output_step, tile->begin);
    if (is_inside(tile, &walk->interior))
        return run_interior(walk, tile, pixels, offset, most);
    run_border(walk, tile, pixels, offset);
    return 1;
}

/* ---- chunks ---- */

static void set_output_tile(tile_walk *walk, int64_t output_tile) {
    const cr_direct_plan *plan = walk->plan;
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t lanes = plan->kernels->lanes;
    const cr_direct_span span = cr_direct_span_of(g, plan, output_tile);
    const cr_direct_box all = {{0}, {g->kernel[CR_D], g->kernel[CR_H], g->kernel[CR_W]}};
    const int64_t *inside = walk->interior.begin;
    const float *bias = walk->args->epilogue->bias;
    int64_t block_end;
    cr_direct_part(&plan->output_tiles, output_tile, &walk->block, &block_end);
    walk->blocks = block_end - walk->block;
    walk->halved = plan->halved && block_end == plan->out_blocks;
    walk->weights = (const float *)walk->args->packed + walk->block * plan->block_weights;
    if (walk->scales_weights) {
        walk->pass.factors = cr_direct_factors(plan, walk->args->prologue, walk->n, &span);
        walk->pass.scaled = walk->transformed;
    }
    walk->bias = bias != NULL ? bias + walk->block * lanes : no_bias;
    walk->interior_bias =
        bias_at(walk, inside[CR_D], inside[CR_H], inside[CR_W]); /* unused where nothing is inside */
    walk->span_input =
        walk->input.data + (span.first_block - walk->input.first_block) * walk->input.block_step;
    walk->pass.input_blocks = span.blocks;
    walk->pass.input_step = walk->input.block_step;
    walk->pass.weights_step = plan->taps * plan->in_lanes * walk->blocks * lanes;
    walk->pass.first_lane = span.begin % plan->in_lanes;
    walk->pass.last_lanes = (span.end - 1) % plan->in_lanes + 1;
    list_taps(walk, &all, &walk->all_taps);
    locate(walk);
    use_interior(walk);
    walk->some_taps.box = (cr_direct_box){0}; /* listed for another tile */
}

/* While the tiles of a chunk are computed, the weights of an output tile to come arrive, so many of them with
 * each tap that the last tile brings the last. */
static void fetch_weights_of(tile_walk *walk, int64_t output_tile, int64_t end, int64_t tiles) {
    const cr_direct_plan *plan = walk->plan;
    const int64_t lines = plan->in_lanes * plan->tile_blocks * plan->kernels->lanes / LINE_FLOATS;
    int64_t block, block_end;
    cr_direct_part(&plan->output_tiles, output_tile, &block, &block_end);
    walk->pass.fetch = (const float *)walk->args->packed + block * plan->block_weights;
    walk->pass.fetch_end =
        walk->pass.fetch + (output_tile < end ? (block_end - block) * plan->block_weights : 0);
    walk->pass.fetch_lines = (lines + tiles - 1) / tiles;
}

/* Scales the weights of the output tile: in its first tile of pixels if that can. Returns whether it has run.
 */
static bool scale_weights(tile_walk *walk, cr_direct_box *tile) {
    const cr_direct_kernels *kernels = walk->plan->kernels;
    const int64_t pixels = tile->end[CR_W] - tile->begin[CR_W]; /* in a row */
    const bool in_tile =
        walk->tiles == kernels->tiles[CR_DIRECT_POINTWISE] && pixels > 1 && is_inside(tile, &walk->interior);
    if (in_tile) {
        walk->tiles = kernels->tiles[CR_DIRECT_SCALING];
        run_tiles(walk, tile, 1);
    } else {
        cr_direct_scale_weights(walk->plan, walk->pass.factors, walk->pass.input_blocks, walk->blocks,
                                walk->weights, walk->transformed);
    }
    walk->weights = walk->transformed;
    use_interior(walk);
    return in_tile;
}

/* Output tiles [begin, end) of a chunk of an image. */
static void run_chunk(tile_walk *walk, int64_t chunk, int64_t begin, int64_t end) {
    const cr_direct_plan *plan = walk->plan;
    const int64_t first = plan->pixel_tiles * chunk / plan->chunks;
    const int64_t last = plan->pixel_tiles * (chunk + 1) / plan->chunks;
    walk->input = cr_direct_view_of(plan, walk->args->input, walk->n);
    if (walk->args->prologue != NULL && walk->args->prologue->scale != NULL && !walk->scales_weights) {
        const cr_direct_box box = cr_direct_tile_box(plan, first, last);
        const cr_direct_span from = cr_direct_span_of(&plan->geometry, plan, begin);
        const cr_direct_span to = cr_direct_span_of(&plan->geometry, plan, end - 1);
        cr_direct_transform(plan, walk->args->prologue, walk->n, &box, from.first_block,
                            to.first_block + to.blocks, walk->transformed, &walk->input);
    }
    if (plan->padded) {
        const cr_direct_box box = cr_direct_tile_box(plan, first, last);
        cr_direct_pad(plan, &box, walk->transformed, &walk->input);
    }
    cr_direct_box tile = cr_direct_tile_box(plan, 0, 1); /* the largest */
    const int64_t rows = tile.end[CR_H], columns = tile.end[CR_W];
    list_pixels(walk, rows, columns, columns, &walk->all_pixels);
    walk->some_pixels.rows = 0; /* listed for another view */
    for (int64_t output_tile = begin; output_tile < end; output_tile++) {
        set_output_tile(walk, output_tile);
        fetch_weights_of(walk, output_tile + 1, end, last - first);
        if (output_tile == begin && is_cold(walk))
            fetch_input_ahead(walk, &walk->all_taps);
        tile = cr_direct_tile_box(plan, first, first + 1);
        int64_t i = first;
        if (walk->scales_weights && scale_weights(walk, &tile)) {
            cr_direct_next_tile(plan, &tile);
            i++;
        }
        for (; i < last; cr_direct_next_tile(plan, &tile))
            i += run_tiles(walk, &tile, last - i);
        finish_output(walk);
    }
}

/* ---- workspace: sums, runs, taps, transformed input ---- */

static size_t aligned(size_t bytes) {
    return (bytes + VECTOR_BYTES - 1) / VECTOR_BYTES * VECTOR_BYTES;
}

static size_t runs_bytes(const cr_conv_geometry *g) {
    return aligned((size_t)(g->kernel[CR_D] + g->kernel[CR_H] + g->kernel[CR_W]) * sizeof(tap_run));
}

size_t cr_direct_workspace_bytes(const cr_conv *conv, const cr_direct_kernels *kernels) {
    cr_direct_plan plan;
    cr_direct_make_plan(conv, kernels, &plan);
    const size_t taps = aligned((size_t)plan.taps * sizeof(cr_direct_tap));
    const size_t fixed = MAX_TILE_FLOATS * sizeof(float) + 2 * runs_bytes(&plan.geometry) + 2 * taps;
    const bool transforms = conv->has_prologue || plan.padded;
    if (!transforms || plan.pixel_tiles == 0)
        return fixed;
    const size_t weights = (size_t)(plan.tile_blocks * plan.block_weights) * sizeof(float),
                 input = cr_direct_transformed_bytes(&plan);
    return fixed + (weights > input ? weights : input);
}

static void carve_workspace(tile_walk *walk, char *workspace) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    const size_t taps = aligned((size_t)walk->plan->taps * sizeof(cr_direct_tap));
    walk->sums = (float *)workspace;
    workspace += MAX_TILE_FLOATS * sizeof(float);
    tap_run *reach = (tap_run *)workspace, *runs = (tap_run *)(workspace + runs_bytes(g));
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        walk->reach[axis] = reach;
        walk->runs[axis] = runs;
        reach += g->kernel[axis];
        runs += g->kernel[axis];
    }
    workspace += 2 * runs_bytes(g);
    walk->all_taps.taps = (cr_direct_tap *)workspace;
    walk->some_taps.taps = (cr_direct_tap *)(workspace + taps);
    walk->transformed = (float *)(workspace + 2 * taps);
}

/* ---- tasks ---- */

static void find_reach(tile_walk *walk) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        tap_run *reach = walk->reach[axis];
        for (int64_t tap = 0; tap < g->kernel[axis]; tap++)
            cr_conv_reach(g, axis, tap, &reach[tap].out_begin, &reach[tap].out_end);
        walk->interior.begin[axis] = reach[0].out_begin;
        walk->interior.end[axis] = reach[g->kernel[axis] - 1].out_end;
    }
    if (walk->plan->padded) {
        memset(walk->interior.begin, 0, sizeof walk->interior.begin);
        memcpy(walk->interior.end, g->out, sizeof walk->interior.end);
    }
}

static float clamp(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

/* Sums that only a residual and one clamp follow need not leave the registers. Others go to the output to
 * wait there for their activation, unless that stands before a residual or they have no neighbours. */
static void choose_finish(tile_walk *walk) {
    const cr_epilogue *e = walk->args->epilogue;
    float low, high, low_after, high_after;
    const bool clamps = cr_activation_is_clamp(&e->act, &low, &high);
    const bool clamps_after = cr_activation_is_clamp(&e->act_after, &low_after, &high_after);
    const bool adds_first = e->residual == NULL || e->act.kind == CR_ACT_NONE;
    const bool now = clamps && clamps_after;
    walk->unfinished.any = !now && adds_first && !walk->apart;
    walk->unfinished.epilogue = (cr_epilogue){.act = e->act, .act_after = e->act_after};
    walk->in_registers = adds_first && (now || walk->unfinished.any);
    walk->pass.low = now ? clamp(low, low_after, high_after) : -INFINITY;
    walk->pass.high = now ? clamp(high, low_after, high_after) : INFINITY;
}

/* Tasks are (image, chunk, output tile), the last fastest: neighbours share a chunk, and its transformed
 * input. */
void cr_direct_run_plan(const cr_direct_plan *plan, const cr_conv_args *args, int64_t task_begin,
                        int64_t task_end, void *workspace) {
    const int64_t *extents = plan->outputs.extents, *step = plan->outputs.step;
    if (plan->pixel_tiles == 0)
        return;
    tile_walk walk = {.plan = plan, .args = args};
    walk.pass.output_block = extents[CR_D] * extents[CR_H] * extents[CR_W] * plan->kernels->lanes;
    walk.apart = step[CR_H] != 1 || step[CR_W] != 1;
    walk.large_output =
        !walk.apart && plan->out_blocks * walk.pass.output_block * (int64_t)sizeof(float) > LARGE_BYTES;
    carve_workspace(&walk, workspace);
    find_reach(&walk);
    choose_finish(&walk);
    walk.scales_weights = cr_direct_scales_weights(plan, args->prologue);
    for (int64_t task = task_begin; task < task_end;) {
        const int64_t tiles = plan->output_tiles.parts, first = task % tiles,
                      last = cr_smaller(tiles, first + task_end - task);
        walk.n = task / tiles / plan->chunks;
        run_chunk(&walk, task / tiles % plan->chunks, first, last);
        task += last - first;
    }
}

void cr_direct_run(const cr_conv *conv, const cr_direct_kernels *kernels, const cr_conv_args *args,
                   int64_t task_begin, int64_t task_end, void *workspace) {
    cr_direct_plan plan;
    cr_direct_make_plan(conv, kernels, &plan);
    cr_direct_run_plan(&plan, args, task_begin, task_end, workspace);
}
