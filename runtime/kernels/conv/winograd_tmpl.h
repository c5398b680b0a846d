/* The body of the Winograd algorithms for one instruction set; see conv/winograd.h.
 * Before including: CR_LANES (L below), CR_SUFFIX, CR_MICRO_ROWS.
 *
 * Packed weights: for each group of output blocks (two blocks, the last group perhaps one)
 * [elements][terms of the element][ic][columns L], in the order in which run() streams them. Workspace:
 * transformed input, element-major, each element cut into panels of the register tile
 * [terms][in_blocks][rows][L]; then the products of one output group, element-major, [tile][columns L]. */
#include <string.h>

#include "runtime/kernels/conv/winograd_axes_tmpl.h"
#include "runtime/kernels/conv/epilogue_clamp_tmpl.h"
#include "runtime/kernels/conv/prologue_tmpl.h"
#include "runtime/kernels/gemm_micro_tmpl.h"

static int axis_terms(const cr_winograd_axis *axis) {
    return axis->term[axis->points];
}

/* The terms of a tile in the order of their elements, each as y * terms of x + x. */
static void list_terms(const cr_winograd_axis *y, const cr_winograd_axis *x, int *terms) {
    for (int py = 0; py < y->points; py++)
        for (int px = 0; px < x->points; px++)
            for (int ky = y->term[py]; ky < y->term[py + 1]; ky++)
                for (int kx = x->term[px]; kx < x->term[px + 1]; kx++)
                    *terms++ = ky * axis_terms(x) + kx;
}

/* ---- packing ---- */

/* r = G g for `width` filters, in double; taps and terms are `stride` apart. */
CR_INLINE void transform_taps(cr_winograd_scheme scheme, int width, const double *g, double *r, int stride) {
    const cr_winograd_axis *axis = &cr_winograd_axes[scheme];
    for (int k = 0; k < axis_terms(axis); k++, r += stride) {
        memset(r, 0, (size_t)width * sizeof *r);
        for (int t = 0; t < axis->taps; t++) {
            const double factor = cr_winograd_filters[scheme][k][t];
            for (int l = 0; l < width && factor != 0; l++)
                r[l] += factor * g[t * stride + l];
        }
    }
}

/* Filters of one input channel and `width` output channels, each [taps][width], to [terms][width]. */
CR_INLINE void transform_filters(const cr_winograd *winograd, int width, const double *taps, double *result) {
    const cr_winograd_axis *y = &cr_winograd_axes[winograd->y], *x = &cr_winograd_axes[winograd->x];
    double rows[CR_WINOGRAD_MAX_TERMS * CR_WINOGRAD_MAX_TAPS * 2 * CR_LANES];
    const int across = x->taps * width;
    for (int t = 0; t < x->taps; t++)
        transform_taps(winograd->y, width, taps + t * width, rows + t * width, across);
    for (int k = 0; k < axis_terms(y); k++)
        transform_taps(winograd->x, width, rows + k * across, result + k * axis_terms(x) * width, width);
}

CR_INLINE void pack_group(const cr_conv *conv, const cr_winograd *winograd, int width, int64_t first,
                          const float *weights, float *packed) {
    const cr_winograd_axis *y = &cr_winograd_axes[winograd->y], *x = &cr_winograd_axes[winograd->x];
    const int n_taps = y->taps * x->taps, n_terms = axis_terms(y) * axis_terms(x);
    const int64_t ic = conv->geometry.ic, rest = conv->geometry.oc - first;
    const int used = rest < width ? (int)rest : width;
    double taps[CR_WINOGRAD_MAX_ALL_TAPS * 2 * CR_LANES] = {0};
    double result[CR_WINOGRAD_MAX_ALL_TERMS * 2 * CR_LANES];
    int terms[CR_WINOGRAD_MAX_ALL_TERMS];
    list_terms(y, x, terms);
    for (int64_t c = 0; c < ic; c++) {
        for (int o = 0; o < used; o++)
            for (int t = 0; t < n_taps; t++)
                taps[t * width + o] = weights[((first + o) * ic + c) * n_taps + t];
        transform_filters(winograd, width, taps, result);
        for (int k = 0; k < n_terms; k++)
            for (int o = 0; o < width; o++)
                packed[(k * ic + c) * width + o] = (float)result[terms[k] * width + o];
    }
}

