#ifndef CREASE_CLI_TABLE_H
#define CREASE_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TABLE_MAX_COLUMNS = 12 };

/* A table on stdout whose columns are as wide as their widest cell. Control characters in cells are escaped.
 */
typedef struct table {
    int n_columns;
    bool right[TABLE_MAX_COLUMNS];
    char **cells; /* row by row, the header first */
    size_t n, capacity;
} table;

/* Headers end with NULL; one that begins with '>' makes a column of numbers, aligned to the right. */
void table_begin(table *t, const char *const *headers);
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t table_n_rows(const table *t); /* without the header */

/* Print the first `limit` rows (0: all) and release the table. */
void table_print(table *t, size_t limit);
void table_print_markdown(table *t);

/* Whether stdout is a terminal that may be coloured (NO_COLOR, no-color.org). */
bool table_may_colour(void);

/* "ok" in green or "FAIL" in red, as far as colours are possible. */
const char *table_verdict(bool pass);

#endif
