/* The loops around the tile functions of direct convolution; see direct.h. */
#include <string.h>

#include "runtime/kernels/conv/direct.h"

enum {
    MAX_TILE_FLOATS = CR_DIRECT_TILE_BLOCKS * CR_DIRECT_MAX_PIXELS * CR_DIRECT_MAX_LANES,
    VECTOR_BYTES = 64
};

static const float no_bias[CR_DIRECT_TILE_BLOCKS * CR_DIRECT_MAX_LANES];

/* A range of taps of one axis that reach the same outputs of a tile. */
typedef struct tap_run {
    int64_t begin, end;         /* taps */
    int64_t out_begin, out_end; /* outputs */
} tap_run;

/* The input as the tiles see it: the tensor, or the part of it that a prologue has transformed. */
typedef struct input_view {
    const float *data; /* of `origin`, block first_block */
    int64_t origin[CR_CONV_RANK];
    int64_t first_block;
    ptrdiff_t step[CR_CONV_RANK], block_step;
} input_view;

typedef struct tile_walk {
    const cr_direct_plan *plan;
    const cr_conv_args *args;
    /* workspace */
    float *sums;                  /* [blocks][tile_pixels][L] */
    tap_run *reach[CR_CONV_RANK]; /* of each tap of an axis; begin and end unused */
    tap_run *runs[CR_CONV_RANK];  /* of the tile at hand */
    cr_direct_tap *taps;          /* of the pass at hand */
    float *transformed;           /* by the prologue */
    bool in_registers;            /* the epilogue */
    /* of this image, chunk and output tile */
    input_view input;
    int64_t n, block, blocks;                   /* output blocks of the tile */
    const float *channel_data, *weights, *bias; /* channel_data: view of the first block of the span */
    cr_direct_pass pass;
    /* what pass.taps, pixels and slots were made for */
    cr_direct_box tap_box;
    int64_t pixel_rows, pixel_columns, slot_row;
    ptrdiff_t pixels[CR_DIRECT_MAX_PIXELS], slots[CR_DIRECT_MAX_PIXELS];
} tile_walk;

static int64_t min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* ---- one pass ---- */

static bool same_box(const cr_direct_box *a, const cr_direct_box *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

/* Taps along W stand side by side in plain input without dilation: they are lanes of one. */
static bool merges_width(const cr_direct_plan *plan) {
    return plan->in_lanes == 1 && plan->geometry.dilation[CR_W] == 1;
}

static void list_taps(tile_walk *walk, const cr_direct_box *box) {
    const cr_direct_plan *plan = walk->plan;
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t lane = plan->in_lanes * walk->blocks * plan->kernels->lanes;
    const int64_t w_end = merges_width(plan) ? box->begin[CR_W] + 1 : box->end[CR_W];
    cr_direct_tap *tap = walk->taps;
    for (int64_t d = 0; d < box->end[CR_D] - box->begin[CR_D]; d++)
        for (int64_t h = 0; h < box->end[CR_H] - box->begin[CR_H]; h++)
            for (int64_t w = 0; w < w_end - box->begin[CR_W]; w++, tap++) {
                tap->input = d * g->dilation[CR_D] * walk->input.step[CR_D] +
                             h * g->dilation[CR_H] * walk->input.step[CR_H] +
                             w * g->dilation[CR_W] * walk->input.step[CR_W];
                tap->weights = ((d * g->kernel[CR_H] + h) * g->kernel[CR_W] + w) * lane;
            }
    walk->tap_box = *box;
    walk->pass.n_taps = tap - walk->taps;
    walk->pass.lanes = merges_width(plan) ? box->end[CR_W] - box->begin[CR_W] : plan->in_lanes;
    if (plan->in_lanes == 1)
        walk->pass.last_lanes = walk->pass.lanes;
}

static void list_pixels(tile_walk *walk, int64_t rows, int64_t columns, int64_t slot_row) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    int i = 0;
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < columns; x++, i++) {
            walk->pixels[i] =
                y * g->stride[CR_H] * walk->input.step[CR_H] + x * g->stride[CR_W] * walk->input.step[CR_W];
            walk->slots[i] = y * slot_row + x;
        }
    walk->pixel_rows = rows;
    walk->pixel_columns = columns;
    walk->slot_row = slot_row;
}

