#include "runtime/kernels/conv/direct.h"

#include "runtime/base/whole.h"

#include <string.h>

/* Input of a chunk of tiles: it is read once for every output tile, and the weights of an output tile once
 * for every pixel tile of the chunk, so both are to stay in a second-level cache of 1 MB. */
enum { CACHE_BYTES = 832 * 1024, LEAST_CHUNK_BYTES = 192 * 1024, MOST_CHUNK_BYTES = 512 * 1024 };

/* Pixel tiles that are worth a thread. */
enum { LEAST_TILES = 4 };

/* Output blocks for which it pays to gather what they read. */
enum { LEAST_READERS = 4 };

/* Of a padded copy: little enough to stay near, much more than the rows that neighbouring chunks share. */
enum { PADDED_CHUNK_BYTES = 192 * 1024, MOST_PADDED_KERNEL = 128, MOST_PADDED_STRIDE = 16 };

static cr_direct_cut cut(int64_t n, int64_t part) {
    const int64_t parts = cr_divide_up(n, part);
    return (cr_direct_cut){parts, parts > 0 ? n / parts : 0, parts > 0 ? n % parts : 0};
}

void cr_direct_part(const cr_direct_cut *cut, int64_t i, int64_t *begin, int64_t *end) {
    *begin = i * cut->size + cr_smaller(i, cut->longer);
    *end = *begin + cut->size + (i < cut->longer);
}

/* ---- output channels ---- */

cr_direct_span cr_direct_span_of(const cr_conv_geometry *g, const cr_direct_plan *plan, int64_t output_tile) {
    const int64_t group_ic = g->ic / g->groups, group_oc = g->oc / g->groups;
    const int64_t lanes = plan->kernels->lanes;
    int64_t begin, end;
    cr_direct_part(&plan->output_tiles, output_tile, &begin, &end);
    const int64_t first = begin * lanes, last = cr_smaller(end * lanes, g->oc) - 1;
    cr_direct_span span = {.begin = first / group_oc * group_ic, .end = (last / group_oc + 1) * group_ic};
    span.first_block = span.begin / plan->in_lanes;
    span.blocks = cr_divide_up(span.end, plan->in_lanes) - span.first_block;
    return span;
}

/* What an input channel and tap of an output tile cost, in vectors of weights, if the plan's largest tiles
 * have `most` blocks. Measured on AVX-512: 98 % of the peak with two blocks, 90 % with two and no more pixels
 * than three have, and 74 % with a single one, which wants for loads: 15 of them feed 14 multiplications. */
static double tile_work(const cr_conv_geometry *g, const cr_direct_plan *plan, int64_t blocks, int64_t most) {
    const bool in_rows = plan->taps > 1 || cr_conv_volume(g->stride) > 1;
    if (blocks == 1)
        return 1.32;
    return (double)blocks * (blocks == 3 ? plan->kernels->wide_work[in_rows] : most == 3 ? 1.09 : 1);
}

/* Whether at least half of the last block is empty, and it is not the only one of its tile. */
static bool is_halved(const cr_conv *conv, const cr_direct_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t lanes = plan->kernels->lanes, used = (g->oc - 1) % lanes + 1;
    return used <= lanes / 2 && plan->output_tiles.size > 1 && cr_conv_is_pointwise(g) && g->groups == 1 &&
           conv->input_blocked && !conv->transposed && plan->kernels->tiles[CR_DIRECT_HALVED] != NULL;
}

/* The work of the output tiles and the widest span, where groups make the tiles read different channels. */
static double add_up_spans(const cr_conv_geometry *g, cr_direct_plan *plan) {
    double work = 0;
    plan->span_blocks = 0;
    for (int64_t o = 0; o < plan->output_tiles.parts; o++) {
        const cr_direct_span span = cr_direct_span_of(g, plan, o);
        int64_t begin, end;
        cr_direct_part(&plan->output_tiles, o, &begin, &end);
        work += (double)(span.end - span.begin) * tile_work(g, plan, end - begin, plan->tile_blocks);
        plan->span_blocks = span.blocks > plan->span_blocks ? span.blocks : plan->span_blocks;
    }
    return work;
}

