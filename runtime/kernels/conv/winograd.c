#include "runtime/kernels/conv/winograd.h"

/* Tiles of a chunk. Few channels: as many as keep the transformed input inside 640 KB of second-level cache.
 * Many channels: never much fewer than 56, because every chunk streams all the weights. */
enum { CHUNK_BYTES = 640 * 1024, CHUNK_TILES = 56 };
/* Tasks a thread should find, so that unequal threads balance. */
enum { TASKS_PER_THREAD = 4 };

static int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static int64_t at_least(int64_t a, int64_t low) {
    return a > low ? a : low;
}

static int64_t at_most(int64_t a, int64_t high) {
    return a < high ? a : high;
}

/* In how many equal parts the threads want the tiles. Those that share the output groups instead each
 * transform all of the input; but a panel must be worth a thread. */
static int64_t count_parts(const cr_winograd_plan *plan, int64_t threads, int micro_rows) {
    if (plan->tiles >= threads * micro_rows)
        return threads;
    return ceil_div(threads, at_least(plan->out_groups, 1));
}

static void cut_chunks(const cr_conv *conv, int micro_rows, cr_winograd_plan *plan) {
    const int64_t tile_bytes = plan->elements * plan->in_blocks * conv->lanes * (int64_t)sizeof(float);
    const int64_t panels = at_least(CHUNK_BYTES / tile_bytes / micro_rows, ceil_div(CHUNK_TILES, micro_rows));
    const int64_t fits = panels * micro_rows, threads = at_least(conv->threads, 1);
    const int64_t parts = count_parts(plan, threads, micro_rows);
    plan->chunks = ceil_div(at_least(ceil_div(plan->tiles, fits), 1), parts) * parts;
    /* Even chunks; whole register tiles where there are several, since the tallest is the fastest, unless one
     * thread would have more of them than another. */
    plan->chunk = at_least(ceil_div(plan->tiles, plan->chunks), 1);
    if (plan->chunks > 1 && parts == 1)
        plan->chunk = at_most(ceil_div(plan->chunk, micro_rows) * micro_rows, fits);
    plan->chunks = ceil_div(plan->tiles, plan->chunk);
    const int64_t wanted = parts < threads ? TASKS_PER_THREAD * threads : 1;
    plan->splits = at_most(ceil_div(wanted, at_least(plan->chunks, 1)), plan->out_groups);
}

void cr_winograd_make_plan(const cr_conv *conv, int m, int micro_rows, cr_winograd_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    plan->m = m;
    plan->edge = m + CR_WINOGRAD_KERNEL - 1;
    plan->elements = plan->edge * plan->edge;
    plan->tiles_y = ceil_div(g->out[CR_H], m);
    plan->tiles_x = ceil_div(g->out[CR_W], m);
    plan->tiles = g->n * plan->tiles_y * plan->tiles_x;
    plan->in_blocks = ceil_div(g->ic, conv->lanes);
    plan->out_blocks = ceil_div(g->oc, conv->lanes);
    plan->out_groups = ceil_div(plan->out_blocks, 2);
    cut_chunks(conv, micro_rows, plan);
}

const char *cr_winograd_refuses(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    if (conv->lanes == 0 || !conv->input_blocked || !conv->output_blocked)
        return "Winograd works on the blocked layout";
    if (conv->transposed)
        return "Winograd is not for transposed convolution";
    if (conv->exact)
        return "exact results are asked for and Winograd rounds differently";
    if (conv->has_prologue)
        return "Winograd has no prologue";
    if (conv->has_border_bias)
        return "Winograd has one bias for all pixels";
    if (g->groups != 1)
        return "Winograd is for one group";
    if (g->kernel[CR_D] != 1 || g->in[CR_D] != 1 || g->out[CR_D] != 1 || g->pad[CR_D] != 0)
        return "Winograd is for two spatial dimensions";
    for (int axis = CR_H; axis <= CR_W; axis++) {
        if (g->kernel[axis] != CR_WINOGRAD_KERNEL)
            return "Winograd is for 3x3 kernels";
        if (g->stride[axis] != 1 || g->dilation[axis] != 1)
            return "Winograd is for stride 1 and dilation 1";
    }
    return NULL;
}

size_t cr_winograd_packed_bytes(const cr_conv *conv, int m) {
    const int64_t elements = (m + 2) * (m + 2);
    const int64_t out = ceil_div(conv->geometry.oc, conv->lanes) * conv->lanes;
    return (size_t)(elements * conv->geometry.ic * out) * sizeof(float);
}

int64_t cr_winograd_input_stride(const cr_conv *conv, const cr_winograd_plan *plan) {
    return (plan->in_blocks * plan->chunk + 1) * conv->lanes;
}

int64_t cr_winograd_product_stride(const cr_conv *conv, const cr_winograd_plan *plan) {
    return (2 * plan->chunk + 1) * conv->lanes;
}

size_t cr_winograd_workspace_bytes(const cr_conv *conv, const cr_winograd_plan *plan) {
    const int64_t floats = cr_winograd_input_stride(conv, plan) + cr_winograd_product_stride(conv, plan);
    return (size_t)(plan->elements * floats) * sizeof(float);
}

/* Cycles of a core that does two vector multiply-adds a cycle, fitted to measurements on AVX-512 (64 to 512
 * channels, 7x7 to 224x224, weights cold): the products run at 92 % of the peak, both transforms wait for the
 * second-level cache, and weights arrive from memory at 16 bytes a cycle beyond what the arithmetic hides; a
 * later chunk finds them in a nearer cache. */
double cr_winograd_cost(const cr_conv *conv, int m, int micro_rows) {
    const double input_cycles = m == 4 ? 210 : 75, output_cycles = m == 4 ? 240 : 75;
    cr_winograd_plan plan;
    cr_conv single = *conv;
    single.threads = 1; /* what is chosen by cost must not depend on threads: it would show in the results */
    cr_winograd_make_plan(&single, m, micro_rows, &plan);
    const double tiles = (double)plan.tiles, in_blocks = (double)plan.in_blocks,
                 out_blocks = (double)plan.out_blocks;
    const double products = plan.elements * tiles * (double)conv->geometry.ic * out_blocks / 2 / 0.92;
    const double transforms = tiles * (in_blocks * input_cycles + out_blocks * output_cycles);
    const double bytes = (double)cr_winograd_packed_bytes(conv, m);
    return products + transforms + bytes / 16 + (double)(plan.chunks - 1) * bytes / 64;
}
