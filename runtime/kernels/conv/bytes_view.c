#include "runtime/kernels/conv/bytes_view.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/whole.h"

/* Of input in a chunk, which is read once for every tile of output channels: with the weights of one it stays
 * in a second-level cache. Pixel tiles that are worth a thread. */
enum { CHUNK_BYTES = 384 * 1024, LEAST_TILES = 4 };

/* ---- cutting ---- */

static cr_direct_cut cut(int64_t n, int64_t part) {
    const int64_t parts = cr_divide_up(n, part);
    return (cr_direct_cut){parts, parts > 0 ? n / parts : 0, parts > 0 ? n % parts : 0};
}

static bool has_padding(const cr_conv_geometry *g) {
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const int64_t last = (g->out[axis] - 1) * g->stride[axis] + (g->kernel[axis] - 1) * g->dilation[axis];
        if (g->pad[axis] > 0 || last - g->pad[axis] >= g->in[axis])
            return true;
    }
    return false;
}

/* Enough for the cache; and if the threads cannot share the parts alone, as many for each of them. */
static int64_t count_chunks(const cr_bytes_conv *conv, const cr_bytes_pixels *p, int64_t least,
                            int64_t parts) {
    const int64_t chunks = cr_larger(1, cr_smaller(least, p->pixel_tiles));
    const int64_t shares = cr_conv_shares(p->geometry.n, conv->threads);
    if (shares == 1 || (p->pixel_tiles < LEAST_TILES * conv->threads && parts >= conv->threads))
        return chunks;
    return cr_larger(1, cr_smaller(cr_divide_up(chunks, shares) * shares, p->pixel_tiles));
}

static cr_bytes_pixels cut_tiles(const cr_conv_geometry *g, int64_t tile_pixels) {
    cr_bytes_pixels p = {.geometry = *g};
    p.columns = cut(g->out[CR_W], tile_pixels);
    p.rows = cut(g->out[CR_H], p.columns.parts == 1 ? tile_pixels / g->out[CR_W] : 1);
    p.pixel_tiles = g->out[CR_D] * p.rows.parts * p.columns.parts;
    p.padded = has_padding(g);
    return p;
}

cr_bytes_pixels cr_bytes_cut_pixels(const cr_bytes_conv *conv, int64_t tile_pixels, int64_t parts) {
    cr_conv_geometry g = conv->geometry;
    cr_conv_flatten(&g);
    cr_bytes_pixels p = cut_tiles(&g, tile_pixels);
    const int64_t channels = cr_divide_up(g.ic, CR_BYTES_LANES) * CR_BYTES_LANES;
    p.chunks = count_chunks(conv, &p, cr_divide_up(channels * cr_conv_volume(g.in), CHUNK_BYTES), parts);
    return p;
}

cr_bytes_pixels cr_bytes_cut_rows(const cr_bytes_conv *conv, int64_t chunk_bytes) {
    const cr_conv_geometry *g = &conv->geometry;
    cr_bytes_pixels p = cut_tiles(g, cr_larger(1, g->out[CR_W]));
    const int64_t blocks = cr_divide_up(g->ic, CR_BYTES_LANES);
    p.chunks =
        count_chunks(conv, &p, cr_divide_up(CR_BYTES_LANES * cr_conv_volume(g->in), chunk_bytes), blocks);
    return p;
}

void cr_bytes_chunk(const cr_bytes_pixels *pixels, int64_t chunk, int64_t *begin, int64_t *end) {
    *begin = pixels->pixel_tiles * chunk / pixels->chunks;
    *end = pixels->pixel_tiles * (chunk + 1) / pixels->chunks;
}

static cr_direct_box box_of(const cr_bytes_pixels *pixels, int64_t chunk) {
    int64_t begin, end;
    cr_bytes_chunk(pixels, chunk, &begin, &end);
    const cr_direct_box outputs = cr_direct_tile_box(pixels, begin, end);
    return cr_direct_input_box(pixels, &outputs);
}

/* ---- copying ---- */

