#include "cli/args.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* crease inspect: what a model holds, without running it. */

typedef bool (*value_at)(const crease_model *model, size_t index, crease_value_info *info);

/* ---- operators and how often they occur ---- */

typedef struct tally {
    const char *domain, *op_type;
    int64_t n, macs; /* macs -1: of some node not known */
} tally;

static int by_count(const void *a, const void *b) {
    const tally *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n ? 1 : -1) : strcmp(x->op_type, y->op_type);
}

static tally *count_operators(const crease_model *model, size_t *n) {
    crease_node_info node = {.struct_size = sizeof node};
    tally *list = NULL;
    size_t capacity = 0;
    *n = 0;
    for (size_t i = 0; crease_model_node_at(model, i, &node); i++) {
        size_t j = 0;
        while (j < *n &&
               (strcmp(list[j].op_type, node.op_type) != 0 || strcmp(list[j].domain, node.domain) != 0))
            j++;
        if (j == *n) {
            list = memory_grow(list, &capacity, *n + 1, sizeof *list);
            list[(*n)++] = (tally){node.domain, node.op_type, 0, 0};
        }
        list[j].n++;
        list[j].macs = node.macs < 0 || list[j].macs < 0 ? -1 : list[j].macs + node.macs;
    }
    if (*n)
        qsort(list, *n, sizeof *list, by_count);
    return list;
}

/* ---- text ---- */

static void add_values(table *out, const crease_model *model, const char *kind, value_at at) {
    crease_value_info v = {.struct_size = sizeof v};
    char shape[TENSOR_SHAPE_TEXT];
    for (size_t i = 0; at(model, i, &v); i++) {
        table_cell(out, "%s", kind);
        table_cell(out, "%s", v.name);
        table_cell(out, "%s", crease_dtype_name(v.dtype));
        table_cell(out, "%s", tensor_shape_text(v.rank, v.dims, v.dim_names, shape));
    }
}

static void print_values(const crease_model *model) {
    static const char *const headers[] = {"", "name", "type", "shape", NULL};
    table out;
    table_begin(&out, headers);
    add_values(&out, model, "input", crease_model_input_at);
    add_values(&out, model, "output", crease_model_output_at);
    table_print(&out, 0);
}

static void add_millions(table *out, int64_t macs) {
    if (macs >= 0)
        table_cell(out, "%.3f", (double)macs / 1e6);
    else
        table_cell(out, "?");
}

static void print_operators(const crease_model *model) {
    static const char *const headers[] = {"operator", ">nodes", ">million MACs", NULL};
    size_t n;
    tally *list = count_operators(model, &n);
    int64_t total = 0;
    table out;
    table_begin(&out, headers);
    for (size_t i = 0; i < n; i++) {
        total = total < 0 || list[i].macs < 0 ? -1 : total + list[i].macs;
        table_cell(&out, "%s%s%s", list[i].domain, *list[i].domain ? "." : "", list[i].op_type);
        table_cell(&out, "%" PRId64, list[i].n);
        add_millions(&out, list[i].macs);
    }
    table_cell(&out, "all");
    table_cell(&out, "%zu", crease_model_n_nodes(model));
    add_millions(&out, total);
    table_print(&out, 0);
    free(list);
}

static void print_nodes(const crease_model *model) {
    static const char *const headers[] = {"operator", "node", ">million MACs", ">parameters", "output", NULL};
    crease_node_info node = {.struct_size = sizeof node};
    table out;
    table_begin(&out, headers);
    for (size_t i = 0; crease_model_node_at(model, i, &node); i++) {
        table_cell(&out, "%s%s%s", node.domain, *node.domain ? "." : "", node.op_type);
        table_cell(&out, "%s", node.name);
        add_millions(&out, node.macs);
        table_cell(&out, "%" PRId64, node.parameters);
        table_cell(&out, "%s", node.output);
    }
    puts("");
    table_print(&out, 0);
}

static void print_problems(const crease_model *model) {
    static const char *const headers[] = {"unsupported operator", "node", "reason", NULL};
    crease_problem problem = {.struct_size = sizeof problem};
    table out;
    table_begin(&out, headers);
    for (size_t i = 0; crease_model_problem_at(model, i, &problem); i++) {
        table_cell(&out, "%s%s%s", problem.domain, *problem.domain ? "." : "", problem.op_type);
        table_cell(&out, "%s", problem.node);
        table_cell(&out, "%s", problem.reason);
    }
    puts("");
    table_print(&out, 0);
}

/* Names come from the file, so they are escaped. */
static void print_head(const char *path, const crease_model_info *info) {
    const char *by = *info->producer_name ? " by " : "", *space = *info->producer_version ? " " : "";
    char *text = memory_format("%s: graph '%s'%s%s%s%s", path, info->graph_name, by, info->producer_name,
                               space, info->producer_version);
    size_t bytes = 4 * strlen(text) + 1;
    char *escaped = memory_take(bytes, 1);
    escape_text(text, escaped, bytes);
    puts(escaped);
    free(escaped);
    free(text);
}

static void print_all(const char *path, const crease_model *model, const crease_fold_report *report,
                      bool nodes) {
    crease_model_info info = {.struct_size = sizeof info};
    crease_model_get_info(model, &info);
    print_head(path, &info);
    printf("IR version %" PRId64 ", operator set %" PRId64 ", %zu nodes, %" PRId64
           " parameters (%.2f MB)\n\n",
           info.ir_version, info.opset, crease_model_n_nodes(model), info.parameters,
           (double)info.parameter_bytes / 1e6);
    print_values(model);
    puts("");
    print_operators(model);
    if (nodes)
        print_nodes(model);
    puts("");
    report_print(report);
    if (crease_model_n_problems(model))
        print_problems(model);
}

