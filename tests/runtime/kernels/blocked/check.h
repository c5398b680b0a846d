#ifndef CREASE_TESTS_RUNTIME_KERNELS_BLOCKED_CHECK_H
#define CREASE_TESTS_RUNTIME_KERNELS_BLOCKED_CHECK_H

/* Runs a blocked kernel beside the reference and over random splits of its range. */

#include <criterion/criterion.h>

#include "runtime/kernels/blocked/blocked.h"
#include "tests/runtime/kernels/guard.h"

/* A kernel with its arguments bound; `in` is what an in-place kernel reads, `out` as large as the range says.
 */
typedef void bound_kernel(const cr_blocked_kernels *kernels, const void *arguments, const float *in,
                          float *out, int64_t begin, int64_t end);

typedef struct kernel_check {
    const char *name;
    bound_kernel *kernel;
    const void *arguments;
    const guarded *in;
    size_t out_floats;
    int64_t units;
    cr_blocked_shape out_shape; /* channels decide which lanes count; lanes 1: plain output, all count */
    double tolerance;           /* 0: equal */
    bool in_place;              /* also run with out = in */
} kernel_check;

TEST_UNUSED static guarded run_parts(const kernel_check *check, const cr_blocked_kernels *kernels, int parts,
                                     bool in_place) {
    guarded out = guarded_new(check->out_floats);
    if (in_place)
        memcpy(out.data, check->in->data, out.n * sizeof(float));
    const float *in = in_place ? out.data : check->in->data;
    for (int part = parts - 1; part >= 0; part--)
        check->kernel(kernels, check->arguments, in, out.data, check->units * part / parts,
                      check->units * (part + 1) / parts);
    cr_assert(guarded_intact(&out), "%s wrote past its output, CREASE_TEST_SEED=%llu", check->name,
              (unsigned long long)test_seed_value);
    return out;
}

TEST_UNUSED static bool lane_counts(const cr_blocked_shape *shape, size_t i) {
    const int64_t plane = (int64_t)i / shape->lanes / shape->pixels;
    return plane % cr_blocked_blocks(shape) * shape->lanes + (int64_t)i % shape->lanes < shape->channels;
}

TEST_UNUSED static void check_values(const kernel_check *check, const guarded *got, const guarded *expected) {
    const cr_blocked_shape *s = &check->out_shape;
    for (size_t i = 0; i < got->n; i++) {
        cr_assert(isfinite(got->data[i]), "%s: value %zu is not finite, CREASE_TEST_SEED=%llu", check->name,
                  i, (unsigned long long)test_seed_value);
        const double difference = fabs((double)got->data[i] - (double)expected->data[i]);
        cr_assert(
            !lane_counts(s, i) || difference <= check->tolerance,
            "%s: value %zu is %g, expected %g: n %d channels %d pixels %d lanes %d CREASE_TEST_SEED=%llu",
            check->name, i, (double)got->data[i], (double)expected->data[i], (int)s->n, (int)s->channels,
            (int)s->pixels, s->lanes, (unsigned long long)test_seed_value);
    }
}

TEST_UNUSED static void check_kernel(const kernel_check *check, const cr_blocked_kernels *kernels) {
    guarded expected = run_parts(check, &cr_blocked_reference, 1, false);
    guarded whole = run_parts(check, kernels, 1, false);
    check_values(check, &whole, &expected);
    for (int in_place = 0; in_place <= (int)check->in_place; in_place++) {
        guarded parts = run_parts(check, kernels, (int)random_int(2, 6), in_place != 0);
        cr_assert(memcmp(whole.data, parts.data, whole.n * sizeof(float)) == 0,
                  "%s depends on the split or on being in place, CREASE_TEST_SEED=%llu", check->name,
                  (unsigned long long)test_seed_value);
        guarded_free(&parts);
    }
    guarded_free(&expected);
    guarded_free(&whole);
}

TEST_UNUSED static cr_blocked_shape random_shape(int lanes) {
    return (cr_blocked_shape){random_int(1, 3), random_int(1, 67),
                              random_int(1, random_chance(20) ? 400 : 60), lanes};
}

TEST_UNUSED static size_t shape_floats(const cr_blocked_shape *shape) {
    return (size_t)(cr_blocked_vectors(shape) * shape->lanes);
}

/* Calls test for the kernels of every instruction set of this processor, `rounds` times each. */
TEST_UNUSED static void for_each_kernels(int rounds, void (*test)(const cr_blocked_kernels *kernels)) {
    test_seed();
    for (int isa = CR_ISA_VECTOR; isa <= CR_ISA_NEON; isa++) {
        const cr_blocked_kernels *kernels = cr_blocked((cr_isa)isa);
        if (kernels == NULL || !isa_runs((cr_isa)isa))
            continue;
        for (int i = 0; i < rounds; i++)
            test(kernels);
    }
}

#endif
