#include "runtime/kernels/conv/winograd.h"

#include "tests/runtime/kernels/conv/compare.h"

static const struct {
    cr_isa isa;
    int lanes;
    const cr_conv_algorithm *f4, *f2;
} variants[] = {
#if defined __x86_64__
    {CR_ISA_AVX512, 16, &cr_conv_winograd4_avx512, &cr_conv_winograd2_avx512},
    {CR_ISA_AVX2, 8, &cr_conv_winograd4_avx2, &cr_conv_winograd2_avx2},
#elif defined __aarch64__
    {CR_ISA_NEON, 4, &cr_conv_winograd4_neon, &cr_conv_winograd2_neon},
#endif
    {CR_ISA_VECTOR, 4, &cr_conv_winograd4_generic, &cr_conv_winograd2_generic},
};
enum { N_VARIANTS = sizeof variants / sizeof *variants };

static cr_conv random_conv(int lanes) {
    cr_conv conv = {.lanes = lanes, .input_blocked = true, .output_blocked = true};
    cr_conv_geometry *g = &conv.geometry;
    *g = (cr_conv_geometry){
        .n = random_int(1, 3), .groups = 1, .ic = random_int(1, 67), .oc = random_int(1, 67)};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool flat = axis == CR_D;
        g->kernel[axis] = flat ? 1 : 3;
        g->stride[axis] = g->dilation[axis] = 1;
        g->pad[axis] = flat ? 0 : random_int(0, 2);
        g->in[axis] = flat ? 1 : random_int(1, 23);
    }
    conv_set_outputs(g);
    conv.has_residual = random_chance(50);
    conv.threads = (int)random_int(1, 4);
    return conv;
}

/* Rounding grows like the sum of 9 ic random products. The factors are 4 times the largest of many runs. */
static double tolerance(const cr_conv *conv, int m) {
    return (m == 4 ? 2e-5 : 2.5e-6) * (1 + sqrt(9.0 * (double)conv->geometry.ic));
}

Test(winograd, agrees_with_the_reference) {
    test_seed();
    for (int i = 0; i < 160; i++) {
        const size_t v = (size_t)i % N_VARIANTS;
        if (!isa_runs(variants[v].isa))
            continue;
        const cr_conv conv = random_conv(variants[v].lanes);
        conv_check(&conv, variants[v].f4, tolerance(&conv, 4));
        conv_check(&conv, variants[v].f2, tolerance(&conv, 2));
    }
}

Test(winograd, agrees_over_several_chunks) {
    test_seed();
    for (size_t v = 0; v < N_VARIANTS; v++) {
        if (!isa_runs(variants[v].isa))
            continue;
        cr_conv conv = random_conv(variants[v].lanes);
        cr_conv_geometry *g = &conv.geometry;
        g->ic = 37;
        g->oc = 5;
        g->in[CR_H] = random_int(90, 100);
        g->in[CR_W] = random_int(70, 90);
        conv_set_outputs(g);
        conv.threads = 2;
        cr_assert(variants[v].f4->tasks(&conv) > 2);
        conv_check(&conv, variants[v].f4, tolerance(&conv, 4));
        conv_check(&conv, variants[v].f2, tolerance(&conv, 2));
    }
}

Test(winograd, refuses_what_it_cannot_do) {
    test_seed();
    for (size_t v = 0; v < N_VARIANTS; v++) {
        const cr_conv good = random_conv(variants[v].lanes);
        cr_assert_null(variants[v].f4->refuses(&good));
        cr_conv bad[11];
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            bad[i] = good;
        bad[0].exact = true;
        bad[1].has_prologue = true;
        bad[2].has_border_bias = true;
        bad[3].geometry.groups = 2;
        bad[4].geometry.kernel[CR_W] = 5;
        bad[5].geometry.stride[CR_H] = 2;
        bad[6].geometry.dilation[CR_W] = 2;
        bad[7].geometry.in[CR_D] = 2;
        bad[8].input_blocked = false;
        bad[9].output_blocked = false;
        bad[10].lanes = 0;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            cr_assert_not_null(variants[v].f4->refuses(&bad[i]), "case %zu", i);
    }
}

Test(winograd, nothing_to_do) {
    for (size_t v = 0; v < N_VARIANTS; v++) {
        test_seed();
        cr_conv conv = random_conv(variants[v].lanes);
        conv.threads = 2;
        conv.geometry.n = 0;
        cr_assert_eq(variants[v].f4->tasks(&conv), 0);
        cr_assert_eq(variants[v].f2->tasks(&conv), 0);
    }
}

/* Two threads have the same number of tiles, even where there is one group of output channels. */
Test(winograd, threads_share_tiles) {
    test_seed();
    for (size_t v = 0; v < N_VARIANTS; v++) {
        if (!isa_runs(variants[v].isa))
            continue;
        cr_conv conv = random_conv(variants[v].lanes);
        cr_conv_geometry *g = &conv.geometry;
        g->n = 1;
        g->oc = 2 * variants[v].lanes;
        g->in[CR_H] = random_int(40, 60);
        g->in[CR_W] = random_int(40, 60);
        conv_set_outputs(g);
        conv.threads = 1;
        const double cost = variants[v].f4->cost(&conv);
        conv.threads = 2;
        cr_assert_eq(variants[v].f4->cost(&conv), cost, "threads must not decide what is chosen");
        cr_assert_eq(variants[v].f4->tasks(&conv) % 2, 0);
        conv_check(&conv, variants[v].f4, tolerance(&conv, 4));
        conv_check(&conv, variants[v].f2, tolerance(&conv, 2));
    }
}
