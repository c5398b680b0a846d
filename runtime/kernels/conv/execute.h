#ifndef CREASE_RUNTIME_KERNELS_CONV_EXECUTE_H
#define CREASE_RUNTIME_KERNELS_CONV_EXECUTE_H

#include "runtime/base/threads.h"
#include "runtime/kernels/conv/conv.h"

/* A convolution by one of its algorithms, cut for conv->threads threads. */
typedef struct cr_conv_work {
    const cr_conv_algorithm *algorithm;
    const cr_conv *conv;
    int64_t tasks;
    size_t thread_bytes;    /* of a thread's workspace */
    size_t workspace_bytes; /* of all threads, to be aligned to 64 */
} cr_conv_work;

/* Workspaces of `bytes` for each thread, a cache line apart; false: larger than can be said. */
bool cr_conv_workspaces(size_t bytes, int threads, size_t *thread_bytes, size_t *workspace_bytes);

/* conv must outlive *work. False: the workspace is larger than can be said. */
bool cr_conv_plan_work(const cr_conv_algorithm *algorithm, const cr_conv *conv, cr_conv_work *work);

/* On a pool of that many threads. */
void cr_conv_execute(cr_pool *pool, const cr_conv_work *work, const cr_conv_args *args, void *workspace);

#endif
