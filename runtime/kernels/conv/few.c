#include "runtime/kernels/conv/few.h"

#include "runtime/base/whole.h"

#include <string.h>

static int64_t pixels_of(int lanes, int64_t outputs) {
#define PIXELS(outputs, pixels) [outputs] = pixels,
    static const int64_t tall[CR_FEW_TILE + 1] = {CR_FEW_TALL(PIXELS)},
                                            brief[CR_FEW_TILE + 1] = {CR_FEW_SHORT(PIXELS)};
#if defined __aarch64__
    const bool is_tall = lanes == 4;
#else
    const bool is_tall = lanes == 16;
#endif
    return is_tall ? tall[outputs] : brief[outputs];
}

static void plan_outputs(const cr_conv *conv, cr_few_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    plan->in_blocks = cr_divide_up(g->ic, conv->lanes);
    plan->taps = cr_conv_volume(g->kernel);
    plan->tiles = cr_divide_up(g->oc, CR_FEW_TILE);
    plan->outputs = cr_divide_up(g->oc, plan->tiles);
}

void cr_few_make_plan(const cr_conv *conv, cr_few_plan *plan) {
    plan_outputs(conv, plan);
    plan->geometry = conv->geometry;
    cr_conv_geometry *g = &plan->geometry;
    cr_conv_flatten(g);
    plan->pixels = pixels_of(conv->lanes, plan->outputs);
    plan->row_runs = cr_divide_up(g->out[CR_W], plan->pixels);
    plan->runs = g->out[CR_D] * g->out[CR_H] * plan->row_runs;
    const int64_t shares = cr_conv_shares(g->n, conv->threads);
    plan->parts = plan->runs < shares ? 1 : shares;
}

/* ---- the functions of the rows ---- */

const char *cr_few_refuses(const cr_conv *conv) {
    if (conv->lanes == 0 || !conv->input_blocked || !conv->output_blocked)
        return "few works on the blocked layout";
    if (conv->geometry.oc > CR_FEW_MOST || conv->geometry.oc > conv->lanes)
        return "few is for few output channels";
    if (conv->geometry.groups != 1 || conv->transposed)
        return "few is not for groups or transposed convolution";
    if (conv->has_prologue || conv->has_border_bias)
        return "few has no prologue and no border bias";
    return NULL;
}

/* Cycles of a core that does two vector multiply-adds a cycle, fitted to measurements on AVX-512: a term is
 * bound by them or, of a single output, by its loads. */
double cr_few_cost(const cr_conv *conv) {
    cr_few_plan plan;
    cr_few_make_plan(conv, &plan);
    const double sums = (double)(plan.pixels * plan.outputs), multiplied = sums / 2 / 0.9;
    const double loaded = 0.85 * (double)(plan.pixels + plan.outputs);
    const double term = multiplied > loaded ? multiplied : loaded;
    const double run = (double)(plan.in_blocks * plan.taps) * term + 6 * sums + 150;
    return 500 + (double)(conv->geometry.n * plan.runs * plan.tiles) * run;
}

size_t cr_few_packed_bytes(const cr_conv *conv) {
    cr_few_plan plan;
    plan_outputs(conv, &plan);
    return (size_t)(plan.tiles * plan.in_blocks * plan.taps * plan.outputs * conv->lanes) * sizeof(float);
}

void cr_few_pack(const cr_conv *conv, const float *weights, void *packed) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t lanes = conv->lanes;
    cr_few_plan plan;
    plan_outputs(conv, &plan);
    memset(packed, 0, cr_few_packed_bytes(conv));
    for (int64_t o = 0; o < g->oc; o++)
        for (int64_t c = 0; c < g->ic; c++) {
            const int64_t tile = o / plan.outputs, first = (tile * plan.in_blocks + c / lanes) * plan.taps;
            float *to = (float *)packed + (first * plan.outputs + o % plan.outputs) * lanes + c % lanes;
            for (int64_t t = 0; t < plan.taps; t++, weights++)
                to[t * plan.outputs * lanes] = *weights;
        }
}

size_t cr_few_workspace_bytes(const cr_conv *conv) {
    cr_few_plan plan;
    plan_outputs(conv, &plan);
    return (size_t)(plan.in_blocks * plan.taps) * sizeof(cr_few_term);
}

int64_t cr_few_tasks(const cr_conv *conv) {
    cr_few_plan plan;
    cr_few_make_plan(conv, &plan);
    return conv->geometry.n * plan.parts;
}
