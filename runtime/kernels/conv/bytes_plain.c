/* The kernels of convolution of bytes that any processor runs, and that the others are judged by. */
#include <string.h>

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