static void pack_all(const cr_conv *conv, const cr_winograd *winograd, const float *weights, float *packed) {
    const int64_t blocks = (conv->geometry.oc + CR_LANES - 1) / CR_LANES;
    const int64_t terms =
        axis_terms(&cr_winograd_axes[winograd->y]) * axis_terms(&cr_winograd_axes[winograd->x]);
    for (int64_t block = 0; block < blocks; block += 2) {
        float *to = packed + block * terms * conv->geometry.ic * CR_LANES;
        if (block + 1 < blocks)
            pack_group(conv, winograd, 2 * CR_LANES, block * CR_LANES, weights, to);
        else
            pack_group(conv, winograd, CR_LANES, block * CR_LANES, weights, to);
    }
}

/* ---- one chunk of tiles ---- */

typedef struct winograd_chunk {
    const cr_conv *conv;
    const cr_winograd_plan *plan;
    int64_t first, tiles;
    int64_t panels, panel, longer; /* tiles of a panel; of the first `longer` panels one more */
    float *products;               /* workspace */
    int64_t product_floats;
    float *input[CR_WINOGRAD_MAX_ALL_POINTS]; /* likewise, of each element */
    int terms[CR_WINOGRAD_MAX_ALL_POINTS];
} winograd_chunk;

/* The chunk's tiles are cut into even panels, none taller than the register tile. */
static void cut_panels(winograd_chunk *chunk) {
    chunk->panels = (chunk->tiles + CR_MICRO_ROWS - 1) / CR_MICRO_ROWS;
    chunk->panel = chunk->tiles / chunk->panels;
    chunk->longer = chunk->tiles % chunk->panels;
}

static int64_t panel_rows(const winograd_chunk *chunk, int64_t panel) {
    return chunk->panel + (panel < chunk->longer);
}

/* Where an element's panel begins, whose first tile is `begin`. */
static float *panel_input(const winograd_chunk *chunk, int element, int64_t begin) {
    return chunk->input[element] + begin * chunk->terms[element] * chunk->plan->in_blocks * CR_LANES;
}

/* Where the first vector of each term of a panel goes, by its place in the tile; terms as of list_terms. */
static void place_terms(const winograd_chunk *chunk, const int *terms, int64_t begin, int64_t rows,
                        float **places) {
    for (int e = 0; e < chunk->plan->elements; e++) {
        float *place = panel_input(chunk, e, begin);
        for (int k = chunk->terms[e]; k > 0; k--, terms++) {
            places[*terms] = place;
            place += chunk->plan->in_blocks * rows * CR_LANES;
        }
    }
}

typedef struct winograd_tile {
    int64_t n, y, x; /* of its first output */
} winograd_tile;

static winograd_tile tile_at(const cr_winograd_plan *plan, int64_t tile) {
    const int64_t row = tile / plan->tiles_x;
    return (winograd_tile){row / plan->tiles_y, row % plan->tiles_y * plan->y->outputs,
                           tile % plan->tiles_x * plan->x->outputs};
}

static void next_tile(const cr_winograd_plan *plan, winograd_tile *tile) {
    tile->x += plan->x->outputs;
    if (tile->x < plan->tiles_x * plan->x->outputs)
        return;
    tile->x = 0;
    tile->y += plan->y->outputs;
    if (tile->y < plan->tiles_y * plan->y->outputs)
        return;
    tile->y = 0;
    tile->n++;
}

static int clamp_index(int64_t i, int size) {
    return i < 0 ? 0 : i < size ? (int)i : size;
}

/* A channel block of an image, and what stands before it. */
typedef struct winograd_source {
    const float *plane;
    const cr_prologue *prologue; /* NULL: nothing */
    int64_t image, channel;
    bool clamps; /* what the activation is, to: */
    float low, high;
} winograd_source;

static void copy_row(const winograd_source *source, const float *from, int n, float *to) {
    if (source->prologue != NULL) {
        cr_prologue_vectors(source->prologue, source->image, source->channel, from, to, n);
        return;
    }
    for (int j = 0; j < n; j++)
        cr_store(to + j * CR_LANES, cr_load(from + j * CR_LANES));
}

