#include "include/crease/crease.h"
#include "runtime/base/clock.h"
#include "runtime/base/structs.h"
#include "runtime/base/threads.h"
#include "runtime/kernels/peak.h"

#include <math.h>

/* What this machine can do at most, at this moment. */

enum { MIN_SWEEPS = 5 };
static const double SWEEP_SECONDS = 0.03;

typedef struct measuring {
    cr_pool *pool;
    cr_heap *heap;
    float *block;
    int64_t n; /* floats in it */
    double *flops;
} measuring;

static void peak_of_thread(void *context, int64_t begin, int64_t end, int thread) {
    const measuring *m = context;
    (void)begin, (void)end;
    m->flops[thread] = cr_peak_flops(cr_cpu_isa());
}

static void sweep(void *context, int64_t begin, int64_t end, int thread) {
    const measuring *m = context;
    (void)thread;
    cr_peak_sweep(cr_cpu_isa(), m->block, begin, end);
}

static crease_status measure_flops(measuring *m, double *gflops) {
    const int threads = cr_pool_threads(m->pool);
    void *block;
    CR_TRY(cr_alloc_zeroed(m->heap, (size_t)threads * sizeof *m->flops, &block));
    m->flops = block;
    cr_parallel(m->pool, threads, peak_of_thread, m);
    *gflops = 0;
    for (int t = 0; t < threads; t++)
        *gflops += 1e-9 * m->flops[t];
    cr_free(m->heap, block);
    return CREASE_OK;
}

static crease_status measure_bandwidth(measuring *m, size_t bytes, double *gb_per_second) {
    void *block;
    CR_TRY(cr_alloc_zeroed(m->heap, bytes, &block));
    m->block = block;
    m->n = (int64_t)(bytes / sizeof(float));
    double best = INFINITY, begin = cr_clock_seconds();
    for (int round = 0; round < MIN_SWEEPS || cr_clock_seconds() - begin < SWEEP_SECONDS; round++) {
        const double start = cr_clock_seconds();
        cr_parallel_grain(m->pool, m->n, 4096, sweep, m);
        best = fmin(best, cr_clock_seconds() - start);
    }
    *gb_per_second = 2e-9 * (double)bytes / best;
    cr_free(m->heap, block);
    return CREASE_OK;
}

static crease_status measure(cr_heap *heap, int threads, size_t block_bytes, crease_machine *machine) {
    measuring m = {.heap = heap};
    CR_TRY(cr_pool_create(heap, threads, &m.pool));
    crease_status status = measure_flops(&m, &machine->gflops);
    if (status == CREASE_OK && block_bytes >= sizeof(float))
        status = measure_bandwidth(&m, block_bytes, &machine->gb_per_second);
    cr_pool_destroy(m.pool);
    return status;
}

crease_status crease_measure_machine(int threads, size_t block_bytes, crease_machine *machine) {
    cr_heap *heap;
    if (!machine)
        return cr_fail(CREASE_ERROR_ARGUMENT, "crease_measure_machine: machine must not be NULL");
    crease_machine full = {0};
    CR_TRY(cr_heap_create(NULL, 0, &heap));
    crease_status status = measure(heap, threads, block_bytes, &full);
    cr_heap_release(heap);
    cr_struct_give(machine, &full, sizeof full);
    return status;
}
