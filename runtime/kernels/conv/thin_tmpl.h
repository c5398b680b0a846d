/* The body of convolution of plain input into few outputs for one instruction set; see conv/thin.h.
 * Before including: CR_LANES (L below), CR_SUFFIX. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/conv/epilogue_clamp_tmpl.h"
#include "runtime/kernels/conv/lanes_tmpl.h"
#include "runtime/kernels/conv/thin.h"

/* Outputs, and the vectors of pixels of a tile: up to three or, of the fewer outputs, so many. Sums, a vector
 * for each output, and those of the input fit the registers. */
#if CR_LANES == 16
#define THIN_FEWER(X)  X(1) X(2) X(3) X(4)
#define THIN_OTHERS(X) X(5) X(6) X(7) X(8)
enum { THIN_WIDE = 6 };
#elif CR_LANES == 8
#define THIN_FEWER(X)  X(1) X(2)
#define THIN_OTHERS(X) X(3) X(4)
enum { THIN_WIDE = 4 };
#else
#define THIN_FEWER(X) X(1) X(2)
#define THIN_OTHERS(X)
enum { THIN_WIDE = 4 };
#endif

/* All that the rows of a convolution share. */
typedef struct thin_walk {
    const cr_thin_plan *plan;
    const cr_conv_geometry *g;
    const cr_conv_args *args;
    cr_thin_workspace space;
    float low, high; /* clamp of the sums as they are stored */
    bool later;      /* more is to be done to them then */
} thin_walk;

/* ---- tiles ---- */

/* Lane p of v[o] becomes lane o of v[p], for outputs o < n; lanes past those hold any of the sums. Vectors i
 * and i + w trade the lanes whose bit w is not theirs; one past n has nothing to give. */
CR_INLINE void thin_turn(int n, cr_vec v[CR_LANES]) {
    CR_UNROLL
    for (int w = CR_LANES / 2; w > 0; w /= 2) {
        CR_UNROLL
        for (int pair = 0; pair < CR_LANES / 2; pair++) {
            const int first = pair % w, i = pair / w * 2 * w + first;
            if (first < n) {
                const bool two = first + w < n;
                const cr_vec x = v[i], y = two ? v[i + w] : x, swapped = cr_lanes_swapped(x, w);
                v[i] = two ? cr_select(cr_lanes_without(w), x, cr_lanes_swapped(y, w)) : x;
                v[i + w] = two ? cr_select(cr_lanes_without(w), swapped, y) : swapped;
            }
        }
    }
}

/* outputs and vectors are constants wherever this is inlined. n: pixels that exist. */
CR_INLINE void thin_convolve(int outputs, int vectors, const thin_walk *walk, const float *input, int64_t n,
                             float *to) {
    const ptrdiff_t *term = walk->space.terms;
    const float *weights = walk->args->packed, *bias = walk->args->epilogue->bias;
    cr_vec acc[THIN_WIDE][CR_LANES];
    CR_UNROLL
    for (int i = 0; i < vectors * outputs; i++)
        acc[i / outputs][i % outputs] = cr_broadcast(bias != NULL ? bias[i % outputs] : 0);
    for (int64_t left = walk->plan->terms; left > 0; left--, term++, weights += outputs) {
        cr_vec x[THIN_WIDE];
        CR_UNROLL
        for (int v = 0; v < vectors; v++)
            x[v] = cr_held(cr_load(input + *term + v * CR_LANES));
        CR_UNROLL
        for (int o = 0; o < outputs; o++) {
            const cr_vec w = cr_held(cr_broadcast(weights[o]));
            CR_UNROLL
            for (int v = 0; v < vectors; v++)
                acc[v][o] = cr_fma(x[v], w, acc[v][o]);
        }
    }
    const cr_vec low = cr_broadcast(walk->low), high = cr_broadcast(walk->high);
    CR_UNROLL
    for (int i = 0; i < vectors * outputs; i++)
        acc[i / outputs][i % outputs] = cr_clamp(acc[i / outputs][i % outputs], low, high);
    CR_UNROLL
    for (int v = 0; v < vectors; v++) {
        thin_turn(outputs, acc[v]);
        CR_UNROLL
        for (int p = 0; p < CR_LANES; p++)
            if (v * CR_LANES + p < n)
                cr_store(to + (v * CR_LANES + p) * CR_LANES, acc[v][p]);
    }
}

typedef void thin_function(const thin_walk *walk, const float *input, int64_t n, float *to);

