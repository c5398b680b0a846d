/* The transform of products to outputs; part of winograd_tmpl.h. */
#include "runtime/kernels/conv/epilogue_clamp_tmpl.h"
#include "runtime/kernels/conv/winograd_filter_tmpl.h"

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
