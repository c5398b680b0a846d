#include "cli/cli.h"
#include "models/demo.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* crease fold, inspect, ops, demo: what looks at models without running them. */

static const char no_batch_norms[] =
    "0 BatchNormalization nodes: the exporter folded them. To keep them, export in training mode "
    "(PyTorch: torch.onnx.export(..., training=TrainingMode.PRESERVE, do_constant_folding=False))";

/* ---- fold ---- */

typedef struct counts {
    int64_t folded, kept;
} counts;

/* BatchNormalization nodes; affine nodes that went with them have entries but are not counted. */
static counts count_entries(const crease_fold_report *report) {
    counts c = {0, 0};
    crease_fold_entry e = {.struct_size = sizeof e};
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &e); i++)
        if (strcmp(e.op, "BatchNormalization") == 0)
            *(e.folded ? &c.folded : &c.kept) += 1;
    return c;
}

static void print_report(const crease_fold_report *report) {
    crease_fold_entry e = {.struct_size = sizeof e};
    counts c = count_entries(report);
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &e); i++) {
        printf("%-7s %-40s ", e.folded ? "folded" : "kept", e.name);
        if (e.folded)
            printf("into %s (%s)\n", e.into ? e.into : "", e.pattern ? e.pattern : "");
        else
            printf("%s%s%s\n", e.reason ? e.reason : "", e.detail ? ": " : "", e.detail ? e.detail : "");
    }
    if (c.folded + c.kept == 0)
        printf("%s\n", no_batch_norms);
    else
        printf("%" PRId64 " of %" PRId64 " BatchNormalization nodes folded\n", c.folded, c.folded + c.kept);
}

static void optional_string(FILE *out, const char *key, const char *text) {
    fprintf(out, ", \"%s\": ", key);
    if (text)
        json_string(out, text);
    else
        fputs("null", out);
}

static void write_report(FILE *out, const crease_fold_report *report) {
    crease_fold_entry e = {.struct_size = sizeof e};
    counts c = count_entries(report);
    fprintf(out,
            "{\"schema\": \"crease.fold/1\", \"folded\": %" PRId64 ", \"kept\": %" PRId64 ", \"entries\": [",
            c.folded, c.kept);
    for (size_t i = 0; crease_fold_report_entry_at(report, i, &e); i++) {
        fprintf(out, "%s\n  {\"name\": ", i ? "," : "");
        json_string(out, e.name);
        optional_string(out, "op", e.op);
        optional_string(out, "status", e.folded ? "folded" : "kept");
        optional_string(out, "into", e.into);
        optional_string(out, "pattern", e.pattern);
        optional_string(out, "reason", e.reason);
        optional_string(out, "detail", e.detail);
        fprintf(out, ", \"bound\": ");
        json_number(out, e.bound);
        fprintf(out, ", \"measured\": null}");
    }
    fprintf(out, "\n]}\n");
}

static int fold(const arguments *a, const crease_model *model, const crease_model *folded,
                const crease_fold_report *report) {
    char temporary[4096];
    (void)model;
    counts c = count_entries(report);
    if (a->expect_folded >= 0 && c.folded != a->expect_folded)
        return fail(EXIT_MISMATCH, "%s: %" PRId64 " BatchNormalization nodes folded, expected %" PRId64,
                    a->positional[0], c.folded, a->expect_folded);
    if (a->output && !a->dry_run) {
        crease_status status = crease_model_save_file(folded, a->output);
        if (status)
            return fail_status(status, NULL);
    }
    if (a->json)
        write_report(stdout, report);
    else if (!a->report || strcmp(a->report, "-") != 0)
        print_report(report);
    if (!a->report)
        return EXIT_OK;
    FILE *out = json_open(a->report, temporary, sizeof temporary);
    if (!out)
        return EXIT_BAD_INPUT;
    write_report(out, report);
    return json_close(out, a->report, temporary);
}

