#include "runtime/ops/op.h"
#include "tests/runtime/halve.h"

#define cr_free criterion_free /* Criterion declares a function of this name, too */
#include <criterion/criterion.h>
#undef cr_free

enum { THREADS = 3 };

static crease_status halve_run(cr_run *run) {
    cr_parallel(run->pool, THREADS, halve, run->executor);
    return CREASE_ERROR_CANCELLED;
}

static void check(cr_pool *pool, const char *domain, float want) {
    const cr_op op = {.name = "Halve", .run = halve_run, .domain = domain};
    const cr_float_mode mode = cr_float_mode_get();
    float halves[THREADS] = {1, 1, 1};
    cr_run run = {.op = &op, .pool = pool, .executor = halves};
    cr_assert_eq(cr_op_run(&run), CREASE_ERROR_CANCELLED);
    cr_assert_eq(cr_float_mode_get(), mode);
    for (int t = 0; t < cr_pool_threads(pool); t++)
        cr_assert_eq(halves[t], want, "thread %d: %a", t, (double)halves[t]);
}

/* Those that ONNX defines keep them. */
Test(run, operators_of_lowered_models_take_subnormal_numbers_for_0) {
    const bool flushes = cr_float_mode_flushing(cr_float_mode_get()) != cr_float_mode_get();
    cr_heap *heap;
    cr_pool *pool;
    cr_assert_eq(cr_heap_create(NULL, 0, &heap), CREASE_OK);
    cr_assert_eq(cr_pool_create(heap, THREADS, &pool), CREASE_OK);
    for (int turn = 0; turn < 2; turn++) {
        check(pool, "crease", flushes ? 0 : 0x1p-127f);
        check(pool, NULL, 0x1p-127f);
    }
    check(NULL, "crease", flushes ? 0 : 0x1p-127f);
    cr_pool_destroy(pool);
    cr_heap_release(heap);
}