/* The inputs of a tile behind the prologue, [rows][columns][L]; outside is zero. */
static void copy_patch(const winograd_chunk *chunk, const winograd_source *source, int64_t y, int64_t x,
                       float *patch) {
    const int64_t height = chunk->conv->geometry.in[CR_H], width = chunk->conv->geometry.in[CR_W];
    const int rows = chunk->plan->y->inputs, columns = chunk->plan->x->inputs;
    const int left = clamp_index(-x, columns), right = clamp_index(width - x, columns);
    for (int i = 0; i < rows; i++, patch += columns * CR_LANES) {
        const bool inside = y + i >= 0 && y + i < height;
        const int begin = inside ? left : columns, end = inside ? right : columns;
        for (int j = 0; j < begin; j++)
            cr_store(patch + j * CR_LANES, (cr_vec){0});
        copy_row(source, source->plane + ((y + i) * width + x + begin) * CR_LANES, end - begin,
                 patch + begin * CR_LANES);
        for (int j = end; j < columns; j++)
            cr_store(patch + j * CR_LANES, (cr_vec){0});
    }
}

/* Where the inputs of a tile stand: in the tensor itself, where a prologue that clamps can be applied to each
 * vector as it is loaded, or in a patch. */
typedef struct winograd_input {
    const float *data;
    int64_t row_stride; /* floats */
    bool before;        /* the prologue */
} winograd_input;

CR_INLINE winograd_input tile_input(const winograd_chunk *chunk, const winograd_source *source, int64_t y,
                                    int64_t x, float *patch) {
    const int64_t height = chunk->conv->geometry.in[CR_H], width = chunk->conv->geometry.in[CR_W];
    const int rows = chunk->plan->y->inputs, columns = chunk->plan->x->inputs;
    const bool inside = y >= 0 && x >= 0 && y + rows <= height && x + columns <= width;
    if (inside && source->clamps)
        return (winograd_input){source->plane + (y * width + x) * CR_LANES, width * CR_LANES,
                                source->prologue != NULL};
    copy_patch(chunk, source, y, x, patch);
    return (winograd_input){patch, columns * CR_LANES, false};
}

/* A prologue whose activation is a clamp, on one channel block of an image. */
typedef struct winograd_affine {
    cr_vec scale, shift, low, high;
} winograd_affine;

CR_INLINE winograd_affine affine_of(const winograd_source *source) {
    const cr_prologue *prologue = source->prologue;
    const int64_t at = source->image * prologue->batch_stride + source->channel;
    return (winograd_affine){cr_load(prologue->scale + at),
                             prologue->shift != NULL ? cr_load(prologue->shift + at) : (cr_vec){0},
                             cr_broadcast(source->low), cr_broadcast(source->high)};
}

/* affine NULL: none. */
CR_INLINE cr_vec load_input(const winograd_affine *affine, const float *in) {
    const cr_vec x = cr_load(in);
    return affine == NULL ? x : cr_clamp(cr_fma(affine->scale, x, affine->shift), affine->low, affine->high);
}

/* Of a row of the next tile. Tiles of stride 2 read so much that the hardware's prefetcher does not keep up.
 */
CR_INLINE void fetch_vectors(int n, const float *from) {
    CR_UNROLL
    for (int i = 0; i < n; i++)
        __builtin_prefetch(from + i * CR_LANES);
}

CR_INLINE void transform_input_row(cr_winograd_scheme scheme, const winograd_affine *affine, const float *in,
                                   cr_vec *row) {
    const cr_winograd_axis *x = &cr_winograd_axes[scheme];
    cr_vec d[CR_WINOGRAD_MAX_INPUTS];
    CR_UNROLL
    for (int j = 0; j < x->inputs; j++)
        d[j] = load_input(affine, in + j * CR_LANES);
    if (x->stride > 1)
        fetch_vectors(x->outputs * x->stride, in + x->inputs * CR_LANES);
    input_transform(scheme, d, row);
}

/* A column of rows of `across` vectors becomes terms `across` apart. */
CR_INLINE void transform_input_column(cr_winograd_scheme scheme, int across, const cr_vec *column,
                                      float *const *places, int64_t offset) {
    const cr_winograd_axis *y = &cr_winograd_axes[scheme];
    cr_vec d[CR_WINOGRAD_MAX_INPUTS], r[CR_WINOGRAD_MAX_TERMS];
    CR_UNROLL
    for (int i = 0; i < y->inputs; i++)
        d[i] = column[i * across];
    input_transform(scheme, d, r);
    CR_UNROLL
    for (int i = 0; i < axis_terms(y); i++)
        cr_store(places[i * across] + offset, r[i]);
}

