#include "cli/steps.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double flops_of(const crease_step *step) {
    return step->macs > 0 ? 2 * (double)step->macs : 0;
}

/* What a step takes apart from the steps of its body, which come behind it. */
static void leave_bodies_out(crease_step *steps, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n && steps[k].depth > steps[i].depth; k++)
            if (steps[k].depth == steps[i].depth + 1)
                steps[i].best_seconds = fmax(0, steps[i].best_seconds - steps[k].best_seconds);
}

/* All steps; free() them. */
static crease_step *steps_of(crease_session *session, size_t *n) {
    *n = crease_session_n_steps(session);
    crease_step *steps = memory_take(*n, sizeof *steps);
    for (size_t i = 0; i < *n; i++) {
        steps[i].struct_size = sizeof *steps;
        crease_session_step_at(session, i, &steps[i]);
    }
    return steps;
}

/* ---- JSON ---- */

static void write_rate(json *j, const crease_step *step, const crease_machine *machine) {
    const double gflops = 1e-9 * flops_of(step) / step->best_seconds;
    if (step->macs >= 0)
        json_integer(j, "macs", step->macs);
    else
        json_null(j, "macs");
    json_number(j, "gflops", step->macs > 0 ? gflops : NAN);
    json_number(j, "of_peak", step->macs > 0 && machine ? gflops / machine->gflops : NAN);
}

void steps_write(json *j, const char *key, crease_session *session, const crease_machine *machine) {
    size_t n;
    crease_step *steps = steps_of(session, &n);
    json_begin_array(j, key);
    for (const crease_step *step = steps; step < steps + n; step++) {
        json_begin_object(j, NULL);
        json_text(j, "node", step->node);
        json_integer(j, "depth", step->depth);
        json_text(j, "op", step->op_type);
        json_text(j, "algorithm", step->algorithm);
        json_text(j, "note", step->note);
        json_text(j, "refused", step->refused);
        write_rate(j, step, machine);
        json_integer(j, "runs", step->n_runs);
        json_number(j, "ms", 1e3 * step->best_seconds);
        json_number(j, "mean_ms", step->n_runs ? 1e3 * step->seconds / (double)step->n_runs : 0);
        json_end_object(j);
    }
    json_end_array(j);
    free(steps);
}

/* ---- tables ---- */

/* The end of a name says more than its begin. */
static void cell_end(table *out, const char *text, size_t width) {
    const size_t length = strlen(text);
    if (length <= width)
        table_cell(out, "%s", text);
    else
        table_cell(out, "..%s", text + length - width + 2);
}

static void cell_begin(table *out, const char *text, size_t width) {
    if (strlen(text) <= width)
        table_cell(out, "%s", text);
    else
        table_cell(out, "%.*s..", (int)width - 2, text);
}

static void cell_rates(table *out, double flops, double seconds, const crease_machine *machine) {
    if (flops > 0 && seconds > 0) {
        table_cell(out, "%.1f", 1e-9 * flops / seconds);
        table_cell(out, "%.0f %%", 1e-7 * flops / seconds / machine->gflops);
    } else {
        table_cell(out, "-");
        table_cell(out, "-");
    }
}

static int by_seconds(const void *a, const void *b) {
    double x = ((const crease_step *)a)->best_seconds, y = ((const crease_step *)b)->best_seconds;
    return (x < y) - (x > y);
}

/* Widths that keep a line within 120 columns. */
enum { NODE_WIDTH = 34, NOTE_WIDTH = 28 };

static void print_steps(const crease_step *steps, size_t n, double all, const crease_machine *machine,
                        size_t limit) {
    static const char *const headers[] = {">ms",       ">share", ">GFLOP/s", ">of peak", "operator",
                                          "algorithm", "node",   "fused",    NULL};
    table out;
    table_begin(&out, headers);
    for (const crease_step *step = steps; step < steps + n; step++) {
        table_cell(&out, "%.4f", 1e3 * step->best_seconds);
        table_cell(&out, "%.1f %%", all > 0 ? 100 * step->best_seconds / all : 0);
        cell_rates(&out, flops_of(step), step->best_seconds, machine);
        table_cell(&out, "%s", step->op_type);
        table_cell(&out, "%s", step->algorithm);
        cell_end(&out, step->node, limit ? NODE_WIDTH : strlen(step->node));
        cell_begin(&out, step->note, limit ? NOTE_WIDTH : strlen(step->note));
    }
    table_print(&out, limit);
    if (limit && n > limit)
        printf("... and %zu steps more\n", n - limit);
}

