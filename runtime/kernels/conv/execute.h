#ifndef CREASE_RUNTIME_KERNELS_CONV_EXECUTE_H
#define CREASE_RUNTIME_KERNELS_CONV_EXECUTE_H

#include "runtime/base/threads.h"
#include "runtime/kernels/conv/conv.h"

/* A convolution by one of its algorithms, cut for conv->threads threads. */
typedef struct cr_conv_work {
    const cr_conv_algorithm *algorithm;
    const cr_conv *conv;
    int64_t tasks;
    size_t workspace_bytes; /* of all threads, to be aligned to 64 */
} cr_conv_work;

/* Of parts of `bytes` for each thread, aligned to cache lines; false: larger than can be said. */
bool cr_conv_workspaces(size_t bytes, int threads, size_t *workspace_bytes);

/* Bytes from one thread's part of a workspace to the next: steps that share a workspace, whatever of it they
 * need, give a thread the same memory. It stays in its cache, where otherwise another's would have to fetch
 * it to overwrite it: that took a third of the time of layers with a prologue on cores without a common
 * cache. */
size_t cr_conv_thread_step(size_t workspace_bytes, int threads);

/* conv must outlive *work. False: the workspace is larger than can be said. */
bool cr_conv_plan_work(const cr_conv_algorithm *algorithm, const cr_conv *conv, cr_conv_work *work);

/* On a pool of that many threads. The workspace has at least work->workspace_bytes. */
void cr_conv_execute(cr_pool *pool, const cr_conv_work *work, const cr_conv_args *args, void *workspace,
                     size_t workspace_bytes);

#endif
