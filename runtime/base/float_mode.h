#ifndef CREASE_RUNTIME_BASE_FLOAT_MODE_H
#define CREASE_RUNTIME_BASE_FLOAT_MODE_H

#include <stdint.h>

/* What arithmetic of the calling thread does with subnormal numbers, its rounding and its exceptions: MXCSR
 * of x86-64 processors, FPCR of 64-bit ARM; elsewhere nothing is set. */
typedef uint64_t cr_float_mode;

static inline cr_float_mode cr_float_mode_get(void) {
#if defined __x86_64__
    return __builtin_ia32_stmxcsr();
#elif defined __aarch64__
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
#else
    return 0;
#endif
}

static inline void cr_float_mode_set(cr_float_mode mode) {
#if defined __x86_64__
    __builtin_ia32_ldmxcsr((unsigned)mode);
#elif defined __aarch64__
    __asm__ volatile("msr fpcr, %0" ::"r"(mode) : "memory");
#else
    (void)mode;
#endif
}

/* `mode`, but subnormal numbers count as 0, as operands and as results. Intel's processors take some 150
 * cycles for each multiply-add that meets one. */
static inline cr_float_mode cr_float_mode_flushing(cr_float_mode mode) {
#if defined __x86_64__
    return mode | 1U << 15 | 1U << 6; /* flush to zero, denormals are zero */
#elif defined __aarch64__
    return mode | UINT64_C(1) << 24; /* FZ */
#else
    return mode;
#endif
}

#endif
