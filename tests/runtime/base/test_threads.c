#include "runtime/base/threads.h"
#include "tests/runtime/halve.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free
#include <limits.h>
#include <string.h>

enum { N = 1000 };

typedef struct visits {
    unsigned char seen[N]; /* written by one thread each: no atomics needed if ranges are apart */
    int threads;
    atomic_int ranges, strange;
    int64_t grain;
} visits;

static void visit(void *context, int64_t begin, int64_t end, int thread) {
    visits *v = context;
    atomic_fetch_add(&v->ranges, 1);
    if (thread < 0 || thread >= v->threads || begin >= end || (end - begin < v->grain && end - begin < N))
        atomic_fetch_add(&v->strange, 1);
    for (int64_t i = begin; i < end; i++)
        v->seen[i]++;
}

static void check(cr_pool *pool, int64_t n, int64_t grain) {
    visits v = {.threads = cr_pool_threads(pool), .grain = n < grain ? 0 : grain};
    cr_parallel_grain(pool, n, grain, visit, &v);
    cr_assert_eq(v.strange, 0, "n %d, grain %d", (int)n, (int)grain);
    cr_assert_leq(v.ranges, cr_pool_threads(pool));
    for (int64_t i = 0; i < N; i++)
        cr_assert_eq(v.seen[i], i < n, "n %d, grain %d: %d", (int)n, (int)grain, (int)i);
}

Test(threads, every_item_once_whatever_the_numbers) {
    cr_heap *heap;
    cr_assert_eq(cr_heap_create(NULL, 0, &heap), CREASE_OK);
    for (int threads = 1; threads <= 5; threads++) {
        cr_pool *pool;
        cr_assert_eq(cr_pool_create(heap, threads, &pool), CREASE_OK);
        cr_assert_eq(cr_pool_threads(pool), threads);
        for (int64_t n = 0; n <= N; n = n < 12 ? n + 1 : 3 * n)
            for (int64_t grain = 1; grain <= 1000; grain *= 10)
                check(pool, n, grain);
        check(pool, N, 1);
        cr_pool_destroy(pool);
    }
    check(NULL, N, 1);
    cr_pool_destroy(NULL);
    cr_assert_eq(cr_heap_used(heap), 0);
    cr_heap_release(heap);
}

Test(threads, none_is_one_for_each_core_and_impossible_numbers_are_refused) {
    static const int wrong[] = {-1, INT_MIN, CR_MOST_THREADS + 1, INT_MAX};
    cr_heap *heap;
    cr_pool *pool;
    cr_assert_eq(cr_heap_create(NULL, 0, &heap), CREASE_OK);
    cr_assert_eq(cr_pool_create(heap, 0, &pool), CREASE_OK);
    cr_assert_eq(cr_pool_threads(pool), cr_cpu_count());
    cr_pool_destroy(pool);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_eq(cr_pool_create(heap, wrong[i], &pool), CREASE_ERROR_ARGUMENT);
        cr_assert_null(pool);
    }
    cr_assert_eq(cr_heap_used(heap), 0);
    cr_heap_release(heap);
}

static void add(void *context, int64_t begin, int64_t end, int thread) {
    int64_t *sums = context;
    for (int64_t i = begin; i < end; i++)
        sums[thread * 16] += i;
}

/* Work handed over in quick succession, some of it after the workers have gone to sleep. */
Test(threads, nothing_is_lost_between_many_short_tasks) {
    cr_heap *heap;
    cr_pool *pool;
    int64_t sums[4 * 16] = {0}, total = 0;
    cr_assert_eq(cr_heap_create(NULL, 0, &heap), CREASE_OK);
    cr_assert_eq(cr_pool_create(heap, 4, &pool), CREASE_OK);
    for (int i = 0; i < 2000; i++)
        cr_parallel(pool, 100, add, sums);
    for (int t = 0; t < 4; t++)
        total += sums[t * 16];
    cr_assert_eq(total, 2000 * 4950);
    cr_pool_destroy(pool);
    cr_heap_release(heap);
}

static void check_halves(cr_pool *pool, cr_float_mode mode, float want) {
    const cr_float_mode usual = cr_float_mode_get();
    float halves[4] = {1, 1, 1, 1};
    cr_float_mode_set(mode);
    cr_parallel(pool, 4, halve, halves);
    cr_float_mode_set(usual); /* in which a subnormal number is not equal to 0 */
    for (int t = 0; t < 4; t++)
        cr_assert_eq(halves[t], want, "thread %d: %a", t, (double)halves[t]);
}

/* Workers start in the mode of whoever made the pool; that is another one in the second turn. */
Test(threads, workers_compute_in_the_mode_of_the_caller) {
    const cr_float_mode usual = cr_float_mode_get(), flushing = cr_float_mode_flushing(usual);
    cr_heap *heap;
    cr_pool *pool;
    cr_assert_eq(cr_heap_create(NULL, 0, &heap), CREASE_OK);
    for (int turn = 0; turn < 2; turn++) {
        cr_float_mode_set(turn == 0 ? usual : flushing);
        cr_assert_eq(cr_pool_create(heap, 4, &pool), CREASE_OK);
        cr_float_mode_set(usual);
        check_halves(pool, usual, 0x1p-127f);
        check_halves(pool, flushing, flushing == usual ? 0x1p-127f : 0);
        check_halves(pool, usual, 0x1p-127f);
        cr_pool_destroy(pool);
    }
    cr_heap_release(heap);
}

Test(threads, there_is_a_processor) {
    cr_assert_geq(cr_cpu_count(), 1);
}
