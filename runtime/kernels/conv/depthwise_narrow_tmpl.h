/* Depthwise convolution of maps so narrow that an output row is a single run: the rest of depthwise_tmpl.h,
 * whose row functions spend as much on finding their way through a short row as on its arithmetic. Here the
 * width is a constant, and a function goes through all rows of a plane; several at a time where one has fewer
 * pixels than keep two units busy. The height of the kernel, its stride, dilation and padding are any.
 *
 * Sums are formed in the order of the taps, as everywhere in depthwise_tmpl.h. */

/* The widths, the widest, and the most pixels and rows of a tile of several rows. */
#if CR_LANES == 16 || defined __aarch64__
#define NARROW_WIDTHS(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
enum { NARROW_WIDTH = 14, NARROW_TILE = 12, NARROW_ROWS = 6 };
#else
#define NARROW_WIDTHS(X) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
enum { NARROW_WIDTH = 8, NARROW_TILE = 8, NARROW_ROWS = 4 };
#endif

/* Output rows [begin, end) of one depth, and where the first of its z_taps that are inside reads. */
typedef struct narrow_rows {
    const float *plane, *weights;
    int64_t z_taps;
    int64_t begin, end;
} narrow_rows;

/* acc[r] += row t of the kernel, for the output rows y + r that are to be computed and see it inside. */
CR_INLINE void narrow_add(depthwise_run run, int rows, const cr_conv_geometry *g, const float *plane,
                          const float *weights, int64_t y, int64_t end, int64_t t,
                          cr_vec acc[][NARROW_WIDTH]) {
    const int64_t width = run.length * run.stride - (run.stride == 2 && run.right == run.left);
    int64_t from = y * g->stride[CR_H] - g->pad[CR_H] + t * g->dilation[CR_H];
    CR_UNROLL
    for (int r = 0; r < rows; r++, from += g->stride[CR_H])
        if (y + r < end && (uint64_t)from < (uint64_t)g->in[CR_H])
            add_taps_known(run, plane + from * width * CR_LANES, 0, width, weights, NULL, acc[r]);
}

CR_INLINE void narrow_store(int width, const depthwise_row *row, const cr_vec *acc, float *to) {
    const cr_vec low = cr_broadcast(row->low), high = cr_broadcast(row->high);
    CR_UNROLL
    for (int p = 0; p < width; p++)
        cr_store(to + p * CR_LANES, cr_clamp(acc[p], low, high));
}

/* The run is of a whole row. */
CR_INLINE void narrow_convolve(depthwise_run run, int rows, const depthwise_row *row, const narrow_rows *at) {
    const cr_conv_geometry *g = row->g;
    const cr_vec bias = row->bias != NULL ? cr_load(row->bias) : (cr_vec){0};
    const int64_t end = at->end, z_taps = at->z_taps, y_taps = g->kernel[CR_H];
    float *to = row->output + row->offset;
    for (int64_t y = at->begin; y < end; y += rows, to += rows * run.length * CR_LANES) {
        cr_vec acc[NARROW_ROWS][NARROW_WIDTH];
        const float *plane = at->plane, *weights = at->weights;
        CR_UNROLL
        for (int i = 0; i < rows * run.length; i++)
            acc[i / run.length][i % run.length] = bias;
        for (int64_t left = z_taps * y_taps, t = 0; left > 0; left--, t++, weights += run.taps * CR_LANES) {
            if (__builtin_expect(t == y_taps, 0)) {
                plane += row->line_z_step;
                t = 0;
            }
            narrow_add(run, rows, g, plane, weights, y, end, t, acc);
        }
        CR_UNROLL
        for (int r = 0; r < rows; r++)
            if (y + r < end)
                narrow_store(run.length, row, acc[r], to + r * run.length * CR_LANES);
    }
}

typedef void narrow_function(const depthwise_row *row, const narrow_rows *at);

/* A known shape of the kernel along the width. right: columns of padding that the last output reads. */
typedef struct narrow_shape {
    int taps, stride, right;
} narrow_shape;

static const narrow_shape narrow_shapes[] = {{3, 1, 1}, {5, 1, 2}, {7, 1, 3}, {3, 2, 0},
                                             {3, 2, 1}, {5, 2, 1}, {5, 2, 2}};
enum { NARROW_SHAPES = sizeof narrow_shapes / sizeof *narrow_shapes };

#define NARROW_FUNCTION(width, taps, stride, right)                                                          \
    static void narrow_##width##_##taps##_##stride##_##right(const depthwise_row *row,                       \
                                                             const narrow_rows *at) {                        \
        narrow_convolve((depthwise_run){width, taps, stride, taps / 2, right},                               \
                        width <= NARROW_TILE / 2 ? NARROW_TILE / width : 1, row, at);                        \
    }
