#include "runtime/kernels/conv/winograd.h"

#include "tests/runtime/kernels/conv/compare.h"

/* The algorithms, in one order everywhere. */
static const struct {
    const char *name;
    cr_winograd_scheme y, x;
    bool packs_taps;
} schemes[] = {
#define SCHEMES(about, row, y, x, packs) {#row, y, x, packs == CR_PACKS_TAPS},
    CR_WINOGRAD_ROWS(SCHEMES, )};
enum { N_ROWS = sizeof schemes / sizeof *schemes };

#define ROW(suffix, row, y, x, packs) &cr_conv_##row##_##suffix,
static const struct {
    cr_isa isa;
    int lanes;
    const cr_conv_algorithm *rows[N_ROWS];
} variants[] = {
#if defined __x86_64__
    {CR_ISA_AVX512, 16, {CR_WINOGRAD_ROWS(ROW, avx512)}},
    {CR_ISA_AVX2, 8, {CR_WINOGRAD_ROWS(ROW, avx2)}},
#elif defined __aarch64__
    {CR_ISA_NEON, 4, {CR_WINOGRAD_ROWS(ROW, neon)}},
#endif
    {CR_ISA_VECTOR, 4, {CR_WINOGRAD_ROWS(ROW, generic)}},
};
enum { N_VARIANTS = sizeof variants / sizeof *variants };

static const cr_winograd_axis *axis_of(int row, int axis) {
    return &cr_winograd_axes[axis == CR_H ? schemes[row].y : schemes[row].x];
}

static cr_conv random_conv(int row, int lanes) {
    cr_conv conv = {.lanes = lanes, .input_blocked = true, .output_blocked = true};
    cr_conv_geometry *g = &conv.geometry;
    *g = (cr_conv_geometry){
        .n = random_int(1, 3), .groups = 1, .ic = random_int(1, 67), .oc = random_int(1, 67)};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool flat = axis == CR_D;
        g->kernel[axis] = flat ? 1 : axis_of(row, axis)->taps;
        g->stride[axis] = flat ? 1 : axis_of(row, axis)->stride;
        g->dilation[axis] = 1;
        g->pad[axis] = flat ? 0 : random_int(0, g->kernel[axis] / 2 + 1);
        g->in[axis] = flat ? 1 : random_int(1, 23);
    }
    conv_set_outputs(g);
    conv.has_residual = random_chance(50);
    conv.has_prologue = random_chance(50);
    conv.has_border_bias = random_chance(30);
    conv.threads = (int)random_int(1, 4);
    return conv;
}

/* Rounding grows like the sum of as many random products as there are taps and input channels. The factors
 * are 4 times the largest of many runs. */
static double tolerance(const cr_conv *conv, int row) {
    static const double factors[CR_WINOGRAD_SCHEMES][2] = {
        /* one dimension, two */
        [CR_F2_3] = {0, 2.5e-6}, [CR_F4_3] = {5e-6, 1.2e-5}, [CR_F2_5] = {0, 8e-6},
        [CR_F3_7] = {6e-6, 0},   [CR_F2_3_S2] = {0, 5e-6},   [CR_F4_3_S2] = {0, 1.6e-5},
    };
    const cr_conv_geometry *g = &conv->geometry;
    const bool flat = schemes[row].y == CR_F1_1 || schemes[row].x == CR_F1_1;
    const double factor = factors[schemes[row].y == CR_F1_1 ? schemes[row].x : schemes[row].y][!flat];
    return factor * (1 + sqrt((double)(g->ic * g->kernel[CR_H] * g->kernel[CR_W])));
}

