#include <criterion/criterion.h>

#include "runtime/kernels/conv/plain.h"

#include "tests/runtime/kernels/guard.h"

static int64_t volume(const int64_t extents[CR_CONV_RANK]) {
    return extents[CR_D] * extents[CR_H] * extents[CR_W];
}

/* One group; oc is of no interest here. */
static cr_conv_geometry random_geometry(int64_t ic) {
    cr_conv_geometry g = {.n = 1, .groups = 1, .ic = ic, .oc = 1};
    const int rank = (int)random_int(1, 3);
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        const bool flat = axis < CR_CONV_RANK - rank;
        g.kernel[axis] = flat ? 1 : random_int(1, 4);
        g.stride[axis] = flat ? 1 : random_int(1, 3);
        g.dilation[axis] = flat ? 1 : random_int(1, 3);
        const int64_t reach = (g.kernel[axis] - 1) * g.dilation[axis] + 1;
        g.in[axis] = flat ? 1 : random_int(1, rank == 3 ? 8 : 25);
        g.pad[axis] = flat ? 0 : random_int(-1, reach);
        const int64_t room = g.in[axis] + g.pad[axis] + random_int(0, reach) - reach;
        g.out[axis] = flat ? 1 : room < 0 ? 1 : room / g.stride[axis] + 1;
    }
    return g;
}

static void assert_near(const float *want, const float *got, int64_t n, const char *what) {
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabsf(want[i] - got[i]) <= 5e-5f, "%s: [%d] is %g, not %g (seed %llu)", what, (int)i,
                  (double)got[i], (double)want[i], (unsigned long long)test_seed_value);
}

Test(plain, strips_of_columns_give_the_convolution) {
    test_seed();
    for (int round = 0; round < 300; round++) {
        const cr_conv_geometry g = random_geometry(random_int(1, 5));
        const int64_t depth = g.ic * volume(g.kernel), area = volume(g.out);
        const int64_t first = random_int(0, area - 1), n = random_int(1, area - first);
        guarded x = random_buffer((size_t)(g.ic * volume(g.in))), w = random_buffer((size_t)depth);
        guarded want = guarded_new((size_t)area), columns = guarded_new((size_t)(depth * n));
        guarded got = guarded_new((size_t)n);
        cr_conv_plane_f32(&g, x.data, w.data, 0.5f, want.data);
        cr_im2col_f32(&g, x.data, first, n, columns.data);
        for (int64_t i = 0; i < n; i++) {
            double sum = 0.5;
            for (int64_t k = 0; k < depth; k++)
                sum += (double)w.data[k] * (double)columns.data[k * n + i];
            got.data[i] = (float)sum;
        }
        assert_near(want.data + first, got.data, n, "im2col");
        cr_assert(guarded_intact(&columns) && guarded_intact(&want));
        guarded_free(&x);
        guarded_free(&w);
        guarded_free(&want);
        guarded_free(&columns);
        guarded_free(&got);
    }
}

Test(plain, depthwise_agrees_with_the_definition) {
    test_seed();
    for (int round = 0; round < 300; round++) {
        const cr_conv_geometry g = random_geometry(1);
        const int64_t area = volume(g.out);
        guarded x = random_buffer((size_t)volume(g.in)), w = random_buffer((size_t)volume(g.kernel));
        guarded want = guarded_new((size_t)area), got = guarded_new((size_t)area);
        cr_conv_plane_f32(&g, x.data, w.data, -0.25f, want.data);
        cr_depthwise_plane_f32(&g, x.data, w.data, -0.25f, got.data);
        assert_near(want.data, got.data, area, "depthwise");
        cr_assert(guarded_intact(&got));
        guarded_free(&x);
        guarded_free(&w);
        guarded_free(&want);
        guarded_free(&got);
    }
}

/* The transposed convolution is the adjoint: <Conv(x), u> = <x, ConvTranspose(u)>. */
Test(plain, transposed_is_the_adjoint) {
    test_seed();
    for (int round = 0; round < 300; round++) {
        const cr_conv_geometry g = random_geometry(1);
        const int64_t in = volume(g.in), out = volume(g.out), taps = volume(g.kernel);
        guarded x = random_buffer((size_t)in), w = random_buffer((size_t)taps),
                u = random_buffer((size_t)out);
        guarded y = guarded_new((size_t)out), back = guarded_new((size_t)in);
        guarded columns = guarded_new((size_t)(taps * out));
        double left = 0, right = 0;
        for (int64_t k = 0; k < taps; k++)
            for (int64_t i = 0; i < out; i++)
                columns.data[k * out + i] = w.data[k] * u.data[i];
        cr_conv_plane_f32(&g, x.data, w.data, 0, y.data);
        cr_col2im_f32(&g, columns.data, 0, back.data);
        for (int64_t i = 0; i < out; i++)
            left += (double)y.data[i] * (double)u.data[i];
        for (int64_t i = 0; i < in; i++)
            right += (double)x.data[i] * (double)back.data[i];
        cr_assert(fabs(left - right) <= 1e-3, "%g and %g (seed %llu)", left, right,
                  (unsigned long long)test_seed_value);
        cr_assert(guarded_intact(&back));
        guarded_free(&x);
        guarded_free(&w);
        guarded_free(&u);
        guarded_free(&y);
        guarded_free(&back);
        guarded_free(&columns);
    }
}

Test(plain, what_follows_agrees_with_the_activations_definitions) {
    static const float slopes[] = {0.1f, -0.3f, 0.25f};
    test_seed();
    for (int kind = 0; kind < CR_ACT_QUANTIZE; kind++) {
        const cr_plain_epilogue e = {.act = {.kind = (cr_act)kind, .a = 0.2f, .b = 0.5f, .slope = slopes},
                                     .act_after = {.kind = CR_ACT_RELU}};
        const int64_t n = random_int(0, 70), channel = random_int(0, 2);
        guarded y = random_buffer((size_t)n), residual = random_buffer((size_t)n),
                want = guarded_new((size_t)n);
        for (int64_t i = 0; i < n; i++) {
            const double sum =
                cr_activation_value(&e.act, 4 * (double)y.data[i], channel) + (double)residual.data[i];
            y.data[i] *= 4;
            want.data[i] = (float)cr_activation_value(&e.act_after, sum, channel);
        }
        cr_plain_finish_f32(&e, channel, residual.data, n, y.data);
        assert_near(want.data, y.data, n, "finish");
        cr_assert(guarded_intact(&y));
        guarded_free(&y);
        guarded_free(&residual);
        guarded_free(&want);
    }
}
