#include "runtime/kernels/conv/direct_input.h"

#include "runtime/base/whole.h"

#include <math.h>
#include <string.h>

cr_direct_view cr_direct_view_of(const cr_direct_plan *plan, const float *input, int64_t image) {
    const int64_t *in = plan->geometry.in;
    cr_direct_view view = {
        .step = {in[CR_H] * in[CR_W] * plan->in_lanes, in[CR_W] * plan->in_lanes, plan->in_lanes}};
    view.block_step = in[CR_D] * view.step[CR_D];
    view.data = input + image * plan->in_blocks * view.block_step;
    return view;
}

size_t cr_direct_transformed_bytes(const cr_direct_plan *plan) {
    int64_t most = 0;
    for (int64_t chunk = 0; chunk < plan->chunks; chunk++) {
        const cr_direct_box box = cr_direct_tile_box(plan, plan->pixel_tiles * chunk / plan->chunks,
                                                     plan->pixel_tiles * (chunk + 1) / plan->chunks);
        const cr_direct_box in = cr_direct_input_box(plan, &box);
        int64_t pixels = 1;
        for (int axis = 0; axis < CR_CONV_RANK; axis++)
            pixels *= in.end[axis] - in.begin[axis];
        most = cr_larger(most, pixels);
    }
    return (size_t)(most * plan->in_blocks * plan->in_lanes) * sizeof(float);
}

/* Of a copy of a box; the step along W stays what it was. */
static void view_copy(const cr_direct_box *box, int64_t pixel, const float *copy, cr_direct_view *view) {
    memcpy(view->origin, box->begin, sizeof view->origin);
    view->data = copy;
    view->step[CR_H] = (box->end[CR_W] - box->begin[CR_W]) * pixel;
    view->step[CR_D] = (box->end[CR_H] - box->begin[CR_H]) * view->step[CR_H];
    view->block_step = (box->end[CR_D] - box->begin[CR_D]) * view->step[CR_D];
}

bool cr_direct_transforms_in_tiles(const cr_direct_plan *plan, const cr_prologue *prologue, float *floor) {
    const cr_conv_geometry *g = &plan->geometry;
    const bool one_row = g->out[CR_D] == 1 && g->out[CR_H] == 1; /* phases are not flattened */
    float ceiling;
    return one_row && cr_conv_is_pointwise(g) && g->groups == 1 && plan->in_lanes == plan->kernels->lanes &&
           !plan->halved && plan->columns.size > 1 && prologue->shift != NULL &&
           cr_activation_is_clamp(&prologue->act, floor, &ceiling) && ceiling == INFINITY;
}

void cr_direct_view_copy(const cr_direct_plan *plan, const cr_direct_box *output, int64_t first,
                         const float *copy, cr_direct_view *view) {
    const cr_direct_box box = cr_direct_input_box(plan, output);
    view_copy(&box, plan->kernels->lanes, copy, view);
    view->first_block = first;
}

void cr_direct_transform(const cr_direct_plan *plan, const cr_prologue *prologue, int64_t image,
                         const cr_direct_box *output, int64_t first, int64_t end, float *to,
                         cr_direct_view *view) {
    const cr_direct_kernels *kernels = plan->kernels;
    const cr_direct_box box = cr_direct_input_box(plan, output);
    const cr_direct_view from = *view;
    const int64_t columns = box.end[CR_W] - box.begin[CR_W];
    view_copy(&box, kernels->lanes, to, view);
    view->first_block = first;
    for (int64_t block = first; block < end; block++) {
        const float *data = from.data + block * from.block_step + box.begin[CR_W] * from.step[CR_W];
        for (int64_t d = box.begin[CR_D]; d < box.end[CR_D]; d++)
            for (int64_t y = box.begin[CR_H]; y < box.end[CR_H]; y++, to += view->step[CR_H])
                kernels->transform(prologue, image, block * kernels->lanes,
                                   data + d * from.step[CR_D] + y * from.step[CR_H], to, columns);
    }
}

/* A row of plain input, columns [begin, end) of `width`, zero beyond it; NULL is a row of zeros. */
static void pad_row(const float *row, int64_t begin, int64_t end, int64_t width, float *to) {
    const int64_t first = row != NULL ? cr_smaller(cr_larger(begin, 0), end) : end,
                  last = cr_larger(cr_smaller(end, width), first);
    memset(to, 0, (size_t)(first - begin) * sizeof *to);
    if (last > first)
        memcpy(to + first - begin, row + first, (size_t)(last - first) * sizeof *to);
    memset(to + last - begin, 0, (size_t)(end - last) * sizeof *to);
}

