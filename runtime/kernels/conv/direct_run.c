/* The loops around the output tiles of direct convolution; see direct.h. */
#include <math.h>
#include <string.h>

#include "runtime/base/whole.h"
#include "runtime/kernels/conv/clamp.h"
#include "runtime/kernels/conv/direct_walk.h"

enum {
    MAX_TILE_FLOATS = CR_DIRECT_TILE_BLOCKS * CR_DIRECT_MAX_PIXELS * CR_DIRECT_MAX_LANES,
    VECTOR_BYTES = 64,
    LINE_FLOATS = 16, /* of a cache line */
    LARGE_BYTES = 1 << 20
};

static const float no_bias[CR_DIRECT_TILE_BLOCKS * CR_DIRECT_MAX_LANES];

/* ---- chunks ---- */

static void set_output_tile(cr_direct_walk *walk, int64_t output_tile, bool is_first) {
    const cr_direct_plan *plan = walk->plan;
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t lanes = plan->kernels->lanes;
    const cr_direct_span span = cr_direct_span_of(g, plan, output_tile);
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
    walk->interior_bias = cr_direct_walk_bias(walk, inside[CR_D], inside[CR_H],
                                              inside[CR_W]); /* unused where nothing is inside */
    walk->span_input =
        walk->input.data + (span.first_block - walk->input.first_block) * walk->input.block_step;
    walk->pass.input_blocks = span.blocks;
    walk->pass.input_step = walk->input.block_step;
    walk->pass.weights_step = plan->taps * plan->in_lanes * walk->blocks * lanes;
    walk->pass.first_lane = span.begin % plan->in_lanes;
    walk->pass.last_lanes = (span.end - 1) % plan->in_lanes + 1;
    cr_direct_walk_output_tile(walk, is_first);
}

/* While the tiles of a chunk are computed, the weights of an output tile to come arrive, so many of them with
 * each tap that the last tile brings the last. */
