#include "cli/json.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(json *j, const char *data, size_t bytes) {
    j->text.data = memory_grow(j->text.data, &j->capacity, j->text.bytes + bytes, 1);
    memcpy(j->text.data + j->text.bytes, data, bytes);
    j->text.bytes += bytes;
}

static void put_text(json *j, const char *text) {
    put(j, text, strlen(text));
}

/* Length of the UTF-8 character at c (Unicode 15, table 3-7), 0 when it is none. */
static size_t utf8_length(const unsigned char *c) {
    size_t n = *c < 0x80 ? 1 : *c < 0xc2 ? 0 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : *c < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (*c == 0xe0 && c[1] < 0xa0) || (*c == 0xf0 && c[1] < 0x90);
    bool beyond = (*c == 0xed && c[1] > 0x9f) || (*c == 0xf4 && c[1] > 0x8f); /* surrogates; above U+10FFFF */
    return overlong || beyond ? 0 : n;
}

static void put_quoted(json *j, const char *text) {
    char escape[8];
    put_text(j, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c;) {
        size_t n = utf8_length(c);
        if (n == 0) {
            put_text(j, "\\ufffd");
        } else if (*c == '"' || *c == '\\') {
            put(j, (char[]){'\\', (char)*c}, 2);
        } else if (*c < 0x20 || *c == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", *c);
            put_text(j, escape);
        } else {
            put(j, (const char *)c, n);
        }
        c += n ? n : 1;
    }
    put_text(j, "\"");
}

static void new_line(json *j) {
    static const char spaces[] = "\n                                ";
    put(j, spaces, 1 + 2 * (size_t)j->depth);
}

/* What stands in front of a value. Numbers in an array share a line, everything else has its own. */
static void begin_value(json *j, const char *key, bool is_number) {
    if (j->depth == 0)
        return;
    bool *is_empty = &j->is_empty[j->depth - 1], in_array = j->is_array[j->depth - 1];
    if (!*is_empty)
        put_text(j, ",");
    if (in_array && is_number) {
        if (!*is_empty)
            put_text(j, " ");
    } else {
        new_line(j);
        j->is_flat[j->depth - 1] = false;
    }
    *is_empty = false;
    if (!in_array) {
        put_quoted(j, key);
        put_text(j, ": ");
    }
}

static void begin(json *j, const char *key, bool is_array) {
    begin_value(j, key, false);
    put_text(j, is_array ? "[" : "{");
    j->is_array[j->depth] = is_array;
    j->is_empty[j->depth] = j->is_flat[j->depth] = true;
    j->depth++;
}

static void end(json *j, const char *bracket) {
    if (!j->is_flat[--j->depth])
        new_line(j);
    put_text(j, bracket);
    if (j->depth == 0)
        put_text(j, "\n");
}

void json_begin_object(json *j, const char *key) {
    begin(j, key, false);
}

void json_end_object(json *j) {
    end(j, "}");
}

void json_begin_array(json *j, const char *key) {
    begin(j, key, true);
}

void json_end_array(json *j) {
    end(j, "]");
}

void json_text(json *j, const char *key, const char *value) {
    if (!value) {
        json_null(j, key);
        return;
    }
    begin_value(j, key, false);
    put_quoted(j, value);
}

void json_number(json *j, const char *key, double value) {
    char text[40];
    if (!isfinite(value)) {
        json_null(j, key);
        return;
    }
    begin_value(j, key, true);
    snprintf(text, sizeof text, "%.9g", value); /* enough for a float32 to come back the same */
    put_text(j, text);
}

void json_integer(json *j, const char *key, int64_t value) {
    char text[40];
    begin_value(j, key, true);
    snprintf(text, sizeof text, "%" PRId64, value);
    put_text(j, text);
}

void json_boolean(json *j, const char *key, bool value) {
    begin_value(j, key, true);
    put_text(j, value ? "true" : "false");
}

void json_null(json *j, const char *key) {
    begin_value(j, key, true);
    put_text(j, "null");
}

static void release(json *j) {
    free(j->text.data);
    *j = (json){0};
}

int json_stage(json *j, const char *path) {
    int code = CLI_OK;
    if (strcmp(path, "-") == 0)
        fwrite(j->text.data, 1, j->text.bytes, stdout);
    else
        code = file_stage(path, j->text.data, j->text.bytes, NULL, 0);
    release(j);
    return code;
}

int json_write(json *j, const char *path) {
    int code = json_stage(j, path);
    return code ? code : file_commit();
}
