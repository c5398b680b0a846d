/* The kernels of blocked.h by their definition, for any number of lanes. Arithmetic writes 0 to lanes past
 * the channels. */
#include <math.h>

#include "runtime/kernels/blocked/blocked.h"

static int64_t padded(int64_t channels, int lanes) {
    return (channels + lanes - 1) / lanes * lanes;
}

/* ---- pooling ---- */

typedef struct window {
    int64_t begin[CR_CONV_RANK], end[CR_CONV_RANK], origin[CR_CONV_RANK];
    int64_t inside, padded; /* taps inside the input, and inside the padded input */
} window;

static window window_at(const cr_pooling *pool, const int64_t out[CR_CONV_RANK]) {
    const cr_conv_geometry *g = &pool->geometry;
    window w = {.inside = 1, .padded = 1};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        cr_conv_taps(g, axis, out[axis], &w.begin[axis], &w.end[axis]);
        w.origin[axis] = out[axis] * g->stride[axis] - g->pad[axis];
        w.inside *= w.end[axis] > w.begin[axis] ? w.end[axis] - w.begin[axis] : 0;
        int64_t taps = 0;
        for (int64_t t = 0; t < g->kernel[axis]; t++)
            taps += w.origin[axis] + t * g->dilation[axis] < g->in[axis] + pool->pad_end[axis];
        w.padded *= taps;
    }
    return w;
}

static float pool_value(const cr_pooling *pool, const window *w, const float *plane, int lane, bool max) {
    const cr_conv_geometry *g = &pool->geometry;
    double sum = 0, largest = -(double)INFINITY;
    for (int64_t d = w->begin[CR_D]; d < w->end[CR_D]; d++)
        for (int64_t h = w->begin[CR_H]; h < w->end[CR_H]; h++)
            for (int64_t x = w->begin[CR_W]; x < w->end[CR_W]; x++) {
                const int64_t z = w->origin[CR_D] + d * g->dilation[CR_D];
                const int64_t y = w->origin[CR_H] + h * g->dilation[CR_H];
                const int64_t column = w->origin[CR_W] + x * g->dilation[CR_W];
                const int64_t pixel = (z * g->in[CR_H] + y) * g->in[CR_W] + column;
                const double value = (double)plane[pixel * pool->lanes + lane];
                largest = value > largest ? value : largest;
                sum += value;
            }
    if (max)
        return (float)largest;
    return w->inside == 0 ? 0 : (float)(sum / (double)(pool->count_include_pad ? w->padded : w->inside));
}

static void pool_lines(const cr_pooling *pool, const float *in, float *out, int64_t begin, int64_t end,
                       bool max) {
    const cr_conv_geometry *g = &pool->geometry;
    const int64_t blocks = padded(g->ic, pool->lanes) / pool->lanes;
    const int64_t in_plane = g->in[CR_D] * g->in[CR_H] * g->in[CR_W] * pool->lanes;
    for (int64_t line = begin; line < end; line++) {
        const int64_t y = line % g->out[CR_H], z = line / g->out[CR_H] % g->out[CR_D];
        const int64_t plane = line / g->out[CR_H] / g->out[CR_D];
        for (int64_t x = 0; x < g->out[CR_W]; x++) {
            const window w = window_at(pool, (const int64_t[]){z, y, x});
            for (int l = 0; l < pool->lanes; l++) {
                const bool used = plane % blocks * pool->lanes + l < g->ic;
                out[(line * g->out[CR_W] + x) * pool->lanes + l] =
                    used ? pool_value(pool, &w, in + plane * in_plane, l, max) : 0;
            }
        }
    }
}

static void max_pool(const cr_pooling *pool, const float *in, float *out, int64_t begin, int64_t end) {
    pool_lines(pool, in, out, begin, end, true);
}

static void average_pool(const cr_pooling *pool, const float *in, float *out, int64_t begin, int64_t end) {
    pool_lines(pool, in, out, begin, end, false);
}

