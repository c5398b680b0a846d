#include <string.h>

#include "runtime/kernels/conv/algorithms.h"
#include "runtime/kernels/conv/amx.h"
#include "runtime/kernels/conv/depthwise.h"
#include "runtime/kernels/conv/few.h"
#include "runtime/kernels/conv/grouped.h"
#include "runtime/kernels/conv/thin.h"
#include "runtime/kernels/conv/winograd.h"

#define DECLARE(suffix)                                                                                      \
    extern const cr_conv_algorithm cr_conv_direct_##suffix, cr_conv_stem_##suffix,                           \
        cr_conv_transposed_##suffix;
#define ROW(suffix, row)                   &cr_conv_##row##_##suffix
#define WINOGRAD(suffix, row, y, x, packs) ROW(suffix, row),
#define ROWS(suffix)                                                                                         \
    ROW(suffix, depthwise), ROW(suffix, grouped), ROW(suffix, direct), ROW(suffix, few), ROW(suffix, stem),  \
        ROW(suffix, thin), CR_WINOGRAD_ROWS(WINOGRAD, suffix) ROW(suffix, transposed), &cr_conv_reference,   \
        NULL
#define LIST(suffix)                                                                                         \
    DECLARE(suffix)                                                                                          \
    static const cr_conv_algorithm *const algorithms_##suffix[] = {ROWS(suffix)};

LIST(generic)
#if defined __x86_64__ || defined __i386__
LIST(avx2)
LIST(avx512)
#endif
#if defined __x86_64__
static const cr_conv_algorithm *const algorithms_amx[] = {&cr_conv_amx, ROWS(avx512)};
#endif
#if defined __aarch64__
LIST(neon)
#endif
static const cr_conv_algorithm *const algorithms_plain[] = {&cr_conv_reference, NULL};

int cr_conv_lanes(cr_isa isa) {
    switch (isa) {
    case CR_ISA_VECTOR:
    case CR_ISA_NEON:
        return 4;
    case CR_ISA_AVX2:
        return 8;
    case CR_ISA_AVX512:
        return 16;
    case CR_ISA_PLAIN:
        break;
    }
    return 0;
}

const cr_conv_algorithm *const *cr_conv_algorithms(cr_isa isa) {
    switch (isa) {
    case CR_ISA_VECTOR:
        return algorithms_generic;
#if defined __x86_64__ || defined __i386__
    case CR_ISA_AVX2:
        return algorithms_avx2;
    case CR_ISA_AVX512:
#if defined __x86_64__
        if (cr_cpu_has_amx())
            return algorithms_amx;
#endif
        return algorithms_avx512;
#elif defined __aarch64__
    case CR_ISA_NEON:
        return algorithms_neon;
#endif
    default:
        return algorithms_plain;
    }
}

#define NAME(suffix, row, y, x, packs) #row,
const char *const *cr_conv_blocked_names(void) {
    static const char *const all[] = {"depthwise", "grouped", "direct", "amx",
                                      "few",       "stem",    "thin",   CR_WINOGRAD_ROWS(NAME, ) "transposed",
                                      "reference", NULL};
    return all;
}

const cr_conv_algorithm *cr_conv_find(const cr_conv_algorithm *const *list, const char *name) {
    for (; *list != NULL; list++)
        if (strcmp((*list)->name, name) == 0)
            return *list;
    return NULL;
}

double cr_conv_memory_cost(const cr_conv *conv, double bytes) {
    return bytes / (conv->memory_rate > 0 ? conv->memory_rate : cr_cpu_memory_rate());
}

static double price(const cr_conv_algorithm *algorithm, const cr_conv *conv) {
    const double bytes = conv->byte_cost > 0 ? (double)algorithm->packed_bytes(conv) : 0;
    return algorithm->cost(conv) + conv->byte_cost * bytes;
}

const cr_conv_algorithm *cr_conv_choose(const cr_conv_algorithm *const *list, const cr_conv *conv,
                                        const char *forced) {
    const cr_conv_algorithm *best = forced != NULL ? cr_conv_find(list, forced) : NULL;
    if (best != NULL && best->refuses(conv) == NULL)
        return best;
    best = NULL;
    for (; *list != NULL; list++) {
        if (best != NULL && conv->byte_cost > 0 && *list == &cr_conv_reference)
            break; /* its weights are small, but no saving is worth its time */
        if ((*list)->refuses(conv) == NULL && (best == NULL || price(*list, conv) < price(best, conv)))
            best = *list;
    }
    return best;
}
