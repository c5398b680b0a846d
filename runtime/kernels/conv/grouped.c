#include "runtime/kernels/conv/grouped.h"

#include "runtime/base/whole.h"

#include <string.h>

/* Tasks a thread should find, so that unequal threads balance. */
enum { TASKS_PER_THREAD = 4 };

/* ---- terms ---- */

/* The channels of an input block that the group of an output channel reads. */
typedef struct lane_channels {
    int64_t begin, end;
} lane_channels;

static lane_channels channels_of(const cr_conv *conv, int64_t o, int64_t in_block) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t group_ic = g->ic / g->groups, first = o / (g->oc / g->groups) * group_ic;
    return (lane_channels){cr_larger(first, in_block * conv->lanes),
                           cr_smaller(first + group_ic, (in_block + 1) * conv->lanes)};
}

static int64_t terms_of(const cr_conv *conv, int64_t out_block, int64_t in_block) {
    int64_t terms = 0;
    for (int64_t l = 0; l < conv->lanes && out_block * conv->lanes + l < conv->geometry.oc; l++) {
        const lane_channels c = channels_of(conv, out_block * conv->lanes + l, in_block);
        terms = cr_larger(terms, c.end - c.begin);
    }
    return terms;
}

void cr_grouped_place(const cr_conv *conv, int64_t out_block, int64_t *first_block, int64_t *blocks) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t group_ic = g->ic / g->groups, group_oc = g->oc / g->groups;
    const int64_t first = out_block * conv->lanes, last = cr_smaller(first + conv->lanes, g->oc) - 1;
    *first_block = first / group_oc * group_ic / conv->lanes;
    *blocks = cr_divide_up((last / group_oc + 1) * group_ic, conv->lanes) - *first_block;
}

static int64_t count_terms(const cr_conv *conv, int64_t out_block, int64_t *blocks) {
    int64_t first, terms = 0;
    cr_grouped_place(conv, out_block, &first, blocks);
    for (int64_t b = 0; b < *blocks; b++)
        terms += terms_of(conv, out_block, first + b);
    return terms;
}

/* Returns the terms of all output blocks. */
static int64_t plan_channels(const cr_conv *conv, cr_grouped_plan *plan) {
    int64_t all = 0;
    plan->in_blocks = cr_divide_up(conv->geometry.ic, conv->lanes);
    plan->out_blocks = cr_divide_up(conv->geometry.oc, conv->lanes);
    plan->most_blocks = plan->most_terms = 0;
    for (int64_t block = 0; block < plan->out_blocks; block++) {
        int64_t blocks;
        const int64_t terms = count_terms(conv, block, &blocks);
        plan->most_blocks = cr_larger(plan->most_blocks, cr_divide_up(blocks, conv->lanes) * conv->lanes);
        plan->most_terms = cr_larger(plan->most_terms, terms);
        all += terms;
    }
    plan->packed_floats =
        plan->most_blocks + plan->most_terms * (1 + cr_conv_volume(conv->geometry.kernel)) * conv->lanes;
    return all;
}

void cr_grouped_make_plan(const cr_conv *conv, cr_grouped_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    plan_channels(conv, plan);
    plan->rows = g->out[CR_D] * g->out[CR_H];
    const int64_t planes = g->n * plan->out_blocks, wanted = TASKS_PER_THREAD * (int64_t)conv->threads;
    const int64_t row_bytes = g->out[CR_W] * conv->lanes * (int64_t)sizeof(float);
    plan->strips = cr_conv_strips(g->n, plan->rows, row_bytes, conv->threads);
    if (plan->strips == 1 && conv->threads > 1 && planes > 0 && planes < wanted && plan->rows > 0)
        plan->strips = cr_smaller(cr_divide_up(wanted, planes), plan->rows);
}

/* ---- packing ---- */

/* One term of an output block: its lanes, and its weights [tap rows][kw][L], tap rows `row_step` apart. */
static void pack_term(const cr_conv *conv, const float *weights, int64_t out_block, int64_t in_block,
                      int64_t term, int32_t *index, float *to, int64_t row_step) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t group_ic = g->ic / g->groups, taps = cr_conv_volume(g->kernel), across = g->kernel[CR_W];
    for (int64_t l = 0; l < conv->lanes; l++) {
        const int64_t o = out_block * conv->lanes + l;
        if (o >= g->oc)
            continue;
        const lane_channels c = channels_of(conv, o, in_block);
        if (term >= c.end - c.begin)
            continue;
        index[l] = (int32_t)((c.begin + term) % conv->lanes);
        const float *from = weights + (o * group_ic + (c.begin + term) % group_ic) * taps;
        for (int64_t t = 0; t < taps; t++)
            to[t / across * row_step + t % across * conv->lanes + l] = from[t];
    }
}

