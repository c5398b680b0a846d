/* The body of the Winograd algorithms for one instruction set; see conv/winograd.h.
 * Before including: CR_LANES (L below), CR_SUFFIX, CR_MICRO_ROWS.
 *
 * Packed weights: for each group of output blocks (two blocks, the last group perhaps one)
 * [elements][terms of the element][ic][columns L], in the order in which run() streams them, or taps
 * [ic][taps][columns L]. Workspace: transformed input, element-major, each element cut into panels of the
 * register tile [terms][in_blocks][rows][L]; the products of one output group, element-major,
 * [tile][columns L]; and, of taps, the terms of a slab of channels (winograd_filter_tmpl.h). */
#include "runtime/kernels/conv/winograd_output_tmpl.h"
#include "runtime/kernels/gemm_micro_tmpl.h"

/* What is fetched while a panel reads the terms of an element. Where a single panel reads terms that were
 * packed, they are fetched a little ahead. Several fetch those of the next element, each its share, so that
 * memory never rests. */
static micro_fetch fetch_filters(const winograd_chunk *chunk, const winograd_filters *filters, int64_t panel,
                                 const float *strip, int64_t floats) {
    if (filters->next != NULL)
        return (micro_fetch){filters->next +
                                 (strip - filters->terms) / MICRO_LINE * filters->pace * chunk->panels +
                                 floats * panel / MICRO_LINE * filters->pace,
                             filters->pace};
    if (chunk->panels == 1)
        return micro_follow(strip);
    return (micro_fetch){strip + floats + floats * panel / chunk->panels,
                         (MICRO_LINE + chunk->panels - 1) / chunk->panels};
}

/* products[e] += transformed input[e] x terms[e], over one output group of `columns` blocks; = for the first
 * channels. Terms of all channels that fill their blocks follow one another like channels. */
static void multiply(const winograd_chunk *chunk, const winograd_filters *filters, int columns) {
    const int64_t blocks = chunk->plan->in_blocks, width = columns * CR_LANES;
    const bool joined = filters->term_floats == blocks * CR_LANES * width;
    const float *strip = filters->terms;
    for (int e = 0; e < chunk->plan->elements; e++) {
        const int64_t terms = chunk->terms[e], steps = joined ? 1 : terms;
        const int64_t depth = filters->channels * (joined ? terms : 1), floats = terms * filters->term_floats;
        for (int64_t panel = 0, begin = 0, rows; panel < chunk->panels; panel++, begin += rows) {
            rows = panel_rows(chunk, panel);
            const micro_fetch fetch = fetch_filters(chunk, filters, panel, strip, floats);
            const float *a = panel_input(chunk, e, begin) + filters->channel * rows;
            float *c = chunk->products + e * chunk->product_floats + begin * width;
            for (int64_t s = 0; s < steps; s++)
                micro_tiles[rows - 1][columns - 1](
                    a + s * blocks * rows * CR_LANES, strip + s * filters->term_floats, depth, fetch,
                    (micro_start){s > 0 || filters->channel > 0 ? c : NULL, width}, c, width);
        }
        strip += floats;
    }
}

static void multiply_terms(const winograd_chunk *chunk, const float *packed, int columns) {
    const int64_t ic = chunk->conv->geometry.ic;
    multiply(chunk,
             &(winograd_filters){.terms = packed, .term_floats = ic * columns * CR_LANES, .channels = ic},
             columns);
}

CR_INLINE void multiply_taps(const cr_winograd *winograd, const winograd_chunk *chunk, const float *packed,
                             int columns) {
    const int64_t ic = chunk->conv->geometry.ic, slab = chunk->plan->slab;
    const int64_t taps = cr_winograd_packed_terms(winograd), reads = chunk->plan->terms * chunk->panels;
    winograd_filters filters = {.terms = chunk->filters,
                                .term_floats = cr_winograd_term_floats(chunk->conv, chunk->plan),
                                .pace = (MICRO_LINE * taps + reads - 1) / reads};
    for (int64_t c = 0; c < ic; c += slab) {
        filters.channel = c;
        filters.channels = ic - c < slab ? ic - c : slab;
        const float *first = packed + c * taps * columns * CR_LANES;
        filters.next = first + filters.channels * taps * columns * CR_LANES;
        transform_slab(winograd, chunk, first, filters.channels, columns);
        multiply(chunk, &filters, columns);
    }
}

/* ---- the rows ---- */

