#include "runtime/kernels/conv/amx.h"

#include "runtime/base/whole.h"

#include <string.h>

/* The copy of a chunk: it is read once for each two blocks of outputs, and the weights of those once for each
 * two tiles of pixels, so both are to stay in a second-level cache, which where there is AMX has 2 MB. Few
 * weights may as well come more often, if what is copied then still is in a near cache. */
enum { LEAST_CHUNK_BYTES = 384 * 1024, MOST_CHUNK_BYTES = 1024 * 1024 };
enum { RECORD_BYTES = CR_AMX_RECORD * sizeof(uint16_t) };

/* Rows, or pieces of the only one, that are worth a thread. */
enum { LEAST_UNITS = 2 };

/* Of what a thread needs, whatever the chunks. Dilations and strides that are far larger than the map would
 * have much padding copied, or more than can be. */
static const double MOST_BYTES = 256 << 20;

static double least_bytes(const cr_conv_geometry *g) {
    const double down = (double)(g->kernel[CR_H] - 1) * (double)g->dilation[CR_H],
                 across = (double)(g->kernel[CR_W] - 1) * (double)g->dilation[CR_W];
    const double rows = down + (double)cr_smaller(g->stride[CR_H], g->kernel[CR_H] * g->dilation[CR_H]);
    const double outputs = (double)(g->out[CR_H] == 1 ? CR_AMX_UNIT : g->out[CR_W]) + CR_AMX_PIXELS;
    const double pairs = (double)cr_divide_up(g->ic, CR_AMX_CHANNELS);
    const double taps = (double)g->kernel[CR_D] * (double)g->kernel[CR_H] * (double)g->kernel[CR_W];
    return pairs * RECORD_BYTES *
           ((double)g->kernel[CR_D] * rows * (outputs * (double)g->stride[CR_W] + across) +
            taps * 2 * CR_AMX_LANES);
}

const char *cr_amx_refuses(const cr_conv *conv) {
    if (conv->lanes != CR_AMX_LANES || !conv->input_blocked || !conv->output_blocked)
        return "needs blocked input and output";
    if (conv->transposed)
        return "is not for transposed convolution";
    if (conv->exact)
        return "exact results are asked for and AMX multiplies parts of floats";
    if (conv->geometry.groups != 1)
        return "is for one group";
    if (least_bytes(&conv->geometry) > MOST_BYTES)
        return "would copy too much at a time";
    return NULL;
}

/* ---- plan ---- */

/* Pixels of the copy from what the first tap reads for the first of n outputs of a row to what the last reads
 * for the last. */
static int64_t row_span(const cr_amx_plan *plan, int64_t n) {
    const cr_conv_geometry *g = &plan->geometry;
    return (n - 1) * plan->copied_step + (g->kernel[CR_W] - 1) * g->dilation[CR_W] + 1;
}

/* Padding at the end of a row is that before the next, as far as both have it. */
cr_amx_row cr_amx_row_of(const cr_amx_plan *plan, int64_t x, int64_t rows, int64_t columns) {
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t first = x * g->stride[CR_W] - g->pad[CR_W], step = plan->source_step;
    const int64_t span = row_span(plan, columns);
    cr_amx_row row = {.pitch = columns, .copied = span};
    row.lead = cr_smaller(cr_divide_up(cr_larger(-first, 0), step), span);
    const int64_t end = cr_within(cr_divide_up(cr_larger(g->in[CR_W] - first, 0), step), row.lead, span);
    row.inside = end - row.lead;
    if (rows == 1)
        return row;
    const int64_t shared = cr_smaller(row.lead, span - end);
    row.pitch = cr_larger(columns, cr_divide_up(span - shared, plan->copied_step));
    row.copied = row.pitch * plan->copied_step;
    return row;
}

