#include "runtime/kernels/conv/algorithms.h"
#include "tests/runtime/kernels/conv/compare.h"

enum { ROUNDS = 60 };

/* The largest of each; rank: axes that are not 1. */
typedef struct limits {
    int64_t channels, extent, kernel, stride, dilation, pad;
    int rank;
} limits;

static cr_conv random_conv(int lanes, const limits *most) {
    cr_conv conv = {.lanes = lanes, .input_blocked = true, .output_blocked = true};
    cr_conv_geometry *g = &conv.geometry;
    conv.threads = (int)random_int(1, 5);
    *g = (cr_conv_geometry){.n = random_int(1, 2), .groups = 1};
    g->ic = random_int(1, most->channels);
    g->oc = random_int(1, most->channels);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool used = axis >= CR_CONV_RANK - most->rank;
        g->kernel[axis] = used ? random_int(1, most->kernel) : 1;
        g->stride[axis] = used ? random_int(1, most->stride) : 1;
        g->dilation[axis] = used ? random_int(1, most->dilation) : 1;
        g->pad[axis] = used ? random_int(0, most->pad) : 0;
        g->in[axis] = used ? random_int(1, most->extent) : 1;
    }
    conv_set_outputs(g);
    for (int axis = CR_CONV_RANK - most->rank; axis < CR_CONV_RANK;
         axis++) /* end pads unlike those at the begin */
        if (g->out[axis] > 1 && random_chance(30))
            g->out[axis] -= random_int(0, 1);
        else if (random_chance(30))
            g->out[axis] += random_int(0, 2);
    return conv;
}

static void random_options(cr_conv *conv) {
    conv->has_residual = random_chance(40);
    conv->has_prologue = conv->input_blocked && random_chance(30);
    conv->has_border_bias = random_chance(30);
}

/* Inputs and weights are in [-1, 1), so a sum of K products is about sqrt(K) / 3 large, and after K roundings
 * of it (each 2^-24 relative) off by 2^-24 K / 3; a prologue may double the inputs. The factor 8 covers the
 * activations and the tail: of the millions of outputs of a run the largest are five times the typical one,
 * and their roundings as much larger. Plain float32 sums of 156 products reach a factor of 3.2 in four
 * million. A wrong tap is off by 0.3. */
static double tolerance(const cr_conv *conv) {
    const cr_conv_geometry *g = &conv->geometry;
    const double terms = (double)(g->ic / g->groups * conv_volume(g->kernel));
    return 0x1p-24 * 8 * (conv->has_prologue ? 2 : 1) * (terms / 3 + 10);
}

static void check(const cr_conv_algorithm *algorithm, const cr_conv *conv) {
    conv_check(conv, algorithm, tolerance(conv));
}

/* Calls body for every instruction set of this processor that has the algorithm. */
static void each_isa(const char *name, void (*body)(const cr_conv_algorithm *, int lanes)) {
    test_seed();
    for (int isa = CR_ISA_PLAIN; isa <= CR_ISA_NEON; isa++) {
        const cr_conv_algorithm *algorithm = cr_conv_find(cr_conv_algorithms((cr_isa)isa), name);
        if (algorithm != NULL && isa_runs((cr_isa)isa))
            for (int round = 0; round < test_rounds(ROUNDS); round++)
                body(algorithm, cr_conv_lanes((cr_isa)isa));
    }
}

