#include "runtime/kernels/blocked/blocked.h"

int64_t cr_blocked_blocks(const cr_blocked_shape *shape) {
    return (shape->channels + shape->lanes - 1) / shape->lanes;
}

int64_t cr_blocked_vectors(const cr_blocked_shape *shape) {
    return shape->n * cr_blocked_blocks(shape) * shape->pixels;
}

int64_t cr_pooling_lines(const cr_pooling *pool) {
    const cr_conv_geometry *g = &pool->geometry;
    return g->n * ((g->ic + pool->lanes - 1) / pool->lanes) * g->out[CR_D] * g->out[CR_H];
}

const cr_blocked_kernels *cr_blocked(cr_isa isa) {
    switch (isa) {
    case CR_ISA_VECTOR:
        return &cr_blocked_generic;
#if defined __x86_64__ || defined __i386__
    case CR_ISA_AVX2:
        return &cr_blocked_avx2;
    case CR_ISA_AVX512:
        return &cr_blocked_avx512;
#elif defined __aarch64__
    case CR_ISA_NEON:
        return &cr_blocked_neon;
#endif
    default:
        return NULL;
    }
}