#define NARROW_FUNCTIONS(width)                                                                              \
    NARROW_FUNCTION(width, 3, 1, 1)                                                                          \
    NARROW_FUNCTION(width, 5, 1, 2)                                                                          \
    NARROW_FUNCTION(width, 7, 1, 3)                                                                          \
    NARROW_FUNCTION(width, 3, 2, 0)                                                                          \
    NARROW_FUNCTION(width, 3, 2, 1)                                                                          \
    NARROW_FUNCTION(width, 5, 2, 1)                                                                          \
    NARROW_FUNCTION(width, 5, 2, 2)
NARROW_WIDTHS(NARROW_FUNCTIONS)

#define NARROW_ENTRIES(width)                                                                                \
    [width] = {                                                                                              \
        narrow_##width##_3_1_1, narrow_##width##_5_1_2, narrow_##width##_7_1_3, narrow_##width##_3_2_0,      \
        narrow_##width##_3_2_1, narrow_##width##_5_2_1, narrow_##width##_5_2_2},
static narrow_function *const narrow_functions[NARROW_WIDTH + 1][NARROW_SHAPES] = {
    NARROW_WIDTHS(NARROW_ENTRIES)};

static narrow_function *find_narrow(const cr_conv_geometry *g) {
    const int64_t width = g->out[CR_W], stride = g->stride[CR_W], taps = g->kernel[CR_W];
    const int64_t right = (width - 1) * stride + taps - g->pad[CR_W] - g->in[CR_W];
    if (width > NARROW_WIDTH || g->dilation[CR_W] != 1 || g->pad[CR_W] != taps / 2)
        return NULL;
    for (int i = 0; i < NARROW_SHAPES; i++) {
        const narrow_shape *shape = &narrow_shapes[i];
        if (shape->taps == taps && shape->stride == stride && shape->right == right)
            return narrow_functions[width][i];
    }
    return NULL;
}

/* How to convolve narrow maps: the same for all planes. */
typedef struct narrow_way {
    narrow_function *run; /* NULL: not at all */
    float low, high;      /* as in depthwise_row */
    bool later;           /* sums are finished in the output, some vectors at a time */
} narrow_way;

static narrow_way choose_narrow(const cr_conv *conv, const cr_conv_args *args) {
    narrow_way way = {.run = find_narrow(&conv->geometry)};
    depthwise_row row = {.epilogue = args->epilogue};
    if (args->border_bias != NULL || args->epilogue->residual != NULL)
        way.run = NULL;
    way.later = choose_finish(&row);
    way.low = row.low;
    way.high = row.high;
    return way;
}

/* Output rows [begin, end) of one depth of a plane; row->offset is that of the first, which is row `first` of
 * the plane. */
static void convolve_slice(const narrow_way *way, depthwise_row *row, const narrow_rows *rows,
                           int64_t first) {
    const int64_t width = row->g->out[CR_W];
    const bool waits = way->later || row->means != NULL;
    const int64_t step = waits ? SOME_VECTORS / width + NARROW_ROWS : rows->end;
    for (narrow_rows some = *rows; some.begin < rows->end; some.begin = some.end) {
        some.end = rows->end - some.begin > step ? some.begin + step : rows->end;
        const int64_t n = some.end - some.begin;
        float *const output = row->output + row->offset;
        way->run(row, &some);
        if (way->later)
            cr_finish_vectors(row->epilogue, output, n * width, row->channel, row->offset, row->output);
        if (row->means != NULL)
            average_rows(row, output, first, first + n);
        row->offset += n * width * CR_LANES;
        first += n;
    }
}

/* Rows [begin, end) of an output plane, over depth and height; row->offset is that of the plane. */
static void convolve_narrow(const narrow_way *way, depthwise_row *row, const float *plane,
                            const float *weights, int64_t begin, int64_t end) {
    const cr_conv_geometry *g = row->g;
    const int64_t height = g->out[CR_H], slice = g->in[CR_H] * g->in[CR_W] * CR_LANES;
    row->low = way->low;
    row->high = way->high;
    row->bias = row->epilogue->bias != NULL ? row->epilogue->bias + row->channel : NULL;
    row->line_z_step = g->dilation[CR_D] * slice;
    row->offset += begin * g->out[CR_W] * CR_LANES;
    int64_t z = 0, y = begin;
    if (height > 0 && begin >= height) { /* divides only where there are several depths */
        z = begin / height;
        y = begin % height;
    }
    for (; begin < end; z++, y = 0) {
        int64_t z_begin, z_end;
        row_taps(g, CR_D, z, &z_begin, &z_end);
        narrow_rows rows = {.z_taps = z_end - z_begin, .begin = y};
        rows.plane = plane + (z * g->stride[CR_D] - g->pad[CR_D] + z_begin * g->dilation[CR_D]) * slice;
        rows.weights = weights + z_begin * g->kernel[CR_H] * g->kernel[CR_W] * CR_LANES;
        rows.end = height - y < end - begin ? height : y + end - begin;
        convolve_slice(way, row, &rows, begin);
        begin += rows.end - y;
    }
}
