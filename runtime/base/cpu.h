#ifndef CREASE_RUNTIME_BASE_CPU_H
#define CREASE_RUNTIME_BASE_CPU_H

#include <stdbool.h>

/* Instruction sets that crease has kernels for, each containing those before it on its architecture. */
typedef enum cr_isa {
    CR_ISA_PLAIN,  /* portable scalar kernels, plain layout */
    CR_ISA_VECTOR, /* portable 4-lane vectors (SSE2 on x86-64) */
    CR_ISA_AVX2,   /* AVX2 + FMA */
    CR_ISA_AVX512, /* AVX-512 F, BW, DQ, VL */
    CR_ISA_NEON
} cr_isa;

/* The best one that processor and operating system support. The environment variable CREASE_CPU (plain,
 * vector, avx2, avx512, amx, neon) lowers it; names it cannot satisfy are ignored. Decided once. Thread-safe.
 */
cr_isa cr_cpu_isa(void);
const char *cr_isa_name(cr_isa isa);

/* Whether it has, besides CR_ISA_AVX512 and unless CREASE_CPU says avx512, Intel's tiles of bfloat16 (AMX),
 * which a process has to ask the operating system for: its threads' signal frames grow by 8 KB when they use
 * them. */
bool cr_cpu_has_amx(void);

/* What CREASE_CPU calls the kernels in use. */
const char *cr_cpu_kernels_name(void);

/* Whether it has, besides CR_ISA_AVX512, instructions that sum products of bytes (AVX-512 VNNI), and that
 * permute bytes (AVX-512 VBMI). */
bool cr_cpu_sums_bytes(void);
bool cr_cpu_permutes_bytes(void);

/* The processor's own name, e.g. "AMD EPYC"; "" where it has none to tell. */
const char *cr_cpu_model(void);

/* Bytes that a core gets from memory in a cycle of its clock while it computes, for cost models: as measured
 * on one processor of each maker, a Xeon with AMX and a Zen 5. Never measured here, since a choice that
 * follows would show in results. */
double cr_cpu_memory_rate(void);

/* Bytes of the second-level data cache of one core; a usual value where it cannot be found out. */
long cr_cpu_l2_bytes(void);

#endif
