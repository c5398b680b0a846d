#include "runtime/base/cpu.h"
#include "runtime/kernels/conv/algorithms.h"
#include "tests/runtime/kernels/conv/conv_check.h"

enum { ROUNDS = 40 };

static void each_isa(const char *name, const char *test, void (*check)(const cr_conv_algorithm *, int)) {
    check_seed(test);
    for (int isa = CR_ISA_PLAIN; isa <= CR_ISA_NEON; isa++) {
        const cr_conv_algorithm *algorithm = cr_conv_find(cr_conv_algorithms((cr_isa)isa), name);
        if (algorithm != NULL && isa <= (int)cr_cpu_isa())
            for (int i = 0; i < ROUNDS; i++)
                check(algorithm, cr_conv_lanes((cr_isa)isa));
    }
}

static void options(cr_conv *conv) {
    conv->has_residual = check_chance(40);
    conv->has_prologue = check_chance(25);
    conv->has_border_bias = check_chance(25);
}

static void check_any(const cr_conv_algorithm *algorithm, int lanes) {
    const check_limits most = {
        .channels = 67, .extent = 19, .kernel = 5, .stride = 3, .dilation = 3, .pad = 4, .rank = 2};
    cr_conv conv = check_random_conv(lanes, &most);
    options(&conv);
    check_algorithm(algorithm, &conv);
}

Test(direct, any_geometry) {
    each_isa("direct", "any_geometry", check_any);
}
