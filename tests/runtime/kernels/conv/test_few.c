#include "runtime/kernels/conv/few.h"

#include "tests/runtime/kernels/conv/each_isa.h"

static cr_conv random_conv(int lanes, int rank) {
    cr_conv conv = {.lanes = lanes, .input_blocked = true, .output_blocked = true};
    cr_conv_geometry *g = &conv.geometry;
    *g = (cr_conv_geometry){.n = random_int(1, 3), .groups = 1, .ic = random_int(1, 50)};
    g->oc = random_int(1, lanes < CR_FEW_MOST ? lanes : CR_FEW_MOST);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool flat = axis < CR_CONV_RANK - rank;
        g->kernel[axis] = flat ? 1 : random_int(1, rank == 1 ? 11 : 5);
        g->stride[axis] = flat || random_chance(60) ? 1 : random_int(2, 3);
        g->dilation[axis] = flat || random_chance(70) ? 1 : random_int(2, 3);
        g->pad[axis] = flat || random_chance(20) ? 0 : random_int(0, g->kernel[axis] * g->dilation[axis]);
        g->in[axis] = flat ? 1 : random_int(1, rank == 3 ? 9 : 40);
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

Test(few, agrees_with_the_reference) {
    conv_each_isa("few", any_rank);
}

/* Wide enough for runs that are not checked, and rows of them that end in all ways. */
static void wide_rows(const cr_conv_algorithm *algorithm, int lanes) {
    for (int i = 0; i < test_rounds(40); i++) {
        cr_conv conv = random_conv(lanes, 2);
        conv.geometry.in[CR_W] = random_int(40, 120);
        conv_set_outputs(&conv.geometry);
        conv_check_sums(&conv, algorithm);
    }
}

Test(few, wide_rows) {
    conv_each_isa("few", wide_rows);
}

/* 1x1 without stride or padding runs flat over the pixels. */
static void pointwise(const cr_conv_algorithm *algorithm, int lanes) {
    for (int i = 0; i < test_rounds(30); i++) {
        cr_conv conv = random_conv(lanes, 3);
        cr_conv_geometry *g = &conv.geometry;
        for (int axis = 0; axis < CR_CONV_RANK; axis++) {
            g->kernel[axis] = g->stride[axis] = 1;
            g->pad[axis] = 0;
        }
        conv_set_outputs(g);
        conv_check_sums(&conv, algorithm);
    }
}

Test(few, pointwise) {
    conv_each_isa("few", pointwise);
}

static void refusals(const cr_conv_algorithm *algorithm, int lanes) {
    const cr_conv good = random_conv(lanes, 2);
    cr_conv bad[6] = {good, good, good, good, good, good};
    cr_assert_null(algorithm->refuses(&good));
    bad[0].geometry.oc = (lanes < CR_FEW_MOST ? lanes : CR_FEW_MOST) + 1;
    bad[1].geometry.groups = 2;
    bad[2].input_blocked = false;
    bad[3].transposed = true;
    bad[4].has_prologue = true;
    bad[5].has_border_bias = true;
    for (int i = 0; i < 6; i++)
        cr_assert_not_null(algorithm->refuses(&bad[i]), "case %d", i);
}

Test(few, refuses_what_it_cannot_do) {
    conv_each_isa("few", refusals);
}

static void nothing_to_do(const cr_conv_algorithm *algorithm, int lanes) {
    cr_conv conv = random_conv(lanes, 2);
    conv.geometry.n = 0;
    cr_assert_eq(algorithm->tasks(&conv), 0);
    conv.geometry.n = 1;
    conv.geometry.out[CR_H] = 0;
    conv_check_sums(&conv, algorithm);
}

Test(few, nothing_to_do) {
    conv_each_isa("few", nothing_to_do);
}
