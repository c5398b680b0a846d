#ifndef CREASE_CLI_MESSAGE_H
#define CREASE_CLI_MESSAGE_H

#include "include/crease/crease.h"

/* How the program ends. Other programs rely on these numbers. */
enum {
    CLI_OK = 0,
    CLI_DIFFERENT = 1,   /* a comparison or an expectation failed */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_INPUT = 3,       /* the model or an input is bad */
    CLI_UNSUPPORTED = 4, /* valid ONNX that crease cannot run */
    CLI_RUN = 5,         /* out of memory, a limit, a failure at run time, an output that cannot be written */
    CLI_INTERRUPTED = 130
};

/* Print the one line that a failure has on stderr, "crease: ...", with control characters escaped and at most
 * 512 bytes, and return `code`. The sentence names the node, tensor or file at fault. */
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* The same for a failed call of the library: its sentence, and the code that belongs to its status. */
int fail_status(crease_status status) __attribute__((cold));

/* The same, with the file in front where the sentence does not name it. */
int fail_file(const char *path, crease_status status) __attribute__((cold));

/* The exit code of a status. */
int code_of_status(crease_status status);

/* Something worth knowing, for stderr unless the user asked for quiet. Notes wait for note_flush(), and
 * fail() drops those that wait: a failure prints its line and nothing else. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void note_flush(void);
void note_quiet(void);
bool note_is_quiet(void);

/* Copy text into buffer with control characters as \xNN, cut at a whole character where it does not fit. */
void escape_text(const char *text, char *buffer, size_t bytes);

#endif