/* The work of a tap and an output pixel, if tiles have up to so many blocks, as the plan then says. */
static double span_work(const cr_conv *conv, cr_direct_plan *plan, int64_t tile_blocks) {
    const cr_conv_geometry *g = &conv->geometry;
    const cr_direct_cut *tiles = &plan->output_tiles;
    plan->output_tiles = cut(plan->out_blocks, tile_blocks);
    plan->tile_blocks = tiles->size + (tiles->longer > 0);
    plan->halved = is_halved(conv, plan);
    if (g->groups > 1)
        return add_up_spans(g, plan);
    plan->span_blocks = plan->in_blocks;
    const double longer = tile_work(g, plan, tiles->size + 1, plan->tile_blocks);
    const double others = tile_work(g, plan, tiles->size, plan->tile_blocks);
    const double saved = plan->halved ? 0.45 : 0; /* joining halves takes some of what it saves */
    return (double)g->ic *
           ((double)tiles->longer * longer + (double)(tiles->parts - tiles->longer) * others - saved);
}

/* Mostly two blocks at a time; three where those would leave a single one, one where more would add zeros
 * between groups. Returns the work of a tap and an output pixel. */
static double plan_channels(const cr_conv *conv, const cr_direct_kernels *kernels, cr_direct_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    plan->kernels = kernels;
    plan->in_lanes = conv->input_blocked ? kernels->lanes : 1;
    plan->in_blocks = cr_divide_up(g->ic, plan->in_lanes);
    plan->out_blocks = cr_divide_up(g->oc, kernels->lanes);
    plan->taps = cr_conv_volume(g->kernel);
    double least = span_work(conv, plan, 2);
    for (int64_t blocks = 1; blocks <= CR_DIRECT_TILE_BLOCKS; blocks += 2) {
        cr_direct_plan other = *plan;
        const double work = span_work(conv, &other, blocks);
        if (work < least) {
            least = work;
            *plan = other;
        }
    }
    plan->block_weights = plan->span_blocks * plan->taps * plan->in_lanes * kernels->lanes;
    return least;
}

/* ---- output pixels ---- */

/* Whether there are strides between the pixels that are read, each by many output blocks. */
static bool is_gathered(const cr_conv *conv, const cr_direct_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    bool inside = true;
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        inside = inside && g->pad[axis] == 0 && (g->out[axis] - 1) * g->stride[axis] < g->in[axis];
    return inside && plan->taps == 1 && cr_conv_volume(g->stride) > 1 && plan->out_blocks >= LEAST_READERS &&
           !conv->transposed && !conv->has_prologue && conv->input_blocked;
}

/* As the tiles see it. Phases of a transposed convolution, whose outputs are apart, are not flattened. */
static void set_geometry(const cr_conv *conv, cr_direct_plan *plan) {
    cr_conv_geometry *g = &plan->geometry;
    plan->source = *g = conv->geometry;
    plan->gathered = is_gathered(conv, plan);
    for (int axis = 0; axis < CR_CONV_RANK && plan->gathered; axis++) {
        g->in[axis] = g->out[axis];
        g->stride[axis] = 1;
    }
    if (!conv->transposed)
        cr_conv_flatten(g);
}

static void plan_tiles(cr_direct_plan *plan) {
    const int64_t *out = plan->geometry.out, pixels = plan->kernels->tile_pixels[plan->tile_blocks - 1];
    plan->columns = cut(out[CR_W], pixels);
    plan->rows = cut(out[CR_H], plan->columns.parts == 1 ? pixels / out[CR_W] : 1);
    plan->pixel_tiles = out[CR_D] * plan->rows.parts * plan->columns.parts;
}