static void any_image(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {67, 19, 5, 3, 3, 4, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    random_options(&conv);
    check(algorithm, &conv);
}

static void any_sequence(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {40, 70, 9, 4, 4, 12, .rank = 1};
    cr_conv conv = random_conv(lanes, &most);
    random_options(&conv);
    check(algorithm, &conv);
}

static void any_volume(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {20, 6, 3, 2, 2, 3, .rank = 3};
    cr_conv conv = random_conv(lanes, &most);
    random_options(&conv);
    check(algorithm, &conv);
}

/* 1x1 without stride or padding runs flat over the pixels. */
static void pointwise(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {67, 13, 1, 1, 1, 0, .rank = 3};
    cr_conv conv = random_conv(lanes, &most);
    memcpy(conv.geometry.out, conv.geometry.in, sizeof conv.geometry.out);
    random_options(&conv);
    check(algorithm, &conv);
}

/* With strides the pixels are gathered first, if many output blocks read them. */
static void strided_pointwise(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {90, 25, 1, 3, 1, 0, .rank = (int)random_int(1, 3)};
    cr_conv conv = random_conv(lanes, &most);
    cr_conv_geometry *g = &conv.geometry;
    for (int axis = CR_CONV_RANK - most.rank; axis < CR_CONV_RANK; axis++)
        g->in[axis] = random_int(1, most.rank == 3 ? 9 : 25);
    conv_set_outputs(g);
    g->oc = lanes * random_int(3, 7) - random_int(0, lanes - 1);
    if (random_chance(20)) {
        g->groups = random_int(2, 3);
        g->ic *= g->groups;
        g->oc *= g->groups;
    }
    random_options(&conv);
    conv.has_prologue = random_chance(10);
    check(algorithm, &conv);
}

/* A single pixel, in groups or not: its sums are several chains. */
static void one_pixel(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {90, 1, 3, 2, 1, 1, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    if (random_chance(40)) {
        conv.geometry.groups = random_int(2, 5);
        conv.geometry.ic *= conv.geometry.groups;
        conv.geometry.oc *= conv.geometry.groups;
    }
    random_options(&conv);
    check(algorithm, &conv);
}

/* A prologue before so few weights that it may scale those instead of the input. */
static void few_weights(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {67, 9, 3, 2, 2, 2, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    cr_conv_geometry *g = &conv.geometry;
    g->oc = g->groups * random_int(1, 3);
    g->in[CR_H] = random_int(20, 50);
    g->in[CR_W] = random_int(20, 50);
    conv_set_outputs(g);
    random_options(&conv);
    conv.has_prologue = true;
    check(algorithm, &conv);
}

/* A prologue before a pointwise convolution of several channels, with a shift or as a scale alone. With
 * another number of threads its tiles are others. */
static void prologue_of_pointwise(const cr_conv_algorithm *algorithm, int lanes, bool shifts, cr_act act) {
    const limits most = {90, 1, 1, 1, 1, 0, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    cr_conv_geometry *g = &conv.geometry;
    g->in[CR_H] = random_int(2, 20);
    g->in[CR_W] = random_int(6, 20);
    memcpy(g->out, g->in, sizeof g->out);
    conv.has_prologue = true;
    conv.has_residual = random_chance(40);
    check(algorithm, &conv);
    conv_case c = conv_case_new(&conv);
    c.prologue.shift = shifts ? c.shift.data : NULL;
    c.prologue.act.kind = act;
    guarded expected = conv_case_run(&c, &cr_conv_reference, 1), one = conv_case_run(&c, algorithm, 1);
    guarded parts = conv_case_run(&c, algorithm, 3);
    c.conv.threads = conv.threads % 5 + 1;
    guarded other = conv_case_run(&c, algorithm, 1);
    cr_assert(conv_difference(&c, &one, &expected) <= tolerance(&conv), "%s", conv_case_text(&conv));
    cr_assert_arr_eq(one.data, other.data, one.n * sizeof(float), "%s", conv_case_text(&conv));
    cr_assert_arr_eq(one.data, parts.data, one.n * sizeof(float), "%s", conv_case_text(&conv));
    guarded_free(&expected);
    guarded_free(&one);
    guarded_free(&parts);
    guarded_free(&other);
    conv_case_free(&c);
}

/* The first tile of each chunk and output tile scales the weights, where those are fewer than the inputs. */
static void scaled_pointwise(const cr_conv_algorithm *algorithm, int lanes) {
    prologue_of_pointwise(algorithm, lanes, false, CR_ACT_NONE);
}

/* The tiles of the first output tile transform the input. */
static void transformed_pointwise(const cr_conv_algorithm *algorithm, int lanes) {
    prologue_of_pointwise(algorithm, lanes, true, random_chance(70) ? CR_ACT_RELU : CR_ACT_NONE);
}

/* Channels of a group that divide the lanes, are a multiple of them, or neither. */
static void grouped(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {1, 9, 3, 2, 2, 2, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    cr_conv_geometry *g = &conv.geometry;
    g->groups = random_int(2, 9);
    g->ic = g->groups * (random_chance(60) ? (int64_t)1 << random_int(0, 4) : random_int(1, 20));
    g->oc = random_chance(50) ? g->ic : g->groups * random_int(1, 20);
    random_options(&conv);
    check(algorithm, &conv);
}

/* Terms of several input blocks, groups across the edges of blocks, more outputs than inputs and fewer;
 * several outputs of single channels. */
static void any_groups(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {1, 17, 4, 3, 3, 3, .rank = (int)random_int(1, 3)};
    cr_conv conv = random_conv(lanes, &most);
    cr_conv_geometry *g = &conv.geometry;
    g->groups = random_int(2, 12);
    g->ic = g->groups * (random_chance(60) ? (int64_t)1 << random_int(0, 4) : random_int(2, 20));
    g->oc = random_chance(50) ? g->ic : g->groups * random_int(1, 20);
    if (g->ic == g->groups && g->oc == g->groups)
        g->oc *= random_int(2, 20);
    random_options(&conv);
    check(algorithm, &conv);
}

/* The extents that have row functions of their own, and rows of whole runs whose ends stand in the padding.
 */
static void usual_groups(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {1, 40, 1, 1, 1, 0, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    cr_conv_geometry *g = &conv.geometry;
    const int64_t kernel = random_chance(70) ? 3 : 1;
    g->groups = random_int(2, 16);
    g->ic = g->oc = g->groups * ((int64_t)1 << random_int(1, 4));
    for (int axis = CR_H; axis <= CR_W; axis++) {
        g->kernel[axis] = kernel;
        g->stride[axis] = random_int(1, 2);
        g->pad[axis] = random_int(0, kernel);
    }
    if (random_chance(50)) {
        g->pad[CR_W] = kernel / 2;
        g->in[CR_W] = g->stride[CR_W] * (lanes == 16 ? 7 : 4) * random_int(1, 5);
    }
    conv_set_outputs(g);
    random_options(&conv);
    check(algorithm, &conv);
}

static void plain_input(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {5, 40, 7, 3, 2, 4, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    conv.geometry.oc = random_int(1, 40);
    conv.input_blocked = false;
    random_options(&conv);
    check(algorithm, &conv);
}

/* Padding as kernels usually have it, volumes, and planes that are copied in several chunks. */
static void padded_input(const cr_conv_algorithm *algorithm, int lanes) {
    const bool volume = random_chance(30);
    const limits most = {3, volume ? 12 : 200, 7, 3, 1, 3, .rank = volume ? 3 : 2};
    cr_conv conv = random_conv(lanes, &most);
    for (int axis = CR_CONV_RANK - most.rank; axis < CR_CONV_RANK; axis++)
        conv.geometry.kernel[axis] = random_int(conv.geometry.pad[axis] + 1, 7);
    conv_set_outputs(&conv.geometry);
    conv.geometry.oc = random_int(1, 40);
    conv.input_blocked = false;
    random_options(&conv);
    check(algorithm, &conv);
}

/* Kernels as long as signals have, about half of the row they slide along. */
static void long_kernels(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {2, 12, 2, 2, 1, 1, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    cr_conv_geometry *g = &conv.geometry;
    g->in[CR_W] = random_int(80, 250);
    g->kernel[CR_W] = random_int(30, 140);
    g->pad[CR_W] = random_int(0, g->kernel[CR_W] - 1);
    conv_set_outputs(g);
    g->oc = random_int(1, 40);
    conv.input_blocked = false;
    random_options(&conv);
    check(algorithm, &conv);
}

/* Rows wide enough for the tallest tiles, of pixels one or two apart. */
static void wide_input(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {4, 9, 5, 2, 2, 3, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    conv.geometry.in[CR_W] = random_int(30, 150);
    conv_set_outputs(&conv.geometry);
    conv.geometry.oc = random_int(1, 40);
    conv.input_blocked = false;
    random_options(&conv);
    check(algorithm, &conv);
}

static void plain_groups(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {5, 12, 3, 2, 2, 2, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    conv.geometry.groups = random_int(2, 4);
    conv.geometry.ic *= conv.geometry.groups;
    conv.geometry.oc *= conv.geometry.groups;
    conv.input_blocked = false;
    random_options(&conv);
    check(algorithm, &conv);
}

Test(direct, images) {
    each_isa("direct", any_image);
}

Test(direct, sequences) {
    each_isa("direct", any_sequence);
}

Test(direct, volumes) {
    each_isa("direct", any_volume);
}

Test(direct, pointwise) {
    each_isa("direct", pointwise);
}

Test(direct, one_pixel) {
    each_isa("direct", one_pixel);
}

Test(direct, prologue_of_few_weights) {
    each_isa("direct", few_weights);
}

Test(direct, pointwise_with_strides) {
    each_isa("direct", strided_pointwise);
}

Test(direct, scale_of_pointwise) {
    each_isa("direct", scaled_pointwise);
}

Test(direct, affine_of_pointwise) {
    each_isa("direct", transformed_pointwise);
}

Test(direct, groups) {
    each_isa("direct", grouped);
}

Test(grouped, any_extents) {
    each_isa("grouped", any_groups);
}

Test(grouped, usual_extents) {
    each_isa("grouped", usual_groups);
}

static void group_refusals(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {1, 9, 3, 2, 2, 2, .rank = 2};
    cr_conv good = random_conv(lanes, &most);
    good.geometry.groups = 3;
    good.geometry.ic = good.geometry.oc = 12;
    cr_conv bad[3] = {good, good, good};
    cr_assert_null(algorithm->refuses(&good));
    bad[0].geometry.groups = 1;
    bad[1].geometry.groups = 12;
    bad[2].input_blocked = false;
    for (int i = 0; i < 3; i++)
        cr_assert_not_null(algorithm->refuses(&bad[i]), "case %d", i);
}

Test(grouped, refuses_what_it_cannot_do) {
    each_isa("grouped", group_refusals);
}

Test(stem, plain_input) {
    each_isa("stem", plain_input);
}

Test(stem, padded_input) {
    each_isa("stem", padded_input);
}

Test(stem, wide_input) {
    each_isa("stem", wide_input);
}

Test(stem, long_kernels) {
    each_isa("stem", long_kernels);
}

Test(stem, groups) {
    each_isa("stem", plain_groups);
}

/* Inputs beyond a chunk: tiles of several chunks, in several tasks. What strides leave out does not count. */
static void several_chunks(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {40, 1, 3, 2, 1, 1, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    cr_conv_geometry *g = &conv.geometry;
    g->n = 1;
    g->ic = 40;
    g->oc = 3;
    g->in[CR_H] = random_int(60, 70);
    g->in[CR_W] = random_int(80, 90);
    for (int axis = CR_H; axis <= CR_W; axis++)
        g->stride[axis] = g->kernel[axis] < g->stride[axis] ? g->kernel[axis] : g->stride[axis];
    conv_set_outputs(g);
    random_options(&conv);
    cr_assert(algorithm->tasks(&conv) > 1);
    cr_assert_eq(algorithm->tasks(&conv) % conv.threads, 0, "threads share the pixels evenly");
    check(algorithm, &conv);
}

Test(direct, several_chunks) {
    each_isa("direct", several_chunks);
}

static void refusals(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {67, 9, 3, 2, 2, 2, .rank = 2};
    const cr_conv good = random_conv(lanes, &most);
    cr_conv bad[3] = {good, good, good};
    cr_assert_null(algorithm->refuses(&good));
    bad[0].lanes = lanes == 8 ? 4 : 8;
    bad[1].input_blocked = false;
    bad[2].output_blocked = false;
    for (int i = 0; i < 3; i++)
        cr_assert_not_null(algorithm->refuses(&bad[i]), "case %d", i);
}

Test(direct, refuses_other_layouts) {
    each_isa("direct", refusals);
}

static void nothing_to_do(const cr_conv_algorithm *algorithm, int lanes) {
    const limits most = {67, 9, 3, 2, 2, 2, .rank = 2};
    cr_conv conv = random_conv(lanes, &most);
    conv.geometry.n = 0;
    cr_assert_eq(algorithm->tasks(&conv), 0);
    conv.geometry.n = 1;
    conv.geometry.out[CR_H] = 0;
    check(algorithm, &conv);
}

Test(direct, nothing_to_do) {
    each_isa("direct", nothing_to_do);
}