/* One vector of each input becomes one of each term, `offset` after the first of its panel. What nearly fits
 * the registers is unrolled, so that little of it goes through memory. */
CR_INLINE void transform_tile_input(const cr_winograd *winograd, const winograd_affine *affine,
                                    const winograd_input *in, float *const *places, int64_t offset) {
    enum { NEARLY_FITS = 36 };
    const cr_winograd_scheme scheme_y = winograd->y, scheme_x = winograd->x;
    const int height = cr_winograd_axes[scheme_y].inputs, across = axis_terms(&cr_winograd_axes[scheme_x]);
    if (height * across <= NEARLY_FITS) {
        cr_vec rows[NEARLY_FITS];
        CR_UNROLL
        for (int i = 0; i < height; i++)
            transform_input_row(scheme_x, affine, in->data + i * in->row_stride, rows + i * across);
        CR_UNROLL
        for (int k = 0; k < across; k++)
            transform_input_column(scheme_y, across, rows + k, places + k, offset);
        return;
    }
    cr_vec rows[CR_WINOGRAD_MAX_INPUTS * CR_WINOGRAD_MAX_TERMS];
    for (int i = 0; i < height; i++)
        transform_input_row(scheme_x, affine, in->data + i * in->row_stride, rows + i * across);
    for (int k = 0; k < across; k++)
        transform_input_column(scheme_y, across, rows + k, places + k, offset);
}

static winograd_source source_of(const cr_conv_args *args, int64_t block) {
    winograd_source source = {.prologue = cr_prologue_of(args), .channel = block * CR_LANES, .clamps = true};
    if (source.prologue != NULL)
        source.clamps = cr_activation_is_clamp(&source.prologue->act, &source.low, &source.high);
    return source;
}

/* One block of a panel's tiles. */
CR_INLINE void transform_panel_input(const cr_winograd *winograd, const winograd_chunk *chunk,
                                     const cr_conv_args *args, int64_t block, winograd_tile tile,
                                     int64_t rows, float *const *places) {
    const cr_conv_geometry *g = &chunk->conv->geometry;
    const int64_t plane = g->in[CR_H] * g->in[CR_W] * CR_LANES;
    const int64_t stride_y = cr_winograd_axes[winograd->y].stride,
                  stride_x = cr_winograd_axes[winograd->x].stride;
    winograd_source source = source_of(args, block);
    float patch[CR_WINOGRAD_MAX_ALL_INPUTS * CR_LANES];
    for (int64_t r = block * rows; r < (block + 1) * rows; r++, next_tile(chunk->plan, &tile)) {
        source.image = tile.n;
        source.plane = args->input + (tile.n * chunk->plan->in_blocks + block) * plane;
        const winograd_input in = tile_input(chunk, &source, tile.y * stride_y - g->pad[CR_H],
                                             tile.x * stride_x - g->pad[CR_W], patch);
        if (in.before) {
            const winograd_affine affine = affine_of(&source);
            transform_tile_input(winograd, &affine, &in, places, r * CR_LANES);
        } else {
            transform_tile_input(winograd, NULL, &in, places, r * CR_LANES);
        }
    }
}

/* Tiles of one block and panel after each other: neighbours share input lines and the reads run along a row.
 */
CR_INLINE void transform_input(const cr_winograd *winograd, const winograd_chunk *chunk,
                               const cr_conv_args *args) {
    float *places[CR_WINOGRAD_MAX_ALL_TERMS];
    int terms[CR_WINOGRAD_MAX_ALL_TERMS];
    list_terms(chunk->plan->y, chunk->plan->x, terms);
    for (int64_t panel = 0, begin = 0, rows; panel < chunk->panels; panel++, begin += rows) {
        rows = panel_rows(chunk, panel);
        place_terms(chunk, terms, begin, rows, places);
        const winograd_tile first = tile_at(chunk->plan, chunk->first + begin);
        for (int64_t block = 0; block < chunk->plan->in_blocks; block++)
            transform_panel_input(winograd, chunk, args, block, first, rows, places);
    }
}

