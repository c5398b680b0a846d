/* The body of both Winograd algorithms for one instruction set; see conv/winograd.h.
 * Before including: CR_LANES (L below), CR_SUFFIX, CR_MICRO_ROWS.
 *
 * Packed weights: for each group of output blocks (two blocks, the last group perhaps one)
 * [elements][ic][columns L], in the order in which run() streams them. Workspace: transformed input,
 * element-major, each element cut into panels of the register tile [in_blocks][rows][L]; then the products of
 * one output group, element-major, [tile][columns L]. */
#include "runtime/kernels/conv/winograd.h"
#include "runtime/kernels/conv/epilogue_clamp_tmpl.h"
#include "runtime/kernels/gemm_micro_tmpl.h"

/* ---- the transforms: matrices B', A' and G of the paper, applied to a vector of L channels ---- */

/* r = B' d for F(4, 3); d and r advance by their strides. */
CR_INLINE void input_transform_4(const cr_vec *d, int d_stride, cr_vec *r, int r_stride) {
    const cr_vec d0 = d[0], d1 = d[d_stride], d2 = d[2 * d_stride];
    const cr_vec d3 = d[3 * d_stride], d4 = d[4 * d_stride], d5 = d[5 * d_stride];
    const cr_vec even = d4 - 4 * d2, odd = d3 - 4 * d1;
    const cr_vec even2 = d4 - d2, odd2 = 2 * (d3 - d1);
    r[0] = 4 * d0 + (d4 - 5 * d2);
    r[r_stride] = even + odd;
    r[2 * r_stride] = even - odd;
    r[3 * r_stride] = even2 + odd2;
    r[4 * r_stride] = even2 - odd2;
    r[5 * r_stride] = 4 * d1 + (d5 - 5 * d3);
}

CR_INLINE void input_transform_2(const cr_vec *d, int d_stride, cr_vec *r, int r_stride) {
    const cr_vec d0 = d[0], d1 = d[d_stride], d2 = d[2 * d_stride], d3 = d[3 * d_stride];
    r[0] = d0 - d2;
    r[r_stride] = d1 + d2;
    r[2 * r_stride] = d2 - d1;
    r[3 * r_stride] = d3 - d1;
}

/* r = A' p for F(4, 3). */
CR_INLINE void output_transform_4(const cr_vec *p, int p_stride, cr_vec *r, int r_stride) {
    const cr_vec even = p[p_stride] + p[2 * p_stride], odd = p[p_stride] - p[2 * p_stride];
    const cr_vec even2 = p[3 * p_stride] + p[4 * p_stride], odd2 = p[3 * p_stride] - p[4 * p_stride];
    r[0] = p[0] + even + even2;
    r[r_stride] = odd + 2 * odd2;
    r[2 * r_stride] = even + 4 * even2;
    r[3 * r_stride] = odd + 8 * odd2 + p[5 * p_stride];
}

CR_INLINE void output_transform_2(const cr_vec *p, int p_stride, cr_vec *r, int r_stride) {
    const cr_vec middle = p[p_stride];
    r[0] = p[0] + middle + p[2 * p_stride];
    r[r_stride] = middle - p[2 * p_stride] + p[3 * p_stride];
}

CR_INLINE void input_transform(int m, const cr_vec *d, int d_stride, cr_vec *r, int r_stride) {
    if (m == 4)
        input_transform_4(d, d_stride, r, r_stride);
    else
        input_transform_2(d, d_stride, r, r_stride);
}

CR_INLINE void output_transform(int m, const cr_vec *p, int p_stride, cr_vec *r, int r_stride) {
    if (m == 4)
        output_transform_4(p, p_stride, r, r_stride);
    else
        output_transform_2(p, p_stride, r, r_stride);
}