/* The most pixels of a pair of blocks that a chunk of so many rows and columns copies. */
static int64_t copied_pixels(const cr_amx_plan *plan, int64_t rows, int64_t columns) {
    const int64_t row = cr_round_up(row_span(plan, columns), plan->copied_step);
    return plan->geometry.kernel[CR_D] * plan->phases * (rows + plan->more_rows) * row;
}

int64_t cr_amx_pixels_past(const cr_amx_plan *plan) {
    const cr_conv_geometry *g = &plan->geometry;
    return CR_AMX_PIXELS * plan->copied_step + (g->kernel[CR_W] - 1) * g->dilation[CR_W];
}

int64_t cr_amx_copy_numbers(const cr_amx_plan *plan) {
    const int64_t pixels = plan->in_pairs * copied_pixels(plan, plan->tallest, plan->widest);
    return (pixels + cr_amx_pixels_past(plan)) * CR_AMX_RECORD;
}

static void set_channels(const cr_conv *conv, cr_amx_plan *plan) {
    plan->in_blocks = cr_divide_up(conv->geometry.ic, CR_AMX_LANES);
    plan->in_pairs = cr_divide_up(plan->in_blocks, 2);
    plan->out_blocks = cr_divide_up(conv->geometry.oc, CR_AMX_LANES);
    plan->out_pairs = cr_divide_up(plan->out_blocks, 2);
    plan->taps = cr_conv_volume(conv->geometry.kernel);
}

static int64_t weights_bytes(const cr_amx_plan *plan) {
    return plan->out_blocks * plan->in_pairs * plan->taps * CR_AMX_TILE * (int64_t)sizeof(float);
}

/* As few parts of a plane as the cache allows, since weights are read anew for each; where threads share the
 * pixels, because they have less to read then, equally many for each. */
static void cut_planes(const cr_conv *conv, cr_amx_plan *plan) {
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t across = g->out[CR_W], down = g->out[CR_H];
    const int64_t units = cr_larger(plan->by_columns ? cr_divide_up(across, CR_AMX_UNIT) : down, 1);
    const int64_t pixels = copied_pixels(plan, down, across), inputs = plan->in_pairs * pixels * RECORD_BYTES;
    const int64_t more = plan->by_columns ? 0 : plan->more_rows;
    const int64_t unit = cr_larger(cr_divide_up(inputs, units + more), 1);
    const int64_t weights = weights_bytes(plan),
                  fits = cr_within(2 * weights, LEAST_CHUNK_BYTES, MOST_CHUNK_BYTES);
    plan->parts = cr_divide_up(units, cr_larger(fits / unit - more, 1));
    if (conv->threads > 1 && inputs * g->out[CR_D] >= weights) {
        const int64_t shares = cr_conv_shares(g->n * g->out[CR_D], conv->threads);
        if (units >= LEAST_UNITS * shares)
            plan->parts = cr_smaller(cr_divide_up(plan->parts, shares), units / shares) * shares;
    }
    const int64_t most = cr_divide_up(units, plan->parts);
    plan->tallest = plan->by_columns ? 1 : most;
    plan->widest = plan->by_columns ? cr_smaller(most * CR_AMX_UNIT, across) : across;
}

void cr_amx_make_plan(const cr_conv *conv, cr_amx_plan *plan) {
    cr_conv_geometry *g = &plan->geometry;
    *g = conv->geometry;
    if (cr_conv_is_pointwise(g))
        cr_conv_flatten(g);
    set_channels(conv, plan);
    const int64_t reach = (g->kernel[CR_H] - 1) * g->dilation[CR_H];
    plan->phases = cr_smaller(g->stride[CR_H], reach + 1);
    plan->more_rows = reach / g->stride[CR_H];
    plan->copied_step = g->kernel[CR_W] == 1 ? 1 : g->stride[CR_W];
    plan->source_step = g->kernel[CR_W] == 1 ? g->stride[CR_W] : 1;
    plan->by_columns = g->out[CR_H] == 1;
    cut_planes(conv, plan);
}