/* Where a single panel reads weights, they are fetched a little ahead. Several fetch those of the next
 * element, each its share, so that memory never rests. */
static micro_fetch fetch_weights(const winograd_chunk *chunk, int64_t panel, const float *weights,
                                 int64_t strip) {
    if (chunk->panels == 1)
        return micro_follow(weights);
    return (micro_fetch){weights + strip + strip * panel / chunk->panels,
                         (MICRO_LINE + chunk->panels - 1) / chunk->panels};
}

/* products[e] = transformed input[e] x weights[e], over one output group of `columns` blocks. Terms whose
 * channels fill their blocks follow one another like channels. */
static void multiply_group(const winograd_chunk *chunk, const float *weights, int columns) {
    const int64_t ic = chunk->conv->geometry.ic, blocks = chunk->plan->in_blocks;
    for (int e = 0; e < chunk->plan->elements; e++) {
        const int64_t terms = chunk->terms[e], steps = ic % CR_LANES == 0 ? 1 : terms;
        const int64_t depth = steps == 1 ? terms * ic : ic, strip = terms * ic * columns * CR_LANES;
        for (int64_t panel = 0, begin = 0, rows; panel < chunk->panels; panel++, begin += rows) {
            rows = panel_rows(chunk, panel);
            const micro_fetch fetch = fetch_weights(chunk, panel, weights, strip);
            const float *a = panel_input(chunk, e, begin);
            float *c = chunk->products + e * chunk->product_floats + begin * columns * CR_LANES;
            for (int64_t s = 0; s < steps; s++)
                micro_tiles[rows - 1][columns - 1](
                    a + s * blocks * rows * CR_LANES, weights + s * ic * columns * CR_LANES, depth, fetch,
                    (micro_start){s > 0 ? c : NULL, columns * CR_LANES}, c, columns * CR_LANES);
        }
        weights += strip;
    }
}

/* The bias of a tile's output (y, x) at rows[y] + columns[x], of channel 0. */
typedef struct winograd_border {
    const float *rows[CR_WINOGRAD_MAX_OUTPUTS];
    int64_t columns[CR_WINOGRAD_MAX_OUTPUTS];
} winograd_border;

/* Where the outputs of one tile and one output block go, as far as they are inside. */
typedef struct winograd_outputs {
    const cr_epilogue *epilogue;
    const cr_clamp_epilogue *clamp;
    int64_t channel, offset, row_stride;
    int rows, columns;
    float *output;
    const winograd_border *border; /* in place of the epilogue's bias, or NULL */
} winograd_outputs;

/* Row y of a tile. */
CR_INLINE void store_output_row(int n, cr_vec *r, const winograd_outputs *to, int y) {
    const int64_t offset = to->offset + y * to->row_stride;
    if (to->border != NULL) {
        CR_UNROLL
        for (int x = 0; x < n; x++)
            r[x] += cr_load(to->border->rows[y] + to->border->columns[x] + to->channel);
    }
    if (to->clamp->applies && to->columns == n) {
        cr_store_clamped(n, r, to->clamp, to->channel, offset, to->output);
        return;
    }
    float sums[CR_WINOGRAD_MAX_OUTPUTS * CR_LANES];
    CR_UNROLL
    for (int x = 0; x < n; x++)
        cr_store(sums + x * CR_LANES, r[x]);
    cr_store_epilogue_vectors(sums, to->columns, to->epilogue, to->channel, offset, to->output);
}

CR_INLINE void transform_tile_output(cr_winograd_scheme scheme_y, cr_winograd_scheme scheme_x,
                                     const float *products, int64_t stride, const winograd_outputs *to) {
    const cr_winograd_axis *y = &cr_winograd_axes[scheme_y], *x = &cr_winograd_axes[scheme_x];
    cr_vec half[CR_WINOGRAD_MAX_OUTPUTS][CR_WINOGRAD_MAX_POINTS];
    CR_UNROLL
    for (int k = 0; k < x->points; k++) {
        cr_vec p[CR_WINOGRAD_MAX_POINTS], r[CR_WINOGRAD_MAX_OUTPUTS];
        CR_UNROLL
        for (int i = 0; i < y->points; i++)
            p[i] = cr_load(products + (i * x->points + k) * stride);
        output_transform(scheme_y, p, r);
        CR_UNROLL
        for (int i = 0; i < y->outputs; i++)
            half[i][k] = r[i];
    }
    for (int i = 0; i < to->rows; i++) {
        cr_vec r[CR_WINOGRAD_MAX_OUTPUTS];
        output_transform(scheme_x, half[i], r);
        store_output_row(x->outputs, r, to, i);
    }
}

