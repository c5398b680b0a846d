#include "runtime/kernels/conv/winograd.h"

#include "runtime/base/whole.h"

/* Tiles of a chunk. Few channels: as many as keep the transformed input inside 640 KB of second-level cache.
 * Many channels: never much fewer than 56, because every chunk streams all the weights; of large tiles half
 * as many. */
enum { CHUNK_BYTES = 640 * 1024, CHUNK_TILES = 56, LARGE_TILE_TERMS = 64 };
/* Terms of filters that are computed at a time: a part of the second-level cache. Products are read and
 * written once more for each slab: of many tiles, that takes longer than terms from the next cache. */
enum { SLAB_BYTES = 320 * 1024 };
/* Tasks a thread should find, so that unequal threads balance. */
enum { TASKS_PER_THREAD = 4 };

/* Row of a point p: its powers over the product of its distances to the other finite points, and times |p|,
 * by which its column of A' is divided. */
#define OF_TWO_THIRDS         -27.0 / 65, -18.0 / 65, -12.0 / 65
#define OF_MINUS_TWO_THIRDS   -27.0 / 65, 18.0 / 65, -12.0 / 65
#define OF_THREE_HALVES       12.0 / 65, 18.0 / 65, 27.0 / 65
#define OF_MINUS_THREE_HALVES 12.0 / 65, -18.0 / 65, 27.0 / 65

