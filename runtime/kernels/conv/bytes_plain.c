/* The kernels of convolution of bytes that any processor runs, and that the others are judged by. */
#include <string.h>

#include "runtime/kernels/conv/bytes_depthwise.h"
#include "runtime/kernels/conv/bytes_direct.h"

/* sums[l] += the products of a word of input and the weights of lane l. */
static void add_word(const uint8_t *input, const int8_t *weights, int64_t lanes, int32_t *sums) {
    for (int64_t l = 0; l < lanes; l++)
        for (int64_t k = 0; k < CR_BYTES_WORD; k++)
            sums[l] += input[k] * weights[l * CR_BYTES_WORD + k];
}

static void add_pixel(const cr_bytes_pass *pass, const uint8_t *input, int32_t *sums) {
    const int64_t lanes = pass->blocks * CR_BYTES_LANES;
    const int8_t *weights = pass->weights;
    for (int64_t c = 0; c < pass->input_blocks; c++, input += pass->input_step) {
        const int64_t first = c == 0 ? pass->first_word : 0;
        const int64_t last = c == pass->input_blocks - 1 ? pass->last_words : CR_BYTES_WORDS;
        for (int64_t t = 0; t < pass->n_taps; t++)
            for (int64_t word = first; word < last; word++, weights += lanes * CR_BYTES_WORD)
                add_word(input + pass->taps[t] + word * CR_BYTES_WORD, weights, lanes, sums);
    }
}

static void tile(const cr_bytes_pass *pass) {
    int32_t sums[CR_BYTES_BLOCKS * CR_BYTES_LANES];
    for (int64_t i = 0; i < pass->pixels; i++) {
        memcpy(sums, pass->start, (size_t)(pass->blocks * CR_BYTES_LANES) * sizeof *sums);
        add_pixel(pass, pass->input + pass->offsets[i], sums);
        for (int64_t b = 0; b < pass->blocks; b++)
            cr_bytes_finish_plain(pass->finish, sums + b * CR_BYTES_LANES, 1,
                                  pass->channel + b * CR_BYTES_LANES,
                                  pass->offset + b * pass->output_block + i * CR_BYTES_LANES, pass->output);
    }
}

static const cr_bytes_direct_kernels direct = {.tile = tile};

static void direct_run(const cr_bytes_conv *conv, const cr_bytes_args *args, int64_t begin, int64_t end,
                       void *workspace) {
    cr_bytes_direct_run(conv, &direct, args, begin, end, workspace);
}

const cr_bytes_algorithm cr_bytes_direct_plain = {
    .name = "direct-plain",
    .refuses = cr_bytes_direct_refuses,
    .packed_bytes = cr_bytes_direct_packed_bytes,
    .pack = cr_bytes_direct_pack,
    .workspace_bytes = cr_bytes_direct_workspace_bytes,
    .tasks = cr_bytes_direct_tasks,
    .run = direct_run,
};

/* ---- depthwise ---- */

static void add_taps(const cr_bytes_rows *r, const uint8_t *input, int32_t *sums) {
    const int8_t *weights = r->weights;
    for (int64_t h = 0; h < r->kernel_rows; h++, input += r->tap_row)
        for (int64_t word = 0; word < r->words; word++)
            for (int64_t l = 0; l < CR_BYTES_LANES; l++)
                for (int64_t t = 0; t < CR_BYTES_TAPS; t++, weights++)
                    sums[l] += input[(word * CR_BYTES_TAPS + t) * CR_BYTES_LANES + l] * *weights;
}

static void rows(const cr_bytes_rows *r) {
    int32_t sums[CR_BYTES_LANES];
    for (int64_t y = 0; y < r->rows; y++)
        for (int64_t x = 0; x < r->pixels; x++) {
            memcpy(sums, r->start, sizeof sums);
            add_taps(r, r->input + y * r->down + x * r->across, sums);
            cr_bytes_finish_plain(r->finish, sums, 1, r->channel,
                                  r->offset + y * r->output_row + x * CR_BYTES_LANES, r->output);
        }
}

static void depthwise_run(const cr_bytes_conv *conv, const cr_bytes_args *args, int64_t begin, int64_t end,
                          void *workspace) {
    cr_bytes_depthwise_run(conv, rows, args, begin, end, workspace);
}

const cr_bytes_algorithm cr_bytes_depthwise_plain = {
    .name = "depthwise-plain",
    .refuses = cr_bytes_depthwise_refuses,
    .packed_bytes = cr_bytes_depthwise_packed_bytes,
    .pack = cr_bytes_depthwise_pack,
    .workspace_bytes = cr_bytes_depthwise_workspace_bytes,
    .tasks = cr_bytes_depthwise_tasks,
    .run = depthwise_run,
};
