#define _GNU_SOURCE /* strsep */

#include "cli/classes.h"
#include "cli/file.h"
#include "cli/memory.h"
#include "cli/message.h"
#include "cli/table.h"
#include "cli/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- labels ---- */

int labels_read(const char *path, label_list *out) {
    blob file;
    size_t capacity = 0;
    *out = (label_list){0};
    int code = file_read(path, &file);
    if (code)
        return code;
    char *text = memory_take(file.bytes + 1, 1), *next = text;
    memcpy(text, file.data, file.bytes);
    free(file.data);
    out->text = text;
    for (char *line; (line = strsep(&next, "\n"));) {
        if (!next && !*line) /* behind the last newline */
            break;
        line[strcspn(line, "\r")] = 0;
        out->lines = memory_grow(out->lines, &capacity, out->n + 1, sizeof *out->lines);
        out->lines[out->n++] = line;
    }
    return out->n ? CLI_OK : fail(CLI_INPUT, "%s: has no labels", path);
}

void labels_free(label_list *labels) {
    free(labels->text);
    free(labels->lines);
    *labels = (label_list){0};
}

/* ---- scores ---- */

typedef struct score {
    double value;
    int64_t class;
} score;

/* Descending; NaN last, equal scores by class. */
static int by_score(const void *a, const void *b) {
    const score *x = a, *y = b;
    if (x->value != y->value && !(isnan(x->value) && isnan(y->value)))
        return isnan(x->value) ? 1 : isnan(y->value) ? -1 : x->value > y->value ? -1 : 1;
    return x->class < y->class ? -1 : 1;
}

/* Whether a row is a distribution already, and if not, what its softmax divides by; the row is in order. */
static bool is_distribution(const score *row, int64_t n, double *total) {
    double sum = 0;
    *total = 0;
    for (int64_t c = 0; c < n; c++) {
        sum += row[c].value;
        *total += exp(row[c].value - row[0].value);
    }
    return row[n - 1].value >= 0 && fabs(sum - 1) < 1e-3;
}

static void add_row(table *out, score *row, int64_t n, int k, int64_t picture, const label_list *labels) {
    double total;
    qsort(row, (size_t)n, sizeof *row, by_score);
    bool ready = is_distribution(row, n, &total);
    for (int i = 0; i < k && i < n; i++) {
        double probability = ready ? row[i].value : exp(row[i].value - row[0].value) / total;
        int64_t class = row[i].class;
        if (picture >= 0)
            table_cell(out, "%" PRId64, picture);
        table_cell(out, "%.2f %%", 100 * probability);
        table_cell(out, "%" PRId64, class);
        table_cell(out, "%.4f", row[i].value);
        table_cell(out, "%s", (uint64_t) class < labels->n ? labels->lines[class] : "");
    }
}

int classes_print(const crease_tensor *scores, int k, const label_list *labels) {
    static const char *const headers[] = {">picture", ">probability", ">class", ">score", "label", NULL};
    int64_t n, rows = scores->rank > 1 ? scores->dims[0] : 1;
    if (!tensor_is_number(scores->dtype) || !tensor_count(scores->rank, scores->dims, &n) || n == 0)
        return fail(CLI_INPUT, "output '%.200s' (%s) has no class scores for --top", scores->name,
                    crease_dtype_name(scores->dtype));
    int64_t classes = n / rows;
    if (labels->n && labels->n != (uint64_t)classes)
        note("the output has %" PRId64 " classes, but there are %zu labels", classes, labels->n);
    table out;
    table_begin(&out, headers + (rows == 1));
    score *row = memory_take((size_t)classes, sizeof *row);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < classes; c++)
            row[c] = (score){tensor_get(scores->dtype, scores->data, r * classes + c), c};
        add_row(&out, row, classes, k, rows > 1 ? r : -1, labels);
    }
    free(row);
    table_print(&out, 0);
    return CLI_OK;
}
