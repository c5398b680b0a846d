#include "cli/table.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool table_may_colour(void) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

const char *table_verdict(bool pass) {
    if (table_may_colour())
        return pass ? "\033[32mok\033[0m" : "\033[31mFAIL\033[0m";
    return pass ? "ok" : "FAIL";
}

static void add(table *t, char *cell) {
    t->cells = memory_grow(t->cells, &t->capacity, t->n + 1, sizeof *t->cells);
    t->cells[t->n++] = cell;
}

void table_begin(table *t, const char *const *headers) {
    *t = (table){0};
    for (; headers[t->n_columns]; t->n_columns++) {
        const char *header = headers[t->n_columns];
        t->right[t->n_columns] = header[0] == '>';
        add(t, memory_text(header + (header[0] == '>')));
    }
}

void table_cell(table *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = memory_vformat(format, arguments);
    va_end(arguments);
    size_t bytes = 4 * strlen(text) + 1;
    char *escaped = memory_take(bytes, 1);
    escape_text(text, escaped, bytes);
    free(text);
    add(t, escaped);
}

size_t table_n_rows(const table *t) {
    return t->n / (size_t)t->n_columns - 1;
}

/* Characters, not bytes; combining and wide ones are taken for one column. */
static int width(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

/* A column whose cells are all empty is left out, header and all. */
static bool is_empty(const table *t, int column) {
    for (size_t i = (size_t)t->n_columns + (size_t)column; i < t->n; i += (size_t)t->n_columns)
        if (t->cells[i][0])
            return false;
    return t->n > (size_t)t->n_columns;
}

/* Spaces are printed in front of the next cell only, so that no line ends with them. */
static void print_row(const table *t, size_t row, const int *widths) {
    int spaces = 0;
    for (int c = 0; c < t->n_columns; c++) {
        const char *cell = t->cells[row * (size_t)t->n_columns + (size_t)c];
        int pad = widths[c] - width(cell);
        if (widths[c] < 0)
            continue;
        if (*cell)
            printf("%*s%s", spaces + (t->right[c] ? pad : 0), "", cell);
        spaces = (*cell ? t->right[c] ? 0 : pad : spaces + widths[c]) + 2;
    }
    putchar('\n');
}

static void release(table *t) {
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (table){0};
}

void table_print(table *t, size_t limit) {
    int widths[TABLE_MAX_COLUMNS] = {0};
    size_t n_columns = (size_t)t->n_columns, rows = t->n / n_columns;
    if (limit && rows > limit + 1)
        rows = limit + 1;
    for (size_t i = 0; i < rows * n_columns; i++)
        if (width(t->cells[i]) > widths[i % n_columns])
            widths[i % n_columns] = width(t->cells[i]);
    for (int c = 0; c < t->n_columns; c++)
        widths[c] = is_empty(t, c) ? -1 : widths[c];
    bool colour = table_may_colour();
    for (size_t row = 0; row < rows; row++) {
        fputs(colour && row == 0 ? "\033[1m" : "", stdout);
        print_row(t, row, widths);
        fputs(colour && row == 0 ? "\033[0m" : "", stdout);
    }
    release(t);
}

void table_print_markdown(table *t) {
    for (size_t i = 0; i < t->n; i++) {
        bool last = (i + 1) % (size_t)t->n_columns == 0;
        printf("| %s%s", t->cells[i], last ? " |\n" : " ");
        for (int c = 0; i + 1 == (size_t)t->n_columns && c < t->n_columns; c++)
            fputs(c + 1 == t->n_columns ? "|---|\n" : "|---", stdout);
    }
    release(t);
}
