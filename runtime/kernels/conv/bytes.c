#include "runtime/kernels/conv/bytes.h"

#include "runtime/base/cpu.h"
#include "runtime/base/mem.h"
#include "runtime/kernels/conv/bytes_depthwise.h"
#include "runtime/kernels/conv/bytes_direct.h"
#include "runtime/kernels/conv/execute.h"

static const cr_bytes_algorithm *const plain[] = {&cr_bytes_depthwise_plain, &cr_bytes_direct_plain, NULL};
#if defined __x86_64__ || defined __i386__
static const cr_bytes_algorithm *const avx512vnni[] = {&cr_bytes_depthwise_avx512vnni,
                                                       &cr_bytes_direct_avx512vnni, &cr_bytes_depthwise_plain,
                                                       &cr_bytes_direct_plain, NULL};
#endif

const cr_bytes_algorithm *const *cr_bytes_algorithms(void) {
#if defined __x86_64__ || defined __i386__
    if (cr_cpu_sums_bytes())
        return avx512vnni;
#endif
    return plain;
}

/* Each of the sum's products is -255 x 128 at worst, and so is each of what padding or a zero point leaves.
 */
static bool fits_sums(const cr_conv_geometry *g) {
    const int64_t most = INT32_MAX / (UINT8_MAX * -INT8_MIN);
    int64_t products = g->ic / g->groups;
    for (int axis = 0; axis < CR_CONV_RANK; axis++) {
        if (products > most || g->kernel[axis] > most)
            return false;
        products *= g->kernel[axis];
    }
    return products <= most;
}

const cr_bytes_algorithm *cr_bytes_choose(const cr_bytes_conv *conv, const char **why) {
    *why = "has sums of products that int32 may not hold";
    if (!fits_sums(&conv->geometry))
        return NULL;
    for (const cr_bytes_algorithm *const *list = cr_bytes_algorithms(); *list != NULL; list++) {
        *why = (*list)->refuses(conv);
        if (*why == NULL)
            return *list;
    }
    return NULL;
}

bool cr_bytes_plan_work(const cr_bytes_algorithm *algorithm, const cr_bytes_conv *conv, cr_bytes_work *work) {
    *work = (cr_bytes_work){.algorithm = algorithm, .conv = conv, .tasks = algorithm->tasks(conv)};
    return cr_conv_workspaces(algorithm->workspace_bytes(conv), conv->threads, &work->workspace_bytes);
}

typedef struct job {
    const cr_bytes_work *work;
    const cr_bytes_args *args;
    char *workspace;
    size_t step;
} job;

static void run_tasks(void *context, int64_t begin, int64_t end, int thread) {
    const job *j = context;
    const cr_bytes_work *work = j->work;
    work->algorithm->run(work->conv, j->args, begin, end, j->workspace + (size_t)thread * j->step);
}

void cr_bytes_execute(cr_pool *pool, const cr_bytes_work *work, const cr_bytes_args *args, void *workspace,
                      size_t workspace_bytes) {
    job j = {work, args, workspace, cr_conv_thread_step(workspace_bytes, work->conv->threads)};
    cr_parallel(pool, work->tasks, run_tasks, &j);
}
