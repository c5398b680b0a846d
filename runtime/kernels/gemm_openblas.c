#define _GNU_SOURCE
#include "runtime/base/cpu.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/gemm_kernels.h"

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* The only file that knows BLAS. OpenBLAS is opened at run time, because it chooses its kernels while it
 * loads: Debian's 0.3.21 does not know newer processors and would fall back to SSE3. OPENBLAS_CORETYPE tells
 * it better, for the moment of loading only, and only where the user has not set it and the host program has
 * not loaded OpenBLAS already. */

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

static struct {
    void (*sgemm)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *,
                  int);
    void (*dgemm)(int, int, int, int, int, int, double, const double *, int, const double *, int, double,
                  double *, int);
    bool wide;
    void (*set_threads)(int);
    int (*get_threads)(void);
    char description[128];
} blas;

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A function pointer out of an object pointer, which ISO C does not convert. */
static void find(void *library, const char *name, void *function) {
    *(void **)function = dlsym(library, name);
}

/* OpenBLAS's name for what fits this processor; NULL: its own choice is as good as any. */
static const char *fitting_core(void) {
    const cr_isa isa = cr_cpu_isa();
    return isa == CR_ISA_AVX512 ? "SkylakeX" : isa == CR_ISA_AVX2 ? "Haswell" : NULL;
}

static void *open_library(void) {
    static const char soname[] = "libopenblas.so.0";
    void *library = dlopen(soname, RTLD_NOW | RTLD_NOLOAD);
    if (library)
        return library;
    const char *core = fitting_core();
    bool set = core && !getenv("OPENBLAS_CORETYPE");
    if (set)
        setenv("OPENBLAS_CORETYPE", core, 1);
    library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (set)
        unsetenv("OPENBLAS_CORETYPE");
    return library;
}

/* Builds exist that compute wrong results on processors younger than they are: a few odd sizes decide. Small
 * integers are exact in any order of summation. */
#define DEFINE_CHECK(name, T, multiply, reference)                                                           \
    static bool name(int m, int n, int k, bool ta, bool tb) {                                                \
        static T a[MAX_CHECKED * MAX_CHECKED], b[MAX_CHECKED * MAX_CHECKED];                                 \
        static T got[MAX_CHECKED * MAX_CHECKED], want[MAX_CHECKED * MAX_CHECKED];                            \
        const int lda = ta ? m : k, ldb = tb ? k : n;                                                        \
        for (int i = 0; i < MAX_CHECKED * MAX_CHECKED; i++) {                                                \
            a[i] = (T)(i * 7 % 23 - 11);                                                                     \
            b[i] = (T)(i * 5 % 19 - 9);                                                                      \
            got[i] = want[i] = (T)(i % 3);                                                                   \
        }                                                                                                    \
        multiply(ROW_MAJOR, ta ? TRANS : NO_TRANS, tb ? TRANS : NO_TRANS, m, n, k, 2, a, lda, b, ldb, 1,     \
                 got, n);                                                                                    \
        reference(ta, tb, m, n, k, 2, a, lda, b, ldb, 1, want, n);                                           \
        for (int i = 0; i < m * n; i++)                                                                      \
            if (got[i] != want[i])                                                                           \
                return false;                                                                                \
        return true;                                                                                         \
    }
enum { MAX_CHECKED = 67 };
DEFINE_CHECK(float_is_right, float, blas.sgemm, cr_sgemm_reference)
DEFINE_CHECK(double_is_right, double, blas.dgemm, cr_dgemm_reference)

static bool computes_right(void) {
    static const int sizes[][3] = {{1, 1, 1}, {3, 17, 5}, {16, 64, 33}, {67, 66, 65}, {31, 1, 67}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int t = 0; t < 4; t++)
            if (!float_is_right(sizes[s][0], sizes[s][1], sizes[s][2], t & 1, t >> 1) ||
                !double_is_right(sizes[s][0], sizes[s][1], sizes[s][2], t & 1, t >> 1))
                return false;
    return true;
}

