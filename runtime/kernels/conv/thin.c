#include "runtime/kernels/conv/thin.h"

#include "runtime/base/whole.h"

/* The copy of a chunk: to stay near; and of a single row: what is larger is another algorithm's. */
enum { CHUNK_BYTES = 24 * 1024, MOST_ROW_BYTES = 1 << 20 };

static int64_t rows_read(const cr_conv_geometry *g, int64_t rows) {
    return (rows - 1) * g->stride[CR_H] + (g->kernel[CR_H] - 1) * g->dilation[CR_H] + 1;
}

/* Chunks do not span depths. */
static void plan_chunks(const cr_conv *conv, cr_thin_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t bytes = g->ic * g->kernel[CR_D] * plan->row_floats * (int64_t)sizeof(float);
    const int64_t more = bytes > 0 ? (CHUNK_BYTES / bytes - rows_read(g, 1)) / g->stride[CR_H] : 0;
    plan->rows = g->out[CR_D] * g->out[CR_H];
    const int64_t most = g->out[CR_H] > 1 ? g->out[CR_H] : 1;
    plan->chunk_rows = cr_smaller(1 + (more > 0 ? more : 0), most);
    plan->copy_rows = rows_read(g, plan->chunk_rows);
    const int64_t shares = cr_conv_shares(g->n, conv->threads);
    plan->parts = plan->rows < shares ? 1 : shares;
}

void cr_thin_make_plan(const cr_conv *conv, cr_thin_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t reach = (g->kernel[CR_W] - 1) * g->dilation[CR_W];
    plan->terms = g->ic * cr_conv_volume(g->kernel);
    plan->row_vectors = cr_divide_up(g->out[CR_W], conv->lanes);
    plan->phase_floats = plan->row_vectors * conv->lanes + reach / g->stride[CR_W];
    plan->row_floats = plan->phase_floats * g->stride[CR_W];
    plan_chunks(conv, plan);
}

static size_t terms_bytes(const cr_thin_plan *plan) {
    return (size_t)(cr_divide_up(plan->terms, 8) * 8) * sizeof(ptrdiff_t);
}

cr_thin_workspace cr_thin_carve(const cr_thin_plan *plan, void *workspace) {
    return (cr_thin_workspace){.copy = (float *)((char *)workspace + terms_bytes(plan)), .terms = workspace};
}

/* ---- the functions of the rows ---- */

/* What an output row reads. In doubles: nothing that is not refused overflows. */
static bool is_large(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    const double columns = ((double)g->out[CR_W] + conv->lanes) * (double)g->stride[CR_W] +
                           (double)g->kernel[CR_W] * (double)g->dilation[CR_W];
    const double rows = (double)g->kernel[CR_H] * (double)g->dilation[CR_H] + (double)g->stride[CR_H];
    return columns * rows * (double)g->ic * (double)g->kernel[CR_D] * sizeof(float) > MOST_ROW_BYTES;
}

const char *cr_thin_refuses(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    if (conv->lanes == 0 || conv->input_blocked || !conv->output_blocked)
        return "thin needs plain input and blocked output";
    if (g->groups != 1 || conv->transposed)
        return "thin is not for groups or transposed convolution";
    if (conv->has_prologue || conv->has_border_bias)
        return "thin has no prologue and no border bias";
    if (g->oc > conv->lanes / 2)
        return "thin is for at most half a block of output channels";
    return is_large(conv) ? "thin is for rows that stay in a cache" : NULL;
}

/* Cycles of a core that does two vector multiply-adds a cycle, fitted to measurements on AVX-512: too few
 * sums wait for each other, and the turning of a vector of pixels does not depend on the outputs by much. */
double cr_thin_cost(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    cr_thin_plan plan;
    cr_thin_make_plan(conv, &plan);
    const double sums = (double)cr_smaller(plan.row_vectors, g->oc <= 4 ? 6 : 3) * (double)g->oc;
    const double term = (double)g->oc / 2 / 0.9 * (sums < 8 ? 8 / sums : 1);
    const double vector = (double)plan.terms * term + 80;
    const double chunks = (double)cr_divide_up(g->out[CR_H], plan.chunk_rows);
    const double copied = (double)(g->ic * g->kernel[CR_D] * plan.copy_rows) *
                          (20 + (g->stride[CR_W] > 1 ? 1 : 0.1) * (double)plan.row_floats);
    return 500 + (double)g->n * ((double)(plan.rows * plan.row_vectors) * vector +
                                 (double)g->out[CR_D] * chunks * copied);
}

size_t cr_thin_packed_bytes(const cr_conv *conv) {
    return (size_t)(conv->geometry.ic * cr_conv_volume(conv->geometry.kernel) * conv->geometry.oc) *
           sizeof(float);
}

void cr_thin_pack(const cr_conv *conv, const float *weights, void *packed) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t terms = g->ic * cr_conv_volume(g->kernel);
    float *to = packed;
    for (int64_t t = 0; t < terms; t++)
        for (int64_t o = 0; o < g->oc; o++)
            *to++ = weights[o * terms + t];
}

size_t cr_thin_workspace_bytes(const cr_conv *conv) {
    cr_thin_plan plan;
    cr_thin_make_plan(conv, &plan);
    const int64_t rows = conv->geometry.ic * conv->geometry.kernel[CR_D] * plan.copy_rows;
    return terms_bytes(&plan) + (size_t)(rows * plan.row_floats) * sizeof(float);
}

int64_t cr_thin_tasks(const cr_conv *conv) {
    cr_thin_plan plan;
    cr_thin_make_plan(conv, &plan);
    return conv->geometry.n * plan.parts;
}
