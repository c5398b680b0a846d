#ifndef CREASE_TESTS_RUNTIME_KERNELS_CONV_EACH_ISA_H
#define CREASE_TESTS_RUNTIME_KERNELS_CONV_EACH_ISA_H

#include "runtime/kernels/conv/algorithms.h"
#include "tests/runtime/kernels/conv/compare.h"

/* An algorithm by its name, on every instruction set that has it and runs here. */
static inline void conv_each_isa(const char *name,
                                 void (*body)(const cr_conv_algorithm *algorithm, int lanes)) {
    test_seed();
    for (int isa = CR_ISA_PLAIN; isa <= CR_ISA_NEON; isa++) {
        const cr_conv_algorithm *algorithm = cr_conv_find(cr_conv_algorithms((cr_isa)isa), name);
        if (algorithm != NULL && isa_runs((cr_isa)isa))
            body(algorithm, cr_conv_lanes((cr_isa)isa));
    }
}

/* Sums of products of numbers in [-1, 1): see test_direct.c. */
static inline void conv_check_sums(const cr_conv *conv, const cr_conv_algorithm *algorithm) {
    const double terms = (double)(conv->geometry.ic * conv_volume(conv->geometry.kernel));
    conv_check(conv, algorithm, 0x1p-24 * 8 * (terms / 3 + 10));
}

#endif