static void fetch_weights_of(cr_direct_walk *walk, int64_t output_tile, int64_t end, int64_t tiles) {
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
static bool scale_weights(cr_direct_walk *walk, cr_direct_box *tile) {
    const cr_direct_kernels *kernels = walk->plan->kernels;
    const int64_t pixels = tile->end[CR_W] - tile->begin[CR_W]; /* in a row */
    const bool in_tile = walk->tiles == kernels->tiles[CR_DIRECT_POINTWISE] && pixels > 1 &&
                         cr_direct_box_inside(tile, &walk->interior);
    if (in_tile) {
        walk->tiles = kernels->tiles[CR_DIRECT_SCALING];
        cr_direct_walk_tiles(walk, tile, 1);
    } else {
        cr_direct_scale_weights(walk->plan, walk->pass.factors, walk->pass.input_blocks, walk->blocks,
                                walk->weights, walk->transformed);
    }
    walk->weights = walk->transformed;
    cr_direct_walk_inside(walk);
    return in_tile;
}

/* What the tiles of a chunk read: the tensor, or what is made of it now; or, by the tiles of the first output
 * tile, in passing: then walk->kept is for the others. */
static void view_input(cr_direct_walk *walk, const cr_direct_box *chunk, int64_t begin, int64_t end) {
    const cr_direct_plan *plan = walk->plan;
    const cr_prologue *prologue = walk->args->prologue;
    const cr_direct_span from = cr_direct_span_of(&plan->geometry, plan, begin);
    const cr_direct_span to = cr_direct_span_of(&plan->geometry, plan, end - 1);
    walk->input = cr_direct_view_of(plan, walk->args->input, walk->n);
    if (plan->padded)
        cr_direct_pad(plan, chunk, walk->transformed, &walk->input);
    if (plan->gathered)
        cr_direct_gather(plan, walk->args->input, walk->n, chunk, from.first_block,
                         to.first_block + to.blocks, walk->transformed, &walk->input);
    if (prologue == NULL || prologue->scale == NULL || walk->scales_weights)
        return;
    walk->transforms = cr_direct_transforms_in_tiles(plan, prologue, &walk->pass.floor);
    if (!walk->transforms) {
        cr_direct_transform(plan, prologue, walk->n, chunk, from.first_block, to.first_block + to.blocks,
                            walk->transformed, &walk->input);
        return;
    }
    walk->kept = walk->input;
    cr_direct_view_copy(plan, chunk, from.first_block, walk->transformed, &walk->kept);
    walk->pass.kept_step = walk->kept.block_step;
    walk->pass.factors = cr_direct_factors(plan, prologue, walk->n, &from);
    walk->pass.shifts = prologue->shift + (walk->pass.factors - prologue->scale);
}

static void run_output_tile(cr_direct_walk *walk, int64_t first, int64_t last) {
    const cr_direct_plan *plan = walk->plan;
    cr_direct_box tile = cr_direct_tile_box(plan, first, first + 1);
    int64_t i = first;
    if (walk->transforms)
        walk->tiles = plan->kernels->tiles[CR_DIRECT_TRANSFORMING];
    if (walk->scales_weights && scale_weights(walk, &tile)) {
        cr_direct_next_tile(plan, &tile);
        i++;
    }
    for (; i < last; cr_direct_next_tile(plan, &tile))
        i += cr_direct_walk_tiles(walk, &tile, last - i);
    cr_direct_walk_finish(walk);
}

/* Output tiles [begin, end) of a chunk of an image. */
static void run_chunk(cr_direct_walk *walk, int64_t chunk, int64_t begin, int64_t end) {
    const cr_direct_plan *plan = walk->plan;
    const int64_t first = plan->pixel_tiles * chunk / plan->chunks;
    const int64_t last = plan->pixel_tiles * (chunk + 1) / plan->chunks;
    const cr_direct_box all = cr_direct_tile_box(plan, first, last);
    view_input(walk, &all, begin, end);
    cr_direct_walk_chunk(walk);
    for (int64_t output_tile = begin; output_tile < end; output_tile++) {
        set_output_tile(walk, output_tile, output_tile == begin);
        fetch_weights_of(walk, output_tile + 1, end, last - first);
        run_output_tile(walk, first, last);
        if (walk->transforms)
            walk->input = walk->kept;
        walk->transforms = false;
    }
}

/* ---- workspace: sums, runs, taps, transformed input ---- */

static size_t aligned(size_t bytes) {
    return (bytes + VECTOR_BYTES - 1) / VECTOR_BYTES * VECTOR_BYTES;
}

static size_t runs_bytes(const cr_conv_geometry *g) {
    return aligned((size_t)(g->kernel[CR_D] + g->kernel[CR_H] + g->kernel[CR_W]) * sizeof(cr_direct_reach));
}

size_t cr_direct_workspace_bytes(const cr_conv *conv, const cr_direct_kernels *kernels) {
    cr_direct_plan plan;
    cr_direct_make_plan(conv, kernels, &plan);
    const size_t taps = aligned((size_t)plan.taps * sizeof(cr_direct_tap));
    const size_t fixed = MAX_TILE_FLOATS * sizeof(float) + 2 * runs_bytes(&plan.geometry) + 2 * taps;
    const bool transforms = conv->has_prologue || plan.padded || plan.gathered;
    if (!transforms || plan.pixel_tiles == 0)
        return fixed;
    const size_t weights = (size_t)(plan.tile_blocks * plan.block_weights) * sizeof(float),
                 input = cr_direct_transformed_bytes(&plan);
    return fixed + (weights > input ? weights : input);
}

static void carve_workspace(cr_direct_walk *walk, char *workspace) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    const size_t taps = aligned((size_t)walk->plan->taps * sizeof(cr_direct_tap));
    walk->sums = (float *)workspace;
    workspace += MAX_TILE_FLOATS * sizeof(float);
    cr_direct_reach *reach = (cr_direct_reach *)workspace,
                    *runs = (cr_direct_reach *)(workspace + runs_bytes(g));
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

static void find_reach(cr_direct_walk *walk) {
    const cr_conv_geometry *g = &walk->plan->geometry;
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        cr_direct_reach *reach = walk->reach[axis];
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

/* Sums that only a residual and one clamp follow need not leave the registers. Others go to the output to
 * wait there for their activation, unless that stands before a residual or they have no neighbours. */
static void choose_finish(cr_direct_walk *walk) {
    const cr_epilogue *e = walk->args->epilogue;
    float low, high, low_after, high_after;
    const bool clamps = cr_activation_is_clamp(&e->act, &low, &high);
    const bool clamps_after = cr_activation_is_clamp(&e->act_after, &low_after, &high_after);
    const bool adds_first = e->residual == NULL || e->act.kind == CR_ACT_NONE;
    const bool now = clamps && clamps_after;
    walk->unfinished.any = !now && adds_first && !walk->apart;
    walk->unfinished.epilogue = (cr_epilogue){.act = e->act, .act_after = e->act_after};
    walk->in_registers = adds_first && (now || walk->unfinished.any);
    walk->pass.low = now ? cr_clamp_scalar(low, low_after, high_after) : -INFINITY;
    walk->pass.high = now ? cr_clamp_scalar(high, low_after, high_after) : INFINITY;
}

/* Tasks are (image, chunk, output tile), the last fastest: neighbours share a chunk, and its transformed
 * input. */
void cr_direct_run_plan(const cr_direct_plan *plan, const cr_conv_args *args, int64_t task_begin,
                        int64_t task_end, void *workspace) {
    const int64_t *extents = plan->outputs.extents, *step = plan->outputs.step;
    if (plan->pixel_tiles == 0)
        return;
    cr_direct_walk walk = {.plan = plan, .args = args};
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
