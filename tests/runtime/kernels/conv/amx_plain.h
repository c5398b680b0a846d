#ifndef CREASE_TESTS_RUNTIME_KERNELS_CONV_AMX_PLAIN_H
#define CREASE_TESTS_RUNTIME_KERNELS_CONV_AMX_PLAIN_H

/* The plain twin of the kernels of runtime/kernels/x86/conv_amx.c, for every processor. */

#include <string.h>

#include "runtime/base/dtype.h"
#include "runtime/kernels/conv/amx.h"

static void amx_plain_nothing(void) {}

/* The first 8 bits of the mantissa, rounded to nearest, ties away from 0, or toward 0; *x is what is left. */
static uint16_t amx_plain_part(bool rounds, float *x) {
    uint32_t bits;
    memcpy(&bits, x, sizeof bits);
    const uint16_t part = (uint16_t)((bits + (rounds ? 0x8000 : 0)) >> 16);
    *x -= cr_bfloat_to_float(part);
    return part;
}

/* The parts of a number, `step` apart. */
static void amx_plain_parts(float x, ptrdiff_t step, uint16_t *to) {
    for (int part = 0; part < CR_AMX_PARTS; part++)
        to[part * step] = amx_plain_part(part == 1, &x);
}

static void amx_plain_split(const float *first, const float *second, int64_t n, ptrdiff_t step, int channels,
                            uint16_t *records) {
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < CR_AMX_CHANNELS; c++) {
            const float *block = c < CR_AMX_LANES ? first : second;
            amx_plain_parts(c < channels ? block[i * step + c % CR_AMX_LANES] : 0, CR_AMX_CHANNELS,
                            records + i * CR_AMX_RECORD + c % CR_AMX_LANES * 2 + c / CR_AMX_LANES);
        }
}

static void amx_plain_split_weights(const float *weights, uint16_t *tiles) {
    for (int c = 0; c < CR_AMX_CHANNELS; c++)
        for (int o = 0; o < CR_AMX_LANES; o++)
            amx_plain_parts(weights[c * CR_AMX_LANES + o], CR_AMX_TILE,
                            tiles + c % CR_AMX_LANES * CR_AMX_CHANNELS + o * 2 + c / CR_AMX_LANES);
}

/* The six products of the parts of a pixel and of an output's weights, over 32 channels. */
static double amx_plain_dot(const uint16_t *record, const uint16_t *tiles) {
    double sum = 0;
    for (int a = 0; a < CR_AMX_PARTS; a++)
        for (int b = 0; a + b < CR_AMX_PARTS; b++)
            for (int i = 0; i < CR_AMX_CHANNELS; i++)
                sum += (double)cr_bfloat_to_float(record[a * CR_AMX_CHANNELS + i]) *
                       (double)cr_bfloat_to_float(tiles[b * CR_AMX_TILE + i / 2 * CR_AMX_CHANNELS + i % 2]);
    return sum;
}

static void amx_plain_multiply(int rows, int columns, bool splits, const cr_amx_pass *pass, float *sums) {
    const int pixels = rows * CR_AMX_PIXELS;
    for (int i = 0; i < columns * pixels * CR_AMX_LANES; i++) {
        const int b = i / (pixels * CR_AMX_LANES), pixel = i / CR_AMX_LANES % pixels, o = i % CR_AMX_LANES;
        double sum = 0;
        for (int64_t step = 0; step < pass->pairs * pass->n_taps; step++) {
            const int64_t pair = step / pass->n_taps;
            const cr_amx_tap *tap = &pass->taps[step % pass->n_taps];
            uint16_t *tiles = pass->parts + (step * columns + b) * CR_AMX_PARTS * CR_AMX_TILE;
            if (splits && pixel == 0 && o == 0)
                amx_plain_split_weights(
                    pass->weights + b * pass->block_step + pair * pass->weights_step + tap->weights, tiles);
            sum += amx_plain_dot(
                pass->input + pixel * pass->pixel_step + pair * pass->input_step + tap->input, tiles + 2 * o);
        }
        sums[i] = (float)sum;
    }
}

static void amx_plain_finish(const cr_epilogue *e, const cr_clamp_epilogue *clamp, float *sums, int64_t n,
                             int64_t channel, int64_t offset, float *output) {
    (void)clamp;
    for (int64_t i = 0; i < n * CR_AMX_LANES; i++) {
        const int64_t at = channel + i % CR_AMX_LANES;
        double y = (double)sums[i] + (e->bias != NULL ? (double)e->bias[at] : 0);
        y = cr_activation_value(&e->act, y, at);
        y += e->residual != NULL ? (double)e->residual[offset + i] : 0;
        output[offset + i] = (float)cr_activation_value(&e->act_after, y, at);
    }
}

static void amx_plain_transform(const cr_prologue *p, int64_t image, int64_t channel, const float *from,
                                float *to, int64_t n) {
    const int64_t at = image * p->batch_stride + channel;
    for (int64_t i = 0; i < n * CR_AMX_LANES; i++) {
        const int64_t lane = i % CR_AMX_LANES;
        const double shift = p->shift != NULL ? (double)p->shift[at + lane] : 0;
        to[i] = (float)cr_activation_value(&p->act, (double)p->scale[at + lane] * (double)from[i] + shift,
                                           channel + lane);
    }
}

static const cr_amx_kernels amx_plain = {.begin = amx_plain_nothing,
                                         .end = amx_plain_nothing,
                                         .split = amx_plain_split,
                                         .multiply = amx_plain_multiply,
                                         .finish = amx_plain_finish,
                                         .transform = amx_plain_transform};

static void amx_plain_run(const cr_conv *conv, const cr_conv_args *args, int64_t task_begin, int64_t task_end,
                          void *workspace) {
    cr_amx_run(conv, &amx_plain, args, task_begin, task_end, workspace);
}

static const cr_conv_algorithm amx_plain_algorithm = {.name = "amx, plain",
                                                      .refuses = cr_amx_refuses,
                                                      .cost = cr_amx_cost,
                                                      .packed_bytes = cr_amx_packed_bytes,
                                                      .pack = cr_amx_pack,
                                                      .workspace_bytes = cr_amx_workspace_bytes,
                                                      .tasks = cr_amx_tasks,
                                                      .run = amx_plain_run};

#endif