/* Adds the taps of a box to the pixels that they reach. pass->start, sums and what concerns the output are
 * set. */
static void run_pass(tile_walk *walk, const cr_direct_box *tile, const tap_run *d, const tap_run *h,
                     const tap_run *w) {
    const cr_direct_plan *plan = walk->plan;
    const cr_conv_geometry *g = &plan->geometry;
    const cr_direct_box box = {{d->begin, h->begin, w->begin}, {d->end, h->end, w->end}};
    const int64_t rows = h->out_end - h->out_begin, columns = w->out_end - w->out_begin;
    const int64_t slot_row = tile->end[CR_W] - tile->begin[CR_W];
    if (!same_box(&box, &walk->tap_box))
        list_taps(walk, &box);
    if (rows != walk->pixel_rows || columns != walk->pixel_columns || slot_row != walk->slot_row)
        list_pixels(walk, rows, columns, slot_row);
    const int64_t out[CR_CONV_RANK] = {tile->begin[CR_D], h->out_begin, w->out_begin};
    const float *input = walk->channel_data;
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        input += (out[axis] * g->stride[axis] - g->pad[axis] + box.begin[axis] * g->dilation[axis] -
                  walk->input.origin[axis]) *
                 walk->input.step[axis];
    const int64_t tap = (d->begin * g->kernel[CR_H] + h->begin) * g->kernel[CR_W] + w->begin;
    cr_direct_pass *pass = &walk->pass;
    pass->input = input;
    pass->weights = walk->weights + tap * plan->in_lanes * walk->blocks * plan->kernels->lanes;
    plan->kernels->tiles[rows * columns - 1][walk->blocks - 1](pass);
}

/* ---- one tile ---- */

/* Cuts the taps of an axis by the outputs of [begin, end) that they reach; taps that reach none are left out.
 */
