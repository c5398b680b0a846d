#include "runtime/ops/blocked.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free

#include "tests/runtime/kernels/guard.h"

enum { MOST_UNITS = 3 * 7 * 300 };

/* Written by one thread each, if ranges are apart. */
typedef struct visits {
    int by[MOST_UNITS], times[MOST_UNITS];
} visits;

static void visit(void *context, int64_t begin, int64_t end, int thread) {
    visits *v = context;
    for (int64_t i = begin; i < end; i++) {
        v->by[i] = thread;
        v->times[i]++;
    }
}

static void check_units(cr_pool *pool, const cr_blocked_units *units) {
    static visits v;
    const int64_t planes = units->images * units->blocks, n = planes * units->units;
    memset(&v, 0, sizeof v);
    cr_blocked_parallel(pool, units, random_int(1, 50), visit, &v);
    for (int64_t i = 0; i < MOST_UNITS; i++)
        cr_assert_eq(v.times[i], i < n, "unit %d of %d", (int)i, (int)n);
    if (cr_conv_strips(units->images, units->units, 2 * units->unit_bytes, cr_pool_threads(pool)) == 1)
        return;
    for (int64_t i = 0; i < n; i++) {
        const int64_t image = i / units->units / units->blocks;
        cr_assert_eq(v.by[i], v.by[image * units->blocks * units->units + i % units->units],
                     "a thread has other rows of plane %d than of the image's first",
                     (int)(i / units->units));
    }
}

Test(blocked, threads_visit_every_unit_once_and_the_same_rows_of_all_planes) {
    cr_heap *heap;
    test_seed();
    cr_assert_eq(cr_heap_create(NULL, 0, &heap), CREASE_OK);
    for (int threads = 1; threads <= 5; threads++) {
        cr_pool *pool;
        cr_assert_eq(cr_pool_create(heap, threads, &pool), CREASE_OK);
        for (int i = 0; i < 200; i++) {
            const cr_blocked_units units = {random_int(0, 3), random_int(1, 7), random_int(0, 300),
                                            64 * random_int(1, 40)};
            check_units(pool, &units);
        }
        cr_pool_destroy(pool);
    }
    cr_heap_release(heap);
}
