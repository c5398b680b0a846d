#include "runtime/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 512 };

static _Thread_local char message[MESSAGE_BYTES];

/* Copy text into the message, control characters as \xNN, cut at the end of the buffer. */
static void put_escaped(const char *text) {
    size_t at = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool control = *c < 0x20 || *c == 0x7f;
        size_t need = control ? 4 : 1;
        if (at + need >= MESSAGE_BYTES)
            break;
        if (control)
            snprintf(message + at, 5, "\\x%02x", *c);
        else
            message[at] = (char)*c;
        at += need;
    }
    message[at] = 0;
}

crease_status cr_fail(crease_status status, const char *format, ...) {
    char text[2 * MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_escaped(text);
    return status;
}

const char *crease_error_message(void) {
    return message;
}

const char *crease_status_name(crease_status status) {
    static const char *const names[] = {
        "CREASE_OK",           "CREASE_ERROR_ARGUMENT", "CREASE_ERROR_FILE",
        "CREASE_ERROR_MODEL",  "CREASE_ERROR_INPUT",    "CREASE_ERROR_UNSUPPORTED",
        "CREASE_ERROR_MEMORY", "CREASE_ERROR_RUN",      "CREASE_ERROR_CANCELLED",
    };
    size_t index = (size_t)status;
    return index < sizeof names / sizeof *names ? names[index] : "unknown status";
}
