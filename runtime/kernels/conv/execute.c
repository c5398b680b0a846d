#include "runtime/kernels/conv/execute.h"

bool cr_conv_workspaces(size_t bytes, int threads, size_t *workspace_bytes) {
    size_t part;
    return cr_add_size(bytes, CR_ALIGNMENT - 1, &part) &&
           cr_mul_size(part / CR_ALIGNMENT * CR_ALIGNMENT, (size_t)threads, workspace_bytes);
}

size_t cr_conv_thread_step(size_t workspace_bytes, int threads) {
    return workspace_bytes / (size_t)threads / CR_ALIGNMENT * CR_ALIGNMENT;
}

bool cr_conv_plan_work(const cr_conv_algorithm *algorithm, const cr_conv *conv, cr_conv_work *work) {
    *work = (cr_conv_work){.algorithm = algorithm, .conv = conv, .tasks = algorithm->tasks(conv)};
    return cr_conv_workspaces(algorithm->workspace_bytes(conv), conv->threads, &work->workspace_bytes);
}

typedef struct job {
    const cr_conv_work *work;
    const cr_conv_args *args;
    char *workspace;
    size_t step;
} job;

static void run_tasks(void *context, int64_t begin, int64_t end, int thread) {
    const job *j = context;
    const cr_conv_work *work = j->work;
    work->algorithm->run(work->conv, j->args, begin, end, j->workspace + (size_t)thread * j->step);
}

void cr_conv_execute(cr_pool *pool, const cr_conv_work *work, const cr_conv_args *args, void *workspace,
                     size_t workspace_bytes) {
    job j = {work, args, workspace, cr_conv_thread_step(workspace_bytes, work->conv->threads)};
    cr_parallel(pool, work->tasks, run_tasks, &j);
}
