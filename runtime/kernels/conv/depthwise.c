#include "runtime/kernels/conv/depthwise.h"

#include "runtime/base/whole.h"

/* Tasks a thread should find, so that unequal threads balance. */
enum { TASKS_PER_THREAD = 4 };

void cr_depthwise_make_plan(const cr_conv *conv, cr_depthwise_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    plan->multiplier = g->oc / g->ic;
    plan->in_blocks = cr_divide_up(g->ic, conv->lanes);
    plan->out_blocks = cr_divide_up(g->oc, conv->lanes);
    plan->taps = cr_conv_volume(g->kernel);
    plan->rows = g->out[CR_D] * g->out[CR_H];
    plan->strips = 1;
    if (plan->multiplier > 1)
        return;
    const int64_t planes = g->n * plan->out_blocks, wanted = TASKS_PER_THREAD * (int64_t)conv->threads;
    const int64_t row_bytes = g->out[CR_W] * conv->lanes * (int64_t)sizeof(float);
    plan->strips = cr_conv_strips(g->n, plan->rows, row_bytes, conv->threads);
    if (plan->strips == 1 && conv->threads > 1 && planes > 0 && planes < wanted && plan->rows > 0)
        plan->strips = cr_divide_up(wanted, planes) < plan->rows ? cr_divide_up(wanted, planes) : plan->rows;
}

const char *cr_depthwise_refuses(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    if (conv->lanes == 0 || !conv->input_blocked || !conv->output_blocked)
        return "depthwise works on the blocked layout";
    if (g->groups != g->ic || g->ic == 1)
        return "depthwise is for one input channel in each of several groups";
    if (conv->transposed)
        return "depthwise is not for transposed convolution";
    return NULL;
}

/* Cycles of a core that does two vector multiply-adds a cycle, fitted to measurements on AVX-512: the
 * arithmetic runs at 95 % of the peak where it hides the arrival of the input. */
double cr_depthwise_cost(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    cr_depthwise_plan plan;
    cr_depthwise_make_plan(conv, &plan);
    const double outputs = (double)(g->n * plan.out_blocks) * (double)cr_conv_volume(g->out);
    const double inputs = (double)(g->n * plan.out_blocks) * (double)cr_conv_volume(g->in);
    return outputs * (double)plan.taps / 2 / 0.95 +
           inputs * ((plan.multiplier > 1 ? 6 : 1.5) + (conv->has_prologue ? 3 : 0));
}

size_t cr_depthwise_packed_bytes(const cr_conv *conv) {
    cr_depthwise_plan plan;
    cr_depthwise_make_plan(conv, &plan);
    return (size_t)(plan.out_blocks * plan.taps * conv->lanes) * sizeof(float);
}

void cr_depthwise_pack(const cr_conv *conv, const float *weights, void *packed) {
    cr_depthwise_plan plan;
    cr_depthwise_make_plan(conv, &plan);
    float *to = packed;
    for (int64_t block = 0; block < plan.out_blocks; block++)
        for (int64_t tap = 0; tap < plan.taps; tap++)
            for (int64_t l = 0; l < conv->lanes; l++) {
                const int64_t channel = block * conv->lanes + l;
                *to++ = channel < conv->geometry.oc ? weights[channel * plan.taps + tap] : 0;
            }
}

size_t cr_depthwise_workspace_bytes(const cr_conv *conv) {
    cr_depthwise_plan plan;
    cr_depthwise_make_plan(conv, &plan);
    const bool copies = plan.multiplier > 1 || conv->has_prologue;
    return copies ? (size_t)(cr_conv_volume(conv->geometry.in) * conv->lanes) * sizeof(float) : 0;
}

int64_t cr_depthwise_tasks(const cr_conv *conv) {
    cr_depthwise_plan plan;
    cr_depthwise_make_plan(conv, &plan);
    return conv->geometry.n * plan.out_blocks * plan.strips;
}
