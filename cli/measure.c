#include "cli/measure.h"
#include "cli/interrupt.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

double measure_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int run_timed(crease_session *session, double *ms) {
    double begin = measure_now();
    crease_status status = interrupt_run(session);
    *ms = 1e3 * (measure_now() - begin);
    return status ? fail_status(status) : CLI_OK;
}

/* Caches, branch predictors, the first run's planning, a processor that has to clock up: two runs each and a
 * tenth of a second altogether. */
static int warm_up(crease_session *const *sessions, int n) {
    double ms, begin = measure_now();
    for (int round = 0; round < 2 || measure_now() - begin < 0.1; round++)
        for (int i = 0; i < n; i++) {
            int code = run_timed(sessions[i], &ms);
            if (code)
                return code;
        }
    return CLI_OK;
}

static void append(series *s, double ms) {
    s->ms = memory_grow(s->ms, &s->capacity, s->n + 1, sizeof *s->ms);
    s->ms[s->n++] = ms;
}

static bool is_done(const measure_plan *plan, size_t round, double begin) {
    if (plan->runs)
        return round >= (size_t)plan->runs;
    return round >= MEASURE_MIN_RUNS && measure_now() - begin >= plan->seconds;
}

/* Between rounds, never within a timed region. */
static void show_progress(size_t round, double begin) {
    static double last;
    double now = measure_now();
    if (now - last < 0.2 || note_is_quiet() || !isatty(STDERR_FILENO))
        return;
    last = now;
    fprintf(stderr, "\rround %zu, %.0f s", round, now - begin);
}

static void end_progress(void) {
    if (!note_is_quiet() && isatty(STDERR_FILENO))
        fputs("\r                              \r", stderr);
}

int measure_interleaved(crease_session *const *sessions, int n, const measure_plan *plan, series *out) {
    int code = warm_up(sessions, n);
    note_flush();
    double begin = measure_now();
    for (size_t round = 0; !code && !is_done(plan, round, begin); round++) {
        for (int i = 0; !code && i < n; i++) {
            int which = round % 2 ? n - 1 - i : i;
            double ms;
            code = run_timed(sessions[which], &ms);
            if (!code)
                append(&out[which], ms);
        }
        show_progress(round, begin);
    }
    end_progress();
    return code;
}
