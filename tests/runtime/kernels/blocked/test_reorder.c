#include "tests/runtime/kernels/blocked/check.h"

static void to_blocked(const cr_blocked_kernels *kernels, const void *shape, const float *in, float *out,
                       int64_t begin, int64_t end) {
    kernels->to_blocked(shape, in, out, begin, end);
}

static void to_plain(const cr_blocked_kernels *kernels, const void *shape, const float *in, float *out,
                     int64_t begin, int64_t end) {
    kernels->to_plain(shape, in, out, begin, end);
}

static void check_reorder(const cr_blocked_kernels *kernels) {
    const cr_blocked_shape shape = random_shape(kernels->lanes);
    const cr_blocked_shape plain_shape = {1, 1, shape.n * shape.channels * shape.pixels, 1};
    guarded plain = random_buffer((size_t)plain_shape.pixels), blocked = random_buffer(shape_floats(&shape));
    kernel_check check = {.name = "to_blocked",
                          .kernel = to_blocked,
                          .arguments = &shape,
                          .in = &plain,
                          .out_floats = blocked.n,
                          .units = cr_blocked_vectors(&shape),
                          .out_shape = shape};
    check_kernel(&check, kernels);
    guarded whole = run_parts(&check, kernels, 1, false);
    for (size_t i = 0; i < whole.n; i++)
        cr_assert(lane_counts(&shape, i) || whole.data[i] == 0, "lanes past the channels become 0");
    check.name = "to_plain";
    check.kernel = to_plain;
    check.in = &blocked;
    check.out_floats = plain.n;
    check.out_shape = plain_shape;
    check_kernel(&check, kernels);
    guarded_free(&whole);
    guarded_free(&plain);
    guarded_free(&blocked);
}

Test(reorder, agrees_with_the_reference) {
    for_each_kernels(60, check_reorder);
}
