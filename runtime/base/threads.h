#ifndef CREASE_RUNTIME_BASE_THREADS_H
#define CREASE_RUNTIME_BASE_THREADS_H

#include "runtime/base/mem.h"

/* A pool of worker threads for one session. Work is split statically, so that which thread does what never
 * depends on timing; results must not depend on the number of threads either: a task writes what no other
 * task writes. */
typedef struct cr_pool cr_pool;

enum { CR_MOST_THREADS = 1024 };

/* threads counts the calling thread; 1 makes no worker, 0 is one for each core. Fails with ARGUMENT below
 * that and above CR_MOST_THREADS, MEMORY. */
crease_status cr_pool_create(cr_heap *heap, int threads, cr_pool **pool) CREASE_MUST_TEST;
void cr_pool_destroy(cr_pool *pool);      /* NULL is fine */
int cr_pool_threads(const cr_pool *pool); /* NULL: 1 */

/* Run body(context, begin, end, thread) over [0, n), cut into at most cr_pool_threads() contiguous ranges,
 * thread < that number; returns when all are done. pool NULL or n < 2: in the calling thread. All compute in
 * the calling thread's floating-point mode (float_mode.h). Not reentrant. */
typedef void cr_task(void *context, int64_t begin, int64_t end, int thread);
void cr_parallel(cr_pool *pool, int64_t n, cr_task *body, void *context);

/* The same with ranges of at least `grain`, for cheap items: grain is how many items are worth a thread. */
void cr_parallel_grain(cr_pool *pool, int64_t n, int64_t grain, cr_task *body, void *context);

/* Cores that this process may run on; at least 1. */
int cr_cpu_count(void);

#endif
