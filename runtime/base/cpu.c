#include "runtime/base/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#endif

static const char *const names[] = {"plain", "vector", "avx2", "avx512", "neon"};

static cr_isa chosen;
static bool amx;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static cr_isa best(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("fma"))
        return CR_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return CR_ISA_AVX2;
#elif defined(__aarch64__)
    return CR_ISA_NEON;
#endif
    return CR_ISA_VECTOR;
}

#if defined(__x86_64__) && defined(__linux__)
/* CPUID leaf 7 tells of the processor; Linux has to be asked, since tiles enlarge what it saves of a thread.
 */
static bool has_amx(void) {
    enum { TILE = 1 << 24, TILE_BFLOAT = 1 << 22 };
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & TILE) != 0 && (d & TILE_BFLOAT) != 0 &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#else
static bool has_amx(void) {
    return false;
}
#endif

static bool contains(cr_isa whole, cr_isa part) {
    return part <= CR_ISA_VECTOR || part == whole || (part < whole && whole != CR_ISA_NEON);
}

static void choose(void) {
    chosen = best();
    const char *wish = getenv("CREASE_CPU");
    for (int i = 0; wish && i <= (int)chosen; i++)
        if (strcmp(wish, names[i]) == 0 && contains(chosen, (cr_isa)i))
            chosen = (cr_isa)i;
    const bool vectors_alone = wish && strcmp(wish, names[CR_ISA_AVX512]) == 0;
    amx = chosen == CR_ISA_AVX512 && !vectors_alone && has_amx();
}

cr_isa cr_cpu_isa(void) {
    pthread_once(&once, choose);
    return chosen;
}

const char *cr_isa_name(cr_isa isa) {
    return names[isa];
}

bool cr_cpu_has_amx(void) {
    pthread_once(&once, choose);
    return amx;
}

const char *cr_cpu_kernels_name(void) {
    return cr_cpu_has_amx() ? "amx" : cr_isa_name(cr_cpu_isa());
}

bool cr_cpu_sums_bytes(void) {
#if defined(__x86_64__) || defined(__i386__)
    return cr_cpu_isa() == CR_ISA_AVX512 && __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}

bool cr_cpu_permutes_bytes(void) {
#if defined(__x86_64__) || defined(__i386__)
    return cr_cpu_isa() == CR_ISA_AVX512 && __builtin_cpu_supports("avx512vbmi");
#else
    return false;
#endif
}

#if defined(__x86_64__) || defined(__i386__)
/* CPUID leaves 0x80000002 to 4 have 16 bytes of the name each. */
static char model[3 * 16 + 1];
static pthread_once_t model_once = PTHREAD_ONCE_INIT;

static void read_model(void) {
    unsigned words[12];
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                         &words[4 * i + 3]))
            return;
    memcpy(model, words, sizeof words);
}

const char *cr_cpu_model(void) {
    pthread_once(&model_once, read_model);
    return model;
}
#else
const char *cr_cpu_model(void) {
    return "";
}
#endif

double cr_cpu_memory_rate(void) {
    enum { XEON = 4, ZEN_5 = 9 };
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    if (__builtin_cpu_is("intel"))
        return XEON;
#endif
    return ZEN_5;
}

long cr_cpu_l2_bytes(void) {
    long bytes = -1;
#ifdef _SC_LEVEL2_CACHE_SIZE
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return bytes > 0 ? bytes : 512 * 1024;
}