CR_INLINE void run_groups(const cr_winograd *winograd, const winograd_chunk *chunk, const cr_conv_args *args,
                          int64_t begin, int64_t end) {
    const int64_t block_floats = cr_winograd_packed_terms(winograd) * chunk->conv->geometry.ic * CR_LANES;
    transform_input(winograd, chunk, args);
    for (int64_t group = begin; group < end; group++) {
        const int64_t block = 2 * group;
        const int columns = block + 1 < chunk->plan->out_blocks ? 2 : 1;
        const float *packed = (const float *)args->packed + block * block_floats;
        if (winograd->packs == CR_PACKS_TAPS)
            multiply_taps(winograd, chunk, packed, columns);
        else
            multiply_terms(chunk, packed, columns);
        transform_output(winograd, chunk, args, block, columns);
    }
}

static void carve_workspace(winograd_chunk *chunk, float *workspace) {
    const cr_winograd_axis *y = chunk->plan->y, *x = chunk->plan->x;
    for (int e = 0; e < chunk->plan->elements; e++) {
        const int py = e / x->points, px = e % x->points;
        chunk->terms[e] = (y->term[py + 1] - y->term[py]) * (x->term[px + 1] - x->term[px]);
        chunk->input[e] = workspace;
        workspace += cr_winograd_input_floats(chunk->conv, chunk->plan, chunk->terms[e]);
    }
    chunk->products = workspace;
    chunk->product_floats = cr_winograd_product_floats(chunk->conv, chunk->plan);
    chunk->filters = workspace + chunk->plan->elements * chunk->product_floats;
}

/* Task: a chunk, and a part of its output groups. Neighbouring parts of a chunk share the transformed input.
 */
CR_INLINE void run_tasks(const cr_winograd *winograd, const cr_conv *conv, const cr_conv_args *args,
                         int64_t begin, int64_t end, float *workspace) {
    cr_winograd_plan plan;
    cr_winograd_make_plan(conv, winograd, &plan);
    winograd_chunk chunk = {.conv = conv, .plan = &plan};
    carve_workspace(&chunk, workspace);
    while (begin < end) {
        const int64_t index = begin / plan.splits, split = begin % plan.splits;
        const int64_t last = end - begin < plan.splits - split ? split + end - begin : plan.splits;
        chunk.first = index * plan.chunk;
        chunk.tiles = plan.tiles - chunk.first < plan.chunk ? plan.tiles - chunk.first : plan.chunk;
        cut_panels(&chunk);
        run_groups(winograd, &chunk, args, plan.out_groups * split / plan.splits,
                   plan.out_groups * last / plan.splits);
        begin += last - split;
    }
}

#define WINOGRAD_ROW(about, row, scheme_y, scheme_x, packs)                                                  \
    static const cr_winograd row##_schemes = {scheme_y, scheme_x, packs, CR_MICRO_ROWS};                     \
    static const char *row##_refuses(const cr_conv *conv) {                                                  \
        return cr_winograd_refuses(conv, &row##_schemes);                                                    \
    }                                                                                                        \
    static double row##_cost(const cr_conv *conv) {                                                          \
        return cr_winograd_cost(conv, &row##_schemes);                                                       \
    }                                                                                                        \
    static size_t row##_packed_bytes(const cr_conv *conv) {                                                  \
        return cr_winograd_packed_bytes(conv, &row##_schemes);                                               \
    }                                                                                                        \
    static void row##_pack(const cr_conv *conv, const float *weights, void *packed) {                        \
        pack_all(conv, &row##_schemes, weights, packed);                                                     \
    }                                                                                                        \
    static size_t row##_workspace_bytes(const cr_conv *conv) {                                               \
        return cr_winograd_workspace_bytes(conv, &row##_schemes);                                            \
    }                                                                                                        \
    static int64_t row##_tasks(const cr_conv *conv) {                                                        \
        return cr_winograd_tasks(conv, &row##_schemes);                                                      \
    }                                                                                                        \
    static void row##_run(const cr_conv *conv, const cr_conv_args *args, int64_t begin, int64_t end,         \
                          void *workspace) {                                                                 \
        run_tasks(&row##_schemes, conv, args, begin, end, workspace);                                        \
    }                                                                                                        \
    const cr_conv_algorithm CR_NAME(cr_conv_##row) = {                                                       \
        .name = #row,                                                                                        \
        .refuses = row##_refuses,                                                                            \
        .cost = row##_cost,                                                                                  \
        .packed_bytes = row##_packed_bytes,                                                                  \
        .pack = row##_pack,                                                                                  \
        .workspace_bytes = row##_workspace_bytes,                                                            \
        .tasks = row##_tasks,                                                                                \
        .run = row##_run,                                                                                    \
    };
CR_WINOGRAD_ROWS(WINOGRAD_ROW, )