/* The share of the threads that have work, if the tasks of all images are dealt out evenly. */
static double balance(const cr_conv *conv, const cr_direct_plan *plan, int64_t chunks) {
    const int64_t tasks = conv->geometry.n * chunks * plan->output_tiles.parts, threads = conv->threads;
    const int64_t rounds = cr_divide_up(tasks, threads) * threads,
                  tiles = cr_divide_up(plan->pixel_tiles, chunks) * chunks;
    return (double)tasks / (double)rounds * (double)plan->pixel_tiles / (double)tiles;
}

/* Where there is padding, no more of it than an ordinary kernel has, and zero in every channel. */
static bool is_padded(const cr_conv *conv, const cr_direct_plan *plan) {
    const cr_conv_geometry *g = &plan->geometry;
    bool any = false, usual = plan->in_lanes == 1 && !conv->has_border_bias;
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const int64_t end = (g->out[axis] - 1) * g->stride[axis] + g->kernel[axis] - g->pad[axis];
        any = any || g->pad[axis] > 0 || end > g->in[axis];
        usual = usual && g->dilation[axis] == 1 && g->pad[axis] < g->kernel[axis] &&
                g->kernel[axis] <= MOST_PADDED_KERNEL && g->stride[axis] <= MOST_PADDED_STRIDE;
    }
    return any && usual;
}

static int64_t chunk_bytes(const cr_direct_plan *plan) {
    if (plan->padded)
        return PADDED_CHUNK_BYTES;
    const int64_t rest = CACHE_BYTES - plan->tile_blocks * plan->block_weights * (int64_t)sizeof(float);
    return rest < LEAST_CHUNK_BYTES ? LEAST_CHUNK_BYTES : cr_smaller(rest, MOST_CHUNK_BYTES);
}

/* Whether threads share the pixels, and all read the weights, or the output channels, and all read the input:
 * by what is less to read. */
static bool shares_pixels(const cr_conv *conv, const cr_direct_plan *plan, int64_t input_bytes) {
    const int64_t weights_bytes = plan->out_blocks * plan->block_weights * (int64_t)sizeof(float);
    return input_bytes >= weights_bytes && plan->pixel_tiles >= LEAST_TILES * (int64_t)conv->threads;
}

/* Positions of the input that are read: strides longer than the kernel leave gaps, but not in a transformed
 * copy. */
static int64_t touched(const cr_conv *conv, const cr_conv_geometry *g) {
    int64_t n = 1;
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        n *= conv->has_prologue ? g->in[axis] : cr_smaller(g->in[axis], g->out[axis] * g->kernel[axis]);
    return n;
}

/* As few chunks as the cache allows, since the weights stream anew for each, but enough to occupy the
 * threads. */
static void plan_chunks(const cr_conv *conv, cr_direct_plan *plan) {
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t input_bytes = plan->in_blocks * plan->in_lanes * touched(conv, g) * (int64_t)sizeof(float);
    plan->chunks = cr_smaller(cr_divide_up(input_bytes, chunk_bytes(plan)), plan->pixel_tiles);
    if (plan->chunks < 1)
        plan->chunks = 1;
    if (conv->threads <= 1 || plan->pixel_tiles == 0)
        return;
    if (shares_pixels(conv, plan, input_bytes)) {
        const int64_t shares = cr_conv_shares(g->n, conv->threads);
        plan->chunks = cr_smaller(cr_divide_up(plan->chunks, shares), plan->pixel_tiles / shares) * shares;
        return;
    }
    const int64_t most = cr_smaller(plan->chunks + 8 * conv->threads, plan->pixel_tiles);
    int64_t best = plan->chunks;
    for (int64_t chunks = plan->chunks; chunks <= most && balance(conv, plan, best) < 0.88; chunks++)
        if (balance(conv, plan, chunks) > balance(conv, plan, best))
            best = chunks;
    plan->chunks = best;
}

void cr_direct_make_plan(const cr_conv *conv, const cr_direct_kernels *kernels, cr_direct_plan *plan) {
    plan_channels(conv, kernels, plan);
    set_geometry(conv, plan);
    plan->outputs = (cr_direct_outputs){.step = {1, 1, 1}};
    memcpy(plan->outputs.extents, plan->geometry.out, sizeof plan->outputs.extents);
    plan_tiles(plan);
    plan->padded = is_padded(conv, plan);
    plan_chunks(conv, plan);
}

