#include "tests/runtime/kernels/conv/amx_plain.h"
#include "tests/runtime/kernels/conv/each_isa.h"

/* Tests of the fast kernels do nothing on processors that have none. */
#ifdef __x86_64__
static bool has_amx(void) {
    return cr_cpu_has_amx();
}
static const cr_conv_algorithm *const fast = &cr_conv_amx;
static const cr_amx_kernels *const kernels = &cr_amx_kernels_x86;
#else
static bool has_amx(void) {
    return false;
}
static const cr_conv_algorithm *const fast = NULL;
static const cr_amx_kernels *const kernels = NULL;
#endif

/* ---- whole convolutions ---- */

static cr_conv random_conv(void) {
    cr_conv conv = {.lanes = CR_AMX_LANES, .input_blocked = true, .output_blocked = true};
    cr_conv_geometry *g = &conv.geometry;
    const bool small = random_chance(50);
    *g = (cr_conv_geometry){
        .n = random_int(1, 3), .groups = 1, .ic = random_int(1, small ? 67 : 131), .oc = random_int(1, 67)};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool flat = axis == CR_D && random_chance(70);
        g->kernel[axis] = flat ? 1 : random_int(1, 4);
        g->stride[axis] = flat ? 1 : random_int(1, 3);
        g->dilation[axis] = flat ? 1 : random_int(1, 3);
        g->pad[axis] = flat ? 0 : random_int(0, 4);
        g->in[axis] = flat ? 1 : random_int(1, axis == CR_D ? 5 : small ? 9 : 23);
    }
    conv_set_outputs(g);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) /* other pads at the end than at the begin */
        g->out[axis] = random_chance(50) ? random_int(1, g->out[axis] + 2) : g->out[axis];
    conv.has_residual = random_chance(50);
    conv.has_prologue = random_chance(50);
    conv.has_border_bias = random_chance(30);
    conv.threads = (int)random_int(1, 4);
    return conv;
}

/* The loops around the kernels, on every processor. */
Test(amx, plain_kernels_agree_with_the_reference) {
    test_seed();
    for (int i = 0; i < test_rounds(40); i++) {
        const cr_conv conv = random_conv();
        conv_check_sums(&conv, &amx_plain_algorithm);
    }
}

Test(amx, agrees_with_the_reference) {
    test_seed();
    for (int i = 0; i < test_rounds(300) && has_amx(); i++) {
        const cr_conv conv = random_conv();
        conv_check_sums(&conv, fast);
    }
}

/* Maps of which no second-level cache holds a copy, by rows and by columns. */
Test(amx, agrees_over_several_chunks) {
    test_seed();
    for (int i = 0; i < 4 && has_amx(); i++) {
        cr_conv conv = random_conv();
        cr_conv_geometry *g = &conv.geometry;
        for (int axis = 0; axis < CR_CONV_RANK; axis++) {
            g->kernel[axis] = axis == CR_D || i < 2 ? 1 : 3;
            g->stride[axis] = g->dilation[axis] = 1;
            g->pad[axis] = g->kernel[axis] / 2;
            g->in[axis] = axis == CR_D ? 1 : random_int(70, 90);
        }
        g->ic = 37;
        g->oc = 5;
        conv_set_outputs(g);
        conv.threads = 1;
        cr_assert_gt(fast->tasks(&conv), g->n);
        conv_check_sums(&conv, fast);
    }
}

/* Threads decide how a map is cut, and so what is multiplied at a time. */
Test(amx, bits_do_not_depend_on_threads) {
    test_seed();
    for (int i = 0; i < test_rounds(60) && has_amx(); i++) {
        cr_conv conv = random_conv();
        conv.threads = 1;
        conv_case c = conv_case_new(&conv);
        guarded one = conv_case_run(&c, fast, 1);
        for (c.conv.threads = 2; c.conv.threads <= 9; c.conv.threads++) {
            guarded more = conv_case_run(&c, fast, 1);
            cr_assert_eq(memcmp(one.data, more.data, one.n * sizeof(float)), 0, "%s",
                         conv_case_text(&c.conv));
            guarded_free(&more);
        }
        guarded_free(&one);
        conv_case_free(&c);
    }
}

