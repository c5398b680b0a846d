#define _GNU_SOURCE
#include "proto/import.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *entry(const CreaseOnnx__TensorProto *proto, const char *key) {
    for (size_t i = 0; i < proto->n_external_data; i++)
        if (proto->external_data[i]->key && strcmp(proto->external_data[i]->key, key) == 0)
            return proto->external_data[i]->value;
    return NULL;
}

static bool parse_size(const char *text, size_t otherwise, size_t *value) {
    char *end;
    *value = otherwise;
    if (!text)
        return true;
    errno = 0;
    unsigned long long parsed = strtoull(text, &end, 10);
    *value = (size_t)parsed;
    return *text >= '0' && *text <= '9' && *end == 0 && errno == 0;
}

/* The file must lie in the model's folder after every link is followed. */
static bool is_confined(const char *folder, const char *location, char path[PATH_MAX]) {
    char joined[PATH_MAX], home[PATH_MAX];
    if (location[0] == '/' ||
        snprintf(joined, sizeof joined, "%s/%s", folder, location) >= (int)sizeof joined)
        return false;
    if (!realpath(folder, home) || !realpath(joined, path))
        return false;
    size_t n = strlen(home);
    return strncmp(path, home, n) == 0 && (path[n] == '/' || home[n - 1] == '/');
}

static crease_status read_part(const char *path, const char *name, size_t offset, size_t bytes, void *to) {
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return cr_fail(CREASE_ERROR_FILE, "tensor '%s': %s: %s", name, path, strerror(errno));
    size_t end;
    bool inside = fstat(file, &info) == 0 && S_ISREG(info.st_mode) && cr_add_size(offset, bytes, &end) &&
                  end <= (size_t)info.st_size;
    for (size_t at = 0; inside && at < bytes;) {
        ssize_t n = pread(file, (char *)to + at, bytes - at, (off_t)(offset + at));
        if (n <= 0)
            inside = false;
        else
            at += (size_t)n;
    }
    close(file);
    return inside ? CREASE_OK
                  : cr_fail(CREASE_ERROR_MODEL, "tensor '%s': external data end beyond the file '%s'", name,
                            path);
}

crease_status cr_import_external(cr_import *import, const CreaseOnnx__TensorProto *proto, size_t bytes,
                                 cr_buffer **buffer) {
    const char *name = proto->name ? proto->name : "", *location = entry(proto, "location");
    char path[PATH_MAX];
    size_t offset, length;
    if (!import->folder)
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s': external data need a model loaded from a file",
                       name);
    if (!location || !is_confined(import->folder, location, path))
        return cr_fail(CREASE_ERROR_MODEL,
                       "tensor '%s': external data '%s' are not there, or outside the model's folder", name,
                       location ? location : "");
    if (!parse_size(entry(proto, "offset"), 0, &offset) ||
        !parse_size(entry(proto, "length"), bytes, &length) || length != bytes)
        return cr_fail(CREASE_ERROR_MODEL,
                       "tensor '%s': offset or length of its external data do not fit its dims", name);
    struct stat info;
    if (stat(path, &info) != 0 ||
        (size_t)info.st_size < bytes) /* before allocating what a small file only promises */
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s': external data end beyond the file '%s'", name, path);
    CR_TRY(cr_buffer_create(import->model->heap, bytes, buffer));
    crease_status status = read_part(path, name, offset, bytes, cr_buffer_data(*buffer));
    if (status != CREASE_OK) {
        cr_buffer_release(*buffer);
        *buffer = NULL;
    }
    return status;
}
