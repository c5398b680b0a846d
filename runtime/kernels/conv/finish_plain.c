#include <string.h>

#include "runtime/kernels/blocked/blocked.h"
#include "runtime/kernels/conv/plain.h"

enum { MAX_LANES = 16 };

/* n values of one channel as vectors of "channels" that share one slope: the vector kernels then apply, and a
 * last incomplete vector goes through the same ones, so that a value does not depend on where it stands. */
static bool activate_by_vectors(const cr_activation *act, int64_t channel, int64_t n, float *y) {
    const cr_blocked_kernels *kernels = cr_blocked(cr_cpu_isa());
    if (!kernels || kernels->lanes > MAX_LANES)
        return false;
    cr_activation same = *act;
    if (act->kind == CR_ACT_PRELU)
        same = (cr_activation){.kind = CR_ACT_LEAKY_RELU, .a = act->slope[channel]};
    const int lanes = kernels->lanes;
    const int64_t whole = n / lanes;
    const cr_blocked_shape shape = {1, lanes, whole, lanes}, one = {1, lanes, 1, lanes};
    float last[MAX_LANES] = {0};
    kernels->activate(&shape, &same, y, y, 0, whole);
    memcpy(last, y + whole * lanes, (size_t)(n - whole * lanes) * sizeof *y);
    kernels->activate(&one, &same, last, last, 0, 1);
    memcpy(y + whole * lanes, last, (size_t)(n - whole * lanes) * sizeof *y);
    return true;
}

static void activate_f32(const cr_activation *act, int64_t channel, int64_t n, float *y) {
    if (act->kind == CR_ACT_NONE || activate_by_vectors(act, channel, n, y))
        return;
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)cr_activation_value(act, (double)y[i], channel);
}

static void activate_f64(const cr_activation *act, int64_t channel, int64_t n, double *y) {
    for (int64_t i = 0; act->kind != CR_ACT_NONE && i < n; i++)
        y[i] = cr_activation_value(act, y[i], channel);
}

#define DEFINE_FINISH(suffix, T)                                                                             \
    void cr_plain_finish_##suffix(const cr_plain_epilogue *e, int64_t channel, const T *residual, int64_t n, \
                                  T *y) {                                                                    \
        activate_##suffix(&e->act, channel, n, y);                                                           \
        for (int64_t i = 0; residual && i < n; i++)                                                          \
            y[i] += residual[i];                                                                             \
        activate_##suffix(&e->act_after, channel, n, y);                                                     \
    }
DEFINE_FINISH(f32, float)
DEFINE_FINISH(f64, double)