static uint8_t *fill(uint8_t *to, int zero, int64_t pixels) {
    memset(to, zero, (size_t)(pixels * CR_BYTES_LANES));
    return to + pixels * CR_BYTES_LANES;
}

/* Pixels [begin, end) of a row of n, of which there may be none. */
static uint8_t *copy_row(const uint8_t *row, int64_t n, int zero, int64_t begin, int64_t end, uint8_t *to) {
    const int64_t first = cr_smaller(cr_larger(begin, 0), n),
                  last = row != NULL ? cr_larger(cr_smaller(end, n), first) : first;
    to = fill(to, zero, cr_smaller(cr_larger(-begin, 0), end - begin));
    memcpy(to, row != NULL ? row + first * CR_BYTES_LANES : to, (size_t)((last - first) * CR_BYTES_LANES));
    to += (last - first) * CR_BYTES_LANES;
    return fill(to, zero, cr_larger(end - cr_larger(begin, 0), 0) - (last - first));
}

static bool is_in(int64_t position, int64_t n) {
    return position >= 0 && position < n;
}

static uint8_t *copy_block(const cr_conv_geometry *g, const cr_direct_box *box, const uint8_t *from, int zero,
                           uint8_t *to) {
    for (int64_t d = box->begin[CR_D]; d < box->end[CR_D]; d++)
        for (int64_t h = box->begin[CR_H]; h < box->end[CR_H]; h++) {
            const int64_t row = (d * g->in[CR_H] + h) * g->in[CR_W] * CR_BYTES_LANES;
            const bool inside = is_in(d, g->in[CR_D]) && is_in(h, g->in[CR_H]);
            to =
                copy_row(inside ? from + row : NULL, g->in[CR_W], zero, box->begin[CR_W], box->end[CR_W], to);
        }
    return to;
}

static void set_steps(cr_bytes_view *view, const int64_t extents[CR_CONV_RANK]) {
    view->step[CR_W] = CR_BYTES_LANES;
    view->step[CR_H] = extents[CR_W] * view->step[CR_W];
    view->step[CR_D] = extents[CR_H] * view->step[CR_H];
    view->block_step = extents[CR_D] * view->step[CR_D];
}

cr_bytes_view cr_bytes_view_of(const cr_bytes_conv *conv, const cr_bytes_pixels *pixels, const uint8_t *input,
                               int64_t image, int64_t chunk, int64_t first, int64_t end, uint8_t *copy) {
    const cr_conv_geometry *g = &pixels->geometry;
    const int64_t blocks = cr_divide_up(g->ic, CR_BYTES_LANES);
    cr_bytes_view view = {0};
    set_steps(&view, g->in);
    input += image * blocks * view.block_step;
    view.data = input;
    if (!pixels->padded)
        return view;
    const cr_direct_box box = box_of(pixels, chunk);
    uint8_t *to = copy;
    for (int64_t block = first; block < end; block++)
        to = copy_block(g, &box, input + block * view.block_step, conv->input_zero, to);
    int64_t extents[CR_CONV_RANK];
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        extents[axis] = box.end[axis] - box.begin[axis];
    set_steps(&view, extents);
    view.data = copy;
    view.first = -first * view.block_step;
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        view.first -= (box.begin[axis] + g->pad[axis]) * view.step[axis];
    return view;
}

size_t cr_bytes_copy_bytes(const cr_bytes_pixels *pixels, int64_t blocks) {
    size_t most = 0;
    for (int64_t chunk = 0; pixels->padded && pixels->pixel_tiles > 0 && chunk < pixels->chunks; chunk++) {
        const cr_direct_box box = box_of(pixels, chunk);
        size_t bytes = (size_t)blocks * CR_BYTES_LANES;
        for (int axis = 0; axis < CR_CONV_RANK; axis++)
            if (!cr_mul_size(bytes, (size_t)(box.end[axis] - box.begin[axis]), &bytes))
                return SIZE_MAX;
        most = bytes > most ? bytes : most;
    }
    return most;
}