/* Neither outputs, nor inputs, nor a tap inside. */
Test(amx, empty_maps) {
    for (int i = 0; i < 4; i++) {
        cr_conv conv = {.lanes = CR_AMX_LANES, .input_blocked = true, .output_blocked = true, .threads = 2};
        conv.geometry = (cr_conv_geometry){.n = i != 1, .groups = 1, .ic = 20, .oc = 20};
        for (int axis = 0; axis < CR_CONV_RANK; axis++) {
            conv.geometry.kernel[axis] = conv.geometry.dilation[axis] = 1;
            conv.geometry.stride[axis] = 3;
            conv.geometry.pad[axis] = i == 3;
            conv.geometry.in[axis] = i == 2 ? 0 : 1;
            conv.geometry.out[axis] = i == 0 && axis == CR_W ? 0 : 1;
        }
        conv.has_prologue = true;
        conv_check_sums(&conv, &amx_plain_algorithm);
        if (has_amx())
            conv_check_sums(&conv, fast);
    }
}

Test(amx, refuses_what_it_is_not_for) {
    cr_conv conv = random_conv();
    cr_assert_null(cr_amx_refuses(&conv));
    conv.exact = true;
    cr_assert_not_null(cr_amx_refuses(&conv));
    conv.exact = false;
    conv.lanes = 8;
    cr_assert_not_null(cr_amx_refuses(&conv));
    conv.lanes = CR_AMX_LANES;
    conv.geometry.groups = 2;
    cr_assert_not_null(cr_amx_refuses(&conv));
    conv.geometry.groups = 1;
    conv.input_blocked = false;
    cr_assert_not_null(cr_amx_refuses(&conv));
    conv.input_blocked = true;
    conv.transposed = true;
    cr_assert_not_null(cr_amx_refuses(&conv));
}

/* A file may say any of them. What is accepted has a cost, and a workspace that a program can have. */
Test(amx, absurd_geometries) {
    const int64_t extremes[] = {1, 2, 3, 50, (1 << 20) - 1, (1 << 30) - 1, 1 << 30};
    enum { N = sizeof extremes / sizeof *extremes };
    test_seed();
    int accepted = 0, refused = 0;
    for (int i = 0; i < 20000; i++) {
        cr_conv conv = random_conv();
        cr_conv_geometry *g = &conv.geometry;
        g->ic = random_chance(50) ? 64 : 262144;
        for (int axis = CR_H; axis <= CR_W; axis++) {
            g->stride[axis] = extremes[random_int(0, N - 1)];
            g->dilation[axis] = extremes[random_int(0, N - 1)];
            g->pad[axis] = extremes[random_int(0, N - 1)];
            g->in[axis] = random_int(1, 8);
            g->out[axis] = random_chance(90) ? random_int(1, 8) : extremes[random_int(0, N - 1)];
        }
        if (cr_amx_refuses(&conv) != NULL) {
            refused++;
            continue;
        }
        accepted++;
        cr_assert(cr_amx_cost(&conv) > 0, "%s", conv_case_text(&conv));
        cr_assert_lt(cr_amx_workspace_bytes(&conv), (size_t)1 << 30, "%s", conv_case_text(&conv));
    }
    cr_assert(accepted > 100 && refused > 100, "%d accepted, %d refused", accepted, refused);
}

/* ---- kernels ---- */

/* Each part to the last bit, for numbers of any size. */
Test(amx, splits_as_the_plain_twin) {
    test_seed();
    for (int i = 0; i < 100 && has_amx(); i++) {
        const int64_t n = random_int(1, 9), step = random_int(1, 3) * CR_AMX_LANES;
        const int channels = (int)random_int(1, CR_AMX_CHANNELS);
        guarded first = random_buffer((size_t)(n * step)), second = random_buffer((size_t)(n * step));
        for (size_t k = 0; k < first.n; k++)
            first.data[k] = ldexpf(first.data[k], (int)random_int(-80, 120));
        guarded want = guarded_new((size_t)n * CR_AMX_RECORD / 2), got = guarded_new(want.n);
        const float *other = channels > CR_AMX_LANES ? second.data : NULL;
        amx_plain_split(first.data, other, n, step, channels, (uint16_t *)want.data);
        kernels->split(first.data, other, n, step, channels, (uint16_t *)got.data);
        cr_assert_eq(memcmp(want.data, got.data, want.n * sizeof(float)), 0, "CREASE_TEST_SEED=%llu, case %d",
                     (unsigned long long)test_seed_value, i);
        cr_assert(guarded_intact(&got));
        guarded *const all[] = {&first, &second, &want, &got};
        for (int k = 0; k < 4; k++)
            guarded_free(all[k]);
    }
}

