#include "runtime/kernels/conv/bytes_depthwise.h"

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/whole.h"
#include "runtime/kernels/conv/bytes_direct.h"

/* The copy of a chunk stays in a first-level cache. */
enum { CHUNK_BYTES = 24 * 1024, WORD_BYTES = CR_BYTES_LANES * CR_BYTES_TAPS };

static int64_t blocks_of(const cr_bytes_conv *conv) {
    return cr_divide_up(conv->geometry.oc, CR_BYTES_LANES);
}

static int64_t words_of(const cr_conv_geometry *g) {
    return cr_divide_up(g->kernel[CR_W], CR_BYTES_TAPS);
}

/* Tiles are whole rows. */
static cr_bytes_pixels cut(const cr_bytes_conv *conv) {
    cr_bytes_pixels pixels = cr_bytes_cut_rows(conv, CHUNK_BYTES);
    pixels.padded = true;
    return pixels;
}

const char *cr_bytes_depthwise_refuses(const cr_bytes_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    if (g->ic != g->groups || g->oc != g->groups)
        return "is for one channel in each group";
    if (g->kernel[CR_D] != 1 || g->dilation[CR_W] != 1)
        return "is for kernels of neighbouring taps in planes";
    return cr_bytes_direct_refuses(conv);
}

/* ---- packing ---- */

static size_t start_bytes(const cr_bytes_conv *conv) {
    return (size_t)(blocks_of(conv) * CR_BYTES_LANES) * sizeof(int32_t);
}

static int64_t block_bytes(const cr_conv_geometry *g) {
    return g->kernel[CR_H] * words_of(g) * WORD_BYTES;
}

size_t cr_bytes_depthwise_packed_bytes(const cr_bytes_conv *conv) {
    return start_bytes(conv) + (size_t)(blocks_of(conv) * block_bytes(&conv->geometry));
}

void cr_bytes_depthwise_pack(const cr_bytes_conv *conv, const int8_t *weights, void *packed) {
    const cr_conv_geometry *g = &conv->geometry;
    int32_t *start = packed;
    memset(packed, 0, cr_bytes_depthwise_packed_bytes(conv));
    for (int64_t c = 0; c < g->oc; c++) {
        int8_t *to = (int8_t *)packed + start_bytes(conv) + c / CR_BYTES_LANES * block_bytes(g) +
                     c % CR_BYTES_LANES * CR_BYTES_TAPS;
        for (int64_t h = 0; h < g->kernel[CR_H]; h++)
            for (int64_t w = 0; w < g->kernel[CR_W]; w++, weights++) {
                const int64_t word = h * words_of(g) + w / CR_BYTES_TAPS;
                to[word * WORD_BYTES + w % CR_BYTES_TAPS] = *weights;
                start[c] -= conv->input_zero * *weights;
            }
    }
}

/* ---- running ---- */

size_t cr_bytes_depthwise_workspace_bytes(const cr_bytes_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    const cr_bytes_pixels pixels = cut(conv);
    const int64_t past = (CR_BYTES_TAPS - 1) * g->stride[CR_W] + CR_BYTES_TAPS;
    size_t bytes;
    const size_t copy = cr_bytes_copy_bytes(&pixels, 1);
    return cr_add_size(copy, (size_t)(past * CR_BYTES_LANES), &bytes) ? bytes : SIZE_MAX;
}

int64_t cr_bytes_depthwise_tasks(const cr_bytes_conv *conv) {
    return conv->geometry.n * cut(conv).chunks * blocks_of(conv);
}

static void set_block(const cr_bytes_conv *conv, const cr_bytes_args *args, const cr_conv_geometry *g,
                      const cr_bytes_view *view, int64_t block, cr_bytes_rows *rows) {
    rows->tap_row = g->dilation[CR_H] * view->step[CR_H];
    rows->down = g->stride[CR_H] * view->step[CR_H];
    rows->across = g->stride[CR_W] * view->step[CR_W];
    rows->stride = g->dilation[CR_H] == 1 ? g->stride[CR_H] : 0;
    rows->channel = block * CR_BYTES_LANES;
    rows->weights = (const int8_t *)args->packed + start_bytes(conv) + block * block_bytes(g);
    rows->start = (const int32_t *)args->packed + rows->channel;
}

/* One block of a chunk of an image. */
static void run_chunk(const cr_bytes_conv *conv, const cr_bytes_pixels *pixels, cr_bytes_depthwise_rows *run,
                      const cr_bytes_args *args, int64_t image, int64_t chunk, int64_t block,
                      cr_bytes_rows *rows, uint8_t *copy) {
    const cr_conv_geometry *g = &pixels->geometry;
    const cr_bytes_view view =
        cr_bytes_view_of(conv, pixels, args->input, image, chunk, block, block + 1, copy);
    const int64_t plane = (image * blocks_of(conv) + block) * g->out[CR_D] * g->out[CR_H];
    int64_t row, end;
    set_block(conv, args, g, &view, block, rows);
    for (cr_bytes_chunk(pixels, chunk, &row, &end); row < end; row += rows->rows) {
        const int64_t d = row / g->out[CR_H], h = row % g->out[CR_H];
        rows->rows = cr_smaller(cr_smaller(CR_BYTES_ROWS, end - row), g->out[CR_H] - h);
        rows->input = view.data + (view.first + block * view.block_step +
                                   d * g->stride[CR_D] * view.step[CR_D] + h * rows->down);
        rows->offset = (plane + row) * rows->output_row;
        run(rows);
    }
}

/* Tasks are (image, chunk, block), the last fastest. */
void cr_bytes_depthwise_run(const cr_bytes_conv *conv, cr_bytes_depthwise_rows *run,
                            const cr_bytes_args *args, int64_t task_begin, int64_t task_end,
                            void *workspace) {
    const cr_bytes_pixels pixels = cut(conv);
    const cr_conv_geometry *g = &pixels.geometry;
    const cr_bytes_finish finish = cr_bytes_finish_of(conv, args->epilogue);
    const int64_t blocks = blocks_of(conv);
    cr_bytes_rows rows = {.pixels = g->out[CR_W],
                          .kernel_rows = g->kernel[CR_H],
                          .words = words_of(g),
                          .finish = &finish,
                          .output = args->output,
                          .output_row = g->out[CR_W] * CR_BYTES_LANES};
    if (pixels.pixel_tiles == 0)
        return;
    for (int64_t task = task_begin; task < task_end; task++)
        run_chunk(conv, &pixels, run, args, task / blocks / pixels.chunks, task / blocks % pixels.chunks,
                  task % blocks, &rows, workspace);
}