static void global_average(const cr_blocked_shape *shape, const float *in, float *out, int64_t begin,
                           int64_t end) {
    for (int64_t plane = begin; plane < end; plane++)
        for (int l = 0; l < shape->lanes; l++) {
            double sum = 0;
            for (int64_t p = 0; p < shape->pixels; p++)
                sum += (double)in[(plane * shape->pixels + p) * shape->lanes + l];
            const bool used = plane % cr_blocked_blocks(shape) * shape->lanes + l < shape->channels;
            out[plane * shape->lanes + l] =
                used && shape->pixels > 0 ? (float)(sum / (double)shape->pixels) : 0;
        }
}

/* ---- elementwise ---- */

/* Where an element of a blocked tensor stands. */
typedef struct element {
    int64_t n, channel, pixel;
    bool used; /* channel exists */
} element;

static element element_at(const cr_blocked_shape *shape, int64_t vector, int lane) {
    const int64_t plane = vector / shape->pixels, blocks = cr_blocked_blocks(shape);
    const int64_t channel = plane % blocks * shape->lanes + lane;
    return (element){plane / blocks, channel, vector % shape->pixels, channel < shape->channels};
}

static void activate(const cr_blocked_shape *shape, const cr_activation *act, const float *in, float *out,
                     int64_t begin, int64_t end) {
    for (int64_t i = begin * shape->lanes; i < end * shape->lanes; i++) {
        const element e = element_at(shape, i / shape->lanes, (int)(i % shape->lanes));
        out[i] = e.used ? (float)cr_activation_value(act, (double)in[i], e.channel) : 0;
    }
}

static void affine(const cr_blocked_shape *shape, const cr_prologue *affine, const float *in, float *out,
                   int64_t begin, int64_t end) {
    for (int64_t i = begin * shape->lanes; i < end * shape->lanes; i++) {
        const element e = element_at(shape, i / shape->lanes, (int)(i % shape->lanes));
        const int64_t at = e.n * affine->batch_stride + e.channel;
        const double y = (double)affine->scale[at] * (double)in[i] + (double)affine->shift[at];
        out[i] = e.used ? (float)cr_activation_value(&affine->act, y, e.channel) : 0;
    }
}

static double operand_value(const cr_binary *binary, int64_t i, const element *e) {
    switch (binary->operand) {
    case CR_OPERAND_SAME:
        return (double)binary->b[i];
    case CR_OPERAND_CHANNELS:
        return (double)binary->b[e->n * binary->batch_stride + e->channel];
    case CR_OPERAND_PIXELS:
        return (double)binary->b[e->n * binary->batch_stride + e->pixel];
    case CR_OPERAND_SCALAR:
    case CR_OPERAND_COUNT:
        break;
    }
    return (double)binary->b[0];
}

static double binary_value(cr_binary_op op, double a, double b) {
    switch (op) {
    case CR_BINARY_ADD:
        return a + b;
    case CR_BINARY_SUB:
        return a - b;
    case CR_BINARY_SUB_REVERSED:
        return b - a;
    case CR_BINARY_MUL:
        return a * b;
    case CR_BINARY_MAX:
        return a > b ? a : b;
    case CR_BINARY_MIN:
        return a < b ? a : b;
    case CR_BINARY_OP_COUNT:
        break;
    }
    return a;
}

static void combine(const cr_blocked_shape *shape, const cr_binary *binary, const float *a, float *out,
                    int64_t begin, int64_t end) {
    for (int64_t i = begin * shape->lanes; i < end * shape->lanes; i++) {
        const element e = element_at(shape, i / shape->lanes, (int)(i % shape->lanes));
        if (!e.used) {
            out[i] = 0;
            continue;
        }
        const double y = binary_value(binary->op, (double)a[i], operand_value(binary, i, &e));
        out[i] = (float)cr_activation_value(&binary->act, y, e.channel);
    }
}

/* ---- rearrangement ---- */

static int64_t plain_index(const cr_blocked_shape *shape, const element *e) {
    return (e->n * shape->channels + e->channel) * shape->pixels + e->pixel;
}

static void to_blocked(const cr_blocked_shape *shape, const float *plain, float *blocked, int64_t begin,
                       int64_t end) {
    for (int64_t i = begin * shape->lanes; i < end * shape->lanes; i++) {
        const element e = element_at(shape, i / shape->lanes, (int)(i % shape->lanes));
        blocked[i] = e.used ? plain[plain_index(shape, &e)] : 0;
    }
}