static int64_t list_runs(const tap_run *reach, int64_t taps, int64_t begin, int64_t end, tap_run *runs) {
    int64_t n = 0;
    for (int64_t tap = 0; tap < taps; tap++) {
        const int64_t out_begin = max(begin, reach[tap].out_begin), out_end = min(end, reach[tap].out_end);
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

static bool covers(const tap_run *run, const cr_direct_box *tile, int axis) {
    return run->out_begin == tile->begin[axis] && run->out_end == tile->end[axis];
}

static const float *bias_of(const tile_walk *walk, int64_t d, int64_t y, int64_t x) {
    const cr_direct_plan *plan = walk->plan;
    const cr_conv_geometry *g = &plan->geometry;
    if (walk->args->border_bias == NULL)
        return walk->bias;
    const int64_t rows =
        cr_conv_border_class(g, CR_D, d) * cr_conv_border_classes(g, CR_H) + cr_conv_border_class(g, CR_H, y);
    const int64_t row = rows * cr_conv_border_classes(g, CR_W) + cr_conv_border_class(g, CR_W, x);
    return walk->args->border_bias + (row * plan->out_blocks + walk->block) * plan->kernels->lanes;
}

/* Sums before the first pass. */
static void start_sums(tile_walk *walk, const cr_direct_box *tile) {
    const int64_t lanes = walk->plan->kernels->lanes, pixels = walk->plan->kernels->tile_pixels;
    float *sums = walk->sums;
    for (int64_t y = tile->begin[CR_H]; y < tile->end[CR_H]; y++)
        for (int64_t x = tile->begin[CR_W]; x < tile->end[CR_W]; x++, sums += lanes) {
            const float *bias = bias_of(walk, tile->begin[CR_D], y, x);
            for (int64_t b = 0; b < walk->blocks; b++)
                memcpy(sums + b * pixels * lanes, bias + b * lanes, (size_t)lanes * sizeof(float));
        }
}

static void finish_sums(tile_walk *walk, int64_t pixels, int64_t offset) {
    const cr_direct_kernels *kernels = walk->plan->kernels;
    for (int64_t b = 0; b < walk->blocks; b++)
        kernels->finish(walk->args->epilogue, walk->sums + b * kernels->tile_pixels * kernels->lanes, pixels,
                        (walk->block + b) * kernels->lanes, offset + b * walk->pass.output_block,
                        walk->args->output);
}

/* All pixels of the tile see the same taps. */
static void run_single(tile_walk *walk, const cr_direct_box *tile, const tap_run *d, int64_t offset) {
    cr_direct_pass *pass = &walk->pass;
    const float *residual = walk->args->epilogue->residual;
    pass->start = bias_of(walk, tile->begin[CR_D], tile->begin[CR_H], tile->begin[CR_W]);
    pass->start_slot = 0;
    pass->start_block = walk->plan->kernels->lanes;
    pass->sums = walk->in_registers ? NULL : walk->sums;
    pass->output = walk->args->output + offset;
    pass->residual = residual != NULL ? residual + offset : NULL;
    run_pass(walk, tile, d, walk->runs[CR_H], walk->runs[CR_W]);
}

static void run_passes(tile_walk *walk, const cr_direct_box *tile, const tap_run *d, int64_t n_h,
                       int64_t n_w) {
    const int64_t lanes = walk->plan->kernels->lanes, columns = tile->end[CR_W] - tile->begin[CR_W];
    cr_direct_pass *pass = &walk->pass;
    start_sums(walk, tile);
    pass->start_slot = lanes;
    pass->start_block = walk->plan->kernels->tile_pixels * lanes;
    for (const tap_run *h = walk->runs[CR_H]; h < walk->runs[CR_H] + n_h; h++)
        for (const tap_run *w = walk->runs[CR_W]; w < walk->runs[CR_W] + n_w; w++) {
            const int64_t slot =
                (h->out_begin - tile->begin[CR_H]) * columns + w->out_begin - tile->begin[CR_W];
            pass->start = pass->sums = walk->sums + slot * lanes;
            run_pass(walk, tile, d, h, w);
        }
}

static void run_tile(tile_walk *walk, const cr_direct_box *tile) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    const int64_t d = tile->begin[CR_D], y = tile->begin[CR_H], x = tile->begin[CR_W];
    const int64_t plane = (walk->n * walk->plan->out_blocks + walk->block) * g->out[CR_D] + d;
    const int64_t offset = ((plane * g->out[CR_H] + y) * g->out[CR_W] + x) * walk->plan->kernels->lanes;
    int64_t n[CR_CONV_RANK];
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        n[axis] = list_runs(walk->reach[axis], g->kernel[axis], tile->begin[axis], tile->end[axis],
                            walk->runs[axis]);
    const bool single = n[CR_D] == 1 && n[CR_H] == 1 && n[CR_W] == 1 &&
                        covers(walk->runs[CR_H], tile, CR_H) && covers(walk->runs[CR_W], tile, CR_W);
    if (single)
        run_single(walk, tile, walk->runs[CR_D], offset);
    else
        run_passes(walk, tile, walk->runs[CR_D], n[CR_D] > 0 ? n[CR_H] : 0, n[CR_W]);
    if (!single || !walk->in_registers)
        finish_sums(walk, (tile->end[CR_H] - y) * (tile->end[CR_W] - x), offset);
}

/* ---- chunks ---- */

/* Steps through the tensor itself. */
static void view_input(tile_walk *walk) {
    const cr_direct_plan *plan = walk->plan;
    const int64_t *in = plan->geometry.in;
    input_view *view = &walk->input;
    *view = (input_view){
        .step = {in[CR_H] * in[CR_W] * plan->in_lanes, in[CR_W] * plan->in_lanes, plan->in_lanes}};
    view->block_step = in[CR_D] * view->step[CR_D];
    view->data = walk->args->input + walk->n * plan->in_blocks * view->block_step;
}

/* Applies the prologue to the part of the input that the tiles of a box read, for the blocks [first, end),
 * and makes that part the view. */
static void transform_input(tile_walk *walk, const cr_direct_box *output, int64_t first, int64_t end) {
    const cr_direct_kernels *kernels = walk->plan->kernels;
    const cr_prologue *prologue = walk->args->prologue;
    const cr_direct_box box = cr_direct_input_box(walk->plan, output);
    const input_view from = walk->input;
    int64_t extent[CR_CONV_RANK];
    input_view *view = &walk->input;
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        extent[axis] = box.end[axis] - box.begin[axis];
        view->origin[axis] = box.begin[axis];
    }
    view->step[CR_H] = extent[CR_W] * kernels->lanes;
    view->step[CR_D] = extent[CR_H] * view->step[CR_H];
    view->block_step = extent[CR_D] * view->step[CR_D];
    view->first_block = first;
    view->data = walk->transformed;
    float *to = walk->transformed;
    for (int64_t block = first; block < end; block++) {
        const int64_t channel = block * kernels->lanes, affine = walk->n * prologue->batch_stride + channel;
        for (int64_t d = box.begin[CR_D]; d < box.end[CR_D]; d++)
            for (int64_t y = box.begin[CR_H]; y < box.end[CR_H]; y++, to += view->step[CR_H])
                kernels->transform(&prologue->act, prologue->scale + affine, prologue->shift + affine,
                                   from.data + block * from.block_step + d * from.step[CR_D] +
                                       y * from.step[CR_H] + box.begin[CR_W] * from.step[CR_W],
                                   to, extent[CR_W], channel);
    }
}

