#ifndef CREASE_TESTS_RUNTIME_KERNELS_CONV_COMPARE_H
#define CREASE_TESTS_RUNTIME_KERNELS_CONV_COMPARE_H

/* Runs a convolution algorithm on random data beside the reference: values, guards, independence of garbage
 * lanes and of the workspace, equal bits for any split of the tasks. */

#include <criterion/criterion.h>

#include "runtime/kernels/conv/conv.h"
#include "tests/runtime/kernels/guard.h"

TEST_UNUSED static int64_t conv_volume(const int64_t extents[CR_CONV_RANK]) {
    return extents[CR_D] * extents[CR_H] * extents[CR_W];
}

TEST_UNUSED static int64_t conv_round_up(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}

/* Output extents for symmetric padding; at least 1. */
TEST_UNUSED static void conv_set_outputs(cr_conv_geometry *g) {
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const int64_t reach = (g->kernel[axis] - 1) * g->dilation[axis] + 1;
        while (g->in[axis] + 2 * g->pad[axis] < reach)
            g->in[axis]++;
        g->out[axis] = (g->in[axis] + 2 * g->pad[axis] - reach) / g->stride[axis] + 1;
    }
}

/* None that quantises: results in between may differ in their last bit, and then by a step. */
TEST_UNUSED static cr_activation random_activation(const float *slope) {
    cr_activation act = {.kind = (cr_act)random_int(0, CR_ACT_QUANTIZE - 1), .slope = slope};
    act.a = act.kind == CR_ACT_CLIP ? -0.75f : 0.2f;
    act.b = act.kind == CR_ACT_CLIP ? 0.75f : 0.5f;
    return act;
}

typedef struct conv_case {
    cr_conv conv;
    cr_epilogue epilogue;
    cr_conv_args args;
    cr_prologue prologue;
    guarded input, weights, bias, slope, residual, border, scale, shift;
    size_t output_floats;
} conv_case;

TEST_UNUSED static size_t conv_side_floats(const cr_conv *conv, int64_t channels, const int64_t *extents,
                                           bool blocked) {
    const int64_t padded = blocked ? conv_round_up(channels, conv->lanes) : channels;
    return (size_t)(conv->geometry.n * padded * conv_volume(extents));
}

/* Random data for a convolution whose geometry, lanes and layouts are set. */
TEST_UNUSED static conv_case conv_case_new(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    conv_case c = {.conv = *conv};
    const size_t padded_oc = (size_t)conv_round_up(g->oc, conv->lanes > 0 ? conv->lanes : 1);
    c.output_floats = conv_side_floats(conv, g->oc, g->out, conv->output_blocked);
    c.input = random_buffer(conv_side_floats(conv, g->ic, g->in, conv->input_blocked));
    c.weights = random_buffer((size_t)(g->oc * (g->ic / g->groups) * conv_volume(g->kernel)));
    c.bias = random_buffer(padded_oc);
    c.slope = random_buffer(padded_oc);
    c.residual = random_buffer(c.output_floats);
    c.border = random_buffer((size_t)cr_conv_border_rows(g) * padded_oc);
    const size_t padded_ic = (size_t)conv_round_up(g->ic, conv->lanes > 0 ? conv->lanes : 1);
    c.scale = random_buffer((size_t)g->n * padded_ic);
    c.shift = random_buffer((size_t)g->n * padded_ic);
    c.prologue = (cr_prologue){.scale = c.scale.data, .shift = c.shift.data};
    c.prologue.batch_stride = random_chance(50) ? (int64_t)padded_ic : 0;
    c.prologue.act = random_activation(c.scale.data);
    if (random_chance(50))
        c.prologue.shift = NULL;
    if (random_chance(50))
        c.prologue.act.kind = CR_ACT_NONE;
    c.epilogue.bias = random_chance(80) ? c.bias.data : NULL;
    c.epilogue.act = random_activation(c.slope.data);
    c.epilogue.residual = conv->has_residual ? c.residual.data : NULL;
    if (conv->has_residual)
        c.epilogue.act_after = random_activation(c.slope.data);
    c.args =
        (cr_conv_args){.input = c.input.data, .border_bias = conv->has_border_bias ? c.border.data : NULL};
    return c;
}

TEST_UNUSED static void conv_case_free(conv_case *c) {
    guarded *const all[] = {&c->input,    &c->weights, &c->bias,  &c->slope,
                            &c->residual, &c->border,  &c->scale, &c->shift};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cr_assert(guarded_intact(all[i]), "an input of the kernel was written");
        guarded_free(all[i]);
    }
}

/* Each row's mean, where channels exist, to the rounding of some additions. */
TEST_UNUSED static void conv_check_means(const cr_conv *conv, const guarded *output, const guarded *means) {
    const cr_conv_geometry *g = &conv->geometry;
    const int64_t width = g->out[CR_W], lanes = conv->lanes;
    for (int64_t i = 0; i < (int64_t)means->n; i++) {
        const float *row = output->data + i / lanes * width * lanes + i % lanes;
        double sum = 0, size = 0;
        for (int64_t x = 0; x < width; x++) {
            sum += (double)row[x * lanes];
            size += fabs((double)row[x * lanes]);
        }
        cr_assert(fabs((double)means->data[i] * (double)width - sum) <= 1e-6 * size, "mean %lld is %g of %g",
                  (long long)i, (double)means->data[i], sum / (double)width);
    }
    cr_assert(guarded_intact(means), "written past the means");
}

