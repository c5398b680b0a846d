#ifndef CREASE_CLI_FILE_H
#define CREASE_CLI_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes in memory; data is released with free(). */
typedef struct blob {
    unsigned char *data;
    size_t bytes;
} blob;

bool file_is_folder(const char *path);

/* A whole file. A failure is CLI_INPUT with its line printed. */
int file_read(const char *path, blob *out);

/* Files that appear whole or not at all: each is written under a temporary name beside its target (staged),
 * and all are renamed together. Failures are CLI_RUN with the line printed; after one, discard. A target that
 * is no regular file, such as a pipe or /dev/null, is written when it is staged. */
int file_stage(const char *path, const void *head, size_t head_bytes, const void *body, size_t body_bytes);
int file_commit(void);

/* Whether a file is staged for this path, however it is written; another for it is CLI_USAGE. */
bool file_is_staged(const char *path);

/* Remove what is staged. May be called from a signal handler and at exit; does nothing a second time. */
void file_discard(void);

/* Make a folder and the folders above it. *made, when not NULL: whether it was not there before. */
int file_make_folder(const char *path, bool *made);

#endif