typedef struct step_sum {
    const char *op_type, *algorithm;
    double seconds, flops;
    int n;
} step_sum;

static step_sum *find_sum(step_sum *sums, size_t *n, const crease_step *step) {
    for (size_t i = 0; i < *n; i++)
        if (strcmp(sums[i].op_type, step->op_type) == 0 && strcmp(sums[i].algorithm, step->algorithm) == 0)
            return &sums[i];
    sums[*n] = (step_sum){step->op_type, step->algorithm, 0, 0, 0};
    return &sums[(*n)++];
}

static int sum_by_seconds(const void *a, const void *b) {
    double x = ((const step_sum *)a)->seconds, y = ((const step_sum *)b)->seconds;
    return (x < y) - (x > y);
}

static void print_sums(const crease_step *steps, size_t n, double all, const crease_machine *machine) {
    static const char *const headers[] = {">ms",    ">share",   ">GFLOP/s",  ">of peak",
                                          ">steps", "operator", "algorithm", NULL};
    step_sum *sums = memory_take(n, sizeof *sums);
    size_t n_sums = 0;
    for (const crease_step *step = steps; step < steps + n; step++) {
        step_sum *sum = find_sum(sums, &n_sums, step);
        sum->seconds += step->best_seconds;
        sum->flops += flops_of(step);
        sum->n++;
    }
    qsort(sums, n_sums, sizeof *sums, sum_by_seconds);
    table out;
    table_begin(&out, headers);
    for (const step_sum *sum = sums; sum < sums + n_sums; sum++) {
        table_cell(&out, "%.4f", 1e3 * sum->seconds);
        table_cell(&out, "%.1f %%", all > 0 ? 100 * sum->seconds / all : 0);
        cell_rates(&out, sum->flops, sum->seconds, machine);
        table_cell(&out, "%d", sum->n);
        table_cell(&out, "%s", sum->op_type);
        table_cell(&out, "%s", sum->algorithm);
    }
    table_print(&out, 0);
    free(sums);
}

/* The roofline (Williams, Waterman and Patterson 2009): a step takes at least its arithmetic at peak, or its
 * bytes at the bandwidth, whichever is more. Products are counted as if summed directly and the peak is that
 * of vectors of floats, so that Winograd and AMX can pass it. */
static void print_roofline(const crease_step *steps, size_t n, double all, const crease_machine *machine) {
    double least = 0;
    for (const crease_step *step = steps; step < steps + n; step++)
        least += 1e-9 * fmax(flops_of(step) / machine->gflops,
                             (double)(step->input_bytes + step->output_bytes) / machine->gb_per_second);
    printf("all steps %.4f ms; the roofline of %.1f GFLOP/s and %.1f GB/s is %.4f ms, %.0f %% of it%s\n",
           1e3 * all, machine->gflops, machine->gb_per_second, 1e3 * least, all > 0 ? 100 * least / all : 0,
           least > all ? " (Winograd computes less than is counted, AMX faster than vectors)" : "");
}

/* Reasons stand one below the other, and steps that share all of them together. */
static void print_refusals(const crease_step *steps, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool first = *steps[i].refused != 0;
        for (size_t k = 0; first && k < i; k++)
            first = strcmp(steps[k].refused, steps[i].refused) != 0 ||
                    strcmp(steps[k].algorithm, steps[i].algorithm) != 0;
        if (!first)
            continue;
        printf("\nnot otherwise than by %s:", steps[i].algorithm);
        for (size_t k = i; k < n; k++)
            if (strcmp(steps[k].refused, steps[i].refused) == 0 &&
                strcmp(steps[k].algorithm, steps[i].algorithm) == 0)
                printf(" %s", steps[k].node);
        putchar('\n');
        for (const char *at = steps[i].refused; *at;) {
            const char *end = strstr(at, "; ");
            printf("  %.*s\n", end ? (int)(end - at) : (int)strlen(at), at);
            at = end ? end + 2 : at + strlen(at);
        }
    }
}

void steps_print(crease_session *session, const crease_machine *machine, size_t limit) {
    size_t n;
    crease_step *steps = steps_of(session, &n);
    double all = 0;
    for (size_t i = 0; i < n; i++)
        all += steps[i].depth ? 0 : steps[i].best_seconds;
    leave_bodies_out(steps, n);
    qsort(steps, n, sizeof *steps, by_seconds);
    print_steps(steps, n, all, machine, limit);
    putchar('\n');
    print_sums(steps, n, all, machine);
    print_roofline(steps, n, all, machine);
    if (!limit)
        print_refusals(steps, n);
    free(steps);
}