void cr_direct_pad(const cr_direct_plan *plan, const cr_direct_box *output, float *to, cr_direct_view *view) {
    const int64_t *in = plan->geometry.in;
    const cr_direct_box box = cr_direct_input_box(plan, output);
    const cr_direct_view from = *view;
    view_copy(&box, 1, to, view);
    for (int64_t channel = 0; channel < plan->in_blocks; channel++)
        for (int64_t d = box.begin[CR_D]; d < box.end[CR_D]; d++)
            for (int64_t y = box.begin[CR_H]; y < box.end[CR_H]; y++, to += view->step[CR_H]) {
                const bool inside = d >= 0 && d < in[CR_D] && y >= 0 && y < in[CR_H];
                const float *plane = from.data + channel * from.block_step;
                pad_row(inside ? plane + d * from.step[CR_D] + y * from.step[CR_H] : NULL, box.begin[CR_W],
                        box.end[CR_W], in[CR_W], to);
            }
}

/* A part of a row of pixels, `step` floats apart. */
static void gather_row(const float *from, ptrdiff_t step, int64_t lanes, int64_t n, float *to) {
    enum { PIECE = 4 }; /* of which any number of lanes is a multiple */
    for (; n > 0; n--, from += step, to += lanes)
        for (int64_t l = 0; l < lanes; l += PIECE)
            memcpy(to + l, from + l, PIECE * sizeof *to);
}

/* Pixels [begin, end) of the row that all outputs make, of one block. */
static void gather_pixels(const cr_conv_geometry *g, int64_t lanes, const float *from, int64_t begin,
                          int64_t end, float *to) {
    for (int64_t pixel = begin, n; pixel < end; pixel += n, to += n * lanes) {
        const int64_t x = pixel % g->out[CR_W], row = pixel / g->out[CR_W];
        const int64_t d = row / g->out[CR_H] * g->stride[CR_D], y = row % g->out[CR_H] * g->stride[CR_H];
        n = cr_smaller(g->out[CR_W] - x, end - pixel);
        gather_row(from + ((d * g->in[CR_H] + y) * g->in[CR_W] + x * g->stride[CR_W]) * lanes,
                   g->stride[CR_W] * lanes, lanes, n, to);
    }
}

void cr_direct_gather(const cr_direct_plan *plan, const float *input, int64_t image,
                      const cr_direct_box *output, int64_t first, int64_t end, float *to,
                      cr_direct_view *view) {
    const int64_t lanes = plan->kernels->lanes, block = cr_conv_volume(plan->source.in) * lanes;
    cr_direct_view_copy(plan, output, first, to, view);
    for (int64_t b = first; b < end; b++, to += view->block_step)
        gather_pixels(&plan->source, lanes, input + (image * plan->in_blocks + b) * block,
                      output->begin[CR_W], output->end[CR_W], to);
}

bool cr_direct_scales_weights(const cr_direct_plan *plan, const cr_prologue *prologue) {
    const int64_t *in = plan->geometry.in;
    const int64_t inputs = plan->in_blocks * plan->in_lanes * in[CR_D] * in[CR_H] * in[CR_W];
    return prologue != NULL && prologue->scale != NULL && prologue->shift == NULL &&
           prologue->act.kind == CR_ACT_NONE && plan->out_blocks * plan->block_weights <= inputs;
}

const float *cr_direct_factors(const cr_direct_plan *plan, const cr_prologue *prologue, int64_t image,
                               const cr_direct_span *span) {
    return prologue->scale + image * prologue->batch_stride + span->first_block * plan->kernels->lanes;
}

void cr_direct_scale_weights(const cr_direct_plan *plan, const float *factors, int64_t input_blocks,
                             int64_t blocks, const float *from, float *to) {
    const int64_t lanes = plan->kernels->lanes, step = plan->taps * lanes * blocks * lanes;
    for (; input_blocks > 0; input_blocks--, factors += lanes, from += step, to += step)
        plan->kernels->scale(factors, plan->taps, blocks, from, to);
}
