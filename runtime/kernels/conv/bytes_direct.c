#include "runtime/kernels/conv/bytes_direct.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/whole.h"

/* Of an axis: what a copy with padding may have around the input. Products of three fit 64 bits. */
enum { MOST_REACH = 1 << 12, MOST_STRIDE = 1 << 8 };

enum { LINE = 64 }; /* bytes of a cache line */

typedef struct plan {
    int64_t taps, out_blocks;
    cr_direct_cut output_tiles; /* of output blocks */
    int64_t block_bytes;        /* of packed weights, for each output block */
    cr_bytes_pixels pixels;
} plan;

/* The words of input that an output tile reads. */
typedef struct span {
    int64_t begin, end;
    int64_t first_block, end_block;
} span;

static size_t aligned(size_t bytes) {
    return (bytes + CR_ALIGNMENT - 1) / CR_ALIGNMENT * CR_ALIGNMENT;
}

/* ---- output channels ---- */

static span span_of(const cr_conv_geometry *g, const plan *p, int64_t output_tile) {
    const int64_t group_ic = g->ic / g->groups, group_oc = g->oc / g->groups;
    int64_t begin, end;
    cr_direct_part(&p->output_tiles, output_tile, &begin, &end);
    const int64_t first = begin * CR_BYTES_LANES, last = cr_smaller(end * CR_BYTES_LANES, g->oc) - 1;
    span s = {.begin = first / group_oc * group_ic / CR_BYTES_WORD,
              .end = cr_divide_up((last / group_oc + 1) * group_ic, CR_BYTES_WORD)};
    s.first_block = s.begin / CR_BYTES_WORDS;
    s.end_block = cr_divide_up(s.end, CR_BYTES_WORDS);
    return s;
}

/* Two blocks at a time; one where groups would make more of them read zeros. */
static void plan_channels(const cr_conv_geometry *g, plan *p) {
    const int64_t group_oc = g->oc / g->groups;
    const int64_t most = g->groups > 1 && group_oc <= CR_BYTES_LANES ? 1 : CR_BYTES_BLOCKS;
    p->taps = cr_conv_volume(g->kernel);
    p->out_blocks = cr_divide_up(g->oc, CR_BYTES_LANES);
    const int64_t parts = cr_divide_up(p->out_blocks, most);
    p->output_tiles = (cr_direct_cut){parts, p->out_blocks / parts, p->out_blocks % parts};
    int64_t words = 0;
    for (int64_t tile = 0; tile < (g->groups > 1 ? parts : 1); tile++) {
        const span s = span_of(g, p, tile);
        words = s.end - s.begin > words ? s.end - s.begin : words;
    }
    p->block_bytes = words * p->taps * CR_BYTES_LANES * CR_BYTES_WORD;
}

static plan make_plan(const cr_bytes_conv *conv) {
    plan p = {0};
    plan_channels(&conv->geometry, &p);
    p.pixels = cr_bytes_cut_pixels(conv, CR_BYTES_PIXELS, p.output_tiles.parts);
    return p;
}

const char *cr_bytes_direct_refuses(const cr_bytes_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        if ((g->kernel[axis] - 1) * g->dilation[axis] >= MOST_REACH || g->pad[axis] > MOST_REACH ||
            g->stride[axis] > MOST_STRIDE)
            return "is not for kernels, pads and strides as large";
    return NULL;
}

/* ---- packing ---- */

static size_t start_bytes(const plan *p) {
    return (size_t)(p->out_blocks * CR_BYTES_LANES) * sizeof(int32_t);
}

size_t cr_bytes_direct_packed_bytes(const cr_bytes_conv *conv) {
    plan p = {0};
    plan_channels(&conv->geometry, &p);
    return start_bytes(&p) + (size_t)(p.out_blocks * p.block_bytes);
}

/* The weights of output channel o, lane `lane` of a tile of `lanes`. Returns their sum. */
static int32_t pack_channel(const cr_conv_geometry *g, const plan *p, const span *s, const int8_t *from,
                            int64_t o, int64_t lane, int64_t lanes, int8_t *packed) {
    const int64_t group_ic = g->ic / g->groups, first = o / (g->oc / g->groups) * group_ic;
    int32_t sum = 0;
    for (int64_t c = first; c < first + group_ic; c++) {
        const int64_t word = c / CR_BYTES_WORD, block = word / CR_BYTES_WORDS;
        const int64_t begin = block * CR_BYTES_WORDS > s->begin ? block * CR_BYTES_WORDS : s->begin;
        const int64_t words = cr_smaller((block + 1) * CR_BYTES_WORDS, s->end) - begin;
        for (int64_t tap = 0; tap < p->taps; tap++, from++) {
            const int64_t at = (begin - s->begin) * p->taps + tap * words + word - begin;
            packed[(at * lanes + lane) * CR_BYTES_WORD + c % CR_BYTES_WORD] = *from;
            sum += *from;
        }
    }
    return sum;
}

