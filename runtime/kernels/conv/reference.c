/* Convolution by its definition, in double: accepts everything, hurries nowhere. */
#include <string.h>

#include "runtime/base/whole.h"
#include "runtime/kernels/conv/conv.h"

/* One side of the convolution: where channel c of image n stands at a flat spatial position. */
typedef struct side {
    int64_t channels, positions, lanes; /* lanes: 1 for plain */
} side;

static int64_t side_offset(const side *s, int64_t n, int64_t c, int64_t position) {
    const int64_t blocks = (s->channels + s->lanes - 1) / s->lanes;
    return ((n * blocks + c / s->lanes) * s->positions + position) * s->lanes + c % s->lanes;
}

static side side_of(int64_t channels, const int64_t extents[CR_CONV_RANK], bool blocked, int lanes) {
    return (side){channels, cr_conv_volume(extents), blocked ? lanes : 1};
}

static double read_input(const cr_conv *conv, const cr_conv_args *args, const side *in, int64_t n, int64_t c,
                         int64_t position) {
    const double x = (double)args->input[side_offset(in, n, c, position)];
    const cr_prologue *p = args->prologue;
    if (!conv->has_prologue || p == NULL || p->scale == NULL)
        return x;
    const int64_t i = n * p->batch_stride + c;
    const double shift = p->shift != NULL ? (double)p->shift[i] : 0;
    return cr_activation_value(&p->act, (double)p->scale[i] * x + shift, c);
}

/* The input of an axis that a tap of a transposed convolution brings to an output; false: none. */
static bool transposed_input(const cr_conv_geometry *g, int axis, int64_t out, int64_t tap, int64_t *in) {
    const int64_t scaled = out + g->pad[axis] - tap * g->dilation[axis];
    *in = scaled / g->stride[axis];
    return scaled >= 0 && scaled % g->stride[axis] == 0 && *in < g->in[axis];
}

static double sum_transposed(const cr_conv *conv, const cr_conv_args *args, int64_t n, int64_t o,
                             const int64_t out[CR_CONV_RANK]) {
    const cr_conv_geometry *g = &conv->geometry;
    const side in = side_of(g->ic, g->in, conv->input_blocked, conv->lanes);
    const int64_t group_ic = g->ic / g->groups, group_oc = g->oc / g->groups,
                  taps = cr_conv_volume(g->kernel);
    const int64_t first = o / group_oc * group_ic;
    double sum = 0;
    for (int64_t t = 0; t < taps; t++) {
        int64_t z, y, x;
        if (!transposed_input(g, CR_D, out[CR_D], t / (g->kernel[CR_H] * g->kernel[CR_W]), &z) ||
            !transposed_input(g, CR_H, out[CR_H], t / g->kernel[CR_W] % g->kernel[CR_H], &y) ||
            !transposed_input(g, CR_W, out[CR_W], t % g->kernel[CR_W], &x))
            continue;
        const int64_t position = (z * g->in[CR_H] + y) * g->in[CR_W] + x;
        for (int64_t c = first; c < first + group_ic; c++)
            sum += (double)((const float *)args->packed)[(c * group_oc + o % group_oc) * taps + t] *
                   read_input(conv, args, &in, n, c, position);
    }
    return sum;
}

/* The sum over the taps inside, for output channel o at position out. */
static double sum_taps(const cr_conv *conv, const cr_conv_args *args, int64_t n, int64_t o,
                       const int64_t out[CR_CONV_RANK]) {
    const cr_conv_geometry *g = &conv->geometry;
    const side in = side_of(g->ic, g->in, conv->input_blocked, conv->lanes);
    const int64_t group_ic = g->ic / g->groups, first = o / (g->oc / g->groups) * group_ic;
    int64_t begin[CR_CONV_RANK], end[CR_CONV_RANK], origin[CR_CONV_RANK];
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        cr_conv_taps(g, axis, out[axis], &begin[axis], &end[axis]);
        origin[axis] = out[axis] * g->stride[axis] - g->pad[axis];
    }
    double sum = 0;
    for (int64_t c = 0; c < group_ic; c++) {
        const float *weights = (const float *)args->packed + (o * group_ic + c) * cr_conv_volume(g->kernel);
        for (int64_t d = begin[CR_D]; d < end[CR_D]; d++)
            for (int64_t h = begin[CR_H]; h < end[CR_H]; h++)
                for (int64_t w = begin[CR_W]; w < end[CR_W]; w++) {
                    const int64_t z = origin[CR_D] + d * g->dilation[CR_D];
                    const int64_t y = origin[CR_H] + h * g->dilation[CR_H];
                    const int64_t x = origin[CR_W] + w * g->dilation[CR_W];
                    const int64_t position = (z * g->in[CR_H] + y) * g->in[CR_W] + x;
                    sum += (double)weights[(d * g->kernel[CR_H] + h) * g->kernel[CR_W] + w] *
                           read_input(conv, args, &in, n, first + c, position);
                }
    }
    return sum;
}

