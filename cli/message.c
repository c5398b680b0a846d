#include "cli/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 512, MAX_NOTES = 16 };

static bool quiet;
static char notes[MAX_NOTES][LINE_BYTES];
static int n_notes;

/* Bytes of the UTF-8 character at `at`, 1 for a byte that begins none; *control: it must not reach a
 * terminal. */
static size_t character_bytes(const unsigned char *at, bool *control) {
    size_t n = *at < 0xc2 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : *at < 0xf5 ? 4 : 1;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            n = 1;
    bool c1 = n == 2 && at[0] == 0xc2 && at[1] < 0xa0;
    *control = at[0] < 0x20 || at[0] == 0x7f || c1 || (n == 1 && at[0] >= 0x80);
    return n;
}

void escape_text(const char *text, char *buffer, size_t bytes) {
    size_t at = 0;
    const unsigned char *c = (const unsigned char *)text;
    while (*c) {
        bool control;
        size_t n = character_bytes(c, &control), need = control ? 4 * n : n;
        if (at + need >= bytes)
            break;
        for (size_t i = 0; i < n; i++) {
            if (control)
                at += (size_t)snprintf(buffer + at, 5, "\\x%02x", c[i]);
            else
                buffer[at++] = (char)c[i];
        }
        c += n;
    }
    buffer[at] = 0;
}

/* One write, so that lines of several processes do not mix. */
static void print_line(const char *prefix, const char *text) {
    char escaped[LINE_BYTES], line[LINE_BYTES];
    escape_text(text, escaped, sizeof line - strlen(prefix) - 1);
    int n = snprintf(line, sizeof line, "%s%s\n", prefix, escaped);
    fwrite(line, 1, (size_t)n, stderr);
}

int fail(int code, const char *format, ...) {
    char text[4 * LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fflush(stdout);
    n_notes = 0;
    print_line("crease: ", text);
    return code;
}

int code_of_status(crease_status status) {
    switch (status) {
    case CREASE_OK:
        return CLI_OK;
    case CREASE_ERROR_FILE:
    case CREASE_ERROR_MODEL:
    case CREASE_ERROR_INPUT:
        return CLI_INPUT;
    case CREASE_ERROR_ARGUMENT:
        return CLI_USAGE;
    case CREASE_ERROR_UNSUPPORTED:
        return CLI_UNSUPPORTED;
    case CREASE_ERROR_CANCELLED:
        return CLI_INTERRUPTED;
    case CREASE_ERROR_MEMORY:
    case CREASE_ERROR_RUN:
        break;
    }
    return CLI_RUN;
}

int fail_status(crease_status status) {
    int code = code_of_status(status);
    if (code == CLI_INTERRUPTED)
        return fail(code, "interrupted");
    return fail(code, "%s", crease_error_message());
}

int fail_file(const char *path, crease_status status) {
    char escaped[LINE_BYTES];
    escape_text(path, escaped, sizeof escaped); /* as it stands in the sentence */
    if (status == CREASE_ERROR_CANCELLED || strstr(crease_error_message(), escaped))
        return fail_status(status);
    return fail(code_of_status(status), "%s: %s", path, crease_error_message());
}

void note_quiet(void) {
    quiet = true;
}

bool note_is_quiet(void) {
    return quiet;
}

void note(const char *format, ...) {
    if (quiet || n_notes == MAX_NOTES)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(notes[n_notes++], LINE_BYTES, format, arguments);
    va_end(arguments);
}

void note_flush(void) {
    for (int i = 0; i < n_notes; i++)
        print_line("", notes[i]);
    n_notes = 0;
}