Test(winograd, schemes_are_consistent) {
    for (int s = 0; s < CR_WINOGRAD_SCHEMES; s++) {
        const cr_winograd_axis *axis = &cr_winograd_axes[s];
        cr_assert_eq(axis->inputs, (axis->outputs - 1) * axis->stride + axis->taps, "scheme %d", s);
        cr_assert(axis->outputs <= CR_WINOGRAD_MAX_OUTPUTS && axis->taps <= CR_WINOGRAD_MAX_TAPS);
        cr_assert(axis->inputs <= CR_WINOGRAD_MAX_INPUTS && axis->points <= CR_WINOGRAD_MAX_POINTS);
        cr_assert(axis->term[0] == 0 && axis->term[axis->points] <= CR_WINOGRAD_MAX_TERMS);
        for (int p = 0; p < axis->points; p++)
            cr_assert(axis->term[p] < axis->term[p + 1], "scheme %d, point %d", s, p);
    }
    for (int row = 0; row < N_ROWS; row++) {
        const cr_winograd_axis *y = axis_of(row, CR_H), *x = axis_of(row, CR_W);
        cr_assert(y->taps * x->taps <= CR_WINOGRAD_MAX_ALL_TAPS);
        cr_assert(y->inputs * x->inputs <= CR_WINOGRAD_MAX_ALL_INPUTS);
        cr_assert(y->points * x->points <= CR_WINOGRAD_MAX_ALL_POINTS);
        cr_assert(y->term[y->points] * x->term[x->points] <= CR_WINOGRAD_MAX_ALL_TERMS);
    }
}

Test(winograd, agrees_with_the_reference) {
    test_seed();
    for (int i = 0; i < test_rounds(60 * N_ROWS); i++) {
        const size_t v = (size_t)i % N_VARIANTS;
        const int row = i / (int)N_VARIANTS % N_ROWS;
        if (!isa_runs(variants[v].isa))
            continue;
        const cr_conv conv = random_conv(row, variants[v].lanes);
        conv_check(&conv, variants[v].rows[row], tolerance(&conv, row));
    }
}

Test(winograd, agrees_over_several_chunks) {
    test_seed();
    for (size_t v = 0; v < N_VARIANTS; v++)
        for (int row = 0; row < N_ROWS && isa_runs(variants[v].isa); row++) {
            cr_conv conv = random_conv(row, variants[v].lanes);
            cr_conv_geometry *g = &conv.geometry;
            g->ic = random_chance(50) ? 37 : 32;
            g->oc = 5;
            g->in[CR_H] = random_int(40, 60) * g->stride[CR_H];
            g->in[CR_W] = random_int(70, 90) * g->stride[CR_W];
            conv_set_outputs(g);
            conv.threads = 2;
            for (; variants[v].rows[row]->tasks(&conv) <= 2; conv_set_outputs(g))
                g->in[CR_H] += 10 * g->stride[CR_H];
            conv_check(&conv, variants[v].rows[row], tolerance(&conv, row));
        }
}

/* Rows that pack taps compute the terms of some channels at a time; of so many channels, more than once. */
Test(winograd, agrees_over_several_slabs) {
    test_seed();
    for (size_t v = 0; v < N_VARIANTS; v++)
        for (int row = 0; row < N_ROWS && isa_runs(variants[v].isa); row++) {
            cr_conv conv = random_conv(row, variants[v].lanes);
            cr_conv_geometry *g = &conv.geometry;
            if (!schemes[row].packs_taps)
                continue;
            g->n = 1;
            g->ic = random_int(400, 420);
            g->oc = random_int(1, 3 * variants[v].lanes);
            g->in[CR_H] = random_int(5, 9);
            conv_set_outputs(g);
            conv_check(&conv, variants[v].rows[row], tolerance(&conv, row));
        }
}

Test(winograd, refuses_what_it_cannot_do) {
    test_seed();
    for (size_t i = 0; i < N_VARIANTS * N_ROWS; i++) {
        const size_t v = i % N_VARIANTS;
        const int row = (int)(i / N_VARIANTS);
        const cr_conv_algorithm *algorithm = variants[v].rows[row];
        const cr_conv good = random_conv(row, variants[v].lanes);
        cr_assert_str_eq(algorithm->name, schemes[row].name);
        cr_assert_null(algorithm->refuses(&good));
        cr_conv bad[10];
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++)
            bad[b] = good;
        bad[0].exact = true;
        bad[1].geometry.groups = 2;
        bad[2].geometry.kernel[CR_W] = 2;
        bad[3].geometry.stride[CR_H]++;
        bad[4].geometry.dilation[CR_W] = 2;
        bad[5].geometry.in[CR_D] = 2;
        bad[6].input_blocked = false;
        bad[7].output_blocked = false;
        bad[8].lanes = 0;
        bad[9].transposed = true;
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++)
            cr_assert_not_null(algorithm->refuses(&bad[b]), "%s, case %zu", algorithm->name, b);
    }
}