const double cr_winograd_filters[CR_WINOGRAD_SCHEMES][CR_WINOGRAD_MAX_TERMS][CR_WINOGRAD_MAX_TAPS] = {
    [CR_F1_1] = {{1}},
    [CR_F2_3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
    [CR_F4_3] = {{1, 0, 0},
                 {OF_TWO_THIRDS},
                 {OF_MINUS_TWO_THIRDS},
                 {OF_THREE_HALVES},
                 {OF_MINUS_THREE_HALVES},
                 {0, 0, 1}},
    [CR_F2_5] = {{1, 0, 0, 0, 0},
                 {OF_TWO_THIRDS, -8.0 / 65, -16.0 / 195},
                 {OF_MINUS_TWO_THIRDS, 8.0 / 65, -16.0 / 195},
                 {OF_THREE_HALVES, 40.5 / 65, 60.75 / 65},
                 {OF_MINUS_THREE_HALVES, -40.5 / 65, 60.75 / 65},
                 {0, 0, 0, 0, 1}},
    [CR_F3_7] = {{1},
                 {0, 0, 0, 0, 1},
                 {OF_TWO_THIRDS, -8.0 / 65},
                 {0, 0, 0, 0, OF_TWO_THIRDS},
                 {OF_MINUS_TWO_THIRDS, 8.0 / 65},
                 {0, 0, 0, 0, OF_MINUS_TWO_THIRDS},
                 {OF_THREE_HALVES, 40.5 / 65},
                 {0, 0, 0, 0, OF_THREE_HALVES},
                 {OF_MINUS_THREE_HALVES, -40.5 / 65},
                 {0, 0, 0, 0, OF_MINUS_THREE_HALVES},
                 {0, 0, 0, 1}},
    [CR_F2_3_S2] = {{1, 0, 0}, {0, 1, 0}, {1, 0, 1}, {0, 0, 1}, {0, 1, 0}},
    [CR_F4_3_S2] = {{8.0 / 9, 0, 0},
                    {0, 16.0 / 9, 0},
                    {-32.0 / 45, 0, -24.0 / 45},
                    {0, 8.0 / 9, 0},
                    {-32.0 / 99, 0, 24.0 / 99},
                    {0, 8.0 / 9, 0},
                    {8.0 / 55, 0, 16.0 / 55},
                    {0, 0, 1},
                    {0, 1, 0}},
};

/* In how many equal parts the threads want the tiles. Those that share the output groups instead each
 * transform all of the input; but a panel must be worth a thread. */
static int64_t count_parts(const cr_winograd_plan *plan, int64_t threads, int micro_rows) {
    if (plan->tiles >= threads * micro_rows)
        return threads;
    return cr_divide_up(threads, cr_larger(plan->out_groups, 1));
}

static void cut_chunks(const cr_conv *conv, int micro_rows, cr_winograd_plan *plan) {
    const int64_t tile_bytes = plan->terms * plan->in_blocks * conv->lanes * (int64_t)sizeof(float);
    const int64_t least = plan->terms < LARGE_TILE_TERMS ? CHUNK_TILES : CHUNK_TILES / 2;
    const int64_t panels = cr_larger(CHUNK_BYTES / tile_bytes / micro_rows, cr_divide_up(least, micro_rows));
    const int64_t fits = panels * micro_rows, threads = cr_larger(conv->threads, 1);
    const int64_t parts = count_parts(plan, threads, micro_rows);
    plan->chunks = cr_divide_up(cr_larger(cr_divide_up(plan->tiles, fits), 1), parts) * parts;
    /* Even chunks; whole register tiles where there are several, since the tallest is the fastest, unless one
     * thread would have more of them than another. */
    plan->chunk = cr_larger(cr_divide_up(plan->tiles, plan->chunks), 1);
    if (plan->chunks > 1 && parts == 1)
        plan->chunk = cr_smaller(cr_divide_up(plan->chunk, micro_rows) * micro_rows, fits);
    plan->chunks = cr_divide_up(plan->tiles, plan->chunk);
    const int64_t wanted = parts < threads ? TASKS_PER_THREAD * threads : 1;
    plan->splits = cr_smaller(cr_divide_up(wanted, cr_larger(plan->chunks, 1)), plan->out_groups);
}

static int64_t cut_slab(const cr_conv *conv, const cr_winograd *winograd, const cr_winograd_plan *plan) {
    const int64_t block_bytes = plan->terms * conv->lanes * 2 * conv->lanes * (int64_t)sizeof(float);
    const bool many = plan->tiles_y * plan->tiles_x > 2 * winograd->micro_rows;
    const int64_t bytes = many ? 2 * SLAB_BYTES : SLAB_BYTES;
    if (winograd->packs == CR_PACKS_TERMS)
        return conv->geometry.ic;
    return cr_smaller(cr_larger(bytes / block_bytes, 1) * conv->lanes, conv->geometry.ic);
}

void cr_winograd_make_plan(const cr_conv *conv, const cr_winograd *winograd, cr_winograd_plan *plan) {
    const cr_conv_geometry *g = &conv->geometry;
    plan->y = &cr_winograd_axes[winograd->y];
    plan->x = &cr_winograd_axes[winograd->x];
    plan->elements = plan->y->points * plan->x->points;
    plan->terms = cr_winograd_terms(plan->y) * cr_winograd_terms(plan->x);
    plan->tiles_y = cr_divide_up(g->out[CR_H], plan->y->outputs);
    plan->tiles_x = cr_divide_up(g->out[CR_W], plan->x->outputs);
    plan->tiles = g->n * plan->tiles_y * plan->tiles_x;
    plan->in_blocks = cr_divide_up(g->ic, conv->lanes);
    plan->out_blocks = cr_divide_up(g->oc, conv->lanes);
    plan->out_groups = cr_divide_up(plan->out_blocks, 2);
    cut_chunks(conv, winograd->micro_rows, plan);
    plan->slab = cut_slab(conv, winograd, plan);
}

const char *cr_winograd_refuses(const cr_conv *conv, const cr_winograd *winograd) {
    const cr_conv_geometry *g = &conv->geometry;
    if (conv->lanes == 0 || !conv->input_blocked || !conv->output_blocked)
        return "Winograd works on the blocked layout";
    if (conv->transposed)
        return "Winograd is not for transposed convolution";
    if (conv->exact)
        return "exact results are asked for and Winograd rounds differently";
    if (g->groups != 1)
        return "Winograd is for one group";
    if (g->kernel[CR_D] != 1 || g->in[CR_D] != 1 || g->out[CR_D] != 1 || g->pad[CR_D] != 0)
        return "Winograd is for two spatial dimensions";
    const cr_winograd_axis *axes[] = {&cr_winograd_axes[winograd->y], &cr_winograd_axes[winograd->x]};
    for (int axis = CR_H; axis <= CR_W; axis++) {
        if (g->kernel[axis] != axes[axis - CR_H]->taps)
            return "this Winograd is for another kernel";
        if (g->stride[axis] != axes[axis - CR_H]->stride || g->dilation[axis] != 1)
            return "this Winograd is for another stride or dilation";
    }
    return NULL;
}

size_t cr_winograd_packed_bytes(const cr_conv *conv, const cr_winograd *winograd) {
    const int64_t out = cr_divide_up(conv->geometry.oc, conv->lanes) * conv->lanes;
    return (size_t)(cr_winograd_packed_terms(winograd) * conv->geometry.ic * out) * sizeof(float);
}

int64_t cr_winograd_term_floats(const cr_conv *conv, const cr_winograd_plan *plan) {
    return (2 * plan->slab + 1) * conv->lanes;
}

int64_t cr_winograd_input_floats(const cr_conv *conv, const cr_winograd_plan *plan, int terms) {
    return (terms * plan->in_blocks * plan->chunk + 1) * conv->lanes;
}

int64_t cr_winograd_product_floats(const cr_conv *conv, const cr_winograd_plan *plan) {
    return (2 * plan->chunk + 1) * conv->lanes;
}

size_t cr_winograd_workspace_bytes(const cr_conv *conv, const cr_winograd *winograd) {
    cr_winograd_plan plan;
    cr_winograd_make_plan(conv, winograd, &plan);
    const int64_t input = cr_winograd_input_floats(conv, &plan, plan.terms) + plan.elements * conv->lanes;
    const int64_t products = plan.elements * cr_winograd_product_floats(conv, &plan);
    const int64_t filters =
        winograd->packs == CR_PACKS_TAPS ? plan.terms * cr_winograd_term_floats(conv, &plan) : 0;
    return (size_t)(input + products + filters) * sizeof(float);
}

int64_t cr_winograd_tasks(const cr_conv *conv, const cr_winograd *winograd) {
    cr_winograd_plan plan;
    cr_winograd_make_plan(conv, winograd, &plan);
    return plan.chunks * plan.splits;
}

/* Cycles of a core that does two vector multiply-adds a cycle, fitted to measurements on AVX-512 (16 to 512
 * channels, 7x7 to 320x320, weights cold): the products run at 95 % of the peak while weights arrive from
 * memory, all transforms wait for the second-level cache, beneath which a prologue nearly vanishes, and a
 * later chunk finds the weights in a nearer cache. The weights of elements of several terms are too many for
 * that cache to hold those in use beside those that are fetched: a fifth of their time on a Zen 5, half on a
 * Xeon, whose memory is slower. A 16th of a cycle for each byte is the price of memory and of
 * packing: a few per cent of time are not worth several times the weights. */
double cr_winograd_cost(const cr_conv *conv, const cr_winograd *winograd) {
    cr_winograd_plan plan;
    cr_conv single = *conv;
    single.threads = 1; /* what is chosen by cost must not depend on threads: it would show in the results */
    cr_winograd_make_plan(&single, winograd, &plan);
    const double tiles = (double)plan.tiles, in_blocks = (double)plan.in_blocks,
                 out_blocks = (double)plan.out_blocks;
    const double bytes = (double)cr_winograd_packed_bytes(conv, winograd),
                 memory = cr_conv_memory_cost(conv, bytes);
    double products = plan.terms * tiles * (double)conv->geometry.ic * out_blocks / 2 / 0.95;
    if (plan.terms > plan.elements)
        products += 1.8 * memory * cr_conv_memory_cost(conv, 1);
    const double prologue = conv->has_prologue ? 0.7 * plan.y->inputs * plan.x->inputs : 0;
    const double transforms =
        tiles * ((5.8 * plan.terms + prologue) * in_blocks + 6.7 * plan.elements * out_blocks);
    const double filters =
        winograd->packs == CR_PACKS_TAPS
            ? 9.0 * plan.terms * (double)(plan.chunks * conv->geometry.ic * plan.out_blocks)
            : (double)(plan.chunks - 1) * bytes / 64;
    return (products > memory ? products : memory) + transforms + filters + bytes / 16;
}
