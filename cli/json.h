#ifndef CREASE_CLI_JSON_H
#define CREASE_CLI_JSON_H

#include "cli/file.h"

#include <stdint.h>

/* A JSON text (RFC 8259) in the making. Within objects every value has a key, within arrays it is NULL. Text
 * that is not UTF-8 gets U+FFFD in place of the bad bytes; numbers that are not finite become null. */
typedef struct json {
    blob text;
    size_t capacity;
    int depth;
    bool is_array[16], is_empty[16]; /* of the levels that are open */
    bool is_flat[16];                /* nothing in it has a line of its own */
} json;

void json_begin_object(json *j, const char *key);
void json_end_object(json *j);
void json_begin_array(json *j, const char *key);
void json_end_array(json *j);
void json_text(json *j, const char *key, const char *value); /* NULL: null */
void json_number(json *j, const char *key, double value);
void json_integer(json *j, const char *key, int64_t value);
void json_boolean(json *j, const char *key, bool value);
void json_null(json *j, const char *key);

/* Write the finished text to a file, or to stdout for "-", and release it. Returns an exit code. */
int json_write(json *j, const char *path);

/* Stage it like file_stage() does, for commands that write several files. */
int json_stage(json *j, const char *path);

#endif