/* r = G g for three rows of `width` filters, in double. */
CR_INLINE void filter_transform(int m, int width, const double *g, double *r, int stride) {
    const double *g0 = g, *g1 = g + stride, *g2 = g + 2 * stride;
    for (int l = 0; l < width; l++) {
        const double ends = g0[l] + g2[l], ends4 = g0[l] + 4 * g2[l];
        if (m == 4) {
            r[l] = g0[l] / 4;
            r[stride + l] = -(ends + g1[l]) / 6;
            r[2 * stride + l] = -(ends - g1[l]) / 6;
            r[3 * stride + l] = (ends4 + 2 * g1[l]) / 24;
            r[4 * stride + l] = (ends4 - 2 * g1[l]) / 24;
            r[5 * stride + l] = g2[l];
        } else {
            r[l] = g0[l];
            r[stride + l] = (ends + g1[l]) / 2;
            r[2 * stride + l] = (ends - g1[l]) / 2;
            r[3 * stride + l] = g2[l];
        }
    }
}

/* ---- packing ---- */

/* Filters of one input channel and `width` output channels, each [taps][width], to [elements][width]. */
CR_INLINE void transform_filters(int m, int width, const double *taps, double *result) {
    double rows[CR_WINOGRAD_MAX_EDGE * CR_WINOGRAD_KERNEL * 2 * CR_LANES];
    const int edge = m + 2, across = CR_WINOGRAD_KERNEL * width;
    for (int x = 0; x < CR_WINOGRAD_KERNEL; x++)
        filter_transform(m, width, taps + x * width, rows + x * width, across);
    for (int y = 0; y < edge; y++)
        filter_transform(m, width, rows + y * across, result + y * edge * width, width);
}

CR_INLINE void pack_group(const cr_conv *conv, int m, int width, int64_t first, const float *weights,
                          float *packed) {
    enum {
        TAPS = CR_WINOGRAD_KERNEL * CR_WINOGRAD_KERNEL,
        ELEMENTS = CR_WINOGRAD_MAX_EDGE * CR_WINOGRAD_MAX_EDGE
    };
    const int64_t ic = conv->geometry.ic, rest = conv->geometry.oc - first;
    const int used = rest < width ? (int)rest : width, elements = (m + 2) * (m + 2);
    double taps[TAPS * 2 * CR_LANES] = {0}, result[ELEMENTS * 2 * CR_LANES];
    for (int64_t c = 0; c < ic; c++) {
        for (int o = 0; o < used; o++)
            for (int t = 0; t < TAPS; t++)
                taps[t * width + o] = weights[((first + o) * ic + c) * TAPS + t];
        transform_filters(m, width, taps, result);
        for (int e = 0; e < elements; e++)
            for (int o = 0; o < width; o++)
                packed[(e * ic + c) * width + o] = (float)result[e * width + o];
    }
}

CR_INLINE void pack_all(const cr_conv *conv, int m, const float *weights, float *packed) {
    const int64_t blocks = (conv->geometry.oc + CR_LANES - 1) / CR_LANES;
    const int64_t block_floats = (m + 2) * (m + 2) * conv->geometry.ic * CR_LANES;
    for (int64_t block = 0; block < blocks; block += 2) {
        if (block + 1 < blocks)
            pack_group(conv, m, 2 * CR_LANES, block * CR_LANES, weights, packed + block * block_floats);
        else
            pack_group(conv, m, CR_LANES, block * CR_LANES, weights, packed + block * block_floats);
    }
}

/* ---- one chunk of tiles ---- */

typedef struct winograd_chunk {
    const cr_conv *conv;
    const cr_winograd_plan *plan;
    int64_t first, tiles;
    float *input, *products; /* workspace */
    int64_t input_stride, product_stride;
} winograd_chunk;

/* The chunk's tiles are cut into even panels, none taller than the register tile. */
static int64_t panel_count(const winograd_chunk *chunk) {
    return (chunk->tiles + CR_MICRO_ROWS - 1) / CR_MICRO_ROWS;
}

static int64_t panel_begin(const winograd_chunk *chunk, int64_t panel) {
    return chunk->tiles * panel / panel_count(chunk);
}

typedef struct winograd_tile {
    int64_t n, y, x; /* of its first output */
} winograd_tile;

