/* Times matrix products of known networks by our own kernels, by OpenBLAS where it is installed, and as
 * cr_sgemm chooses.
 *
 *     gemm_bench [--seconds S]                                             (CREASE_CPU picks the kernels)
 *
 * For each shape the least time of interleaved runs, GFLOP/s, and for a single row the rate at which the
 * weights are read, which is what bounds it. --cold 1 clears the caches of the weights before each run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kernels/bench.h"
#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/gemm_kernels.h"

/* op(B) is [k][n], or stored [n][k] if trans_b. */
static const struct gemm_shape {
    const char *layer;
    int m, n, k;
    bool trans_b;
} shapes[] = {
    {"resnet50 classifier", 1, 1000, 2048, true},
    {"mobilenet_v2 classifier", 1, 1000, 1280, true},
    {"vgg16 first classifier", 1, 4096, 25088, true},
    {"vgg16 second classifier", 1, 4096, 4096, true},
    {"squeeze-excite", 1, 64, 256, true},
    {"classifier, B not transposed", 1, 1000, 2048, false},
    {"resnet50 classifier, batch 4", 4, 1000, 2048, true},
    {"resnet50 classifier, batch 16", 16, 1000, 2048, true},
    {"vgg16 second classifier, batch 8", 8, 4096, 4096, true},
    {"transformer projection", 128, 768, 768, false},
    {"transformer feed forward", 128, 3072, 768, false},
    {"transformer feed forward back", 128, 768, 3072, false},
    {"attention scores", 128, 128, 64, true},
    {"attention values", 128, 64, 128, false},
    {"im2col 3x3 64 at 56x56", 64, 3136, 576, false},
    {"im2col 3x3 256 at 14x14", 256, 196, 2304, false},
    {"1x1 512 at 7x7", 512, 49, 2048, false},
    {"square", 512, 512, 512, false},
    {"square", 1024, 1024, 1024, true},
};

typedef struct bench {
    const struct gemm_shape *shape;
    float *a, *b, *c;
    bool cold;
} bench;

static void own(const bench *b) {
    const struct gemm_shape *s = b->shape;
    const int ldb = s->trans_b ? s->k : s->n;
    cr_sgemm_kernel *multiply = cr_sgemm_generic;
#if defined __x86_64__
    multiply = cr_cpu_isa() == CR_ISA_AVX512 ? cr_sgemm_avx512
               : cr_cpu_isa() == CR_ISA_AVX2 ? cr_sgemm_avx2
                                             : cr_sgemm_generic;
#endif
    multiply(false, s->trans_b, s->m, s->n, s->k, 1, b->a, s->k, b->b, ldb, 0, b->c, s->n);
}

static void blas(const bench *b) {
    const struct gemm_shape *s = b->shape;
    const int ldb = s->trans_b ? s->k : s->n;
    if (!cr_blas_sgemm(false, s->trans_b, s->m, s->n, s->k, 1, b->a, s->k, b->b, ldb, 0, b->c, s->n))
        b->c[0] = 0; /* none: the time says so */
}

static void chosen(const bench *b) {
    const struct gemm_shape *s = b->shape;
    const int ldb = s->trans_b ? s->k : s->n;
    cr_sgemm(false, s->trans_b, s->m, s->n, s->k, 1, b->a, s->k, b->b, ldb, 0, b->c, s->n);
}

static double time_once(const bench *b, void (*run)(const bench *)) {
    if (b->cold)
        bench_clear_caches(b->b, (size_t)b->shape->n * (size_t)b->shape->k * sizeof *b->b);
    const double begin = cr_clock_seconds();
    run(b);
    return cr_clock_seconds() - begin;
}

static void bench_shape(bench *b, double seconds) {
    static void (*const runs[])(const bench *) = {own, blas, chosen};
    static const char *const names[] = {"own", "OpenBLAS", "chosen"};
    const struct gemm_shape *s = b->shape;
    double best[3] = {INFINITY, INFINITY, INFINITY};
    b->a = bench_floats((int64_t)s->m * s->k, 1);
    b->b = bench_floats((int64_t)s->n * s->k, 1);
    b->c = bench_floats((int64_t)s->m * s->n, 1);
    const double begin = cr_clock_seconds();
    for (int round = 0; round < 5 || cr_clock_seconds() - begin < seconds; round++)
        for (int i = 0; i < 3; i++)
            best[i] = fmin(best[i], time_once(b, runs[i]));
    printf("%-34s %4d x %4d x %5d %c", s->layer, s->m, s->n, s->k, s->trans_b ? 'T' : ' ');
    for (int i = 0; i < 3; i++) {
        printf("  %s %8.4f ms %6.1f GFLOP/s", names[i], best[i] * 1e3,
               2.0 * s->m * s->n * s->k / best[i] * 1e-9);
        if (s->m == 1)
            printf(" %5.1f GB/s", 4.0 * s->n * s->k / best[i] * 1e-9);
    }
    printf("\n");
    fflush(stdout);
    free(b->a);
    free(b->b);
    free(b->c);
}

int main(int argc, char **argv) {
    double seconds = 0.2;
    bench b = {0};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--cold") == 0)
            b.cold = atoi(argv[i + 1]) != 0;
        else
            argc = 0;
    }
    if (argc % 2 == 0) {
        fprintf(stderr, "usage: gemm_bench [--seconds S] [--cold 1]\n");
        return 2;
    }
    cr_blas_enter();
    printf("kernels %s, %s, 1 thread\n\n", cr_isa_name(cr_cpu_isa()), cr_blas_description());
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        b.shape = &shapes[i];
        bench_shape(&b, seconds);
    }
    cr_blas_leave();
    return 0;
}