#define THIN_FUNCTION(outputs, name, vectors)                                                                \
    static void thin_##outputs##_##name(const thin_walk *walk, const float *input, int64_t n, float *to) {   \
        thin_convolve(outputs, vectors, walk, input, n, to);                                                 \
    }
#define THIN_FUNCTIONS(outputs)                                                                              \
    THIN_FUNCTION(outputs, one, 1)                                                                           \
    THIN_FUNCTION(outputs, two, 2)                                                                           \
    THIN_FUNCTION(outputs, three, 3)
#define THIN_WIDE_FUNCTION(outputs) THIN_FUNCTION(outputs, wide, THIN_WIDE)
THIN_FEWER(THIN_FUNCTIONS)
THIN_FEWER(THIN_WIDE_FUNCTION)
THIN_OTHERS(THIN_FUNCTIONS)

#define THIN_ENTRIES(outputs) thin_##outputs##_one, thin_##outputs##_two, thin_##outputs##_three
#define THIN_FEWER_ENTRY(outputs)                                                                            \
    [outputs] = {NULL, THIN_ENTRIES(outputs), [THIN_WIDE] = thin_##outputs##_wide},
#define THIN_OTHERS_ENTRY(outputs) [outputs] = {NULL, THIN_ENTRIES(outputs)},
static thin_function *const thin_functions[CR_THIN_MOST + 1][THIN_WIDE + 1] = {
    THIN_FEWER(THIN_FEWER_ENTRY) THIN_OTHERS(THIN_OTHERS_ENTRY)};

/* ---- rows ---- */

/* The largest tile of at most so many vectors: there is one of a single vector. */
static int64_t tile_vectors(int64_t outputs, int64_t most) {
    int64_t vectors = most < THIN_WIDE ? most : THIN_WIDE;
    while (thin_functions[outputs][vectors] == NULL)
        vectors--;
    return vectors;
}

/* n pixels. A residual may be the output itself, so the sums wait elsewhere until it is read. */
static void convolve_tile(const thin_walk *walk, const float *input, int64_t vectors, int64_t n,
                          int64_t offset) {
    const cr_epilogue *epilogue = walk->args->epilogue;
    float own[THIN_WIDE * CR_LANES * CR_LANES];
    float *to = epilogue->residual != NULL ? own : walk->args->output + offset;
    thin_functions[walk->g->oc][vectors](walk, input, n, to);
    if (walk->later)
        cr_finish_vectors(epilogue, to, n, 0, offset, walk->args->output);
}

static void convolve_row(const thin_walk *walk, const float *input, int64_t offset) {
    const int64_t width = walk->g->out[CR_W];
    for (int64_t v = 0; v < walk->plan->row_vectors;) {
        const int64_t vectors = tile_vectors(walk->g->oc, walk->plan->row_vectors - v), x = v * CR_LANES;
        const int64_t n = width - x < vectors * CR_LANES ? width - x : vectors * CR_LANES;
        convolve_tile(walk, input + x, vectors, n, offset + x * CR_LANES);
        v += vectors;
    }
}

/* ---- chunks: rows whose input is copied at once ---- */

/* Column `column` on of a row, every stride-th, to n floats; those in the padding are zero. */
static void copy_phase(const cr_conv_geometry *g, const float *row, int64_t column, int64_t n, float *to) {
    const int64_t stride = g->stride[CR_W], width = g->in[CR_W];
    int64_t i = 0, end = column < width ? (width - column + stride - 1) / stride : 0;
    end = end < n ? end : n;
    for (; i < n && column + i * stride < 0; i++)
        to[i] = 0;
    if (stride == 1 && end > i)
        memcpy(to + i, row + column + i, (size_t)(end - i) * sizeof *to);
    for (; stride > 1 && i < end; i++)
        to[i] = row[column + i * stride];
    end = end > i ? end : i;
    memset(to + end, 0, (size_t)(n - end) * sizeof *to);
}

/* row: of the input, or NULL for one in the padding. */
static void copy_row(const thin_walk *walk, const float *row, float *to) {
    const cr_conv_geometry *g = walk->g;
    const int64_t n = walk->plan->phase_floats;
    if (row == NULL)
        memset(to, 0, (size_t)walk->plan->row_floats * sizeof *to);
    for (int64_t phase = 0; row != NULL && phase < g->stride[CR_W]; phase++)
        copy_phase(g, row, phase - g->pad[CR_W], n, to + phase * n);
}

/* What output rows [y, y + rows) of depth z of an image read. */
static void copy_chunk(const thin_walk *walk, int64_t image, int64_t z, int64_t y, int64_t rows) {
    const cr_conv_geometry *g = walk->g;
    const int64_t used = (rows - 1) * g->stride[CR_H] + (g->kernel[CR_H] - 1) * g->dilation[CR_H] + 1;
    for (int64_t plane = 0; plane < g->ic * g->kernel[CR_D]; plane++) {
        const int64_t c = image * g->ic + plane / g->kernel[CR_D];
        const int64_t iz = z * g->stride[CR_D] - g->pad[CR_D] + plane % g->kernel[CR_D] * g->dilation[CR_D];
        float *to = walk->space.copy + plane * walk->plan->copy_rows * walk->plan->row_floats;
        for (int64_t i = 0; i < used; i++, to += walk->plan->row_floats) {
            const int64_t iy = y * g->stride[CR_H] - g->pad[CR_H] + i;
            const bool inside = (uint64_t)iz < (uint64_t)g->in[CR_D] && (uint64_t)iy < (uint64_t)g->in[CR_H];
            const int64_t row = (c * g->in[CR_D] + iz) * g->in[CR_H] + iy;
            copy_row(walk, inside ? walk->args->input + row * g->in[CR_W] : NULL, to);
        }
    }
}

/* Rows [begin, end) of an image, over depth and height. */
static void convolve_part(const thin_walk *walk, int64_t image, int64_t begin, int64_t end) {
    const cr_conv_geometry *g = walk->g;
    const cr_thin_plan *plan = walk->plan;
    while (begin < end) {
        const int64_t z = begin / g->out[CR_H], y = begin % g->out[CR_H];
        int64_t rows = g->out[CR_H] - y < end - begin ? g->out[CR_H] - y : end - begin;
        rows = rows < plan->chunk_rows ? rows : plan->chunk_rows;
        copy_chunk(walk, image, z, y, rows);
        for (int64_t i = 0; i < rows; i++)
            convolve_row(walk, walk->space.copy + i * g->stride[CR_H] * plan->row_floats,
                         (image * plan->rows + begin + i) * g->out[CR_W] * CR_LANES);
        begin += rows;
    }
}

/* ---- tasks ---- */

static void list_terms(const thin_walk *walk) {
    const cr_thin_plan *plan = walk->plan;
    const cr_conv_geometry *g = walk->g;
    ptrdiff_t *term = walk->space.terms;
    for (int64_t plane = 0; plane < g->ic * g->kernel[CR_D]; plane++)
        for (int64_t y = 0; y < g->kernel[CR_H]; y++)
            for (int64_t x = 0; x < g->kernel[CR_W]; x++) {
                const int64_t row = plane * plan->copy_rows + y * g->dilation[CR_H];
                const int64_t column = x * g->dilation[CR_W], stride = g->stride[CR_W];
                *term++ = row * plan->row_floats + column % stride * plan->phase_floats + column / stride;
            }
}

static void CR_NAME(thin_run)(const cr_conv *conv, const cr_conv_args *args, int64_t begin, int64_t end,
                              void *workspace) {
    const cr_clamp_epilogue clamp = cr_clamp_epilogue_of(args->epilogue);
    const bool now = clamp.applies && clamp.residual == NULL;
    cr_thin_plan plan;
    cr_thin_make_plan(conv, &plan);
    thin_walk walk = {.plan = &plan, .g = &conv->geometry, .args = args, .later = !now};
    walk.space = cr_thin_carve(&plan, workspace);
    walk.low = now ? clamp.low : -INFINITY;
    walk.high = now ? clamp.high : INFINITY;
    list_terms(&walk);
    for (int64_t task = begin; task < end; task++) {
        const int64_t part = task % plan.parts;
        convolve_part(&walk, task / plan.parts, plan.rows * part / plan.parts,
                      plan.rows * (part + 1) / plan.parts);
    }
}

const cr_conv_algorithm CR_NAME(cr_conv_thin) = {
    .name = "thin",
    .refuses = cr_thin_refuses,
    .cost = cr_thin_cost,
    .packed_bytes = cr_thin_packed_bytes,
    .pack = cr_thin_pack,
    .workspace_bytes = cr_thin_workspace_bytes,
    .tasks = cr_thin_tasks,
    .run = CR_NAME(thin_run),
};