int command_fold(const arguments *a) {
    crease_model *model, *folded = NULL;
    crease_fold_report *report = NULL;
    crease_fold_options options;
    if (!a->output && !a->dry_run)
        return fail(EXIT_USAGE, "fold: -o FILE is missing (or --dry-run)");
    int code = load_model(a, 0, &model);
    if (code)
        return code;
    crease_fold_options_init(&options);
    options.only = a->only;
    options.keep = a->keep;
    options.assume_const = a->assume_const;
    crease_status status = crease_fold(model, &options, &folded, &report);
    code = status ? fail_status(status, NULL) : fold(a, model, folded, report);
    crease_fold_report_free(report);
    crease_model_free(folded);
    crease_model_free(model);
    return code;
}

/* ---- inspect ---- */

static void print_values(const crease_model *model, bool outputs) {
    crease_value_info v = {.struct_size = sizeof v};
    for (size_t i = 0; outputs ? crease_model_output_at(model, i, &v) : crease_model_input_at(model, i, &v);
         i++) {
        printf("%-8s %s: %s ", outputs ? "output" : "input", v.name, crease_dtype_name(v.dtype));
        if (v.rank < 0)
            printf("of unknown rank");
        for (int d = 0; d < v.rank; d++)
            if (v.dims[d] >= 0)
                printf("%s%" PRId64, d ? "x" : "", v.dims[d]);
            else
                printf("%s%s", d ? "x" : "", v.dim_names[d] ? v.dim_names[d] : "?");
        printf("\n");
    }
}

static void write_values(const crease_model *model, bool outputs) {
    crease_value_info v = {.struct_size = sizeof v};
    printf(", \"%s\": [", outputs ? "outputs" : "inputs");
    for (size_t i = 0; outputs ? crease_model_output_at(model, i, &v) : crease_model_input_at(model, i, &v);
         i++) {
        printf("%s{\"name\": ", i ? ", " : "");
        json_string(stdout, v.name);
        printf(", \"dtype\": \"%s\", \"dims\": ", crease_dtype_name(v.dtype));
        printf(v.rank < 0 ? "null" : "[");
        for (int d = 0; d < v.rank; d++)
            printf("%s%" PRId64, d ? ", " : "", v.dims[d]);
        printf(v.rank < 0 ? "}" : "]}");
    }
    printf("]");
}

typedef struct tally {
    const char *op;
    int n;
} tally;

static int by_count(const void *a, const void *b) {
    return ((const tally *)b)->n - ((const tally *)a)->n;
}

static size_t histogram(const crease_model *model, tally *tallies, size_t most) {
    crease_node_info node = {.struct_size = sizeof node};
    size_t n = 0;
    for (size_t i = 0; crease_model_node_at(model, i, &node); i++) {
        size_t j = 0;
        while (j < n && strcmp(tallies[j].op, node.op_type) != 0)
            j++;
        if (j == most)
            continue;
        if (j == n)
            tallies[n++] = (tally){node.op_type, 0};
        tallies[j].n++;
    }
    qsort(tallies, n, sizeof *tallies, by_count);
    return n;
}

static void inspect_text(const arguments *a, const crease_model *model, const crease_fold_report *report) {
    crease_model_info info = {.struct_size = sizeof info};
    crease_node_info node = {.struct_size = sizeof node};
    crease_problem problem = {.struct_size = sizeof problem};
    tally tallies[256] = {{0}};
    crease_model_get_info(model, &info);
    printf("model    %s %s, IR %" PRId64 ", operator set %" PRId64 ", graph '%s'\n", info.producer_name,
           info.producer_version, info.ir_version, info.opset, info.graph_name);
    print_values(model, false);
    print_values(model, true);
    printf("size     %" PRId64 " parameters (%.1f MB), %.3f GMAC\n", info.parameters,
           (double)info.parameter_bytes / 1e6, (double)info.macs / 1e9);
    size_t n = histogram(model, tallies, 256);
    printf("nodes    %zu:", crease_model_n_nodes(model));
    for (size_t i = 0; i < n; i++)
        printf(" %s %d%s", tallies[i].op, tallies[i].n, i + 1 < n ? "," : "\n");
    for (size_t i = 0; a->nodes && crease_model_node_at(model, i, &node); i++)
        printf("  %-20s %-40s %12" PRId64 " MAC %10" PRId64 " parameters\n", node.op_type, node.name,
               node.macs, node.parameters);
    print_report(report);
    for (size_t i = 0; crease_model_problem_at(model, i, &problem); i++)
        printf("unsupported: node '%s': %s\n", problem.node, problem.reason);
}

