/* The body of convolution into few outputs for one instruction set; see conv/few.h.
 * Before including: CR_LANES (L below), CR_SUFFIX.
 *
 * An output is the same sum of the same terms in the same order whichever run it is computed in: along the
 * terms lane by lane, then over the lanes in halves. */
#include <string.h>

#include "runtime/kernels/conv/epilogue_clamp_tmpl.h"
#include "runtime/kernels/conv/few.h"
#include "runtime/kernels/conv/lanes_tmpl.h"

static const float zero_pixel[CR_LANES];

/* A run of output pixels. */
typedef struct few_run {
    const cr_few_term *terms;
    int64_t n_terms;
    const float *input;    /* column 0 of the first row that is read, in the first input block */
    const float *weights;  /* of the tile */
    ptrdiff_t pixel_step;  /* columns from a pixel to the next */
    int64_t column, width; /* what the first tap reads for the first pixel; of the input */
    int64_t pixels;        /* that exist */
} few_run;

/* ---- sums over lanes ---- */

/* Lane i is the sum of the lanes of v[i], i < n <= L. Overwrites v. */
CR_INLINE cr_vec few_sums(cr_vec *v, int n) {
    CR_UNROLL
    for (int w = CR_LANES / 2; w > 0; w /= 2) {
        CR_UNROLL
        for (int i = 0; i < w && i < n; i++) {
            const bool two = i + w < n;
            const cr_vec other = two ? v[i + w] : v[i];
            v[i] = cr_select(cr_lanes_without(w), v[i], other) +
                   cr_lanes_swapped(cr_select(cr_lanes_without(w), other, v[i]), w);
        }
    }
    return v[0];
}

/* ---- a run ---- */

CR_INLINE cr_vec few_pixel(bool checked, bool together, const few_run *run, const cr_few_term *term,
                           const float *input, int p) {
    const ptrdiff_t at = together ? p : p * run->pixel_step;
    if (!checked)
        return cr_load(input + at * CR_LANES);
    const bool inside = p < run->pixels && (uint64_t)(run->column + term->column + at) < (uint64_t)run->width;
    return cr_load(inside ? input + at * CR_LANES : zero_pixel);
}

/* outputs and pixels are constants wherever this is inlined. sums: of pixel p and output o at p L + o. */
CR_INLINE void few_convolve(int outputs, int pixels, bool checked, bool together, const few_run *run,
                            float *sums) {
    cr_vec acc[CR_FEW_TILE][CR_FEW_MOST_PIXELS];
    float some[CR_LANES];
    CR_UNROLL
    for (int i = 0; i < outputs * pixels; i++)
        acc[i / pixels][i % pixels] = (cr_vec){0};
    for (const cr_few_term *term = run->terms; term < run->terms + run->n_terms; term++) {
        const float *input = run->input + run->column * CR_LANES + term->input;
        cr_vec w[CR_FEW_TILE];
        CR_UNROLL
        for (int o = 0; o < outputs; o++)
            w[o] = cr_held(cr_load(run->weights + term->weights + o * CR_LANES));
        CR_UNROLL
        for (int p = 0; p < pixels; p++) {
            const cr_vec x = cr_held(few_pixel(checked, together, run, term, input, p));
            CR_UNROLL
            for (int o = 0; o < outputs; o++)
                acc[o][p] = cr_fma(x, w[o], acc[o][p]);
        }
    }
    CR_UNROLL
    for (int o = 0; o < outputs; o++) {
        CR_UNROLL
        for (int first = 0; first < pixels; first += CR_LANES) {
            const int n = pixels - first < CR_LANES ? pixels - first : CR_LANES;
            cr_store(some, few_sums(acc[o] + first, n));
            CR_UNROLL
            for (int p = 0; p < n; p++)
                sums[(first + p) * CR_LANES + o] = some[p];
        }
    }
}

typedef void few_function(const few_run *run, float *sums);

#define FEW_FUNCTION(outputs, pixels, kind, checked, together)                                               \
    static void few_##kind##_##outputs(const few_run *run, float *sums) {                                    \
        few_convolve(outputs, pixels, checked, together, run, sums);                                         \
    }
#define FEW_FUNCTIONS(outputs, pixels)                                                                       \
    FEW_FUNCTION(outputs, pixels, together, false, true)                                                     \
    FEW_FUNCTION(outputs, pixels, apart, false, false)                                                       \
    FEW_FUNCTION(outputs, pixels, checked, true, false)