static void to_plain(const cr_blocked_shape *shape, const float *blocked, float *plain, int64_t begin,
                     int64_t end) {
    for (int64_t i = begin * shape->lanes; i < end * shape->lanes; i++) {
        const element e = element_at(shape, i / shape->lanes, (int)(i % shape->lanes));
        if (e.used)
            plain[plain_index(shape, &e)] = blocked[i];
    }
}

static void gather_channels(const cr_channel_gather *gather, float *out, int64_t begin, int64_t end) {
    const cr_blocked_shape *shape = &gather->shape;
    for (int64_t i = begin * shape->lanes; i < end * shape->lanes; i++) {
        const element e = element_at(shape, i / shape->lanes, (int)(i % shape->lanes));
        out[i] = 0;
        if (!e.used)
            continue;
        const cr_channel_ref ref = gather->map[e.channel];
        const cr_channel_source *source = &gather->sources[ref.source];
        const int64_t blocks = padded(source->channels, shape->lanes) / shape->lanes;
        const int64_t vector = (e.n * blocks + ref.channel / shape->lanes) * shape->pixels + e.pixel;
        out[i] = source->data[vector * shape->lanes + ref.channel % shape->lanes];
    }
}

static void gather_pixels(const cr_pixel_gather *gather, const float *in, float *out, int64_t begin,
                          int64_t end) {
    for (int64_t line = begin; line < end; line++) {
        const int64_t iy = gather->index[CR_H][line % gather->out[CR_H]];
        const int64_t iz = gather->index[CR_D][line / gather->out[CR_H] % gather->out[CR_D]];
        const int64_t plane = line / gather->out[CR_H] / gather->out[CR_D];
        for (int64_t x = 0; x < gather->out[CR_W]; x++) {
            const int64_t ix = gather->index[CR_W][x];
            const bool inside = iz >= 0 && iy >= 0 && ix >= 0;
            const int64_t pixel =
                ((plane * gather->in[CR_D] + iz) * gather->in[CR_H] + iy) * gather->in[CR_W] + ix;
            for (int l = 0; l < gather->lanes; l++)
                out[(line * gather->out[CR_W] + x) * gather->lanes + l] =
                    inside ? in[pixel * gather->lanes + l] : gather->fill;
        }
    }
}

static double interpolate(const cr_linear_resize *resize, const float *plane, const int64_t at[CR_CONV_RANK],
                          int lane) {
    double sum = 0;
    for (int corner = 0; corner < 1 << CR_CONV_RANK; corner++) {
        double weight = 1;
        int64_t pixel = 0;
        for (int axis = 0; axis < CR_CONV_RANK; axis++) {
            const cr_linear_axis *a = &resize->axis[axis];
            const bool high = corner >> axis & 1;
            weight *= high ? (double)a->weight[at[axis]] : 1 - (double)a->weight[at[axis]];
            pixel = pixel * resize->in[axis] + (high ? a->high : a->low)[at[axis]];
        }
        sum += weight * (double)plane[pixel * resize->lanes + lane];
    }
    return sum;
}

static void resize_linear(const cr_linear_resize *resize, const float *in, float *out, int64_t begin,
                          int64_t end) {
    const int64_t in_plane = resize->in[CR_D] * resize->in[CR_H] * resize->in[CR_W] * resize->lanes;
    for (int64_t line = begin; line < end; line++) {
        const int64_t y = line % resize->out[CR_H], z = line / resize->out[CR_H] % resize->out[CR_D];
        const int64_t plane = line / resize->out[CR_H] / resize->out[CR_D];
        for (int64_t x = 0; x < resize->out[CR_W]; x++)
            for (int l = 0; l < resize->lanes; l++)
                out[(line * resize->out[CR_W] + x) * resize->lanes + l] =
                    (float)interpolate(resize, in + plane * in_plane, (const int64_t[]){z, y, x}, l);
    }
}

const cr_blocked_kernels cr_blocked_reference = {
    .max_pool = max_pool,
    .average_pool = average_pool,
    .global_average = global_average,
    .activate = activate,
    .affine = affine,
    .binary = combine,
    .to_blocked = to_blocked,
    .to_plain = to_plain,
    .gather_channels = gather_channels,
    .gather_pixels = gather_pixels,
    .resize_linear = resize_linear,
};