Test(winograd, nothing_to_do) {
    test_seed();
    for (size_t v = 0; v < N_VARIANTS; v++)
        for (int row = 0; row < N_ROWS; row++) {
            cr_conv conv = random_conv(row, variants[v].lanes);
            conv.threads = 2;
            conv.geometry.n = 0;
            cr_assert_eq(variants[v].rows[row]->tasks(&conv), 0);
        }
}

/* Two threads have the same number of tiles, even where there is one group of output channels. */
Test(winograd, threads_share_tiles) {
    test_seed();
    for (size_t v = 0; v < N_VARIANTS; v++)
        for (int row = 0; row < N_ROWS && isa_runs(variants[v].isa); row++) {
            const cr_conv_algorithm *algorithm = variants[v].rows[row];
            cr_conv conv = random_conv(row, variants[v].lanes);
            cr_conv_geometry *g = &conv.geometry;
            g->n = 1;
            g->oc = 2 * variants[v].lanes;
            g->in[CR_H] = random_int(40, 60) * g->stride[CR_H];
            g->in[CR_W] = random_int(40, 60) * g->stride[CR_W];
            conv_set_outputs(g);
            conv.threads = 1;
            const double cost = algorithm->cost(&conv);
            conv.threads = 2;
            cr_assert_eq(algorithm->cost(&conv), cost, "threads must not decide what is chosen");
            cr_assert_eq(algorithm->tasks(&conv) % 2, 0);
            conv_check(&conv, algorithm, tolerance(&conv, row));
        }
}

static bool sees(const cr_conv_geometry *g, int axis, int64_t out, int64_t in) {
    const int64_t tap = in + g->pad[axis] - out * g->stride[axis];
    return tap >= 0 && tap < g->kernel[axis];
}

/* A NaN at pixel (y, x) reaches every output that sees the pixel, through any activation. */
static void expect_nan(const conv_case *c, const guarded *output, int64_t y, int64_t x) {
    const cr_conv_geometry *g = &c->conv.geometry;
    for (int64_t i = 0; i < (int64_t)output->n; i++) {
        const int64_t pixel = i / c->conv.lanes, row = pixel / g->out[CR_W];
        const int64_t channel = row / g->out[CR_H] * c->conv.lanes + i % c->conv.lanes;
        if (channel < g->oc && sees(g, CR_H, row % g->out[CR_H], y) && sees(g, CR_W, pixel % g->out[CR_W], x))
            cr_assert(isnan(output->data[i]), "output %d: %s", (int)i, conv_case_text(&c->conv));
    }
}

Test(winograd, nan_stays_nan_behind_the_prologue) {
    test_seed();
    for (int i = 0; i < test_rounds(12 * N_ROWS); i++) {
        const size_t v = (size_t)i % N_VARIANTS;
        const int row = i / (int)N_VARIANTS % N_ROWS;
        if (!isa_runs(variants[v].isa))
            continue;
        cr_conv conv = random_conv(row, variants[v].lanes);
        const cr_conv_geometry *g = &conv.geometry;
        conv.geometry.n = 1;
        conv.has_prologue = true;
        conv_case c = conv_case_new(&conv);
        const int64_t y = random_int(0, g->in[CR_H] - 1), x = random_int(0, g->in[CR_W] - 1);
        c.input.data[(y * g->in[CR_W] + x) * conv.lanes] = NAN;
        guarded output = conv_case_run(&c, variants[v].rows[row], 1);
        expect_nan(&c, &output, y, x);
        guarded_free(&output);
        conv_case_free(&c);
    }
}