static cr_direct_box one_tile_box(const cr_direct_plan *plan, int64_t tile) {
    const int64_t row = tile / plan->columns.parts;
    cr_direct_box box;
    box.begin[CR_D] = row / plan->rows.parts;
    box.end[CR_D] = box.begin[CR_D] + 1;
    cr_direct_part(&plan->rows, row % plan->rows.parts, &box.begin[CR_H], &box.end[CR_H]);
    cr_direct_part(&plan->columns, tile % plan->columns.parts, &box.begin[CR_W], &box.end[CR_W]);
    return box;
}

/* Moves [*begin, *end) on to the next part; false after the last, with the first part in place. */
static bool next_part(const cr_direct_cut *parts, int64_t n, int64_t *begin, int64_t *end) {
    const bool more = *end < n;
    *begin = more ? *end : 0;
    *end = *begin + parts->size + (*begin < parts->longer * (parts->size + 1));
    return more;
}

void cr_direct_next_tile(const cr_direct_plan *plan, cr_direct_box *tile) {
    const int64_t *out = plan->geometry.out;
    if (next_part(&plan->columns, out[CR_W], &tile->begin[CR_W], &tile->end[CR_W]) ||
        next_part(&plan->rows, out[CR_H], &tile->begin[CR_H], &tile->end[CR_H]))
        return;
    tile->begin[CR_D] = tile->end[CR_D]++;
}

/* An axis is whole as soon as the range spans more than one position of an outer axis. */
cr_direct_box cr_direct_tile_box(const cr_direct_plan *plan, int64_t begin, int64_t end) {
    cr_direct_box box = one_tile_box(plan, begin);
    if (end - begin == 1)
        return box;
    const cr_direct_box last = one_tile_box(plan, end - 1);
    bool whole = false;
    for (int axis = CR_D; axis <= CR_W; axis++) {
        const bool same = box.begin[axis] == last.begin[axis];
        box.begin[axis] = whole ? 0 : box.begin[axis];
        box.end[axis] = whole ? plan->geometry.out[axis] : last.end[axis];
        whole = whole || !same;
    }
    return box;
}

cr_direct_box cr_direct_input_box(const cr_direct_plan *plan, const cr_direct_box *output) {
    const cr_conv_geometry *g = &plan->geometry;
    cr_direct_box box;
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const int64_t begin = output->begin[axis] * g->stride[axis] - g->pad[axis];
        const int64_t end = (output->end[axis] - 1) * g->stride[axis] - g->pad[axis] +
                            (g->kernel[axis] - 1) * g->dilation[axis] + 1;
        box.begin[axis] = begin;
        box.end[axis] = end;
        if (plan->padded)
            continue;
        box.begin[axis] = begin < 0 ? 0 : cr_smaller(begin, g->in[axis]);
        box.end[axis] = end < box.begin[axis] ? box.begin[axis] : cr_smaller(end, g->in[axis]);
    }
    return box;
}

/* ---- the functions of the rows ---- */

const char *cr_direct_refuses(const cr_conv *conv, const cr_direct_kernels *kernels) {
    if (conv->lanes != kernels->lanes || !conv->input_blocked || !conv->output_blocked)
        return "needs blocked input and output";
    if (conv->transposed)
        return "is not for transposed convolution";
    return NULL;
}

const char *cr_stem_refuses(const cr_conv *conv, const cr_direct_kernels *kernels) {
    if (conv->lanes != kernels->lanes || conv->input_blocked || !conv->output_blocked)
        return "needs plain input and blocked output";
    if (conv->transposed)
        return "is not for transposed convolution";
    if (conv->has_prologue)
        return "has no prologue for plain input";
    return NULL;
}

