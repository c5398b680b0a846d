#define _GNU_SOURCE
#include "runtime/base/threads.h"
#include "runtime/base/float_mode.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

/* How long a worker looks for new work before it sleeps: longer than the gap between two layers, shorter than
 * anything a user would notice as a busy core. */
enum { SPINS = 4000 };

typedef struct worker {
    cr_pool *pool;
    pthread_t thread;
    int index;
} worker;

/* What passes between threads at every call shares one cache line: fetching one from another core costs a
 * tenth of a microsecond and more. */
struct cr_pool {
    _Alignas(CR_ALIGNMENT) cr_task *body;
    void *context;
    int64_t n;
    cr_float_mode mode; /* of the thread that has the work done */
    int ranges;
    bool stop;
    atomic_uint generation; /* changes when there is new work */
    atomic_int pending;     /* workers that have not finished the current work */
    atomic_int sleepers;
    _Alignas(CR_ALIGNMENT) cr_heap *heap;
    int threads;
    worker *workers; /* [threads - 1] */
    int n_started;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void run_range(const cr_pool *pool, int index) {
    int64_t begin = pool->n * index / pool->ranges, end = pool->n * (index + 1) / pool->ranges;
    if (begin < end)
        pool->body(pool->context, begin, end, index);
}

static void wait_for_work(cr_pool *pool, unsigned seen) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->generation, memory_order_acquire) != seen)
            return;
        relax();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *argument) {
    worker *self = argument;
    cr_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        wait_for_work(pool, seen);
        seen++;
        if (pool->stop)
            return NULL;
        if (self->index < pool->ranges) {
            cr_float_mode_set(pool->mode);
            run_range(pool, self->index);
        }
        atomic_fetch_sub_explicit(&pool->pending, 1, memory_order_release);
    }
}

/* Let every worker see the next generation. */
static void announce(cr_pool *pool) {
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_seq_cst);
    if (atomic_load(&pool->sleepers)) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->mutex);
    }
}

crease_status cr_pool_create(cr_heap *heap, int threads, cr_pool **pool) {
    void *block;
    *pool = NULL;
    if (threads < 0 || threads > CR_MOST_THREADS)
        return cr_fail(CREASE_ERROR_ARGUMENT, "%d threads are asked for, possible are 0 to %d", threads,
                       CR_MOST_THREADS);
    CR_TRY(cr_alloc_zeroed(heap, sizeof(cr_pool), &block));
    cr_pool *p = block;
    p->heap = heap;
    p->threads = threads == 0 ? cr_cpu_count() : threads;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->wake, NULL);
    crease_status status = cr_alloc_zeroed(heap, (size_t)p->threads * sizeof(worker), &block);
    p->workers = block;
    for (int i = 0; status == CREASE_OK && i + 1 < p->threads; i++) {
        p->workers[i] = (worker){.pool = p, .index = i + 1};
        if (pthread_create(&p->workers[i].thread, NULL, work, &p->workers[i]) != 0)
            status = cr_fail(CREASE_ERROR_MEMORY, "thread %d of %d cannot be started", i + 2, p->threads);
        else
            p->n_started++;
    }
    if (status == CREASE_OK)
        *pool = p;
    else
        cr_pool_destroy(p);
    return status;
}

void cr_pool_destroy(cr_pool *pool) {
    if (!pool)
        return;
    pool->stop = true;
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->generation, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->n_started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    cr_free(pool->heap, pool->workers);
    cr_free(pool->heap, pool);
}

int cr_pool_threads(const cr_pool *pool) {
    return pool ? pool->threads : 1;
}

void cr_parallel_grain(cr_pool *pool, int64_t n, int64_t grain, cr_task *body, void *context) {
    if (n <= 0)
        return;
    int64_t ranges = grain > 0 ? n / grain : n;
    if (!pool || pool->threads == 1 || ranges < 2) {
        body(context, 0, n, 0);
        return;
    }
    pool->body = body;
    pool->context = context;
    pool->n = n;
    pool->mode = cr_float_mode_get();
    pool->ranges = ranges < pool->threads ? (int)ranges : pool->threads;
    atomic_store_explicit(&pool->pending, pool->n_started, memory_order_relaxed);
    announce(pool);
    run_range(pool, 0);
    for (int i = 0; atomic_load_explicit(&pool->pending, memory_order_acquire); i++) {
        relax();
        if (i > SPINS)
            sched_yield();
    }
}

void cr_parallel(cr_pool *pool, int64_t n, cr_task *body, void *context) {
    cr_parallel_grain(pool, n, 1, body, context);
}

int cr_cpu_count(void) {
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}
