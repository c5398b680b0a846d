#include "runtime/kernels/conv/transposed.h"

/* One phase as a convolution of its own. */
typedef struct phase {
    cr_conv conv;
    int64_t first_tap[CR_CONV_RANK], tap_step[CR_CONV_RANK]; /* of the operator's kernel */
    int64_t first_output[CR_CONV_RANK];
} phase;

static int64_t gcd(int64_t a, int64_t b) {
    return b == 0 ? a : gcd(b, a % b);
}

/* The first tap whose inputs stand at remainder r, and how many there are; they are `step` apart. */
static int64_t taps_of(const cr_conv_geometry *g, int axis, int64_t r, int64_t step, int64_t *first) {
    for (*first = 0; *first < step && *first < g->kernel[axis]; ++*first)
        if (*first * g->dilation[axis] % g->stride[axis] == r)
            return (g->kernel[axis] - 1 - *first) / step + 1;
    return 0;
}

/* Outputs o of the axis with (o + pad) % stride == r. For its tap first + m step, output first_output + q
 * reads input base + q - m dilation / gcd; the taps are turned round so that inputs grow with them. */
static void make_axis(const cr_conv_geometry *g, int axis, int64_t r, phase *p) {
    cr_conv_geometry *to = &p->conv.geometry;
    const int64_t stride = g->stride[axis], dilation = g->dilation[axis], common = gcd(stride, dilation);
    const int64_t step = stride / common, pad = g->pad[axis] % stride;
    const int64_t output = r >= pad ? r - pad : r - pad + stride;
    int64_t tap;
    const int64_t taps = taps_of(g, axis, r, step, &tap);
    p->tap_step[axis] = -step;
    p->first_tap[axis] = tap + (taps - 1) * step;
    p->first_output[axis] = output;
    to->kernel[axis] = taps;
    to->stride[axis] = 1;
    to->dilation[axis] = dilation / common;
    to->out[axis] = output < g->out[axis] ? (g->out[axis] - 1 - output) / stride + 1 : 0;
    to->pad[axis] = (taps - 1) * to->dilation[axis] - (output + g->pad[axis] - tap * dilation) / stride;
}

static int64_t phases(const cr_conv *conv) {
    const int64_t *stride = conv->geometry.stride;
    return stride[CR_D] * stride[CR_H] * stride[CR_W];
}

static phase phase_at(const cr_conv *conv, int64_t index) {
    const cr_conv_geometry *g = &conv->geometry;
    phase p = {.conv = *conv};
    make_axis(g, CR_D, index / g->stride[CR_W] / g->stride[CR_H], &p);
    make_axis(g, CR_H, index / g->stride[CR_W] % g->stride[CR_H], &p);
    make_axis(g, CR_W, index % g->stride[CR_W], &p);
    return p;
}

const char *cr_transposed_refuses(const cr_conv *conv, const cr_direct_kernels *kernels) {
    if (!conv->transposed)
        return "is for transposed convolution";
    if (conv->lanes != kernels->lanes || !conv->input_blocked || !conv->output_blocked)
        return "needs blocked input and output";
    if (conv->has_border_bias)
        return "has one bias for all pixels";
    for (int64_t i = 0; i < phases(conv); i++) {
        const phase p = phase_at(conv, i);
        for (int axis = 0; axis < CR_CONV_RANK; axis++)
            if (p.conv.geometry.kernel[axis] == 0)
                return "some outputs have no tap";
    }
    return NULL;
}

double cr_transposed_cost(const cr_conv *conv, const cr_direct_kernels *kernels) {
    double cost = 0;
    for (int64_t i = 0; i < phases(conv); i++) {
        const phase p = phase_at(conv, i);
        cost += cr_direct_cost(&p.conv, kernels);
    }
    return cost;
}

size_t cr_transposed_packed_bytes(const cr_conv *conv, const cr_direct_kernels *kernels) {
    size_t bytes = 0;
    for (int64_t i = 0; i < phases(conv); i++) {
        const phase p = phase_at(conv, i);
        bytes += cr_direct_packed_bytes(&p.conv, kernels);
    }
    return bytes;
}

void cr_transposed_pack(const cr_conv *conv, const cr_direct_kernels *kernels, const float *weights,
                        float *packed) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t taps = g->kernel[CR_D] * g->kernel[CR_H] * g->kernel[CR_W], group_oc = g->oc / g->groups;
    for (int64_t i = 0; i < phases(conv); i++) {
        const phase p = phase_at(conv, i);
        cr_direct_weights from = {.data = weights, .output = taps, .input = group_oc * taps};
        from.group = g->ic / g->groups * from.input;
        for (int axis = 0; axis < CR_CONV_RANK; axis++) {
            from.kernel[axis] = g->kernel[axis];
            from.first[axis] = p.first_tap[axis];
            from.step[axis] = p.tap_step[axis];
        }
        cr_direct_pack_weights(&p.conv, kernels, &from, packed);
        packed += cr_direct_packed_bytes(&p.conv, kernels) / sizeof(float);
    }
}

size_t cr_transposed_workspace_bytes(const cr_conv *conv, const cr_direct_kernels *kernels) {
    size_t most = 0;
    for (int64_t i = 0; i < phases(conv); i++) {
        const phase p = phase_at(conv, i);
        const size_t bytes = cr_direct_workspace_bytes(&p.conv, kernels);
        most = bytes > most ? bytes : most;
    }
    return most;
}

int64_t cr_transposed_tasks(const cr_conv *conv, const cr_direct_kernels *kernels) {
    int64_t tasks = 0;
    for (int64_t i = 0; i < phases(conv); i++) {
        const phase p = phase_at(conv, i);
        tasks += cr_direct_tasks(&p.conv, kernels);
    }
    return tasks;
}

static void run_phase(const cr_conv *conv, const phase *p, const cr_direct_kernels *kernels,
                      const cr_conv_args *args, int64_t begin, int64_t end, void *workspace) {
    cr_direct_plan plan;
    cr_direct_make_plan(&p->conv, kernels, &plan);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        plan.outputs.extents[axis] = conv->geometry.out[axis];
        plan.outputs.first[axis] = p->first_output[axis];
        plan.outputs.step[axis] = conv->geometry.stride[axis];
    }
    cr_direct_run_plan(&plan, args, begin, end, workspace);
}

void cr_transposed_run(const cr_conv *conv, const cr_direct_kernels *kernels, const cr_conv_args *args,
                       int64_t task_begin, int64_t task_end, void *workspace) {
    cr_conv_args of_phase = *args;
    const float *packed = args->packed;
    for (int64_t i = 0; i < phases(conv) && task_end > 0; i++) {
        const phase p = phase_at(conv, i);
        const int64_t tasks = cr_direct_tasks(&p.conv, kernels);
        of_phase.packed = packed;
        if (task_begin < tasks)
            run_phase(conv, &p, kernels, &of_phase, task_begin > 0 ? task_begin : 0,
                      task_end < tasks ? task_end : tasks, workspace);
        packed += cr_direct_packed_bytes(&p.conv, kernels) / sizeof(float);
        task_begin -= tasks;
        task_end -= tasks;
    }
}
