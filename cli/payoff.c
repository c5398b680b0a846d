#include "cli/payoff.h"
#include "cli/message.h"
#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool was_folded(const crease_fold_report *report, const char *node) {
    crease_fold_entry entry = {.struct_size = sizeof entry};
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &entry); i++)
        if (entry.folded && strcmp(entry.name, node) == 0)
            return true;
    return false;
}

/* A step of its own reads its result's size and writes it. */
static void count_steps(crease_session *unfolded, const crease_fold_report *report, payoff *p) {
    crease_step step = {.struct_size = sizeof step};
    for (size_t i = 0; crease_session_step_at(unfolded, i, &step); i++)
        if (was_folded(report, step.node)) {
            p->n_steps++;
            p->bytes += 2 * step.output_bytes;
        }
}

int payoff_find(crease_session *unfolded, crease_session *folded, int threads, payoff *p) {
    const crease_fold_report *report = crease_session_fold_report(folded);
    *p = (payoff){0};
    if (!report)
        return CLI_OK;
    const fold_counts counts = report_count(report);
    p->n_folded = counts.folded;
    p->n_all = counts.folded + counts.kept;
    count_steps(unfolded, report, p);
    if (!p->bytes)
        return CLI_OK;
    crease_machine machine = {.struct_size = sizeof machine};
    crease_status status = crease_measure_machine(threads, (size_t)(p->bytes / (2 * p->n_steps)), &machine);
    p->gb_per_second = machine.gb_per_second;
    p->predicted_ms = machine.gb_per_second > 0 ? 1e-6 * (double)p->bytes / machine.gb_per_second : 0;
    return status ? fail_status(status) : CLI_OK;
}

void payoff_print(const payoff *p) {
    if (!p->n_all) {
        puts("The model has no batch normalisation: there is nothing to fold.");
        return;
    }
    if (!p->n_folded) {
        printf("None of %" PRId64 " batch normalisations folds: 'crease fold' says why.\n", p->n_all);
        return;
    }
    printf("%" PRId64 " of %" PRId64 " batch normalisations folded: ", p->n_folded, p->n_all);
    if (p->bytes)
        printf("%.1f MiB are no longer read and written, %.3f ms at the %.0f GB/s measured here",
               (double)p->bytes / (1 << 20), p->predicted_ms, p->gb_per_second);
    else
        printf("unfolded, their neighbours compute them in passing and they move no bytes");
    if (p->is_measured)
        printf("; the runs differ by %.3f ms.\n", p->measured_ms);
    else
        printf("; the runs' difference, %.3f ms, is within the noise.\n", p->measured_ms);
}

void payoff_write(json *j, const char *key, const payoff *p) {
    json_begin_object(j, key);
    json_integer(j, "batch_norms", p->n_all);
    json_integer(j, "folded", p->n_folded);
    json_integer(j, "steps_saved", p->n_steps);
    json_integer(j, "bytes_saved", p->bytes);
    json_number(j, "gb_per_second", p->gb_per_second);
    json_number(j, "predicted_ms", p->predicted_ms);
    json_number(j, "measured_ms", p->measured_ms);
    json_boolean(j, "measured", p->is_measured);
    json_end_object(j);
}