void cr_bytes_direct_pack(const cr_bytes_conv *conv, const int8_t *weights, void *packed) {
    const cr_conv_geometry *g = &conv->geometry;
    plan p = {0};
    plan_channels(g, &p);
    int32_t *start = packed;
    int8_t *to = (int8_t *)packed + start_bytes(&p);
    memset(packed, 0, cr_bytes_direct_packed_bytes(conv));
    for (int64_t tile = 0; tile < p.output_tiles.parts; tile++) {
        const span s = span_of(g, &p, tile);
        int64_t begin, end;
        cr_direct_part(&p.output_tiles, tile, &begin, &end);
        const int64_t lanes = (end - begin) * CR_BYTES_LANES, first = begin * CR_BYTES_LANES;
        for (int64_t o = first; o < cr_smaller(first + lanes, g->oc); o++)
            start[o] = -conv->input_zero * pack_channel(g, &p, &s, weights + o * (g->ic / g->groups) * p.taps,
                                                        o, o - first, lanes, to + begin * p.block_bytes);
    }
}

/* ---- running ---- */

typedef struct walk {
    const plan *plan;
    const cr_bytes_args *args;
    cr_bytes_view view;
    cr_bytes_pass pass;
    int64_t output_first, output_step[CR_CONV_RANK]; /* elements */
    ptrdiff_t offsets[CR_BYTES_PIXELS];
    ptrdiff_t *taps;
    uint8_t *copy;
} walk;

size_t cr_bytes_direct_workspace_bytes(const cr_bytes_conv *conv) {
    const plan p = make_plan(conv);
    const size_t copy = cr_bytes_copy_bytes(&p.pixels, cr_divide_up(conv->geometry.ic, CR_BYTES_LANES));
    size_t bytes;
    return cr_add_size(aligned((size_t)p.taps * sizeof(ptrdiff_t)), copy, &bytes) ? bytes : SIZE_MAX;
}

int64_t cr_bytes_direct_tasks(const cr_bytes_conv *conv) {
    const plan p = make_plan(conv);
    return conv->geometry.n * p.pixels.chunks * p.output_tiles.parts;
}

static void list_taps(walk *w) {
    const cr_conv_geometry *g = &w->plan->pixels.geometry;
    const ptrdiff_t *step = w->view.step;
    ptrdiff_t *tap = w->taps;
    for (int64_t d = 0; d < g->kernel[CR_D]; d++)
        for (int64_t h = 0; h < g->kernel[CR_H]; h++)
            for (int64_t x = 0; x < g->kernel[CR_W]; x++)
                *tap++ = d * g->dilation[CR_D] * step[CR_D] + h * g->dilation[CR_H] * step[CR_H] +
                         x * g->dilation[CR_W] * step[CR_W];
    w->pass.taps = w->taps;
    w->pass.n_taps = w->plan->taps;
}

/* Of the largest tile: those of others are the first of them, since several rows are whole. */
static void list_pixels(walk *w) {
    const cr_bytes_pixels *p = &w->plan->pixels;
    const cr_direct_box tile = cr_direct_tile_box(p, 0, 1);
    const ptrdiff_t down = p->geometry.stride[CR_H] * w->view.step[CR_H],
                    across = p->geometry.stride[CR_W] * w->view.step[CR_W];
    ptrdiff_t *offset = w->offsets;
    for (int64_t y = 0; y < tile.end[CR_H]; y++)
        for (int64_t x = 0; x < tile.end[CR_W]; x++)
            *offset++ = y * down + x * across;
    w->pass.offsets = w->offsets;
    w->pass.distance = tile.end[CR_H] > 1 && down != tile.end[CR_W] * across ? 0 : across;
}

static void locate_output(walk *w, int64_t image) {
    const int64_t *out = w->plan->pixels.geometry.out;
    w->output_step[CR_W] = CR_BYTES_LANES;
    w->output_step[CR_H] = out[CR_W] * CR_BYTES_LANES;
    w->output_step[CR_D] = out[CR_H] * w->output_step[CR_H];
    w->pass.output_block = out[CR_D] * w->output_step[CR_D];
    w->output_first = image * w->plan->out_blocks * w->pass.output_block;
}