#define FEW_ENTRY(outputs, pixels)                                                                           \
    [outputs] = {few_together_##outputs, few_apart_##outputs, few_checked_##outputs},
enum { FEW_TOGETHER, FEW_APART, FEW_CHECKED, FEW_KINDS };
#if CR_LANES == 16 || defined __aarch64__
CR_FEW_TALL(FEW_FUNCTIONS)
static few_function *const few_functions[CR_FEW_TILE + 1][FEW_KINDS] = {CR_FEW_TALL(FEW_ENTRY)};
#else
CR_FEW_SHORT(FEW_FUNCTIONS)
static few_function *const few_functions[CR_FEW_TILE + 1][FEW_KINDS] = {CR_FEW_SHORT(FEW_ENTRY)};
#endif

/* ---- rows ---- */

/* An output row: its taps over depth and height that are inside, and where it stands. */
typedef struct few_row {
    int64_t begin[2], end[2];
    int64_t z, y;
} few_row;

static few_row row_at(const cr_conv_geometry *g, int64_t row) {
    few_row r = {.z = row / g->out[CR_H], .y = row % g->out[CR_H]};
    cr_conv_taps(g, CR_D, r.z, &r.begin[CR_D], &r.end[CR_D]);
    cr_conv_taps(g, CR_H, r.y, &r.begin[CR_H], &r.end[CR_H]);
    return r;
}

/* Terms of all input blocks and of those taps, from the row of the first of them on. Returns how many. */
static int64_t list_terms(const cr_few_plan *plan, const few_row *row, cr_few_term *terms) {
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t line = g->in[CR_W] * CR_LANES, slice = g->in[CR_H] * line, block_step = g->in[CR_D] * slice;
    int64_t n = 0;
    for (int64_t block = 0; block < plan->in_blocks; block++)
        for (int64_t z = row->begin[CR_D]; z < row->end[CR_D]; z++)
            for (int64_t y = row->begin[CR_H]; y < row->end[CR_H]; y++)
                for (int64_t x = 0; x < g->kernel[CR_W]; x++) {
                    const int64_t tap = (z * g->kernel[CR_H] + y) * g->kernel[CR_W] + x;
                    cr_few_term *term = &terms[n++];
                    term->column = x * g->dilation[CR_W];
                    term->input = block * block_step + (z - row->begin[CR_D]) * g->dilation[CR_D] * slice +
                                  (y - row->begin[CR_H]) * g->dilation[CR_H] * line + term->column * CR_LANES;
                    term->weights = (block * plan->taps + tap) * plan->outputs * CR_LANES;
                }
    return n;
}

/* Floats from an image's input to the row of the first taps. */
static ptrdiff_t first_line(const cr_conv_geometry *g, const few_row *row) {
    const int64_t z = row->z * g->stride[CR_D] - g->pad[CR_D] + row->begin[CR_D] * g->dilation[CR_D];
    const int64_t y = row->y * g->stride[CR_H] - g->pad[CR_H] + row->begin[CR_H] * g->dilation[CR_H];
    return (z * g->in[CR_H] + y) * g->in[CR_W] * CR_LANES;
}

/* Pixels [x, x + pixels) of the row at hand. */
static void convolve_run(const cr_few_plan *plan, const cr_conv_args *args, few_run *run, int64_t x,
                         int64_t offset) {
    const cr_conv_geometry *g = &plan->geometry;
    float sums[CR_FEW_MOST_PIXELS * CR_LANES] = {0};
    run->column = x * g->stride[CR_W] - g->pad[CR_W];
    const int64_t last =
        run->column + (plan->pixels - 1) * run->pixel_step + (g->kernel[CR_W] - 1) * g->dilation[CR_W];
    const bool inside = run->column >= 0 && last < run->width && run->pixels == plan->pixels;
    const int kind = !inside ? FEW_CHECKED : run->pixel_step == 1 ? FEW_TOGETHER : FEW_APART;
    for (int64_t tile = 0; tile < plan->tiles; tile++) {
        run->weights =
            (const float *)args->packed + tile * plan->in_blocks * plan->taps * plan->outputs * CR_LANES;
        few_functions[plan->outputs][kind](run, sums + tile * plan->outputs);
    }
    cr_store_epilogue_vectors(sums, run->pixels, args->epilogue, 0, offset, args->output);
}

/* Runs [begin, end) of image n. */
static void convolve_part(const cr_few_plan *plan, const cr_conv_args *args, int64_t n, int64_t begin,
                          int64_t end, cr_few_term *terms) {
    const cr_conv_geometry *g = &plan->geometry;
    const int64_t width = g->out[CR_W], image = g->in[CR_D] * g->in[CR_H] * g->in[CR_W] * CR_LANES;
    few_run run = {.terms = terms, .pixel_step = g->stride[CR_W], .width = g->in[CR_W]};
    few_row listed = {.z = -1};
    for (int64_t i = begin; i < end; i++) {
        const int64_t r = i / plan->row_runs, x = i % plan->row_runs * plan->pixels;
        if (i == begin || x == 0) {
            const few_row row = row_at(g, r);
            if (listed.z < 0 || memcmp(row.begin, listed.begin, sizeof row.begin) != 0 ||
                memcmp(row.end, listed.end, sizeof row.end) != 0)
                run.n_terms = list_terms(plan, &row, terms);
            listed = row;
            run.input = args->input + n * plan->in_blocks * image + first_line(g, &row);
        }
        run.pixels = width - x < plan->pixels ? width - x : plan->pixels;
        convolve_run(plan, args, &run, x, ((n * g->out[CR_D] * g->out[CR_H] + r) * width + x) * CR_LANES);
    }
}

static void CR_NAME(few_run_tasks)(const cr_conv *conv, const cr_conv_args *args, int64_t begin, int64_t end,
                                   void *workspace) {
    cr_few_plan plan;
    cr_few_make_plan(conv, &plan);
    for (int64_t task = begin; task < end; task++) {
        const int64_t part = task % plan.parts;
        convolve_part(&plan, args, task / plan.parts, plan.runs * part / plan.parts,
                      plan.runs * (part + 1) / plan.parts, workspace);
    }
}

const cr_conv_algorithm CR_NAME(cr_conv_few) = {
    .name = "few",
    .refuses = cr_few_refuses,
    .cost = cr_few_cost,
    .packed_bytes = cr_few_packed_bytes,
    .pack = cr_few_pack,
    .workspace_bytes = cr_few_workspace_bytes,
    .tasks = cr_few_tasks,
    .run = CR_NAME(few_run_tasks),
};