static void pack_block(const cr_conv *conv, const cr_grouped_plan *plan, const float *weights, int64_t block,
                       float *packed) {
    const cr_conv_geometry *g = &conv->geometry;
    int32_t *terms = (int32_t *)packed, *index = terms + plan->most_blocks;
    float *to = packed + plan->most_blocks + plan->most_terms * conv->lanes;
    int64_t first, blocks;
    cr_grouped_place(conv, block, &first, &blocks);
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t n = terms_of(conv, block, first + b), step = g->kernel[CR_W] * conv->lanes;
        terms[b] = (int32_t)n;
        for (int64_t t = 0; t < n; t++, index += conv->lanes)
            pack_term(conv, weights, block, first + b, t, index, to + t * step, n * step);
        to += n * cr_conv_volume(g->kernel) * conv->lanes;
    }
}

void cr_grouped_pack(const cr_conv *conv, const float *weights, void *packed) {
    cr_grouped_plan plan;
    plan_channels(conv, &plan);
    memset(packed, 0, cr_grouped_packed_bytes(conv));
    for (int64_t block = 0; block < plan.out_blocks; block++)
        pack_block(conv, &plan, weights, block, (float *)packed + block * plan.packed_floats);
}

/* ---- the functions of the rows ---- */

const char *cr_grouped_refuses(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    if (conv->lanes == 0 || !conv->input_blocked || !conv->output_blocked)
        return "grouped works on the blocked layout";
    if (g->groups == 1)
        return "grouped is for several groups";
    if (g->ic == g->groups && g->oc == g->ic)
        return "grouped is for several channels a group, of the input or the output";
    if (conv->transposed)
        return "grouped is not for transposed convolution";
    return NULL;
}

/* Cycles of a core that does two vector multiply-adds a cycle, fitted to measurements on AVX-512: they or the
 * permutations, one a cycle, are the limit. Neighbouring outputs share the permuted pixels where the row
 * functions know the extents; short rows are mostly border, which reads through pointers. */
double cr_grouped_cost(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    cr_grouped_plan plan;
    const double terms = (double)plan_channels(conv, &plan) / (double)plan.out_blocks;
    const double outputs = (double)(g->n * plan.out_blocks) * (double)cr_conv_volume(g->out);
    const double inputs = (double)(g->n * plan.in_blocks) * (double)cr_conv_volume(g->in);
    const double across = (double)g->kernel[CR_W];
    const bool shared = g->dilation[CR_W] == 1 && across == 3 && g->stride[CR_W] < across;
    const double permuted = shared ? (double)g->stride[CR_W] + 0.15 : 0.8 * across;
    const double multiplied = across / 2 / (g->out[CR_W] < 14 && across > 1 ? 0.75 : 0.9);
    return outputs * (terms * (double)(g->kernel[CR_D] * g->kernel[CR_H]) *
                          (multiplied > permuted ? multiplied : permuted) +
                      6) +
           (conv->has_prologue ? 3 * inputs : 0) + (double)cr_grouped_packed_bytes(conv) / 12;
}

size_t cr_grouped_packed_bytes(const cr_conv *conv) {
    cr_grouped_plan plan;
    plan_channels(conv, &plan);
    return (size_t)(plan.out_blocks * plan.packed_floats) * sizeof(float);
}

size_t cr_grouped_workspace_bytes(const cr_conv *conv) {
    int64_t first, blocks, most = 0;
    for (int64_t o = 0; conv->has_prologue && o < conv->geometry.oc; o += conv->lanes) {
        cr_grouped_place(conv, o / conv->lanes, &first, &blocks);
        most = cr_larger(most, blocks);
    }
    return (size_t)(most * cr_conv_volume(conv->geometry.in) * conv->lanes) * sizeof(float);
}

int64_t cr_grouped_tasks(const cr_conv *conv) {
    cr_grouped_plan plan;
    cr_grouped_make_plan(conv, &plan);
    return conv->geometry.n * plan.out_blocks * plan.strips;
}
