#include "runtime/kernels/conv/algorithms.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* 3x3 over a square map: where Winograd pays and its weights are several times the plain ones. */
static cr_conv conv_of(cr_isa isa, int64_t channels, int64_t side) {
    cr_conv conv = {.lanes = cr_conv_lanes(isa), .input_blocked = true, .output_blocked = true, .threads = 1};
    conv.geometry = (cr_conv_geometry){.n = 1, .groups = 1, .ic = channels, .oc = channels};
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        conv.geometry.in[axis] = conv.geometry.out[axis] = axis == CR_D ? 1 : side;
        conv.geometry.kernel[axis] = axis == CR_D ? 1 : 3;
        conv.geometry.pad[axis] = axis == CR_D ? 0 : 1;
        conv.geometry.stride[axis] = conv.geometry.dilation[axis] = 1;
    }
    return conv;
}

static size_t chosen_bytes(cr_isa isa, cr_conv conv, double byte_cost, double *cost) {
    conv.byte_cost = byte_cost;
    const cr_conv_algorithm *chosen = cr_conv_choose(cr_conv_algorithms(isa), &conv, NULL);
    cr_assert_neq(chosen, &cr_conv_reference);
    *cost = chosen->cost(&conv);
    return chosen->packed_bytes(&conv);
}

/* The dearer a byte, the smaller the weights and the more the time, down to direct summation's. */
Test(conv_choose, dear_bytes_make_weights_smaller) {
    const cr_isa isa = cr_cpu_isa();
    const int64_t channels[] = {16, 64, 256}, sides[] = {7, 14, 56};
    if (!cr_conv_lanes(isa))
        return; /* the reference is all there is */
    for (int i = 0; i < 3; i++) {
        const cr_conv conv = conv_of(isa, channels[i], sides[2 - i]);
        double before, cost;
        size_t bytes = chosen_bytes(isa, conv, 0, &before);
        for (double byte_cost = 1e-4; byte_cost < 1e7; byte_cost *= 10) {
            const size_t smaller = chosen_bytes(isa, conv, byte_cost, &cost);
            cr_assert_leq(smaller, bytes);
            cr_assert_geq(cost, before);
            bytes = smaller;
            before = cost;
        }
        cr_assert_leq(bytes, (size_t)(channels[i] * channels[i]) * 9 * sizeof(float));
    }
}

/* From slow memory large weights take longer than they save where maps are small; in large ones they do not.
 * Beneath the arithmetic of narrower vectors more of them arrive. */
Test(conv_choose, slow_memory_makes_weights_of_small_maps_smaller) {
    cr_assert_eq(setenv("CREASE_CPU", "avx512", 1), 0); /* on AMX nothing is larger than what it packs */
    const cr_isa isa = cr_cpu_isa();
    const int64_t channels[] = {512, 256, 64}, sides[] = {7, 14, 56};
    if (!cr_conv_lanes(isa))
        return; /* as above */
    for (int i = 0; i < 3; i++) {
        cr_conv conv = conv_of(isa, channels[i], sides[i]);
        double fast, slow;
        conv.memory_rate = 9;
        const size_t bytes = chosen_bytes(isa, conv, 0, &fast);
        conv.memory_rate = 3;
        const size_t fewer = chosen_bytes(isa, conv, 0, &slow);
        cr_assert_geq(slow, fast);
        cr_assert_leq(fewer, bytes);
        if (conv.lanes == 16)
            cr_assert_eq(fewer < bytes, sides[i] < 56, "%d: %zu of %zu", (int)sides[i], fewer, bytes);
    }
}

Test(conv_choose, names_are_those_of_the_lists) {
    size_t n = 0;
    for (const char *const *name = cr_conv_blocked_names(); *name != NULL; name++, n++)
        for (const char *const *other = cr_conv_blocked_names(); other < name; other++)
            cr_assert_str_neq(*name, *other);
    for (int isa = CR_ISA_VECTOR; isa <= CR_ISA_NEON; isa++) {
        const cr_conv_algorithm *const *list = cr_conv_algorithms((cr_isa)isa);
        if (cr_conv_lanes((cr_isa)isa) == 0 || list[1] == NULL)
            continue; /* not of this build */
        size_t missing = 0;
        for (const char *const *name = cr_conv_blocked_names(); *name != NULL; name++)
            if (cr_conv_find(list, *name) == NULL) {
                cr_assert_str_eq(*name, "amx");
                missing++;
            }
        size_t length = 0;
        while (list[length] != NULL)
            length++;
        cr_assert_eq(length + missing, n, "%d has %zu algorithms, there are %zu names", isa, length, n);
    }
}