static void set_output_tile(tile_walk *walk, int64_t output_tile) {
    const cr_direct_plan *plan = walk->plan;
    const int64_t lanes = plan->kernels->lanes;
    const cr_direct_span span = cr_direct_span_of(&plan->geometry, plan, output_tile);
    const float *bias = walk->args->epilogue->bias;
    walk->block = output_tile * plan->tile_blocks;
    walk->blocks = min(plan->tile_blocks, plan->out_blocks - walk->block);
    walk->weights = (const float *)walk->args->packed + output_tile * plan->tile_weights;
    walk->bias = bias != NULL ? bias + walk->block * lanes : no_bias;
    walk->channel_data =
        walk->input.data + (span.first_block - walk->input.first_block) * walk->input.block_step;
    walk->pass.input_blocks = span.blocks;
    walk->pass.input_step = walk->input.block_step;
    walk->pass.weights_step = plan->taps * plan->in_lanes * walk->blocks * lanes;
    walk->pass.first_lane = span.begin % plan->in_lanes;
    walk->pass.last_lanes = (span.end - 1) % plan->in_lanes + 1;
    walk->tap_box = (cr_direct_box){0}; /* the taps depend on the width of the tile */
}

/* Output tiles [begin, end) of a chunk of an image. */
static void run_chunk(tile_walk *walk, int64_t chunk, int64_t begin, int64_t end) {
    const cr_direct_plan *plan = walk->plan;
    const int64_t first = plan->pixel_tiles * chunk / plan->chunks;
    const int64_t last = plan->pixel_tiles * (chunk + 1) / plan->chunks;
    view_input(walk);
    if (walk->args->prologue != NULL && walk->args->prologue->scale != NULL) {
        const cr_direct_box box = cr_direct_tile_box(plan, first, last);
        const cr_direct_span from = cr_direct_span_of(&plan->geometry, plan, begin);
        const cr_direct_span to = cr_direct_span_of(&plan->geometry, plan, end - 1);
        transform_input(walk, &box, from.first_block, to.first_block + to.blocks);
    }
    walk->pixel_rows = 0;
    for (int64_t output_tile = begin; output_tile < end; output_tile++) {
        set_output_tile(walk, output_tile);
        cr_direct_box tile = cr_direct_tile_box(plan, first, first + 1);
        for (int64_t i = first; i < last; i++, cr_direct_next_tile(plan, &tile))
            run_tile(walk, &tile);
    }
}

/* ---- workspace ---- */

static size_t aligned(size_t bytes) {
    return (bytes + VECTOR_BYTES - 1) / VECTOR_BYTES * VECTOR_BYTES;
}

static size_t axis_bytes(const cr_conv_geometry *g) {
    return aligned((size_t)(g->kernel[CR_D] + g->kernel[CR_H] + g->kernel[CR_W]) * sizeof(tap_run));
}