/* The share of padding among the taps of an axis is not computed. */
static double taps_inside(const cr_conv_geometry *g, int axis) {
    int64_t sum = 0;
    for (int64_t tap = 0; tap < g->kernel[axis]; tap++) {
        int64_t begin, end;
        cr_conv_reach(g, axis, tap, &begin, &end);
        sum += end - begin;
    }
    return (double)sum;
}

/* Parts of an axis that all taps reach whole. */
static int64_t parts_inside(const cr_conv_geometry *g, int axis, const cr_direct_cut *parts) {
    int64_t first, last, unused, inside = 0;
    cr_conv_reach(g, axis, 0, &first, &unused);
    cr_conv_reach(g, axis, g->kernel[axis] - 1, &unused, &last);
    for (int64_t i = 0; i < parts->parts; i++) {
        int64_t begin, end;
        cr_direct_part(parts, i, &begin, &end);
        inside += begin >= first && end <= last;
    }
    return inside;
}

/* Weights come from memory, fetched beneath the arithmetic of earlier output tiles if there are several tiles
 * of pixels to compute meanwhile. Those of several taps are more than the cache takes ahead. */
static double weights_cycles(const cr_conv *conv, const cr_direct_plan *plan) {
    const double bytes = (double)(plan->out_blocks * plan->block_weights) * (double)sizeof(float);
    const double share = plan->pixel_tiles <= 1 ? 1.1 : plan->taps > 1 ? 0.38 : 0.14;
    return share * cr_conv_memory_cost(conv, bytes);
}

/* Cycles of a core that does two vector multiply-adds a cycle, fitted to measurements on AVX-512: steps run
 * at 93 % of the peak; a tile is begun and stored, on a border that is not padded in several passes; a
 * prologue copies the input, as gathering does. */
double cr_direct_cost(const cr_conv *conv, const cr_direct_kernels *kernels) {
    cr_direct_plan plan;
    const double work = plan_channels(conv, kernels, &plan);
    set_geometry(conv, &plan);
    plan_tiles(&plan);
    const cr_conv_geometry *g = &plan.geometry;
    const bool padded = is_padded(conv, &plan);
    const double inside = padded ? (double)cr_conv_volume(g->out) * (double)plan.taps
                                 : taps_inside(g, CR_D) * taps_inside(g, CR_H) * taps_inside(g, CR_W);
    const int64_t whole =
        padded ? plan.pixel_tiles
               : g->out[CR_D] * parts_inside(g, CR_H, &plan.rows) * parts_inside(g, CR_W, &plan.columns);
    const double tiles = 50 * (double)plan.pixel_tiles + 500 * (double)(plan.pixel_tiles - whole);
    const double copy =
        conv->has_prologue || plan.gathered ? 3.0 * (double)(plan.in_blocks * cr_conv_volume(g->in)) : 0;
    return 1000 + (double)g->n * (work * inside / 2 / 0.93 + tiles * (double)plan.output_tiles.parts + copy) +
           weights_cycles(conv, &plan);
}

size_t cr_direct_packed_bytes(const cr_conv *conv, const cr_direct_kernels *kernels) {
    cr_direct_plan plan;
    plan_channels(conv, kernels, &plan);
    return (size_t)(plan.out_blocks * plan.block_weights) * sizeof(float);
}

/* The taps of one output and one input channel, to_step apart in the packed tile. */
static void pack_taps(const cr_conv_geometry *g, const cr_direct_weights *weights, const float *from,
                      int64_t to_step, float *to) {
    const int64_t *kernel = weights->kernel, *first = weights->first, *step = weights->step;
    for (int64_t d = 0; d < g->kernel[CR_D]; d++)
        for (int64_t h = 0; h < g->kernel[CR_H]; h++)
            for (int64_t w = 0; w < g->kernel[CR_W]; w++, to += to_step) {
                const int64_t row =
                    (first[CR_D] + d * step[CR_D]) * kernel[CR_H] + first[CR_H] + h * step[CR_H];
                *to = from[row * kernel[CR_W] + first[CR_W] + w * step[CR_W]];
            }
}