static winograd_tile tile_at(const cr_winograd_plan *plan, int64_t tile) {
    const int64_t row = tile / plan->tiles_x;
    return (winograd_tile){row / plan->tiles_y, row % plan->tiles_y * plan->m,
                           tile % plan->tiles_x * plan->m};
}

/* Where the edge x edge inputs of a tile stand and how many floats lie between their rows: in the tensor
 * itself, or in `patch` if the tile hangs over the border, whose outside is zero. */
static const float *tile_input(const cr_conv *conv, const float *plane, int edge, int64_t y, int64_t x,
                               float *patch, int64_t *row_stride) {
    const int64_t height = conv->geometry.in[CR_H], width = conv->geometry.in[CR_W];
    if (y >= 0 && x >= 0 && y + edge <= height && x + edge <= width) {
        *row_stride = width * CR_LANES;
        return plane + (y * width + x) * CR_LANES;
    }
    for (int i = 0; i < edge; i++)
        for (int j = 0; j < edge; j++) {
            const bool inside = y + i >= 0 && y + i < height && x + j >= 0 && x + j < width;
            const cr_vec v = inside ? cr_load(plane + ((y + i) * width + x + j) * CR_LANES) : (cr_vec){0};
            cr_store(patch + (i * edge + j) * CR_LANES, v);
        }
    *row_stride = edge * CR_LANES;
    return patch;
}

CR_INLINE void transform_tile_input(int m, const float *in, int64_t row_stride, float *out, int64_t stride) {
    enum { MAX = CR_WINOGRAD_MAX_EDGE };
    const int edge = m + 2;
    cr_vec rows[MAX * MAX];
    CR_UNROLL
    for (int y = 0; y < edge; y++) {
        cr_vec d[MAX];
        CR_UNROLL
        for (int x = 0; x < edge; x++)
            d[x] = cr_load(in + y * row_stride + x * CR_LANES);
        input_transform(m, d, 1, rows + y * edge, 1);
    }
    CR_UNROLL
    for (int x = 0; x < edge; x++) {
        cr_vec r[MAX];
        input_transform(m, rows + x, edge, r, 1);
        CR_UNROLL
        for (int y = 0; y < edge; y++)
            cr_store(out + (y * edge + x) * stride, r[y]);
    }
}

/* Tiles of one block and panel after each other: neighbours share input lines and the reads run along a row.
 */
CR_INLINE void transform_input(int m, const winograd_chunk *chunk, const float *input) {
    const cr_conv_geometry *g = &chunk->conv->geometry;
    const int64_t plane = g->in[CR_H] * g->in[CR_W] * CR_LANES, blocks = chunk->plan->in_blocks;
    float patch[CR_WINOGRAD_MAX_EDGE * CR_WINOGRAD_MAX_EDGE * CR_LANES];
    for (int64_t panel = 0; panel < panel_count(chunk); panel++) {
        const int64_t begin = panel_begin(chunk, panel), rows = panel_begin(chunk, panel + 1) - begin;
        float *out = chunk->input + begin * blocks * CR_LANES;
        for (int64_t block = 0; block < blocks; block++)
            for (int64_t r = 0; r < rows; r++, out += CR_LANES) {
                const winograd_tile tile = tile_at(chunk->plan, chunk->first + begin + r);
                int64_t row_stride;
                const float *in =
                    tile_input(chunk->conv, input + (tile.n * blocks + block) * plane, m + 2,
                               tile.y - g->pad[CR_H], tile.x - g->pad[CR_W], patch, &row_stride);
                transform_tile_input(m, in, row_stride, out, chunk->input_stride);
            }
    }
}

/* Where a single panel reads weights, they are fetched a little ahead. Several fetch those of the next
 * element, each its share, so that memory never rests. */
static micro_fetch fetch_weights(int64_t panel, int64_t panels, const float *weights, int64_t strip) {
    if (panels == 1)
        return micro_follow(weights);
    return (micro_fetch){weights + strip + strip * panel / panels, (MICRO_LINE + panels - 1) / panels};
}

