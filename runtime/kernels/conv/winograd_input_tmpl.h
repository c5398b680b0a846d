/* A chunk of tiles and the transform of its input; part of winograd_tmpl.h. */
#include "runtime/kernels/conv/prologue_tmpl.h"
#include "runtime/kernels/conv/winograd_axes_tmpl.h"
#include "runtime/kernels/conv/winograd_pack_tmpl.h"

typedef struct winograd_chunk {
    const cr_conv *conv;
    const cr_winograd_plan *plan;
    int64_t first, tiles;
    int64_t panels, panel, longer; /* tiles of a panel; of the first `longer` panels one more */
    float *products;               /* workspace */
    int64_t product_floats;
    float *filters;                           /* likewise, where taps are packed */
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
    for (int i = 0; i < cr_winograd_terms(y); i++)
        cr_store(places[i * across] + offset, r[i]);
}

/* One vector of each input becomes one of each term, `offset` after the first of its panel. What nearly fits
 * the registers is unrolled, so that little of it goes through memory. */
CR_INLINE void transform_tile_input(const cr_winograd *winograd, const winograd_affine *affine,
                                    const winograd_input *in, float *const *places, int64_t offset) {
    enum { NEARLY_FITS = 36 };
    const cr_winograd_scheme scheme_y = winograd->y, scheme_x = winograd->x;
    const int height = cr_winograd_axes[scheme_y].inputs,
              across = cr_winograd_terms(&cr_winograd_axes[scheme_x]);
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
