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
 * tenth of a second altogether. *slowest_ms: of all sessions, the longest last run. */
static int warm_up(crease_session *const *sessions, int n, double *slowest_ms) {
    const double begin = measure_now();
    for (int round = 0; round < 2 || measure_now() - begin < 0.1; round++) {
        *slowest_ms = 0;
        for (int i = 0; i < n; i++) {
            double ms;
            int code = run_timed(sessions[i], &ms);
            if (code)
                return code;
            *slowest_ms = ms > *slowest_ms ? ms : *slowest_ms;
        }
    }
    return CLI_OK;
}

/* Measured runs of a turn: long enough that the unmeasured one before them costs little, in turns enough for
 * the interval that is drawn from them. */
static size_t turn_runs(const measure_plan *plan, double run_ms) {
    enum { TURN_MS = 20, MOST_RUNS = 16, TURNS = 20 };
    const double fit = TURN_MS / run_ms;
    const size_t runs = fit > MOST_RUNS ? MOST_RUNS : (size_t)fit, most = (size_t)plan->runs / TURNS;
    if (plan->runs && runs > most)
        return most ? most : 1;
    return runs ? runs : 1;
}

static void append(series *s, double ms) {
    s->ms = memory_grow(s->ms, &s->capacity, s->n + 1, sizeof *s->ms);
    s->ms[s->n++] = ms;
}

static bool is_done(const measure_plan *plan, const series *s, double begin) {
    if (plan->runs)
        return s->n >= (size_t)plan->runs;
    return s->n >= MEASURE_MIN_TURNS * s->turn && measure_now() - begin >= plan->seconds;
}

/* Appends a turn, or as much of it as makes `most` runs (0: there is no limit). */
static int measure_turn(crease_session *session, size_t most, series *out) {
    double ms;
    int code = run_timed(session, &ms);
    for (size_t i = 0; !code && i < out->turn && (!most || out->n < most); i++) {
        code = run_timed(session, &ms);
        if (!code)
            append(out, ms);
    }
    return code;
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
    double run_ms = 0;
    int code = warm_up(sessions, n, &run_ms);
    for (int i = 0; i < n; i++)
        out[i].turn = turn_runs(plan, run_ms);
    note_flush();
    const double begin = measure_now();
    for (size_t round = 0; !code && !is_done(plan, &out[0], begin); round++) {
        for (int i = 0; !code && i < n; i++) {
            int which = round % 2 ? n - 1 - i : i;
            code = measure_turn(sessions[which], (size_t)plan->runs, &out[which]);
        }
        show_progress(round, begin);
    }
    end_progress();
    return code;
}
