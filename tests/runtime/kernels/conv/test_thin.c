#include "runtime/kernels/conv/thin.h"

#include "tests/runtime/kernels/conv/each_isa.h"

static cr_conv random_conv(int lanes, int rank) {
    cr_conv conv = {.lanes = lanes, .output_blocked = true};
    cr_conv_geometry *g = &conv.geometry;
    *g = (cr_conv_geometry){.n = random_int(1, 3), .groups = 1, .ic = random_int(1, 4)};
    g->oc = random_int(1, lanes / 2);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool flat = axis < CR_CONV_RANK - rank;
        g->kernel[axis] = flat ? 1 : random_int(1, rank == 1 ? 70 : 7);
        g->stride[axis] = flat || random_chance(60) ? 1 : random_int(2, 4);
        g->dilation[axis] = flat || random_chance(70) ? 1 : random_int(2, 3);
        g->pad[axis] = flat || random_chance(20) ? 0 : random_int(0, g->kernel[axis] * g->dilation[axis]);
        g->in[axis] = flat ? 1 : random_int(1, rank == 3 ? 9 : rank == 2 ? 40 : 300);
    }
    conv_set_outputs(g);
    for (int axis = CR_CONV_RANK - rank; axis < CR_CONV_RANK; axis++) /* end pads unlike those at the begin */
        g->out[axis] += g->out[axis] > 1 && random_chance(30) ? -1 : random_int(0, 1);
    conv.has_residual = random_chance(30);
    conv.threads = (int)random_int(1, 4);
    return conv;
}

static void any_rank(const cr_conv_algorithm *algorithm, int lanes) {
    for (int i = 0; i < test_rounds(150); i++) {
        const cr_conv conv = random_conv(lanes, 1 + i % 3);
        conv_check_sums(&conv, algorithm);
    }
}

Test(thin, agrees_with_the_reference) {
    conv_each_isa("thin", any_rank);
}

/* Every number of outputs, in rows of all tiles, some too large to be copied at once. */
static void wide_rows(const cr_conv_algorithm *algorithm, int lanes) {
    for (int i = 0; i < test_rounds(60); i++) {
        cr_conv conv = random_conv(lanes, 2);
        conv.geometry.oc = 1 + i % (lanes / 2);
        conv.geometry.in[CR_H] = random_int(10, 60);
        conv.geometry.in[CR_W] = random_int(60, 250);
        conv_set_outputs(&conv.geometry);
        conv_check_sums(&conv, algorithm);
    }
}

Test(thin, wide_rows) {
    conv_each_isa("thin", wide_rows);
}

static void refusals(const cr_conv_algorithm *algorithm, int lanes) {
    const cr_conv good = random_conv(lanes, 2);
    cr_conv bad[7] = {good, good, good, good, good, good, good};
    cr_assert_null(algorithm->refuses(&good));
    bad[0].geometry.oc = lanes / 2 + 1;
    bad[1].geometry.groups = 2;
    bad[2].input_blocked = true;
    bad[3].transposed = true;
    bad[4].has_prologue = true;
    bad[5].has_border_bias = true;
    bad[6].geometry.dilation[CR_W] = INT64_MAX / 4; /* the reach of a row */
    bad[6].geometry.kernel[CR_W] = 3;
    for (int i = 0; i < 7; i++)
        cr_assert_not_null(algorithm->refuses(&bad[i]), "case %d", i);
}

Test(thin, refuses_what_it_cannot_do) {
    conv_each_isa("thin", refusals);
}

static void nothing_to_do(const cr_conv_algorithm *algorithm, int lanes) {
    cr_conv conv = random_conv(lanes, 2);
    conv.geometry.n = 0;
    cr_assert_eq(algorithm->tasks(&conv), 0);
    conv.geometry.n = 1;
    conv.geometry.out[CR_H] = 0;
    conv_check_sums(&conv, algorithm);
}

Test(thin, nothing_to_do) {
    conv_each_isa("thin", nothing_to_do);
}