static bool sees_padding(const cr_conv_geometry *g, int axis, int64_t out, int n) {
    const int64_t first = out * g->stride[axis] - g->pad[axis];
    return first < 0 || first + (n - 1) * g->stride[axis] + g->kernel[axis] > g->in[axis];
}

/* The border bias of a tile of rows x columns outputs inside; columns outside get any. Returns the one bias
 * of all, or NULL where some see padding. */
static const float *place_border(const cr_conv_geometry *g, const float *border_bias, winograd_tile tile,
                                 int rows, int columns, winograd_border *border) {
    const int64_t step = (g->oc + CR_LANES - 1) / CR_LANES * CR_LANES;
    const int64_t classes = cr_conv_border_classes(g, CR_W);
    for (int y = 0; y < rows; y++)
        border->rows[y] = border_bias + cr_conv_border_class(g, CR_H, tile.y + y) * classes * step;
    for (int x = 0; x < CR_WINOGRAD_MAX_OUTPUTS; x++)
        border->columns[x] = cr_conv_border_class(g, CR_W, tile.x + (x < columns ? x : 0)) * step;
    const bool mixed = sees_padding(g, CR_H, tile.y, rows) || sees_padding(g, CR_W, tile.x, columns);
    return mixed ? NULL : border->rows[0] + border->columns[0];
}

CR_INLINE void transform_output(const cr_winograd *winograd, const winograd_chunk *chunk,
                                const cr_conv_args *args, int64_t block, int columns) {
    const cr_conv_geometry *g = &chunk->conv->geometry;
    const int64_t height = g->out[CR_H], width = g->out[CR_W];
    const int64_t rows = chunk->plan->y->outputs, across = chunk->plan->x->outputs;
    cr_epilogue epilogue = *args->epilogue;
    cr_clamp_epilogue clamp = cr_clamp_epilogue_of(args->epilogue);
    winograd_border border;
    winograd_outputs to = {.epilogue = &epilogue, .clamp = &clamp, .output = args->output};
    to.row_stride = width * CR_LANES;
    winograd_tile tile = tile_at(chunk->plan, chunk->first);
    for (int64_t t = 0; t < chunk->tiles; t++, next_tile(chunk->plan, &tile)) {
        to.rows = (int)(height - tile.y < rows ? height - tile.y : rows);
        to.columns = (int)(width - tile.x < across ? width - tile.x : across);
        if (args->border_bias != NULL) {
            epilogue.bias = clamp.bias =
                place_border(g, args->border_bias, tile, to.rows, to.columns, &border);
            to.border = clamp.bias == NULL ? &border : NULL;
        }
        for (int c = 0; c < columns; c++) {
            const int64_t plane = tile.n * chunk->plan->out_blocks + block + c;
            to.channel = (block + c) * CR_LANES;
            to.offset = ((plane * height + tile.y) * width + tile.x) * CR_LANES;
            transform_tile_output(winograd->y, winograd->x, chunk->products + (t * columns + c) * CR_LANES,
                                  chunk->product_floats, &to);
        }
    }
}

/* ---- the rows ---- */

CR_INLINE void run_groups(const cr_winograd *winograd, const winograd_chunk *chunk, const cr_conv_args *args,
                          int64_t begin, int64_t end) {
    const int64_t block_floats = chunk->plan->terms * chunk->conv->geometry.ic * CR_LANES;
    transform_input(winograd, chunk, args);
    for (int64_t group = begin; group < end; group++) {
        const int64_t block = 2 * group;
        const int columns = block + 1 < chunk->plan->out_blocks ? 2 : 1;
        multiply_group(chunk, (const float *)args->packed + block * block_floats, columns);
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

#define WINOGRAD_ROW(about, row, scheme_y, scheme_x)                                                         \
    static const cr_winograd row##_schemes = {scheme_y, scheme_x, CR_MICRO_ROWS};                            \
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