/* ---- JSON ---- */

static void write_values(json *j, const char *key, const crease_model *model, value_at at) {
    crease_value_info v = {.struct_size = sizeof v};
    json_begin_array(j, key);
    for (size_t i = 0; at(model, i, &v); i++) {
        json_begin_object(j, NULL);
        json_text(j, "name", v.name);
        json_text(j, "dtype", crease_dtype_name(v.dtype));
        if (v.rank < 0) {
            json_null(j, "dims");
        } else {
            json_begin_array(j, "dims");
            for (int d = 0; d < v.rank; d++)
                if (v.dims[d] < 0 && v.dim_names[d])
                    json_text(j, NULL, v.dim_names[d]);
                else
                    json_integer(j, NULL, v.dims[d]);
            json_end_array(j);
        }
        json_end_object(j);
    }
    json_end_array(j);
}

static void write_macs(json *j, int64_t macs) {
    if (macs >= 0)
        json_integer(j, "macs", macs);
    else
        json_null(j, "macs");
}

static void write_operators(json *j, const crease_model *model) {
    size_t n;
    tally *list = count_operators(model, &n);
    json_begin_array(j, "operators");
    for (size_t i = 0; i < n; i++) {
        json_begin_object(j, NULL);
        json_text(j, "op", list[i].op_type);
        json_text(j, "domain", list[i].domain);
        json_integer(j, "nodes", list[i].n);
        write_macs(j, list[i].macs);
        json_end_object(j);
    }
    json_end_array(j);
    free(list);
}

static void write_nodes(json *j, const crease_model *model) {
    crease_node_info node = {.struct_size = sizeof node};
    json_begin_array(j, "nodes");
    for (size_t i = 0; crease_model_node_at(model, i, &node); i++) {
        json_begin_object(j, NULL);
        json_text(j, "name", node.name);
        json_text(j, "op", node.op_type);
        json_text(j, "domain", node.domain);
        json_integer(j, "since_version", node.since_version);
        write_macs(j, node.macs);
        json_integer(j, "parameters", node.parameters);
        json_text(j, "output", node.output);
        json_end_object(j);
    }
    json_end_array(j);
}

static void write_problems(json *j, const crease_model *model) {
    crease_problem problem = {.struct_size = sizeof problem};
    json_begin_array(j, "unsupported");
    for (size_t i = 0; crease_model_problem_at(model, i, &problem); i++) {
        json_begin_object(j, NULL);
        json_text(j, "node", problem.node);
        json_text(j, "op", problem.op_type);
        json_text(j, "domain", problem.domain);
        json_text(j, "reason", problem.reason);
        json_end_object(j);
    }
    json_end_array(j);
}

static int write_all(const char *path, const crease_model *model, const crease_fold_report *report,
                     bool nodes) {
    crease_model_info info = {.struct_size = sizeof info};
    json j = {0};
    crease_model_get_info(model, &info);
    json_begin_object(&j, NULL);
    json_text(&j, "schema", "crease.inspect/1");
    json_text(&j, "model", path);
    json_text(&j, "producer", info.producer_name);
    json_text(&j, "producer_version", info.producer_version);
    json_text(&j, "graph", info.graph_name);
    json_integer(&j, "ir_version", info.ir_version);
    json_integer(&j, "opset", info.opset);
    write_values(&j, "inputs", model, crease_model_input_at);
    write_values(&j, "outputs", model, crease_model_output_at);
    json_integer(&j, "n_nodes", (int64_t)crease_model_n_nodes(model));
    json_integer(&j, "parameters", info.parameters);
    json_integer(&j, "parameter_bytes", info.parameter_bytes);
    json_integer(&j, "macs", info.macs);
    write_operators(&j, model);
    if (nodes)
        write_nodes(&j, model);
    json_begin_object(&j, "batch_norms");
    json_integer(&j, "n", info.n_batch_norms);
    report_write(&j, report);
    json_end_object(&j);
    write_problems(&j, model);
    json_end_object(&j);
    return json_write(&j, "-");
}

int inspect_command(int argc, char **argv) {
    engine_options engine = {0};
    const char *path;
    bool nodes = false, as_json = false;
    crease_model *model, *folded = NULL;
    crease_fold_report *report = NULL;
    const arg_option options[] = {
        {"nodes", 0, ARG_FLAG, &nodes, NULL, "list every node", 0, 0},
        {"json", 0, ARG_FLAG, &as_json, NULL, "as JSON on standard output", 0, 0},
        ASSUME_CONST_ARG(engine.assume_const),
        {0},
    };
    const arg_command command = {
        "inspect",
        "MODEL",
        "Show a model's inputs, outputs, operators, sizes, what each "
        "batch normalisation would become,\nand every operator that crease cannot run.",
        NULL,
        1,
        1,
        options};
    int code = args_parse(&command, argc, argv, &path);
    if (!code)
        code = engine_load(path, &engine, &model);
    if (code)
        return code;
    crease_fold_options fold;
    crease_fold_options_init(&fold);
    fold.assume_const = engine.assume_const;
    crease_status status = crease_fold(model, &fold, &folded, &report);
    if (status)
        code = fail_file(path, status);
    else if (as_json)
        code = write_all(path, model, report, nodes);
    else
        print_all(path, model, report, nodes);
    crease_fold_report_free(report);
    crease_model_free(folded);
    crease_model_free(model);
    return code;
}