/* Runs the tasks in `parts` random parts, out of order, each with a poisoned workspace; in place if there is
 * a residual and parts is even. */
TEST_UNUSED static guarded conv_case_run(conv_case *c, const cr_conv_algorithm *algorithm, int parts) {
    guarded packed = guarded_new((algorithm->packed_bytes(&c->conv) + 3) / 4);
    guarded output = guarded_new(c->output_floats);
    algorithm->pack(&c->conv, c->weights.data, packed.data);
    cr_epilogue epilogue = c->epilogue;
    if (epilogue.residual != NULL && parts % 2 == 0) {
        memcpy(output.data, epilogue.residual, output.n * sizeof(float));
        epilogue.residual = output.data;
    }
    cr_conv_args args = c->args;
    args.prologue = c->conv.has_prologue ? &c->prologue : NULL;
    args.packed = packed.data;
    args.output = output.data;
    args.epilogue = &epilogue;
    guarded means =
        guarded_new(algorithm->row_means ? c->output_floats / (size_t)c->conv.geometry.out[CR_W] : 0);
    args.row_means = algorithm->row_means ? means.data : NULL;
    const int64_t tasks = algorithm->tasks(&c->conv);
    for (int part = parts - 1; part >= 0; part--) {
        guarded workspace = guarded_new_aligned((algorithm->workspace_bytes(&c->conv) + 3) / 4);
        algorithm->run(&c->conv, &args, tasks * part / parts, tasks * (part + 1) / parts, workspace.data);
        cr_assert(guarded_intact(&workspace), "%s wrote past its workspace", algorithm->name);
        guarded_free(&workspace);
    }
    cr_assert(guarded_intact(&packed), "%s wrote past its packed weights", algorithm->name);
    cr_assert(guarded_intact(&output), "%s wrote past its output", algorithm->name);
    conv_check_means(&c->conv, &output, &means);
    guarded_free(&means);
    guarded_free(&packed);
    return output;
}

TEST_UNUSED static const char *conv_case_text(const cr_conv *conv) {
    static char text[400];
    const cr_conv_geometry *g = &conv->geometry;
    int used = snprintf(text, sizeof text,
                        "CREASE_TEST_SEED=%llu n %d groups %d channels %d->%d lanes %d threads %d",
                        (unsigned long long)test_seed_value, (int)g->n, (int)g->groups, (int)g->ic,
                        (int)g->oc, conv->lanes, conv->threads);
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        used += snprintf(text + used, sizeof text - (size_t)used, " | %d->%d k%d s%d d%d p%d",
                         (int)g->in[axis], (int)g->out[axis], (int)g->kernel[axis], (int)g->stride[axis],
                         (int)g->dilation[axis], (int)g->pad[axis]);
    return text;
}

/* The largest difference of two outputs over the channels that exist, and that the others are finite. */
TEST_UNUSED static double conv_difference(const conv_case *c, const guarded *a, const guarded *b) {
    const cr_conv_geometry *g = &c->conv.geometry;
    const int64_t lanes = c->conv.output_blocked ? c->conv.lanes : 1, pixels = conv_volume(g->out);
    const int64_t blocks = (g->oc + lanes - 1) / lanes;
    double worst = 0;
    for (size_t i = 0; i < a->n; i++) {
        const int64_t channel = ((int64_t)i / lanes / pixels) % blocks * lanes + (int64_t)i % lanes;
        const double difference = channel < g->oc ? fabs((double)a->data[i] - (double)b->data[i]) : 0;
        cr_assert(isfinite(a->data[i]), "output %zu is not finite: %s", i, conv_case_text(&c->conv));
        worst = difference > worst ? difference : worst;
    }
    return worst;
}

/* The algorithm must accept the convolution. tolerance is for every output. Returns the largest difference.
 */
TEST_UNUSED static double conv_check(const cr_conv *conv, const cr_conv_algorithm *algorithm,
                                     double tolerance) {
    cr_assert_null(algorithm->refuses(conv), "%s refuses: %s: %s", algorithm->name, algorithm->refuses(conv),
                   conv_case_text(conv));
    cr_assert(algorithm->cost(conv) > 0);
    conv_case c = conv_case_new(conv);
    guarded expected = conv_case_run(&c, &cr_conv_reference, 1);
    guarded whole = conv_case_run(&c, algorithm, 1);
    guarded parts = conv_case_run(&c, algorithm, (int)random_int(2, 5));
    const double difference = conv_difference(&c, &whole, &expected);
    cr_assert(difference <= tolerance, "%s differs by %g, allowed %g: %s, act %d after %d", algorithm->name,
              difference, tolerance, conv_case_text(conv), (int)c.epilogue.act.kind,
              (int)c.epilogue.act_after.kind);
    cr_assert(memcmp(whole.data, parts.data, whole.n * sizeof(float)) == 0, "%s depends on the split: %s",
              algorithm->name, conv_case_text(conv));
    guarded_free(&expected);
    guarded_free(&whole);
    guarded_free(&parts);
    conv_case_free(&c);
    return difference;
}

#endif