/* The weights of one output channel, `width` apart in the packed tile. */
static void pack_channel(const cr_conv_geometry *g, const cr_direct_plan *plan, const cr_direct_span *span,
                         int64_t width, const cr_direct_weights *weights, int64_t o, float *packed) {
    const int64_t group_ic = g->ic / g->groups, group_oc = g->oc / g->groups, lanes = plan->in_lanes;
    const int64_t group = o / group_oc, first = group * group_ic;
    const float *from = weights->data + group * weights->group + o % group_oc * weights->output;
    for (int64_t c = first; c < first + group_ic; c++, from += weights->input) {
        const int64_t block = c / lanes - span->first_block;
        pack_taps(g, weights, from, lanes * width, packed + (block * plan->taps * lanes + c % lanes) * width);
    }
}

/* The same for all outputs of a tile of a 1x1 convolution without groups: a transposition, in pieces that
 * stay cached. */
static void pack_pointwise(const cr_conv_geometry *g, const cr_direct_weights *weights, int64_t first,
                           int64_t width, float *packed) {
    enum { PIECE = 16 };
    const int64_t n = cr_smaller(width, g->oc - first);
    for (int64_t c = 0; c < g->ic; c += PIECE)
        for (int64_t i = 0; i < n; i++) {
            const float *from = weights->data + (first + i) * weights->output + c * weights->input;
            for (int64_t k = 0; k < cr_smaller(PIECE, g->ic - c); k++)
                packed[(c + k) * width + i] = from[k * weights->input];
        }
}

/* Writes the first half of the last block of n rows of a tile into its second half. */
static void repeat_half(int64_t n, int64_t blocks, int64_t lanes, float *packed) {
    for (float *block = packed + (blocks - 1) * lanes; n > 0; n--, block += blocks * lanes)
        memcpy(block + lanes / 2, block, (size_t)(lanes / 2) * sizeof(float));
}

void cr_direct_pack_weights(const cr_conv *conv, const cr_direct_kernels *kernels,
                            const cr_direct_weights *weights, float *packed) {
    const cr_conv_geometry *g = &conv->geometry;
    const bool pointwise =
        g->groups == 1 && cr_conv_volume(g->kernel) == 1 && cr_conv_volume(weights->kernel) == 1;
    cr_direct_plan plan;
    plan_channels(conv, kernels, &plan);
    memset(packed, 0, cr_direct_packed_bytes(conv, kernels));
    for (int64_t tile = 0; tile < plan.output_tiles.parts; tile++) {
        const cr_direct_span span = cr_direct_span_of(g, &plan, tile);
        int64_t begin, end;
        cr_direct_part(&plan.output_tiles, tile, &begin, &end);
        const int64_t width = (end - begin) * kernels->lanes, first = begin * kernels->lanes;
        if (pointwise)
            pack_pointwise(g, weights, first, width, packed);
        for (int64_t i = 0; !pointwise && i < width && first + i < g->oc; i++)
            pack_channel(g, &plan, &span, width, weights, first + i, packed + i);
        if (plan.halved && end == plan.out_blocks)
            repeat_half(plan.block_weights / kernels->lanes, end - begin, kernels->lanes, packed);
        packed += (end - begin) * plan.block_weights;
    }
}

void cr_direct_pack(const cr_conv *conv, const cr_direct_kernels *kernels, const float *weights,
                    float *packed) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t taps = cr_conv_volume(g->kernel), group_ic = g->ic / g->groups;
    cr_direct_weights all = {.data = weights, .output = group_ic * taps, .input = taps, .step = {1, 1, 1}};
    all.group = g->oc / g->groups * all.output;
    memcpy(all.kernel, g->kernel, sizeof all.kernel);
    cr_direct_pack_weights(conv, kernels, &all, packed);
}

int64_t cr_direct_tasks(const cr_conv *conv, const cr_direct_kernels *kernels) {
    cr_direct_plan plan;
    cr_direct_make_plan(conv, kernels, &plan);
    return conv->geometry.n * plan.chunks * plan.output_tiles.parts;
}
