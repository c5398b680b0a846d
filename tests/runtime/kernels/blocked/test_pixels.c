#include "tests/runtime/kernels/blocked/check.h"

enum { MAX_EXTENT = 40 };

static void gather_pixels(const cr_blocked_kernels *kernels, const void *gather, const float *in, float *out,
                          int64_t begin, int64_t end) {
    kernels->gather_pixels(gather, in, out, begin, end);
}

static void resize_linear(const cr_blocked_kernels *kernels, const void *resize, const float *in, float *out,
                          int64_t begin, int64_t end) {
    kernels->resize_linear(resize, in, out, begin, end);
}

static int64_t volume(const int64_t extents[CR_CONV_RANK]) {
    return extents[CR_D] * extents[CR_H] * extents[CR_W];
}

static void random_extents(int64_t in[CR_CONV_RANK], int64_t out[CR_CONV_RANK]) {
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const int64_t most = axis == CR_D ? random_chance(70) ? 1 : 3 : 20;
        in[axis] = random_int(1, most);
        out[axis] = axis == CR_D && most == 1 ? 1 : random_int(1, axis == CR_D ? 4 : MAX_EXTENT);
    }
}

static void check_pixels(const char *name, bound_kernel *kernel, const void *arguments,
                         cr_blocked_shape shape, const int64_t in[CR_CONV_RANK],
                         const int64_t out[CR_CONV_RANK], double tolerance,
                         const cr_blocked_kernels *kernels) {
    shape.pixels = volume(in);
    guarded input = random_buffer(shape_floats(&shape));
    shape.pixels = volume(out);
    check_kernel(&(kernel_check){.name = name,
                                 .kernel = kernel,
                                 .arguments = arguments,
                                 .in = &input,
                                 .out_floats = shape_floats(&shape),
                                 .units = shape.n * cr_blocked_blocks(&shape) * out[CR_D] * out[CR_H],
                                 .out_shape = shape,
                                 .tolerance = tolerance},
                 kernels);
    cr_assert(guarded_intact(&input));
    guarded_free(&input);
}

static void check_gather(const cr_blocked_kernels *kernels) {
    const cr_blocked_shape shape = random_shape(kernels->lanes);
    cr_pixel_gather gather = {.n = shape.n, .channels = shape.channels, .lanes = shape.lanes, .fill = 0.25f};
    int32_t index[CR_CONV_RANK][MAX_EXTENT];
    random_extents(gather.in, gather.out);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        gather.index[axis] = index[axis];
        for (int64_t i = 0; i < gather.out[axis]; i++)
            index[axis][i] = (int32_t)(random_chance(10) ? -1 : random_int(0, gather.in[axis] - 1));
    }
    check_pixels("gather_pixels", gather_pixels, &gather, shape, gather.in, gather.out, 0, kernels);
}

Test(pixels, gather) {
    for_each_kernels(40, check_gather);
}

static void check_linear(const cr_blocked_kernels *kernels) {
    const cr_blocked_shape shape = random_shape(kernels->lanes);
    cr_linear_resize resize = {.n = shape.n, .channels = shape.channels, .lanes = shape.lanes};
    int32_t low[CR_CONV_RANK][MAX_EXTENT], high[CR_CONV_RANK][MAX_EXTENT];
    float weight[CR_CONV_RANK][MAX_EXTENT];
    random_extents(resize.in, resize.out);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        resize.axis[axis] = (cr_linear_axis){low[axis], high[axis], weight[axis]};
        for (int64_t i = 0; i < resize.out[axis]; i++) {
            low[axis][i] = (int32_t)random_int(0, resize.in[axis] - 1);
            high[axis][i] = (int32_t)random_int(0, resize.in[axis] - 1);
            weight[axis][i] = (random_float() + 1) / 2;
        }
    }
    check_pixels("resize_linear", resize_linear, &resize, shape, resize.in, resize.out, 1e-6, kernels);
}

Test(pixels, linear) {
    for_each_kernels(40, check_linear);
}