static void inspect_json(const crease_model *model, const crease_fold_report *report) {
    crease_model_info info = {.struct_size = sizeof info};
    crease_problem problem = {.struct_size = sizeof problem};
    tally tallies[256] = {{0}};
    counts c = count_entries(report);
    crease_model_get_info(model, &info);
    printf("{\"schema\": \"crease.inspect/1\", \"producer\": ");
    json_string(stdout, info.producer_name);
    printf(", \"ir_version\": %" PRId64 ", \"opset\": %" PRId64, info.ir_version, info.opset);
    write_values(model, false);
    write_values(model, true);
    printf(", \"parameters\": %" PRId64 ", \"parameter_bytes\": %" PRId64 ", \"macs\": %" PRId64,
           info.parameters, info.parameter_bytes, info.macs);
    printf(", \"batch_norms\": {\"folded\": %" PRId64 ", \"kept\": %" PRId64 "}, \"operators\": {", c.folded,
           c.kept);
    size_t n = histogram(model, tallies, 256);
    for (size_t i = 0; i < n; i++) {
        printf("%s", i ? ", " : "");
        json_string(stdout, tallies[i].op);
        printf(": %d", tallies[i].n);
    }
    printf("}, \"unsupported\": [");
    for (size_t i = 0; crease_model_problem_at(model, i, &problem); i++) {
        printf("%s{\"node\": ", i ? ", " : "");
        json_string(stdout, problem.node);
        printf(", \"reason\": ");
        json_string(stdout, problem.reason);
        printf("}");
    }
    printf("]}\n");
}

int command_inspect(const arguments *a) {
    crease_model *model;
    crease_fold_report *report = NULL;
    int code = load_model(a, 0, &model);
    if (code)
        return code;
    crease_fold_options options;
    crease_fold_options_init(&options);
    options.assume_const = a->assume_const;
    crease_status status = crease_fold(model, &options, NULL, &report);
    if (status)
        code = fail_status(status, NULL);
    else if (a->json)
        inspect_json(model, report);
    else
        inspect_text(a, model, report);
    crease_fold_report_free(report);
    crease_model_free(model);
    return code;
}

/* ---- ops ---- */

int command_ops(const arguments *a) {
    crease_operator_info op = {.struct_size = sizeof op};
    if (a->json)
        printf("{\"schema\": \"crease.ops/1\", \"operators\": [");
    else
        printf(a->markdown ? "| operator | since | until |\n|---|---|---|\n" : "%-30s %5s %5s\n", "operator",
               "since", "until");
    for (size_t i = 0; crease_operator_at(i, &op); i++) {
        char until[16] = "newest", name[128];
        if (op.until)
            snprintf(until, sizeof until, "%d", op.until);
        snprintf(name, sizeof name, "%s%s%s", op.domain, op.domain[0] ? "." : "", op.name);
        if (a->json)
            printf("%s\n  {\"name\": \"%s\", \"since\": %d, \"until\": %d}", i ? "," : "", name, op.since,
                   op.until);
        else
            printf(a->markdown ? "| %s | %d | %s |\n" : "%-30s %5d %6s\n", name, op.since, until);
    }
    if (a->json)
        printf("\n]}\n");
    return EXIT_OK;
}

/* ---- demo ---- */

int command_demo(const arguments *a) {
    crease_model *model;
    if (a->n_positional == 0) {
        for (const char *const *name = crease_demo_names(); *name; name++)
            printf("%s\n", *name);
        return EXIT_OK;
    }
    if (!a->output)
        return fail(EXIT_USAGE, "demo: -o FILE is missing");
    crease_status status = crease_demo_model(a->positional[0], (uint64_t)a->seed, &model);
    if (status)
        return fail_status(status, NULL);
    status = crease_model_save_file(model, a->output);
    crease_model_free(model);
    return status ? fail_status(status, NULL) : EXIT_OK;
}
