#include "cli/file.h"
#include "cli/memory.h"
#include "cli/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---- */

bool file_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Pipes have no size, so every file is read until it ends. */
static int read_all(const char *path, int descriptor, blob *out) {
    size_t capacity = 0, limit = memory_of_machine() / 2;
    for (;;) {
        if (out->bytes == capacity)
            out->data = memory_grow(out->data, &capacity, capacity + ((size_t)1 << 16), 1);
        ssize_t n = read(descriptor, out->data + out->bytes, capacity - out->bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(CLI_INPUT, "%s: cannot be read: %s", path, strerror(errno));
        if (n == 0)
            return CLI_OK;
        out->bytes += (size_t)n;
        if (out->bytes > limit)
            return fail(CLI_INPUT, "%s: is larger than half of this machine's memory", path);
    }
}

int file_read(const char *path, blob *out) {
    *out = (blob){NULL, 0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return fail(CLI_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    int code = read_all(path, descriptor, out);
    close(descriptor);
    if (code) {
        free(out->data);
        *out = (blob){NULL, 0};
    }
    return code;
}

/* ---- writing ---- */

/* Nodes are never freed and are complete before they are linked in, so that the signal handler may walk the
 * list at any moment. */
typedef struct staged {
    struct staged *next;
    char *target, *temporary;
    atomic_bool pending;
} staged;

static _Atomic(staged *) list;

void file_discard(void) {
    for (staged *s = atomic_load(&list); s; s = s->next)
        if (atomic_exchange(&s->pending, false))
            unlink(s->temporary);
}

static bool write_all(int descriptor, const void *data, size_t bytes) {
    const char *at = data;
    while (bytes) {
        ssize_t n = write(descriptor, at, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

static int fail_write(const char *path) {
    return fail(CLI_RUN, "%s: cannot be written: %s", path, strerror(errno));
}

static int write_to(int descriptor, const char *path, const void *head, size_t head_bytes, const void *body,
                    size_t body_bytes) {
    bool done = write_all(descriptor, head, head_bytes) && write_all(descriptor, body, body_bytes);
    int reason = errno;
    done &= close(descriptor) == 0 || !done;
    errno = done || !reason ? errno : reason;
    return done ? CLI_OK : fail_write(path);
}

/* A name in the folder of `target`, where a rename stays within one file system. */
static char *temporary_name(const char *target) {
    static unsigned count;
    const char *slash = strrchr(target, '/');
    int folder = slash ? (int)(slash - target) + 1 : 0;
    return memory_format("%.*s.crease-%ld-%u.tmp", folder, target, (long)getpid(), count++);
}

/* Through symbolic links, which stay links; the same for every path to a file that is not there yet. */
static char *resolve(const char *path) {
    char *whole = realpath(path, NULL);
    if (whole)
        return whole;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *folder = memory_format("%.*s", slash ? (int)(name - path) : 1, slash ? path : ".");
    char *real = realpath(folder, NULL);
    char *target = real ? memory_format("%s/%s", real, name) : memory_text(path);
    free(folder);
    free(real);
    return target;
}

bool file_is_staged(const char *path) {
    char *target = resolve(path);
    bool found = false;
    for (staged *s = atomic_load(&list); s && !found; s = s->next)
        found = atomic_load(&s->pending) && strcmp(s->target, target) == 0;
    free(target);
    return found;
}

static int open_temporary(const char *path) {
    staged *s = memory_take(1, sizeof *s);
    s->target = resolve(path);
    s->temporary = temporary_name(s->target);
    atomic_init(&s->pending, true);
    s->next = atomic_load(&list);
    atomic_store(&list, s);
    int descriptor = open(s->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        atomic_store(&s->pending, false);
        fail_write(path);
    }
    return descriptor;
}

int file_stage(const char *path, const void *head, size_t head_bytes, const void *body, size_t body_bytes) {
    struct stat info;
    int descriptor;
    if (file_is_staged(path))
        return fail(CLI_USAGE, "%s: is the name of two files to write", path);
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        descriptor = open(path, O_WRONLY | O_CLOEXEC);
        if (descriptor < 0)
            return fail_write(path);
    } else {
        descriptor = open_temporary(path);
        if (descriptor < 0)
            return CLI_RUN;
    }
    return write_to(descriptor, path, head, head_bytes, body, body_bytes);
}

int file_commit(void) {
    for (staged *s = atomic_load(&list); s; s = s->next) {
        if (!atomic_load(&s->pending))
            continue;
        if (rename(s->temporary, s->target) != 0)
            return fail_write(s->target);
        atomic_store(&s->pending, false);
    }
    return CLI_OK;
}

/* ---- folders ---- */

static int make_one(const char *path, bool *made) {
    *made = mkdir(path, 0777) == 0;
    if (*made || (errno == EEXIST && file_is_folder(path)))
        return CLI_OK;
    return fail(CLI_RUN, "%s: cannot be made a folder: %s", path, strerror(errno));
}

int file_make_folder(const char *path, bool *made) {
    bool last = false;
    char *part = memory_text(path);
    int code = *path ? CLI_OK : fail(CLI_USAGE, "the name of the output folder is empty");
    for (size_t i = 1; !code && path[i]; i++)
        if (path[i] == '/' && path[i - 1] != '/') {
            part[i] = 0;
            code = make_one(part, &last);
            part[i] = '/';
        }
    if (!code)
        code = make_one(path, &last);
    if (made)
        *made = last;
    free(part);
    return code;
}