static double bias_at(const cr_conv *conv, const cr_conv_args *args, int64_t o,
                      const int64_t out[CR_CONV_RANK]) {
    const cr_conv_geometry *g = &conv->geometry;
    if (args->border_bias != NULL) {
        int64_t row = 0;
        for (int axis = 0; axis < CR_CONV_RANK; axis++)
            row = row * cr_conv_border_classes(g, axis) + cr_conv_border_class(g, axis, out[axis]);
        return (double)args->border_bias[row * cr_round_up(g->oc, conv->lanes > 0 ? conv->lanes : 1) + o];
    }
    return args->epilogue->bias != NULL ? (double)args->epilogue->bias[o] : 0;
}

static void run_plane(const cr_conv *conv, const cr_conv_args *args, int64_t n, int64_t o) {
    const cr_conv_geometry *g = &conv->geometry;
    const side to = side_of(g->oc, g->out, conv->output_blocked, conv->lanes);
    const cr_epilogue *e = args->epilogue;
    for (int64_t p = 0; p < to.positions; p++) {
        const int64_t offset = side_offset(&to, n, o, p);
        const int64_t out[CR_CONV_RANK] = {p / (g->out[CR_H] * g->out[CR_W]), p / g->out[CR_W] % g->out[CR_H],
                                           p % g->out[CR_W]};
        if (o >= g->oc) {
            args->output[offset] = 0;
            continue;
        }
        double y = conv->transposed ? sum_transposed(conv, args, n, o, out) : sum_taps(conv, args, n, o, out);
        y += bias_at(conv, args, o, out);
        y = cr_activation_value(&e->act, y, o);
        y += e->residual != NULL ? (double)e->residual[offset] : 0;
        args->output[offset] = (float)cr_activation_value(&e->act_after, y, o);
    }
}

/* Output channels including the lanes past oc. */
static int64_t planes(const cr_conv *conv) {
    return cr_round_up(conv->geometry.oc, conv->output_blocked ? conv->lanes : 1);
}

static const char *refuses(const cr_conv *conv) {
    (void)conv;
    return NULL;
}

/* A multiply-add in double takes some ten cycles with all its index arithmetic. */
static double cost(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    return 10.0 * (double)g->n * (double)g->oc * (double)cr_conv_volume(g->out) *
           (double)(g->ic / g->groups) * (double)cr_conv_volume(g->kernel);
}

static size_t packed_bytes(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    return (size_t)(g->oc * (g->ic / g->groups) * cr_conv_volume(g->kernel)) * sizeof(float);
}

static void pack(const cr_conv *conv, const float *weights, void *packed) {
    memcpy(packed, weights, packed_bytes(conv));
}

static size_t workspace_bytes(const cr_conv *conv) {
    (void)conv;
    return 0;
}

static int64_t tasks(const cr_conv *conv) {
    return conv->geometry.n * planes(conv);
}

static void run(const cr_conv *conv, const cr_conv_args *args, int64_t task_begin, int64_t task_end,
                void *workspace) {
    (void)workspace;
    for (int64_t task = task_begin; task < task_end; task++)
        run_plane(conv, args, task / planes(conv), task % planes(conv));
}

const cr_conv_algorithm cr_conv_reference = {
    .name = "reference",
    .refuses = refuses,
    .cost = cost,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .workspace_bytes = workspace_bytes,
    .tasks = tasks,
    .run = run,
};