/* products[e] = transformed input[e] x weights[e], over one output group of `columns` blocks. */
static void multiply_group(const winograd_chunk *chunk, const float *weights, int columns) {
    const int64_t ic = chunk->conv->geometry.ic, blocks = chunk->plan->in_blocks;
    const int64_t panels = panel_count(chunk), strip = ic * columns * CR_LANES;
    for (int e = 0; e < chunk->plan->elements; e++, weights += strip)
        for (int64_t panel = 0; panel < panels; panel++) {
            const int64_t begin = panel_begin(chunk, panel), rows = panel_begin(chunk, panel + 1) - begin;
            const float *a = chunk->input + e * chunk->input_stride + begin * blocks * CR_LANES;
            float *c = chunk->products + e * chunk->product_stride + begin * columns * CR_LANES;
            micro_tiles[rows - 1][columns - 1](a, weights, ic, fetch_weights(panel, panels, weights, strip),
                                               c, columns * CR_LANES, false);
        }
}

/* Where the outputs of one tile and one output block go, as far as they are inside. */
typedef struct winograd_outputs {
    const cr_epilogue *epilogue;
    const cr_clamp_epilogue *clamp;
    int64_t channel, offset, row_stride;
    int rows, columns;
    float *output;
} winograd_outputs;

CR_INLINE void store_output_row(int m, const cr_vec *r, const winograd_outputs *to, int64_t offset) {
    if (to->clamp->applies && to->columns == m) {
        cr_store_clamped(m, r, to->clamp, to->channel, offset, to->output);
        return;
    }
    float sums[CR_WINOGRAD_MAX_EDGE * CR_LANES];
    CR_UNROLL
    for (int x = 0; x < m; x++)
        cr_store(sums + x * CR_LANES, r[x]);
    cr_store_epilogue_vectors(sums, to->columns, to->epilogue, to->channel, offset, to->output);
}

CR_INLINE void transform_tile_output(int m, const float *products, int64_t stride,
                                     const winograd_outputs *to) {
    enum { MAX = CR_WINOGRAD_MAX_EDGE };
    const int edge = m + 2;
    cr_vec half[MAX * MAX];
    CR_UNROLL
    for (int x = 0; x < edge; x++) {
        cr_vec p[MAX];
        CR_UNROLL
        for (int y = 0; y < edge; y++)
            p[y] = cr_load(products + (y * edge + x) * stride);
        output_transform(m, p, 1, half + x, edge);
    }
    for (int y = 0; y < to->rows; y++) {
        cr_vec r[MAX];
        output_transform(m, half + y * edge, 1, r, 1);
        store_output_row(m, r, to, to->offset + y * to->row_stride);
    }
}

CR_INLINE void transform_output(int m, const winograd_chunk *chunk, const cr_conv_args *args, int64_t block,
                                int columns) {
    const cr_conv_geometry *g = &chunk->conv->geometry;
    const int64_t height = g->out[CR_H], width = g->out[CR_W];
    const cr_clamp_epilogue clamp = cr_clamp_epilogue_of(args->epilogue);
    winograd_outputs to = {.epilogue = args->epilogue, .clamp = &clamp, .output = args->output};
    to.row_stride = width * CR_LANES;
    for (int64_t t = 0; t < chunk->tiles; t++) {
        const winograd_tile tile = tile_at(chunk->plan, chunk->first + t);
        to.rows = height - tile.y < m ? (int)(height - tile.y) : m;
        to.columns = width - tile.x < m ? (int)(width - tile.x) : m;
        for (int c = 0; c < columns; c++) {
            const int64_t plane = tile.n * chunk->plan->out_blocks + block + c;
            to.channel = (block + c) * CR_LANES;
            to.offset = ((plane * height + tile.y) * width + tile.x) * CR_LANES;
            transform_tile_output(m, chunk->products + (t * columns + c) * CR_LANES, chunk->product_stride,
                                  &to);
        }
    }
}

/* ---- the row ---- */

