#include "runtime/kernels/conv/algorithms.h"
#include "tests/runtime/kernels/conv/compare.h"

enum { ROUNDS = 60 };

/* Output extents as ONNX has them, with some output_padding and crops. */
static void set_outputs(cr_conv_geometry *g) {
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const int64_t reach = (g->kernel[axis] - 1) * g->dilation[axis];
        const int64_t all = (g->in[axis] - 1) * g->stride[axis] + reach + 1 - 2 * g->pad[axis];
        g->out[axis] = (all < 1 ? 1 : all) + random_int(0, g->stride[axis] - 1);
    }
}

static cr_conv random_conv(int lanes, int rank) {
    cr_conv conv = {.transposed = true, .lanes = lanes, .input_blocked = true, .output_blocked = true};
    cr_conv_geometry *g = &conv.geometry;
    conv.threads = (int)random_int(1, 5);
    *g = (cr_conv_geometry){.n = random_int(1, 2), .groups = random_chance(70) ? 1 : random_int(2, 5)};
    g->ic = g->groups * random_int(1, g->groups > 1 ? 17 : 67);
    g->oc = g->groups * random_int(1, g->groups > 1 ? 17 : 67);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool used = axis >= CR_CONV_RANK - rank;
        g->stride[axis] = used ? random_int(1, 4) : 1;
        g->kernel[axis] = used ? random_int(g->stride[axis], 6) : 1;
        g->dilation[axis] =
            used && random_chance(25) ? 2 * g->stride[axis] + 1 : 1; /* no phase without a tap */
        g->pad[axis] = used ? random_int(0, 5) : 0;
        g->in[axis] = used ? random_int(1, rank == 3 ? 5 : 17) : 1;
    }
    set_outputs(g);
    conv.has_residual = random_chance(40);
    conv.has_prologue = random_chance(30);
    return conv;
}

/* As in test_direct.c. */
static double tolerance(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    const double terms = (double)(g->ic / g->groups * conv_volume(g->kernel));
    return 0x1p-24 * 8 * (conv->has_prologue ? 2 : 1) * (terms / 3 + 10);
}

static void each_isa(void (*body)(const cr_conv_algorithm *, int lanes)) {
    test_seed();
    for (int isa = CR_ISA_PLAIN; isa <= CR_ISA_NEON; isa++) {
        const cr_conv_algorithm *algorithm = cr_conv_find(cr_conv_algorithms((cr_isa)isa), "transposed");
        if (algorithm != NULL && isa_runs((cr_isa)isa))
            for (int round = 0; round < test_rounds(ROUNDS); round++)
                body(algorithm, cr_conv_lanes((cr_isa)isa));
    }
}

static void any_extents(const cr_conv_algorithm *algorithm, int lanes) {
    const cr_conv conv = random_conv(lanes, (int)random_int(1, 3));
    conv_check(&conv, algorithm, tolerance(&conv));
}

Test(transposed, any_extents) {
    each_isa(any_extents);
}

/* What segmentation networks have: 2x2, 3x3 and 4x4 of stride 2. */
static void doubling(const cr_conv_algorithm *algorithm, int lanes) {
    cr_conv conv = random_conv(lanes, 2);
    cr_conv_geometry *g = &conv.geometry;
    const int64_t kernel = random_int(2, 4);
    for (int axis = CR_H; axis <= CR_W; axis++) {
        g->kernel[axis] = kernel;
        g->stride[axis] = 2;
        g->dilation[axis] = 1;
        g->pad[axis] = (kernel - 1) / 2;
        g->in[axis] = random_int(1, 30);
        g->out[axis] = 2 * g->in[axis];
    }
    conv_check(&conv, algorithm, tolerance(&conv));
}

Test(transposed, doubling) {
    each_isa(doubling);
}

static void refusals(const cr_conv_algorithm *algorithm, int lanes) {
    const cr_conv good = random_conv(lanes, 2);
    cr_conv bad[5] = {good, good, good, good, good};
    cr_assert_null(algorithm->refuses(&good), "%s", conv_case_text(&good));
    bad[0].transposed = false;
    bad[1].input_blocked = false;
    bad[2].output_blocked = false;
    bad[3].has_border_bias = true;
    bad[4].geometry.kernel[CR_W] = 2;
    bad[4].geometry.stride[CR_W] = 3;
    for (int i = 0; i < 5; i++)
        cr_assert_not_null(algorithm->refuses(&bad[i]), "case %d", i);
}