static void set_output_tile(walk *w, int64_t output_tile) {
    const plan *p = w->plan;
    const span s = span_of(&p->pixels.geometry, p, output_tile);
    int64_t begin, end;
    cr_direct_part(&p->output_tiles, output_tile, &begin, &end);
    w->pass.blocks = end - begin;
    w->pass.channel = begin * CR_BYTES_LANES;
    w->pass.start = (const int32_t *)w->args->packed + w->pass.channel;
    w->pass.weights = (const int8_t *)w->args->packed + start_bytes(p) + begin * p->block_bytes;
    w->pass.input_blocks = s.end_block - s.first_block;
    w->pass.input_step = w->view.block_step;
    w->pass.first_word = s.begin - s.first_block * CR_BYTES_WORDS;
    w->pass.last_words = s.end - (s.end_block - 1) * CR_BYTES_WORDS;
}

/* While the tiles of a chunk are computed, the weights of an output tile to come arrive, so many of them with
 * each tap that the last tile brings the last. */
static void fetch_weights_of(walk *w, int64_t output_tile, int64_t end, int64_t tiles) {
    const plan *p = w->plan;
    const int64_t lines = CR_BYTES_BLOCKS * CR_BYTES_LANES * CR_BYTES_LANES / LINE;
    int64_t block, block_end;
    cr_direct_part(&p->output_tiles, output_tile, &block, &block_end);
    w->pass.fetch = (const int8_t *)w->args->packed + start_bytes(p) + block * p->block_bytes;
    w->pass.fetch_end = w->pass.fetch + (output_tile < end ? (block_end - block) * p->block_bytes : 0);
    w->pass.fetch_lines = cr_divide_up(lines, tiles);
}

static void run_tile(walk *w, const cr_bytes_direct_kernels *kernels, const cr_direct_box *tile,
                     int64_t first_block) {
    const cr_conv_geometry *g = &w->plan->pixels.geometry;
    ptrdiff_t input = w->view.first + first_block * w->view.block_step;
    w->pass.offset = w->output_first + w->pass.channel / CR_BYTES_LANES * w->pass.output_block;
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        input += tile->begin[axis] * g->stride[axis] * w->view.step[axis];
        w->pass.offset += tile->begin[axis] * w->output_step[axis];
    }
    w->pass.input = w->view.data + input;
    w->pass.pixels = (tile->end[CR_H] - tile->begin[CR_H]) * (tile->end[CR_W] - tile->begin[CR_W]);
    kernels->tile(&w->pass);
    if (w->pass.fetch < w->pass.fetch_end)
        w->pass.fetch += w->pass.fetch_lines * w->pass.n_taps * w->pass.input_blocks * LINE;
}

/* Output tiles [begin, end) of a chunk of an image. */
static void run_chunk(walk *w, const cr_bytes_conv *conv, const cr_bytes_direct_kernels *kernels,
                      int64_t image, int64_t chunk, int64_t begin, int64_t end) {
    const plan *p = w->plan;
    const cr_conv_geometry *g = &p->pixels.geometry;
    int64_t first, last;
    cr_bytes_chunk(&p->pixels, chunk, &first, &last);
    w->view = cr_bytes_view_of(conv, &p->pixels, w->args->input, image, chunk,
                               span_of(g, p, begin).first_block, span_of(g, p, end - 1).end_block, w->copy);
    list_taps(w);
    list_pixels(w);
    locate_output(w, image);
    for (int64_t output_tile = begin; output_tile < end; output_tile++) {
        const int64_t first_block = span_of(g, p, output_tile).first_block;
        cr_direct_box tile = cr_direct_tile_box(&p->pixels, first, first + 1);
        set_output_tile(w, output_tile);
        fetch_weights_of(w, output_tile + 1, end, last - first);
        for (int64_t i = first; i < last; i++, cr_direct_next_tile(&p->pixels, &tile))
            run_tile(w, kernels, &tile, first_block);
    }
}

/* Tasks are (image, chunk, output tile), the last fastest: neighbours share a chunk, and its copy. */
void cr_bytes_direct_run(const cr_bytes_conv *conv, const cr_bytes_direct_kernels *kernels,
                         const cr_bytes_args *args, int64_t task_begin, int64_t task_end, void *workspace) {
    const plan p = make_plan(conv);
    const cr_bytes_finish finish = cr_bytes_finish_of(conv, args->epilogue);
    walk w = {.plan = &p, .args = args, .taps = workspace};
    w.copy = (uint8_t *)workspace + aligned((size_t)p.taps * sizeof(ptrdiff_t));
    w.pass.finish = &finish;
    w.pass.output = args->output;
    if (p.pixels.pixel_tiles == 0)
        return;
    for (int64_t task = task_begin; task < task_end;) {
        const int64_t tiles = p.output_tiles.parts, first = task % tiles,
                      last = cr_smaller(tiles, first + task_end - task);
        run_chunk(&w, conv, kernels, task / tiles / p.pixels.chunks, task / tiles % p.pixels.chunks, first,
                  last);
        task += last - first;
    }
}
