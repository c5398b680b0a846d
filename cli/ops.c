#include "cli/args.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* crease ops: the coverage table, straight from the registry. docs/operators.md is its --markdown. */

/* By domain, name and version. */
static int by_name(const void *a, const void *b) {
    const crease_operator_info *x = a, *y = b;
    int domain = strcmp(x->domain, y->domain), name = strcmp(x->name, y->name);
    return domain ? domain : name ? name : x->since - y->since;
}

static crease_operator_info *sorted_operators(size_t *n) {
    *n = crease_n_operators();
    crease_operator_info *list = memory_take(*n, sizeof *list);
    for (size_t i = 0; i < *n; i++) {
        list[i].struct_size = sizeof *list;
        crease_operator_at(i, &list[i]);
    }
    qsort(list, *n, sizeof *list, by_name);
    return list;
}

/* The next type of a set after `dtype`, CREASE_UNDEFINED when there is none. */
static crease_dtype next_type(uint64_t types, crease_dtype dtype) {
    for (int d = (int)dtype + 1; d <= CREASE_INT2; d++)
        if (types >> d & 1)
            return (crease_dtype)d;
    return CREASE_UNDEFINED;
}

static char *types_text(uint64_t types) {
    char *text = memory_text("");
    for (crease_dtype d = next_type(types, CREASE_UNDEFINED); d; d = next_type(types, d)) {
        char *longer = memory_format("%s%s%s", text, *text ? " " : "", crease_dtype_name(d));
        free(text);
        text = longer;
    }
    return text;
}

static char *versions_text(const crease_operator_info *op) {
    return op->until && op->until != op->since ? memory_format("%d-%d", op->since, op->until)
           : op->until                         ? memory_format("%d", op->since)
                                               : memory_format("%d+", op->since);
}

static void print_table(const crease_operator_info *list, size_t n, bool markdown) {
    static const char *const headers[] = {"operator", "versions", "types of the main input", NULL};
    table out;
    table_begin(&out, headers);
    for (size_t i = 0; i < n; i++) {
        char *types = types_text(list[i].types), *versions = versions_text(&list[i]);
        table_cell(&out, "%s%s%s", list[i].domain, *list[i].domain ? "." : "", list[i].name);
        table_cell(&out, "%s", versions);
        table_cell(&out, "%s", *types ? types : "all");
        free(types);
        free(versions);
    }
    if (markdown)
        table_print_markdown(&out);
    else
        table_print(&out, 0);
}

static int write_json(const crease_operator_info *list, size_t n) {
    json j = {0};
    json_begin_object(&j, NULL);
    json_text(&j, "schema", "crease.ops/1");
    json_begin_array(&j, "operators");
    for (size_t i = 0; i < n; i++) {
        json_begin_object(&j, NULL);
        json_text(&j, "name", list[i].name);
        json_text(&j, "domain", list[i].domain);
        json_integer(&j, "since", list[i].since);
        json_integer(&j, "until", list[i].until);
        json_begin_array(&j, "types");
        for (crease_dtype d = next_type(list[i].types, CREASE_UNDEFINED); d; d = next_type(list[i].types, d))
            json_text(&j, NULL, crease_dtype_name(d));
        json_end_array(&j);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    return json_write(&j, "-");
}

int ops_command(int argc, char **argv) {
    bool as_json = false, as_markdown = false;
    const arg_option options[] = {
        {"json", 0, ARG_FLAG, &as_json, NULL, "as JSON on standard output", 0, 0},
        {"markdown", 0, ARG_FLAG, &as_markdown, NULL, "as a Markdown table", 0, 0},
        {0},
    };
    const arg_command command = {"ops",
                                 "",
                                 "List the operators that crease runs: for each behaviour its operator-set "
                                 "versions and types.",
                                 NULL,
                                 0,
                                 0,
                                 options};
    int code = args_parse(&command, argc, argv, NULL);
    if (!code && as_json && as_markdown)
        code = fail(CLI_USAGE, "--json and --markdown: one form at a time");
    if (code)
        return code;
    size_t n;
    crease_operator_info *list = sorted_operators(&n);
    if (as_json)
        code = write_json(list, n);
    else
        print_table(list, n, as_markdown);
    free(list);
    return code;
}
