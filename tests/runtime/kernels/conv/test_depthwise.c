#include "runtime/kernels/conv/depthwise.h"

#include "tests/runtime/kernels/conv/compare.h"

static const struct {
    cr_isa isa;
    int lanes;
    const cr_conv_algorithm *algorithm;
} variants[] = {
#if defined __x86_64__
    {CR_ISA_AVX512, 16, &cr_conv_depthwise_avx512},
    {CR_ISA_AVX2, 8, &cr_conv_depthwise_avx2},
#elif defined __aarch64__
    {CR_ISA_NEON, 4, &cr_conv_depthwise_neon},
#endif
    {CR_ISA_VECTOR, 4, &cr_conv_depthwise_generic},
};
enum { N_VARIANTS = sizeof variants / sizeof *variants };

/* Sums of up to 7^3 products below 1; several times the largest difference of many runs. */
static const double tolerance = 5e-5;

static cr_conv random_conv(int lanes, int rank) {
    cr_conv conv = {.lanes = lanes, .input_blocked = true, .output_blocked = true};
    cr_conv_geometry *g = &conv.geometry;
    *g = (cr_conv_geometry){.n = random_int(1, 2), .ic = random_int(2, 67)};
    g->groups = g->ic;
    g->oc = g->ic;
    const int64_t common = random_int(0, 4), stride = random_int(1, 2);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool flat = axis < CR_CONV_RANK - rank;
        g->kernel[axis] = flat ? 1 : common < 3 ? 3 + 2 * common : random_int(1, 4);
        g->stride[axis] = flat ? 1 : common < 3 ? stride : random_int(1, 4);
        g->dilation[axis] = flat || random_chance(70) ? 1 : random_int(2, 3);
        g->pad[axis] =
            flat ? 0 : random_int(0, g->kernel[axis] * g->dilation[axis]); /* may be all of the kernel */
        g->in[axis] = flat ? 1 : random_int(1, rank == 3 ? 9 : 35);
    }
    conv_set_outputs(g);
    conv.has_residual = random_chance(30);
    conv.has_border_bias = random_chance(30);
    conv.has_prologue = random_chance(50);
    conv.threads = (int)random_int(1, 4);
    return conv;
}

static void check_ranks(int rank, int rounds) {
    test_seed();
    for (int i = 0; i < test_rounds(rounds); i++) {
        const size_t v = (size_t)i % N_VARIANTS;
        if (!isa_runs(variants[v].isa))
            continue;
        const cr_conv conv = random_conv(variants[v].lanes, rank);
        conv_check(&conv, variants[v].algorithm, tolerance);
    }
}

Test(depthwise, rank_1_agrees_with_the_reference) {
    check_ranks(1, 150);
}

Test(depthwise, rank_2_agrees_with_the_reference) {
    check_ranks(2, 300);
}

Test(depthwise, rank_3_agrees_with_the_reference) {
    check_ranks(3, 150);
}

Test(depthwise, several_outputs_for_each_channel) {
    test_seed();
    for (int i = 0; i < 60; i++) {
        const size_t v = (size_t)i % N_VARIANTS;
        if (!isa_runs(variants[v].isa))
            continue;
        cr_conv conv = random_conv(variants[v].lanes, 2);
        conv.geometry.oc *= random_int(2, 5);
        conv_check(&conv, variants[v].algorithm, tolerance);
    }
}

/* Rows of whole runs whose ends stand in the padding. */
Test(depthwise, usual_paddings) {
    test_seed();
    for (int i = 0; i < 240; i++) {
        const size_t v = (size_t)i % N_VARIANTS;
        cr_conv conv = random_conv(variants[v].lanes, 2);
        cr_conv_geometry *g = &conv.geometry;
        const int64_t kernel = 3 + 2 * random_int(0, 2), stride = random_int(1, 2);
        const int64_t run = variants[v].lanes == 16 ? 7 : 4, odd = random_int(0, 1);
        for (int axis = CR_H; axis <= CR_W; axis++) {
            g->kernel[axis] = kernel;
            g->stride[axis] = stride;
            g->dilation[axis] = 1;
            g->pad[axis] = kernel / 2;
        }
        g->in[CR_W] = run * random_int(1, 5) * stride - (stride == 2 ? odd : 0);
        conv_set_outputs(g);
        g->out[CR_W] = (g->in[CR_W] + stride - 1) / stride;
        if (isa_runs(variants[v].isa))
            conv_check(&conv, variants[v].algorithm, tolerance);
    }
}

/* Maps whose rows are single runs: usual along the width, anything along the other axes. */
Test(depthwise, narrow_maps) {
    test_seed();
    for (int i = 0; i < test_rounds(600); i++) {
        const size_t v = (size_t)i % N_VARIANTS;
        cr_conv conv = random_conv(variants[v].lanes, random_chance(20) ? 3 : 2);
        cr_conv_geometry *g = &conv.geometry;
        const int64_t width = random_int(1, 15);
        g->kernel[CR_W] = 3 + 2 * random_int(0, 2);
        g->stride[CR_W] = random_int(1, 2);
        g->dilation[CR_W] = 1;
        g->pad[CR_W] = g->kernel[CR_W] / 2;
        conv_set_outputs(g);
        g->in[CR_W] = width * g->stride[CR_W] - (g->stride[CR_W] == 2 ? random_int(0, 1) : 0);
        g->out[CR_W] = width;
        conv.has_residual = random_chance(10);
        conv.has_border_bias = random_chance(10);
        if (isa_runs(variants[v].isa))
            conv_check(&conv, variants[v].algorithm, tolerance);
    }
}

static cr_conv channels_of(int lanes, int64_t channels, int64_t width) {
    cr_conv conv = random_conv(lanes, 2);
    conv.geometry.n = 1;
    conv.geometry.ic = conv.geometry.oc = conv.geometry.groups = channels;
    conv.geometry.in[CR_H] = 40;
    conv.geometry.in[CR_W] = width;
    for (int axis = CR_H; axis <= CR_W; axis++) {
        conv.geometry.kernel[axis] = 3;
        conv.geometry.stride[axis] = conv.geometry.dilation[axis] = conv.geometry.pad[axis] = 1;
    }
    conv_set_outputs(&conv.geometry);
    conv.threads = 2;
    return conv;
}

Test(depthwise, planes_split_by_rows) {
    test_seed();
    for (size_t v = 0; v < N_VARIANTS; v++) {
        if (!isa_runs(variants[v].isa))
            continue;
        const int lanes = variants[v].lanes;
        const cr_conv few = channels_of(lanes, 3, 4), large = channels_of(lanes, 50, 60);
        cr_assert_eq(variants[v].algorithm->tasks(&few), 8, "too few planes for two threads");
        cr_assert_eq(variants[v].algorithm->tasks(&large), 2 * ((50 + lanes - 1) / lanes), "large ones");
        conv_check(&few, variants[v].algorithm, tolerance);
        conv_check(&large, variants[v].algorithm, tolerance);
    }
}

Test(depthwise, refuses_what_it_cannot_do) {
    test_seed();
    const cr_conv good = random_conv(8, 2);
    cr_assert_null(cr_depthwise_refuses(&good));
    cr_conv bad[3] = {good, good, good};
    bad[0].geometry.groups = 1;
    bad[1].input_blocked = false;
    bad[2].output_blocked = false;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not_null(cr_depthwise_refuses(&bad[i]), "case %zu", i);
}
