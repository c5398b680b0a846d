#include "runtime/kernels/conv/execute.h"

bool cr_conv_workspaces(size_t bytes, int threads, size_t *thread_bytes, size_t *workspace_bytes) {
    if (!cr_add_size(bytes, CR_ALIGNMENT - 1, thread_bytes))
        return false;
    *thread_bytes = *thread_bytes / CR_ALIGNMENT * CR_ALIGNMENT;
    return cr_mul_size(*thread_bytes, (size_t)threads, workspace_bytes);
}

bool cr_conv_plan_work(const cr_conv_algorithm *algorithm, const cr_conv *conv, cr_conv_work *work) {
    *work = (cr_conv_work){.algorithm = algorithm, .conv = conv, .tasks = algorithm->tasks(conv)};
    return cr_conv_workspaces(algorithm->workspace_bytes(conv), conv->threads, &work->thread_bytes,
                              &work->workspace_bytes);
}

typedef struct job {
    const cr_conv_work *work;
    const cr_conv_args *args;
    char *workspace;
} job;

static void run_tasks(void *context, int64_t begin, int64_t end, int thread) {
    const job *j = context;
    const cr_conv_work *work = j->work;
    work->algorithm->run(work->conv, j->args, begin, end, j->workspace + (size_t)thread * work->thread_bytes);
}

void cr_conv_execute(cr_pool *pool, const cr_conv_work *work, const cr_conv_args *args, void *workspace) {
    job j = {work, args, workspace};
    cr_parallel(pool, work->tasks, run_tasks, &j);
}
