#include "cli/steps.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double seconds_of(const crease_step *step) {
    return step->n_runs ? step->seconds / (double)step->n_runs : 0;
}

void steps_write(json *j, const char *key, crease_session *session) {
    crease_step step = {.struct_size = sizeof step};
    json_begin_array(j, key);
    for (size_t i = 0; crease_session_step_at(session, i, &step); i++) {
        json_begin_object(j, NULL);
        json_text(j, "node", step.node);
        json_text(j, "op", step.op_type);
        json_text(j, "algorithm", step.algorithm);
        json_text(j, "note", step.note);
        if (step.macs >= 0)
            json_integer(j, "macs", step.macs);
        else
            json_null(j, "macs");
        json_integer(j, "runs", step.n_runs);
        json_number(j, "ms", 1e3 * seconds_of(&step));
        json_end_object(j);
    }
    json_end_array(j);
}

static int by_seconds(const void *a, const void *b) {
    double x = ((const crease_step *)a)->seconds, y = ((const crease_step *)b)->seconds;
    return (x < y) - (x > y);
}

static void add_step(table *out, const crease_step *step, double all) {
    double seconds = seconds_of(step);
    table_cell(out, "%.4f", 1e3 * seconds);
    table_cell(out, "%.1f %%", all > 0 ? 100 * seconds / all : 0);
    if (step->macs > 0 && seconds > 0)
        table_cell(out, "%.1f", 2e-9 * (double)step->macs / seconds);
    else
        table_cell(out, "-");
    table_cell(out, "%s", step->op_type);
    table_cell(out, "%s", step->algorithm);
    table_cell(out, "%s", step->node);
    table_cell(out, "%s", step->note);
}

void steps_print(crease_session *session, size_t limit) {
    static const char *const headers[] = {">ms",       ">share", ">GFLOP/s", "operator",
                                          "algorithm", "node",   "note",     NULL};
    size_t n = crease_session_n_steps(session);
    crease_step *steps = memory_take(n, sizeof *steps);
    double all = 0;
    for (size_t i = 0; i < n; i++) {
        steps[i].struct_size = sizeof *steps;
        crease_session_step_at(session, i, &steps[i]);
        all += seconds_of(&steps[i]);
    }
    qsort(steps, n, sizeof *steps, by_seconds);
    table out;
    table_begin(&out, headers);
    for (size_t i = 0; i < n; i++)
        add_step(&out, &steps[i], all);
    table_print(&out, limit);
    if (n > limit)
        printf("... and %zu steps more\n", n - limit);
    free(steps);
}