/* Cycles of a core that does two vector multiply-adds a cycle, fitted to measurements on a Xeon as those of
 * the other algorithms are: of a pass over two tiles of pixels and of outputs, each step takes 24 products of
 * 16 cycles of a clock that is then lower, and some more where it splits weights; sums are stored and
 * finished; each pixel of a pair of blocks is split, which waits for the third-level cache. Weights come from
 * memory, and once more from the third-level cache for each further chunk. */
double cr_amx_cost(const cr_conv *conv) {
    cr_conv single = *conv;
    single.threads = 1; /* what is chosen by cost must not depend on threads: it would show in the results */
    cr_amx_plan plan;
    cr_amx_make_plan(&single, &plan);
    const cr_conv_geometry *g = &plan.geometry;
    const double images = (double)(g->n * g->out[CR_D]), steps = (double)(plan.in_pairs * plan.taps);
    const int64_t down = g->out[CR_H], across = g->out[CR_W];
    const int64_t pixels = (down - 1) * cr_amx_row_of(&plan, 0, down, across).pitch + across;
    const int64_t copied = plan.in_pairs * copied_pixels(&plan, down, across);
    const double passes = (double)cr_divide_up(pixels, CR_AMX_UNIT) * (double)plan.out_pairs;
    const double bytes = (double)weights_bytes(&plan), memory = cr_conv_memory_cost(conv, bytes);
    const double splits = pixels > CR_AMX_UNIT && pixels <= CR_AMX_ROWS * CR_AMX_PIXELS
                              ? 0
                              : 150 * (double)(plan.parts * plan.out_pairs);
    const double products = images * steps * (480 * passes + splits);
    return 1000 + (products > memory ? products : memory) + 0.6 * memory +
           (images * (double)plan.parts - 1) * bytes / 7 + images * (350 * passes + 28 * (double)copied);
}

/* ---- weights ---- */

size_t cr_amx_packed_bytes(const cr_conv *conv) {
    cr_amx_plan plan;
    set_channels(conv, &plan);
    return (size_t)weights_bytes(&plan);
}

/* The weights of some input channels of one output, [channels][taps]. Those of the next ones are fetched:
 * weights come from memory, those of 16 outputs in turn. */
static void pack_output(const float *weights, int64_t channels, int64_t taps, float *to) {
    enum { LINE = 16 };
    for (int64_t i = 0; i < channels * taps; i += LINE)
        __builtin_prefetch(weights + channels * taps + i);
    for (int64_t tap = 0; tap < taps; tap++, to += CR_AMX_TILE)
        for (int64_t c = 0; c < channels; c++)
            to[c * CR_AMX_LANES] = weights[c * taps + tap];
}

void cr_amx_pack(const cr_conv *conv, const float *weights, void *packed) {
    const int64_t ic = conv->geometry.ic, oc = conv->geometry.oc,
                  taps = cr_conv_volume(conv->geometry.kernel);
    float *to = packed;
    if (ic % CR_AMX_CHANNELS != 0 || oc % CR_AMX_LANES != 0)
        memset(packed, 0, cr_amx_packed_bytes(conv));
    for (int64_t first = 0; first < oc; first += CR_AMX_LANES)
        for (int64_t c = 0; c < ic; c += CR_AMX_CHANNELS, to += taps * CR_AMX_TILE)
            for (int64_t o = 0; o < cr_smaller(CR_AMX_LANES, oc - first); o++)
                pack_output(weights + ((first + o) * ic + c) * taps, cr_smaller(ic - c, CR_AMX_CHANNELS),
                            taps, to + o);
}

int64_t cr_amx_tasks(const cr_conv *conv) {
    cr_amx_plan plan;
    if (cr_conv_volume(conv->geometry.out) == 0)
        return 0;
    cr_amx_make_plan(conv, &plan);
    return plan.geometry.n * plan.geometry.out[CR_D] * plan.parts * plan.out_pairs;
}
