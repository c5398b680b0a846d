#ifndef CREASE_CLI_MEMORY_H
#define CREASE_CLI_MEMORY_H

#include <stdarg.h>
#include <stddef.h>

/* Memory of the program itself. Where there is none, or more is asked for than the machine has, the program
 * ends with exit code 5 and its one line: a command has nothing better to do. All is released with free(). */

/* n zeroed elements of `size` bytes; a valid block for 0. */
void *memory_take(size_t n, size_t size);

/* Make room for `need` elements in an array of *capacity; contents are kept. Returns the array. */
void *memory_grow(void *array, size_t *capacity, size_t need, size_t size);

char *memory_text(const char *text); /* a copy */
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *memory_vformat(const char *format, va_list arguments);

/* Bytes of memory in this machine. */
size_t memory_of_machine(void);

#endif