CR_INLINE void run_groups(int m, const winograd_chunk *chunk, const cr_conv_args *args, int64_t begin,
                          int64_t end) {
    const int64_t block_floats = chunk->plan->elements * chunk->conv->geometry.ic * CR_LANES;
    transform_input(m, chunk, args->input);
    for (int64_t group = begin; group < end; group++) {
        const int64_t block = 2 * group;
        const int columns = block + 1 < chunk->plan->out_blocks ? 2 : 1;
        multiply_group(chunk, (const float *)args->packed + block * block_floats, columns);
        transform_output(m, chunk, args, block, columns);
    }
}

/* Task: a chunk, and a part of its output groups. Neighbouring parts of a chunk share the transformed input.
 */
CR_INLINE void run_tasks(int m, const cr_conv *conv, const cr_conv_args *args, int64_t begin, int64_t end,
                         float *workspace) {
    cr_winograd_plan plan;
    cr_winograd_make_plan(conv, m, CR_MICRO_ROWS, &plan);
    winograd_chunk chunk = {.conv = conv, .plan = &plan};
    chunk.input_stride = cr_winograd_input_stride(conv, &plan);
    chunk.product_stride = cr_winograd_product_stride(conv, &plan);
    chunk.input = workspace;
    chunk.products = workspace + plan.elements * chunk.input_stride;
    while (begin < end) {
        const int64_t index = begin / plan.splits, split = begin % plan.splits;
        const int64_t last = end - begin < plan.splits - split ? split + end - begin : plan.splits;
        chunk.first = index * plan.chunk;
        chunk.tiles = plan.tiles - chunk.first < plan.chunk ? plan.tiles - chunk.first : plan.chunk;
        run_groups(m, &chunk, args, plan.out_groups * split / plan.splits,
                   plan.out_groups * last / plan.splits);
        begin += last - split;
    }
}

#define WINOGRAD_ROW(m)                                                                                      \
    static double winograd_cost_##m(const cr_conv *conv) {                                                   \
        return cr_winograd_cost(conv, m, CR_MICRO_ROWS);                                                     \
    }                                                                                                        \
    static size_t winograd_packed_bytes_##m(const cr_conv *conv) {                                           \
        return cr_winograd_packed_bytes(conv, m);                                                            \
    }                                                                                                        \
    static void winograd_pack_##m(const cr_conv *conv, const float *weights, void *packed) {                 \
        pack_all(conv, m, weights, packed);                                                                  \
    }                                                                                                        \
    static size_t winograd_workspace_bytes_##m(const cr_conv *conv) {                                        \
        cr_winograd_plan plan;                                                                               \
        cr_winograd_make_plan(conv, m, CR_MICRO_ROWS, &plan);                                                \
        return cr_winograd_workspace_bytes(conv, &plan);                                                     \
    }                                                                                                        \
    static int64_t winograd_tasks_##m(const cr_conv *conv) {                                                 \
        cr_winograd_plan plan;                                                                               \
        cr_winograd_make_plan(conv, m, CR_MICRO_ROWS, &plan);                                                \
        return plan.chunks * plan.splits;                                                                    \
    }                                                                                                        \
    static void winograd_run_##m(const cr_conv *conv, const cr_conv_args *args, int64_t begin, int64_t end,  \
                                 void *workspace) {                                                          \
        run_tasks(m, conv, args, begin, end, workspace);                                                     \
    }                                                                                                        \
    const cr_conv_algorithm CR_NAME(cr_conv_winograd##m) = {                                                 \
        .name = "winograd" #m,                                                                               \
        .refuses = cr_winograd_refuses,                                                                      \
        .cost = winograd_cost_##m,                                                                           \
        .packed_bytes = winograd_packed_bytes_##m,                                                           \
        .pack = winograd_pack_##m,                                                                           \
        .workspace_bytes = winograd_workspace_bytes_##m,                                                     \
        .tasks = winograd_tasks_##m,                                                                         \
        .run = winograd_run_##m,                                                                             \
    };
WINOGRAD_ROW(4)
WINOGRAD_ROW(2)
