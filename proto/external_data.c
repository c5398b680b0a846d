#define _GNU_SOURCE
#include "proto/import.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static bool climbs(const char *location) {
    for (const char *at = location; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (at[0] == '.' && at[1] == '.' && (at[2] == '/' || at[2] == 0))
            return true;
    }
    return false;
}

/* Whether path, with every link followed, lies in the folder home. */
static bool is_inside(const char *home, const char *path) {
    size_t n = strlen(home);
    return strncmp(path, home, n) == 0 && (path[n] == '/' || home[n - 1] == '/');
}

/* The file that location names, which must lie in the model's folder after every link is followed. */
static crease_status find_file(const char *folder, const char *name, const char *location,
                               char path[PATH_MAX]) {
    char joined[PATH_MAX], home[PATH_MAX];
    const bool outside = location[0] == '/' || climbs(location) ||
                         snprintf(joined, sizeof joined, "%s/%s", folder, location) >= (int)sizeof joined;
    if (!outside && (!realpath(folder, home) || !realpath(joined, path)))
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s': external data '%s': %s", name, location,
                       strerror(errno));
    if (outside || !is_inside(home, path))
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s': external data '%s' lie outside the model's folder",
                       name, location);
    return CREASE_OK;
}

/* ---- contents ---- */

/* Below this a page of address space and a system call cost more than the copy. */
enum { MAP_FROM_BYTES = 1 << 16 };

typedef struct mapping {
    cr_heap *heap; /* one reference */
    void *start;
    size_t bytes;
} mapping;

static void unmap(void *owner) {
    mapping *m = owner;
    cr_heap *heap = m->heap;
    munmap(m->start, m->bytes);
    cr_free(heap, m);
    cr_heap_release(heap);
}

static crease_status map_part(cr_heap *heap, int file, const char *name, size_t offset, size_t bytes,
                              cr_buffer **buffer) {
    size_t ahead = offset % (size_t)sysconf(_SC_PAGESIZE);
    void *block;
    CR_TRY(cr_alloc(heap, sizeof(mapping), &block));
    mapping *m = block;
    *m = (mapping){heap, NULL, bytes + ahead};
    m->start = mmap(NULL, m->bytes, PROT_READ, MAP_PRIVATE, file, (off_t)(offset - ahead));
    if (m->start == MAP_FAILED) {
        cr_free(heap, m);
        return cr_fail(CREASE_ERROR_FILE, "tensor '%s': external data cannot be mapped: %s", name,
                       strerror(errno));
    }
    cr_heap_retain(heap);
    crease_status status = cr_buffer_wrap(heap, (char *)m->start + ahead, bytes, unmap, m, buffer);
    if (status != CREASE_OK)
        unmap(m);
    return status;
}

static crease_status read_part(cr_heap *heap, int file, const char *name, size_t offset, size_t bytes,
                               cr_buffer **buffer) {
    CR_TRY(cr_buffer_create(heap, bytes, buffer));
    for (size_t at = 0; at < bytes;) {
        ssize_t n = pread(file, (char *)cr_buffer_data(*buffer) + at, bytes - at, (off_t)(offset + at));
        if (n <= 0) {
            cr_buffer_release(*buffer);
            *buffer = NULL;
            return cr_fail(CREASE_ERROR_FILE, "tensor '%s': external data cannot be read: %s", name,
                           n < 0 ? strerror(errno) : "the file ends");
        }
        at += (size_t)n;
    }
    return CREASE_OK;
}

/* Sizes are held against the file before anything is allocated for them. */
static crease_status take_part(cr_heap *heap, int file, const char *path, const char *name, size_t offset,
                               size_t bytes, cr_buffer **buffer) {
    struct stat info;
    size_t end;
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode))
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s': external data '%s' are not a regular file", name,
                       path);
    if (!cr_add_size(offset, bytes, &end) || end > (size_t)info.st_size)
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s': external data end beyond the file '%s'", name, path);
    bool maps = bytes >= MAP_FROM_BYTES && offset % CR_ALIGNMENT == 0;
    return maps ? map_part(heap, file, name, offset, bytes, buffer)
                : read_part(heap, file, name, offset, bytes, buffer);
}

crease_status cr_import_external(cr_import *import, const CreaseOnnx__TensorProto *proto, size_t bytes,
                                 cr_buffer **buffer) {
    const char *name = proto->name ? proto->name : "", *location = entry(proto, "location");
    char path[PATH_MAX];
    size_t offset, length;
    *buffer = NULL;
    if (!import->folder)
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s': external data need a model loaded from a file",
                       name);
    if (!location || !*location)
        return cr_fail(CREASE_ERROR_MODEL, "tensor '%s': external data name no file", name);
    CR_TRY(find_file(import->folder, name, location, path));
    if (!parse_size(entry(proto, "offset"), 0, &offset) ||
        !parse_size(entry(proto, "length"), bytes, &length) || length != bytes)
        return cr_fail(CREASE_ERROR_MODEL,
                       "tensor '%s': offset or length of its external data do not fit its dims", name);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* a pipe must not block us */
    if (file < 0)
        return cr_fail(CREASE_ERROR_FILE, "tensor '%s': %s: %s", name, path, strerror(errno));
    crease_status status = take_part(import->model->heap, file, path, name, offset, bytes, buffer);
    close(file);
    return status;
}