/* "SkylakeX", or "Haswell by OPENBLAS_CORETYPE, SkylakeX fits" where the user's choice is another. */
static void describe_core(const char *core, char *text, size_t bytes) {
    const char *fits = fitting_core();
    if (getenv("OPENBLAS_CORETYPE") && fits && strcasecmp(core, fits) != 0)
        snprintf(text, bytes, "%.30s by OPENBLAS_CORETYPE, %s fits", core, fits);
    else
        snprintf(text, bytes, "%.30s", core);
}

/* openblas_get_config begins with "OpenBLAS 0.3.21 ". */
static void describe(const char *config, const char *core) {
    char cores[80];
    int length = 0;
    describe_core(core, cores, sizeof cores);
    if (sscanf(config, "OpenBLAS %*s%n", &length) < 0 || length == 0 || length > 40)
        snprintf(blas.description, sizeof blas.description, "OpenBLAS (%s)", cores);
    else
        snprintf(blas.description, sizeof blas.description, "%.*s (%s)", length, config, cores);
}

static bool knows_avx512(const char *core) {
    static const char *const cores[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++)
        if (strcasecmp(core, cores[i]) == 0)
            return true;
    return false;
}

static void load(void) {
    const char *(*core_name)(void);
    const char *(*config)(void);
    void *library = cr_cpu_isa() == CR_ISA_PLAIN ? NULL : open_library();
    snprintf(blas.description, sizeof blas.description, "none (own kernels)");
    if (!library)
        return;
    find(library, "cblas_sgemm", &blas.sgemm);
    find(library, "cblas_dgemm", &blas.dgemm);
    find(library, "openblas_set_num_threads", &blas.set_threads);
    find(library, "openblas_get_num_threads", &blas.get_threads);
    find(library, "openblas_get_corename", &core_name);
    find(library, "openblas_get_config", &config);
    const bool whole =
        blas.sgemm && blas.dgemm && blas.set_threads && blas.get_threads && core_name && config;
    if (whole && computes_right()) {
        describe(config(), core_name());
        blas.wide = cr_cpu_isa() != CR_ISA_AVX512 || knows_avx512(core_name());
    } else {
        blas.sgemm = NULL;
    }
}

const char *cr_blas_description(void) {
    pthread_once(&once, load);
    return blas.description;
}

bool cr_blas_is_wide(void) {
    pthread_once(&once, load);
    return blas.wide;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int inside, host_threads;

void cr_blas_enter(void) {
    pthread_once(&once, load);
    pthread_mutex_lock(&mutex);
    if (inside++ == 0 && blas.sgemm) {
        host_threads = blas.get_threads();
        if (host_threads != 1)
            blas.set_threads(1);
    }
    pthread_mutex_unlock(&mutex);
}

void cr_blas_leave(void) {
    pthread_mutex_lock(&mutex);
    if (--inside == 0 && blas.sgemm && host_threads != 1)
        blas.set_threads(host_threads);
    pthread_mutex_unlock(&mutex);
}

static bool fits(int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldb, int64_t ldc) {
    return m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX &&
           ldc <= INT_MAX && m > 0 && n > 0 && k > 0;
}

bool cr_blas_sgemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                   int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    pthread_once(&once, load);
    if (!blas.sgemm || !fits(m, n, k, lda, ldb, ldc))
        return false;
    blas.sgemm(ROW_MAJOR, trans_a ? TRANS : NO_TRANS, trans_b ? TRANS : NO_TRANS, (int)m, (int)n, (int)k,
               alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
    return true;
}

bool cr_blas_dgemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
                   int64_t lda, const double *b, int64_t ldb, double beta, double *c, int64_t ldc) {
    pthread_once(&once, load);
    if (!blas.sgemm || !fits(m, n, k, lda, ldb, ldc))
        return false;
    blas.dgemm(ROW_MAJOR, trans_a ? TRANS : NO_TRANS, trans_b ? TRANS : NO_TRANS, (int)m, (int)n, (int)k,
               alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
    return true;
}
