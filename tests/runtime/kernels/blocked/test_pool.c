#include "tests/runtime/kernels/blocked/check.h"

static void max_pool(const cr_blocked_kernels *kernels, const void *pool, const float *in, float *out,
                     int64_t begin, int64_t end) {
    kernels->max_pool(pool, in, out, begin, end);
}

static void average_pool(const cr_blocked_kernels *kernels, const void *pool, const float *in, float *out,
                         int64_t begin, int64_t end) {
    kernels->average_pool(pool, in, out, begin, end);
}

static void global_average(const cr_blocked_kernels *kernels, const void *shape, const float *in, float *out,
                           int64_t begin, int64_t end) {
    kernels->global_average(shape, in, out, begin, end);
}

/* Output extents as ceil_mode gives them half of the time: windows may hang over the end padding. */
static void random_axis(cr_pooling *pool, int axis, bool flat) {
    cr_conv_geometry *g = &pool->geometry;
    g->kernel[axis] = flat ? 1 : random_int(1, 5);
    g->stride[axis] = flat ? 1 : random_int(1, 3);
    g->dilation[axis] = flat || random_chance(70) ? 1 : 2;
    const int64_t reach = (g->kernel[axis] - 1) * g->dilation[axis] + 1;
    g->pad[axis] = flat ? 0 : random_int(0, reach - 1);
    pool->pad_end[axis] = flat ? 0 : random_int(0, reach - 1);
    g->in[axis] = flat ? 1 : random_int(1, 30);
    if (g->in[axis] < reach)
        g->in[axis] = reach;
    const int64_t room = g->in[axis] + g->pad[axis] + pool->pad_end[axis] - reach;
    g->out[axis] = (room + (random_chance(50) ? g->stride[axis] - 1 : 0)) / g->stride[axis] + 1;
    if ((g->out[axis] - 1) * g->stride[axis] >= g->in[axis] + g->pad[axis])
        g->out[axis]--;
}

static void check_pool(const cr_blocked_kernels *kernels) {
    cr_pooling pool = {.lanes = kernels->lanes, .count_include_pad = random_chance(50)};
    cr_conv_geometry *g = &pool.geometry;
    g->n = random_int(1, 2);
    g->ic = random_int(1, 67);
    const int rank = (int)random_int(1, 3);
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        random_axis(&pool, axis, axis < CR_CONV_RANK - rank);
    const int64_t in_pixels = g->in[CR_D] * g->in[CR_H] * g->in[CR_W];
    if (in_pixels > 5000)
        return;
    const cr_blocked_shape in_shape = {g->n, g->ic, in_pixels, pool.lanes};
    const cr_blocked_shape out_shape = {g->n, g->ic, g->out[CR_D] * g->out[CR_H] * g->out[CR_W], pool.lanes};
    guarded in = random_buffer(shape_floats(&in_shape));
    kernel_check check = {.name = "max_pool",
                          .kernel = max_pool,
                          .arguments = &pool,
                          .in = &in,
                          .out_floats = shape_floats(&out_shape),
                          .units = cr_pooling_lines(&pool),
                          .out_shape = out_shape};
    check_kernel(&check, kernels);
    check.name = "average_pool";
    check.kernel = average_pool;
    check.tolerance = 1e-6; /* of up to 125 numbers below 1 */
    check_kernel(&check, kernels);
    cr_assert(guarded_intact(&in));
    guarded_free(&in);
}

Test(pool, windows) {
    for_each_kernels(60, check_pool);
}

/* Bytes beside the same numbers as floats; any cut of the lines gives the same. */
static void check_bytes(void) {
    cr_pooling pool = {.lanes = CR_POOL_BYTES_LANES};
    cr_conv_geometry *g = &pool.geometry;
    g->n = random_int(1, 2);
    g->ic = 16 * random_int(1, 3); /* what lanes past the channels hold is nobody's business */
    for (int axis = 0; axis < CR_CONV_RANK; axis++)
        random_axis(&pool, axis, random_chance(30));
    const int64_t blocks = g->ic / 16, lines = cr_pooling_lines(&pool), cut = random_int(0, lines);
    const size_t n_in = (size_t)(g->n * blocks * g->in[CR_D] * g->in[CR_H] * g->in[CR_W] * 16),
                 n_out = (size_t)(lines * g->out[CR_W] * 16);
    guarded in = guarded_new(n_in), want = guarded_new(n_out);
    uint8_t *bytes = malloc(n_in), *got = malloc(n_out + 1);
    for (size_t i = 0; i < n_in; i++)
        in.data[i] = bytes[i] = (uint8_t)random_int(0, 255);
    got[n_out] = 77;
    cr_blocked_reference.max_pool(&pool, in.data, want.data, 0, lines);
    cr_max_pool_bytes(&pool, bytes, got, cut, lines);
    cr_max_pool_bytes(&pool, bytes, got, 0, cut);
    for (size_t i = 0; i < n_out; i++)
        cr_assert_eq(got[i], isinf(want.data[i]) ? 0 : (int)want.data[i], "CREASE_TEST_SEED=%llu",
                     (unsigned long long)test_seed_value);
    cr_assert_eq(got[n_out], 77);
    free(bytes);
    free(got);
    guarded_free(&in);
    guarded_free(&want);
}

Test(pool, bytes) {
    test_seed();
    for (int round = 0; round < 40; round++)
        check_bytes();
}

static void check_global_average(const cr_blocked_kernels *kernels) {
    cr_blocked_shape shape = random_shape(kernels->lanes);
    if (random_chance(30))
        shape.pixels = random_int(500, 3000);
    guarded in = random_buffer(shape_floats(&shape));
    const cr_blocked_shape out_shape = {shape.n, shape.channels, 1, shape.lanes};
    check_kernel(&(kernel_check){.name = "global_average",
                                 .kernel = global_average,
                                 .arguments = &shape,
                                 .in = &in,
                                 .out_floats = shape_floats(&out_shape),
                                 .units = cr_blocked_vectors(&out_shape),
                                 .out_shape = out_shape,
                                 .tolerance = 5e-7},
                 kernels);
    guarded_free(&in);
}

Test(pool, global_average) {
    for_each_kernels(30, check_global_average);
}

/* Windows wholly in the padding: what the contract promises for them. */
static void check_empty_windows(const cr_blocked_kernels *kernels) {
    cr_pooling pool = {.lanes = kernels->lanes};
    pool.geometry = (cr_conv_geometry){.n = 1,
                                       .ic = 3,
                                       .in = {1, 2, 2},
                                       .out = {1, 4, 4},
                                       .kernel = {1, 1, 1},
                                       .stride = {1, 1, 1},
                                       .dilation = {1, 1, 1},
                                       .pad = {0, 1, 1}};
    guarded in = random_buffer((size_t)(4 * pool.lanes)), out = guarded_new((size_t)(16 * pool.lanes));
    kernels->max_pool(&pool, in.data, out.data, 0, 4);
    cr_assert_eq(out.data[0], -INFINITY);
    cr_assert_eq(out.data[5 * pool.lanes], in.data[0]);
    kernels->average_pool(&pool, in.data, out.data, 0, 4);
    cr_assert_eq(out.data[15 * pool.lanes], 0);
    in.data[0] = -INFINITY;
    kernels->max_pool(&pool, in.data, out.data, 0, 4);
    cr_assert_eq(out.data[5 * pool.lanes], -INFINITY);
    guarded_free(&in);
    guarded_free(&out);
}

Test(pool, empty_windows) {
    for_each_kernels(1, check_empty_windows);
}
