#define _GNU_SOURCE /* vasprintf */

#include "cli/memory.h"
#include "cli/message.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t memory_of_machine(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
}

static void check_size(size_t n, size_t size) {
    if (size && n > memory_of_machine() / size)
        exit(fail(CLI_RUN, "out of memory: %zu times %zu bytes are more than this machine has", n, size));
}

static void *checked(void *block) {
    if (!block)
        exit(fail(CLI_RUN, "out of memory"));
    return block;
}

void *memory_take(size_t n, size_t size) {
    check_size(n, size);
    return checked(calloc(n ? n : 1, size ? size : 1));
}

void *memory_grow(void *array, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity)
        return array;
    size_t wanted = need < 8 ? 8 : need;
    if (wanted < 2 * *capacity)
        wanted = 2 * *capacity;
    check_size(wanted, size);
    array = checked(realloc(array, wanted * size));
    *capacity = wanted;
    return array;
}

char *memory_text(const char *text) {
    return checked(strdup(text));
}

char *memory_vformat(const char *format, va_list arguments) {
    char *text;
    return vasprintf(&text, format, arguments) < 0 ? checked(NULL) : text;
}

char *memory_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = memory_vformat(format, arguments);
    va_end(arguments);
    return text;
}
