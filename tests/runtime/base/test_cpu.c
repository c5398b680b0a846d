#include "runtime/base/cpu.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Each test is a process of its own: the choice falls once. */

static const char *chosen_for(const char *wish) {
    cr_assert_eq(setenv("CREASE_CPU", wish, 1), 0);
    return cr_isa_name(cr_cpu_isa());
}

Test(cpu, plain_is_for_every_processor) {
    cr_assert_str_eq(chosen_for("plain"), "plain");
}

Test(cpu, vector_is_for_every_processor) {
    cr_assert_str_eq(chosen_for("vector"), "vector");
}

#if defined __aarch64__
Test(cpu, avx2_is_not_for_arm) {
    cr_assert_str_eq(chosen_for("avx2"), "neon");
}

Test(cpu, avx512_is_not_for_arm) {
    cr_assert_str_eq(chosen_for("avx512"), "neon");
}
#else
Test(cpu, neon_is_for_arm_alone) {
    cr_assert_str_neq(chosen_for("neon"), "neon");
}
#endif

Test(cpu, vectors_come_without_tiles) {
    cr_assert_str_neq(chosen_for("avx512"), "plain");
    cr_assert_not(cr_cpu_has_amx());
    cr_assert_str_eq(cr_cpu_kernels_name(), cr_isa_name(cr_cpu_isa()));
}

Test(cpu, tiles_are_among_the_best) {
    cr_assert_str_neq(chosen_for("amx"), "plain");
    cr_assert_str_eq(cr_cpu_kernels_name(), cr_cpu_has_amx() ? "amx" : cr_isa_name(cr_cpu_isa()));
}

Test(cpu, unknown_names_are_ignored) {
    cr_assert_gt(strlen(chosen_for("abacus")), 0);
    cr_assert_neq(cr_cpu_isa(), CR_ISA_PLAIN);
}

Test(cpu, sums_bytes_only_with_the_vectors_for_it) {
    cr_assert_str_eq(chosen_for("vector"), "vector");
    cr_assert_not(cr_cpu_sums_bytes());
}