/* To the last bit, and whatever is NaN stays so in one of them. */
Test(amx, parts_make_up_the_number) {
    test_seed();
    for (int i = 0; i < 10000; i++) {
        const float x = ldexpf(random_float(), (int)random_int(-60, 60));
        float sum = 0, rest = x;
        for (int part = 0; part < CR_AMX_PARTS; part++)
            sum += cr_bfloat_to_float(amx_plain_part(part == 1, &rest));
        cr_assert_eq(sum, x);
    }
    const uint32_t nans[] = {0x7fc00000, 0xffffffff, 0x7fffffff, 0x7f800001, 0xff800001, 0x7f80ffff};
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
        float x[CR_AMX_LANES] = {0};
        uint16_t parts[2][CR_AMX_RECORD] = {{0}};
        memcpy(x, &nans[i], sizeof *x);
        amx_plain_split(x, NULL, 1, 0, 1, parts[0]);
        if (has_amx())
            kernels->split(x, NULL, 1, 0, 1, parts[1]);
        for (int k = 0; k < (has_amx() ? 2 : 1); k++)
            cr_assert(isnan(cr_bfloat_to_float(parts[k][0])) ||
                          isnan(cr_bfloat_to_float(parts[k][CR_AMX_CHANNELS])),
                      "%x", nans[i]);
    }
}

/* One shape of a pass: the twins agree to the rounding of float32 sums, and on parts that are kept to the
 * last bit. */
static void check_multiply(int rows, int columns) {
    enum { TAPS = 3, PAIRS = 2, PIXELS = CR_AMX_ROWS * CR_AMX_PIXELS + TAPS, TILES = TAPS * PAIRS * 2 };
    guarded floats = random_buffer(PAIRS * PIXELS * CR_AMX_CHANNELS);
    guarded weights = random_buffer(TILES * CR_AMX_TILE);
    guarded input = guarded_new(PAIRS * PIXELS * CR_AMX_RECORD / 2);
    guarded parts[2], sums[2];
    amx_plain_split(floats.data, floats.data + CR_AMX_LANES, PAIRS * PIXELS, CR_AMX_CHANNELS, CR_AMX_CHANNELS,
                    (uint16_t *)input.data);
    const cr_amx_tap taps[TAPS] = {
        {0, 0}, {2 * CR_AMX_RECORD, 2 * CR_AMX_TILE}, {CR_AMX_RECORD, CR_AMX_TILE}};
    cr_amx_pass pass = {.input = (uint16_t *)input.data,
                        .weights = weights.data,
                        .pixel_step = CR_AMX_RECORD,
                        .taps = taps,
                        .n_taps = TAPS,
                        .pairs = PAIRS,
                        .input_step = PIXELS * CR_AMX_RECORD,
                        .weights_step = TAPS * CR_AMX_TILE,
                        .block_step = PAIRS * TAPS * CR_AMX_TILE,
                        .fetch = weights.data};
    for (int i = 0; i < 2; i++) {
        const cr_amx_kernels *k = i == 0 ? &amx_plain : kernels;
        parts[i] = guarded_new((size_t)(PAIRS * TAPS * columns) * CR_AMX_PARTS * CR_AMX_TILE / 2);
        sums[i] = guarded_new((size_t)(rows * columns * CR_AMX_PIXELS * CR_AMX_LANES));
        pass.parts = (uint16_t *)parts[i].data;
        k->begin();
        k->multiply(rows, columns, true, &pass, sums[i].data);
        k->end();
        cr_assert(guarded_intact(&parts[i]) && guarded_intact(&sums[i]));
    }
    const bool keeps = rows <= 2;
    cr_assert(!keeps || memcmp(parts[0].data, parts[1].data, parts[0].n * sizeof(float)) == 0);
    for (size_t i = 0; i < sums[0].n; i++)
        cr_assert(fabsf(sums[0].data[i] - sums[1].data[i]) < 2e-5f, "%dx%d: %g, not %g", rows, columns,
                  (double)sums[1].data[i], (double)sums[0].data[i]);
    memset(sums[0].data, 0, sums[0].n * sizeof(float));
    kernels->begin();
    kernels->multiply(rows, columns, !keeps, &pass, sums[0].data);
    kernels->end();
    cr_assert_eq(memcmp(sums[0].data, sums[1].data, sums[0].n * sizeof(float)), 0, "once more");
    guarded *const all[] = {&floats, &weights, &input, &parts[0], &parts[1], &sums[0], &sums[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
}

Test(amx, multiplies_as_the_plain_twin) {
    test_seed();
    for (int rows = 1; rows <= CR_AMX_ROWS && has_amx(); rows++)
        for (int columns = 1; columns <= (rows > 2 ? 1 : 2); columns++)
            check_multiply(rows, columns);
}