Test(transposed, refuses_what_it_cannot_do) {
    each_isa(refusals);
}

/* No other algorithm than the reference may take a transposed convolution. */
static void others(const cr_conv_algorithm *algorithm, int lanes) {
    (void)algorithm;
    const cr_conv conv = random_conv(lanes, 2);
    const cr_isa isas[] = {CR_ISA_VECTOR, CR_ISA_AVX2, CR_ISA_AVX512, CR_ISA_NEON};
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (const cr_conv_algorithm *const *a = cr_conv_algorithms(isas[i]); *a != NULL; a++)
            if (*a != &cr_conv_reference && strcmp((*a)->name, "transposed") != 0)
                cr_assert_not_null((*a)->refuses(&conv), "%s accepts", (*a)->name);
}

Test(transposed, others_refuse) {
    each_isa(others);
}

/* The definition: every input times every weight is added where it falls. Small integers, so sums are exact.
 */
static void scatter(const cr_conv_geometry *g, const float *x, const float *w, float *y) {
    const int64_t group_ic = g->ic / g->groups, group_oc = g->oc / g->groups;
    for (int64_t c = 0; c < g->ic; c++)
        for (int64_t o = 0; o < group_oc; o++)
            for (int64_t iy = 0; iy < g->in[CR_H]; iy++)
                for (int64_t ix = 0; ix < g->in[CR_W]; ix++)
                    for (int64_t ky = 0; ky < g->kernel[CR_H]; ky++)
                        for (int64_t kx = 0; kx < g->kernel[CR_W]; kx++) {
                            const int64_t oy = iy * g->stride[CR_H] + ky * g->dilation[CR_H] - g->pad[CR_H];
                            const int64_t ox = ix * g->stride[CR_W] + kx * g->dilation[CR_W] - g->pad[CR_W];
                            if (oy < 0 || ox < 0 || oy >= g->out[CR_H] || ox >= g->out[CR_W])
                                continue;
                            const int64_t channel = c / group_ic * group_oc + o;
                            y[(channel * g->out[CR_H] + oy) * g->out[CR_W] + ox] +=
                                x[(c * g->in[CR_H] + iy) * g->in[CR_W] + ix] *
                                w[((c * group_oc + o) * g->kernel[CR_H] + ky) * g->kernel[CR_W] + kx];
                        }
}

Test(transposed, reference_is_the_definition) {
    test_seed();
    for (int round = 0; round < test_rounds(ROUNDS); round++) {
        cr_conv conv = random_conv(4, 2);
        cr_conv_geometry *g = &conv.geometry;
        g->n = 1;
        conv.input_blocked = conv.output_blocked = false;
        guarded x = guarded_new((size_t)(g->ic * conv_volume(g->in)));
        guarded w = guarded_new((size_t)(g->ic * (g->oc / g->groups) * conv_volume(g->kernel)));
        guarded y = guarded_new((size_t)(g->oc * conv_volume(g->out))), want = guarded_new(y.n);
        for (size_t i = 0; i < x.n; i++)
            x.data[i] = (float)random_int(-4, 4);
        for (size_t i = 0; i < w.n; i++)
            w.data[i] = (float)random_int(-4, 4);
        memset(want.data, 0, want.n * sizeof(float));
        scatter(g, x.data, w.data, want.data);
        const cr_epilogue none = {0};
        const cr_conv_args args = {.input = x.data, .packed = w.data, .output = y.data, .epilogue = &none};
        conv.has_prologue = false;
        cr_conv_reference.run(&conv, &args, 0, cr_conv_reference.tasks(&conv), NULL);
        cr_assert_arr_eq(y.data, want.data, y.n * sizeof(float), "%s", conv_case_text(&conv));
        guarded_free(&x);
        guarded_free(&w);
        guarded_free(&y);
        guarded_free(&want);
    }
}