/* The input of the largest chunk. */
static size_t transformed_bytes(const cr_direct_plan *plan) {
    int64_t most = 0;
    for (int64_t chunk = 0; chunk < plan->chunks; chunk++) {
        const cr_direct_box box = cr_direct_tile_box(plan, plan->pixel_tiles * chunk / plan->chunks,
                                                     plan->pixel_tiles * (chunk + 1) / plan->chunks);
        const cr_direct_box in = cr_direct_input_box(plan, &box);
        int64_t pixels = 1;
        for (int axis = 0; axis < CR_CONV_RANK; axis++)
            pixels *= in.end[axis] - in.begin[axis];
        most = max(most, pixels);
    }
    return (size_t)(most * plan->in_blocks * plan->in_lanes) * sizeof(float);
}

size_t cr_direct_workspace_bytes(const cr_conv *conv, const cr_direct_kernels *kernels) {
    cr_direct_plan plan;
    cr_direct_make_plan(conv, kernels, &plan);
    const size_t fixed = MAX_TILE_FLOATS * sizeof(float) + 2 * axis_bytes(&plan.geometry) +
                         aligned((size_t)plan.taps * sizeof(cr_direct_tap));
    return fixed + (conv->has_prologue && plan.pixel_tiles > 0 ? transformed_bytes(&plan) : 0);
}

static void carve_workspace(tile_walk *walk, char *workspace) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    walk->sums = (float *)workspace;
    workspace += MAX_TILE_FLOATS * sizeof(float);
    tap_run *reach = (tap_run *)workspace, *runs = (tap_run *)(workspace + axis_bytes(g));
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        walk->reach[axis] = reach;
        walk->runs[axis] = runs;
        reach += g->kernel[axis];
        runs += g->kernel[axis];
        for (int64_t tap = 0; tap < g->kernel[axis]; tap++)
            cr_conv_reach(g, axis, tap, &walk->reach[axis][tap].out_begin, &walk->reach[axis][tap].out_end);
    }
    workspace += 2 * axis_bytes(g);
    walk->taps = (cr_direct_tap *)workspace;
    walk->pass.taps = walk->taps;
    walk->transformed = (float *)(workspace + aligned((size_t)walk->plan->taps * sizeof(cr_direct_tap)));
}

/* ---- tasks ---- */

static float clamp(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

/* Sums that only a residual and one clamp follow need not leave the registers. */
static void choose_finish(tile_walk *walk) {
    const cr_epilogue *e = walk->args->epilogue;
    float low, high, low_after, high_after;
    const bool clamps = cr_activation_is_clamp(&e->act, &low, &high);
    const bool clamps_after = cr_activation_is_clamp(&e->act_after, &low_after, &high_after);
    walk->in_registers = clamps && clamps_after && (e->residual == NULL || e->act.kind == CR_ACT_NONE);
    walk->pass.low = clamp(low, low_after, high_after);
    walk->pass.high = clamp(high, low_after, high_after);
}

void cr_direct_run(const cr_conv *conv, const cr_direct_kernels *kernels, const cr_conv_args *args,
                   int64_t task_begin, int64_t task_end, void *workspace) {
    cr_direct_plan plan;
    cr_direct_make_plan(conv, kernels, &plan);
    tile_walk walk = {.plan = &plan, .args = args};
    const cr_conv_geometry *g = &plan.geometry;
    walk.pass.output_block = g->out[CR_D] * g->out[CR_H] * g->out[CR_W] * kernels->lanes;
    walk.pass.pixels = walk.pixels;
    walk.pass.slots = walk.slots;
    carve_workspace(&walk, workspace);
    choose_finish(&walk);
    if (plan.pixel_tiles == 0)
        return;
    for (int64_t task = task_begin; task < task_end;) { /* neighbours share the chunk */
        const int64_t first = task % plan.output_tiles,
                      last = min(plan.output_tiles, first + task_end - task);
        walk.n = task / plan.output_tiles / plan.chunks;
        run_chunk(&walk, task / plan.output_tiles % plan.chunks, first, last);
        task += last - first;
    }
}
